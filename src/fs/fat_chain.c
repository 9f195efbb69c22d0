/* SPDX-License-Identifier: Apache-2.0 */
/* FAT: the allocation table. Chains, content, free space. */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/fat.h"

/* Brings [off, off+n) of the table into the window; n is small. A copy that
 * cannot be read is replaced by another. */
static int window(struct fat *f, uint64_t off, size_t n, const uint8_t **out,
	struct error *e)
{
	uint64_t start;
	size_t len;
	int r = 0;

	if (f->window_len && off >= f->window_off &&
		range_inside(off - f->window_off, n, f->window_len)) {
		*out = f->window + (off - f->window_off);
		return 0;
	}
	/* FAT12 entries straddle: start a little before. */
	start = round_down(off, 512);
	if (!range_inside(off, n, f->g.fat_len))
		return error_set(e, ERR_RANGE, "FAT entry outside the table");
	len = (size_t)u64_min(FAT_WINDOW, f->g.fat_len - start);
	f->window_len = 0;
	for (uint32_t i = 0; i < f->g.nfats; i++) {
		uint32_t copy = i == 0			? f->g.active_fat
				: i <= f->g.active_fat ? i - 1
							: i;
		uint64_t at = f->g.fat_off + copy * f->g.fat_len + start;
		struct error err = { 0 };
		/* Of a truncated volume, what is there. */
		size_t have = at < f->dev->size ? (size_t)u64_min(len,
							  f->dev->size - at)
						: 0;

		if (have < (size_t)(off - start) + n) {
			r = error_at(e, ERR_CORRUPT, at,
				"the allocation table is outside the volume");
			continue;
		}
		r = source_pread(f->dev, f->window, have, at, &err);
		if (!r) {
			f->window_off = start;
			f->window_len = have;
			*out = f->window + (off - start);
			return 0;
		}
		if (e)
			*e = err;
		if (!f->fat_reported)
			finding_report(&f->findings, FINDING_READ_ERROR, at,
				NULL, "copy %" PRIu32 " of the FAT: %s", copy,
				err.msg);
		f->fat_reported = true;
	}
	return r;
}

int fat_get(struct fat *f, uint32_t cluster, uint32_t *out, struct error *e)
{
	const uint8_t *p = NULL;
	uint64_t off = (uint64_t)cluster * f->g.bits / 8;
	int r;

	r = window(f, off, f->g.bits == 32 ? 4 : 2, &p, e);
	if (r)
		return r;
	if (f->g.bits == 32)
		*out = get_le32(p) & (f->g.exfat ? UINT32_MAX : 0x0fffffff);
	else if (f->g.bits == 16)
		*out = get_le16(p);
	else
		*out = (cluster & 1 ? get_le16(p) >> 4 : get_le16(p)) & 0xfff;
	return 0;
}

int fat_next(struct fat *f, uint32_t cluster, uint32_t *out, struct error *e)
{
	uint32_t v, end = f->g.exfat	  ? UINT32_MAX
			  : f->g.bits == 32 ? 0x0ffffff8
			  : f->g.bits == 16 ? 0xfff8
					    : 0xff8;
	int r;

	r = fat_get(f, cluster, &v, e);
	if (r)
		return r;
	if (v >= end) {
		*out = FAT_END;
		return 0;
	}
	if (!fat_is_cluster(&f->g, v))
		return error_at(e, ERR_CORRUPT,
			f->g.fat_off + (uint64_t)cluster * f->g.bits / 8,
			"the entry of cluster %" PRIu32 " in the FAT is %#" PRIx32
			", not a cluster",
			cluster, v);
	*out = v;
	return 0;
}

static int short_chain(uint64_t have, uint64_t size, struct error *e)
{
	return error_set(e, ERR_CORRUPT,
		"the cluster chain ends after %" PRIu64 " of %" PRIu64 " bytes",
		have, size);
}

/* Adds cluster c to the extent that grows, which is delivered when another
 * begins. */
static int add_cluster(struct fat *f, uint32_t c, uint64_t size, uint64_t *done,
	struct fs_extent *x, fs_extent_fn fn, void *ctx, struct error *e)
{
	uint64_t off = fat_cluster_off(&f->g, c), len = f->g.cluster;
	int r;

	/* The last cluster of a volume that was cut within it counts if the
	 * file's bytes are there. */
	if (!range_inside(off, len, f->dev->size))
		len = u64_min(len, size - *done * f->g.cluster);
	if (!range_inside(off, len, f->dev->size))
		return error_at(e, ERR_CORRUPT, off,
			"cluster %" PRIu32 " is outside the volume", c);
	if (x->len && x->dev_off + x->dev_len == off) {
		x->len += len;
		x->dev_len = x->len;
	} else {
		if (x->len) {
			r = fn(ctx, x);
			if (r)
				return r;
		}
		x->file_off = *done * f->g.cluster;
		x->dev_off = off;
		x->len = x->dev_len = len;
	}
	++*done;
	return 0;
}

/* The walk ends: Brent's method finds a loop in less than three times the
 * number of clusters. */
