/* SPDX-License-Identifier: Apache-2.0 */
/* Free space, from the block bitmaps. All are checked before the first range
 * is given out: what is called free may be thrown away by the caller. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "fs/ext_fast.h"
#include "base/limits.h"

struct range {
	uint64_t blk, len;
};

struct free_walk {
	struct ext *x;
	uint8_t *map; /* one block: set bits are clusters in use */
	VEC(struct range) meta; /* sorted by blk; filled when needed */
	fs_range_fn fn; /* NULL: only check */
	void *ctx;
	uint64_t start, len; /* pending range, in blocks */
};

static int by_blk(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->blk > y->blk) - (x->blk < y->blk);
}

/* Where the file system's own blocks are, for bitmaps that were never
 * written. */
static int gather_meta(struct free_walk *w, struct error *e)
{
	struct ext *x = w->x;
	uint64_t table = div_ceil((uint64_t)x->g.inodes_per_group *
			x->g.inode_size, x->g.block_size);

	for (uint32_t g = 0; g < x->g.groups; g++) {
		blk64_t super = 0, old_desc = 0, new_desc = 0;
		blk_t used = 0;
		uint64_t gdt = x->e2->desc_blocks +
			       le16_get(x->g.super.reserved_gdt_blocks);
		struct range r[6];
		int n = 0;

		ext2fs_super_and_bgd_loc2(x->e2, g, &super, &old_desc,
			&new_desc, &used);
		if (super || g == 0)
			r[n++] = (struct range){ super, 1 };
		if (old_desc)
			r[n++] = (struct range){ old_desc, gdt };
		if (new_desc)
			r[n++] = (struct range){ new_desc, 1 };
		r[n++] = (struct range){ ext2fs_block_bitmap_loc(x->e2, g), 1 };
		r[n++] = (struct range){ ext2fs_inode_bitmap_loc(x->e2, g), 1 };
		r[n++] = (struct range){ ext2fs_inode_table_loc(x->e2, g),
			table };
		for (int i = 0; i < n; i++)
			if (!vec_push(&w->meta, r[i]))
				return error_nomem(e);
	}
	qsort(w->meta.items, w->meta.len, sizeof(*w->meta.items), by_blk);
	return 0;
}

static uint64_t group_first(const struct ext *x, uint32_t g)
{
	return x->g.first_block + (uint64_t)g * x->g.blocks_per_group;
}

/* The bitmap of a group as it would be at first use. No range is longer than
 * a group, so those that reach into this one begin in it or in the one before
 * (descriptors excepted, which begin in their own group). */
static int make_bitmap(struct free_walk *w, uint32_t g, struct error *e)
{
	struct ext *x = w->x;
	uint64_t first = group_first(x, g);
	uint64_t end = first + x->g.blocks_per_group;
	size_t lo = 0, hi;
	int r;

	if (!w->meta.len) {
		r = gather_meta(w, e);
		if (r)
			return r;
	}
	memset(w->map, 0, x->g.block_size);
	hi = w->meta.len;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (w->meta.items[mid].blk + x->g.blocks_per_group < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < w->meta.len && w->meta.items[lo].blk < end; lo++) {
		const struct range *m = &w->meta.items[lo];
		uint64_t to = u64_min(m->blk + m->len, end);

		for (uint64_t b = u64_max(m->blk, first); b < to; b++) {
			uint64_t bit = (b - first) / x->g.cluster_blocks;

			w->map[bit / 8] |= (uint8_t)(1 << bit % 8);
		}
	}
	return 0;
}

static int read_bitmap(struct free_walk *w, uint32_t g, struct error *e)
{
	struct ext *x = w->x;
	uint64_t blk = ext2fs_block_bitmap_loc(x->e2, g), off;
	uint32_t cpg = x->g.blocks_per_group / x->g.cluster_blocks;
	uint32_t want, c;
	int r;

	if (blk < x->g.first_block || blk >= x->g.blocks)
		return error_set(e, ERR_CORRUPT,
			"group %u: its block bitmap, at block %" PRIu64
			", is outside the file system", g, blk);
	off = ext_blk_off(x, blk);
	r = source_pread(x->view, w->map, x->g.block_size, off, e);
	if (r)
		return error_prefix(e, "block bitmap of group %u", g);
	if (!x->csum)
		return 0;
	want = ext2fs_block_bitmap_checksum(x->e2, g);
	c = crc32c_update(x->g.csum_seed, w->map, cpg / 8);
	/* The upper half has room in descriptors of 64 bytes only. */
	if (!(x->g.incompat & EXT_INCOMPAT_64BIT)) {
		want &= 0xffff;
		c &= 0xffff;
	}
	if (c != want)
		return error_at(e, ERR_CORRUPT, off,
			"group %u: the checksum of its block bitmap is wrong",
			g);
	return 0;
}

