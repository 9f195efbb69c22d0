/* SPDX-License-Identifier: Apache-2.0 */
/* The content-addressed object store.
 *
 * Objects are immutable, gathered in compressed frames, frames in packs; an
 * index finds an object by id. See strata-pack(5) and strata-index(5).
 * A store is safe to use from many threads; many processes may read and write
 * one at once (store/lease.h tells how gc keeps out of their way).
 */
#ifndef STRATA_STORE_STORE_H
#define STRATA_STORE_STORE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "store/backend.h"
#include "store/object.h"

struct store;

/* Opens the store behind a back end (borrowed until store_close). DAMAGED, IO,
 * NOMEM. Cost: one folder listing, one mmap an index file. */
int store_open(struct backend *be, struct store **out, struct error *e);
/* The same, leaving out index files that are damaged. */
int store_open_damaged(struct backend *be, struct store **out,
	struct error *e);
/* The i-th index file that was left out and why; false: there are no more. */
bool store_bad_index(struct store *s, size_t i, const char **out_name,
	const char **out_why);
void store_close(struct store *s);
DEFINE_CLEANUP_PTR(store, struct store, store_close)

struct backend *store_backend(struct store *s);

/* Where an object is. */
struct object_info {
	enum object_kind kind;
	uint32_t len; /* bytes, decoded */
};

/* Is it there? Looks again on disk when it is not found at first (somebody
 * may have written it, or repacked). NOTFOUND. */
int store_stat(struct store *s, enum object_space space, const struct oid *id,
	struct object_info *out, struct error *e);
/* The same without looking again, for "is it known?" in an import. */
bool store_has(struct store *s, enum object_space space, const struct oid *id,
	struct object_info *out);

/* Appends the whole object to out. For records the id is checked. NOTFOUND,
 * DAMAGED, IO, NOMEM. */
int store_get(struct store *s, enum object_space space, const struct oid *id,
	enum object_kind *out_kind, struct buf *out, struct error *e);
/* A record of the kind wanted; DAMAGED where it is of another. */
int store_get_record(struct store *s, enum object_kind kind,
	const struct oid *id, struct buf *out, struct error *e);

/* Reads len bytes at off of a blob, whether whole or chunked. RANGE outside. */
int store_read_blob(struct store *s, const struct oid *id, void *buf,
	size_t len, uint64_t off, struct error *e);
/* The same as a file lies in its blocks: behind its end are zeros. */
int store_read_padded(struct store *s, const struct oid *id, void *buf,
	size_t len, uint64_t off, struct error *e);
/* Ahead of a long read by one of several threads: decodes the frames that hold
 * these bytes and that no other thread is decoding, so that threads whose
 * reads share frames do not wait for each other in step. What fails is told by
 * the read. Returns enum store_warmth. */
enum store_warmth {
	WARM_BUSY = 1,	  /* another thread is decoding one of them */
	WARM_DECODED = 2, /* at least one was decoded now */
};
unsigned store_warm_blob(struct store *s, const struct oid *id, size_t len,
	uint64_t off);
int store_blob_size(struct store *s, const struct oid *id, uint64_t *out,
	struct error *e);

/* The id that a unique prefix (at least 4 hex digits) of a record of this
 * kind stands for. NOTFOUND; ARG where it is not unique. */
int store_resolve_prefix(struct store *s, enum object_kind kind,
	const char *hex, struct oid *out, struct error *e);

/* Calls fn for every object that a chunked blob stands on, in order: first a
 * segment (space RECORD) if there is one, then its chunks. Nothing for a
 * whole blob. fn's non-zero return stops and is handed back. */
typedef int (*store_part_fn)(void *ctx, enum object_space space,
	const struct oid *id, uint32_t len);
int store_blob_parts(struct store *s, const struct oid *id, store_part_fn fn,
	void *ctx, struct error *e);

/* Bound of the cache of decoded frames (default 48 MiB). */
void store_set_cache(struct store *s, size_t bytes);

/* For processes that live long: looks at the folder again where its names have
 * changed, and closes packs that were removed, whose room is free only then.
 * Cheap where nothing changed. IO, DAMAGED, NOMEM. */
int store_tidy(struct store *s, struct error *e);

/* Looks at the folder again. */
int store_refresh(struct store *s, struct error *e);

struct store_stats {
	uint64_t packs, indexes, stored_bytes;
	uint64_t count[OBJ_KINDS], bytes[OBJ_KINDS]; /* decoded bytes */
};
int store_get_stats(struct store *s, struct store_stats *out, struct error *e);

/* --- writing --- */

/* One import, commit or repack: new packs that become durable all at once
 * when finished. Holds a lease: gc leaves alone what it uses. */
struct writer;

struct writer_options {
	int level;	   /* zstd level, 0 = default */
	size_t frame_size; /* bytes of objects gathered in one frame, 0 */
	bool rewrite;	   /* repack: do not ask what is known already */
	size_t pack_objects; /* after which a pack is closed, 0 = default */
};
int writer_open(struct store *s, const struct writer_options *opt,
	struct writer **out, struct error *e);
/* Without finish nothing is left but what gc collects. Ends the lease; keep
 * the writer until the ref that names its objects has moved. */
void writer_close(struct writer *w);
DEFINE_CLEANUP_PTR(writer, struct writer, writer_close)

/* True where the caller is the first to bring this object: it must add it.
 * False: it is in the store, or another thread brings it. */
bool writer_claim(struct writer *w, enum object_space space,
	const struct oid *id);
/* Is it in the store, or claimed? Claims nothing. */
bool writer_knows(struct writer *w, enum object_space space,
	const struct oid *id);

/* A stream of objects gathered in frames together; one a thread and kind of
 * data. Closing one that was not flushed loses its last frame. */
struct packer;
int packer_open(struct writer *w, struct packer **out, struct error *e);
/* One for trees, layouts and the like: smaller frames, read faster. */
int packer_open_records(struct writer *w, struct packer **out,
	struct error *e);
void packer_close(struct packer *p);
DEFINE_CLEANUP_PTR(packer, struct packer, packer_close)
/* Adds a claimed object. len at most OBJECT_MAX. */
int packer_add(struct packer *p, enum object_kind kind, const struct oid *id,
	const void *data, size_t len, struct error *e);
int packer_flush(struct packer *p, struct error *e);

/* Hashes, claims and adds a record in one call. */
int packer_put_record(struct packer *p, enum object_kind kind,
	const void *data, size_t len, struct oid *out, struct error *e);
/* The same for content of at most BLOB_WHOLE_MAX bytes; nothing is stored for
 * the empty blob. */
int packer_put_blob(struct packer *p, const void *data, size_t len,
	struct oid *out, struct error *e);
/* The same where the hash is known. */
int packer_put_known(struct packer *p, const void *data, size_t len,
	const struct oid *id, struct error *e);

struct writer_stats {
	uint64_t new_objects, new_blobs, new_bytes; /* before compression */
	uint64_t stored_bytes;			    /* after */
};
/* Makes everything durable and visible: after it returns 0 power may fail.
 * All packers must be flushed and closed before. */
int writer_finish(struct writer *w, struct error *e);
void writer_get_stats(struct writer *w, struct writer_stats *out);

#endif
