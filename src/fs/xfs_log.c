/* SPDX-License-Identifier: Apache-2.0 */
/* Was an XFS file system unmounted cleanly? Its log then ends in an unmount
 * record (Structure, "Journaling Log"). */
#include "fs/xfs_log.h"

#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

#define BB XFS_LOG_BB
/* The last record is found this far before the head: an unmount record is a
 * header (8 blocks at the most) and one block, padded to the log's stripe
 * unit of at most 256 KiB. */
#define WINDOW 1040u
/* Where an operation's header has its flags. */
#define OP_FLAGS_AT 9

/* The cycle number of a block: how often the log had wrapped around. */
static int cycle_at(const struct xfs_log *l, uint64_t block, uint32_t *out,
	struct error *e)
{
	uint8_t b[8];
	int r = source_pread(l->x->meta, b, sizeof(b), l->off + block * BB, e);

	if (!r)
		*out = get_be32(b) == XFS_LOG_MAGIC ? get_be32(b + 4)
						    : get_be32(b);
	return r;
}

/* The block behind the newest record, and its cycle; 0: never written. The
 * blocks before it are of one cycle, those behind of the one before (or were
 * never written), so halving finds it. */
static int find_head(struct xfs_log *l, struct error *e)
{
	uint32_t lo = 0, hi = l->blocks - 1, first, last, c;
	int r;

	r = cycle_at(l, lo, &first, e);
	if (!r)
		r = cycle_at(l, hi, &last, e);
	if (r)
		return r;
	if (first == last) {
		l->cycle = first;
		l->head = first ? l->blocks : 0;
		return 0;
	}
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		r = cycle_at(l, mid, &c, e);
		if (r)
			return r;
		if (c == last)
			hi = mid;
		else
			lo = mid;
	}
	l->head = hi;
	/* Not what the block before it says: that may be damaged. */
	l->cycle = last + 1;
	return 0;
}

/* Looks at the last record in a window of n blocks that ends at the head.
 * Returns true where it is whole, and says whether it tells of an unmount;
 * else *out_start is how many blocks before the head it starts, 0: none. */
static bool last_record(const uint8_t *w, uint64_t n, bool *out_unmount,
	uint64_t *out_start)
{
	*out_unmount = false;
	*out_start = 0;
	for (uint64_t i = n; i-- > 0;) {
		const struct xfs_dlog_rec *d = (const void *)(w + i * BB);
		uint32_t size, len;
		uint64_t head = 1;

		if (be32_get(d->magic) != XFS_LOG_MAGIC)
			continue;
		size = be32_get(d->size);
		len = be32_get(d->len);
		if (be32_get(d->version) & XFS_LOG_VERSION_2 &&
			size > XFS_LOG_CYCLE_SIZE && size <= XFS_LOG_RECORD_MAX)
			head = div_ceil(size, XFS_LOG_CYCLE_SIZE);
		*out_start = n - i;
		if (!len || head + div_ceil(len, BB) != n - i)
			return false;
		*out_unmount = be32_get(d->num_logops) == 1 &&
			       w[(i + head) * BB + OP_FLAGS_AT] &
				       XFS_LOG_UNMOUNT;
		return true;
	}
	return false;
}

int xfs_log_read(const struct xfs_log *l, uint32_t at, uint32_t n, uint8_t *buf,
	struct error *e)
{
	uint32_t first = at + n > l->blocks ? l->blocks - at : n;
	int r = source_pread(l->x->dev, buf, (size_t)first * BB,
		l->off + (uint64_t)at * BB, e);

	if (r || first == n)
		return r;
	return source_pread(l->x->dev, buf + (size_t)first * BB,
		(size_t)(n - first) * BB, l->off, e);
}

int xfs_log_check(struct xfs *x, struct xfs_log *l, enum xfs_log_state *out,
	struct error *e)
{
	const struct xfs_geo *g = &x->g;
	uint64_t blocks = ((uint64_t)g->logblocks << g->blocklog) / BB;
	AUTO_FREE uint8_t *w = NULL;
	uint64_t start;
	uint32_t head, n;
	bool unmount;
	int r;

	*out = XFS_LOG_DAMAGED;
	*l = (struct xfs_log){ .x = x };
	/* So large is none (2 GiB); sums of two positions fit into 32 bits. */
	if (!blocks || blocks > XFS_LOG_BLOCKS_MAX ||
		!xfs_fsb_offset(g, g->logstart, g->logblocks, &l->off) ||
		!range_inside(l->off, blocks * BB, x->meta->size))
		return 0;
	l->blocks = (uint32_t)blocks;
	r = find_head(l, e);
	if (r)
		return r;
	if (!l->head) {
		*out = XFS_LOG_CLEAN;
		return 0;
	}
	n = WINDOW < l->blocks ? WINDOW : l->blocks;
	w = malloc(WINDOW * BB);
	if (!w)
		return error_nomem(e);
	head = l->head;
	/* A record that was not written to its end counts for nothing (also
	 * xfs_admin leaves one when it clears the log): the one before is the
	 * last. */
	for (int tries = 0; tries < 2; tries++) {
		r = xfs_log_read(l, head >= n ? head - n : head + l->blocks - n,
			n, w, e);
		if (r)
			return r;
		if (last_record(w, n, &unmount, &start)) {
			*out = unmount ? XFS_LOG_CLEAN : XFS_LOG_DIRTY;
			return 0;
		}
		if (!start)
			break;
		head = (uint32_t)(head > start ? head - start
					       : head + l->blocks - start);
	}
	*out = XFS_LOG_DIRTY;
	return 0;
}
