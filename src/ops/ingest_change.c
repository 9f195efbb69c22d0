/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ingest_change.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/layout.h"
#include "ops/raw_cut.h"
#include "view/view.h"

/* Reads the base's extents in ascending order, a leaf at a time. */
struct base_cursor {
	struct library *l;
	uint64_t size; /* of the base */
	struct layout_reader reader;
	layout_extents x;
	uint64_t leaf; /* that x holds; UINT64_MAX: none */
};

static int base_open(struct base_cursor *b, struct library *l,
	const struct image_disk *d, struct error *e)
{
	memset(b, 0, sizeof(*b));
	b->l = l;
	b->size = d->size;
	b->leaf = UINT64_MAX;
	return layout_reader_init(&b->reader, &d->layout, d->size,
		library_get_layout, l, e);
}

static void base_close(struct base_cursor *b)
{
	layout_reader_release(&b->reader);
	vec_release(&b->x);
}

static int base_leaf_id(struct base_cursor *b, uint64_t leaf, struct oid *out,
	struct error *e)
{
	uint64_t skip;

	if (leaf * LAYOUT_SPAN >= b->size) {
		memset(out, 0, sizeof(*out));
		return 0;
	}
	return layout_reader_leaf(&b->reader, leaf, out, &skip, e);
}

/* The extent of the base that holds off, from off on; zeros behind its end. */
static int base_extent(struct base_cursor *b, uint64_t off,
	struct layout_extent *out, struct error *e)
{
	uint64_t leaf = off / LAYOUT_SPAN, in;
	size_t lo = 0, hi;

	if (leaf != b->leaf) {
		AUTO_BUF rec = BUF_INIT;
		struct oid id;
		int r = base_leaf_id(b, leaf, &id, e);

		b->leaf = UINT64_MAX;
		b->x.len = 0;
		if (!r && !oid_is_zero(&id)) {
			r = library_get_layout(b->l, &id, &rec, e);
			if (!r)
				r = layout_leaf_decode(rec.data, rec.len,
					leaf * LAYOUT_SPAN, b->size, &b->x, e);
		}
		if (r)
			return r;
		b->leaf = leaf;
	}
	hi = b->x.len;
	*out = (struct layout_extent){ .off = off,
		.len = (leaf + 1) * LAYOUT_SPAN - off };
	if (!hi || off >= vec_last(&b->x)->off + vec_last(&b->x)->len)
		return 0;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->x.items[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	*out = b->x.items[lo];
	in = off - out->off;
	out->off = off;
	out->len -= in;
	out->id_off += in;
	return 0;
}

static bool touches(const struct changed_disk *d, uint64_t off, uint64_t len)
{
	size_t i = source_range_find(d->changed, d->nchanged, off);

	return i < d->nchanged && d->changed[i].off < off + len;
}

/* --- which files are the base's --- */

/* Is [x->file_off, +) of the file laid out in the base as that part of id?
 * first: takes the id that is there. */
static int same_in_base(struct base_cursor *b, const struct cut_file *f,
	const struct cut_extent *x, bool first, struct oid *id, bool *same,
	struct error *e)
{
	uint64_t at = 0;
	uint64_t len = u64_min(x->len, f->size - x->file_off);