static int flush(struct free_walk *w)
{
	uint64_t bs = w->x->g.block_size, off = w->start * bs, len = w->len * bs;
	int r = 0;

	if (w->len && off < w->x->disk->size)
		r = w->fn(w->ctx, 0, off,
			u64_min(len, w->x->disk->size - off));
	w->len = 0;
	return r;
}

static int give(struct free_walk *w, uint64_t blk, uint64_t len)
{
	int r = 0;

	if (w->len && w->start + w->len != blk)
		r = flush(w);
	if (!w->len)
		w->start = blk;
	w->len += len;
	return r;
}

/* Fast commits do not bring bitmaps up to date. */
static void take(void *ctx, uint64_t from, uint64_t to)
{
	struct free_walk *w = ctx;
	const struct ext *x = w->x;

	for (uint64_t b = from; b < to; b++) {
		uint64_t bit = (b - x->g.first_block) %
			       x->g.blocks_per_group / x->g.cluster_blocks;

		w->map[bit / 8] |= (uint8_t)(1 << bit % 8);
	}
}

static int group(struct free_walk *w, uint32_t g, struct error *e)
{
	struct ext *x = w->x;
	bool sums = x->csum || x->g.ro_compat & EXT_RO_GDT_CSUM;
	uint64_t first = group_first(x, g), unused = 0;
	uint64_t blocks = u64_min(x->g.blocks_per_group, x->g.blocks - first);
	uint64_t bits = div_ceil(blocks, x->g.cluster_blocks);
	uint32_t want = ext2fs_bg_free_blocks_count(x->e2, g);
	int r = sums && ext2fs_bg_flags_test(x->e2, g, EXT_BG_BLOCK_UNINIT)
			? make_bitmap(w, g, e)
			: read_bitmap(w, g, e);

	if (r)
		return r;
	if (w->fn)
		ext_layer_taken(x, first, first + blocks, take, w);
	for (uint64_t i = 0, n; i < bits; i += n) {
		uint64_t blk = first + i * x->g.cluster_blocks;
		bool used = w->map[i / 8] >> i % 8 & 1;

		n = 1;
		while (i + n < bits &&
			(w->map[(i + n) / 8] >> (i + n) % 8 & 1) == used)
			n++;
		if (used)
			continue;
		unused += n;
		if (!w->fn)
			continue;
		r = give(w, blk, u64_min(n * x->g.cluster_blocks,
					 first + blocks - blk));
		if (r)
			return r;
	}
	if (!w->fn && unused != want)
		return error_set(e, ERR_CORRUPT,
			"group %u: %" PRIu64 " clusters are free in its bitmap "
			"and %u in its descriptor", g, unused, want);
	return 0;
}

int ext_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e)
{
	struct ext *x = ext_of(fs);
	struct free_walk w = { .x = x };
	int r = 0;

	if (x->unreplayed)
		return error_set(e, ERR_UNSUPPORTED,
			"changes wait in a journal that was not replayed");
	/* Without a journal bitmaps and files reach the disk in any order. */
	if (!(le16_get(x->g.super.state) & EXT_STATE_VALID))
		return error_set(e, ERR_UNSUPPORTED,
			"it was not unmounted, so what is free is not known");
	if (x->g.super_blk || x->bad_groups)
		return error_set(e, ERR_CORRUPT,
			"the group descriptors are damaged");
	w.map = malloc(x->g.block_size);
	if (!w.map)
		return error_nomem(e);
	for (uint32_t g = 0; !r && g < x->g.groups; g++)
		r = group(&w, g, e);
	w.fn = fn;
	w.ctx = ctx;
	for (uint32_t g = 0; !r && g < x->g.groups; g++)
		r = group(&w, g, e);
	if (!r)
		r = flush(&w);
	free(w.map);
	vec_release(&w.meta);
	return r;
}
