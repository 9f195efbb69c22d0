/* SPDX-License-Identifier: Apache-2.0 */
#include "model/layout.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define HEIGHT_MAX 6

unsigned layout_height(uint64_t disk_size)
{
	uint64_t cover = LAYOUT_SPAN;
	unsigned h = 0;

	while (cover < disk_size && h < HEIGHT_MAX) {
		cover = cover > UINT64_MAX / LAYOUT_FANOUT
				? UINT64_MAX
				: cover * LAYOUT_FANOUT;
		h++;
	}
	return h;
}

int layout_builder_init(struct layout_builder *b, uint64_t disk_size,
	record_put_fn put, void *ctx, struct error *e)
{
	memset(b, 0, sizeof(*b));
	if (disk_size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT, "a disk over 2^62 bytes");
	b->put = put;
	b->ctx = ctx;
	b->size = disk_size;
	b->height = layout_height(disk_size);
	for (unsigned i = 0; i < b->height; i++) {
		b->nodes[i].child = calloc(LAYOUT_FANOUT, sizeof(struct oid));
		if (!b->nodes[i].child) {
			layout_builder_release(b);
			return error_nomem(e);
		}
	}
	return 0;
}

void layout_builder_release(struct layout_builder *b)
{
	for (unsigned i = 0; i < ARRAY_LEN(b->nodes); i++) {
		free(b->nodes[i].child);
		b->nodes[i].child = NULL;
	}
	vec_release(&b->leaf);
	vec_release(&b->table);
}

/* Number of id in the table of ids so far; a small open-addressing table from
 * ids to numbers is kept in b->table. */
static int encode_leaf(struct layout_builder *b, struct buf *out,
	struct error *e)
{
	size_t n = b->leaf.len, cap = 16, nids = 0;
	AUTO_BUF ids = BUF_INIT, ext = BUF_INIT;

	while (cap < 2 * n)
		cap *= 2;
	if (!vec_reserve(&b->table, cap))
		return error_nomem(e);
	memset(b->table.items, 0, cap * sizeof(*b->table.items));
	for (size_t i = 0; i < n; i++) {
		const struct layout_extent *x = &b->leaf.items[i];
		uint32_t *slot;
		size_t k;

		buf_varint(&ext, x->len << 2 | x->kind);
		if (x->kind == LAYOUT_ZERO)
			continue;
		k = (size_t)get_le64(x->id.b) & (cap - 1);
		for (;; k = (k + 1) & (cap - 1)) {
			slot = &b->table.items[k];
			if (!*slot || !memcmp(ids.data + 32 * (*slot - 1),
					      x->id.b, 32))
				break;
		}
		if (!*slot) {
			buf_add(&ids, x->id.b, 32);
			*slot = (uint32_t)++nids;
		}
		buf_varint(&ext, *slot - 1);
		buf_varint(&ext, x->id_off);
	}
	buf_addch(out, 'l');
	buf_addch(out, 0);
	buf_varint(out, nids);
	buf_add(out, ids.data, ids.len);
	buf_varint(out, n);
	buf_add(out, ext.data, ext.len);
	return out->oom || ids.oom || ext.oom ? error_nomem(e) : 0;
}

static int put_node(struct layout_builder *b, unsigned level, struct oid *out,
	struct error *e)
{
	AUTO_BUF rec = BUF_INIT;
	uint8_t bits[LAYOUT_FANOUT / 8] = { 0 };
	const struct oid *child = b->nodes[level - 1].child;

	for (unsigned i = 0; i < LAYOUT_FANOUT; i++)
		if (!oid_is_zero(&child[i]))
			bits[i / 8] |= (uint8_t)(1 << (i % 8));
	buf_addch(&rec, 'l');
	buf_addch(&rec, (char)level);
	buf_add(&rec, bits, sizeof(bits));
	for (unsigned i = 0; i < LAYOUT_FANOUT; i++)
		if (!oid_is_zero(&child[i]))
			buf_add(&rec, child[i].b, 32);
	return rec.oom ? error_nomem(e)
		       : b->put(b->ctx, rec.data, rec.len, out, e);
}

/* The leaf or node that ends at b->at has this id (zero: all zeros). Nodes
 * that end there too are written. */
static int child_done(struct layout_builder *b, struct oid id, struct error *e)
{
	uint64_t index = (b->at - 1) / LAYOUT_SPAN;

	for (unsigned level = 1; level <= b->height; level++) {
		unsigned slot = (unsigned)(index % LAYOUT_FANOUT);
		int r;

		b->nodes[level - 1].child[slot] = id;
		if (!oid_is_zero(&id))
			b->nodes[level - 1].any = true;
		if (slot != LAYOUT_FANOUT - 1 && b->at != b->size)
			return 0;
		memset(&id, 0, sizeof(id));
		if (b->nodes[level - 1].any) {
			r = put_node(b, level, &id, e);
			if (r)
				return r;
			memset(b->nodes[level - 1].child, 0,
				LAYOUT_FANOUT * sizeof(struct oid));
			b->nodes[level - 1].any = false;
		}
		index /= LAYOUT_FANOUT;
	}
	b->root = id;
	return 0;
}

