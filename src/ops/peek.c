/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/peek.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "ops/import.h"
#include "survey/survey.h"

/* A handle in the place of an id: nothing that it could be confused with is
 * ever looked up. */
struct handle {
	uint8_t magic[8];
	le64 owner; /* so that two images have no handle in common */
	le64 volume, node;
};
_Static_assert(sizeof(struct handle) == sizeof(struct oid), "fits an id");
static const uint8_t magic[8] = "peek\0\0\0";

/* Where a folder was first met: one met in a second place is not entered, so
 * that a damaged file system has no loops. */
struct place {
	uint64_t key, parent; /* key: id + 1, 0 is free */
};

struct volume {
	struct fs *fs;
	struct place *places;
	size_t cap, n;
};

/* Where a long attribute was seen first, so that its value is found by its
 * id. */
struct long_attr {
	struct oid id;
	size_t volume;
	uint64_t node;
	char *name; /* NULL: a free slot */
};

struct peek {
	struct survey survey;
	struct long_attr *longs; /* a hash table, at most LIMIT_PEEK_ATTRS */
	size_t longs_cap, nlongs;
	VEC(struct volume) volumes; /* as the survey's */
	const struct finding_sink *findings;
	bool xattrs;
	uint64_t owner;
};

static void peek_free(void *ctx)
{
	struct peek *p = ctx;

	for (size_t i = 0; i < p->volumes.len; i++) {
		struct volume *v = &p->volumes.items[i];

		if (v->fs)
			v->fs->ops->close(v->fs);
		free(v->places);
	}
	for (size_t i = 0; i < p->longs_cap; i++)
		free(p->longs[i].name);
	free(p->longs);
	vec_release(&p->volumes);
	survey_release(&p->survey);
	free(p);
}

static void cleanup_peek(struct peek **p)
{
	if (*p)
		peek_free(*p);
}

static struct oid handle_make(const struct peek *p, size_t volume,
	uint64_t node)
{
	struct handle h = { .owner = le64_make(p->owner),
		.volume = le64_make(volume),
		.node = le64_make(node) };
	struct oid id;

	memcpy(h.magic, magic, sizeof(magic));
	memcpy(&id, &h, sizeof(id));
	return id;
}

static struct volume *handle_open(struct peek *p, const struct oid *id,
	size_t *out_volume, uint64_t *out_node)
{
	struct handle h;
	uint64_t v;

	memcpy(&h, id, sizeof(h));
	v = le64_get(h.volume);
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 ||
		le64_get(h.owner) != p->owner || v >= p->volumes.len ||
		!p->volumes.items[v].fs)
		return NULL;
	*out_volume = (size_t)v;
	*out_node = le64_get(h.node);
	return &p->volumes.items[v];
}

/* --- folders met --- */

static struct place *slot(struct place *t, size_t cap, uint64_t key)
{
	size_t k = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
		   (cap - 1);

	while (t[k].key && t[k].key != key)
		k = (k + 1) & (cap - 1);
	return &t[k];
}

/* 1: it belongs to this parent; 0: to another one; NOMEM. */
static int adopt(struct volume *v, uint64_t id, uint64_t parent)
{
	struct place *s;

	if ((v->n + 1) * 2 > v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 256;
		struct place *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return ERR_NOMEM;
		for (size_t i = 0; i < v->cap; i++)
			if (v->places[i].key)
				*slot(fresh, cap, v->places[i].key) =
					v->places[i];
		free(v->places);
		v->places = fresh;
		v->cap = cap;
	}
	s = slot(v->places, v->cap, id + 1);
	if (!s->key) {
		*s = (struct place){ id + 1, parent };
		v->n++;
	}
	return s->parent == parent;
}

/* --- a folder as a record --- */

struct name {
	size_t off;
	uint32_t len;
	uint64_t id;
};

struct listing {
	struct buf names;
	VEC(struct name) items;
};

static int on_name(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct listing *l = ctx;
	struct name n = { l->names.len, (uint32_t)len, id };

	buf_add(&l->names, name, len);
	return l->names.oom || !vec_push(&l->items, n) ? ERR_NOMEM : 0;
}

static int by_name(const void *a, const void *b, void *ctx)
{
	const struct name *x = a, *y = b;
	const uint8_t *base = ctx;
	int d = memcmp(base + x->off, base + y->off,
		size_min(x->len, y->len));

	return d ? d : (x->len > y->len) - (x->len < y->len);
}

