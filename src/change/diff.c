/* SPDX-License-Identifier: Apache-2.0 */
#include "change/diff.h"

#include <string.h>
#include "base/limits.h"
#include "change/dirpair.h"
#include "change/rename.h"

const char *diff_field_name(unsigned bit)
{
	static const char *const names[DIFF_FIELDS] = { "content", "size",
		"target", "device", "mode", "owner", "mtime", "xattrs",
		"links" };

	return bit < DIFF_FIELDS ? names[bit] : NULL;
}

static bool same_view(struct view a, struct view b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

uint32_t diff_fields(const struct entry *a, const struct entry *b)
{
	uint32_t f = 0;

	if (a->type == ENTRY_FILE) {
		bool unknown = (a->flags | b->flags) & ENTRY_OPAQUE;

		if (a->size != b->size)
			f |= DIFF_SIZE | DIFF_CONTENT;
		else if (!unknown && !oid_equal(&a->id, &b->id))
			f |= DIFF_CONTENT;
	}
	if (a->type == ENTRY_SYMLINK && !same_view(a->target, b->target))
		f |= DIFF_TARGET;
	if (a->rdev_major != b->rdev_major || a->rdev_minor != b->rdev_minor)
		f |= DIFF_DEVICE;
	if (a->mode != b->mode)
		f |= DIFF_MODE;
	if (a->uid != b->uid || a->gid != b->gid)
		f |= DIFF_OWNER;
	if (a->mtime != b->mtime || a->mtime_ns != b->mtime_ns)
		f |= DIFF_MTIME;
	if (!same_view(a->xattrs, b->xattrs))
		f |= DIFF_XATTRS;
	if (a->nlink != b->nlink || a->link_group != b->link_group)
		f |= DIFF_LINKS;
	return f;
}

/* A pair of folders on the way that we are on. */
struct level {
	struct dirpair pair;
	size_t len; /* of the path, with the slash behind it */
	unsigned mount[2];
};

struct walk {
	const struct diff_args *a;
	VEC(struct level) levels;
	struct buf path;	/* from where the diff began */
	struct buf view[2];	/* the same in each side's view */
	struct renames renames;
	struct diff_result *out;
	struct error *e;
};

/* --- paths --- */

enum wanted { WANT_NO, WANT_BELOW, WANT_ALL };

/* Is b the same path as a, or below it? */
static bool is_below(const char *a, size_t an, const char *b, size_t bn)
{
	return !an || (bn >= an && !memcmp(a, b, an) &&
			      (bn == an || b[an] == '/'));
}

static enum wanted wanted(const struct walk *w)
{
	const char *p = (const char *)w->path.data;
	size_t n = w->path.len;
	enum wanted r = WANT_NO;

	if (!w->a->paths)
		return WANT_ALL;
	for (const char *const *f = w->a->paths; *f; f++) {
		size_t k = strlen(*f);

		if (is_below(*f, k, p, n))
			return WANT_ALL;
		if (is_below(p, n, *f, k))
			r = WANT_BELOW;
	}
	return r;
}

static bool mounts_below(const struct diff_side *s, const struct buf *path)
{
	for (size_t i = 1; i < s->nmounts; i++) {
		const char *m = s->mounts[i].path;

		if (strlen(m) > path->len &&
			!memcmp(m, path->data, path->len) &&
			m[path->len] == '/')
			return true;
	}
	return false;
}

/* What is mounted at the path hides the entry. */
static void cross_mount(const struct diff_side *s, const struct buf *path,
	struct entry *x, unsigned *mount)
{
	for (size_t i = 1; i < s->nmounts; i++) {
		const char *m = s->mounts[i].path;

		if (strlen(m) == path->len &&
			!memcmp(m, path->data, path->len)) {
			const uint8_t *name = x->name;
			size_t len = x->name_len;

			*x = s->mounts[i].root;
			x->name = name;
			x->name_len = len;
			*mount = (unsigned)i;
		}
	}
}

/* --- entries --- */

static int resolve(struct walk *w, int i, unsigned mount, struct entry *x)
{
	const struct diff_side *s = &w->a->side[i];

	if (!s->resolve || x->type != ENTRY_FILE || x->flags & ENTRY_OPAQUE)
		return 0;
	return s->resolve(s->ctx, mount, buf_str(&w->view[i]), x, w->e);
}

static int report(struct walk *w, enum diff_status status, uint32_t changed,
	const struct entry *const x[2], const unsigned mount[2])
{
	struct diff_change c = { .status = status,
		.changed = changed,
		.path = buf_str(&w->path),
		.old_path = buf_str(&w->path),
		.old = x[0],
		.new = x[1],
		.old_mount = mount[0],
		.new_mount = mount[1] };

	if (w->path.oom)
		return error_nomem(w->e);
	return renames_add(&w->renames, &c, w->e);
}

static int descend(struct walk *w, const struct entry *const x[2],
	const unsigned mount[2])
{
	const struct diff_side *s = w->a->side;
	bool dir[2], mixed;
	struct level l = { .mount = { mount[0], mount[1] } };
	int r;

	for (int i = 0; i < 2; i++)
		dir[i] = x[i] && x[i]->type == ENTRY_DIR;
	mixed = s[0].resolve || s[1].resolve ||
		mounts_below(&s[0], &w->view[0]) ||
		mounts_below(&s[1], &w->view[1]);
	if ((!dir[0] && !dir[1]) ||
		(dir[0] && dir[1] && !mixed &&
			oid_equal(&x[0]->id, &x[1]->id)))
		return 0;
	if (w->levels.len >= LIMIT_DEPTH)
		return error_set(w->e, ERR_LIMIT,
			"folders deeper than %d levels", LIMIT_DEPTH);
	r = dirpair_open(&l.pair, s[0].get, s[0].ctx,
		dir[0] ? &x[0]->id : NULL, s[1].get, s[1].ctx,
		dir[1] ? &x[1]->id : NULL, !mixed, w->e);
	if (w->path.len)
		buf_addch(&w->path, '/');
	for (int i = 0; i < 2; i++)
		buf_addch(&w->view[i], '/');
	l.len = w->path.len;
	if (!r && !vec_push(&w->levels, l))
		r = error_nomem(w->e);
	if (r)
		dirpair_release(&l.pair);
	return r;
}

static int see(struct walk *w, const struct entry *a, const struct entry *b,
	const unsigned in_mount[2])
{
	struct entry copy[2];
	const struct entry *x[2] = { a, b };
	unsigned mount[2] = { in_mount[0], in_mount[1] };
	enum wanted want = wanted(w);
	uint32_t f = 0;
	int r = 0;

	if (want == WANT_NO)
		return 0;
	for (int i = 0; i < 2; i++)
		if (x[i]) {
			copy[i] = *x[i];
			x[i] = &copy[i];
			cross_mount(&w->a->side[i], &w->view[i], &copy[i],
				&mount[i]);
		}
	if (want == WANT_ALL && x[0] && x[1] && x[0]->type == x[1]->type) {
		bool local = w->a->side[0].resolve || w->a->side[1].resolve;
		bool file = x[0]->type == ENTRY_FILE;

		if (local && x[0]->nlink == x[1]->nlink) {
			/* numbers of groups mean something in one image only */
			copy[0].link_group = copy[1].link_group = 0;
		}
		if (file && local &&
			(w->a->need_ids || x[0]->size == x[1]->size)) {
			r = resolve(w, 0, mount[0], &copy[0]);
			if (!r)
				r = resolve(w, 1, mount[1], &copy[1]);
		}
		f = diff_fields(x[0], x[1]) & ~w->a->ignore;
		if (!r && f)
			r = report(w, DIFF_MODIFIED, f, x, mount);
	} else if (want == WANT_ALL) {
		if (w->a->need_ids || w->a->renames)
			for (int i = 0; i < 2 && !r; i++)
				if (x[i])
					r = resolve(w, i, mount[i], &copy[i]);
		if (!r && x[0] && x[1])
			r = report(w, DIFF_TYPE, 0, x, mount);
		else if (!r)
			r = report(w, x[0] ? DIFF_DELETED : DIFF_ADDED, 0, x,
				mount);
	}
	return r ? r : descend(w, x, mount);
}

static void set_len(struct walk *w, size_t len)
{
	for (int i = 0; i < 2; i++)
		w->view[i].len -= w->path.len - len;
	w->path.len = len;
}

static int walk(struct walk *w)
{
	const struct diff_side *s = w->a->side;
	unsigned mount[2] = { s[0].mount, s[1].mount };
	int r = 0;

	for (int i = 0; i < 2; i++)
		buf_addstr(&w->view[i], s[i].path);
	if (s[0].at || s[1].at)
		r = see(w, s[0].at, s[1].at, mount);
	while (!r && w->levels.len) {
		struct level *l = vec_last(&w->levels);
		const struct entry *a, *b, *x;

		set_len(w, l->len);
		r = dirpair_next(&l->pair, &a, &b, w->e);
		if (!r) {
			dirpair_release(&l->pair);
			w->levels.len--;
			continue;
		}
		if (r < 0)
			break;
		x = a ? a : b;
		buf_add(&w->path, x->name, x->name_len);
		for (int i = 0; i < 2; i++)
			buf_add(&w->view[i], x->name, x->name_len);
		if (w->path.oom || w->view[0].oom || w->view[1].oom)
			return error_nomem(w->e);
		mount[0] = l->mount[0];
		mount[1] = l->mount[1];
		r = see(w, a, b, mount);
	}
	return r;
}

struct passing {
	diff_fn fn;
	void *ctx;
	uint64_t n;
};

static int pass(void *ctx, const struct diff_change *c)
{
	struct passing *p = ctx;

	p->n++;
	return p->fn(p->ctx, c);
}

int diff_run(const struct diff_args *a, diff_fn fn, void *ctx,
	struct diff_result *out, struct error *e)
{
	struct passing p = { fn, ctx, 0 };
	struct walk w = { .a = a, .e = e,
		.renames = { .fn = pass, .ctx = &p,
			.passing = !a->renames,
			.local_ids = a->side[0].resolve || a->side[1].resolve } };
	int r = walk(&w);

	if (!r)
		r = renames_finish(&w.renames, e);
	if (out) {
		out->changes = p.n;
		out->renames_left = a->renames && w.renames.passing;
	}
	for (size_t i = 0; i < w.levels.len; i++)
		dirpair_release(&w.levels.items[i].pair);
	vec_release(&w.levels);
	renames_release(&w.renames);
	buf_release(&w.path);
	buf_release(&w.view[0]);
	buf_release(&w.view[1]);
	return r;
}
