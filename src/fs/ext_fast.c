/* SPDX-License-Identifier: Apache-2.0 */
/* The log of fast commits put in effect on the layers. The rules are those
 * that Linux and e2fsck replay it by; where the log contradicts the file
 * system nothing of it is used. */
#include "fs/ext_fast.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

static int wrong(struct error *e, const char *what, uint32_t ino)
{
	return error_set(e, ERR_CORRUPT, "%s (inode %u)", what, ino);
}

/* --- the tables: which inodes and names the log speaks of --- */

static bool is_name(const struct fast_rec *r)
{
	return r->tag == EXT_FC_CREAT || r->tag == EXT_FC_LINK ||
	       r->tag == EXT_FC_UNLINK;
}

static int by_ino(const void *a, const void *b)
{
	const struct fast_inode *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static int by_name(const void *a, const void *b)
{
	const struct fast_name *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir > y->dir ? 1 : -1;
	return ext_fast_order(x->text, x->len, y->text, y->len);
}

static int add_inode(struct ext *x, struct ext_fast *f, uint32_t ino,
	bool dir, struct error *e)
{
	if (!ino || ino > x->g.inodes ||
		(ino < x->g.first_ino && !(dir && ino == EXT_INO_ROOT)))
		return wrong(e, "a record names an inode that is no file's",
			ino);
	if (!vec_push(&f->inodes, (struct fast_inode){ .ino = ino }))
		return error_nomem(e);
	return 0;
}

static int add_name(struct ext_fast *f, uint32_t dir, const uint8_t *p,
	size_t len, struct error *e)
{
	if (memchr(p, 0, len) || memchr(p, '/', len) ||
		(p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.'))))
		return wrong(e, "a name in a record cannot be", dir);
	if (!vec_push(&f->names, (struct fast_name){ .dir = dir, .text = p,
					 .len = (uint16_t)len }))
		return error_nomem(e);
	return 0;
}

static int gather(struct ext *x, struct ext_fast *f, struct error *e)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; !r && i < f->recs.len; i++) {
		const struct fast_rec *t = &f->recs.items[i];
		const uint8_t *p = f->area.data + t->off;

		if (is_name(t)) {
			r = add_inode(x, f, get_le32(p), true, e);
			if (!r)
				r = add_inode(x, f, get_le32(p + 4), false, e);
			if (!r)
				r = add_name(f, get_le32(p), p + FAST_NAME,
					(size_t)t->len - FAST_NAME, e);
		} else {
			r = add_inode(x, f, get_le32(p), false, e);
		}
	}
	if (r)
		return r;
	if (f->inodes.len)
		qsort(f->inodes.items, f->inodes.len,
			sizeof(*f->inodes.items), by_ino);
	for (size_t i = 0; i < f->inodes.len; i++)
		if (!n || f->inodes.items[n - 1].ino != f->inodes.items[i].ino)
			f->inodes.items[n++] = f->inodes.items[i];
	f->inodes.len = n;
	if (f->names.len)
		qsort(f->names.items, f->names.len, sizeof(*f->names.items),
			by_name);
	n = 0;
	for (size_t i = 0; i < f->names.len; i++)
		if (!n || by_name(&f->names.items[n - 1], &f->names.items[i]))
			f->names.items[n++] = f->names.items[i];
	f->names.len = n;
	for (size_t i = 0; i < n; i++) {
		struct fast_inode *d = ext_fast_inode(f,
			f->names.items[i].dir);

		if (!d->nnames++)
			d->names = i;
	}
	return 0;
}

/* --- what is there before --- */

static bool alive(const struct fast_inode *i)
{
	return i->mode && i->links && !i->unsound;
}

static bool is_dir(const struct fast_inode *i)
{
	return (i->mode & EXT_MODE_FMT) == EXT_MODE_DIR;
}

struct lookup {
	struct ext_fast *f;
	struct fast_inode *dir;
};

static int on_entry(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct lookup *l = ctx;
	struct fast_name *n = ext_fast_name(l->f, l->dir, name, len);

	if (n && !n->ino)
		n->ino = (uint32_t)id;
	return 0;
}

/* The end of a group's inode table that no inode was ever in holds what was on
 * the disk before. */
static bool never_used(const struct ext *x, uint32_t ino)
{
	uint32_t g = (ino - 1) / x->g.inodes_per_group;
	uint32_t at = (ino - 1) % x->g.inodes_per_group;

	return (x->csum || x->g.ro_compat & EXT_RO_GDT_CSUM) &&
	       (ext2fs_bg_flags_test(x->e2, g, EXT_BG_INODE_UNINIT) ||
		       at >= x->g.inodes_per_group -
				       u64_min(ext2fs_bg_itable_unused(x->e2,
						       g),
					       x->g.inodes_per_group));
}

/* Each directory is gone through once, whatever the log asks of it. */
static int look_up(struct ext *x, struct ext_fast *f, struct error *e)
{
	int r = 0;

	for (size_t k = 0; !r && k < f->inodes.len; k++) {
		struct fast_inode *i = &f->inodes.items[k];
		struct lookup l = { .f = f, .dir = i };
		struct ext_inode in = { 0 };
		bool sound = true;

		r = ext_inode_slot(x, i->ino, &in, &sound, e);
		if (r)
			break;
		i->mode = never_used(x, i->ino) ? 0 : in.mode;
		i->links = (uint16_t)in.links;
		i->generation = in.generation;
		i->unsound = !sound;
		if (!i->nnames || !alive(i) || !is_dir(i))
			continue;
		/* Names that are compared in other ways than as bytes. */
		if (in.flags & (EXT_FL_CASEFOLD | EXT_FL_ENCRYPT))
			return error_set(e, ERR_UNSUPPORTED,
				"directory inode %u is encrypted or folds case",
				i->ino);
		r = ext_readdir(&x->fs, i->ino, on_entry, &l, e);
	}
	return r;
}

/* --- the records, one by one --- */

static void set_links(struct fast_inode *i, uint16_t links)
{
	i->links = links;
	i->changed = true;
}

static void forget_names(struct ext_fast *f, struct fast_inode *i)
{
	for (size_t k = 0; k < i->nnames; k++)
		f->names.items[i->names + k].ino = 0;
}

/* Its last name went: records that follow are of another file. */
static void bury(struct ext_fast *f, struct fast_inode *i, size_t at)
{
	set_links(i, 0);
	i->life = at + 1;
	forget_names(f, i);
}

static int do_inode(struct ext_fast *f, struct fast_inode *i,
	const struct fast_rec *t, size_t at, struct error *e)
{
	uint8_t *raw = f->area.data + t->off + 4;
	const struct ext_inode_disk *d = (const void *)raw;
	uint16_t len = (uint16_t)(t->len - 4);
	uint32_t generation = le32_get(d->generation);
	uint16_t mode = le16_get(d->mode);
	bool is_new;

	if (!mode)
		return wrong(e, "an inode without a mode", i->ino);
	is_new = !i->mode || i->generation != generation;
	/* Directories have one name, and no records but where they are made. */
	if (is_new ? alive(i) && (mode & EXT_MODE_FMT) == EXT_MODE_DIR
		   : (i->mode ^ mode) & EXT_MODE_FMT ||
			     (alive(i) && is_dir(i) && !i->fresh))
		return wrong(e, "an inode in the place of another", i->ino);
	if (is_new) {
		/* A new file. Ranges may come before it if there was none
		 * (one without a name yet), else they are the old one's. */
		if (alive(i))
			i->life = at;
		forget_names(f, i);
		i->fresh = true;
		i->named = false;
		i->unsound = false;
		i->raw = NULL;
	}
	/* What an earlier one held beyond this one stays. */
	if (i->raw && i->raw_len > len) {
		memcpy(i->raw, raw, len);
	} else {
		i->raw = raw;
		i->raw_len = len;
	}
	i->mode = mode;
	i->generation = generation;
	set_links(i, le16_get(d->links));
	return 0;
}

static int do_link(struct fast_inode *i, struct fast_inode *dir,
	struct fast_name *n, bool create, struct error *e)
{
	if (create && !alive(i) && !i->raw)
		return wrong(e, "a name is made for no inode", i->ino);
	if (alive(i) && is_dir(i) && n->ino != i->ino) {
		if (!create || !i->fresh || i->named)
			return wrong(e, "another name for a directory", i->ino);
		i->named = n->made = true;
	}
	if (alive(dir) && !n->ino) {
		n->ino = i->ino;
		n->linked = true;
		if (alive(i) || i->raw)
			set_links(i, (uint16_t)u64_min(i->links + 1u,
				UINT16_MAX));
	}
	if (create && !is_dir(i))
		set_links(i, 1);
	return 0;
}

static int do_unlink(struct ext_fast *f, struct fast_inode *i,
	struct fast_inode *dir, struct fast_name *n, size_t at)
{
	bool same = n->ino == i->ino;

	/* A file that was made and removed since the commit before leaves
	 * such records behind. */
	if (!alive(dir) || !n->ino || (!alive(i) && !same))
		return 0;
	if (same)
		n->ino = 0;
	if (!alive(i))
		return 0;
	if (is_dir(i) || i->links == 1)
		bury(f, i, at);
	else
		set_links(i, (uint16_t)(i->links - 1));
	return 0;
}

static int do_record(struct ext_fast *f, size_t at, struct error *e)
{
	const struct fast_rec *t = &f->recs.items[at];
	const uint8_t *p = f->area.data + t->off;
	struct fast_inode *i, *dir;
	struct fast_name *n;

	if (t->tag == EXT_FC_INODE)
		return do_inode(f, ext_fast_inode(f, get_le32(p)), t, at, e);
	if (!is_name(t))
		return 0;
	dir = ext_fast_inode(f, get_le32(p));
	i = ext_fast_inode(f, get_le32(p + 4));
	n = ext_fast_name(f, dir, p + FAST_NAME, (size_t)t->len - FAST_NAME);
	if (alive(dir) && !is_dir(dir))
		return wrong(e, "a name in what is not a directory", dir->ino);
	return t->tag == EXT_FC_UNLINK
		       ? do_unlink(f, i, dir, n, at)
		       : do_link(i, dir, n, t->tag == EXT_FC_CREAT, e);
}

/* --- ranges --- */

struct owned {
	uint32_t ino;
	size_t at;
	struct fast_range r;
};

static int by_owner(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino > y->ino ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

static int by_pblk(const void *a, const void *b)
{
	const struct fast_range *x = a, *y = b;

	return (x->pblk > y->pblk) - (x->pblk < y->pblk);
}

static int range_of(const struct ext *x, const struct fast_rec *t,
	const uint8_t *p, struct fast_range *out, struct error *e)
{
	uint32_t ino = get_le32(p);

	memset(out, 0, sizeof(*out));
	out->lblk = get_le32(p + 4);
	if (t->tag == EXT_FC_DEL_RANGE) {
		out->len = get_le32(p + 8);
	} else {
		const struct ext_extent_leaf *l = (const void *)(p + 4);

		out->len = le16_get(l->len);
		out->unwritten = out->len > EXT_EXTENT_INIT_MAX;
		if (out->unwritten)
			out->len -= EXT_EXTENT_INIT_MAX;
		out->pblk = le32_get(l->start_lo) |
			    (uint64_t)le16_get(l->start_hi) << 32;
		if (!out->pblk || out->pblk < x->g.first_block ||
			!range_inside(out->pblk, out->len, x->g.blocks))
			return wrong(e, "blocks outside the file system", ino);
	}
	if (!out->len || out->len > (UINT64_C(1) << 32) - out->lblk)
		return wrong(e, "a range that no file can have", ino);
	return 0;
}

static int paint(struct ext *x, struct ext_fast *f, struct error *e)
{
	VEC(struct owned) all = { 0 };
	VEC(struct fast_range) own = { 0 };
	int r = 0;

	for (size_t k = 0; !r && k < f->recs.len; k++) {
		const struct fast_rec *t = &f->recs.items[k];
		const uint8_t *p = f->area.data + t->off;
		struct owned o = { .at = k, .ino = get_le32(p) };

		if (t->tag != EXT_FC_ADD_RANGE && t->tag != EXT_FC_DEL_RANGE)
			continue;
		r = range_of(x, t, p, &o.r, e);
		if (!r && ext_fast_inode(f, o.ino)->life <= k &&
			!vec_push(&all, o))
			r = error_nomem(e);
	}
	if (!r && all.len)
		qsort(all.items, all.len, sizeof(*all.items), by_owner);
	for (size_t k = 0; !r && k < all.len;) {
		struct fast_inode *i = ext_fast_inode(f, all.items[k].ino);

		own.len = 0;
		for (; k < all.len && all.items[k].ino == i->ino; k++)
			if (!r && !vec_push(&own, all.items[k].r))
				r = error_nomem(e);
		i->ranges = f->ranges.len;
		if (!r && !ext_fast_paint(own.items, own.len, &f->ranges))
			r = error_nomem(e);
		i->nranges = f->ranges.len - i->ranges;
	}
	for (size_t k = 0; !r && k < f->ranges.len; k++)
		if (f->ranges.items[k].pblk &&
			!vec_push(&f->taken, f->ranges.items[k]))
			r = error_nomem(e);
	if (!r && f->taken.len)
		qsort(f->taken.items, f->taken.len, sizeof(*f->taken.items),
			by_pblk);
	vec_release(&all);
	vec_release(&own);
	return r;
}

/* --- */

static int apply(struct ext *x, struct ext_fast *f, struct error *e)
{
	int r = gather(x, f, e);

	if (!r)
		r = look_up(x, f, e);
	for (size_t k = 0; !r && k < f->recs.len; k++)
		r = do_record(f, k, e);
	/* As Linux, no name for what never came to be. */
	for (size_t k = 0; !r && k < f->names.len; k++) {
		struct fast_name *n = &f->names.items[k];
		struct fast_inode *i = n->linked && n->ino
					       ? ext_fast_inode(f, n->ino)
					       : NULL;

		if (i && (!alive(i) || (is_dir(i) && !n->made)))
			n->ino = 0;
	}
	return r ? r : paint(x, f, e);
}

int ext_fast_apply(struct ext *x, struct error *e)
{
	const struct finding_sink *findings = x->findings;
	struct ext_fast *f = x->fast;
	struct error err = { 0 };
	int r;

	if (!f)
		return 0;
	/* What is said of directories is said when they are listed. */
	x->fast = NULL;
	x->findings = NULL;
	r = apply(x, f, &err);
	x->findings = findings;
	x->fast = f;
	if (!r)
		finding_report(findings, FINDING_FS_JOURNAL, FINDING_NO_OFFSET,
			"journal", "%u fast commits: %zu inodes, %zu names",
			f->commits, f->inodes.len, f->names.len);
	else if (r != ERR_NOMEM)
		ext_fast_drop(x, err.msg);
	return r == ERR_NOMEM ? error_nomem(e) : 0;
}