/* --- attributes, content --- */

struct attr {
	size_t name, name_len, value, len;
	bool is_blob;
	struct oid id;
	uint64_t size;
};

struct attrs {
	struct buf data;
	VEC(struct attr) items;
	struct fs *fs;
};

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct attrs *a = ctx;
	struct attr x = { .name = a->data.len, .name_len = strlen(name),
		.len = len, .is_blob = len > XATTR_INLINE_MAX, .size = len };

	buf_add(&a->data, name, x.name_len + 1);
	x.value = a->data.len;
	if (x.is_blob)
		sha256(value, len, &x.id);
	else
		buf_add(&a->data, value, len);
	if (a->data.len > LIMIT_XATTRS_TOTAL)
		return 1;
	return a->data.oom || !vec_push(&a->items, x) ? ERR_NOMEM : 0;
}

static int hash_node(struct fs *fs, uint64_t id, uint64_t size,
	struct oid *out, struct error *e)
{
	enum { WINDOW = 1 << 20 };
	AUTO_FREE uint8_t *buf = NULL;
	struct sha256 *h;
	int r = 0;

	if (size > LIMIT_HASHED_HOLE)
		return error_set(e, ERR_LIMIT, "too large to hash");
	buf = malloc(WINDOW);
	h = buf ? sha256_new() : NULL;
	if (!h)
		return error_nomem(e);
	sha256_start(h);
	for (uint64_t at = 0; at < size && !r; at += WINDOW) {
		size_t n = (size_t)u64_min(WINDOW, size - at);

		r = fs->ops->pread(fs, id, buf, n, at, e);
		if (!r)
			sha256_add(h, buf, n);
	}
	if (!r)
		sha256_finish(h, out);
	sha256_free(h);
	return r;
}

static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct attrs *a = ctx;
	struct attr x = { .name = a->data.len, .name_len = len + 7,
		.is_blob = true };
	struct fs_node n;
	int r = a->fs->ops->stat(a->fs, id, &n, NULL);

	if (!r)
		r = hash_node(a->fs, id, n.size, &x.id, NULL);
	if (r)
		return r == ERR_NOMEM ? r : 0;
	x.size = n.size;
	buf_addstr(&a->data, "stream.");
	buf_add(&a->data, name, len);
	buf_addch(&a->data, 0);
	return a->data.oom || !vec_push(&a->items, x) ? ERR_NOMEM : 0;
}

static int by_attr(const void *p, const void *q, void *ctx)
{
	const struct attr *x = p, *y = q;

	return strcmp((char *)ctx + x->name, (char *)ctx + y->name);
}

/* Where it is, or the free slot where it goes. */
static struct long_attr *long_slot(struct long_attr *t, size_t cap,
	const struct oid *id)
{
	size_t k = (size_t)get_le64(id->b) & (cap - 1);

	while (t[k].name && !oid_equal(&t[k].id, id))
		k = (k + 1) & (cap - 1);
	return &t[k];
}

/* Folders may be listed many times: each value is kept once. */
static int remember(struct peek *p, size_t volume, const struct fs_node *n,
	const char *name, const struct oid *id)
{
	struct long_attr *x;

	if ((p->nlongs + 1) * 2 > p->longs_cap) {
		size_t cap = p->longs_cap ? p->longs_cap * 2 : 64;
		struct long_attr *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return ERR_NOMEM;
		for (size_t i = 0; i < p->longs_cap; i++)
			if (p->longs[i].name)
				*long_slot(fresh, cap, &p->longs[i].id) =
					p->longs[i];
		free(p->longs);
		p->longs = fresh;
		p->longs_cap = cap;
	}
	x = long_slot(p->longs, p->longs_cap, id);
	if (x->name || p->nlongs == LIMIT_PEEK_ATTRS)
		return 0;
	*x = (struct long_attr){ *id, volume, n->id, strdup(name) };
	if (!x->name)
		return ERR_NOMEM;
	p->nlongs++;
	return 0;
}

struct wanted {
	const char *name;
	struct fs *fs;
	struct buf *out;
	struct error *e;
};

static int on_wanted_xattr(void *ctx, const char *name, const void *value,
	size_t len)
{
	struct wanted *w = ctx;

	if (strcmp(name, w->name) != 0)
		return 0;
	buf_add(w->out, value, len);
	return w->out->oom ? error_nomem(w->e) : 1;
}

