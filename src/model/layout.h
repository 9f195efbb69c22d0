/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts: where every byte of a disk comes from.
 *
 * A layout is a radix tree over disk offsets. A leaf covers LAYOUT_SPAN bytes
 * and lists extents one behind the other; what is behind the last is zeros. A
 * node has LAYOUT_FANOUT children. A part of the disk that is all zeros has no
 * record at all (the zero id). Two versions share every part that did not
 * change. See strata-objects(5).
 */
#ifndef STRATA_MODEL_LAYOUT_H
#define STRATA_MODEL_LAYOUT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "codec/digest.h"
#include "model/tree.h"

#define LAYOUT_SPAN (UINT64_C(16) << 20)
#define LAYOUT_FANOUT 256

enum layout_kind {
	LAYOUT_ZERO = 0,
	LAYOUT_FILE = 1, /* bytes of a file's blob; past its end: zeros */
	LAYOUT_RAW = 2,	 /* skeleton: bytes that belong to no file */
};

struct layout_extent {
	uint64_t off, len; /* on the disk */
	enum layout_kind kind;
	struct oid id;	 /* blob */
	uint64_t id_off; /* in the blob */
};

/* Levels above the leaves that a disk of this size needs. */
unsigned layout_height(uint64_t disk_size);

/* --- building, in order --- */

struct layout_builder {
	record_put_fn put;
	void *ctx;
	uint64_t size;	   /* of the disk */
	uint64_t at;	   /* next byte */
	unsigned height;
	VEC(struct layout_extent) leaf; /* of the leaf at hand */
	struct {
		struct oid *child; /* LAYOUT_FANOUT */
		bool any;
	} nodes[8]; /* nodes[i]: level i + 1 */
	struct oid root;
	VEC(uint32_t) table; /* scratch */
};

int layout_builder_init(struct layout_builder *b, uint64_t disk_size,
	record_put_fn put, void *ctx, struct error *e);
void layout_builder_release(struct layout_builder *b);
/* The next len bytes of the disk. Extents are cut and joined as needed. */
int layout_builder_add(struct layout_builder *b, enum layout_kind kind,
	uint64_t len, const struct oid *id, uint64_t id_off, struct error *e);
/* Takes over a whole child of another layout of the same disk size (for a
 * change that leaves most of it alone): at must be a multiple of LAYOUT_SPAN
 * and no extents pending. Covers one leaf. */
int layout_builder_add_leaf(struct layout_builder *b, const struct oid *leaf,
	struct error *e);
/* CORRUPT where the extents did not cover the disk exactly. */
int layout_builder_finish(struct layout_builder *b, struct oid *out_root,
	struct error *e);

/* --- reading --- */

/* The ids of the leaves in a range, with one record kept per level: asking in
 * ascending order costs one read a node. One thread. */
struct layout_reader {
	record_get_fn get;
	void *ctx;
	uint64_t size;
	unsigned height;
	struct oid root;
	struct {
		bool valid;
		uint64_t index; /* which node of its level */
		struct oid child[LAYOUT_FANOUT];
	} *nodes; /* height of them */
};

int layout_reader_init(struct layout_reader *r, const struct oid *root,
	uint64_t disk_size, record_get_fn get, void *ctx, struct error *e);
void layout_reader_release(struct layout_reader *r);
/* The id of leaf number index (disk offset / LAYOUT_SPAN); the zero id where
 * it is all zeros. *out_skip: how many leaves from here on are zeros for
 * certain (0 when this one is not). */
int layout_reader_leaf(struct layout_reader *r, uint64_t index,
	struct oid *out, uint64_t *out_skip, struct error *e);

/* Decodes a leaf's record: extents cover [start, start + span), where span is
 * LAYOUT_SPAN or what is left of the disk; zeros are listed too. The vec is
 * cleared first. CORRUPT. */
typedef VEC(struct layout_extent) layout_extents;
int layout_leaf_decode(const void *data, size_t len, uint64_t start,
	uint64_t disk_size, layout_extents *out, struct error *e);

/* For gc and verify: what a layout record refers to. child gets the ids of
 * child records, blob those of the blobs. Unique within the record. */
int layout_record_walk(const void *data, size_t len,
	int (*child)(void *ctx, const struct oid *id),
	int (*blob)(void *ctx, const struct oid *id), void *ctx,
	struct error *e);

#endif
