/* SPDX-License-Identifier: Apache-2.0 */
/* The free space of XFS: the B+tree by block number and the free list of each
 * allocation group (Structure, "AG Free Space Management"). Free space may be
 * discarded by the caller, so everything must agree before any is told. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

struct walk {
	struct xfs *x;
	fs_range_fn fn; /* NULL: only add up */
	void *ctx;
	uint32_t agno, blocks; /* of this AG */
	uint64_t sum;
	uint8_t *block;
};

static int corrupt(const struct walk *w, uint64_t off, struct error *e,
	const char *what)
{
	return error_at(e, ERR_CORRUPT, off, "xfs: free space of group %" PRIu32
		": %s", w->agno, what);
}

/* Tells of a range, as far as the volume has it. */
static int tell(struct walk *w, uint64_t agbno, uint64_t count)
{
	unsigned log = w->x->g.blocklog;
	uint64_t size = w->x->dev->size, off;

	w->sum += count;
	if (!w->fn || !xfs_ag_offset(&w->x->g, w->agno, agbno, &off) ||
		off >= size)
		return 0;
	return w->fn(w->ctx, 0, off, u64_min(count << log, size - off));
}

static int read_block(struct walk *w, uint32_t agbno, unsigned level,
	struct error *e)
{
	const struct xfs_geo *g = &w->x->g;
	const struct xfs_dbtree_short *d = (const void *)w->block;
	uint64_t off;
	int r;

	if (!xfs_ag_offset(g, w->agno, agbno, &off))
		return corrupt(w, 0, e, "a block of the tree is outside");
	r = source_pread(w->x->meta, w->block, g->blocksize, off, e);
	if (r)
		return r;
	if (be32_get(d->magic) != (g->v5 ? XFS_AB3B_MAGIC : XFS_ABTB_MAGIC) ||
		be16_get(d->level) != level ||
		(g->v5 &&
			(be32_get(d->owner) != w->agno ||
				memcmp(d->uuid, g->meta_uuid, 16) != 0 ||
				!xfs_crc_ok(w->block, g->blocksize,
					XFS_SHORT_CRC_AT))))
		return corrupt(w, off, e, "a block of the tree is bad");
	return 0;
}

/* The records of the leaves from left to right; the walk ends, since each
 * record starts behind the one before and only the root may have none. */
static int walk_tree(struct walk *w, uint32_t agbno, unsigned levels,
	struct error *e)
{
	const struct xfs_geo *g = &w->x->g;
	const struct xfs_dbtree_short *d = (const void *)w->block;
	size_t head = g->v5 ? XFS_SHORT_SIZE5 : XFS_SHORT_SIZE4;
	size_t inner_room = (g->blocksize - head) / 12;
	uint64_t end = 4 * (uint64_t)g->sectsize >> g->blocklog;
	unsigned level = levels;
	uint32_t n;
	int r;

	if (!levels || levels > XFS_MAX_LEVELS)
		return corrupt(w, 0, e, "the tree's depth is bad");
	while (level--) {
		r = read_block(w, agbno, level, e);
		if (r)
			return r;
		n = be16_get(d->numrecs);
		if (!level)
			break;
		if (!n || n > inner_room)
			return corrupt(w, 0, e, "the tree has a bad node");
		agbno = get_be32(w->block + head + 8 * inner_room);
	}
	for (;;) {
		n = be16_get(d->numrecs);
		if (n > (g->blocksize - head) / 8 || (!n && levels > 1))
			return corrupt(w, 0, e, "the tree has a bad leaf");
		for (uint32_t i = 0; i < n; i++) {
			const uint8_t *p = w->block + head + 8 * (size_t)i;
			uint64_t start = get_be32(p), count = get_be32(p + 4);

			if (start < end || !count ||
				!range_inside(start, count, w->blocks))
				return corrupt(w, 0, e,
					"the tree has a bad record");
			end = start + count;
			r = tell(w, start, count);
			if (r)
				return r;
		}
		agbno = be32_get(d->rightsib);
		if (agbno == UINT32_MAX)
			return 0;
		if (!n)
			return corrupt(w, 0, e, "the tree has a bad leaf");
		r = read_block(w, agbno, 0, e);
		if (r)
			return r;
	}
}

/* Blocks set aside for the trees of the group: a ring in one sector. Nothing
 * is in them, so they count as free. Old kernels took the ring for one entry
 * shorter (the header's padding); where the numbers do not agree the list is
 * left alone, as the kernel does. */
