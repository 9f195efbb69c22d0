/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: what of the devices is not in use. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

static const uint64_t super_offsets[BTRFS_SUPER_COPIES] = BTRFS_SUPER_OFFSETS;

struct range {
	uint64_t off, end;
};

struct report {
	struct btrfs *b;
	fs_range_fn fn;
	void *ctx;
};

/* [off, end) of a device, without what is kept for superblocks and boot
 * loaders, and inside the device. */
static int give(const struct report *r, uint32_t dev, uint64_t off,
	uint64_t end)
{
	const struct btrfs_dev *d = &r->b->devs.items[dev];
	int rc = 0;

	end = u64_min(end, u64_min(d->total, d->src->size));
	off = u64_max(off, BTRFS_RESERVED);
	for (int i = 0; i < BTRFS_SUPER_COPIES && off < end; i++) {
		uint64_t s = super_offsets[i], s_end = s + BTRFS_STRIPE_LEN;

		if (s_end <= off || s >= end)
			continue;
		if (s > off)
			rc = r->fn(r->ctx, d->index, off, s - off);
		if (rc)
			return rc;
		off = s_end;
	}
	return off < end ? r->fn(r->ctx, d->index, off, end - off) : 0;
}

static int by_off(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* Space of one device that no chunk has. */
static int unallocated(const struct report *r, uint32_t dev, struct error *e)
{
	VEC(struct range) used = { 0 };
	uint64_t at = 0;
	int rc = 0;

	for (size_t i = 0; i < r->b->chunks.len && !rc; i++) {
		const struct btrfs_chunk *c = &r->b->chunks.items[i];
		uint64_t data = 1, len;
		uint32_t copies;

		btrfs_chunk_shape(c, &data, &copies);
		len = round_up(div_ceil(c->len, data), c->stripe_len);
		for (uint32_t k = 0; k < c->nstripes && !rc; k++) {
			const struct btrfs_stripe *s =
				&r->b->stripes.items[c->first + k];

			if (s->dev == dev &&
				!vec_push(&used, (struct range){ s->off,
							 s->off + len }))
				rc = error_nomem(e);
		}
	}
	if (used.len)
		qsort(used.items, used.len, sizeof(*used.items), by_off);
	for (size_t i = 0; i < used.len && !rc; i++) {
		if (used.items[i].off > at)
			rc = give(r, dev, at, used.items[i].off);
		at = u64_max(at, used.items[i].end);
	}
	if (!rc)
		rc = give(r, dev, at, UINT64_MAX);
	vec_release(&used);
	return rc;
}

/* How many bytes of a column of stripes lie before this offset in its chunk:
 * what is one range of a chunk is one range of each column. */
static uint64_t column_offset(const struct btrfs_chunk *c, uint64_t data,
	uint64_t col, uint64_t off)
{
	uint64_t nr = off / c->stripe_len, base = nr / data * c->stripe_len;

	if (data == 1)
		return off;
	if (col < nr % data)
		return base + c->stripe_len;
	return col == nr % data ? base + off % c->stripe_len : base;
}

/* Free [off, end) of one chunk, on all its devices. */
static int in_chunk(const struct report *r, const struct btrfs_chunk *c,
	uint64_t off, uint64_t end)
{
	uint64_t data = 1;
	uint32_t copies = 1;

	btrfs_chunk_shape(c, &data, &copies);
	/* parity depends on what is free, too */
	if (c->type & (BTRFS_BG_RAID5 | BTRFS_BG_RAID6))
		return 0;
	for (uint64_t col = 0; col < data; col++) {
		uint64_t from = column_offset(c, data, col, off);
		uint64_t to = column_offset(c, data, col, end);

		for (uint32_t k = 0; k < copies && from < to; k++) {
			const struct btrfs_stripe *s =
				&r->b->stripes.items[c->first + col * copies +
						     k];
			int rc = s->dev == BTRFS_NO_DEV
					 ? 0
					 : give(r, s->dev, s->off + from,
						   s->off + to);

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* Free logical addresses [at, end), over chunks and the gaps between them.
 * *chunk is the first that ends behind at; it only grows. */
static int logical(const struct report *r, size_t *chunk, uint64_t at,
	uint64_t end)
{
	for (; *chunk < r->b->chunks.len; (*chunk)++) {
		const struct btrfs_chunk *c = &r->b->chunks.items[*chunk];
		uint64_t c_end = c->logical + c->len;
		uint64_t from = u64_max(at, c->logical);
		uint64_t to = u64_min(end, c_end);

		if (from < to) {
			int rc = in_chunk(r, c, from - c->logical,
				to - c->logical);

			if (rc)
				return rc;
		}
		if (c_end > end)
			return 0;
	}
	return 0;
}

int btrfs_tree_find(struct btrfs *b, uint64_t id, struct btrfs_root *out,
	struct error *e)
{
	struct btrfs_key key = { .objectid = id,
		.type = BTRFS_ROOT_ITEM };
	AUTO_PATH p = { 0 };
	struct btrfs_disk_root d = { 0 };
	int rc = btrfs_seek_le(b, &b->root_tree, &key, &p, e);

	if (rc < 0)
		return rc;
	if (!rc || btrfs_key_cmp(&p.key, &key) != 0 ||
		p.len < BTRFS_ROOT_ITEM_OLD)
		return error_set(e, ERR_CORRUPT,
			"btrfs: there is no tree %" PRIu64, id);
	memcpy(&d, p.data, BTRFS_ROOT_ITEM_OLD);
	if (d.level >= BTRFS_MAX_LEVEL)
		return error_set(e, ERR_CORRUPT,
			"btrfs: tree %" PRIu64 ": level %u", id, d.level);
	*out = (struct btrfs_root){ id, le64_get(d.bytenr),
		le64_get(d.generation), d.level };
	return 0;
}

/* Walks the extent tree: once checked, reports the gaps; first only checks that
 * it is whole, so that the bytes of a file whose entry is lost are never called
 * free: extents lie in chunks, do not overlap, and their sum is the one that
 * the superblock has. */
static int unused(const struct report *r, const struct btrfs_root *tree,
	bool checked, struct error *e)
{
	struct btrfs *b = r->b;
	struct btrfs_key key = { 0 };
	AUTO_PATH p = { 0 };
	uint64_t at = 0, sum = 0;
	size_t chunk = 0;
	int rc;

	for (rc = btrfs_seek(b, tree, &key, &p, e); rc > 0;
		rc = btrfs_next(&p, e)) {
		uint64_t len, end;

		if (p.damaged) /* what is free here nobody knows */
			return btrfs_path_verdict(&p, e);
		if (p.key.type != BTRFS_EXTENT_ITEM &&
			p.key.type != BTRFS_METADATA_ITEM)
			continue;
		len = p.key.type == BTRFS_EXTENT_ITEM ? p.key.offset
						      : b->sb.nodesize;
		if (!len || p.key.objectid < at ||
			!u64_add(p.key.objectid, len, &end) ||
			!btrfs_chunk_at(b, p.key.objectid))
			return error_set(e, ERR_CORRUPT,
				"btrfs: extent tree: an extent at %" PRIu64
				" of %" PRIu64 " bytes",
				p.key.objectid, len);
		if (checked && p.key.objectid > at) {
			rc = logical(r, &chunk, at, p.key.objectid);
			if (rc)
				return rc;
		}
		at = end;
		sum += len; /* of distinct parts of 64 bits of addresses */
	}
	if (rc < 0)
		return rc;
	rc = btrfs_path_verdict(&p, e);
	if (rc)
		return rc;
	if (checked)
		return logical(r, &chunk, at, UINT64_MAX);
	if (sum != b->sb.bytes_used)
		return error_set(e, ERR_CORRUPT,
			"btrfs: extent tree: %" PRIu64 " bytes, not %" PRIu64
			" as the superblock has it",
			sum, b->sb.bytes_used);
	return 0;
}

int btrfs_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	struct report r = { b, fn, ctx };
	struct btrfs_root tree;
	int rc = 0;

	if (b->chunks_damaged)
		return error_set(e, ERR_CORRUPT,
			"btrfs: the chunk tree is damaged");
	for (uint32_t i = 0; i < b->devs.len && !rc; i++)
		rc = unallocated(&r, i, e);
	/* A log tree, and the data it names, lie in space that the extent tree
	 * still calls free. */
	if (rc || b->sb.log_root)
		return rc;
	rc = btrfs_tree_find(b, BTRFS_EXTENT_TREE, &tree, e);
	if (!rc)
		rc = unused(&r, &tree, false, e);
	if (!rc)
		rc = unused(&r, &tree, true, e);
	return rc;
}
