/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the files of one file system. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "survey/survey.h"

struct child {
	uint64_t id;
	uint32_t name_off; /* in the level's names */
	uint32_t name_len;
};

/* A folder on the path that we are in. */
struct level {
	struct fs_node node;
	struct buf names;
	VEC(struct child) children;
	size_t next;
	size_t path_len; /* of the path of the folder itself */
	size_t name_off; /* its name in that path */
};

struct walk {
	struct fs *fs;
	const struct finding_sink *findings;
	const struct walk_visitor *v;
	struct error *e;
	VEC(struct level) levels;
	struct buf path;
	/* ids of folders seen, open addressing; id + 1, 0 is free */
	uint64_t *seen;
	size_t seen_cap, seen_n;
	uint64_t files;
	size_t listed; /* bytes that the levels hold, see cost() */
};

static size_t slot(uint64_t id, size_t cap)
{
	return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 16) & (cap - 1);
}

/* 1: new, 0: seen before, < 0: NOMEM. */
static int remember(struct walk *w, uint64_t id)
{
	uint64_t key = id + 1;
	size_t k;

	if ((w->seen_n + 1) * 2 > w->seen_cap) {
		size_t cap = w->seen_cap ? w->seen_cap * 2 : 256;
		uint64_t *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return error_nomem(w->e);
		for (size_t i = 0; i < w->seen_cap; i++) {
			if (!w->seen[i])
				continue;
			for (k = slot(w->seen[i] - 1, cap); fresh[k];
				k = (k + 1) & (cap - 1))
				;
			fresh[k] = w->seen[i];
		}
		free(w->seen);
		w->seen = fresh;
		w->seen_cap = cap;
	}
	for (k = slot(id, w->seen_cap); w->seen[k];
		k = (k + 1) & (w->seen_cap - 1))
		if (w->seen[k] == key)
			return 0;
	w->seen[k] = key;
	w->seen_n++;
	return 1;
}

static size_t cost(const struct level *l)
{
	return l->names.len + l->children.len * sizeof(*l->children.items);
}

struct listing {
	struct level *l;
	size_t left; /* what may be added to it */
};

static int add_child(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	const struct listing *g = ctx;
	struct level *l = g->l;
	struct child c = { id, (uint32_t)l->names.len, (uint32_t)len };

	if (l->children.len >= LIMIT_DIR_ENTRIES ||
		cost(l) + len + sizeof(c) > g->left)
		return ERR_LIMIT;
	buf_add(&l->names, name, len);
	return !l->names.oom && vec_push(&l->children, c) ? 0 : ERR_NOMEM;
}