	*same = false;
	while (at < len) {
		struct layout_extent g;
		int r = base_extent(b, x->disk_off + at, &g, e);

		if (r)
			return r;
		if (first && !at)
			*id = g.id;
		if (g.kind != LAYOUT_FILE || !oid_equal(&g.id, id) ||
			g.id_off != x->file_off + at)
			return 0;
		at += g.len;
	}
	*same = true;
	return 0;
}

int change_prove_files(struct library *l, const struct changed_disk *d,
	size_t ndisks, struct cut *c, struct error *e)
{
	AUTO_FREE struct base_cursor *b = calloc(ndisks + 1, sizeof(*b));
	int r = b ? 0 : error_nomem(e);

	for (size_t i = 0; i < ndisks && !r; i++)
		r = base_open(&b[i], l, d[i].base, e);
	/* In order of the disk, so that each leaf is read once. */
	for (size_t i = 0; i < c->items.len && !r; i++) {
		struct cut_file *f = &c->files.items[c->items.items[i].file];
		uint64_t covered = 0;
		struct oid id;
		bool same = true;

		if (f->first_item != i || f->flags & CUT_HASHED)
			continue;
		for (uint32_t k = 0; k < f->nextents && same && !r; k++) {
			const struct cut_extent *x =
				&c->extents.items[f->first_extent + k];

			if (x->file_off != covered ||
				touches(&d[x->disk], x->disk_off, x->len))
				same = false;
			else
				r = same_in_base(&b[x->disk], f, x, !k, &id,
					&same, e);
			covered += x->len;
		}
		if (!r && same && covered >= f->size) {
			uint64_t size;

			r = store_blob_size(l->store, &id, &size, e);
			if (!r && size == f->size) {
				f->hash = id;
				f->flags |= CUT_HASHED | CUT_REUSED;
			}
		}
	}
	for (size_t i = 0; b && i < ndisks; i++)
		base_close(&b[i]);
	return r;
}

/* --- laying out --- */

struct change {
	const struct ingest_args *a;
	const struct changed_disk *d;
	struct source *src;
	struct cut *cut;
	size_t disk;
	struct base_cursor base;
	struct layout_builder layout;
	struct packer *records, *blobs;
	struct digest_acc digest; /* of changed bytes in gaps */
	/* Bytes before it were read with their file, as slack. */
	uint64_t digested;
	struct buf scratch;
	size_t item; /* next claimed extent of this disk, index in cut.items */
	size_t look; /* the same, of next_touched */
	size_t items_end;
};

static int put_record(void *ctx, const void *data, size_t len,
	struct oid *out, struct error *e)
{
	return packer_put_record(ctx, OBJ_LAYOUT, data, len, out, e);
}

/* How far a claim goes for the layout: a file of the base may have slack that
 * is not zero and stands in the base as what it is. */
static uint64_t claim_len(const struct cut_file *f, const struct cut_extent *x)
{
	if (f->flags & (CUT_REUSED | CUT_SLACK))
		return u64_min(x->len, f->size - x->file_off);
	return x->len;
}

static int raw_piece(void *ctx, bool zero, uint64_t len, const struct oid *id,
	struct error *e)
{
	struct change *c = ctx;

