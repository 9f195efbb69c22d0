/* SPDX-License-Identifier: Apache-2.0 */
/* Was an XFS file system unmounted cleanly? Its log then ends in an unmount
 * record (Structure, "Journaling Log"). The log is not replayed. */
#include "fs/xfs.h"

#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

#define BB 512u /* the log counts in basic blocks */
/* Bytes of a record that one header block speaks for. */
#define HEADER_CYCLE_SIZE 32768u
#define RECORD_SIZE_MAX (256u * 1024)
/* The last record is found this far before the head: an unmount record is a
 * header (8 blocks at the most) and one block, padded to the log's stripe
 * unit of at most 256 KiB. */
#define WINDOW 1040u
/* Where an operation's header has its flags. */
#define OP_FLAGS_AT 9

struct log {
	struct xfs *x;
	uint64_t off, blocks;
};

/* The cycle number of a block: how often the log had wrapped around. */
static int cycle_at(const struct log *l, uint64_t block, uint32_t *out,
	struct error *e)
{
	uint8_t b[8];
	int r = source_pread(l->x->meta, b, sizeof(b), l->off + block * BB, e);

	if (!r)
		*out = get_be32(b) == XFS_LOG_MAGIC ? get_be32(b + 4)
						    : get_be32(b);
	return r;
}

/* The block behind the newest record, in (0, blocks]; 0: never written. The
 * blocks before it are of one cycle, those behind of the one before (or were
 * never written), so halving finds it. */
static int find_head(const struct log *l, uint64_t *out, struct error *e)
{
	uint64_t lo = 0, hi = l->blocks - 1;
	uint32_t first, last, c;
	int r;

	r = cycle_at(l, lo, &first, e);
	if (!r)
		r = cycle_at(l, hi, &last, e);
	if (r)
		return r;
	if (first == last) {
		*out = first ? l->blocks : 0;
		return 0;
	}
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		r = cycle_at(l, mid, &c, e);
		if (r)
			return r;
		if (c == last)
			hi = mid;
		else
			lo = mid;
	}
	*out = hi;
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
		if (be32_get(d->version) & 2 && size > HEADER_CYCLE_SIZE &&
			size <= RECORD_SIZE_MAX)
			head = div_ceil(size, HEADER_CYCLE_SIZE);
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

/* The n blocks before the head, which may lie around the end of the log. */
static int read_window(const struct log *l, uint64_t head, uint8_t *w,
	uint64_t n, struct error *e)
{
	uint64_t wrapped = n > head ? n - head : 0;
	int r = source_pread(l->x->dev, w, (size_t)(wrapped * BB),
		l->off + (l->blocks - wrapped) * BB, e);

	if (r)
		return r;
	return source_pread(l->x->dev, w + wrapped * BB,
		(size_t)((n - wrapped) * BB),
		l->off + (head - (n - wrapped)) * BB, e);
}

int xfs_log_check(struct xfs *x, enum xfs_log_state *out, struct error *e)
{
	const struct xfs_geo *g = &x->g;
	struct log l = { .x = x };
	AUTO_FREE uint8_t *w = NULL;
	uint64_t head, n, start;
	bool unmount;
	int r;

	*out = XFS_LOG_DAMAGED;
	l.blocks = ((uint64_t)g->logblocks << g->blocklog) / BB;
	if (!xfs_fsb_offset(g, g->logstart, g->logblocks, &l.off) ||
		!range_inside(l.off, l.blocks * BB, x->meta->size) ||
		!l.blocks)
		return 0;
	r = find_head(&l, &head, e);
	if (r)
		return r;
	if (!head) {
		*out = XFS_LOG_CLEAN;
		return 0;
	}
	n = u64_min(WINDOW, l.blocks);
	w = malloc(WINDOW * BB);
	if (!w)
		return error_nomem(e);
	/* A record that was not written to its end counts for nothing (also
	 * xfs_admin leaves one when it clears the log): the one before is the
	 * last. */
	for (int tries = 0; tries < 2; tries++) {
		r = read_window(&l, head, w, n, e);
		if (r)
			return r;
		if (last_record(w, n, &unmount, &start)) {
			*out = unmount ? XFS_LOG_CLEAN : XFS_LOG_DIRTY;
			return 0;
		}
		if (!start)
			break;
		head = head > start ? head - start : head + l.blocks - start;
	}
	*out = XFS_LOG_DIRTY;
	return 0;
}
