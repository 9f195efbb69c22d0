/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a store at one moment, by position: what gc and verify count
 * on with one bit an object, where a set of ids would take 32 bytes each.
 *
 * Positions run through the sections of all index files. An object that
 * several of them list has several positions; the first is the one that
 * census_find gives.
 */
#ifndef STRATA_STORE_CENSUS_H
#define STRATA_STORE_CENSUS_H

#include "base/cleanup.h"
#include "store/lease.h"
#include "store/store.h"

struct census;

struct census_pack {
	uint8_t id[16];
	uint64_t size;	    /* of the file, as its index says */
	uint32_t frames;
	uint64_t raw_bytes; /* of its frames, decoded */
	size_t index;	    /* the first index that lists it ... */
	uint32_t number;    /* ... and its number there */
};

struct census_entry {
	enum object_space space;
	struct oid id;
	enum object_kind kind;
	uint32_t len;
	uint32_t off; /* in the decoded frame */
	size_t pack;
	uint64_t frame; /* over all index files; see census_frame */
};

/* Where a frame is. */
struct census_frame {
	size_t pack;
	uint64_t off;
	uint32_t stored_len, raw_len;
	bool first; /* no earlier index lists the pack */
};

/* Looks at the folder again and keeps what it finds until census_close. */
int census_open(struct store *s, struct census **out, struct error *e);
void census_close(struct census *c);
DEFINE_CLEANUP_PTR(census, struct census, census_close)

uint64_t census_count(const struct census *c);
uint64_t census_frames(const struct census *c);
const struct census_pack *census_packs(const struct census *c, size_t *out_n);
/* The number of a pack; false where no index lists it. */
bool census_pack_find(const struct census *c, const uint8_t id[16],
	size_t *out);
size_t census_indexes(const struct census *c);
const char *census_index_name(const struct census *c, size_t i);
/* Checksum and references of an index file. DAMAGED. */
int census_index_check(const struct census *c, size_t i, struct error *e);

bool census_find(const struct census *c, enum object_space space,
	const struct oid *id, uint64_t *out_pos);
/* False where the index refers to nothing (it is damaged). */
bool census_at(const struct census *c, uint64_t pos, struct census_entry *out);
bool census_frame_at(const struct census *c, uint64_t frame,
	struct census_frame *out);

/* The positions whose bit is set, in order of space and id, whatever index file
 * they are in: census_order_next gives 0 at the end. Memory: 8 bytes an index
 * file. */
struct census_order {
	const struct census *c;
	const uint64_t *bits;
	enum object_space space;
	uint64_t *at; /* in each index file's section */
};
int census_order_start(struct census_order *o, const struct census *c,
	const uint64_t *bits, struct error *e);
int census_order_next(struct census_order *o, enum object_space *out_space,
	struct oid *out_id);
/* The same as keys, for condemned_publish. */
int census_order_key(void *o, uint8_t key[CONDEMNED_KEY]);
void census_order_end(struct census_order *o);

/* A bit for every position (or frame); NULL: no memory. */
uint64_t *census_bits(uint64_t n);
static inline bool bit_get(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}
static inline void bit_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline void bit_clear(uint64_t *bits, uint64_t i)
{
	bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* --- reading every frame --- */

struct scan_frame {
	uint64_t frame; /* number in the census */
	struct census_frame at;
	const uint8_t *stored; /* header and stored bytes */
	size_t stored_len;
	const uint8_t *raw; /* NULL where it is damaged */
	int code;	    /* why: 0, DAMAGED or IO */
	const struct error *why;
};
/* Called from several threads (0 .. threads - 1); non-zero stops. */
typedef int (*scan_fn)(void *ctx, unsigned thread, const struct scan_frame *f,
	struct error *e);

/* Reads and decodes the wanted frames (NULL: of every pack, once), in order
 * of packs and offsets, by many threads. Memory: two frames a thread. */
int census_scan(struct census *c, const uint64_t *want, unsigned threads,
	scan_fn fn, void *ctx, struct error *e);

/* Header, footer and size of a pack's file. DAMAGED, NOTFOUND. */
int census_pack_check(struct census *c, size_t pack, struct error *e);

/* Every pack file in the folder that no index lists. */
int census_orphans(struct census *c, backend_list_fn fn, void *ctx,
	struct error *e);

#endif
