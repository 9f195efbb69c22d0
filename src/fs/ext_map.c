/* SPDX-License-Identifier: Apache-2.0 */
/* Where the blocks of a file are: extent trees and block maps.
 *
 * Both are looked up from the root each time, with the nodes of the last path
 * kept; a caller goes through a file by asking for the run behind the last.
 * The block asked for grows with each answer, and inside one lookup each step
 * either goes down a level or asks for a later block, so a walk ends; how
 * many nodes it may load is counted (ext_map_charge). */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "fs/ext_fast.h"

/* Files with at most so many mapping blocks are not charged. */
#define FREE_NODES 16

static bool is_paid(const struct ext *x, uint32_t ino, size_t *out_at)
{
	size_t lo = 0, hi = x->paid.len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (x->paid.items[mid] < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	*out_at = lo;
	return lo < x->paid.len && x->paid.items[lo] == ino;
}

int ext_map_charge(struct ext_map *m, uint64_t n, struct error *e)
{
	struct ext *x = m->x;

	m->nodes += n;
	if (m->nodes <= FREE_NODES)
		return 0;
	if (m->nodes > x->g.blocks ||
		(!m->charged && m->nodes > x->g.blocks - x->charged))
		return error_set(e, ERR_LIMIT,
			"inode %u: it and others use more blocks for maps and "
			"directories than there are", m->ino);
	return 0;
}

void ext_map_end(struct ext_map *m)
{
	struct ext *x = m->x;
	size_t at;

	if (m->nodes <= FREE_NODES || m->charged ||
		is_paid(x, m->ino, &at))
		return;
	x->charged = u64_min(x->charged + m->nodes, x->g.blocks);
	if (!vec_reserve(&x->paid, x->paid.len + 1))
		return; /* it pays again next time */
	memmove(x->paid.items + at + 1, x->paid.items + at,
		(x->paid.len - at) * sizeof(*x->paid.items));
	x->paid.items[at] = m->ino;
	x->paid.len++;
}

static int bad_node(struct ext_map *m, uint64_t blk, const char *why,
	struct error *e)
{
	if (blk)
		return error_at(e, ERR_CORRUPT, blk * m->x->g.block_size,
			"inode %u: extent tree block %" PRIu64 ": %s", m->ino,
			blk, why);
	return error_at(e, ERR_CORRUPT, ext_inode_off(m->x, m->ino),
		"inode %u: extent tree: %s", m->ino, why);
}

static uint64_t leaf_len(const struct ext_extent_leaf *l)
{
	uint16_t len = le16_get(l->len);

	return len > EXT_EXTENT_INIT_MAX ? len - EXT_EXTENT_INIT_MAX : len;
}

/* Header sane, all entries in [lo, hi), in order, none overlapping. */
static int check_node(struct ext_map *m, const uint8_t *p, size_t size,
	unsigned depth, uint64_t lo, uint64_t hi, uint64_t blk, struct error *e)
{
	const struct ext_extent_header *h = (const void *)p;
	uint16_t n = le16_get(h->entries), max = le16_get(h->max);

	if (le16_get(h->magic) != EXT_EXTENT_MAGIC)
		return bad_node(m, blk, "eh_magic is wrong", e);
	if (le16_get(h->depth) != depth)
		return bad_node(m, blk, "eh_depth is wrong", e);
	if (max > (size - sizeof(*h)) / 12 || n > max)
		return bad_node(m, blk, "eh_entries or eh_max is too large", e);
	if (!n && depth)
		return bad_node(m, blk, "an index node without entries", e);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *q = p + sizeof(*h) + 12 * (size_t)i;
		uint64_t at = get_le32(q), len = 1;

		if (!depth) {
			const struct ext_extent_leaf *l = (const void *)q;
			uint64_t start = le32_get(l->start_lo) |
					 (uint64_t)le16_get(l->start_hi) << 32;

			len = leaf_len(l);
			if (!len || at >= hi || len > hi - at)
				return bad_node(m, blk,
					"an extent's length is wrong", e);
			if (start < m->x->g.first_block || !start ||
				!range_inside(start, len, m->x->g.blocks))
				return bad_node(m, blk,
					"an extent is outside the file system",
					e);
		}
		if (at < lo || at >= hi)
			return bad_node(m, blk, "entries are out of order", e);
		lo = at + len;
	}
	return 0;
}

