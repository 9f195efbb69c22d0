/* SPDX-License-Identifier: Apache-2.0 */
/* A sink: where an export's bytes go. A file takes writes at any offset and
 * leaves what was not written as holes; a pipe takes them in ascending order
 * and fills gaps with zeros. */
#ifndef STRATA_OS_SINK_H
#define STRATA_OS_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"

struct sink;

struct sink_ops {
	/* May be called from many threads at once if seekable. */
	int (*pwrite)(struct sink *s, const void *buf, size_t len, uint64_t off,
		struct error *e);
	/* The final size: cuts or extends. */
	int (*truncate)(struct sink *s, uint64_t size, struct error *e);
	/* Complete: a file gets its final name, a device is flushed. */
	int (*commit)(struct sink *s, struct error *e);
	/* Frees; without commit nothing is left behind. */
	void (*close)(struct sink *s);
};

struct sink {
	const struct sink_ops *ops;
	bool seekable;
	/* What is not written keeps its old content instead of reading as
	 * zeros (a device): writers write zeros too. */
	bool keeps_old;
};

/* A new file that appears under path only at commit (a temporary name in the
 * same folder until then); replaces an existing regular file. A block device
 * is written in place, zeros too (its old content is not holes). */
int sink_file_create(const char *path, struct sink **out, struct error *e);
/* A pipe or any descriptor, written forwards; borrowed. Offsets that go back
 * are ARG. */
int sink_stream(int fd, struct sink **out, struct error *e);
/* Counts bytes, keeps nothing. */
int sink_null(struct sink **out, struct error *e);

int sink_pwrite(struct sink *s, const void *buf, size_t len, uint64_t off,
	struct error *e);
int sink_truncate(struct sink *s, uint64_t size, struct error *e);
int sink_commit(struct sink *s, struct error *e);
void sink_close(struct sink *s); /* NULL is fine */
DEFINE_CLEANUP_PTR(sink, struct sink, sink_close)
#define AUTO_SINK CLEANUP(cleanup_sink) struct sink *

#endif
