/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/listing.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* The first byte of an event: which, and of a node its type and: */
#define EVENT 3
#define TYPE_SHIFT 2
#define TYPE 7
#define LIKE_LAST 0x20 /* mode, owner, links, flags */
#define ASK 0x40

/* Varints of a node and their numbers' most bytes, without names. */
#define NODE_ROOM 96

_Static_assert(FS_SOCKET <= TYPE, "a type has three bits");

void listing_init(struct listing *l, struct fs *fs, size_t max)
{
	memset(l, 0, sizeof(*l));
	l->attrs.fs = fs;
	l->max = size_min(max, UINT32_MAX);
}

void listing_end(struct listing *l)
{
	attrs_release(&l->attrs);
	buf_release(&l->target);
}

void listing_release(struct listing *l)
{
	listing_end(l);
	buf_release(&l->data);
}

static void lose(struct listing *l)
{
	listing_release(l);
	l->lost = true;
}

/* --- adding --- */

static uint8_t *put(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/* Small differences in either direction are small numbers. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	uint64_t d = a - b;

	return d << 1 ^ (d >> 63 ? UINT64_MAX : 0);
}

static uint64_t unfold(uint64_t v, uint64_t b)
{
	return b + (v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static bool like(const struct fs_node *a, const struct fs_node *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->nlink == b->nlink && a->flags == b->flags &&
	       a->rdev_major == b->rdev_major &&
	       a->rdev_minor == b->rdev_minor;
}

/* The symlink's target, after its length + 1; 0: it cannot be read. */
static int put_target(struct listing *l, const struct fs_node *n)
{
	struct fs *fs = l->attrs.fs;
	struct error err = { 0 };
	int r;

	buf_clear(&l->target);
	r = fs->ops->readlink(fs, n->id, &l->target, &err);
	if (r == ERR_NOMEM)
		return r;
	if (r || l->target.len > LIMIT_SYMLINK) {
		buf_varint(&l->data, 0);
		return 0;
	}
	buf_varint(&l->data, l->target.len + 1);
	buf_add(&l->data, l->target.data, l->target.len);
	return 0;
}

/* A list of attributes, after 0 and its length; or how far back the same one
 * stands. Few are different from each other. */
static void put_attrs(struct listing *l, struct view v)
{
	uint64_t sum = checksum64(v.data, v.len);
	uint32_t *recent = &l->recent[sum & (ARRAY_LEN(l->recent) - 1)];
	struct cursor c = cursor_make(l->data.data, l->data.len);
	struct view old;

	/* its length stands there; nothing does at 0 */
	cur_skip(&c, *recent);
	old = *recent ? cur_view(&c, cur_varint(&c)) : (struct view){ 0 };
	if (*recent && old.len == v.len &&
		(!v.len || !memcmp(old.data, v.data, v.len))) {
		buf_varint(&l->data, l->data.len - *recent);
		return;
	}
	buf_varint(&l->data, 0);
	*recent = (uint32_t)l->data.len;
	buf_varint(&l->data, v.len);
	buf_add(&l->data, v.data, v.len);
}

/* What the reader says of a node beside it. False: it is to be asked again. */
static bool put_more(struct listing *l, const struct fs_node *n)
{
	struct error err = { 0 };
	struct view v = { 0 };

	if (n->type == FS_SYMLINK && put_target(l, n))
		return false;
	if (!(n->flags & FS_NODE_XATTRS))
		return true;
	if (attrs_read(&l->attrs, n, &v, &err))
		return false;
	put_attrs(l, v);
	return true;
}

void listing_add(struct listing *l, enum listing_event event,
	const struct walk_item *it)
{
	const struct fs_node *n = &it->node;
	bool same = like(n, &l->last);
	size_t start = l->data.len, more;
	uint8_t *p;

	if (l->lost)
		return;
	p = buf_room(&l->data, NODE_ROOM + it->name_len);
	if (!p) {
		lose(l);
		return;
	}
	*p++ = (uint8_t)(event | (unsigned)n->type << TYPE_SHIFT |
			 (same ? LIKE_LAST : 0));
	if (event == LISTING_LEAVE) {
		l->data.len++;
		return;
	}
	p = put(p, it->name_len);
	memcpy(p, it->name, it->name_len);
	p = put(p + it->name_len, fold(n->id, l->last.id));
	p = put(p, n->size);
	p = put(p, fold((uint64_t)n->mtime, (uint64_t)l->last.mtime));
	p = put(p, n->mtime_ns);
	if (!same) {
		p = put(p, n->mode);
		p = put(p, n->uid);
		p = put(p, n->gid);
		p = put(p, n->nlink);
		p = put(p, n->flags);
		p = put(p, n->rdev_major);
		p = put(p, n->rdev_minor);
	}
	l->last = *n;
	l->data.len = more = (size_t)(p - l->data.data);
	if (!put_more(l, n) && !l->data.oom) {
		l->data.len = more;
		l->data.data[start] |= ASK;
	}
	if (l->data.oom || l->data.len > l->max)
		lose(l);
}

/* --- reading --- */

void listing_reader_init(struct listing_reader *r, const struct listing *l)
{
	memset(r, 0, sizeof(*r));
	r->l = l;
	r->c = cursor_make(l->data.data, l->data.len);
}

void listing_reader_release(struct listing_reader *r)
{
	buf_release(&r->path);
	vec_release(&r->levels);
}

static void get_node(struct listing_reader *r, uint8_t head,
	struct fs_node *n)
{
	struct cursor *c = &r->c;

	*n = r->last;
	n->type = (enum fs_type)(head >> TYPE_SHIFT & TYPE);
	n->id = unfold(cur_varint(c), r->last.id);
	n->size = cur_varint(c);
	n->mtime = (int64_t)unfold(cur_varint(c), (uint64_t)r->last.mtime);
	n->mtime_ns = (uint32_t)cur_varint(c);
	if (!(head & LIKE_LAST)) {
		n->mode = (uint32_t)cur_varint(c);
		n->uid = (uint32_t)cur_varint(c);
		n->gid = (uint32_t)cur_varint(c);
		n->nlink = (uint32_t)cur_varint(c);
		n->flags = (uint32_t)cur_varint(c);
		n->rdev_major = (uint32_t)cur_varint(c);
		n->rdev_minor = (uint32_t)cur_varint(c);
	}
	r->last = *n;
}

static void get_more(struct listing_reader *r, struct listing_item *out)
{
	const struct fs_node *n = &out->item.node;
	struct cursor *c = &r->c;
	uint64_t v;

	if (n->type == FS_SYMLINK) {
		v = cur_varint(c);
		out->no_target = !v;
		if (v)
			out->target = cur_view(c, v - 1);
	}
	if (n->flags & FS_NODE_XATTRS) {
		size_t at = (size_t)(c->p - r->l->data.data);
		struct cursor old = *c;

		v = cur_varint(c);
		if (v) {
			old = cursor_make(r->l->data.data, r->l->data.len);
			cur_skip(&old, at - v);
			c = &old;
		}
		out->attrs = cur_view(c, cur_varint(c));
	}
}

static void set_item(struct listing_reader *r, size_t name_off, size_t depth,
	struct walk_item *it)
{
	it->path = buf_str(&r->path);
	if (!it->path[0])
		it->path = "/";
	it->name = r->path.data + name_off;
	it->name_len = r->path.len - name_off;
	it->depth = (unsigned)depth;
}

static void get_leave(struct listing_reader *r, struct listing_item *out)
{
	const struct listing_level *l = vec_last(&r->levels);

	r->levels.len--;
	*out = l->it;
	out->event = LISTING_LEAVE;
	r->path.len = l->path_len;
	set_item(r, l->name_off, r->levels.len, &out->item);
}

int listing_next(struct listing_reader *r, struct listing_item *out,
	struct error *e)
{
	struct listing_level l = { 0 };
	uint8_t head;
	size_t n;

	if (!r->c.left)
		return 0;
	head = cur_u8(&r->c);
	l.it.event = (enum listing_event)(head & EVENT);
	if (l.it.event == LISTING_LEAVE) {
		get_leave(r, out);
		return r->path.oom ? error_nomem(e) : 1;
	}
	n = (size_t)cur_varint(&r->c);
	if (r->levels.len) {
		r->path.len = vec_last(&r->levels)->path_len;
		buf_addch(&r->path, '/');
	}
	l.name_off = r->path.len;
	buf_add(&r->path, cur_bytes(&r->c, n), n);
	l.path_len = r->path.len;
	buf_str(&r->path);
	get_node(r, head, &l.it.item.node);
	l.it.ask = head & ASK;
	if (!l.it.ask)
		get_more(r, &l.it);
	if (r->path.oom || (l.it.event == LISTING_ENTER &&
				   !vec_push(&r->levels, l)))
		return error_nomem(e);
	*out = l.it;
	set_item(r, l.name_off, r->levels.len - (l.it.event == LISTING_ENTER),
		&out->item);
	return 1;
}
