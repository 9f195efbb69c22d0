/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the files of a stored image. */
#include <string.h>
#include "base/limits.h"
#include "view/files.h"

struct level {
	struct view_dir dir;
	struct entry x; /* of the folder itself; views into the level above */
	unsigned mount;
	size_t path_len;
};

struct walk {
	struct view_files *v;
	const struct view_visitor *visitor;
	VEC(struct level) levels;
	struct buf path;
	size_t rel; /* where the part below the start begins */
	uint64_t entries;
};

static int visit(struct walk *w,
	int (*fn)(void *ctx, const struct view_item *it), unsigned depth,
	unsigned mount, const struct entry *x)
{
	const char *path = buf_str(&w->path);
	struct view_item it = { .path = path,
		.rel = w->path.len > w->rel ? path + w->rel : "",
		.depth = depth,
		.mount = mount,
		.x = x };

	return fn ? fn(w->visitor->ctx, &it) : 0;
}

static int enter(struct walk *w, unsigned mount, const struct entry *x,
	struct error *e)
{
	struct level l = { .x = *x, .mount = mount, .path_len = w->path.len };
	int r = visit(w, w->visitor->enter, (unsigned)w->levels.len, mount, x);

	if (r)
		return r == VIEW_PRUNE ? 0 : r;
	if (w->levels.len >= LIMIT_DEPTH)
		return error_set(e, ERR_LIMIT, "over %d folders deep",
			LIMIT_DEPTH);
	r = view_dir_open(w->v, buf_str(&w->path), mount, &x->id, &l.dir, e);
	if (r)
		return r;
	if (!vec_push(&w->levels, l)) {
		view_dir_release(&l.dir);
		return error_nomem(e);
	}
	return 0;
}

static int next(struct walk *w, struct error *e)
{
	struct level *l = vec_last(&w->levels);
	struct entry x;
	unsigned mount;
	int r = view_dir_next(&l->dir, &x, &mount, e);

	w->path.len = l->path_len;
	if (r < 0)
		return r;
	if (!r) {
		struct level done = *l;

		w->levels.len--;
		r = visit(w, w->visitor->leave, (unsigned)w->levels.len,
			done.mount, &done.x);
		view_dir_release(&done.dir);
		return r;
	}
	if (++w->entries > LIMIT_FILES)
		return error_set(e, ERR_LIMIT, "over %d files", LIMIT_FILES);
	if (w->path.len != 1) /* "/" has its slash already */
		buf_addch(&w->path, '/');
	buf_add(&w->path, x.name, x.name_len);
	if (w->path.oom)
		return error_nomem(e);
	return x.type == ENTRY_DIR
		       ? enter(w, mount, &x, e)
		       : visit(w, w->visitor->entry, (unsigned)w->levels.len,
				 mount, &x);
}

int view_walk(struct view_files *v, const struct view_node *from,
	const struct view_visitor *visitor, struct error *e)
{
	struct walk w = { .v = v, .visitor = visitor };
	int r;

	buf_add(&w.path, from->path.data, from->path.len);
	w.rel = w.path.len > 1 ? w.path.len + 1 : 1;
	if (w.path.oom)
		r = error_nomem(e);
	else if (from->x.type == ENTRY_DIR)
		r = enter(&w, from->mount, &from->x, e);
	else
		r = visit(&w, visitor->entry, 0, from->mount, &from->x);
	while (!r && w.levels.len)
		r = next(&w, e);
	for (size_t i = 0; i < w.levels.len; i++)
		view_dir_release(&w.levels.items[i].dir);
	vec_release(&w.levels);
	buf_release(&w.path);
	return r;
}
