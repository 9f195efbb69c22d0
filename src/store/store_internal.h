/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. */
#ifndef STRATA_STORE_STORE_INTERNAL_H
#define STRATA_STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "store/frame_cache.h"
#include "store/index.h"
#include "base/compiler.h"
#include "base/vec.h"
#include "store/lease.h"
#include "store/store.h"

/* On Debian disks, 1 MiB takes 1.3 % less room than 512 KiB and no more time. */
#define DEFAULT_FRAME (1024 * 1024)
/* Records are read one here, one there, by commands that take milliseconds. */
#define RECORD_FRAME (256 * 1024)
#define DEFAULT_CACHE (48 * 1024 * 1024)
/* Packs kept open at once: below the usual limit of 1024 descriptors. */
#define OPEN_PACKS_MAX 256
/* Index files before they are merged. */
#define INDEX_FILES_MAX 8

/* A pack of which something is read. Lives until the store is closed. */
struct pack {
	struct pack *next;
	uint8_t id[16];
	uint64_t key; /* unique in this process, for the frame cache */
	int handle;   /* -1: not open */
	unsigned users;
	uint64_t used_at;
};

/* The index files at one moment; immutable, counted. */
struct snapshot {
	_Atomic unsigned refs;
	size_t n;
	struct index *ix;
	size_t nbad; /* left out: the store was opened as damaged */
	struct bad_index {
		char name[48];
		char why[200];
	} *bad;
};

struct store {
	struct backend *be;
	struct frame_cache *cache;
	pthread_mutex_t lock; /* guards what follows */
	struct snapshot *snap;
	struct pack *packs[256]; /* by first byte of the id */
	VEC(struct pack *) open; /* those with a handle */
	uint64_t clock, next_key;
	bool lenient; /* damaged index files are left out */
};

struct snapshot *store_snapshot(struct store *s);
void snapshot_unref(struct store *s, struct snapshot *sn);

/* Where an object is, in some index of a snapshot. */
struct located {
	uint8_t pack_id[16];
	uint64_t frame_off;
	uint32_t stored_len, raw_len; /* of the frame */
	uint32_t off, len;
	enum object_kind kind;
};
bool snapshot_find(const struct snapshot *sn, enum object_space space,
	const struct oid *id, struct located *out);
/* The same by position; DAMAGED where the index refers to nothing. */
bool index_located(const struct index *ix, enum object_space space,
	uint64_t pos, struct located *out);

/* Finds an object and calls fn on its bytes; looks at the folder again where
 * the object, or the pack that holds it, is not there (repacked meanwhile). */
int store_with_object(struct store *s, enum object_space space,
	const struct oid *id,
	int (*fn)(void *ctx, const struct located *at, const uint8_t *data,
		struct error *e),
	void *ctx, struct error *e);

/* The decoded frame; give it back with frame_cache_put(s->cache, f). */
int store_frame(struct store *s, const struct located *at,
	struct cached_frame **out, struct error *e);
/* The same ahead of time: returns at once where another thread decodes it. */
unsigned store_frame_warm(struct store *s, const struct located *at);
/* Reads bytes of a pack, through the bounded set of open ones. */
int store_pack_read(struct store *s, const uint8_t id[16], void *buf,
	size_t len, uint64_t off, struct error *e);

struct census;
struct store *census_store(const struct census *c);
struct snapshot *census_snapshot(const struct census *c);

void pack_name(const uint8_t id[16], char out[64]);

/* Merges index files when there are many; failure is not an error. */
void store_merge_indexes(struct store *s);

/* Takes over a frame as it is stored. */
struct frame_item {
	struct oid id;
	uint32_t len_kind;
	uint32_t off; /* in the decoded frame */
};
int writer_put_frame(struct writer *w, const void *stored, size_t len,
	uint32_t raw_len, const struct frame_item *items, size_t n,
	struct error *e);

/* Appends an encoded frame (frame_encode) with its objects, whose offsets count
 * from shift. */
int writer_append_frame(struct writer *w, const struct buf *stored,
	uint32_t raw_len, const struct frame_item *obj, size_t n,
	uint32_t shift, struct error *e);
const struct writer_options *writer_get_options(const struct writer *w);
/* For the statistics: an object of len bytes was added. */
void writer_count(struct writer *w, enum object_kind kind, size_t len);
/* Claimed objects were lost: the writer must not finish well. */
void writer_lost(struct writer *w);

/* Puts the merge of some indexes under a name. */
int store_merge_to(struct store *s, const char *path,
	const struct index *const *ix, size_t n,
	const struct index_filter *filter, struct error *e);
/* Publishes an encoded index, or the merge of some, under a new name. */
int store_put_index(struct store *s, const struct buf *data, struct error *e);
int store_put_merged(struct store *s, const struct index *const *ix, size_t n,
	const struct index_filter *filter, struct error *e);

#endif
