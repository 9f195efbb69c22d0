/* SPDX-License-Identifier: Apache-2.0 */
#include "change/blocks.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

#define WINDOW (256 * 1024)

struct blocks {
	const struct blocks_side *side;
	blocks_fn fn;
	void *ctx;
	uint64_t off, len; /* the range that is growing */
	uint8_t *buf[2];
	struct error *e;
};

static int flush(struct blocks *b)
{
	uint64_t len = b->len;

	b->len = 0;
	return len ? b->fn(b->ctx, b->off, len) : 0;
}

static int differs(struct blocks *b, uint64_t off, uint64_t len)
{
	int r = 0;

	if (b->len && b->off + b->len == off) {
		b->len += len;
		return 0;
	}
	r = flush(b);
	b->off = off;
	b->len = len;
	return r;
}

/* Compares bytes; what is zero on both sides is not read. */
static int compare(struct blocks *b, uint64_t off, uint64_t end)
{
	off = round_down(off, BLOCKS_UNIT);
	while (off < end) {
		struct source_extent x[2];
		size_t n = (size_t)u64_min(WINDOW, end - off);
		int r = 0;

		for (int i = 0; i < 2 && !r; i++)
			r = source_extent_at(b->side[i].disk, off, &x[i],
				b->e);
		if (!r && x[0].kind == SOURCE_ZERO &&
			x[1].kind == SOURCE_ZERO) {
			uint64_t step = round_down(
				u64_min(x[0].len, x[1].len), BLOCKS_UNIT);

			if (step) {
				off += u64_min(step, end - off);
				continue;
			}
		}
		for (int i = 0; i < 2 && !r; i++)
			r = source_pread(b->side[i].disk, b->buf[i], n, off,
				b->e);
		for (size_t k = 0; k < n && !r; k += BLOCKS_UNIT) {
			size_t m = size_min(BLOCKS_UNIT, n - k);

			if (memcmp(b->buf[0] + k, b->buf[1] + k, m) != 0)
				r = differs(b, off + k, m);
		}
		if (r)
			return r;
		off += n;
	}
	return 0;
}

static int read_leaf(const struct blocks_side *s, const struct oid *id,
	uint64_t start, uint64_t size, layout_extents *out, struct error *e)
{
	AUTO_BUF rec = BUF_INIT;
	int r;

	if (oid_is_zero(id)) {
		out->len = 0;
		return vec_push(out, (struct layout_extent){ .off = start,
			.len = u64_min(LAYOUT_SPAN, size - start) })
			? 0
			: error_nomem(e);
	}
	r = s->get(s->ctx, id, &rec, e);
	return r ? r
		 : layout_leaf_decode(rec.data, rec.len, start, size, out, e);
}

/* Bytes of two extents that both cover off: the same for certain? */
static bool same_bytes(const struct layout_extent *x,
	const struct layout_extent *y, uint64_t off)
{
	if (x->kind != y->kind)
		return false;
	return x->kind == LAYOUT_ZERO ||
	       (oid_equal(&x->id, &y->id) &&
		       x->id_off + (off - x->off) == y->id_off + (off - y->off));
}

static int compare_leaf(struct blocks *b, layout_extents ext[2], uint64_t at,
	uint64_t end)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (at < end && !r) {
		const struct layout_extent *x, *y;
		uint64_t stop;

		while (ext[0].items[i].off + ext[0].items[i].len <= at)
			i++;
		while (ext[1].items[k].off + ext[1].items[k].len <= at)
			k++;
		x = &ext[0].items[i];
		y = &ext[1].items[k];
		stop = u64_min(end, u64_min(x->off + x->len, y->off + y->len));
		if (same_bytes(x, y, at)) {
			at = stop;
			continue;
		}
		/* A block that two extents share is compared as a whole. */
		stop = u64_min(end, round_up(stop, BLOCKS_UNIT));
		r = compare(b, at, stop);
		at = stop;
	}
	return r;
}

static int by_layout(struct blocks *b, uint64_t size)
{
	const struct blocks_side *s = b->side;
	struct layout_reader rd[2] = { { 0 } };
	layout_extents ext[2] = { { 0 } };
	int r = 0;

	for (int i = 0; i < 2 && !r; i++)
		r = layout_reader_init(&rd[i], &s[i].layout, s[i].disk->size,
			s[i].get, s[i].ctx, b->e);
	for (uint64_t at = 0; at < size && !r; at += LAYOUT_SPAN) {
		uint64_t skip[2];
		struct oid id[2];

		for (int i = 0; i < 2 && !r; i++)
			r = layout_reader_leaf(&rd[i], at / LAYOUT_SPAN,
				&id[i], &skip[i], b->e);
		if (r)
			break;
		if (skip[0] && skip[1]) {
			at += (u64_min(skip[0], skip[1]) - 1) * LAYOUT_SPAN;
			continue;
		}
		if (oid_equal(&id[0], &id[1]))
			continue;
		for (int i = 0; i < 2 && !r; i++)
			r = read_leaf(&s[i], &id[i], at, s[i].disk->size,
				&ext[i], b->e);
		if (!r)
			r = compare_leaf(b, ext, at,
				u64_min(size, at + LAYOUT_SPAN));
	}
	for (int i = 0; i < 2; i++) {
		layout_reader_release(&rd[i]);
		vec_release(&ext[i]);
	}
	return r;
}

int blocks_diff(const struct blocks_side side[2], blocks_fn fn, void *ctx,
	struct error *e)
{
	uint64_t a = side[0].disk->size, c = side[1].disk->size;
	struct blocks b = { .side = side, .fn = fn, .ctx = ctx, .e = e };
	int r = 0;

	b.buf[0] = malloc(WINDOW);
	b.buf[1] = malloc(WINDOW);
	if (!b.buf[0] || !b.buf[1])
		r = error_nomem(e);
	if (!r)
		r = side[0].get && side[1].get
			    ? by_layout(&b, u64_min(a, c))
			    : compare(&b, 0, u64_min(a, c));
	if (!r && a != c)
		r = differs(&b, u64_min(a, c), u64_max(a, c) - u64_min(a, c));
	if (!r)
		r = flush(&b);
	free(b.buf[0]);
	free(b.buf[1]);
	return r;
}
