/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/digest_acc.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

#define BLOCK DISK_DIGEST_BLOCK

/* Neighbours end and begin in the same block: it is noted once. */
static bool note(struct digest_acc *a, uint64_t block)
{
	return (a->edges.len && *vec_last(&a->edges) == block) ||
	       vec_push(&a->edges, block);
}

/* Goes on with an open block; how many bytes of the piece it took. */
static size_t go_on(struct digest_acc *a, uint64_t disk_size,
	const uint8_t *data, size_t len, uint64_t off)
{
	struct digest_open *o = &a->open[a->last];
	size_t n;

	if (!o->len || off != o->at + o->len) {
		o = &a->open[!a->last];
		if (!o->len || off != o->at + o->len)
			return 0;
		a->last = !a->last;
	}
	n = size_min(len, BLOCK - o->len);
	memcpy(o->data + o->len, data, n);
	o->len += n;
	if (o->len == BLOCK || off + n == disk_size) {
		disk_digest_add(&a->sum, o->data, o->len, o->at);
		o->len = 0;
	}
	return n;
}

/* The rest of it comes elsewhere, if at all. */
static bool give_up(struct digest_acc *a, struct digest_open *o)
{
	bool ok = !o->len || note(a, o->at / BLOCK);

	o->len = 0;
	return ok;
}

/* A row of pieces ends with the first bytes of a block. One that ended on a
 * block's end is forgotten first, then the one that is longer ago. */
static bool leave_open(struct digest_acc *a, const uint8_t *data, size_t len,
	uint64_t off)
{
	struct digest_open *o;

	if (a->open[a->last].len)
		a->last = !a->last;
	o = &a->open[a->last];
	if (!give_up(a, o))
		return false;
	o->at = off;
	o->len = len;
	memcpy(o->data, data, len);
	return true;
}

int digest_acc_add(struct digest_acc *a, uint64_t disk_size,
	const uint8_t *data, size_t len, uint64_t off, struct error *e)
{
	size_t n = go_on(a, disk_size, data, len, off);
	uint64_t end = off + len, from, to;

	data += n;
	off += n;
	if (off == end)
		return 0;
	from = round_up(off, BLOCK);
	to = end == disk_size ? end : round_down(end, BLOCK);
	if (from != off && !note(a, off / BLOCK))
		return error_nomem(e);
	if (to > from)
		disk_digest_add(&a->sum, data + (from - off),
			(size_t)(to - from), from);
	if (to != end && to >= from &&
		!leave_open(a, data + (to - off), (size_t)(end - to), to))
		return error_nomem(e);
	return 0;
}

size_t source_range_find(const struct source_range *ranges, size_t n,
	uint64_t off)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ranges[mid].off + ranges[mid].len <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int digest_acc_add_in(struct digest_acc *a, uint64_t disk_size,
	const struct source_range *ranges, size_t n, const uint8_t *data,
	size_t len, uint64_t off, struct error *e)
{
	uint64_t end = off + len;

	for (size_t i = source_range_find(ranges, n, off);
		i < n && ranges[i].off < end; i++) {
		uint64_t from = u64_max(off, ranges[i].off);
		uint64_t to = u64_min(end, ranges[i].off + ranges[i].len);
		int r = digest_acc_add(a, disk_size, data + (from - off),
			(size_t)(to - from), from, e);

		if (r)
			return r;
	}
	return 0;
}

int digest_acc_merge(struct digest_acc *a, const struct digest_acc *other,
	struct error *e)
{
	disk_digest_merge(&a->sum, &other->sum);
	for (int i = 0; i < 2; i++)
		if (other->open[i].len && !note(a, other->open[i].at / BLOCK))
			return error_nomem(e);
	for (size_t i = 0; i < other->edges.len; i++)
		if (!vec_push(&a->edges, other->edges.items[i]))
			return error_nomem(e);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int digest_acc_finish(struct digest_acc *a, struct source *disk,
	struct error *e)
{
	if (!give_up(a, &a->open[0]) || !give_up(a, &a->open[1]))
		return error_nomem(e);
	if (a->edges.len)
		qsort(a->edges.items, a->edges.len, sizeof(uint64_t),
			by_number);
	for (size_t i = 0; i < a->edges.len; i++) {
		uint64_t off = a->edges.items[i] * BLOCK;
		uint8_t buf[BLOCK];
		size_t len;
		int r;

		if (i && a->edges.items[i] == a->edges.items[i - 1])
			continue;
		len = (size_t)u64_min(BLOCK, disk->size - off);
		r = source_pread(disk, buf, len, off, e);
		if (r)
			return r;
		disk_digest_add(&a->sum, buf, len, off);
	}
	a->edges.len = 0;
	return 0;
}

void digest_acc_release(struct digest_acc *a)
{
	vec_release(&a->edges);
}
