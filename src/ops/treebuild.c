/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/treebuild.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/tree.h"
#include "ops/attrs.h"

struct build {
	struct packer *records;
	struct cut *cut;
	size_t index;
	struct fs *fs;
	const struct progress *progress;
	struct image_volume *out;
	struct error *e;
	VEC(struct tree_builder) levels; /* by depth; reused */
	/* ids of files with several names, and the group each has */
	struct group {
		uint64_t key, group;
	} *groups;
	size_t groups_cap, groups_n;
	struct buf target;
	struct attrs attrs;
	const struct listing_item *listed; /* that is at hand, or NULL */
	size_t near; /* of the file found last */
	uint64_t entries;
};

static int put_tree(void *ctx, const void *data, size_t len, struct oid *out,
	struct error *e)
{
	return packer_put_record(ctx, OBJ_TREE, data, len, out, e);
}

/* --- hard links --- */

static struct group *group_slot(struct group *g, size_t cap, uint64_t key)
{
	size_t k = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
		   (cap - 1);

	while (g[k].key && g[k].key != key)
		k = (k + 1) & (cap - 1);
	return &g[k];
}

/* The group of a file: made from its first name, so that it is the same in
 * every image that has the same names. */
static int link_group(struct build *b, uint64_t id, const char *path,
	uint64_t *out)
{
	struct group *g;

	if ((b->groups_n + 1) * 2 > b->groups_cap) {
		size_t cap = b->groups_cap ? b->groups_cap * 2 : 256;
		struct group *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return error_nomem(b->e);
		for (size_t i = 0; i < b->groups_cap; i++)
			if (b->groups[i].key)
				*group_slot(fresh, cap, b->groups[i].key) =
					b->groups[i];
		free(b->groups);
		b->groups = fresh;
		b->groups_cap = cap;
	}
	g = group_slot(b->groups, b->groups_cap, id + 1);
	if (!g->key) {
		g->key = id + 1;
		g->group = checksum64(path, strlen(path)) | 1;
		b->groups_n++;
	}
	*out = g->group;
	return 0;
}

/* --- entries --- */

_Static_assert((int)FS_FILE == ENTRY_FILE && (int)FS_SOCKET == ENTRY_SOCKET &&
		       (int)FS_SYMLINK == ENTRY_SYMLINK,
	"the types of readers and trees have the same numbers");

/* A target that cannot be had makes the entry opaque. */
static int set_target(struct build *b, const struct fs_node *n,
	struct entry *x)
{
	struct error err = { 0 };
	int r;

	if (b->listed && !b->listed->ask) {
		x->target = b->listed->target;
		if (b->listed->no_target)
			x->flags |= ENTRY_OPAQUE;
		return 0;
	}
	buf_clear(&b->target);
	r = b->fs->ops->readlink(b->fs, n->id, &b->target, &err);
	if (r == ERR_NOMEM)
		return error_nomem(b->e);
	if (r || b->target.len > LIMIT_SYMLINK) {
		buf_clear(&b->target);
		x->flags |= ENTRY_OPAQUE;
	}
	x->target = (struct view){ b->target.data, b->target.len };
	return 0;
}

static int make_entry(struct build *b, const struct walk_item *it,
	struct entry *x)
{
	const struct fs_node *n = &it->node;
	struct cut_file *f;
	int r = 0;

	*x = (struct entry){ .name = it->name,
		.name_len = it->name_len,
		.type = (enum entry_type)n->type,
		.flags = n->flags & FS_NODE_ENCRYPTED ? ENTRY_ENCRYPTED : 0,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.mtime = n->mtime,
		.mtime_ns = n->mtime_ns,
		.nlink = 1 };
	switch (n->type) {
	case FS_FILE:
		x->size = n->size;
		b->out->files++;
		b->out->file_bytes += n->size;
		if (!n->size) {
			x->id = oid_empty;
			break;
		}
		f = cut_find(b->cut, b->index, n->id, &b->near);
		if (f && f->flags & CUT_HASHED && f->size == n->size)
			x->id = f->hash;
		else
			x->flags |= ENTRY_OPAQUE;
		break;
	case FS_SYMLINK:
		r = set_target(b, n, x);
		if (r)
			return r;
		break;
	case FS_CHAR:
	case FS_BLOCK:
		x->rdev_major = n->rdev_major;
		x->rdev_minor = n->rdev_minor;
		break;
	default:
		break;
	}
	if (n->type != FS_DIR && n->nlink > 1) {
		x->nlink = n->nlink;
		r = link_group(b, n->id, it->path, &x->link_group);
		if (r)
			return r;
	}
	if (b->listed && !b->listed->ask) {
		x->xattrs = b->listed->attrs;
		return 0;
	}
	return attrs_read(&b->attrs, n, &x->xattrs, b->e);
}