static int on_wanted_stream(void *ctx, const uint8_t *name, size_t len,
	uint64_t id)
{
	struct wanted *w = ctx;
	struct fs_node n;
	uint8_t *buf;
	int r;

	if (len != strlen(w->name) || memcmp(name, w->name, len) != 0)
		return 0;
	r = w->fs->ops->stat(w->fs, id, &n, w->e);
	if (!r && n.size > LIMIT_VIEW_STREAM)
		r = error_set(w->e, ERR_LIMIT, "a stream of over %llu bytes",
			(unsigned long long)LIMIT_VIEW_STREAM);
	if (r)
		return r;
	buf = buf_room(w->out, (size_t)n.size + 1);
	if (!buf)
		return error_nomem(w->e);
	r = w->fs->ops->pread(w->fs, id, buf, (size_t)n.size, 0, w->e);
	if (!r)
		w->out->len += (size_t)n.size;
	return r ? r : 1;
}

static int attr_value(void *ctx, const struct xattr *x, struct buf *out,
	struct error *e)
{
	struct peek *p = ctx;
	const struct long_attr *l = NULL;
	struct wanted w = { .out = out, .e = e };
	int r;

	if (p->nlongs)
		l = long_slot(p->longs, p->longs_cap, &x->id);
	if (!l || !l->name)
		return error_set(e, ERR_LIMIT,
			"over %d long attributes are not looked up",
			LIMIT_PEEK_ATTRS);
	w.fs = p->volumes.items[l->volume].fs;
	w.name = l->name;
	if (strncmp(l->name, "stream.", 7) != 0) {
		r = w.fs->ops->xattrs(w.fs, l->node, on_wanted_xattr, &w, e);
	} else {
		w.name += 7;
		r = w.fs->ops->streams(w.fs, l->node, on_wanted_stream, &w, e);
	}
	return r == 1 ? 0
	       : r    ? r
		      : error_set(e, ERR_CORRUPT, "the attribute is gone");
}

static int add_attrs(struct peek *p, size_t volume, const struct fs_node *n,
	struct buf *out)
{
	struct fs *fs = p->volumes.items[volume].fs;
	struct attrs a = { .fs = fs };
	struct error err = { 0 };
	int r = 0;

	if (fs->ops->xattrs)
		r = fs->ops->xattrs(fs, n->id, on_xattr, &a, &err);
	if (r >= 0 && fs->ops->streams && n->type == FS_FILE)
		r = fs->ops->streams(fs, n->id, on_stream, &a, &err);
	if (a.items.len)
		qsort_r(a.items.items, a.items.len, sizeof(struct attr),
			by_attr, a.data.data);
	for (size_t i = 0; i < a.items.len; i++) {
		const struct attr *x = &a.items.items[i];
		struct xattr v = { .name = { a.data.data + x->name,
					   x->name_len },
			.is_blob = x->is_blob,
			.id = x->id,
			.size = x->size };

		if (!x->is_blob)
			v.value = (struct view){ a.data.data + x->value,
				x->len };
		else if (remember(p, volume, n,
				 (char *)a.data.data + x->name, &x->id))
			r = ERR_NOMEM;
		xattr_add(out, &v);
	}
	vec_release(&a.items);
	buf_release(&a.data);
	return r == ERR_NOMEM || out->oom ? ERR_NOMEM : 0;
}

static int make_entry(struct peek *p, size_t volume, const struct fs_node *n,
	const uint8_t *name, size_t len, struct buf *out, struct error *e)
{
	struct fs *fs = p->volumes.items[volume].fs;
	AUTO_BUF target = BUF_INIT, attrs = BUF_INIT;
	struct entry x = { .name = name,
		.name_len = len,
		.type = (enum entry_type)n->type,
		.flags = (n->flags & FS_NODE_ENCRYPTED ? ENTRY_ENCRYPTED : 0),
		.mode = n->mode & 07777,
		.uid = n->uid,
		.gid = n->gid,
		.mtime = n->mtime,
		.mtime_ns = n->mtime_ns,
		.size = n->size,
		.id = handle_make(p, volume, n->id),
		.nlink = 1 };

	if (n->type == FS_FILE && n->flags & FS_NODE_OPAQUE)
		x.flags |= ENTRY_OPAQUE;
	if (n->type == FS_CHAR || n->type == FS_BLOCK) {
		x.rdev_major = n->rdev_major;
		x.rdev_minor = n->rdev_minor;
	}
	if (n->type == FS_SYMLINK) {
		if (fs->ops->readlink(fs, n->id, &target, NULL) ||
			target.len > LIMIT_SYMLINK) {
			buf_clear(&target);
			x.flags |= ENTRY_OPAQUE;
		}
		x.target = (struct view){ target.data, target.len };
	}
	if (n->type != FS_DIR && n->nlink > 1) {
		x.nlink = n->nlink;
		x.link_group = n->id + 1;
	}
	if (p->xattrs && n->flags & FS_NODE_XATTRS &&
		add_attrs(p, volume, n, &attrs))
		return error_nomem(e);
	x.xattrs = (struct view){ attrs.data, attrs.len };
	entry_encode(out, &x);
	return out->oom || target.oom ? error_nomem(e) : 0;
}