static int leaf_done(struct layout_builder *b, struct error *e)
{
	struct oid id = { { 0 } };
	int r = 0;

	while (b->leaf.len && vec_last(&b->leaf)->kind == LAYOUT_ZERO)
		b->leaf.len--;
	if (b->leaf.len) {
		AUTO_BUF rec = BUF_INIT;

		r = encode_leaf(b, &rec, e);
		if (!r)
			r = b->put(b->ctx, rec.data, rec.len, &id, e);
		b->leaf.len = 0;
	}
	return r ? r : child_done(b, id, e);
}

/* The largest run of leaves that starts at b->at, lies inside len bytes and is
 * one child at some level: a sparse TiB is skipped in few steps. */
static uint64_t zero_step(const struct layout_builder *b, uint64_t len)
{
	uint64_t step = LAYOUT_SPAN;

	for (unsigned level = 1; level < b->height; level++) {
		uint64_t wide = step * LAYOUT_FANOUT;

		if (b->at % wide || wide > len)
			break;
		step = wide;
	}
	return step;
}

int layout_builder_add(struct layout_builder *b, enum layout_kind kind,
	uint64_t len, const struct oid *id, uint64_t id_off, struct error *e)
{
	int r = 0;

	if (!range_inside(b->at, len, b->size))
		return error_set(e, ERR_ARG, "an extent is outside the disk");
	while (len && !r) {
		uint64_t room = u64_min(LAYOUT_SPAN - b->at % LAYOUT_SPAN,
			b->size - b->at);
		uint64_t n = u64_min(room, len);
		struct layout_extent *last =
			b->leaf.len ? vec_last(&b->leaf) : NULL;

		if (kind == LAYOUT_ZERO && !(b->at % LAYOUT_SPAN) &&
			len >= LAYOUT_SPAN && b->at + LAYOUT_SPAN < b->size) {
			/* A child of some level that is zeros as a whole:
			 * nodes start out as zeros, so only its end counts. */
			n = zero_step(b, u64_min(len, b->size - b->at - 1));
			b->at += n;
			r = child_done(b, (struct oid){ { 0 } }, e);
			len -= n;
			continue;
		}
		if (last && last->kind == kind &&
			(kind == LAYOUT_ZERO ||
				(oid_equal(&last->id, id) &&
					last->id_off + last->len == id_off)))
			last->len += n;
		else if (!vec_push(&b->leaf,
				 (struct layout_extent){ .off = b->at,
					 .len = n,
					 .kind = kind,
					 .id = id ? *id : (struct oid){ { 0 } },
					 .id_off = id_off }))
			return error_nomem(e);
		b->at += n;
		id_off += n;
		len -= n;
		if (n == room)
			r = leaf_done(b, e);
	}
	return r;
}

int layout_builder_add_leaf(struct layout_builder *b, const struct oid *leaf,
	struct error *e)
{
	if (b->at % LAYOUT_SPAN || b->at >= b->size)
		return error_set(e, ERR_ARG, "not at the start of a leaf");
	b->at += u64_min(LAYOUT_SPAN, b->size - b->at);
	return child_done(b, *leaf, e);
}

int layout_builder_finish(struct layout_builder *b, struct oid *out_root,
	struct error *e)
{
	if (b->at != b->size)
		return error_at(e, ERR_CORRUPT, b->at,
			"the layout covers %llu of %llu bytes",
			(unsigned long long)b->at, (unsigned long long)b->size);
	*out_root = b->root;
	return 0;
}

/* --- reading --- */

int layout_reader_init(struct layout_reader *r, const struct oid *root,
	uint64_t disk_size, record_get_fn get, void *ctx, struct error *e)
{
	memset(r, 0, sizeof(*r));
	r->get = get;
	r->ctx = ctx;
	r->size = disk_size;
	r->height = layout_height(disk_size);
	r->root = *root;
	if (r->height) {
		r->nodes = calloc(r->height, sizeof(*r->nodes));
		if (!r->nodes)
			return error_nomem(e);
	}
	return 0;
}

void layout_reader_release(struct layout_reader *r)
{
	free(r->nodes);
	r->nodes = NULL;
}

static int node_decode(const struct buf *rec, unsigned level,
	struct oid child[LAYOUT_FANOUT], struct error *e)
{
	struct cursor c = cursor_make(rec->data, rec->len);
	const uint8_t *bits;
	unsigned tag = cur_u8(&c), have = cur_u8(&c);

