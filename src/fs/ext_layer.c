/* SPDX-License-Identifier: Apache-2.0 */
/* What fast commits changed, as layers: bytes of inodes, ranges of files,
 * names of directories. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "fs/ext_fast.h"

struct fast_inode *ext_fast_inode(const struct ext_fast *f, uint32_t ino)
{
	size_t lo = 0, hi = f ? f->inodes.len : 0;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->inodes.items[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return f && lo < f->inodes.len && f->inodes.items[lo].ino == ino
		       ? &f->inodes.items[lo]
		       : NULL;
}

int ext_fast_order(const uint8_t *a, size_t alen, const uint8_t *b,
	size_t blen)
{
	int c = memcmp(a, b, (size_t)u64_min(alen, blen));

	return c ? c : (alen > blen) - (alen < blen);
}

struct fast_name *ext_fast_name(const struct ext_fast *f,
	const struct fast_inode *dir, const uint8_t *text, size_t len)
{
	size_t lo = dir->names, hi = dir->names + dir->nnames;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		struct fast_name *n = &f->names.items[mid];
		int c = ext_fast_order(n->text, n->len, text, len);

		if (!c)
			return n;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* --- ranges --- */

static struct fast_range cut(const struct fast_range *r, uint64_t from,
	uint64_t to)
{
	struct fast_range c = *r;

	c.lblk = from;
	c.len = to - from;
	if (c.pblk)
		c.pblk += from - r->lblk;
	return c;
}

static uint64_t end_of(const struct fast_range *r)
{
	return r->lblk + r->len; /* at most 2^32 */
}

/* over on top of under, appended to out. Each range of over cuts at most one
 * of under in two, so out has at most under + 2 over. */
static bool lay(const struct fast_ranges *under, const struct fast_ranges *over,
	struct fast_ranges *out)
{
	size_t i = 0;
	uint64_t from = 0; /* what of under is left begins here */

	if (!vec_reserve(out, out->len + under->len + 2 * over->len))
		return false;
	for (size_t k = 0; k <= over->len; k++) {
		const struct fast_range *o = k < over->len ? &over->items[k]
							   : NULL;
		uint64_t at = o ? o->lblk : UINT64_MAX;

		for (; i < under->len; i++) {
			const struct fast_range *u = &under->items[i];
			uint64_t a = u64_max(u->lblk, from);
			uint64_t b = u64_min(end_of(u), at);

			if (a < b)
				out->items[out->len++] = cut(u, a, b);
			if (end_of(u) > at)
				break;
		}
		if (!o)
			break;
		out->items[out->len++] = *o;
		from = end_of(o);
	}
	return true;
}

/* By merging: lists of 1, 2, 4, ... records, each over the one before it, are
 * laid over each other when they are of the same order. */
bool ext_fast_paint(const struct fast_range *recs, size_t n,
	struct fast_ranges *list)
{
	struct {
		struct fast_ranges r;
		size_t records;
	} stack[66] = { 0 };
	struct fast_ranges out = { 0 };
	size_t depth = 0;
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++) {
		ok = vec_push(&stack[depth].r, recs[i]);
		stack[depth++].records = 1;
		while (ok && depth > 1 &&
			(stack[depth - 2].records == stack[depth - 1].records ||
				i + 1 == n)) {
			ok = lay(&stack[depth - 2].r, &stack[depth - 1].r,
				&out);
			depth--;
			vec_release(&stack[depth].r);
			vec_release(&stack[depth - 1].r);
			stack[depth - 1].r = out;
			stack[depth - 1].records += stack[depth].records;
			memset(&out, 0, sizeof(out));
		}
	}
	ok = ok && vec_reserve(list, list->len + stack[0].r.len);
	for (size_t i = 0; ok && i < stack[0].r.len; i++)
		list->items[list->len++] = stack[0].r.items[i];
	for (size_t i = 0; i < ARRAY_LEN(stack); i++)
		vec_release(&stack[i].r);
	vec_release(&out);
	return ok;
}

const struct fast_range *ext_layer_ranges(const struct ext *x, uint32_t ino,
	size_t *out_n)
{
	const struct fast_inode *i = ext_fast_inode(x->fast, ino);

	*out_n = i ? i->nranges : 0;
	return *out_n ? x->fast->ranges.items + i->ranges : NULL;
}