int fat_extents(struct fat *f, uint32_t start, uint64_t size, fs_extent_fn fn,
	void *ctx, struct error *e)
{
	struct fs_extent x = { .kind = FS_EXTENT_DATA };
	uint64_t need = div_ceil(size, f->g.cluster);
	uint32_t c = start, tortoise = start, power = 1, steps = 0;
	uint64_t done = 0;
	int r;

	if (!size)
		return 0;
	if (need > f->g.clusters)
		return error_set(e, ERR_CORRUPT,
			"a file of %" PRIu64 " bytes in a file system of %" PRIu64,
			size, f->g.size);
	if (!fat_is_cluster(&f->g, start))
		return error_set(e, ERR_CORRUPT,
			"a file of %" PRIu64 " bytes starts at cluster %" PRIu32,
			size, start);
	for (;;) {
		if (done < need) {
			r = add_cluster(f, c, size, &done, &x, fn, ctx, e);
			if (r)
				return r;
		}
		/* A chain that ends has no loop. One that goes on behind the
		 * size is legal (preallocated), but may be one. */
		r = fat_next(f, c, &c, done < need ? e : NULL);
		if (r && done == need)
			break;
		if (r)
			return r;
		if (c == FAT_END && done == need)
			break;
		if (c == FAT_END)
			return short_chain(done * f->g.cluster, size, e);
		if (c == tortoise)
			return error_set(e, ERR_CORRUPT,
				"the cluster chain loops at %" PRIu32, c);
		if (++steps == power) {
			tortoise = c;
			power *= 2;
			steps = 0;
		}
	}
	return fn(ctx, &x);
}

/* Moves the cursor to the index-th cluster of a chain. */
static int seek(struct fat *f, uint64_t id, uint32_t start, uint32_t index,
	struct error *e)
{
	struct fat_cursor *k = &f->cursor;
	int r;

	if (k->id != id || k->start != start) {
		k->id = id;
		k->start = start;
		k->index = 0;
		k->cluster = start;
		k->step = f->g.clusters / (uint32_t)ARRAY_LEN(k->marks) + 1;
		k->marks[0] = start;
		k->marks_len = 1;
	}
	if (index < k->index) {
		uint32_t m = index / k->step; /* was passed: is remembered */

		k->index = m * k->step;
		k->cluster = k->marks[m];
	}
	while (k->index < index) {
		uint32_t next = FAT_END;

		r = fat_next(f, k->cluster, &next, e);
		if (r)
			return r;
		if (next == FAT_END)
			return short_chain((uint64_t)(k->index + 1) *
						   f->g.cluster,
				(uint64_t)(index + 1) * f->g.cluster, e);
		k->cluster = next;
		k->index++;
		if (k->index == (uint64_t)k->marks_len * k->step &&
			k->marks_len < ARRAY_LEN(k->marks))
			k->marks[k->marks_len++] = next;
	}
	return 0;
}

int fat_pread(struct fat *f, uint64_t id, uint32_t start, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	uint8_t *p = buf;
	int r;

	if (!len)
		return 0;
	if (!fat_is_cluster(&f->g, start) ||
		(off + len - 1) / f->g.cluster >= f->g.clusters)
		return error_set(e, ERR_CORRUPT,
			"a file that starts at cluster %" PRIu32
			" has no byte %" PRIu64,
			start, off);
	while (len) {
		uint32_t in = (uint32_t)(off % f->g.cluster);
		uint32_t first, last;
		uint64_t at;
		size_t n;

		r = seek(f, id, start, (uint32_t)(off / f->g.cluster), e);
		if (r)
			return r;
		/* As many clusters as follow each other on the disk. */
		first = last = f->cursor.cluster;
		n = f->g.cluster - in;
		while (n < len) {
			r = seek(f, id, start, f->cursor.index + 1, e);
			if (r)
				return r;
			if (f->cursor.cluster != last + 1)
				break;
			last++;
			n += f->g.cluster;
		}
		n = size_min(n, len);
		at = fat_cluster_off(&f->g, first) + in;
		r = source_pread(f->dev, p, n, at, e);
		if (r)
			return r == ERR_RANGE ? error_at(e, ERR_CORRUPT, at,
							"cluster %" PRIu32
							" is outside the volume",
							first)
					      : r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

int fat_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e)
{
	struct fat *f = (struct fat *)fs;
	uint32_t run = 0, last = f->g.clusters + 1;
	int r;

	for (uint32_t c = 2; c <= last + 1; c++) {
		uint32_t v = 1;
		uint64_t off, len;

		if (c <= last) {
			r = fat_get(f, c, &v, e);
			if (r)
				return r;
		}
		if (!v) {
			if (!run)
				run = c;
			continue;
		}
		if (!run)
			continue;
		off = fat_cluster_off(&f->g, run);
		len = (uint64_t)(c - run) * f->g.cluster;
		run = 0;
		if (off >= f->dev->size)
			continue;
		r = fn(ctx, 0, off, u64_min(len, f->dev->size - off));
		if (r)
			return r;
	}
	return 0;
}

/* All of it where it is small, else its start: a mirror that was forgotten
 * differs there already. */
#define COMPARE_MAX (1 * MIB)

void fat_compare_copies(struct fat *f)
{
	uint8_t a[4096], b[4096];
	uint64_t len = u64_min(f->g.fat_len, COMPARE_MAX);

	if (f->g.active_fat || f->g.nfats < 2)
		return;
	for (uint64_t at = 0; at < len; at += sizeof(a)) {
		size_t n = (size_t)u64_min(sizeof(a), len - at);
		uint64_t off = f->g.fat_off + at;

		if (source_pread(f->dev, a, n, off, NULL) ||
			source_pread(f->dev, b, n, off + f->g.fat_len, NULL))
			return;
		if (!at) /* the first two entries hold flags */
			memcpy(a, b, 8);
		if (!memcmp(a, b, n))
			continue;
		finding_report(&f->findings, FINDING_FS_DAMAGED, off, NULL,
			"the copies of the allocation table differ; the first "
			"is used");
		return;
	}
}
