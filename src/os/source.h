/* SPDX-License-Identifier: Apache-2.0 */
/* A source: bytes with a size that can be read at any offset and that knows
 * which parts are zero without being read. Parsers get a source and nothing
 * else; its pread is the only place with end-of-file logic.
 *
 * Sources are reference counted and safe to use from many threads at once.
 */
#ifndef STRATA_OS_SOURCE_H
#define STRATA_OS_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/compiler.h"
#include "base/error.h"

enum source_kind {
	SOURCE_DATA, /* must be read (may still turn out to be zeros) */
	SOURCE_ZERO, /* reads as zeros: a hole, an unallocated cluster */
};

/* A stretch of a source that is all of one kind. */
struct source_extent {
	uint64_t off, len;
	enum source_kind kind;
	/* Which layer of a copy-on-write stack holds it: 0 is the top (the
	 * image itself), 1 its backing, and so on. */
	uint32_t layer;
};

struct source;

struct source_ops {
	const char *name;
	/* Read exactly len bytes at off; the range was checked to be inside.
	 * 0 or IO, CORRUPT, ... Must be safe to call from many threads. */
	int (*pread)(struct source *s, void *buf, size_t len, uint64_t off,
		struct error *e);
	/* The extent that contains off (off < size): out->off <= off <
	 * out->off + out->len <= size. It need not be maximal. NULL: all is
	 * data. */
	int (*extent)(struct source *s, uint64_t off, struct source_extent *out,
		struct error *e);
	/* Tell that [off, off+len) will be read soon; may be NULL. */
	void (*will_need)(struct source *s, uint64_t off, uint64_t len);
	/* Does now, in this thread, what makes a read of [off, off+len) (inside)
	 * cheap: decodes into a cache. What fails is told by the read. NULL:
	 * there is nothing of the kind. */
	void (*warm)(struct source *s, uint64_t off, uint64_t len);
	/* The descriptor of the file whose bytes these are, all of them, for a
	 * program that reads it in our place. Borrowed. NULL: there is none. */
	int (*fd)(struct source *s);
	/* Release what the source owns and free it; may be NULL (free). */
	void (*close)(struct source *s);
};

/* The public part; implementations embed it first. */
struct source {
	const struct source_ops *ops;
	uint64_t size;
	uint32_t sector_size; /* 512 or 4096; 512 where nothing else is known */
	_Atomic uint32_t refs;
};

/* For implementations: fill in the public part, with one reference. */
void source_init(struct source *s, const struct source_ops *ops, uint64_t size);

struct source *source_ref(struct source *s);
void source_unref(struct source *s); /* NULL is fine */
DEFINE_CLEANUP_PTR(source, struct source, source_unref)
#define AUTO_SOURCE CLEANUP(cleanup_source) struct source *

/* Reads exactly len bytes at off, all or nothing. RANGE where any byte lies
 * outside, else what the source says (with the offset). */
int source_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e) ATTR_MUST_CHECK;

/* The extent around off, clipped to start at off; its length is at least 1.
 * RANGE where off is not below size. */
int source_extent_at(struct source *s, uint64_t off, struct source_extent *out,
	struct error *e) ATTR_MUST_CHECK;

/* The first data at or after off, at most to end: *out_off = *out_end = end
 * where there is none. Extents are merged, up to max bytes. */
int source_next_data(struct source *s, uint64_t off, uint64_t end, uint64_t max,
	uint64_t *out_off, uint64_t *out_end, struct error *e) ATTR_MUST_CHECK;

void source_will_need(struct source *s, uint64_t off, uint64_t len);
/* false: nothing was done, only a read would warm it. */
bool source_warm(struct source *s, uint64_t off, uint64_t len);

/* A borrowed descriptor of the file that this is, or -1 (memory, a window). */
int source_fd(struct source *s);

/* A file or block device, opened read-only. Its holes (SEEK_HOLE) are ZERO
 * extents and are never read. NOTFOUND, IO, ARG (a folder, a pipe). */
int source_file_open(const char *path, struct source **out, struct error *e);
/* The same from a descriptor, which is transferred (also on failure). name is
 * for messages. */
int source_file_fd(int fd, const char *name, struct source **out,
	struct error *e);
/* Bytes in memory: borrowed until the last reference goes. */
int source_memory(const void *data, size_t len, struct source **out,
	struct error *e);
/* The same, but the bytes are transferred and free()d with the source. */
int source_memory_owned(void *data, size_t len, struct source **out,
	struct error *e);
/* All zeros. */
int source_zero(uint64_t size, struct source **out, struct error *e);
/* [off, off+len) of another source (shared). RANGE where it is not inside. */
int source_window(struct source *base, uint64_t off, uint64_t len,
	struct source **out, struct error *e);
/* Base (shared) grown with zeros or cut to size. */
int source_resize(struct source *base, uint64_t size, struct source **out,
	struct error *e);

/* A linear map: segments one behind the other, each a piece of some source
 * (shared), NULL for zeros. For logical volumes, flat multi-extent disks. */
struct source_segment {
	struct source *src;
	uint64_t off, len;
};
int source_concat(const struct source_segment *seg, size_t n,
	struct source **out, struct error *e);

/* Base (shared) with bytes in memory written over it: how a journal is
 * replayed without touching the disk. Not for writing while others read. */
int source_overlay(struct source *base, struct source **out, struct error *e);
/* Writes over [off, off+len); RANGE, NOMEM, LIMIT (more than 1 GiB held). */
int source_overlay_write(struct source *overlay, const void *buf, size_t len,
	uint64_t off, struct error *e);
/* Bytes that it holds in memory. */
uint64_t source_overlay_held(struct source *overlay);

/* Base (shared) behind a cache of block_size-byte blocks (a power of two), at
 * most budget bytes, least recently used goes first. For metadata readers:
 * small reads near each other become one. Zero extents are not cached. */
int source_cache(struct source *base, size_t block_size, size_t budget,
	struct source **out, struct error *e);

/* Base (shared) with ranges that read as zeros; they are copied, must be in
 * order, not empty, not overlap, and lie inside. ARG. */
struct source_range {
	uint64_t off, len;
};
int source_mask(struct source *base, const struct source_range *ranges,
	size_t n, struct source **out, struct error *e);

/* Top where ranges say so (as for source_mask), base elsewhere; both are
 * shared and of one size. */
int source_stack(struct source *top, struct source *base,
	const struct source_range *ranges, size_t n, struct source **out,
	struct error *e);

/* Base (shared), of which at most about max bytes are read, again and again
 * counted: LIMIT then. For containers whose tables name the same block many
 * times, so that a small file makes an endless disk. */
int source_budget(struct source *base, uint64_t max, struct source **out,
	struct error *e);

/* Fault injection for tests: reads that touch [off, off+len) fail with IO. */
int source_faulty(struct source *base, uint64_t off, uint64_t len,
	struct source **out, struct error *e);

#endif
