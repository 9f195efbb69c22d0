/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: copy-on-write disks over a commit that stays in the library. */
#ifndef STRATA_OPS_INSTANCE_H
#define STRATA_OPS_INSTANCE_H

#include "library/record.h"
#include "ops/progress.h"

struct instance_args {
	const struct oid *commit;
	const char *branch; /* that named the commit, or NULL */
	int disk;	    /* -1: the only one */
	const char *name;
	const char *path;   /* of the overlay; NULL: NAME.qcow2 here */
	const char *socket; /* of the server; NULL: beside the overlay */
	bool full;	    /* backing is a raw file beside it, not a server */
	const struct progress *progress;
};

/* Makes the overlay, and notes its base so that gc keeps it. A file that is
 * there already is not replaced. EXISTS (the name or a file), ARG, NOTFOUND,
 * IO. */
int ops_instance_create(struct library *l, const struct instance_args *a,
	struct record *out, struct error *e);

enum instance_state {
	INSTANCE_CLEAN,	    /* as it was made */
	INSTANCE_CHANGED,   /* written to since it was made or committed */
	INSTANCE_COMMITTED, /* as it was when it was committed last */
	INSTANCE_MISSING,   /* the overlay is gone */
	INSTANCE_BROKEN,    /* it was never finished, or its record is gone */
};
enum instance_state instance_state(const struct record *r);
const char *instance_state_name(enum instance_state s);

/* r: NULL paths where BROKEN. */
typedef int (*instance_fn)(void *ctx, const struct record *r,
	enum instance_state state);
int ops_instance_list(struct library *l, instance_fn fn, void *ctx,
	struct error *e);

/* Removes the instance with its overlay and base file. CONFLICT where the
 * overlay holds what was not committed; BUSY where a program writes to it.
 * force: even then (but not what is in use). NOTFOUND, IO. */
int ops_instance_remove(struct library *l, const char *name, bool force,
	struct error *e);

/* Does a program (qemu) have the image open for writing? By the locks that
 * qemu takes (block/file-posix.c: byte 100 + permission, write is 1). */
bool image_in_use(const char *path);

/* "nbd+unix:///COMMIT?socket=PATH", as qemu and libnbd take it. */
void instance_uri(const struct oid *commit, uint32_t disk, const char *socket,
	struct buf *out);

/* Writes a new overlay, durable, where no file is. EXISTS, IO. */
int overlay_create(const char *path, uint64_t size, const char *backing,
	const char *backing_format, struct error *e);

#endif
