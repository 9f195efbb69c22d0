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

struct index {
	char name[48]; /* below index/, or a path with a '/' in it */
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

/* Merges indexes into one. The filter (NULL: everything) tells which packs and
 * which entries (of the i-th index) to take over; an object that several packs
 * hold is listed once. */
struct index_filter {
	bool (*pack)(void *ctx, const uint8_t pack_id[16]);
	bool (*entry)(void *ctx, size_t i, enum object_space space,
		uint64_t pos);
	void *ctx;
};
int index_merge(const struct index *const *ix, size_t n,
	const struct index_filter *filter, struct buf *out, struct error *e);

static inline uint32_t loc_len(const struct index_loc *l)
{
	return le32_get(l->len_kind) & LEN_MASK;
}

static inline enum object_kind loc_kind(const struct index_loc *l)
{
	return (enum object_kind)(le32_get(l->len_kind) >> 24);
}

#endif
