/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the XFS log (Structure, "Log Records"): a header, its further
 * blocks where the record is large, then operations. The first word of each
 * block on disk is its cycle; what was there before is in the header. */
#include "fs/xfs_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"

#define BB XFS_LOG_BB
#define CYCLES (XFS_LOG_CYCLE_SIZE / BB) /* words in a header block */
/* Records that may have been on their way to the disk at once
 * (XLOG_MAX_ICLOGS): only among these may one be missing. */
#define IN_FLIGHT 8
#define SCAN (IN_FLIGHT * XFS_LOG_RECORD_MAX / BB)

int xfs_record_init(struct xfs_record *rec, struct error *e)
{
	memset(rec, 0, sizeof(*rec));
	rec->buf = malloc((size_t)XFS_RECORD_BLOCKS_MAX * BB);
	return rec->buf ? 0 : error_nomem(e);
}

void xfs_record_release(struct xfs_record *rec)
{
	free(rec->buf);
	rec->buf = NULL;
}

static int torn(struct error *e, const struct xfs_log *l, uint32_t at,
	const char *what)
{
	error_at(e, ERR_CORRUPT, l->off + (uint64_t)at * BB,
		"xfs: a record of the log: %s", what);
	return 0;
}

/* The checksum covers the blocks as they are on disk. Writers of 32 bits have
 * a shorter header; mkfs leaves its own unmount record without one, old kernels
 * all that they write (version 4). */
static bool sum_ok(const struct xfs_log *l, const struct xfs_record *rec,
	uint32_t head)
{
	static const size_t sizes[] = { XFS_LOG_REC_SIZE64,
		XFS_LOG_REC_SIZE32 };
	const struct xfs_dlog_rec *d = (const void *)rec->buf;
	static const uint8_t zero[4];
	uint32_t want = le32_get(d->crc);

	if (!want && (!l->x->g.v5 || rec->ops == 1))
		return true;
	for (size_t i = 0; i < 2; i++) {
		uint32_t c = crc32c_update(UINT32_MAX, rec->buf,
			XFS_LOG_CRC_AT);

		c = crc32c_update(c, zero, 4);
		c = crc32c_update(c, rec->buf + XFS_LOG_CRC_AT + 4,
			sizes[i] - XFS_LOG_CRC_AT - 4);
		for (uint32_t k = 1; k < head; k++)
			c = crc32c_update(c, rec->buf + (size_t)k * BB,
				XFS_LOG_EXT_SIZE);
		c = crc32c_update(c, rec->buf + (size_t)head * BB, rec->len);
		if (checksum_agrees(~c, want))
			return true;
	}
	return false;
}

/* Each block must be of this record's cycle, or of the next where it lies
 * behind the ring's end. */
static bool cycles_ok(const struct xfs_log *l, const struct xfs_record *rec)
{
	for (uint32_t k = 1; k < rec->blocks; k++) {
		uint32_t want = rec->cycle + (rec->at + k >= l->blocks ? 1 : 0);

		if (get_be32(rec->buf + (size_t)k * BB) != want)
			return false;
	}
	return true;
}

/* Puts back what the cycles stand in place of. */
static void unpack(struct xfs_record *rec, uint32_t head)
{
	uint8_t *data = rec->buf + (size_t)head * BB;

	for (uint32_t k = 0; k < rec->blocks - head; k++) {
		const uint8_t *from = rec->buf + (size_t)(k / CYCLES) * BB +
			(k < CYCLES ? offsetof(struct xfs_dlog_rec, cycle_data)
				    : 4);

		/* Only an unmount record of mkfs has more blocks than words
		 * for them, and nothing in those. */
		if (k / CYCLES < head)
			memcpy(data + (size_t)k * BB, from + 4 * (k % CYCLES),
				4);
	}
	rec->data = data;
}

int xfs_record_read(const struct xfs_log *l, uint32_t at, uint32_t cycle,
	struct xfs_record *rec, struct error *e)
{
	const struct xfs_dlog_rec *d = (const void *)rec->buf;
	uint32_t size, version, head = 1;
	int r = xfs_log_read(l, at, 1, rec->buf, e);