static int get_tree(void *ctx, const struct oid *id, struct buf *out,
	struct error *e)
{
	struct peek *p = ctx;
	struct listing l = { 0 };
	struct error err = { 0 };
	size_t volume;
	uint64_t dir;
	struct volume *v = handle_open(p, id, &volume, &dir);
	int r;

	if (!v)
		return error_set(e, ERR_ARG, "not a folder of this image");
	/* What is damaged was reported by the reader; the rest is listed. */
	r = v->fs->ops->readdir(v->fs, dir, on_name, &l, &err);
	if (r && r != ERR_NOMEM)
		finding_report(p->findings, FINDING_DIR_DAMAGED,
			FINDING_NO_OFFSET, p->survey.volumes.items[volume].name,
			"%s", err.msg);
	if (r != ERR_NOMEM)
		r = 0;
	if (!r && l.items.len)
		qsort_r(l.items.items, l.items.len, sizeof(struct name),
			by_name, l.names.data);
	buf_addch(out, 't');
	buf_addch(out, 0);
	for (size_t i = 0; i < l.items.len && !r; i++) {
		const struct name *x = &l.items.items[i];
		struct fs_node n;

		if (i && !by_name(x - 1, x, l.names.data))
			continue;
		if (v->fs->ops->stat(v->fs, x->id, &n, &err) ||
			n.type == FS_UNKNOWN)
			continue;
		if (n.type == FS_DIR) {
			r = adopt(v, n.id, dir);
			if (!r)
				finding_report(p->findings, FINDING_DIR_LOOP,
					FINDING_NO_OFFSET, NULL, "%.*s",
					(int)x->len,
					(char *)l.names.data + x->off);
			if (r <= 0)
				continue;
		}
		r = make_entry(p, volume, &n, l.names.data + x->off, x->len,
			out, e);
	}
	if (r == ERR_NOMEM || out->oom)
		r = error_nomem(e);
	vec_release(&l.items);
	buf_release(&l.names);
	return r;
}

/* --- content --- */

struct file_source {
	struct source src;
	struct fs *fs;
	uint64_t id;
};

static int file_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct file_source *f = (struct file_source *)s;

	return f->fs->ops->pread(f->fs, f->id, buf, len, off, e);
}

static const struct source_ops file_ops = { .name = "file",
	.pread = file_pread };

static int open_file(void *ctx, const struct entry *x, struct source **out,
	struct error *e)
{
	struct peek *p = ctx;
	struct file_source *f;
	size_t volume;
	uint64_t node;
	struct volume *v = handle_open(p, &x->id, &volume, &node);

	if (!v)
		return error_set(e, ERR_ARG, "not a file of this image");
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem(e);
	source_init(&f->src, &file_ops, x->size);
	f->fs = v->fs;
	f->id = node;
	*out = &f->src;
	return 0;
}

int peek_hash(struct view_files *view, struct entry *x, struct error *e)
{
	struct peek *p = view->backing.ctx;
	struct error err = { 0 };
	size_t volume;
	uint64_t node;
	struct volume *v;
	int r;

	if (x->type != ENTRY_FILE || x->flags & ENTRY_OPAQUE)
		return 0;
	if (!x->size) {
		x->id = oid_empty;
		return 0;
	}
	v = handle_open(p, &x->id, &volume, &node);
	if (!v)
		return 0; /* a content's id already */
	r = hash_node(v->fs, node, x->size, &x->id, &err);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r)
		x->flags |= ENTRY_OPAQUE;
	return 0;
}

/* --- the image --- */

