/* SPDX-License-Identifier: Apache-2.0 */
/* The extents of an XFS fork: in the inode, or in a B+tree (Structure, "Data
 * Extents"). Nothing is kept in memory but one block of the tree. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define NULL_BLOCK UINT64_MAX

static int corrupt(struct xfs_bmap *b, uint64_t off, struct error *e,
	const char *what)
{
	return error_at(e, ERR_CORRUPT, off,
		"xfs: inode %" PRIu64 ": extents: %s", b->ip->ino, what);
}

/* Reads a block of the tree into b->block; it must be of this level. */
static int read_block(struct xfs_bmap *b, uint64_t fsb, unsigned level,
	struct error *e)
{
	const struct xfs_geo *g = &b->x->g;
	const struct xfs_dbtree_long *d;
	size_t head = g->v5 ? XFS_LONG_SIZE5 : XFS_LONG_SIZE4;
	uint64_t off;
	int r;

	if (!xfs_fsb_offset(g, fsb, 1, &off))
		return corrupt(b, b->ip->off, e,
			"a block of the tree is outside the file system");
	if (!b->block && !(b->block = malloc(g->blocksize)))
		return error_nomem(e);
	r = source_pread(b->x->meta, b->block, g->blocksize, off, e);
	if (r == ERR_RANGE)
		return corrupt(b, off, e,
			"a block of the tree is outside the volume");
	if (r)
		return r;
	d = (const struct xfs_dbtree_long *)b->block;
	if (be32_get(d->magic) != (g->v5 ? XFS_BMA3_MAGIC : XFS_BMAP_MAGIC))
		return corrupt(b, off, e, "a block of the tree has no magic");
	if (be16_get(d->level) != level)
		return corrupt(b, off, e,
			"a block of the tree is of another level");
	b->n = be16_get(d->numrecs);
	/* A leaf's record and an inner node's key and pointer are 16 bytes. */
	if (!b->n || b->n > (g->blocksize - head) / 16)
		return corrupt(b, off, e,
			"a block of the tree has a bad number of records");
	if (g->v5) {
		if (be64_get(d->owner) != b->ip->ino ||
			memcmp(d->uuid, g->meta_uuid, 16) != 0)
			return corrupt(b, off, e,
				"a block of the tree is of another file");
		if (b->report &&
			!xfs_crc_ok(b->block, g->blocksize, XFS_LONG_CRC_AT))
			finding_report(b->x->findings, FINDING_FILE_DAMAGED,
				off, "", "inode %" PRIu64 ": the checksum of "
				"a block of extents is wrong", b->ip->ino);
	}
	b->recs = b->block + head;
	b->next_leaf = be64_get(d->rightsib);
	return 0;
}