	if (r)
		return r;
	rec->at = at;
	rec->cycle = cycle;
	rec->size = 0;
	rec->lsn = be64_get(d->lsn);
	rec->tail = be64_get(d->tail_lsn);
	rec->len = be32_get(d->len);
	rec->ops = be32_get(d->num_logops);
	size = be32_get(d->size);
	version = be32_get(d->version);
	if (be32_get(d->magic) != XFS_LOG_MAGIC)
		return torn(e, l, at, "no magic");
	if (be32_get(d->cycle) != cycle ||
		rec->lsn != ((uint64_t)cycle << 32 | at))
		return torn(e, l, at, "it is of another time");
	if (!version || version > 3)
		return torn(e, l, at, "the version is unknown");
	if (version & XFS_LOG_VERSION_2 && size > XFS_LOG_CYCLE_SIZE)
		head = (uint32_t)div_ceil(size, XFS_LOG_CYCLE_SIZE);
	if (size > XFS_LOG_RECORD_MAX || !rec->len ||
		rec->len > XFS_LOG_RECORD_MAX ||
		(div_ceil(rec->len, XFS_LOG_CYCLE_SIZE) > head &&
			rec->ops != 1))
		return torn(e, l, at, "the length is bad");
	rec->size = size > XFS_LOG_CYCLE_SIZE ? size : XFS_LOG_CYCLE_SIZE;
	rec->blocks = head + (uint32_t)div_ceil(rec->len, BB);
	if (rec->blocks > l->blocks)
		return torn(e, l, at, "it is longer than the log");
	if (be32_get(d->fmt) != XFS_LOG_FMT_LE)
		return error_at(e, ERR_UNSUPPORTED, l->off + (uint64_t)at * BB,
			"xfs: the log was written by a machine of another "
			"order of bytes");
	if (memcmp(d->uuid, l->x->g.uuid, 16) != 0)
		return torn(e, l, at, "it is of another file system");
	r = xfs_log_read(l, at, rec->blocks, rec->buf, e);
	if (r)
		return r;
	if (!cycles_ok(l, rec))
		return torn(e, l, at, "not all of it was written");
	if (!sum_ok(l, rec, head))
		return torn(e, l, at, "the checksum is wrong");
	unpack(rec, head);
	return 1;
}

void xfs_record_next(const struct xfs_log *l, const struct xfs_record *rec,
	uint32_t *at, uint32_t *cycle)
{
	*at = rec->at + rec->blocks;
	*cycle = rec->cycle;
	if (*at >= l->blocks) {
		*at -= l->blocks;
		(*cycle)++;
	}
}

/* --- which are active --- */

/* Blocks from a on to b; a ring around where they are the same. */
static uint32_t distance(const struct xfs_log *l, uint32_t a, uint32_t b)
{
	return b > a ? b - a : b + l->blocks - a;
}

/* The cycle in which a block before the head was written. */
static uint32_t cycle_of(const struct xfs_log *l, uint32_t at)
{
	return at < l->head ? l->cycle : l->cycle - 1;
}

static uint32_t back_from(const struct xfs_log *l, uint32_t at, uint32_t n)
{
	return at >= n ? at - n : at + l->blocks - n;
}

/* Records may get to the disk in another order than the log's: the head is
 * before the first block that is still of the cycle before (as Linux does it:
 * XLOG_TOTAL_REC_SHIFT). */
static int first_hole(const struct xfs_log *l, uint8_t *w, uint32_t *head,
	struct error *e)
{
	uint32_t left = SCAN < l->blocks ? SCAN : l->blocks;
	uint32_t at = back_from(l, *head, left);

	while (left) {
		uint32_t n = left < XFS_RECORD_BLOCKS_MAX
				     ? left
				     : XFS_RECORD_BLOCKS_MAX;
		int r = xfs_log_read(l, at, n, w, e);

		if (r)
			return r;
		for (uint32_t i = 0; i < n; i++, at = (at + 1) % l->blocks) {
			const uint8_t *p = w + (size_t)i * BB;
			uint32_t c = get_be32(p);

			if (c == XFS_LOG_MAGIC)
				c = get_be32(p + 4);
			if (c + 1 == cycle_of(l, at)) {
				*head = at;
				return 0;
			}
		}
		left -= n;
	}
	return 0;
}

/* The last header before head, at most a record's blocks before it (no other
 * block begins with its magic), or with after the first one from there on, at
 * most as many blocks as are on their way at once: 1; 0: none. */
static int find_header(const struct xfs_log *l, uint32_t head, bool after,
	uint8_t *w, uint32_t *out, struct error *e)
{
	uint32_t most = after ? SCAN : XFS_RECORD_BLOCKS_MAX;
	uint32_t left = most < l->blocks ? most : l->blocks;
	uint32_t at = after ? head : back_from(l, head, left);
	int found = 0;

	while (left && !(found && after)) {
		uint32_t n = left < XFS_RECORD_BLOCKS_MAX
				     ? left
				     : XFS_RECORD_BLOCKS_MAX;
		int r = xfs_log_read(l, at, n, w, e);

		if (r)
			return r;
		for (uint32_t i = 0; i < n && !(found && after); i++)
			if (get_be32(w + (size_t)i * BB) == XFS_LOG_MAGIC) {
				*out = (at + i) % l->blocks;
				found = 1;
			}
		at = (at + n) % l->blocks;
		left -= n;
	}
	return found;
}

/* Goes from the tail to the head: 1, or 0 and *out_bad is where no whole
 * record is. Ends: each record is so many blocks nearer to the head. */
