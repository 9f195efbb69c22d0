/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: checksums of data. The checksum tree has one for every sector of data
 * but that of files made without; an item holds those of many sectors in a
 * row, and the last one is kept, so that reading forwards costs little. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

#define CSUM_TREE 7
#define EXTENT_CSUM_OBJECTID UINT64_C(-10)
#define EXTENT_CSUM 128

static const uint8_t sizes[] = { 4, 8, 32, 32 };

void btrfs_sums_release(struct btrfs_sums *s)
{
	free(s->data);
	free(s->map.items);
	*s = (struct btrfs_sums){ 0 };
}

/* Finds the sums that cover logical, or the gap that it lies in. */
static int load(struct btrfs *b, uint64_t logical, struct error *e)
{
	struct btrfs_sums *s = &b->sums;
	const struct btrfs_key key = { .objectid = EXTENT_CSUM_OBJECTID,
		.type = EXTENT_CSUM,
		.offset = logical };
	AUTO_PATH p = { 0 };
	AUTO_PATH next = { 0 };
	uint64_t n, len;
	uint8_t *copy;
	int rc;

	s->from = s->to = 0;
	if (!s->have_tree) {
		rc = btrfs_tree_find(b, CSUM_TREE, &s->tree, e);
		if (rc)
			return rc;
		s->have_tree = true;
	}
	rc = btrfs_seek_le(b, &s->tree, &key, &p, e);
	if (rc < 0)
		return rc;
	if (rc && p.key.objectid == EXTENT_CSUM_OBJECTID &&
		p.key.type == EXTENT_CSUM) {
		n = p.len / sizes[b->sb.csum_type];
		len = n * b->sb.sectorsize; /* far below 2^32 */
		if (n && logical - p.key.offset < len &&
			!(p.key.offset % b->sb.sectorsize)) {
			copy = realloc(s->data, p.len);
			if (!copy)
				return error_nomem(e);
			memcpy(copy, p.data, p.len);
			s->data = copy;
			s->none = false;
			s->from = p.key.offset;
			s->to = p.key.offset + len;
			return 0;
		}
	}
	rc = btrfs_seek(b, &s->tree, &key, &next, e);
	if (rc < 0)
		return rc;
	/* what could not be read is not known to have none */
	if (next.damaged)
		return btrfs_path_verdict(&next, e);
	s->none = true;
	s->from = logical;
	s->to = rc && next.key.objectid == EXTENT_CSUM_OBJECTID &&
				next.key.type == EXTENT_CSUM &&
				next.key.offset > logical
			? next.key.offset
			: UINT64_MAX;
	return 0;
}

int btrfs_data_check(struct btrfs *b, uint64_t logical, const uint8_t *data,
	size_t len, uint64_t *out_bad, struct error *e)
{
	struct btrfs_sums *s = &b->sums;
	const uint32_t sector = b->sb.sectorsize;
	const unsigned size = sizes[b->sb.csum_type];
	uint64_t at = (sector - logical % sector) % sector;

	while (at < len && len - at >= sector) {
		uint64_t l = logical + at;
		uint8_t sum[BTRFS_CSUM_MAX];

		if (l < s->from || l >= s->to) {
			int rc = load(b, l, e);

			if (rc)
				return rc;
		}
		if (s->none) {
			if (s->to - l >= len - at)
				return 0;
			at += round_up(s->to - l, sector);
			continue;
		}
		if (!btrfs_fuzz_no_csum &&
			btrfs_csum(b->sb.csum_type, data + at, sector, sum) &&
			memcmp(sum, s->data + (l - s->from) / sector * size,
				size) != 0) {
			*out_bad = at;
			return 1;
		}
		at += sector;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct btrfs_sum_stripe *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/* Where the stripes of data chunks lie on the devices. Those with parity are
 * left out: which stripe is parity changes along them. */
static int map_make(struct btrfs *b, struct error *e)
{
	struct btrfs_sums *s = &b->sums;

	for (size_t i = 0; i < b->chunks.len; i++) {
		const struct btrfs_chunk *c = &b->chunks.items[i];
		uint64_t data;
		uint32_t copies;

		if (!(c->type & BTRFS_BG_DATA) ||
			c->type & (BTRFS_BG_RAID5 | BTRFS_BG_RAID6) ||
			!btrfs_chunk_shape(c, &data, &copies))
			continue;
		for (uint32_t k = 0; k < c->nstripes; k++) {
			const struct btrfs_stripe *p =
				&b->stripes.items[c->first + k];
			struct btrfs_sum_stripe x = { .off = p->off,
				.len = div_ceil(c->len, data),
				.chunk = i,
				.col = k / copies,
				.data = data };

			if (p->dev == BTRFS_NO_DEV)
				continue;
			if (data > 1)
				x.len = round_up(x.len, c->stripe_len);
			x.dev = b->devs.items[p->dev].index;
			if (!vec_push(&s->map, x))
				return error_nomem(e);
		}
	}
	if (s->map.len)
		qsort(s->map.items, s->map.len, sizeof(*s->map.items),
			by_place);
	s->have_map = true;
	return 0;
}

/* The logical address of a place on a device, and how much of len follows it
 * there; false: it belongs to no data chunk (out_len says how far to go on). */
static bool to_logical(const struct btrfs *b, uint32_t dev, uint64_t off,
	uint64_t len, uint64_t *out, uint64_t *out_len)
{
	const struct btrfs_sums *s = &b->sums;
	size_t lo = 0, hi = s->map.len;
	const struct btrfs_sum_stripe *x;
	const struct btrfs_chunk *c;
	uint64_t in, row;

	/* the first behind the place */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		x = &s->map.items[mid];
		if (x->dev > dev || (x->dev == dev && x->off > off))
			hi = mid;
		else
			lo = mid + 1;
	}
	*out_len = len;
	if (lo < s->map.len && s->map.items[lo].dev == dev)
		*out_len = u64_min(len, s->map.items[lo].off - off);
	if (!lo)
		return false;
	x = &s->map.items[lo - 1];
	if (x->dev != dev || off - x->off >= x->len)
		return false;
	in = off - x->off;
	*out_len = u64_min(*out_len, x->len - in);
	c = &b->chunks.items[x->chunk];
	if (x->data == 1) {
		*out = c->logical + in;
		return true;
	}
	row = in / c->stripe_len;
	in %= c->stripe_len;
	*out_len = u64_min(*out_len, c->stripe_len - in);
	*out = c->logical + (row * x->data + x->col) * c->stripe_len + in;
	return true;
}

int btrfs_check_data(struct fs *fs, uint32_t dev, uint64_t off,
	const void *data, size_t len, uint64_t *out_bad, struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const uint8_t *p = data;
	uint64_t done = 0;
	int rc;

	/* none of it is there, and so all would be wrong */
	if (btrfs_is_metadump(&b->sb))
		return 0;
	rc = b->sums.have_map ? 0 : map_make(b, e);

	/* each turn takes a byte at least */
	while (!rc && done < len) {
		uint64_t logical, n, bad;

		if (to_logical(b, dev, off + done, len - done, &logical, &n)) {
			rc = btrfs_data_check(b, logical, p + done, (size_t)n,
				&bad, e);
			if (rc == 1)
				*out_bad = done + bad;
		}
		done += n;
	}
	return rc;
}