static int on_subvolume(void *ctx, const struct fs_subvolume *s)
{
	struct image_volume *v = ctx;
	struct image_subvolume x = { .path = strdup(s->path),
		.number = s->number,
		.flags = s->flags };

	if (x.path && vec_push(&v->subvolumes, x))
		return 0;
	free(x.path);
	return ERR_NOMEM;
}

static int add_volume(struct peek *p, size_t i, struct image *im,
	struct error *e)
{
	const struct survey_volume *sv = &p->survey.volumes.items[i];
	struct volume v = { 0 };
	struct image_volume *iv;
	struct error err = { 0 };
	struct fs_node n;
	int r;

	if (!vec_push(&im->volumes, (struct image_volume){ 0 }))
		return error_nomem(e);
	iv = vec_last(&im->volumes);
	r = describe_volume(sv, iv, e);
	if (r)
		return r;
	if (sv->ops && sv->ops->open && !sv->member_of_other) {
		r = survey_open_fs(sv, p->findings, &v.fs, &err);
		if (!r)
			r = v.fs->ops->stat(v.fs, v.fs->root, &n, &err);
		if (r == ERR_NOMEM)
			return error_nomem(e);
		if (r) {
			finding_report(p->findings,
				r == ERR_UNSUPPORTED ? FINDING_FS_UNSUPPORTED
						     : FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, sv->name, "%s", err.msg);
			iv->partial = true;
		}
		iv->has_tree = !r && n.type == FS_DIR;
	}
	if (!vec_push(&p->volumes, v)) {
		if (v.fs)
			v.fs->ops->close(v.fs);
		return error_nomem(e);
	}
	if (!iv->has_tree)
		return 0;
	if (v.fs->ops->subvolumes)
		v.fs->ops->subvolumes(v.fs, on_subvolume, iv, NULL);
	/* The root has itself as its parent: nothing leads to it again. */
	r = adopt(&p->volumes.items[i], n.id, n.id);
	return r < 0 ? error_nomem(e)
		     : make_entry(p, i, &n, NULL, 0, &iv->root, e);
}

static int build(struct peek *p, const struct peek_args *a, struct image *im,
	struct error *e)
{
	int r = survey_open(a->disks, a->ndisks, a->findings, &p->survey, e);

	for (size_t i = 0; i < p->survey.disks.len && !r; i++) {
		const struct survey_disk *sd = &p->survey.disks.items[i];
		struct image_disk d = { .size = sd->src->size,
			.sector_size = sd->table.scheme == PART_NONE
					       ? sd->src->sector_size
					       : sd->table.sector_size,
			.part_scheme = strdup(
				part_scheme_name(sd->table.scheme)),
			.part_uuid = strdup(sd->table.uuid) };

		if (!vec_push(&im->disks, d) || !d.part_scheme || !d.part_uuid)
			r = error_nomem(e);
	}
	for (size_t i = 0; i < p->survey.volumes.len && !r; i++)
		r = add_volume(p, i, im, e);
	return r;
}

/* By way of its encoding. */
static int copy_image(const struct image *im, struct image *out,
	struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	int r = image_encode(im, &b, e);

	if (!r)
		r = image_decode(b.data, b.len, out, e);
	for (size_t i = 0; i < out->volumes.len && !r; i++) {
		/* handles are nobody else's business */
		out->volumes.items[i].has_tree = false;
		buf_clear(&out->volumes.items[i].root);
	}
	return r;
}

int peek_open(const struct peek_args *a, struct image *out_image,
	struct view_files **out, struct error *e)
{
	static uint64_t owners;
	__attribute__((cleanup(cleanup_peek))) struct peek *p =
		calloc(1, sizeof(*p));
	AUTO_IMAGE im = { 0 };
	struct view_backing b = { get_tree, open_file, attr_value, peek_free,
		NULL };
	bool any = false;
	int r;

	*out = NULL;
	if (!p)
		return error_nomem(e);
	p->findings = a->findings;
	p->xattrs = a->xattrs;
	p->owner = ++owners;
	r = build(p, a, &im, e);
	if (!r && out_image)
		r = copy_image(&im, out_image, e);
	for (size_t i = 0; i < im.volumes.len; i++)
		any |= im.volumes.items[i].has_tree;
	if (r || (!any && !a->volume))
		return r;
	b.ctx = steal_ptr(p);
	return view_open_backed(&im, &b, a->disk, a->volume, out, e);
}
