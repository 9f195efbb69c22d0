/* SPDX-License-Identifier: Apache-2.0 */
/* One index file: where the objects of some packs are. Derived: it can be
 * built again from the packs. */
#ifndef STRATA_STORE_INDEX_H
#define STRATA_STORE_INDEX_H

#include "base/buf.h"
#include "base/error.h"
#include "store/backend.h"
#include "store/format.h"
#include "store/object.h"

struct index_section {
	uint64_t n;
	unsigned bits;
	const uint8_t *fanout; /* le32[2^bits + 1] */
	const uint8_t *ids;    /* 32 * n, sorted */
	const struct index_loc *locs;
};

#define INDEX_NAME_MAX 48

struct index {
	char name[INDEX_NAME_MAX]; /* below index/, or a path with a '/' in it */
	const uint8_t *data;
	size_t len;
	uint32_t npacks, nframes;
	const struct index_pack *packs;
	const struct index_frame *frames;
	struct index_section sec[2];
};

/* Maps and checks the header and that every table is inside. DAMAGED. */
int index_open(struct backend *be, const char *name, struct index *out,
	struct error *e);
void index_close(struct backend *be, struct index *ix);
/* Checks the body's checksum and every reference in it. */
int index_check(const struct index *ix, struct error *e);

/* The position of an id in its section; false where it is not there. */
bool index_find(const struct index *ix, enum object_space space,
	const struct oid *id, uint64_t *out_pos);
/* The first position whose id is not below id. */
uint64_t index_lower_bound(const struct index *ix, enum object_space space,
	const struct oid *id);

/* What an index is built from. */
struct index_entry {
	struct oid id;
	uint32_t frame; /* index in frames */
	uint32_t off;
	uint32_t len_kind;
};
struct index_build {
	struct index_pack *packs;
	uint32_t npacks;
	struct index_frame *frames; /* with .pack set */
	uint32_t nframes;
	struct index_entry *entries; /* sorted by index_build_encode */
	uint64_t nentries;
};
/* Sorts the entries (by space, then id; of equal ones one is kept) and encodes
 * the file. LIMIT (over 2^32 frames or objects), NOMEM. */
int index_build_encode(struct index_build *b, struct buf *out,
	struct error *e);

/* The fan-out's bits for so many objects: about 16 ids a bucket. */
unsigned index_fanout_bits(uint64_t objects);
uint32_t index_top_bits(const uint8_t *id, unsigned bits);
/* Magic, format and the header's own checksum: the last to be filled in. */
void index_header_seal(struct index_header *h);

/* Merges indexes into one. The filter (NULL: everything) tells which packs and
 * which entries (of the i-th index) to take over, the same each time it is
 * asked; an object that several packs hold is listed once. emit gets the new
 * file piece by piece, without gaps, and the header at 0 last. LIMIT (over 2^32
 * frames or objects), DAMAGED (ids out of order), NOMEM, what emit returns.
 * Memory: 4 bytes a frame, a quarter byte an object. */
typedef int (*index_emit_fn)(void *ctx, const void *data, size_t len,
	uint64_t off, struct error *e);
struct index_filter {
	bool (*pack)(void *ctx, const uint8_t pack_id[16]);
	bool (*entry)(void *ctx, size_t i, enum object_space space,
		uint64_t pos);
	void *ctx;
};
int index_merge(const struct index *const *ix, size_t n,
	const struct index_filter *filter, index_emit_fn emit, void *ctx,
	struct error *e);

static inline uint32_t loc_len(const struct index_loc *l)
{
	return le32_get(l->len_kind) & LEN_MASK;
}

static inline enum object_kind loc_kind(const struct index_loc *l)
{
	return (enum object_kind)(le32_get(l->len_kind) >> 24);
}

#endif
