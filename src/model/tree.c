/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* A record ends behind a name whose hash says so once it has LEAF_MIN bytes
 * (on average 128 names later), at LEAF_MAX at the latest. A folder below
 * LEAF_MIN is always one record. Part of the format: changing it changes
 * ids. */
#define LEAF_MIN (16 * 1024)
#define LEAF_MAX (128 * 1024)
#define CUT_MASK 127
#define LEVELS_MAX 8

const char *entry_type_name(enum entry_type t)
{
	static const char *const names[] = { "?", "file", "directory",
		"symlink", "char", "block", "fifo", "socket" };

	return t > 0 && t < ENTRY_TYPES ? names[t] : names[0];
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void put_view(struct buf *b, const void *p, size_t n)
{
	buf_varint(b, n);
	buf_add(b, p, n);
}

static struct view get_view(struct cursor *c, size_t max)
{
	uint64_t n = cur_varint(c);

	if (n > max) {
		c->bad = true;
		n = 0;
	}
	return cur_view(c, (size_t)n);
}

static struct oid get_oid(struct cursor *c)
{
	struct oid id = { { 0 } };
	const uint8_t *p = cur_bytes(c, 32);

	if (p)
		memcpy(id.b, p, 32);
	return id;
}

void xattr_add(struct buf *list, const struct xattr *x)
{
	put_view(list, x->name.data, x->name.len);
	buf_addch(list, x->is_blob);
	if (x->is_blob) {
		buf_varint(list, x->size);
		buf_add(list, x->id.b, 32);
	} else {
		put_view(list, x->value.data, x->value.len);
	}
}

bool xattr_next(struct cursor *c, struct xattr *out)
{
	uint8_t blob;

	memset(out, 0, sizeof(*out));
	if (!c->left || c->bad)
		return false;
	out->name = get_view(c, 65536);
	blob = cur_u8(c);
	out->is_blob = blob;
	if (blob > 1)
		c->bad = true;
	if (blob) {
		out->size = cur_varint(c);
		out->id = get_oid(c);
	} else {
		out->value = get_view(c, LIMIT_XATTR);
	}
	return !c->bad;
}

void entry_encode(struct buf *out, const struct entry *x)
{
	put_view(out, x->name, x->name_len);
	buf_addch(out, (char)x->type);
	buf_varint(out, x->flags);
	buf_varint(out, x->mode);
	buf_varint(out, x->uid);
	buf_varint(out, x->gid);
	buf_varint(out, zigzag(x->mtime));
	buf_varint(out, x->mtime_ns);
	switch (x->type) {
	case ENTRY_FILE:
		buf_varint(out, x->size);
		if (!(x->flags & ENTRY_OPAQUE))
			buf_add(out, x->id.b, 32);
		break;
	case ENTRY_DIR:
		buf_add(out, x->id.b, 32);
		break;
	case ENTRY_SYMLINK:
		put_view(out, x->target.data, x->target.len);
		break;
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		buf_varint(out, x->rdev_major);
		buf_varint(out, x->rdev_minor);
		break;
	default:
		break;
	}
	if (x->type != ENTRY_DIR) {
		buf_varint(out, x->link_group);
		if (x->link_group)
			buf_varint(out, x->nlink);
	}
	put_view(out, x->xattrs.data, x->xattrs.len);
}

static uint32_t get_u32(struct cursor *c)
{
	uint64_t v = cur_varint(c);

	if (v > UINT32_MAX)
		c->bad = true;
	return (uint32_t)v;
}

int entry_decode(struct cursor *c, struct entry *out, struct error *e)
{
	struct view name = get_view(c, LIMIT_NAME);

	memset(out, 0, sizeof(*out));
	out->name = name.data;
	out->name_len = name.len;
	out->type = cur_u8(c);
	out->flags = get_u32(c);
	out->mode = get_u32(c);
	out->uid = get_u32(c);
	out->gid = get_u32(c);
	out->mtime = unzigzag(cur_varint(c));
	out->mtime_ns = get_u32(c);
	out->nlink = 1;
	switch (out->type) {
	case ENTRY_FILE:
		out->size = cur_varint(c);
		if (!(out->flags & ENTRY_OPAQUE))
			out->id = get_oid(c);
		break;
	case ENTRY_DIR:
		out->id = get_oid(c);
		break;
	case ENTRY_SYMLINK:
		out->target = get_view(c, LIMIT_SYMLINK);
		out->size = out->target.len;
		break;
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		out->rdev_major = get_u32(c);
		out->rdev_minor = get_u32(c);
		break;
	case ENTRY_FIFO:
	case ENTRY_SOCKET:
		break;
	default:
		c->bad = true;
	}
	if (out->type != ENTRY_DIR) {
		out->link_group = cur_varint(c);
		if (out->link_group)
			out->nlink = get_u32(c);
	}
	out->xattrs = get_view(c, LIMIT_XATTRS_TOTAL);
	if (c->bad || out->mode > 07777)
		return error_set(e, ERR_CORRUPT, "a tree entry is damaged");
	return 0;
}

/* --- building --- */

static bool cut_here(const uint8_t *name, size_t len)
{
	return (checksum64(name, len) & CUT_MASK) == 0;
}

void tree_builder_init(struct tree_builder *b, record_put_fn put, void *ctx)
{
	memset(b, 0, sizeof(*b));
	b->put = put;
	b->ctx = ctx;
}

static void level_release(struct tree_level *l)
{
	buf_release(&l->body);
	buf_release(&l->first);
	buf_release(&l->prev);
}

void tree_builder_release(struct tree_builder *b)
{
	for (size_t i = 0; i < b->levels.len; i++)
		level_release(&b->levels.items[i]);
	vec_release(&b->levels);
}

static int level_begin(struct tree_builder *b, size_t level, struct error *e)
{
	struct tree_level *l;

	while (b->levels.len <= level) {
		if (b->levels.len >= LEVELS_MAX)
			return error_set(e, ERR_LIMIT, "a folder is too large");
		if (!vec_push(&b->levels, (struct tree_level){ 0 }))
			return error_nomem(e);
	}
	l = &b->levels.items[level];
	if (!l->body.len) {
		buf_addch(&l->body, 't');
		buf_addch(&l->body, (char)level);
	}
	return 0;
}

/* Writes a level's record; its first name and id go to out. */
static int level_flush(struct tree_builder *b, size_t level, struct oid *out,
	struct error *e)
{
	struct tree_level *l = &b->levels.items[level];
	int r;

	if (l->body.oom)
		return error_nomem(e);
	r = b->put(b->ctx, l->body.data, l->body.len, out, e);
	buf_clear(&l->body);
	l->count = 0;
	return r;
}

/* Adds a child record to the level above, which may get full in turn. */
static int add_child(struct tree_builder *b, size_t level, struct oid id,
	struct error *e)
{
	for (;; level++) {
		struct tree_level *l, *below;
		bool cut;
		int r = level_begin(b, level, e);

		if (r)
			return r;
		l = &b->levels.items[level];
		below = &b->levels.items[level - 1];
		if (!l->count) {
			buf_clear(&l->first);
			buf_add(&l->first, below->first.data, below->first.len);
		}
		put_view(&l->body, below->first.data, below->first.len);
		buf_add(&l->body, id.b, 32);
		l->count++;
		cut = l->body.len >= LEAF_MAX ||
		      (l->body.len >= LEAF_MIN &&
			      cut_here(below->first.data, below->first.len));
		if (!cut)
			return 0;
		r = level_flush(b, level, &id, e);
		if (r)
			return r;
	}
}

static int name_cmp(const void *a, size_t an, const void *b, size_t bn)
{
	int d = memcmp(a, b, size_min(an, bn));

	return d ? d : (an > bn) - (an < bn);
}

int tree_builder_add(struct tree_builder *b, const struct entry *x,
	struct error *e)
{
	struct tree_level *l;
	struct oid id;
	int r = level_begin(b, 0, e);

	if (r)
		return r;
	l = &b->levels.items[0];
	if (!x->name_len || (l->prev.len &&
		name_cmp(l->prev.data, l->prev.len, x->name, x->name_len) >= 0))
		return error_set(e, ERR_ARG, "tree entries are out of order");
	buf_clear(&l->prev);
	buf_add(&l->prev, x->name, x->name_len);
	if (!l->count) {
		buf_clear(&l->first);
		buf_add(&l->first, x->name, x->name_len);
	}
	entry_encode(&l->body, x);
	l->count++;
	if (l->body.len < LEAF_MIN ||
		(l->body.len < LEAF_MAX && !cut_here(x->name, x->name_len)))
		return 0;
	r = level_flush(b, 0, &id, e);
	return r ? r : add_child(b, 1, id, e);
}

int tree_builder_finish(struct tree_builder *b, struct oid *out,
	struct error *e)
{
	struct oid id = { { 0 } };
	size_t level;
	int r = level_begin(b, 0, e);

	if (r)
		return r;
	/* The last record of each level goes up, to the first level that has
	 * just one. */
	for (level = 0;; level++) {
		bool above = level + 1 < b->levels.len &&
			     b->levels.items[level + 1].count;
		struct tree_level *l = &b->levels.items[level];

		if (!l->count && above)
			continue; /* ended exactly at a cut */
		if (level && l->count == 1 && !above) {
			/* An index of one: its child is the root. */
			memcpy(id.b, l->body.data + l->body.len - 32, 32);
			buf_clear(&l->body);
			l->count = 0;
			break;
		}
		r = level_flush(b, level, &id, e);
		if (r || !above)
			break;
		r = add_child(b, level + 1, id, e);
		if (r)
			break;
	}
	for (size_t i = 0; i < b->levels.len; i++) {
		buf_clear(&b->levels.items[i].prev);
		buf_clear(&b->levels.items[i].body);
		b->levels.items[i].count = 0;
	}
	if (!r)
		*out = id;
	return r;
}

/* --- reading --- */

int tree_record_open(const void *data, size_t len, struct cursor *out,
	unsigned *out_level, struct error *e)
{
	struct cursor c = cursor_make(data, len);

	if (cur_u8(&c) != 't' || (*out_level = cur_u8(&c)) >= LEVELS_MAX ||
		c.bad)
		return error_set(e, ERR_CORRUPT, "a tree record is damaged");
	*out = c;
	return 0;
}

int tree_record_item(struct cursor *c, struct view *first, struct oid *id,
	struct error *e)
{
	*first = get_view(c, LIMIT_NAME);
	*id = get_oid(c);
	return c->bad ? error_set(e, ERR_CORRUPT, "a tree record is damaged")
		      : 0;
}

static int frame_load(record_get_fn get, void *ctx, const struct oid *id,
	struct tree_frame *f, struct error *e)
{
	int r = get(ctx, id, &f->data, e);

	return r ? r
		 : tree_record_open(f->data.data, f->data.len, &f->at,
			   &f->level, e);
}

static int iter_push(struct tree_iter *it, const struct oid *id,
	struct error *e)
{
	struct tree_frame f = { 0 };
	int r = frame_load(it->get, it->ctx, id, &f, e);

	if (!r && it->frames.len &&
		f.level + 1 != vec_last(&it->frames)->level)
		r = error_set(e, ERR_CORRUPT, "tree levels do not descend");
	if (!r && !vec_push(&it->frames, f))
		r = error_nomem(e);
	if (r)
		buf_release(&f.data);
	return r;
}

int tree_iter_open(struct tree_iter *it, record_get_fn get, void *ctx,
	const struct oid *id, struct error *e)
{
	int r;

	memset(it, 0, sizeof(*it));
	it->get = get;
	it->ctx = ctx;
	r = iter_push(it, id, e);
	if (r)
		tree_iter_release(it);
	return r;
}

void tree_iter_release(struct tree_iter *it)
{
	for (size_t i = 0; i < it->frames.len; i++)
		buf_release(&it->frames.items[i].data);
	vec_release(&it->frames);
}

int tree_iter_next(struct tree_iter *it, struct entry *out, struct error *e)
{
	while (it->frames.len) {
		struct tree_frame *f = vec_last(&it->frames);
		struct view first;
		struct oid id;
		int r;

		if (!f->at.left) {
			buf_release(&f->data);
			it->frames.len--;
			continue;
		}
		if (!f->level) {
			r = entry_decode(&f->at, out, e);
			return r ? r : 1;
		}
		r = tree_record_item(&f->at, &first, &id, e);
		if (!r)
			r = iter_push(it, &id, e);
		if (r)
			return r;
	}
	return 0;
}

int tree_lookup(record_get_fn get, void *ctx, const struct oid *id_arg,
	const void *name, size_t len, struct entry *out, struct buf *data,
	struct error *e)
{
	struct oid id = *id_arg;
	struct tree_frame f = { 0 };
	unsigned level = LEVELS_MAX;
	int r;

	for (;;) {
		struct oid child = { { 0 } };
		bool have = false;

		buf_clear(&f.data);
		r = frame_load(get, ctx, &id, &f, e);
		if (!r && f.level >= level)
			r = error_set(e, ERR_CORRUPT,
				"tree levels do not descend");
		if (r || !f.level)
			break;
		level = f.level;
		while (f.at.left && !f.at.bad) {
			struct view first = get_view(&f.at, LIMIT_NAME);
			struct oid c = get_oid(&f.at);

			if (f.at.bad || (have && name_cmp(first.data, first.len,
							 name, len) > 0))
				break;
			child = c;
			have = true;
		}
		if (f.at.bad) {
			r = error_set(e, ERR_CORRUPT,
				"a tree record is damaged");
			break;
		}
		id = child;
	}
	while (!r) {
		if (!f.at.left) {
			r = error_set(e, ERR_NOTFOUND, "no such name");
			break;
		}
		r = entry_decode(&f.at, out, e);
		if (!r && out->name_len == len && !memcmp(out->name, name, len))
			break;
	}
	if (r) {
		buf_release(&f.data);
		return r;
	}
	buf_release(data);
	*data = f.data;
	return 0;
}

int tree_record_walk(const void *data, size_t len, tree_child_fn child,
	tree_entry_fn entry, void *ctx, struct error *e)
{
	struct cursor c = cursor_make(data, len);
	uint8_t level;
	int r = 0;

	if (cur_u8(&c) != 't' || (level = cur_u8(&c)) >= LEVELS_MAX || c.bad)
		return error_set(e, ERR_CORRUPT, "a tree record is damaged");
	while (!r && c.left) {
		struct entry x;
		struct oid id;

		if (!level) {
			r = entry_decode(&c, &x, e);
			if (!r && entry)
				r = entry(ctx, &x);
			continue;
		}
		get_view(&c, LIMIT_NAME);
		id = get_oid(&c);
		if (c.bad)
			return error_set(e, ERR_CORRUPT,
				"a tree record is damaged");
		if (child)
			r = child(ctx, &id);
	}
	return r;
}
