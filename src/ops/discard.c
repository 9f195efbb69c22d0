/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/discard.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "survey/survey.h"

struct disk_range {
	uint32_t disk;
	struct source_range r;
};

struct collect {
	const struct survey_volume *vol;
	VEC(struct disk_range) ranges;
	size_t start; /* of the volume at hand */
	struct fs *fs;
	bool damaged, in_use; /* what the walk of its files met */
};

typedef int (*piece_fn)(struct collect *c, uint32_t disk, uint64_t off,
	uint64_t len);

static int add(struct collect *c, uint32_t disk, uint64_t off, uint64_t len)
{
	struct disk_range *last =
		c->ranges.len ? vec_last(&c->ranges) : NULL;

	if (last && last->disk == disk && last->r.off + last->r.len == off) {
		last->r.len += len;
		return 0;
	}
	return c->ranges.len < LIMIT_DISK_EXTENTS &&
			       vec_push(&c->ranges,
				       (struct disk_range){ disk, { off, len } })
		       ? 0
		       : ERR_LIMIT;
}

/* Where on the disks a range of a device of the volume is. */
static int each_piece(struct collect *c, uint32_t dev, uint64_t off,
	uint64_t len, piece_fn fn)
{
	const survey_segments *segs;
	uint64_t at = 0;

	if (dev >= c->vol->devs.len ||
		!range_inside(off, len, c->vol->devs.items[dev].src->size))
		return ERR_CORRUPT;
	segs = &c->vol->devs.items[dev].segments;
	for (size_t i = 0; i < segs->len && len; i++) {
		const struct survey_segment *g = &segs->items[i];

		if (off < at + g->len) {
			uint64_t in = off - at, n = u64_min(g->len - in, len);
			int r = g->disk == SURVEY_NO_DISK
					? 0
					: fn(c, g->disk, g->off + in, n);

			if (r)
				return r;
			off += n;
			len -= n;
		}
		at += g->len;
	}
	return 0;
}

static int on_free(void *ctx, uint32_t dev, uint64_t off, uint64_t len)
{
	return each_piece(ctx, dev, off, len, add);
}

static int by_place(const void *a, const void *b)
{
	const struct disk_range *x = a, *y = b;

	if (x->disk != y->disk)
		return x->disk < y->disk ? -1 : 1;
	return (x->r.off > y->r.off) - (x->r.off < y->r.off);
}

/* --- is anything a file's that is called free? --- */