static int walk_list(struct walk *w, const struct xfs_dagf *agf,
	struct error *e)
{
	const struct xfs_geo *g = &w->x->g;
	uint32_t first = be32_get(agf->flfirst), last = be32_get(agf->fllast);
	uint32_t count = be32_get(agf->flcount);
	uint32_t head = g->v5 ? XFS_DAGFL_SIZE : 0;
	uint32_t room = (g->sectsize - head) / 4;
	AUTO_FREE uint8_t *list = malloc(g->sectsize);
	const struct xfs_dagfl *d = (const void *)list;
	uint64_t off;
	int r;

	if (!list)
		return error_nomem(e);
	if (!count || first >= room || last >= room ||
		count != (last >= first ? last - first + 1
					: room - first + last + 1))
		return 0;
	if (!xfs_ag_offset(g, w->agno, 0, &off))
		return 0;
	off += 3 * (uint64_t)g->sectsize;
	r = source_pread(w->x->meta, list, g->sectsize, off, e);
	if (r)
		return r;
	if (g->v5 && (be32_get(d->magic) != XFS_AGFL_MAGIC ||
			     memcmp(d->uuid, g->meta_uuid, 16) != 0 ||
			     !xfs_crc_ok(list, g->sectsize, XFS_DAGFL_CRC_AT)))
		return corrupt(w, off, e, "the free list is bad");
	while (count--) {
		uint32_t agbno = get_be32(list + head + 4 * (size_t)first);

		first = first + 1 < room ? first + 1 : 0;
		if (agbno < 4 * (uint64_t)g->sectsize >> g->blocklog ||
			agbno >= w->blocks)
			return corrupt(w, off, e,
				"the free list names a block outside");
		r = tell(w, agbno, 1);
		if (r)
			return r;
	}
	return 0;
}

/* One group: added up first and compared with its header, then told. */
static int group(struct walk *w, fs_range_fn fn, struct error *e)
{
	const struct xfs_geo *g = &w->x->g;
	AUTO_FREE uint8_t *sector = malloc(g->sectsize);
	const struct xfs_dagf *agf = (const void *)sector;
	uint32_t root;
	uint64_t off;
	int r;

	if (!sector)
		return error_nomem(e);
	w->blocks = xfs_ag_blocks(g, w->agno);
	if (!xfs_ag_offset(g, w->agno, 0, &off))
		return corrupt(w, 0, e, "it is outside");
	off += g->sectsize;
	r = source_pread(w->x->meta, sector, g->sectsize, off, e);
	if (r)
		return r;
	if (be32_get(agf->magic) != XFS_AGF_MAGIC ||
		be32_get(agf->seqno) != w->agno ||
		be32_get(agf->length) != w->blocks ||
		(g->v5 && (memcmp(agf->uuid, g->meta_uuid, 16) != 0 ||
				  !xfs_crc_ok(sector, g->sectsize,
					  XFS_DAGF_CRC_AT))))
		return corrupt(w, off, e, "the header is bad");
	root = be32_get(agf->bno_root);
	w->fn = NULL;
	w->sum = 0;
	r = walk_tree(w, root, be32_get(agf->bno_level), e);
	if (r)
		return r;
	if (w->sum != be32_get(agf->freeblks))
		return corrupt(w, off, e,
			"the header says another number of free blocks");
	r = walk_list(w, agf, e);
	w->fn = fn;
	if (!r)
		r = walk_tree(w, root, be32_get(agf->bno_level), e);
	if (!r)
		r = walk_list(w, agf, e);
	return r;
}

int xfs_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e)
{
	struct xfs *x = xfs_of(fs);
	AUTO_FREE uint8_t *block = malloc(x->g.blocksize);
	struct walk w = { .x = x, .ctx = ctx, .block = block };
	int damaged = 0;

	if (!block)
		return error_nomem(e);
	/* What the log would change is not known to be free. */
	if (!x->log_clean || x->g.needs_repair)
		return error_set(e, ERR_UNSUPPORTED, "xfs: the log is not "
			"clean, so what is free is not known");
	for (; w.agno < x->g.agcount; w.agno++) {
		struct error why = { 0 };
		uint64_t off;
		int r;

		/* Groups that a cut volume lacks have nothing to tell. */
		if (!xfs_ag_offset(&x->g, w.agno, 0, &off) ||
			off >= x->dev->size)
			break;
		r = group(&w, fn, &why);
		if (!r)
			continue;
		if (!why.code || why.code != r)
			return r; /* the callback's */
		if (r == ERR_NOMEM)
			return error_nomem(e);
		finding_report(x->findings, FINDING_FS_DAMAGED,
			why.has_offset ? why.offset : FINDING_NO_OFFSET, "",
			"%s", why.msg);
		if (!damaged && e)
			*e = why;
		if (!damaged)
			damaged = r;
	}
	return damaged;
}