static int walk(const struct xfs_log *l, struct xfs_record *rec,
	const struct xfs_log_span *s, uint32_t *out_bad, struct error *e)
{
	uint32_t at = s->tail, cycle = s->cycle, left = s->blocks;
	int r;

	for (;;) {
		*out_bad = at;
		r = xfs_record_read(l, at, cycle, rec, e);
		if (r <= 0)
			return r;
		if (rec->blocks > left)
			return torn(e, l, at, "it reaches over the log's end");
		left -= rec->blocks;
		if (!left)
			return 1;
		xfs_record_next(l, rec, &at, &cycle);
	}
}

/* The span that the last record before head names: 1; or 0 and that record is
 * not whole, or does not end there, and begins at *out_at. */
static int span_of(const struct xfs_log *l, uint32_t head,
	struct xfs_record *rec, struct xfs_log_span *out, uint32_t *out_at,
	struct error *e)
{
	uint32_t cycle, tail, at = head;
	int r = find_header(l, head, false, rec->buf, &at, e);

	if (r < 0)
		return r;
	if (!r)
		return error_at(e, ERR_CORRUPT, l->off + (uint64_t)head * BB,
			"xfs: the log has no record where it ends");
	*out_at = at;
	r = xfs_record_read(l, at, cycle_of(l, at), rec, e);
	if (r <= 0)
		return r;
	if (rec->blocks != distance(l, at, head))
		return torn(e, l, at, "it does not end where the log does");
	cycle = (uint32_t)(rec->tail >> 32);
	tail = (uint32_t)rec->tail;
	if (tail >= l->blocks ||
		rec->cycle - cycle != (tail > rec->at ? 1 : 0))
		return error_at(e, ERR_CORRUPT, l->off + (uint64_t)at * BB,
			"xfs: the log's tail is %" PRIu32 ":%" PRIu32
			", seen from %" PRIu32 ":%" PRIu32, cycle, tail,
			rec->cycle, at);
	*out = (struct xfs_log_span){ tail, cycle, distance(l, tail, head) };
	return 1;
}

/* Where the log was nearly full, records that were not written whole may have
 * come to lie over the tail that the record before them names, since they name
 * a later one: what they are over (at most so many blocks) is on the disk, and
 * the first record behind them is the tail. 1: moved; 0: no. */
static int skip_overwritten(const struct xfs_log *l, uint32_t head,
	uint32_t bad, uint32_t most, struct xfs_record *rec,
	struct xfs_log_span *s, struct error *e)
{
	uint32_t at = 0;
	int r;

	if (bad == head || distance(l, head, bad) > most)
		return 0;
	r = find_header(l, (bad + 1) % l->blocks, true, rec->buf, &at, e);
	if (r <= 0 || distance(l, bad, at) >= distance(l, bad, head))
		return r < 0 ? r : 0;
	*s = (struct xfs_log_span){ at, cycle_of(l, at),
		distance(l, at, head) };
	return 1;
}

/* How many records are in n blocks from at on, where one is that may have no
 * header any more. */
static int count_records(const struct xfs_log *l, uint32_t at, uint32_t n,
	uint8_t *w, unsigned *count, struct error *e)
{
	uint32_t next = 0, d;

	for (++*count;; at = next, n -= d, ++*count) {
		int r = find_header(l, (at + 1) % l->blocks, true, w, &next, e);

		if (r < 0)
			return r;
		d = distance(l, at, next);
		if (!r || d >= n || *count > IN_FLIGHT)
			return 0;
	}
}

/* The log ends before the first hole, and begins where the last record before
 * that says. Records that were on their way when the power went may be damaged:
 * the head is then before the first such one, if it is among the last few;
 * before them it is damage, as Linux sees it. The head only moves back. */
int xfs_log_active(const struct xfs_log *l, struct xfs_record *rec,
	struct xfs_log_span *out, struct error *e)
{
	uint32_t head = l->head % l->blocks, bad = 0;
	unsigned flying = 0;
	int r = first_hole(l, rec->buf, &head, e);

	for (int tries = 0; !r && tries < 2 * IN_FLIGHT; tries++) {
		struct error why;
		uint32_t most;

		r = span_of(l, head, rec, out, &bad, e);
		most = IN_FLIGHT * rec->size / BB;
		for (int n = 0; r > 0 && n < 2 * IN_FLIGHT; n++) {
			r = walk(l, rec, out, &bad, e);
			if (r)
				return r < 0 ? r : 0;
			r = skip_overwritten(l, head, bad, most, rec, out,
				&why);
		}
		if (r < 0)
			return r;
		r = count_records(l, bad, distance(l, bad, head), rec->buf,
			&flying, &why);
		if (flying > IN_FLIGHT)
			break;
		head = bad;
	}
	return r < 0 ? r : ERR_CORRUPT;
}
