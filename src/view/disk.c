/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "model/layout.h"
#include "view/view.h"

/* Decoded leaves are kept in slots by their number: 8 GiB of a disk without a
 * conflict, as long as all together have no more extents than this (72 bytes
 * each, 18 MiB). */
#define LEAVES 512
#define EXTENTS_MAX (256 * 1024)

struct leaf {
	uint64_t index;
	unsigned refs; /* of the cache, and of readers at work */
	layout_extents x;
};

struct disk_source {
	struct source s;
	struct library *l;
	pthread_mutex_t lock;
	struct layout_reader reader;
	struct leaf *leaves[LEAVES];
	size_t extents; /* of all leaves kept */
	unsigned victim;
};

/* With the lock held. */
static void leaf_drop(struct leaf *lf)
{
	if (--lf->refs)
		return;
	vec_release(&lf->x);
	free(lf);
}

static void leaf_unref(struct disk_source *d, struct leaf *lf)
{
	pthread_mutex_lock(&d->lock);
	leaf_drop(lf);
	pthread_mutex_unlock(&d->lock);
}

/* With the lock held: empties a slot. */
static void slot_clear(struct disk_source *d, unsigned slot)
{
	struct leaf *old = d->leaves[slot];

	if (!old)
		return;
	d->leaves[slot] = NULL;
	d->extents -= old->x.len;
	leaf_drop(old);
}

/* Keeps a leaf; others go, one slot after the other, while there is too
 * much. */
static void leaf_keep(struct disk_source *d, struct leaf *lf)
{
	unsigned slot = lf->index % LEAVES;

	pthread_mutex_lock(&d->lock);
	slot_clear(d, slot);
	for (unsigned i = 0; i < LEAVES && d->extents + lf->x.len > EXTENTS_MAX;
		i++)
		slot_clear(d, d->victim++ % LEAVES);
	d->leaves[slot] = lf;
	d->extents += lf->x.len;
	pthread_mutex_unlock(&d->lock);
}

static int damage(int r, struct error *e)
{
	if (r == ERR_CORRUPT || r == ERR_RANGE) {
		if (e)
			e->code = ERR_DAMAGED;
		error_prefix(e, "library");
		return ERR_DAMAGED;
	}
	return r;
}

/* The leaf's extents, or NULL in *out where it is zeros; *out_skip: how many
 * leaves from here are zeros. */
static int get_leaf(struct disk_source *d, uint64_t index, struct leaf **out,
	uint64_t *out_skip, struct error *e)
{
	AUTO_BUF rec = BUF_INIT;
	struct leaf *lf;
	struct oid id;
	int r;

	*out = NULL;
	pthread_mutex_lock(&d->lock);
	lf = d->leaves[index % LEAVES];
	if (lf && lf->index == index) {
		lf->refs++;
		*out = lf;
		*out_skip = 0;
		pthread_mutex_unlock(&d->lock);
		return 0;
	}
	r = layout_reader_leaf(&d->reader, index, &id, out_skip, e);
	pthread_mutex_unlock(&d->lock);
	if (r || *out_skip)
		return damage(r, e);
	r = library_get_layout(d->l, &id, &rec, e);
	if (r)
		return r;
	lf = calloc(1, sizeof(*lf));
	if (!lf)
		return error_nomem(e);
	lf->index = index;
	lf->refs = 2;
	r = layout_leaf_decode(rec.data, rec.len, index * LAYOUT_SPAN,
		d->s.size, &lf->x, e);
	if (r) {
		vec_release(&lf->x);
		free(lf);
		return damage(r, e);
	}
	leaf_keep(d, lf);
	*out = lf;
	return 0;
}