/* Which child: the last of n keys that is not above file_blk, or the first. */
static uint32_t choose(const uint8_t *keys, uint32_t n, uint64_t file_blk)
{
	uint32_t lo = 0, hi = n;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (get_be64(keys + 8 * (size_t)mid) <= file_blk)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* From the root in the inode to the leaf; each step is a level lower. */
static int descend(struct xfs_bmap *b, struct view root, uint64_t file_blk,
	struct error *e)
{
	const struct xfs_geo *g = &b->x->g;
	size_t room, head = g->v5 ? XFS_LONG_SIZE5 : XFS_LONG_SIZE4;
	unsigned level;
	uint64_t fsb;
	uint32_t n, i;
	int r;

	if (root.len < 4 + 16)
		return corrupt(b, b->ip->off, e, "no room for the tree's root");
	level = get_be16(root.data);
	n = get_be16(root.data + 2);
	room = (root.len - 4) / 16;
	if (!level || level >= XFS_MAX_LEVELS)
		return corrupt(b, b->ip->off, e, "the tree's depth is bad");
	if (!n || n > room)
		return corrupt(b, b->ip->off, e,
			"the tree's root has a bad number of records");
	i = choose(root.data + 4, n, file_blk);
	fsb = get_be64(root.data + 4 + 8 * room + 8 * (size_t)i);
	room = (g->blocksize - head) / 16;
	while (level--) {
		r = read_block(b, fsb, level, e);
		if (r || !level)
			return r;
		i = choose(b->recs, b->n, file_blk);
		fsb = get_be64(b->recs + 8 * room + 8 * (size_t)i);
	}
	return 0;
}

int xfs_bmap_begin(struct xfs_bmap *b, struct xfs *x,
	const struct xfs_inode *ip, enum xfs_fork fork, uint64_t file_blk,
	bool report, struct error *e)
{
	const char *why = fork == XFS_DATA ? ip->data_bad : ip->attr_bad;
	uint8_t format = fork == XFS_DATA ? ip->format : ip->aformat;
	struct view v = fork == XFS_DATA ? ip->data : ip->attr;

	*b = (struct xfs_bmap){ .x = x, .ip = ip, .next_leaf = NULL_BLOCK,
		.from = file_blk, .report = report };
	if (why)
		return corrupt(b, ip->off, e, why);
	if (format == XFS_FMT_BTREE)
		return descend(b, v, file_blk, e);
	if (format != XFS_FMT_EXTENTS)
		return corrupt(b, ip->off, e, "the fork has none");
	/* xfs_inode_get checked that they fit */
	b->recs = v.data;
	b->n = (uint32_t)(fork == XFS_DATA ? ip->nextents : ip->anextents);
	return 0;
}

void xfs_bmap_end(struct xfs_bmap *b)
{
	free(b->block);
	b->block = NULL;
}

/* The walk ends: each extent starts behind the one before, at most 2^54
 * blocks from the start, and their number has a cap. */
int xfs_bmap_next(struct xfs_bmap *b, struct xfs_extent *out, struct error *e)
{
	struct source *dev = b->x->dev;
	unsigned log = b->x->g.blocklog;
	int r;

	for (;;) {
		uint64_t l0, l1, start;

		if (b->at == b->n) {
			if (b->next_leaf == NULL_BLOCK)
				return 0;
			r = read_block(b, b->next_leaf, 0, e);
			if (r)
				return r;
			b->at = 0;
		}
		if (b->count++ >= LIMIT_FILE_EXTENTS)
			return error_at(e, ERR_LIMIT, b->ip->off,
				"xfs: inode %" PRIu64 ": more than %" PRIu64
				" extents", b->ip->ino, LIMIT_FILE_EXTENTS);
		l0 = get_be64(b->recs + 16 * (size_t)b->at);
		l1 = get_be64(b->recs + 16 * (size_t)b->at + 8);
		b->at++;
		/* Bits from the top: 1 unwritten, 54 offset in the file, 52
		 * first block, 21 number of blocks. */
		out->unwritten = l0 >> 63;
		out->file_blk = (l0 & (UINT64_MAX >> 1)) >> 9;
		out->blocks = l1 & ((1u << 21) - 1);
		start = (l0 & 0x1ff) << 43 | l1 >> 21;
		if (!out->blocks || out->file_blk < b->end)
			return corrupt(b, b->ip->off, e,
				"they are empty or not in order");
		b->end = out->file_blk + out->blocks;
		if (b->end > (uint64_t)INT64_MAX >> log)
			return corrupt(b, b->ip->off, e,
				"one ends past the largest file");
		if (b->end <= b->from)
			continue;
		if (!xfs_fsb_offset(&b->x->g, start, out->blocks,
			    &out->dev_off))
			return corrupt(b, b->ip->off, e,
				"one is outside the file system");
		if (!range_inside(out->dev_off, out->blocks << log, dev->size))
			return corrupt(b, out->dev_off, e,
				"one is outside the volume");
		return 1;
	}
}

int xfs_fork_read(struct xfs *x, const struct xfs_inode *ip, enum xfs_fork fork,
	uint64_t file_blk, uint32_t count, uint8_t *buf, uint64_t *out_dev,
	struct error *e)
{
	unsigned log = x->g.blocklog;
	uint64_t first = file_blk;
	struct xfs_bmap b;
	int r;

	r = xfs_bmap_begin(&b, x, ip, fork, file_blk, false, e);
	while (!r && count) {
		struct xfs_extent ex;
		uint64_t in, n;

		r = xfs_bmap_next(&b, &ex, e);
		if (r < 0)
			break;
		if (!r || ex.file_blk > file_blk || ex.unwritten) {
			r = error_at(e, ERR_CORRUPT, ip->off,
				"xfs: inode %" PRIu64 ": block %" PRIu64
				" of its metadata is missing",
				ip->ino, file_blk);
			break;
		}
		in = file_blk - ex.file_blk;
		n = u64_min(count, ex.blocks - in);
		if (out_dev && file_blk == first)
			*out_dev = ex.dev_off + (in << log);
		r = source_pread(x->meta, buf, (size_t)(n << log),
			ex.dev_off + (in << log), e);
		buf += n << log;
		file_blk += n;
		count -= (uint32_t)n;
	}
	xfs_bmap_end(&b);
	return r;
}

/* How many of at most max blocks from file_blk on are one extent. */
static int run_at(struct xfs *x, const struct xfs_inode *ip, enum xfs_fork fork,
	uint64_t file_blk, uint32_t max, uint32_t *out, struct error *e)
{
	struct xfs_extent ex;
	struct xfs_bmap b;
	int r = xfs_bmap_begin(&b, x, ip, fork, file_blk, false, e);

	if (!r)
		r = xfs_bmap_next(&b, &ex, e);
	xfs_bmap_end(&b);
	if (r < 0)
		return r;
	/* A hole: xfs_fork_read says so. */
	*out = 1;
	if (r && ex.file_blk <= file_blk)
		*out = (uint32_t)u64_min(max,
			ex.file_blk + ex.blocks - file_blk);
	return 0;
}

static int check_remote(struct xfs *x, const struct xfs_inode *ip,
	uint32_t magic, const uint8_t *buf, size_t len, size_t done, size_t n,
	uint64_t off, struct error *e)
{
	const struct xfs_dremote *d = (const struct xfs_dremote *)buf;

	if (be32_get(d->magic) != magic || be32_get(d->offset) != done ||
		be32_get(d->bytes) != n || be64_get(d->owner) != ip->ino ||
		memcmp(d->uuid, x->g.meta_uuid, 16) != 0)
		return error_at(e, ERR_CORRUPT, off, "xfs: inode %" PRIu64
			": the header of a remote block is bad", ip->ino);
	if (!xfs_crc_ok(buf, len, XFS_REMOTE_CRC_AT))
		return error_at(e, ERR_CORRUPT, off, "xfs: inode %" PRIu64
			": the checksum of a remote block is wrong", ip->ino);
	return 0;
}

int xfs_remote_read(struct xfs *x, const struct xfs_inode *ip,
	enum xfs_fork fork, uint64_t file_blk, uint32_t magic, uint8_t *buf,
	size_t len, struct error *e)
{
	const struct xfs_geo *g = &x->g;
	size_t head = g->v5 ? sizeof(struct xfs_dremote) : 0;
	size_t done = 0, rest = div_ceil(len, g->blocksize - head);
	/* A symlink has a header in each extent, a value in each block. */
	size_t most = fork == XFS_DATA ? rest : 1;
	AUTO_FREE uint8_t *block = malloc(most * g->blocksize);

	if (!block)
		return error_nomem(e);
	while (done < len && rest) {
		uint64_t off = 0;
		uint32_t run = 1;
		size_t n;
		int r = 0;

		if (fork == XFS_DATA)
			r = run_at(x, ip, fork, file_blk, (uint32_t)rest, &run,
				e);
		if (!r)
			r = xfs_fork_read(x, ip, fork, file_blk, run, block,
				&off, e);
		if (r)
			return r;
		n = size_min((size_t)run * g->blocksize - head, len - done);
		if (g->v5)
			r = check_remote(x, ip, magic, block,
				(size_t)run * g->blocksize, done, n, off, e);
		if (r)
			return r;
		memcpy(buf + done, block + head, n);
		done += n;
		rest -= run;
		file_blk += run;
	}
	return 0;
}