int ext_layer_next(const struct fast_range *list, size_t n, uint64_t from,
	struct ext_run *out, uint64_t *out_from)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (end_of(&list[mid]) <= from)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Ranges that follow each other without a gap are gone through here. */
	*out_from = from;
	for (; lo < n && list[lo].lblk <= *out_from; lo++) {
		const struct fast_range *r = &list[lo];

		if (r->pblk) {
			*out = (struct ext_run){ .lblk = *out_from,
				.len = end_of(r) - *out_from,
				.pblk = r->pblk + (*out_from - r->lblk),
				.unwritten = r->unwritten };
			return 1;
		}
		*out_from = end_of(r);
	}
	*out = (struct ext_run){ .lblk = lo < n ? list[lo].lblk : UINT64_MAX };
	return 0;
}

/* --- inodes --- */

/* The map of an inode is not taken from the log, as its lower blocks may be
 * older: ranges tell of it. (Linux takes no i_block at all from there, but
 * for inline data.) */
void ext_layer_inode(const struct ext *x, const struct fast_inode *i,
	uint8_t *raw)
{
	struct ext_inode_disk *d = (void *)raw;
	const struct ext_inode_disk *log = (const void *)i->raw;
	const size_t map = offsetof(struct ext_inode_disk, block);
	const size_t gen = offsetof(struct ext_inode_disk, generation);
	uint32_t was = le32_get(d->flags), flags;
	bool mapped;

	if (i->fresh) {
		memset(raw, 0, x->g.inode_size);
		was = 0;
	}
	if (log) {
		flags = le32_get(log->flags);
		memcpy(raw, i->raw, map);
		memcpy(raw + gen, i->raw + gen, i->raw_len - gen);
		mapped = flags & EXT_FL_EXTENTS ||
			 (!(flags & EXT_FL_INLINE_DATA) &&
				 ((i->mode & EXT_MODE_FMT) == EXT_MODE_FILE ||
					 le32_get(log->size_lo) >=
						 EXT_IBLOCK_SIZE));
		if (!mapped)
			memcpy(raw + map, i->raw + map, EXT_IBLOCK_SIZE);
		else if ((was ^ flags) & (EXT_FL_EXTENTS | EXT_FL_INLINE_DATA))
			memset(raw + map, 0, EXT_IBLOCK_SIZE);
		if (flags & EXT_FL_EXTENTS && !get_le16(d->block)) {
			put_le16(d->block, EXT_EXTENT_MAGIC);
			put_le16(d->block + 4, 4); /* eh_max */
		}
	}
	if (i->changed)
		d->links = le16_make(i->links);
}

/* --- names --- */

bool ext_layer_hides(const struct ext *x, uint32_t dir, const uint8_t *name,
	size_t len)
{
	const struct fast_inode *d = ext_fast_inode(x->fast, dir);

	return d && d->nnames && ext_fast_name(x->fast, d, name, len);
}

const struct fast_name *ext_layer_names(const struct ext *x, uint32_t dir,
	size_t *out_n, bool *out_fresh)
{
	const struct fast_inode *d = ext_fast_inode(x->fast, dir);

	*out_n = d ? d->nnames : 0;
	*out_fresh = d && d->fresh;
	return *out_n ? x->fast->names.items + d->names : NULL;
}

/* --- blocks --- */

/* No range is longer than an extent can be, so those that reach into a
 * stretch begin at most that far before it. */
void ext_layer_taken(const struct ext *x, uint64_t first, uint64_t end,
	void (*fn)(void *ctx, uint64_t from, uint64_t to), void *ctx)
{
	const struct fast_ranges *t = x->fast ? &x->fast->taken : NULL;
	size_t lo = 0, hi = t ? t->len : 0;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->items[mid].pblk + EXT_EXTENT_INIT_MAX <= first)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; t && lo < t->len && t->items[lo].pblk < end; lo++) {
		uint64_t from = u64_max(t->items[lo].pblk, first);
		uint64_t to = u64_min(t->items[lo].pblk + t->items[lo].len,
			end);

		if (from < to)
			fn(ctx, from, to);
	}
}
