/* SPDX-License-Identifier: Apache-2.0 */
/* The public interface: files of an image. */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "view/files.h"

_Static_assert((int)STRATA_FILE == (int)ENTRY_FILE &&
		       (int)STRATA_SOCKET == (int)ENTRY_SOCKET,
	"types are the same inside and outside");

#define PIECE (256 * 1024)

struct opened {
	struct revision rev;
	struct view_files *view;
	struct view_node node;
};

static void opened_release(struct opened *o)
{
	view_node_release(&o->node);
	view_close(o->view);
	revision_release(&o->rev);
}
#define AUTO_OPENED __attribute__((cleanup(opened_release))) struct opened

static int open_path(struct strata *s, const char *rev_path, struct opened *o,
	struct error *e)
{
	int r = library_revision(s->l, rev_path, &o->rev, e);

	if (!r)
		r = view_open_commit(s->l, &o->rev.commit, o->rev.disk,
			o->rev.volume, &o->view, e);
	if (!r)
		r = view_lookup(o->view, o->rev.path ? o->rev.path : "/", true,
			&o->node, e);
	return r;
}

struct list {
	strata_entry_fn fn;
	void *ctx;
	bool recursive;
	struct buf target;
};

static int put(struct list *w, const char *path, const struct entry *x)
{
	struct strata_entry out = {
		.path = path,
		.type = (enum strata_type)x->type,
		.mode = x->mode,
		.uid = x->uid,
		.gid = x->gid,
		.nlink = x->nlink,
		.size = x->type == ENTRY_FILE ? x->size : 0,
		.mtime = x->mtime,
		.mtime_ns = x->mtime_ns,
		.has_sha256 = x->type == ENTRY_FILE &&
			      !(x->flags & ENTRY_OPAQUE),
		.rdev_major = x->rdev_major,
		.rdev_minor = x->rdev_minor,
	};

	if (out.has_sha256)
		memcpy(&out.sha256, &x->id, sizeof(out.sha256));
	if (x->type == ENTRY_SYMLINK) {
		w->target.len = 0;
		buf_add(&w->target, x->target.data, x->target.len);
		out.target = buf_str(&w->target);
	}
	return w->fn(w->ctx, &out);
}

static int on_enter(void *ctx, const struct view_item *it)
{
	struct list *w = ctx;
	int r;

	if (!it->depth)
		return 0;
	r = put(w, it->rel, it->x);
	return r ? r : w->recursive ? 0 : VIEW_PRUNE;
}

static int on_entry(void *ctx, const struct view_item *it)
{
	struct list *w = ctx;

	return put(w, it->depth ? it->rel : strrchr(it->path, '/') + 1, it->x);
}

/* VIEW_PRUNE is a value that a caller's function may return, too. */
struct stop {
	struct list w;
	strata_entry_fn fn;
	void *ctx;
	int value;
};

static int remember(void *ctx, const struct strata_entry *x)
{
	struct stop *s = ctx;

	s->value = s->fn(s->ctx, x);
	return s->value ? 2 : 0;
}

STRATA_API int strata_list(struct strata *s, const char *rev_path,
	unsigned flags, strata_entry_fn fn, void *ctx,
	struct strata_error *error)
{
	AUTO_OPENED o = { 0 };
	struct error e = { 0 };
	struct stop w = { .fn = fn, .ctx = ctx };
	struct view_visitor v = { .enter = on_enter, .entry = on_entry,
		.ctx = &w.w };
	int r = flags & ~(unsigned)STRATA_RECURSIVE
			? error_set(&e, ERR_ARG, "list: unknown flags")
			: open_path(s, rev_path, &o, &e);

	w.w = (struct list){ .fn = remember, .ctx = &w,
		.recursive = flags & STRATA_RECURSIVE };
	if (!r)
		r = view_walk(o.view, &o.node, &v, &e);
	buf_release(&w.w.target);
	return w.value ? w.value : api_error(r, &e, error);
}

STRATA_API int strata_read(struct strata *s, const char *rev_path,
	strata_data_fn fn, void *ctx, struct strata_error *error)
{
	AUTO_OPENED o = { 0 };
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	struct error e = { 0 };
	int r = piece ? open_path(s, rev_path, &o, &e) : error_nomem(&e);

	if (!r && o.node.x.type != ENTRY_FILE)
		r = error_set(&e, ERR_ARG, "%s: not a file", rev_path);
	if (!r) {
		/* Goes before the view that it stands on. */
		AUTO_SOURCE src = NULL;

		r = view_open_file(o.view, o.node.mount, buf_str(&o.node.path),
			&o.node.x, &src, &e);
		for (uint64_t at = 0; !r && at < src->size;) {
			size_t n = src->size - at < PIECE
					   ? (size_t)(src->size - at)
					   : PIECE;

			r = source_pread(src, piece, n, at, &e);
			if (!r) {
				int stop = fn(ctx, piece, n);

				if (stop)
					return stop;
			}
			at += n;
		}
	}
	return api_error(r, &e, error);
}