static size_t find(const layout_extents *x, uint64_t off)
{
	size_t lo = 0, hi = x->len;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->items[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Bytes of an extent; what is behind the end of the blob is zeros. */
static int read_extent(struct disk_source *d, const struct layout_extent *x,
	uint8_t *buf, size_t len, uint64_t in, struct error *e)
{
	uint64_t off;

	if (x->kind == LAYOUT_ZERO) {
		memset(buf, 0, len);
		return 0;
	}
	if (!u64_add(x->id_off, in, &off))
		return error_set(e, ERR_DAMAGED, "library: a layout overflows");
	return store_read_padded(d->l->store, &x->id, buf, len, off, e);
}

/* Reads of at least this much are one thread's part of a sweep. */
#define LONG_READ (256 * 1024)
/* What a thread whose frames others are decoding decodes for the reads that
 * come next, instead of waiting. */
#define AHEAD (4 * 1024 * 1024)

/* Decodes the frames of [off, end) of a leaf: all, or up to the first that was
 * not decoded before. Returns enum store_warmth. */
static unsigned warm(struct disk_source *d, const struct leaf *lf,
	uint64_t off, uint64_t end, bool all)
{
	unsigned done = 0;

	for (size_t i = find(&lf->x, off);
		off < end && (all || !(done & WARM_DECODED)); i++) {
		const struct layout_extent *x = &lf->x.items[i];
		uint64_t in = off - x->off, at;
		uint64_t n = u64_min(x->len - in, end - off);

		if (x->kind != LAYOUT_ZERO && u64_add(x->id_off, in, &at))
			done |= store_warm_blob(
				d->l->store, &x->id, (size_t)n, at);
		off += n;
	}
	return done;
}

/* Before a long read of [off, end) of a leaf. */
static void warm_read(struct disk_source *d, const struct leaf *lf,
	uint64_t off, uint64_t end)
{
	const struct layout_extent *last = vec_last(&lf->x);
	uint64_t stop = u64_min(end + AHEAD, last->off + last->len);

	if (warm(d, lf, off, end, true) & WARM_BUSY && end < stop)
		warm(d, lf, end, stop, false);
}

static int disk_pread(struct source *s, void *buf_arg, size_t len,
	uint64_t off, struct error *e)
{
	struct disk_source *d = (struct disk_source *)s;
	uint8_t *buf = buf_arg;

	while (len) {
		uint64_t index = off / LAYOUT_SPAN, skip;
		uint64_t end = u64_min((index + 1) * LAYOUT_SPAN, off + len);
		struct leaf *lf;
		int r = get_leaf(d, index, &lf, &skip, e);

		if (r)
			return r;
		if (!lf) {
			memset(buf, 0, (size_t)(end - off));
			buf += end - off;
			len -= (size_t)(end - off);
			off = end;
			continue;
		}
		if (end - off >= LONG_READ)
			warm_read(d, lf, off, end);
		for (size_t i = find(&lf->x, off); off < end && !r; i++) {
			const struct layout_extent *x = &lf->x.items[i];
			uint64_t in = off - x->off;
			size_t n = (size_t)u64_min(x->len - in, end - off);

			r = read_extent(d, x, buf, n, in, e);
			buf += n;
			len -= n;
			off += n;
		}
		leaf_unref(d, lf);
		if (r == ERR_NOTFOUND) { /* a layout must not dangle */
			if (e)
				e->code = ERR_DAMAGED;
			error_prefix(e, "layout");
			r = ERR_DAMAGED;
		}
		if (r)
			return r;
	}
	return 0;
}

static int disk_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct disk_source *d = (struct disk_source *)s;
	uint64_t index = off / LAYOUT_SPAN, skip;
	struct leaf *lf;
	size_t i, k;
	int r = get_leaf(d, index, &lf, &skip, e);

	if (r)
		return r;
	if (!lf) {
		uint64_t end = index + skip > s->size / LAYOUT_SPAN
				       ? s->size
				       : (index + skip) * LAYOUT_SPAN;

		*out = (struct source_extent){ .off = off,
			.len = end - off,
			.kind = SOURCE_ZERO };
		return 0;
	}
	i = k = find(&lf->x, off);
	/* Neighbours of the same kind are one extent to the outside. */
	while (k + 1 < lf->x.len && (lf->x.items[k + 1].kind == LAYOUT_ZERO) ==
					    (lf->x.items[i].kind == LAYOUT_ZERO))
		k++;
	*out = (struct source_extent){ .off = off,
		.len = lf->x.items[k].off + lf->x.items[k].len - off,
		.kind = lf->x.items[i].kind == LAYOUT_ZERO ? SOURCE_ZERO
							   : SOURCE_DATA };
	leaf_unref(d, lf);
	return 0;
}

static void disk_warm(struct source *s, uint64_t off, uint64_t len)
{
	struct disk_source *d = (struct disk_source *)s;
	uint64_t stop = off + len;

	while (off < stop) {
		uint64_t index = off / LAYOUT_SPAN, skip;
		uint64_t end = u64_min((index + 1) * LAYOUT_SPAN, stop);
		struct leaf *lf;

		if (get_leaf(d, index, &lf, &skip, NULL))
			break;
		if (lf) {
			warm(d, lf, off, end, true);
			leaf_unref(d, lf);
		}
		off = end;
	}
}

static void disk_close(struct source *s)
{
	struct disk_source *d = (struct disk_source *)s;

	for (unsigned i = 0; i < LEAVES; i++)
		slot_clear(d, i);
	layout_reader_release(&d->reader);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const struct source_ops disk_ops = {
	.name = "stored disk",
	.pread = disk_pread,
	.extent = disk_extent,
	.warm = disk_warm,
	.close = disk_close,
};

int view_disk(struct library *l, const struct image_disk *id,
	struct source **out, struct error *e)
{
	struct disk_source *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_nomem(e);
	source_init(&d->s, &disk_ops, id->size);
	d->s.sector_size = id->sector_size == 4096 ? 4096 : 512;
	d->l = l;
	r = layout_reader_init(&d->reader, &id->layout, id->size,
		library_get_layout, l, e);
	if (r) {
		free(d);
		return r;
	}
	pthread_mutex_init(&d->lock, NULL);
	*out = &d->s;
	return 0;
}

int view_volume(struct library *l, const struct image *im,
	const struct image_volume *v, struct source **out, struct error *e)
{
	AUTO_FREE struct source_segment *segs =
		calloc(v->segments.len + 1, sizeof(*segs));
	AUTO_FREE struct source **disks =
		calloc(im->disks.len + 1, sizeof(struct source *));
	int r = segs && disks ? 0 : error_nomem(e);

	for (size_t i = 0; i < v->segments.len && !r; i++) {
		const struct image_segment *g = &v->segments.items[i];

		segs[i].len = g->len;
		segs[i].off = g->off;
		if (g->disk == UINT32_MAX || !g->len)
			continue;
		if (g->disk >= im->disks.len) {
			r = error_set(e, ERR_DAMAGED,
				"library: volume %s is on a disk that the "
				"image does not have",
				v->name);
			break;
		}
		if (!disks[g->disk])
			r = view_disk(l, &im->disks.items[g->disk],
				&disks[g->disk], e);
		segs[i].src = disks[g->disk];
	}
	if (!r)
		r = damage(source_concat(segs, v->segments.len, out, e), e);
	for (size_t i = 0; disks && i < im->disks.len; i++)
		source_unref(disks[i]);
	return r;
}
