/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/cut.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

void cut_release(struct cut *c)
{
	vec_release(&c->files);
	vec_release(&c->extents);
	vec_release(&c->items);
	for (size_t i = 0; i < c->volumes.len; i++)
		listing_release(&c->volumes.items[i].listing);
	vec_release(&c->volumes);
	vec_release(&c->disks);
	vec_release(&c->slack);
	buf_release(&c->held);
}

/* --- collecting the files of one volume --- */

struct collect {
	struct cut *cut;
	struct fs *fs;
	const struct survey_volume *vol;
	const struct survey *survey;
	const struct finding_sink *findings;
	struct named *named; /* behind findings */
	struct listing *listing;
	const struct progress *progress;
	struct error *e;
	uint64_t count;
	/* of the file at hand */
	struct fs_node node;
	bool encoded, packed, not_plain;
	/* that extents hold, in another form at most a factor of what stands
	 * on the disk */
	uint64_t data_bytes;
	uint64_t file_end;     /* of its extents so far */
	uint64_t nested_bytes; /* what a nested volume may still hold */
	uint64_t *budget; /* bytes that may be hashed beyond those on disks */
	/* ids of files with several names that were collected */
	uint64_t *seen;
	size_t seen_cap, seen_n;
};

static bool seen_before(struct collect *c, uint64_t id)
{
	size_t k;

	if ((c->seen_n + 1) * 2 > c->seen_cap) {
		size_t cap = c->seen_cap ? c->seen_cap * 2 : 1024;
		uint64_t *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return false; /* collected twice: sorted out later */
		for (size_t i = 0; i < c->seen_cap; i++) {
			if (!c->seen[i])
				continue;
			for (k = (c->seen[i] * UINT64_C(0x9e3779b97f4a7c15) >>
				     20) &
				 (cap - 1);
				fresh[k]; k = (k + 1) & (cap - 1))
				;
			fresh[k] = c->seen[i];
		}
		free(c->seen);
		c->seen = fresh;
		c->seen_cap = cap;
	}
	for (k = ((id + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
		 (c->seen_cap - 1);
		c->seen[k]; k = (k + 1) & (c->seen_cap - 1))
		if (c->seen[k] == id + 1)
			return true;
	c->seen[k] = id + 1;
	c->seen_n++;
	return false;
}

/* Adds [off, off+len) of a device of the volume, as pieces of disks. Pieces
 * that begin behind the file's end are left out: slack is looked at as the tail
 * of one piece, and where its block is torn apart (a segment of a volume that
 * ends inside of it) the rest is as good in the skeleton. */
static int add_extent(struct collect *c, uint32_t dev, uint64_t off,
	uint64_t len, uint64_t file_off)
{
	const survey_segments *segs = &c->vol->devs.items[dev].segments;
	uint64_t at = 0;

	for (size_t i = 0; i < segs->len && len; i++) {
		const struct survey_segment *g = &segs->items[i];

		while (len && off < at + g->len) {
			uint64_t in = off - at;
			uint64_t n = u64_min(u64_min(g->len - in, len),
				CUT_EXTENT_MAX);
			struct cut_extent x = { .disk_off = g->off + in,
				.file_off = file_off,
				.len = (uint32_t)n,
				.disk = g->disk };

			if (file_off >= c->node.size)
				return 0;
			/* A hole in the volume reads as zeros, and so does what
			 * no extent covers. */
			if (g->disk != SURVEY_NO_DISK &&
				(c->cut->extents.len >= LIMIT_DISK_EXTENTS ||
					!vec_push(&c->cut->extents, x)))
				return ERR_LIMIT;
			off += n;
			file_off += n;
			len -= n;
		}
		at += g->len;
	}
	return 0;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct collect *c = ctx;
	uint64_t len = x->len, end;
	const struct survey_volume *v = c->vol;

	/* Two extents of one part of a file would give that part two contents:
	 * the file is one, the disk would come back as the other. No reader
	 * gives them; the disk's bytes must not hang on that. */
	if (x->file_off < c->file_end ||
		!u64_add(x->file_off, len, &c->file_end))
		return ERR_CORRUPT;
	switch (x->kind) {
	case FS_EXTENT_UNWRITTEN:
		return 0;
	case FS_EXTENT_ENCODED:
		c->encoded = true;
		if (x->dev_len < len / LIMIT_HASHED_FACTOR)
			len = x->dev_len * LIMIT_HASHED_FACTOR;
		/* fallthrough */
	case FS_EXTENT_INLINE:
		c->packed |= x->packed;
		c->not_plain = true;
		if (x->file_off < c->node.size)
			c->data_bytes += u64_min(len,
				c->node.size - x->file_off);
		return 0;
	case FS_EXTENT_DATA:
		break;
	}
	if (x->file_off >= c->node.size || x->dev >= v->devs.len)
		return 0;
	/* Up to the end of the last block, so that its slack is looked at
	 * together with it; what is allocated behind is not the file's. */
	end = c->node.size;
	if (v->info.block_size && v->info.block_size <= LIMIT_FS_BLOCK &&
		is_pow2(v->info.block_size))
		end = round_up(end, v->info.block_size);
	len = u64_min(len, end - x->file_off);
	if (!range_inside(x->dev_off, len, v->devs.items[x->dev].src->size))
		return ERR_CORRUPT;
	c->data_bytes += u64_min(len, c->node.size - x->file_off);
	return add_extent(c, x->dev, x->dev_off, len, x->file_off);
}

/* Keeps a short content that is all inline: the reader has the block of metadata
 * at hand. To decode one is left to many threads. What fails is told when it is
 * read again. */
static void hold(struct collect *c, struct cut_file *f)
{
	struct buf *b = &c->cut->held;
	size_t len = (size_t)f->size, before = b->len;
	uint8_t *p;

	if (f->size > LIMIT_HELD_FILE || b->len + len > LIMIT_HELD ||
		c->encoded || c->packed || c->vol->nested ||
		c->data_bytes != f->size)
		return;
	p = buf_grow(b, len);
	if (!p || c->fs->ops->pread(c->fs, f->id, p, len, 0, NULL)) {
		b->len = before;
		b->oom = false;
		return;
	}
	f->flags |= CUT_HELD;
	f->first_extent = (uint32_t)before;
}

static int collect_file(struct collect *c, const struct walk_item *it)
{
	struct cut *cut = c->cut;
	struct cut_file f = { .id = it->node.id,
		.size = it->node.size,
		.first_extent = (uint32_t)cut->extents.len };
	struct error err = { 0 };
	int r;

	if (!(++c->count & 1023)) {
		r = progress_check(c->progress, c->e);
		if (r)
			return r;
		if (c->progress && c->progress->update)
			c->progress->update(c->progress->ctx, "survey",
				c->count, 0);
	}
	if (it->node.type != FS_FILE || !it->node.size)
		return 0;
	if (it->node.nlink > 1 && seen_before(c, it->node.id))
		return 0;
	if (cut->files.len >= UINT32_MAX - 1)
		return error_set(c->e, ERR_LIMIT, "over 2^32 files");
	c->node = it->node;
	c->encoded = c->packed = c->not_plain = false;
	c->data_bytes = c->file_end = 0;
	if (it->node.flags & FS_NODE_OPAQUE) {
		f.state = CUT_OPAQUE;
		goto push;
	}
	if (c->vol->nested) {
		/* Its bytes are the outer file's, and stored with that. */
		c->encoded = c->not_plain = true;
		c->data_bytes = u64_min(c->nested_bytes, it->node.size);
		c->nested_bytes -= c->data_bytes;
		r = 0;
	} else {
		r = c->fs->ops->extents(c->fs, it->node.id, on_extent, c,
			&err);
	}
	if (r == ERR_NOMEM)
		return error_nomem(c->e);
	if (r) {
		finding_report(c->findings,
			r == ERR_LIMIT ? FINDING_FILE_LIMIT
				       : FINDING_FILE_DAMAGED,
			err.has_offset ? err.offset : FINDING_NO_OFFSET,
			it->path, "%s",
			err.code	 ? err.msg
			: r == ERR_LIMIT ? "the disk has too many extents"
					 : "an extent is outside the volume, or "
					   "two are of one part of the file");
		f.state = CUT_OPAQUE;
	} else if (c->not_plain) {
		f.state = CUT_READ;
		f.flags = c->encoded ? CUT_ENCODED : 0;
	}
	if (f.state != CUT_OPAQUE) {
		uint64_t beyond = it->node.size - c->data_bytes;

		if (beyond > LIMIT_HASHED_HOLE || beyond > *c->budget) {
			finding_report(c->findings, FINDING_FILE_LIMIT,
				FINDING_NO_OFFSET, it->path,
				"a %s file of %" PRIu64
				" bytes: too many zeros to hash",
				c->encoded ? "compressed" : "sparse",
				it->node.size);
			f.state = CUT_OPAQUE;
		} else {
			*c->budget -= beyond;
		}
	}
	if (f.state == CUT_PLAIN)
		f.nextents = (uint32_t)(cut->extents.len - f.first_extent);
	else
		cut->extents.len = f.first_extent;
	if (f.state == CUT_READ)
		hold(c, &f);
push:
	c->cut->volumes.items[c->cut->volumes.len - 1].file_bytes += f.size;
	return vec_push(&cut->files, f) ? 0 : error_nomem(c->e);
}

/* Names a volume in front of the paths of its findings. */
struct named {
	const struct finding_sink *inner;
	const char *name;
	bool damage;
	bool mute;
};

static void report_named(void *ctx, const struct finding *f)
{
	struct named *n = ctx;
	AUTO_BUF where = BUF_INIT;
	struct finding g = *f;

	if (n->mute)
		return;
	if (finding_severity(f->id) == FINDING_DAMAGE ||
		f->id == FINDING_FS_UNSUPPORTED)
		n->damage = true;
	if (!n->inner || !n->inner->report)
		return;
	buf_printf(&where, "%s%s%s", n->name, *f->where ? ":" : "", f->where);
	g.where = buf_str(&where);
	n->inner->report(n->inner->ctx, &g);
}

/* Attributes are no part of what an import tells of a volume. */
static void list(struct collect *c, enum listing_event event,
	const struct walk_item *it)
{
	c->named->mute = true;
	listing_add(c->listing, event, it);
	c->named->mute = false;
}

static int on_enter(void *ctx, const struct walk_item *it)
{
	list(ctx, LISTING_ENTER, it);
	return 0;
}

static int on_entry(void *ctx, const struct walk_item *it)
{
	int r = collect_file(ctx, it);

	if (!r)
		list(ctx, LISTING_ENTRY, it);
	return r;
}

static int on_leave(void *ctx, const struct walk_item *it)
{
	list(ctx, LISTING_LEAVE, it);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct cut_file *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int collect_volume(const struct survey *s,
	const struct survey_volume *v, const struct finding_sink *findings,
	const struct progress *progress, uint64_t *budget, size_t *list_left,
	struct cut *cut, struct error *e)
{
	struct named named = { .inner = findings, .name = v->name };
	struct finding_sink sink = { report_named, &named };
	struct cut_volume *cv = vec_last(&cut->volumes);
	struct collect c = { .cut = cut,
		.vol = v,
		.survey = s,
		.findings = &sink,
		.named = &named,
		.listing = &cv->listing,
		.progress = progress,
		.nested_bytes = u64_min(v->size, UINT64_C(1) << 50) *
				LIMIT_HASHED_FACTOR,
		.budget = budget,
		.e = e };
	struct walk_visitor visitor = { on_enter, on_entry, on_leave, &c };
	size_t first = cut->files.len, n = 0;
	struct error err = { 0 };
	int r;

	cv->first = first;
	if (!v->ops || !v->ops->open || v->member_of_other)
		return 0;
	r = survey_open_fs(v, &sink, &c.fs, &err);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r) {
		cv->partial = true;
		finding_report(&sink,
			r == ERR_UNSUPPORTED ? FINDING_FS_UNSUPPORTED
					     : FINDING_FS_DAMAGED,
			err.has_offset ? err.offset : FINDING_NO_OFFSET, "",
			"%s: %s", v->info.type,
			error_untagged(&err, v->info.type));
		return 0;
	}
	cv->read = true;
	listing_init(&cv->listing, c.fs, *list_left);
	r = survey_walk(c.fs, &sink, &visitor, &err);
	listing_end(&cv->listing);
	*list_left -= size_min(*list_left, cv->listing.data.len);
	c.fs->ops->close(c.fs);
	free(c.seen);
	if (r == ERR_NOMEM || r == ERR_CANCELLED) {
		if (e)
			*e = err.code ? err : *e;
		return r;
	}
	if (r) {
		/* Its root cannot be read: it has no tree. */
		finding_report(&sink, FINDING_FS_DAMAGED, FINDING_NO_OFFSET, "",
			"%s", err.code ? err.msg : "it cannot be walked");
		cv->read = false;
		cut->files.len = first;
	}
	cv->partial = named.damage;
	if (cut->files.len > first)
		qsort(&cut->files.items[first], cut->files.len - first,
			sizeof(struct cut_file), by_id);
	for (size_t i = first; i < cut->files.len; i++) {
		if (n && cut->files.items[first + n - 1].id ==
				 cut->files.items[i].id)
			continue;
		cut->files.items[first + n++] = cut->files.items[i];
	}
	cut->files.len = first + n;
	cv->n = n;
	for (size_t i = first; i < cut->files.len; i++)
		if (cut->files.items[i].flags & CUT_ENCODED)
			cv->has_encoded = true;
	return 0;
}

struct cut_file *cut_find(struct cut *c, size_t volume, uint64_t id,
	size_t *near)
{
	const struct cut_volume *v = &c->volumes.items[volume];
	struct cut_file *files = &c->files.items[v->first], *f;
	struct cut_file key = { .id = id };

	if (!v->n)
		return NULL;
	f = *near + 1 < v->n && files[*near + 1].id == id
		    ? &files[*near + 1]
		    : bsearch(&key, files, v->n, sizeof(key), by_id);
	if (f)
		*near = (size_t)(f - files);
	return f;
}

int cut_make(const struct survey *s, const struct finding_sink *findings,
	const struct progress *progress, struct cut *out, struct error *e)
{
	uint64_t budget = LIMIT_HASHED_FREE;
	size_t list_left = LIMIT_LISTING;
	int r = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < s->volumes.len && !r; i++) {
		if (!vec_push(&out->volumes, (struct cut_volume){ 0 }))
			r = error_nomem(e);
		else
			r = collect_volume(s, &s->volumes.items[i], findings,
				progress, &budget, &list_left, out, e);
	}
	if (!r)
		r = cut_claim(out, s->disks.len, e);
	if (r)
		cut_release(out);
	return r;
}