static int load(struct ext_map *m, unsigned level, uint64_t blk, uint64_t lo,
	uint64_t hi, const uint8_t **out, struct error *e)
{
	struct ext_map_node *node = &m->node[level];
	struct ext *x = m->x;
	int r;

	if (node->loaded && node->blk == blk && node->lo == lo &&
		node->hi == hi) {
		*out = node->data;
		return 0;
	}
	node->loaded = false;
	r = ext_map_charge(m, 1, e);
	if (r)
		return r;
	if (blk < x->g.first_block || !blk || blk >= x->g.blocks)
		return error_at(e, ERR_CORRUPT, ext_inode_off(x, m->ino),
			"inode %u: a block of its map, %" PRIu64
			", is outside the file system", m->ino, blk);
	if (!node->data)
		node->data = malloc(x->g.block_size);
	if (!node->data)
		return error_nomem(e);
	r = ext_block_read(x, blk, node->data, e);
	if (r)
		return r == ERR_RANGE ? ERR_CORRUPT : r;
	node->blk = blk;
	node->lo = lo;
	node->hi = hi;
	*out = node->data;
	return 0;
}

static int load_extents(struct ext_map *m, unsigned level, unsigned depth,
	uint64_t blk, uint64_t lo, uint64_t hi, const uint8_t **out,
	struct error *e)
{
	uint32_t bs = m->x->g.block_size;
	int r = load(m, level, blk, lo, hi, out, e);

	if (r || m->node[level].loaded)
		return r;
	r = check_node(m, *out, bs, depth, lo, hi, blk, e);
	if (r)
		return r;
	if (m->x->csum) {
		const struct ext_extent_header *h = (const void *)*out;
		size_t tail = sizeof(*h) + 12 * (size_t)le16_get(h->max);

		if (bs - tail < 4 || crc32c_update(m->seed, *out, tail) !=
					     get_le32(*out + tail))
			return bad_node(m, blk, "its checksum is wrong", e);
	}
	m->node[level].loaded = true;
	return 0;
}