static int look(struct collect *c, uint32_t disk, uint64_t off, uint64_t len)
{
	size_t lo = c->start, hi = c->ranges.len;

	/* The first range that ends behind off. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct disk_range *x = &c->ranges.items[mid];

		if (x->disk < disk ||
			(x->disk == disk && x->r.off + x->r.len <= off))
			lo = mid + 1;
		else
			hi = mid;
	}
	c->in_use = lo < c->ranges.len && c->ranges.items[lo].disk == disk &&
		    c->ranges.items[lo].r.off < off + len;
	return c->in_use ? ERR_CONFLICT : 0;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct collect *c = ctx;

	return x->kind == FS_EXTENT_INLINE
		       ? 0
		       : each_piece(c, x->dev, x->dev_off, x->dev_len, look);
}

static int on_entry(void *ctx, const struct walk_item *it)
{
	struct collect *c = ctx;
	struct error e;

	if (it->node.type != FS_FILE || it->node.flags & FS_NODE_OPAQUE ||
		!it->node.size)
		return 0;
	if (c->fs->ops->extents(c->fs, it->node.id, on_extent, c, &e))
		c->damaged = true;
	return c->damaged ? ERR_CONFLICT : 0;
}

static void on_finding(void *ctx, const struct finding *f)
{
	struct collect *c = ctx;

	c->damaged |= finding_severity(f->id) == FINDING_DAMAGE;
}

/* Maps of free space and what files hold are two tales. Where they differ, or
 * something is damaged, the maps may be wrong in what nobody can see, too. */
static int compare_files(struct collect *c, const struct finding_sink *sink,
	struct error *e)
{
	struct walk_visitor visitor = { .entry = on_entry, .ctx = c };
	int r = 0;

	if (c->ranges.len > c->start)
		qsort(c->ranges.items + c->start, c->ranges.len - c->start,
			sizeof(*c->ranges.items), by_place);
	if (!c->damaged)
		r = survey_walk(c->fs, sink, &visitor, e);
	if (c->in_use)
		return error_set(e, ERR_CORRUPT,
			"files stand in what it calls free");
	if (c->damaged)
		return error_set(e, ERR_CORRUPT, "it is damaged");
	return r;
}

static void volume_ranges(struct collect *c, const struct survey_volume *v,
	const struct finding_sink *findings)
{
	struct finding_sink sink = { on_finding, c };
	struct error e = { 0 };
	int r;

	c->vol = v;
	c->start = c->ranges.len;
	c->damaged = c->in_use = false;
	if (v->ops && !strcmp(v->info.type, "swap")) {
		/* The header fills the first page; what follows is memory of a
		 * machine that is off. A hibernated one has another type. */
		uint64_t page = v->info.block_size >= 4096 ? v->info.block_size
							   : 65536;

		if (v->size > page)
			on_free(c, 0, page, v->size - page);
		return;
	}
	/* What is in a file is not free; and what a copy of a superblock says
	 * may be of a file system that is no more. */
	if (!v->ops || !v->ops->open || !v->ops->free_space ||
		v->member_of_other || v->nested || v->maybe)
		return;
	r = survey_open_fs(v, &sink, &c->fs, &e);
	if (!r) {
		r = c->fs->ops->free_space(c->fs, on_free, c, &e);
		if (!r)
			r = compare_files(c, &sink, &e);
		c->fs->ops->close(c->fs);
	}
	if (!r)
		return;
	c->ranges.len = c->start; /* all or nothing */
	finding_report(findings, FINDING_FS_UNSUPPORTED, FINDING_NO_OFFSET,
		v->name, "its free space is kept: %s",
		e.code ? e.msg : "it cannot be told for certain");
}

/* How much of the ranges is data. */
static int count_data(struct source *src, const struct source_range *r,
	size_t n, uint64_t *sum, struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t at = r[i].off, end = r[i].off + r[i].len;

		while (at < end) {
			uint64_t from, to;
			int rc = source_next_data(src, at, end, UINT64_MAX,
				&from, &to, e);

			if (rc)
				return rc;
			*sum += to - from;
			at = to > at ? to : end;
		}
	}
	return 0;
}

int discard_free_space(struct source *const *disks, size_t n,
	const struct finding_sink *findings, struct source **out_disks,
	uint64_t *out_bytes, struct error *e)
{
	AUTO_SURVEY s = { 0 };
	struct collect c = { 0 };
	size_t at = 0;
	int r;

	*out_bytes = 0;
	memset(out_disks, 0, n * sizeof(struct source *));
	/* The import surveys again, and reports what is odd then. */
	r = survey_open(disks, n, NULL, &s, e);
	for (size_t i = 0; i < s.volumes.len && !r; i++)
		volume_ranges(&c, &s.volumes.items[i], findings);
	if (c.ranges.len)
		qsort(c.ranges.items, c.ranges.len, sizeof(*c.ranges.items),
			by_place);
	for (uint32_t d = 0; d < n && !r; d++) {
		VEC(struct source_range) one = { 0 };

		for (; at < c.ranges.len && c.ranges.items[at].disk == d;
			at++) {
			struct source_range g = c.ranges.items[at].r;

			/* Two file systems cannot both own it: keep it then. */
			if (one.len && vec_last(&one)->off +
						vec_last(&one)->len > g.off)
				continue;
			if (!vec_push(&one, g))
				r = error_nomem(e);
		}
		if (!r)
			r = count_data(disks[d], one.items, one.len, out_bytes,
				e);
		if (!r)
			r = source_mask(disks[d], one.items, one.len,
				&out_disks[d], e);
		vec_release(&one);
	}
	vec_release(&c.ranges);
	for (size_t d = 0; r && d < n; d++) {
		source_unref(out_disks[d]);
		out_disks[d] = NULL;
	}
	return r;
}