static int on_enter(void *ctx, const struct walk_item *it)
{
	struct build *b = ctx;
	struct tree_builder t;

	if (b->levels.len > it->depth)
		return 0; /* used before: it is empty again */
	tree_builder_init(&t, put_tree, b->records);
	return vec_push(&b->levels, t) ? 0 : error_nomem(b->e);
}

static int on_entry(void *ctx, const struct walk_item *it)
{
	struct build *b = ctx;
	struct entry x;
	int r = make_entry(b, it, &x);

	if (!r && !(++b->entries & 1023))
		r = progress_check(b->progress, b->e);
	return r ? r
		 : tree_builder_add(&b->levels.items[it->depth - 1], &x, b->e);
}

static int on_leave(void *ctx, const struct walk_item *it)
{
	struct build *b = ctx;
	struct entry x;
	struct oid id;
	int r = tree_builder_finish(&b->levels.items[it->depth], &id, b->e);

	if (!r)
		r = make_entry(b, it, &x);
	if (r)
		return r;
	x.id = id;
	if (it->depth)
		return tree_builder_add(&b->levels.items[it->depth - 1], &x,
			b->e);
	x.name_len = 0;
	entry_encode(&b->out->root, &x);
	return b->out->root.oom ? error_nomem(b->e) : 0;
}

static int on_subvolume(void *ctx, const struct fs_subvolume *v)
{
	struct build *b = ctx;
	struct image_subvolume s = { .path = strdup(v->path),
		.number = v->number,
		.flags = v->flags };

	if (s.path && vec_push(&b->out->subvolumes, s))
		return 0;
	free(s.path);
	return error_nomem(b->e);
}

/* The reader of the volume, opened when it is needed; its findings were
 * reported by the first walk. */
static int open_reader(struct build *b, const struct survey_volume *v,
	struct error *e)
{
	int r = b->fs ? 0 : survey_open_fs(v, NULL, &b->fs, e);

	b->attrs.fs = b->fs;
	return r;
}

static int build_listed(struct build *b, const struct survey_volume *v,
	const struct listing *l, struct error *e)
{
	struct listing_reader lr;
	struct listing_item it;
	int r;

	listing_reader_init(&lr, l);
	b->listed = &it;
	while ((r = listing_next(&lr, &it, e)) > 0) {
		r = it.ask ? open_reader(b, v, e) : 0;
		if (!r)
			r = it.event == LISTING_ENTER	? on_enter(b, &it.item)
			    : it.event == LISTING_ENTRY ? on_entry(b, &it.item)
							: on_leave(b, &it.item);
		if (r)
			break;
	}
	b->listed = NULL;
	listing_reader_release(&lr);
	return r;
}

static int build(struct build *b, const struct survey_volume *v,
	const struct listing *l, struct error *e)
{
	struct walk_visitor visitor = { on_enter, on_entry, on_leave, b };
	int r;

	if (!l->lost) {
		r = build_listed(b, v, l, e);
	} else {
		r = open_reader(b, v, e);
		if (!r)
			r = survey_walk(b->fs, NULL, &visitor, e);
	}
	if (!r && v->ops->subvolumes)
		r = open_reader(b, v, e);
	if (!r && v->ops->subvolumes)
		v->ops->subvolumes(b->fs, on_subvolume, b, e);
	if (b->fs)
		b->fs->ops->close(b->fs);
	return r;
}

int tree_build(struct writer *w, struct packer *records, struct packer *blobs,
	const struct survey *s, size_t index, struct cut *cut,
	const struct progress *progress, struct image_volume *out,
	struct error *e)
{
	struct build b = { .records = records,
		.attrs = { .writer = w, .blobs = blobs },
		.cut = cut,
		.index = index,
		.near = SIZE_MAX,
		.progress = progress,
		.out = out,
		.e = e };
	struct error err = { 0 };
	int r;

	out->has_encoded = cut->volumes.items[index].has_encoded;
	out->partial = cut->volumes.items[index].partial;
	if (!cut->volumes.items[index].read)
		return 0;
	r = build(&b, &s->volumes.items[index],
		&cut->volumes.items[index].listing, &err);
	if (r == ERR_CORRUPT || r == ERR_UNSUPPORTED) {
		out->partial = true;
		out->files = out->file_bytes = 0;
		r = 0;
	} else if (!r) {
		out->has_tree = true;
	} else if (e && err.code) {
		*e = err;
	}
	for (size_t i = 0; i < b.levels.len; i++)
		tree_builder_release(&b.levels.items[i]);
	vec_release(&b.levels);
	attrs_release(&b.attrs);
	buf_release(&b.target);
	free(b.groups);
	return r;
}
