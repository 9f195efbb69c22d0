/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in memory over another source. Kept in 4 KiB blocks in a hash table;
 * a block that is written in part is filled from the base first. */
#include "os/source.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define BLOCK 4096u
#define MAX_BLOCKS (1 * GIB / BLOCK)

struct overlay_block {
	struct overlay_block *next;
	uint64_t index;
	uint8_t data[BLOCK];
};

struct overlay_source {
	struct source s;
	struct source *base;
	struct overlay_block **buckets;
	size_t nbuckets; /* a power of two */
	size_t count;
};

static size_t bucket_of(const struct overlay_source *o, uint64_t index)
{
	return (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
	       (o->nbuckets - 1);
}

static struct overlay_block *find(const struct overlay_source *o,
	uint64_t index)
{
	struct overlay_block *b;

	if (!o->count)
		return NULL;
	for (b = o->buckets[bucket_of(o, index)]; b; b = b->next)
		if (b->index == index)
			return b;
	return NULL;
}

static int overlay_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct overlay_source *o = (struct overlay_source *)s;
	uint64_t end = off + len, i;
	int r;

	if (!o->count)
		return source_pread(o->base, buf, len, off, e);
	/* The base is read in one piece, then covered: overlays are small. */
	r = source_pread(o->base, buf, len, off, e);
	if (r)
		return r;
	for (i = off / BLOCK; i * BLOCK < end; i++) {
		struct overlay_block *b = find(o, i);
		uint64_t from = u64_max(off, i * BLOCK);
		uint64_t to = u64_min(end, (i + 1) * BLOCK);

		if (b)
			memcpy((uint8_t *)buf + (from - off),
				b->data + (from - i * BLOCK),
				(size_t)(to - from));
	}
	return 0;
}

static int overlay_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct overlay_source *o = (struct overlay_source *)s;
	uint64_t i = off / BLOCK, end;
	int r;

	if (find(o, i)) {
		*out = (struct source_extent){ .off = i * BLOCK,
			.len = u64_min(BLOCK, s->size - i * BLOCK),
			.kind = SOURCE_DATA };
		return 0;
	}
	r = source_extent_at(o->base, off, out, e);
	if (r || !o->count || out->kind == SOURCE_DATA)
		return r;
	/* A zero extent ends where a written block begins. Scan the blocks if
	 * the extent is short, else the table. */
	end = off + out->len;
	if ((end - off) / BLOCK <= o->nbuckets) {
		for (i++; i * BLOCK < end; i++)
			if (find(o, i))
				break;
		end = u64_min(end, i * BLOCK);
	} else {
		for (size_t k = 0; k < o->nbuckets; k++)
			for (struct overlay_block *b = o->buckets[k]; b;
				b = b->next)
				if (b->index * BLOCK > off)
					end = u64_min(end, b->index * BLOCK);
	}
	out->len = end - off;
	return 0;
}

static void overlay_close(struct source *s)
{
	struct overlay_source *o = (struct overlay_source *)s;

	for (size_t i = 0; i < o->nbuckets; i++)
		for (struct overlay_block *b = o->buckets[i], *n; b; b = n) {
			n = b->next;
			free(b);
		}
	free(o->buckets);
	source_unref(o->base);
	free(o);
}

static const struct source_ops overlay_ops = {
	.name = "overlay",
	.pread = overlay_pread,
	.extent = overlay_extent,
	.close = overlay_close,
};

int source_overlay(struct source *base, struct source **out, struct error *e)
{
	struct overlay_source *o = calloc(1, sizeof(*o));

	if (!o)
		return error_nomem(e);
	o->nbuckets = 64;
	o->buckets = calloc(o->nbuckets, sizeof(struct overlay_block *));
	if (!o->buckets) {
		free(o);
		return error_nomem(e);
	}
	source_init(&o->s, &overlay_ops, base->size);
	o->s.sector_size = base->sector_size;
	o->base = source_ref(base);
	*out = &o->s;
	return 0;
}

static bool grow(struct overlay_source *o)
{
	size_t old_n = o->nbuckets;
	struct overlay_block **old = o->buckets;
	struct overlay_block **fresh = calloc(old_n * 4, sizeof(*fresh));

	if (!fresh)
		return false;
	o->buckets = fresh;
	o->nbuckets = old_n * 4;
	for (size_t i = 0; i < old_n; i++)
		for (struct overlay_block *b = old[i], *n; b; b = n) {
			size_t k = bucket_of(o, b->index);

			n = b->next;
			b->next = fresh[k];
			fresh[k] = b;
		}
	free(old);
	return true;
}

int source_overlay_write(struct source *s, const void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct overlay_source *o = (struct overlay_source *)s;
	uint64_t end, i;
	int r;

	if (!range_inside(off, len, s->size))
		return error_at(e, ERR_RANGE, off, "write is outside");
	end = off + len;
	for (i = off / BLOCK; i * BLOCK < end; i++) {
		struct overlay_block *b = find(o, i);
		uint64_t from = u64_max(off, i * BLOCK);
		uint64_t to = u64_min(end, (i + 1) * BLOCK);
		size_t k;

		if (!b) {
			if (o->count >= MAX_BLOCKS)
				return error_at(e, ERR_LIMIT, off,
					"overlay holds more than 1 GiB");
			if (o->count >= o->nbuckets * 2 && !grow(o))
				return error_nomem(e);
			b = calloc(1, sizeof(*b));
			if (!b)
				return error_nomem(e);
			if (to - from < BLOCK) {
				r = source_pread(o->base, b->data,
					(size_t)u64_min(BLOCK,
						s->size - i * BLOCK),
					i * BLOCK, e);
				if (r) {
					free(b);
					return r;
				}
			}
			b->index = i;
			k = bucket_of(o, i);
			b->next = o->buckets[k];
			o->buckets[k] = b;
			o->count++;
		}
		memcpy(b->data + (from - i * BLOCK),
			(const uint8_t *)buf + (from - off),
			(size_t)(to - from));
	}
	return 0;
}

uint64_t source_overlay_held(struct source *s)
{
	return ((struct overlay_source *)s)->count *
	       sizeof(struct overlay_block);
}
