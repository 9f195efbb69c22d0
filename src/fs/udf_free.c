/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: blocks not in use, of the partitions that say it: by a bitmap or by a
 * list of extents. See udf.h. ECMA-167 4/14.3, 4/14.11, 4/14.12. */
#include "fs/udf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

struct free_walk {
	struct udf *f;
	unsigned part;
	fs_range_fn fn;
	void *ctx;
	struct error *e;
	uint64_t told; /* blocks of this partition */
};

static int deliver(struct free_walk *w, uint32_t block, uint32_t count)
{
	w->told += count;
	while (count) {
		uint64_t off;
		uint32_t n;
		int r = udf_map(w->f, w->part, block, count, false, &off, &n,
			w->e);

		if (r)
			return r;
		if (off >= w->f->src->size)
			return 0;
		r = w->fn(w->ctx, 0, off,
			u64_min((uint64_t)n * w->f->block_size,
				w->f->src->size - off));
		if (r)
			return r;
		block += n;
		count -= n;
	}
	return 0;
}

/* A bit a block, set where it is free. */
static int from_bitmap(struct free_walk *w, uint32_t first, struct error *e)
{
	AUTO_FREE uint8_t *b = malloc(w->f->block_size);
	const struct udf_bitmap *h = (const void *)b;
	uint32_t bits, run = 0, done = 0, got, block = first;
	uint64_t off;
	size_t at = sizeof(*h);
	int r;

	if (!b)
		return error_nomem(e);
	/* Linux does not keep the checksum: the tag's own sum alone counts */
	r = udf_map(w->f, w->part, first, 1, false, &off, &got, e);
	if (!r)
		r = source_pread(w->f->meta, b, w->f->block_size, off, e);
	if (r)
		return r;
	bits = le32_get(h->bits);
	if (le16_get(h->tag.id) != UDF_TAG_BITMAP ||
		udf_tag_fault(b, sizeof(h->tag), first) ||
		bits != w->f->parts[w->part].len ||
		le32_get(h->bytes) < div_ceil(bits, 8))
		return error_at(e, ERR_CORRUPT, off,
			"udf: a damaged space bitmap");
	while (done < bits) {
		if (at == w->f->block_size) {
			r = udf_map(w->f, w->part, ++block, 1, false, &off,
				&got, e);
			if (!r)
				r = source_pread(w->f->meta, b,
					w->f->block_size, off, e);
			if (r)
				return r;
			at = 0;
		}
		for (unsigned i = 0; i < 8 && done < bits; i++, done++) {
			if (b[at] & 1 << i) {
				run++;
				continue;
			}
			r = deliver(w, done - run, run);
			if (r)
				return r;
			run = 0;
		}
		at++;
	}
	return deliver(w, done - run, run);
}

/* A list of extents, in one block: where it goes on, the rest is not told. */
static int from_table(struct free_walk *w, uint32_t block, struct error *e)
{
	AUTO_FREE uint8_t *b = malloc(w->f->block_size);
	size_t head = 40, len;
	uint64_t off;
	int r;

	if (!b)
		return error_nomem(e);
	r = udf_read_tagged(w->f, w->part, block, b, &off, e);
	if (r)
		return r;
	len = get_le32(b + 36);
	if (get_le16(b) != UDF_TAG_UNALLOCATED ||
		len > w->f->block_size - head)
		return error_at(e, ERR_CORRUPT, off,
			"udf: a damaged unallocated space entry");
	for (size_t at = head; at + 8 <= head + len; at += 8) {
		uint32_t word = get_le32(b + at), n = word & UDF_EXTENT_LEN;

		if (!n || word >> 30 == UDF_CONTINUES)
			return 0;
		if (n % w->f->block_size)
			return error_at(e, ERR_CORRUPT, off + at,
				"udf: a free extent of %" PRIu32 " bytes", n);
		r = deliver(w, get_le32(b + at + 4), n / w->f->block_size);
		if (r)
			return r;
	}
	return 0;
}

int udf_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e)
{
	struct udf *f = (struct udf *)fs;
	struct free_walk w = { .f = f, .fn = fn, .ctx = ctx, .e = e };

	/* a disc that is written once has nothing to give */
	for (unsigned i = 0; i < f->nparts; i++)
		if (f->parts[i].kind == UDF_MAP_VIRTUAL)
			return 0;
	if (f->open)
		return error_set(e, ERR_UNSUPPORTED,
			"udf: what is free is not known while the volume is "
			"being written");
	/* the other file system's blocks may look free */
	if (f->iso)
		return 0;
	for (unsigned i = 0; i < f->nparts; i++) {
		const struct udf_part *p = &f->parts[i];
		int r = 0;

		if (p->kind != UDF_MAP_PHYSICAL && p->kind != UDF_MAP_SPARABLE)
			continue;
		w.part = i;
		w.told = 0;
		if (le32_get(p->free_bitmap.len))
			r = from_bitmap(&w, le32_get(p->free_bitmap.block), e);
		else if (le32_get(p->free_table.len))
			r = from_table(&w, le32_get(p->free_table.block), e);
		else
			continue;
		/* what is free may be thrown away: both must say so */
		if (!r && p->free_blocks != UINT32_MAX &&
			p->free_blocks != w.told)
			r = error_set(e, ERR_CORRUPT,
				"udf: %" PRIu64 " blocks are free, the "
				"integrity descriptor says %" PRIu32,
				w.told, p->free_blocks);
		if (r)
			return r;
	}
	return 0;
}