/* The number of entries that begin at or before blk. */
static unsigned upto(const uint8_t *node, uint64_t blk)
{
	unsigned lo = 0;
	unsigned hi = le16_get(((const struct ext_extent_header *)
		(const void *)node)->entries);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (get_le32(node + 12 + 12 * (size_t)mid) <= blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int next_extent(struct ext_map *m, uint64_t from, struct ext_run *out,
	struct error *e)
{
	while (from < m->end_lblk) {
		const uint8_t *p = m->root;
		unsigned depth = get_le16(p + 6), n;
		uint64_t lo = 0, hi = m->end_lblk, next = m->end_lblk;
		int r;

		for (unsigned level = 0; depth; level++) {
			const struct ext_extent_index *ix;
			unsigned count = get_le16(p + 2);

			n = upto(p, from);
			if (!n) /* before the first: that is the next */
				n = 1;
			ix = (const void *)(p + 12 * (size_t)n);
			lo = le32_get(ix->block);
			if (n < count)
				next = hi = get_le32(p + 12 + 12 * (size_t)n);
			r = load_extents(m, level, --depth,
				le32_get(ix->leaf_lo) |
					(uint64_t)le16_get(ix->leaf_hi) << 32,
				lo, hi, &p, e);
			if (r)
				return r;
		}
		n = upto(p, from);
		for (unsigned i = n ? n - 1 : 0; i < get_le16(p + 2); i++) {
			const struct ext_extent_leaf *l =
				(const void *)(p + 12 + 12 * (size_t)i);
			uint64_t at = le32_get(l->block), len = leaf_len(l);
			uint64_t skip = from > at ? from - at : 0;

			if (skip >= len)
				continue;
			out->lblk = at + skip;
			out->len = len - skip;
			out->pblk = (le32_get(l->start_lo) |
					(uint64_t)le16_get(l->start_hi) << 32) +
				    skip;
			out->unwritten = le16_get(l->len) > EXT_EXTENT_INIT_MAX;
			return 1;
		}
		from = next; /* grows: next > from by the order of entries */
	}
	return 0;
}

/* One block map: the pointers of node [at, n), as a run that ends where the
 * file does. */
static int run_of(struct ext_map *m, const uint8_t *p, uint64_t at, uint64_t n,
	uint64_t lblk, struct ext_run *out, struct error *e)
{
	uint64_t first = get_le32(p + 4 * at), len = 1;

	n = u64_min(n, at + (m->end_lblk - lblk));
	while (at + len < n && get_le32(p + 4 * (at + len)) == first + len)
		len++;
	if (first < m->x->g.first_block ||
		!range_inside(first, len, m->x->g.blocks))
		return error_at(e, ERR_CORRUPT, ext_inode_off(m->x, m->ino),
			"inode %u: block %" PRIu64
			" is outside the file system", m->ino, first);
	out->lblk = lblk;
	out->len = len;
	out->pblk = first;
	out->unwritten = false;
	return 1;
}

static int next_mapped(struct ext_map *m, uint64_t from, struct ext_run *out,
	struct error *e)
{
	uint64_t per = m->x->g.block_size / 4;
	uint64_t span[4] = { 1, per, per * per, per * per * per };
	int r;

	while (from < m->end_lblk) {
		const uint8_t *p = m->root;
		uint64_t base = 0, at = from, step;
		unsigned levels = 0;

		if (from < EXT_NDIR) {
			if (get_le32(p + 4 * from))
				return run_of(m, p, from, EXT_NDIR, from, out,
					e);
			from++;
			continue;
		}
		base = EXT_NDIR;
		for (levels = 1; levels < 3 && from - base >= span[levels];
			levels++)
			base += span[levels];
		at = from - base;
		step = get_le32(p + 4 * (EXT_NDIR + levels - 1));
		if (!step) {
			from = base + span[levels];
			continue;
		}
		/* Down to the block that holds the pointer, or to a zero on
		 * the way: then its whole span is a hole. */
		for (unsigned level = 0;; level++) {
			uint64_t unit = span[levels - level - 1];
			uint64_t i = at / unit;

			r = load(m, level, step, levels, 0, &p, e);
			if (r)
				return r;
			m->node[level].loaded = true;
			if (level + 1 == levels) {
				while (i < per && !get_le32(p + 4 * i))
					i++;
				from += i - at;
				if (i < per && from < m->end_lblk)
					return run_of(m, p, i, per, from, out,
						e);
				break;
			}
			step = get_le32(p + 4 * i);
			if (!step) {
				from += unit - at % unit;
				break;
			}
			at %= unit;
		}
	}
	return 0;
}

int ext_map_begin(struct ext_map *m, struct ext *x, const struct ext_inode *in,
	struct error *e)
{
	bool extents = (in->flags & EXT_FL_EXTENTS) != 0;
	uint64_t per = x->g.block_size / 4;
	size_t at;
	int r;

	/* The same file as last time: its nodes are still good. */
	if (!m->valid || m->x != x || m->ino != in->ino ||
		m->extents != extents ||
		memcmp(m->root, in->block, sizeof(m->root)) != 0)
		for (unsigned i = 0; i < ARRAY_LEN(m->node); i++)
			m->node[i].loaded = false;
	m->x = x;
	m->ino = in->ino;
	m->seed = ext_inode_seed(x, in);
	m->extents = extents;
	m->over = ext_layer_ranges(x, in->ino, &m->nover);
	m->nodes = 0;
	m->charged = is_paid(x, in->ino, &at);
	m->valid = false;
	memcpy(m->root, in->block, sizeof(m->root));
	if (extents) {
		m->end_lblk = UINT64_C(1) << 32;
		if (get_le16(m->root + 6) > EXT_EXTENT_MAX_DEPTH)
			return bad_node(m, 0, "eh_depth is too large", e);
		r = check_node(m, m->root, sizeof(m->root),
			get_le16(m->root + 6), 0, m->end_lblk, 0, e);
		/* An empty file may have a root with nothing in it. */
		if (r)
			return r;
	} else {
		/* Pointers behind the end are not looked at, whatever they
		 * hold: the kernel never does. */
		m->end_lblk = u64_min(EXT_NDIR + per + per * per + per * per * per,
			div_ceil(in->size, x->g.block_size));
	}
	m->valid = true;
	return 0;
}

/* As the map has it. */
static int next_below(struct ext_map *m, uint64_t from, struct ext_run *out,
	struct error *e)
{
	return m->extents ? next_extent(m, from, out, e)
			  : next_mapped(m, from, out, e);
}

int ext_map_next(struct ext_map *m, uint64_t from, struct ext_run *out,
	struct error *e)
{
	struct ext_run run = { 0 }, over;
	bool known = false;
	int r;

	if (!m->nover)
		return next_below(m, from, out, e);
	/* Each turn is one range further, and those that lie before the next
	 * run of the map cost no search of it. */
	for (;;) {
		if (ext_layer_next(m->over, m->nover, from, &over, &from)) {
			*out = over;
			return 1;
		}
		if (!known || run.lblk < from) {
			r = next_below(m, from, &run, e);
			if (r < 0)
				return r;
			if (!r)
				run.lblk = UINT64_MAX;
			known = true;
		}
		if (run.lblk < over.lblk) {
			run.len = u64_min(run.len, over.lblk - run.lblk);
			*out = run;
			return 1;
		}
		if (over.lblk == UINT64_MAX)
			return 0;
		from = over.lblk;
	}
}

void ext_map_release(struct ext_map *m)
{
	for (unsigned i = 0; i < ARRAY_LEN(m->node); i++)
		free(m->node[i].data);
	memset(m, 0, sizeof(*m));
}