	return layout_builder_add(&c->layout, zero ? LAYOUT_ZERO : LAYOUT_RAW,
		len, id, 0, e);
}

static int digest_gap(struct change *c, const uint8_t *buf, size_t len,
	uint64_t off, struct error *e)
{
	uint64_t from = u64_max(off, c->digested);

	return from >= off + len
		       ? 0
		       : digest_acc_add(&c->digest, c->src->size,
				 buf + (from - off),
				 (size_t)(off + len - from), from, e);
}

/* Bytes of no file: as in the base, or new. */
static int lay_gap(struct change *c, uint64_t end, struct error *e)
{
	while (c->layout.at < end) {
		uint64_t at = c->layout.at, stop = end;
		size_t i = source_range_find(c->d->changed, c->d->nchanged,
			at);
		struct layout_extent g;
		int r;

		if (i < c->d->nchanged && c->d->changed[i].off <= at) {
			uint8_t *buf;

			stop = u64_min(stop, c->d->changed[i].off +
						     c->d->changed[i].len);
			stop = u64_min(stop, round_down(at + GAP_MAX, GAP_MAX));
			buf_clear(&c->scratch);
			buf = buf_room(&c->scratch, (size_t)(stop - at));
			if (!buf)
				return error_nomem(e);
			r = source_pread(c->src, buf, (size_t)(stop - at), at,
				e);
			if (!r)
				r = digest_gap(c, buf, (size_t)(stop - at), at,
					e);
			if (!r)
				r = raw_cut(c->blobs, buf, (size_t)(stop - at),
					at, raw_piece, c, e);
		} else {
			if (i < c->d->nchanged)
				stop = u64_min(stop, c->d->changed[i].off);
			r = base_extent(&c->base, at, &g, e);
			if (!r)
				r = layout_builder_add(&c->layout, g.kind,
					u64_min(g.len, stop - at), &g.id,
					g.id_off, e);
		}
		if (r)
			return r;
	}
	return 0;
}

static int lay_leaf(struct change *c, uint64_t end, struct error *e)
{
	int r = 0;

	while (c->layout.at < end && !r) {
		const struct cut_extent *x = NULL;
		const struct cut_file *f = NULL;
		uint64_t at = c->layout.at, xend = 0;

		for (; c->item < c->items_end; c->item++) {
			const struct cut_item *it = &c->cut->items.items[c->item];

			x = &c->cut->extents.items[it->extent];
			f = &c->cut->files.items[it->file];
			xend = x->disk_off + claim_len(f, x);
			if (xend > at && f->flags & CUT_HASHED)
				break;
		}
		if (c->item == c->items_end)
			return lay_gap(c, end, e);
		if (x->disk_off > at) {
			r = lay_gap(c, u64_min(x->disk_off, end), e);
			continue;
		}
		r = layout_builder_add(&c->layout, LAYOUT_FILE,
			u64_min(xend, end) - at, &f->hash,
			x->file_off + (at - x->disk_off), e);
		if (!(f->flags & CUT_REUSED))
			c->digested = x->disk_off + x->len;
	}
	return r;
}

/* The first leaf from k on that cannot be taken over: one with changed bytes,
 * with extents of files that were read anew, or where a disk ends whose size
 * changed. To be asked in ascending order; a disk of 2^61 bytes that is mostly
 * hole has 2^37 leaves, so none is looked at by itself. */
static uint64_t next_touched(struct change *c, uint64_t k, uint64_t leaves)
{
	uint64_t at = k * LAYOUT_SPAN, seam, next = leaves;
	size_t i = source_range_find(c->d->changed, c->d->nchanged, at);

	if (i < c->d->nchanged)
		next = u64_max(k, c->d->changed[i].off / LAYOUT_SPAN);
	for (; c->look < c->items_end; c->look++) {
		const struct cut_item *it = &c->cut->items.items[c->look];
		const struct cut_extent *x =
			&c->cut->extents.items[it->extent];

		if (c->cut->files.items[it->file].flags & CUT_REUSED ||
			x->disk_off + x->len <= at)
			continue;
		next = u64_min(next, u64_max(k, x->disk_off / LAYOUT_SPAN));
		break;
	}
	seam = u64_min(c->src->size, c->base.size) / LAYOUT_SPAN;
	if (c->src->size != c->base.size && seam >= k)
		next = u64_min(next, seam);
	return u64_min(next, leaves);
}

/* Takes over leaves [k, to) of the base; what is zeros goes in large steps. */
static int take_leaves(struct change *c, uint64_t k, uint64_t to,
	struct error *e)
{
	while (k < to) {
		struct oid id = { { 0 } };
		uint64_t skip = to - k, end;
		int r = 0;

		if (k < div_ceil(c->base.size, LAYOUT_SPAN))
			r = layout_reader_leaf(&c->base.reader, k, &id, &skip,
				e);
		if (r)
			return r;
		if (!skip) {
			r = layout_builder_add_leaf(&c->layout, &id, e);
			k++;
		} else {
			k += u64_min(skip, to - k);
			end = u64_min(k * LAYOUT_SPAN, c->src->size);
			r = layout_builder_add(&c->layout, LAYOUT_ZERO,
				end - c->layout.at, NULL, 0, e);
		}
		if (r)
			return r;
	}
	return 0;
}

/* The digest follows the change: the blocks that changed go out as they were
 * in the base. Ranges are widened to whole blocks; two that then touch are
 * one. */
static int subtract_old(struct change *c, struct disk_digest *sum,
	struct error *e)
{
	uint64_t done = 0;