static int by_name(const void *a, const void *b, void *names)
{
	const struct child *x = a, *y = b;
	const uint8_t *base = names;
	int d = memcmp(base + x->name_off, base + y->name_off,
		size_min(x->name_len, y->name_len));

	return d ? d : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static void level_release(struct level *l)
{
	buf_release(&l->names);
	vec_release(&l->children);
}

static void make_item(struct walk *w, size_t name_off, unsigned depth,
	const struct fs_node *n, struct walk_item *it)
{
	*it = (struct walk_item){ .path = buf_str(&w->path),
		.depth = depth,
		.node = *n };
	if (!it->path[0])
		it->path = "/";
	it->name = w->path.data + name_off;
	it->name_len = w->path.len - name_off;
}

/* Reads and sorts the entries of a folder and makes it the innermost level. */
static int enter(struct walk *w, const struct fs_node *n, size_t name_off)
{
	struct level l = { .node = *n,
		.path_len = w->path.len,
		.name_off = name_off };
	struct listing g = { &l, LIMIT_WALK_NAMES - w->listed };
	struct walk_item it;
	struct error err = { 0 };
	int r;

	make_item(w, name_off, (unsigned)w->levels.len, n, &it);
	if (w->v->enter) {
		r = w->v->enter(w->v->ctx, &it);
		if (r)
			return r;
	}
	if (w->levels.len >= LIMIT_DEPTH) {
		finding_report(w->findings, FINDING_FILE_LIMIT,
			FINDING_NO_OFFSET, it.path,
			"folders are nested deeper than %d", LIMIT_DEPTH);
	} else {
		r = w->fs->ops->readdir(w->fs, n->id, add_child, &g, &err);
		if (r == ERR_NOMEM) {
			level_release(&l);
			return error_nomem(w->e);
		}
		if (r == ERR_LIMIT && !err.code)
			finding_report(w->findings, FINDING_FILE_LIMIT,
				FINDING_NO_OFFSET, it.path,
				"a folder has over %zu entries; the rest is "
				"not listed",
				l.children.len);
		else if (r)
			finding_report(w->findings, FINDING_DIR_DAMAGED,
				err.has_offset ? err.offset
					       : FINDING_NO_OFFSET,
				it.path, "%s", err.msg);
	}
	if (l.children.len)
		qsort_r(l.children.items, l.children.len,
			sizeof(*l.children.items), by_name, l.names.data);
	if (!vec_push(&w->levels, l)) {
		level_release(&l);
		return error_nomem(w->e);
	}
	w->listed += cost(&l);
	return 0;
}

static int leave(struct walk *w)
{
	struct level *l = vec_last(&w->levels);
	struct walk_item it;
	int r = 0;

	w->path.len = l->path_len;
	make_item(w, l->name_off, (unsigned)w->levels.len - 1, &l->node, &it);
	if (w->v->leave)
		r = w->v->leave(w->v->ctx, &it);
	w->listed -= cost(l);
	level_release(l);
	w->levels.len--;
	return r;
}

static int one(struct walk *w, struct level *l)
{
	const struct child *c = &l->children.items[l->next++];
	const uint8_t *name = l->names.data + c->name_off;
	struct error err = { 0 };
	struct walk_item it;
	struct fs_node n;
	size_t name_off;
	int r;

	w->path.len = l->path_len;
	buf_addch(&w->path, '/');
	name_off = w->path.len;
	buf_add(&w->path, name, c->name_len);
	buf_str(&w->path);
	if (w->path.oom)
		return error_nomem(w->e);
	if (l->next > 1 && c[-1].name_len == c->name_len &&
		!memcmp(l->names.data + c[-1].name_off, name, c->name_len)) {
		finding_report(w->findings, FINDING_NAME_BAD, FINDING_NO_OFFSET,
			buf_str(&w->path), "the name stands there twice");
		return 0;
	}
	if (++w->files > LIMIT_FILES)
		return error_set(w->e, ERR_LIMIT, "over %d files", LIMIT_FILES);
	r = w->fs->ops->stat(w->fs, c->id, &n, &err);
	if (r == ERR_NOMEM)
		return error_nomem(w->e);
	if (r || n.type == FS_UNKNOWN) {
		finding_report(w->findings, FINDING_FILE_DAMAGED,
			err.has_offset ? err.offset : FINDING_NO_OFFSET,
			buf_str(&w->path), "%s",
			r ? err.msg : "it is of no known type");
		return 0;
	}
	n.mode &= 07777;
	if (n.type != FS_DIR) {
		make_item(w, name_off, (unsigned)w->levels.len, &n, &it);
		return w->v->entry ? w->v->entry(w->v->ctx, &it) : 0;
	}
	r = remember(w, n.id);
	if (r < 0)
		return r;
	if (!r) {
		finding_report(w->findings, FINDING_DIR_LOOP, FINDING_NO_OFFSET,
			buf_str(&w->path), "folder %" PRIu64, n.id);
		return 0;
	}
	return enter(w, &n, name_off);
}

int survey_walk(struct fs *fs, const struct finding_sink *findings,
	const struct walk_visitor *visitor, struct error *e)
{
	struct walk w = {
		.fs = fs, .findings = findings, .v = visitor, .e = e
	};
	struct fs_node root;
	int r = fs->ops->stat(fs, fs->root, &root, e);

	if (!r && root.type != FS_DIR)
		r = error_set(e, ERR_CORRUPT,
			"the root of the file system is not a folder");
	if (!r) {
		root.mode &= 07777;
		r = remember(&w, root.id);
		r = r < 0 ? r : enter(&w, &root, 0);
	}
	while (!r && w.levels.len) {
		struct level *l = vec_last(&w.levels);

		r = l->next < l->children.len ? one(&w, l) : leave(&w);
	}
	for (size_t i = 0; i < w.levels.len; i++)
		level_release(&w.levels.items[i]);
	vec_release(&w.levels);
	buf_release(&w.path);
	free(w.seen);
	return r;
}

struct find {
	const char *name;
	size_t len;
	uint64_t id;
	bool found;
};

static int match(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct find *f = ctx;

	if (len != f->len || memcmp(name, f->name, len) != 0)
		return 0;
	f->id = id;
	f->found = true;
	return 1;
}

int survey_lookup(struct fs *fs, const char *path, struct fs_node *out,
	struct error *e)
{
	uint64_t id = fs->root;
	int r = fs->ops->stat(fs, id, out, e);

	while (!r && *path) {
		struct find f;

		while (*path == '/')
			path++;
		if (!*path)
			break;
		f = (struct find){ .name = path, .len = strcspn(path, "/") };
		path += f.len;
		if (out->type != FS_DIR)
			return error_set(e, ERR_NOTFOUND, "not a folder");
		r = fs->ops->readdir(fs, id, match, &f, e);
		if (!f.found)
			return r < 0 ? r
				     : error_set(e, ERR_NOTFOUND,
					       "no such file or folder");
		id = f.id;
		r = fs->ops->stat(fs, id, out, e);
	}
	return r;
}
