/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/treebuild.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/tree.h"
#include "ops/chunker.h"

struct pair {
	char *name;
	struct buf value;
	bool is_blob;
	struct oid id;
	uint64_t size;
};

struct build {
	struct writer *writer;
	struct packer *records, *blobs;
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
	struct buf target, xattrs;
	VEC(struct pair) pairs;
	size_t xattr_bytes;
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

/* --- extended attributes and streams --- */

static void pairs_clear(struct build *b)
{
	for (size_t i = 0; i < b->pairs.len; i++) {
		free(b->pairs.items[i].name);
		buf_release(&b->pairs.items[i].value);
	}
	b->pairs.len = 0;
	b->xattr_bytes = 0;
}

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct build *b = ctx;
	struct pair p = { .name = strdup(name), .size = len };
	int r = 0;

	b->xattr_bytes += strlen(name) + size_min(len, XATTR_INLINE_MAX) + 48;
	if (b->xattr_bytes > LIMIT_XATTRS_TOTAL) {
		free(p.name);
		return 1;
	}
	if (len > XATTR_INLINE_MAX) {
		p.is_blob = true;
		r = packer_put_blob(b->blobs, value, len, &p.id, b->e);
	} else {
		buf_add(&p.value, value, len);
	}
	if (!r && (!p.name || p.value.oom || !vec_push(&b->pairs, p)))
		r = error_nomem(b->e);
	if (r) {
		free(p.name);
		buf_release(&p.value);
	}
	return r;
}

struct stream_reader {
	struct fs *fs;
	uint64_t id;
};

static int read_stream(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct stream_reader *s = ctx;

	return s->fs->ops->pread(s->fs, s->id, buf, len, off, e);
}

/* A named stream is kept as an attribute whose value is a blob. */
static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct build *b = ctx;
	struct stream_reader sr = { b->fs, id };
	struct pair p = { .is_blob = true };
	AUTO_BUF full = BUF_INIT;
	struct error err = { 0 };
	struct fs_node n;
	int r;

	buf_addstr(&full, "stream.");
	buf_add(&full, name, len);
	/* One that is a hole of 2^60 bytes would be hashed for years. */
	if (b->fs->ops->stat(b->fs, id, &n, &err) || n.size > LIMIT_HASHED_HOLE)
		return 0;
	p.size = n.size;
	r = store_blob_stream(b->writer, b->blobs, read_stream, &sr, n.size,
		true, &p.id, &err);
	if (r == ERR_NOMEM || r == ERR_IO) {
		if (b->e)
			*b->e = err;
		return r;
	}
	if (r)
		return 0; /* damaged: left out, its bytes are skeleton */
	p.name = buf_steal(&full);
	b->xattr_bytes += len + 48;
	if (!p.name || b->xattr_bytes > LIMIT_XATTRS_TOTAL ||
		!vec_push(&b->pairs, p)) {
		free(p.name);
		return p.name ? 1 : error_nomem(b->e);
	}
	return 0;
}

static int pair_cmp(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name,
		((const struct pair *)b)->name);
}

static int read_xattrs(struct build *b, const struct fs_node *n,
	struct view *out)
{
	struct error err = { 0 };
	int r = 0;

	*out = (struct view){ 0 };
	if (!(n->flags & FS_NODE_XATTRS))
		return 0;
	pairs_clear(b);
	if (b->fs->ops->xattrs)
		r = b->fs->ops->xattrs(b->fs, n->id, on_xattr, b, &err);
	if (r >= 0 && b->fs->ops->streams && n->type == FS_FILE)
		r = b->fs->ops->streams(b->fs, n->id, on_stream, b, &err);
	if (r == ERR_NOMEM || (r == ERR_IO && !err.code))
		return r;
	/* Damaged ones were findings of the first walk: what could be read is
	 * kept. */
	if (b->pairs.len)
		qsort(b->pairs.items, b->pairs.len, sizeof(struct pair),
			pair_cmp);
	buf_clear(&b->xattrs);
	for (size_t i = 0; i < b->pairs.len; i++) {
		const struct pair *p = &b->pairs.items[i];
		struct xattr x = {
			.name = { (const uint8_t *)p->name, strlen(p->name) },
			.value = { p->value.data, p->value.len },
			.is_blob = p->is_blob,
			.id = p->id,
			.size = p->size,
		};

		if (i && !strcmp(p[-1].name, p->name))
			continue;
		xattr_add(&b->xattrs, &x);
	}
	if (b->xattrs.oom)
		return error_nomem(b->e);
	*out = (struct view){ b->xattrs.data, b->xattrs.len };
	return 0;
}

/* --- entries --- */

_Static_assert((int)FS_FILE == ENTRY_FILE && (int)FS_SOCKET == ENTRY_SOCKET &&
		       (int)FS_SYMLINK == ENTRY_SYMLINK,
	"the types of readers and trees have the same numbers");

static int make_entry(struct build *b, const struct walk_item *it,
	struct entry *x)
{
	const struct fs_node *n = &it->node;
	struct error err = { 0 };
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
		f = cut_find(b->cut, b->index, n->id);
		if (f && f->flags & CUT_HASHED && f->size == n->size)
			x->id = f->hash;
		else
			x->flags |= ENTRY_OPAQUE;
		break;
	case FS_SYMLINK:
		buf_clear(&b->target);
		r = b->fs->ops->readlink(b->fs, n->id, &b->target, &err);
		if (r == ERR_NOMEM)
			return error_nomem(b->e);
		if (r || b->target.len > LIMIT_SYMLINK) {
			buf_clear(&b->target);
			x->flags |= ENTRY_OPAQUE;
		}
		x->target = (struct view){ b->target.data, b->target.len };
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
	return read_xattrs(b, n, &x->xattrs);
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

int tree_build(struct writer *w, struct packer *records, struct packer *blobs,
	const struct survey *s, size_t index, struct cut *cut,
	const struct progress *progress, struct image_volume *out,
	struct error *e)
{
	struct build b = { .writer = w,
		.records = records,
		.blobs = blobs,
		.cut = cut,
		.index = index,
		.progress = progress,
		.out = out,
		.e = e };
	struct walk_visitor v = { on_enter, on_entry, on_leave, &b };
	struct error err = { 0 };
	int r;

	out->has_encoded = cut->volumes.items[index].has_encoded;
	out->partial = cut->volumes.items[index].partial;
	if (!cut->volumes.items[index].read)
		return 0;
	/* Its findings were reported by the first walk. */
	r = survey_open_fs(&s->volumes.items[index], NULL, &b.fs, &err);
	if (!r) {
		r = survey_walk(b.fs, NULL, &v, &err);
		if (!r && b.fs->ops->subvolumes)
			b.fs->ops->subvolumes(b.fs, on_subvolume, &b, &err);
		b.fs->ops->close(b.fs);
	}
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
	pairs_clear(&b);
	vec_release(&b.pairs);
	buf_release(&b.target);
	buf_release(&b.xattrs);
	free(b.groups);
	return r;
}