	for (size_t i = 0; i < c->d->nchanged; i++) {
		uint64_t at = u64_max(done,
			round_down(c->d->changed[i].off, DISK_DIGEST_BLOCK));
		uint64_t end = u64_min(c->src->size,
			round_up(c->d->changed[i].off + c->d->changed[i].len,
				DISK_DIGEST_BLOCK));

		while (at < end) {
			size_t n = (size_t)u64_min(end - at, MIB);
			uint8_t *buf;
			int r;

			buf_clear(&c->scratch);
			buf = buf_room(&c->scratch, n);
			if (!buf)
				return error_nomem(e);
			r = source_pread(c->d->base_view, buf, n, at, e);
			if (r)
				return r;
			disk_digest_sub(sum, buf, n, at);
			at += n;
		}
		done = u64_max(done, end);
	}
	return 0;
}

/* A disk of another size: the block at the old end has another length, and
 * what is cut off is gone. */
static int resize_digest(struct change *c, struct library *l,
	struct disk_digest *sum, struct error *e)
{
	uint64_t old = c->base.size, now = c->src->size;
	uint64_t at = round_down(u64_min(old, now), DISK_DIGEST_BLOCK);
	AUTO_SOURCE base = NULL;
	uint8_t buf[DISK_DIGEST_BLOCK];
	int r;

	if (old == now)
		return 0;
	r = view_disk(l, c->d->base, &base, e);
	for (uint64_t p = at; p < old && !r;) {
		struct source_extent x;
		size_t n = (size_t)u64_min(DISK_DIGEST_BLOCK, old - p);

		r = source_extent_at(base, p, &x, e);
		if (r)
			return r;
		if (x.kind == SOURCE_ZERO && x.len >= n) {
			p += x.off + x.len >= old
				     ? old - p
				     : round_down(x.len, DISK_DIGEST_BLOCK);
			continue;
		}
		r = source_pread(base, buf, n, p, e);
		if (!r)
			disk_digest_sub(sum, buf, n, p);
		p += n;
	}
	/* The block at the seam as the (resized) base has it. */
	if (!r && at < now) {
		size_t n = (size_t)u64_min(DISK_DIGEST_BLOCK, now - at);

		r = source_pread(c->d->base_view, buf, n, at, e);
		if (!r)
			disk_digest_add(sum, buf, n, at);
	}
	return r;
}

static int lay_out(struct change *c, struct error *e)
{
	uint64_t leaves = div_ceil(c->src->size, LAYOUT_SPAN), k = 0;

	while (k < leaves) {
		uint64_t to = next_touched(c, k, leaves);
		int r = take_leaves(c, k, to, e);

		if (!r && to < leaves)
			r = progress_check(c->a->progress, e);
		if (!r && to < leaves)
			r = lay_leaf(c, u64_min((to + 1) * LAYOUT_SPAN,
						c->src->size), e);
		if (r)
			return r;
		k = to + 1;
	}
	return 0;
}

int ingest_change(const struct ingest_args *a, struct library *l,
	size_t disk, struct ingest_disk *out, struct error *e)
{
	const struct changed_disk *d = &a->changes[disk];
	struct change c = { .a = a,
		.d = d,
		.src = a->disks[disk],
		.cut = a->cut,
		.disk = disk,
		.item = a->cut->disks.items[disk].first };
	int r = base_open(&c.base, l, d->base, e);

	c.look = c.item;
	c.items_end = c.item + a->cut->disks.items[disk].n;
	out->sum = d->base->sum;
	if (!r)
		r = packer_open_records(a->writer, &c.records, e);
	if (!r)
		r = packer_open(a->writer, &c.blobs, e);
	if (!r)
		r = layout_builder_init(&c.layout, c.src->size, put_record,
			c.records, e);
	if (!r) {
		r = lay_out(&c, e);
		if (!r)
			r = layout_builder_finish(&c.layout, &out->layout, e);
		layout_builder_release(&c.layout);
	}
	if (!r)
		r = resize_digest(&c, l, &out->sum, e);
	if (!r)
		r = subtract_old(&c, &out->sum, e);
	if (!r)
		r = digest_acc_merge(&c.digest, &a->gains[disk], e);
	if (!r)
		r = digest_acc_finish(&c.digest, c.src, e);
	if (!r)
		disk_digest_merge(&out->sum, &c.digest.sum);
	if (!r)
		r = packer_flush(c.blobs, e);
	if (!r)
		r = packer_flush(c.records, e);
	out->data_bytes = 0;
	for (size_t i = 0; i < d->nchanged; i++)
		out->data_bytes += d->changed[i].len;
	packer_close(c.records);
	packer_close(c.blobs);
	base_close(&c.base);
	buf_release(&c.scratch);
	digest_acc_release(&c.digest);
	return r;
}