	bits = cur_bytes(&c, LAYOUT_FANOUT / 8);
	memset(child, 0, LAYOUT_FANOUT * sizeof(*child));
	for (unsigned i = 0; bits && i < LAYOUT_FANOUT; i++)
		if (bits[i / 8] & 1 << (i % 8)) {
			const uint8_t *p = cur_bytes(&c, 32);

			if (p)
				memcpy(child[i].b, p, 32);
		}
	if (tag != 'l' || have != level || c.bad || c.left)
		return error_set(e, ERR_CORRUPT, "a layout record is damaged");
	return 0;
}

int layout_reader_leaf(struct layout_reader *r, uint64_t index,
	struct oid *out, uint64_t *out_skip, struct error *e)
{
	struct oid id = r->root;

	*out_skip = 0;
	for (unsigned level = r->height; level; level--) {
		uint64_t span = UINT64_C(1) << (8 * level); /* in leaves */
		uint64_t node = index >> (8 * level);
		unsigned slot = (unsigned)(index >> (8 * (level - 1))) &
				(LAYOUT_FANOUT - 1);

		if (oid_is_zero(&id)) {
			*out = id;
			*out_skip = span - index % span;
			return 0;
		}
		if (!r->nodes[level - 1].valid ||
			r->nodes[level - 1].index != node) {
			AUTO_BUF rec = BUF_INIT;
			int rc = r->get(r->ctx, &id, &rec, e);

			r->nodes[level - 1].valid = false;
			if (!rc)
				rc = node_decode(&rec, level,
					r->nodes[level - 1].child, e);
			if (rc)
				return rc;
			r->nodes[level - 1].index = node;
			r->nodes[level - 1].valid = true;
		}
		id = r->nodes[level - 1].child[slot];
	}
	*out = id;
	*out_skip = oid_is_zero(&id) ? 1 : 0;
	return 0;
}

int layout_leaf_decode(const void *data, size_t len, uint64_t start,
	uint64_t disk_size, layout_extents *out, struct error *e)
{
	struct cursor c = cursor_make(data, len);
	uint64_t span = u64_min(LAYOUT_SPAN, disk_size - start);
	uint64_t at = start, end = start + span, nids, n;
	const uint8_t *ids;
	unsigned tag = cur_u8(&c), level = cur_u8(&c);

	out->len = 0;
	nids = cur_varint(&c);
	ids = cur_bytes(&c, nids > len ? SIZE_MAX : (size_t)nids * 32);
	n = cur_varint(&c);
	if (tag != 'l' || level || c.bad)
		goto damaged;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t v = cur_varint(&c);
		struct layout_extent x = { .off = at,
			.len = v >> 2,
			.kind = (enum layout_kind)(v & 3) };

		if (c.bad || !x.len || x.len > end - at ||
			x.kind > LAYOUT_RAW)
			goto damaged;
		if (x.kind != LAYOUT_ZERO) {
			uint64_t k = cur_varint(&c);

			x.id_off = cur_varint(&c);
			if (c.bad || k >= nids)
				goto damaged;
			memcpy(x.id.b, ids + 32 * k, 32);
		}
		if (!vec_push(out, x))
			return error_nomem(e);
		at += x.len;
	}
	if (c.left)
		goto damaged;
	if (at < end && !vec_push(out, (struct layout_extent){ .off = at,
					       .len = end - at }))
		return error_nomem(e);
	return 0;
damaged:
	return error_at(e, ERR_CORRUPT, at, "a layout record is damaged");
}

int layout_record_walk(const void *data, size_t len,
	int (*child)(void *ctx, const struct oid *id),
	int (*blob)(void *ctx, const struct oid *id), void *ctx,
	struct error *e)
{
	struct cursor c = cursor_make(data, len);
	unsigned tag = cur_u8(&c), level = cur_u8(&c);
	uint64_t n = 0;
	int r = 0;

	if (tag != 'l' || level > HEIGHT_MAX || c.bad)
		return error_set(e, ERR_CORRUPT, "a layout record is damaged");
	if (level) {
		const uint8_t *bits = cur_bytes(&c, LAYOUT_FANOUT / 8);

		for (unsigned i = 0; bits && i < LAYOUT_FANOUT; i++)
			n += bits[i / 8] >> (i % 8) & 1;
	} else {
		n = cur_varint(&c);
	}
	for (uint64_t i = 0; i < n && !r; i++) {
		const uint8_t *p = cur_bytes(&c, 32);
		struct oid id;

		if (!p)
			return error_set(e, ERR_CORRUPT,
				"a layout record is damaged");
		memcpy(id.b, p, 32);
		if (level ? child != NULL : blob != NULL)
			r = (level ? child : blob)(ctx, &id);
	}
	return r;
}
