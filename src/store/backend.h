/* SPDX-License-Identifier: Apache-2.0 */
/* What the store stands on: a small set of operations on named things, chosen
 * so that object storage can give them too.
 *
 * Names are relative paths of plain characters ("packs/3f...", "refs/heads/x").
 * Packs and indexes are put once and never change; refs change by compare and
 * swap.
 */
#ifndef STRATA_STORE_BACKEND_H
#define STRATA_STORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

struct backend;
struct backend_upload;

typedef int (*backend_list_fn)(void *ctx, const char *name, uint64_t size,
	int64_t mtime);
typedef int (*backend_ref_fn)(void *ctx, const char *name, const char *value);

struct backend_ops {
	const char *name;
	/* A thing to be read in ranges, by many threads. NOTFOUND, IO. */
	int (*open)(struct backend *b, const char *name, int *out_handle,
		uint64_t *out_size, struct error *e);
	/* Exactly len bytes at off. IO; DAMAGED where it is too short. */
	int (*read)(struct backend *b, int handle, void *buf, size_t len,
		uint64_t off, struct error *e);
	void (*close_handle)(struct backend *b, int handle);
	/* A read-only view of the whole thing, valid until unmap (a back end
	 * that cannot map fetches it into memory). */
	int (*map)(struct backend *b, const char *name, const void **out,
		size_t *out_len, struct error *e);
	void (*unmap)(struct backend *b, const void *p, size_t len);
	/* Every name below the folder prefix (one level, without it). */
	int (*list)(struct backend *b, const char *prefix, backend_list_fn fn,
		void *ctx, struct error *e);
	/* Removing what is not there is not an error. */
	int (*remove)(struct backend *b, const char *name, struct error *e);
	/* Makes the removals below a folder durable. */
	int (*sync)(struct backend *b, const char *prefix, struct error *e);
	/* Removes (dry: only counts) what uploads of processes that are gone
	 * left behind. */
	int (*clean)(struct backend *b, bool dry, uint64_t *files,
		uint64_t *bytes, struct error *e);
	/* A small thing, whole and durable; replaces. */
	int (*put)(struct backend *b, const char *name, const void *data,
		size_t len, struct error *e);

	/* A thing that is written piece by piece and appears whole, or not at
	 * all. upload_write may be called from many threads, pieces do not
	 * overlap. upload_finish makes it durable under its name. upload_abort
	 * forgets it. Both free it. */
	int (*upload_start)(struct backend *b, struct backend_upload **out,
		struct error *e);
	int (*upload_write)(struct backend_upload *u, const void *buf,
		size_t len, uint64_t off, struct error *e);
	int (*upload_finish)(struct backend_upload *u, const char *name,
		struct error *e);
	void (*upload_abort)(struct backend_upload *u);

	/* A ref: a short text (at most 4096 bytes, no newline). NOTFOUND. */
	int (*ref_read)(struct backend *b, const char *name, struct buf *out,
		struct error *e);
	/* Sets it to value (NULL: removes it, and its log) if it is now old
	 * (NULL: if it does not exist; backend_any: whatever it is). CONFLICT
	 * where it is not. log: a line (without newline) that is appended to
	 * the ref's log, or NULL. Durable when it returns. */
	int (*ref_update)(struct backend *b, const char *name, const char *old,
		const char *value, const char *log, struct error *e);
	/* Every ref below the folder prefix, at any depth, sorted by name
	 * (without the prefix). The value of one that is damaged is "". */
	int (*ref_list)(struct backend *b, const char *prefix,
		backend_ref_fn fn, void *ctx, struct error *e);
	/* The ref's log, oldest line first; empty where there is none. */
	int (*ref_log)(struct backend *b, const char *name, struct buf *out,
		struct error *e);

	/* Locks, held until unlocked or the process ends. exclusive or shared;
	 * BUSY where it is held and wait is false. create: make it new (a
	 * lease); its name goes away with unlock. */
	int (*lock)(struct backend *b, const char *name, bool exclusive,
		bool wait, int *out_handle, struct error *e);
	void (*unlock)(struct backend *b, const char *name, int handle,
		bool remove_name);

	void (*close)(struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
};

extern const char backend_any[]; /* for ref_update's old */

static inline void backend_close(struct backend *b)
{
	b->ops->close(b);
}
DEFINE_CLEANUP_PTR(backend, struct backend, backend_close)

/* A folder. The folder must exist. NOTFOUND, IO. */
int backend_local_open(const char *path, struct backend **out,
	struct error *e);

#endif
