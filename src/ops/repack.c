/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a repack: what is similar stands side by side, so that a frame
 * compresses well. Files by the ending of their name, then by name and size (so
 * all versions of a file are neighbours); chunks as their files; what belongs
 * to no file stays in the order of the disk; records by kind. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ops/gc.h"
#include "ops/mark.h"

struct sort_key {
	uint64_t group; /* kind, and ending of the name */
	uint64_t name;
	uint64_t place; /* size, number of the chunk, or where it was */
	uint64_t pos;
};

struct order {
	struct library *l;
	struct census *c;
	const uint64_t *drop;
	const struct progress *progress;
	uint64_t *named; /* content positions that have a key */
	VEC(struct sort_key) keys;
	struct error *e;
};

enum { GROUP_RECORD = 1, GROUP_LIST = 2, GROUP_FILE = 3, GROUP_RAW = 4 };

static int by_key(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return (x->pos > y->pos) - (x->pos < y->pos);
}

/* Up to 7 bytes of the ending, as a number that sorts like them. Digits count
 * for nothing: libfoo.so.1 and .so.2 are of one kind. */
static uint64_t ending(const uint8_t *name, size_t len)
{
	uint64_t v = 0;
	size_t n = 0, at = len;

	while (at > 0 && name[at - 1] != '.' && len - at < 12)
		at--;
	if (!at || name[at - 1] != '.')
		at = len;
	if (at < len && name[at] >= '0' && name[at] <= '9') {
		/* .so.1, .gz.1: the ending before */
		size_t end = at - 1;

		while (end > 0 && (name[end - 1] == '.' ||
					  (name[end - 1] >= '0' &&
						  name[end - 1] <= '9')))
			end--;
		for (at = end; at > 0 && name[at - 1] != '.' && end - at < 12;)
			at--;
		len = end;
		if (!at || name[at - 1] != '.')
			at = end;
	}
	for (; at < len && n < 7; at++, n++)
		v = v << 8 | name[at];
	for (; n < 7; n++)
		v <<= 8;
	return v;
}

static uint64_t name_key(const uint8_t *name, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 4; i++)
		v = v << 8 | (i < len ? name[i] : 0);
	return v << 32 | (checksum64(name, len) & 0xffffffff);
}

struct file {
	struct order *o;
	uint64_t group, name, size;
	uint64_t number; /* of the next chunk */
	const uint8_t *list;
};

static int take(struct order *o, uint64_t pos, uint64_t group, uint64_t name,
	uint64_t place)
{
	struct census_entry x;

	if (bit_get(o->named, pos) || (o->drop && bit_get(o->drop, pos)) ||
		!census_at(o->c, pos, &x))
		return 0;
	bit_set(o->named, pos);
	return vec_push(&o->keys,
		       (struct sort_key){ group, name, place, pos })
		       ? 0
		       : error_nomem(o->e);
}

static int take_chunk(void *ctx, enum object_space space,
	const struct oid *id, uint32_t len ATTR_UNUSED)
{
	struct file *f = ctx;
	uint64_t pos;

	if (space != SPACE_CONTENT || !census_find(f->o->c, space, id, &pos))
		return 0;
	/* the same part of all versions side by side */
	return take(f->o, pos, f->group, f->name, f->number++);
}

static int on_ref(void *ctx, const struct mark_ref *ref)
{
	struct order *o = ctx;
	struct file f = { .o = o };
	struct census_entry x;
	uint64_t pos;

	if (!ref->name || ref->space != SPACE_CONTENT ||
		!census_find(o->c, SPACE_CONTENT, &ref->id, &pos) ||
		bit_get(o->named, pos) || !census_at(o->c, pos, &x) ||
		(o->drop && bit_get(o->drop, pos)))
		return 0;
	f.group = (uint64_t)GROUP_FILE << 56 | ending(ref->name, ref->name_len);
	f.name = name_key(ref->name, ref->name_len);
	if (x.kind == OBJ_BLOB)
		return take(o, pos, f.group, f.name, x.len);
	if (take(o, pos, (uint64_t)GROUP_LIST << 56, f.name, 0))
		return ERR_NOMEM;
	return store_blob_parts(o->l->store, &ref->id, take_chunk, &f, o->e);
}

/* Names come from the trees. */
static int name_files(struct order *o)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(o->c) && !r; i++) {
		AUTO_BUF b = BUF_INIT;
		struct census_entry x;

		if (!census_at(o->c, i, &x) || x.kind != OBJ_TREE ||
			(o->drop && bit_get(o->drop, i)))
			continue;
		if (i % 64 == 0)
			r = progress_check(o->progress, o->e);
		if (!r)
			r = store_get(o->l->store, x.space, &x.id, NULL, &b,
				o->e);
		if (!r)
			r = mark_refs(x.kind, &b, on_ref, o, o->e);
	}
	return r;
}

static int the_rest(struct order *o)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(o->c) && !r; i++) {
		struct census_frame f;
		struct census_entry x;
		uint64_t first;

		if (bit_get(o->named, i) || (o->drop && bit_get(o->drop, i)) ||
			!census_at(o->c, i, &x) ||
			!census_find(o->c, x.space, &x.id, &first) ||
			first != i || !census_frame_at(o->c, x.frame, &f))
			continue;
		r = take(o, i,
			x.kind == OBJ_BLOB     ? (uint64_t)GROUP_RAW << 56
			: x.kind == OBJ_CHUNKS ? (uint64_t)GROUP_LIST << 56
					       : (uint64_t)GROUP_RECORD << 56 |
							 (uint64_t)x.kind,
			f.pack, f.off << 8 | (x.off >> 16 & 0xff));
	}
	return r;
}

int repack_order(struct library *l, struct census *c, const uint64_t *drop,
	const struct progress *progress, uint64_t **out, size_t *out_n,
	struct error *e)
{
	struct order o = { .l = l, .c = c, .drop = drop, .progress = progress,
		.e = e };
	int r;

	o.named = census_bits(census_count(c));
	r = o.named ? name_files(&o) : error_nomem(e);
	if (!r)
		r = the_rest(&o);
	if (!r && o.keys.len)
		qsort(o.keys.items, o.keys.len, sizeof(struct sort_key),
			by_key);
	if (!r) {
		/* in place: a key is longer than a position */
		uint64_t *p = (uint64_t *)o.keys.items;

		for (size_t i = 0; i < o.keys.len; i++) {
			uint64_t pos = o.keys.items[i].pos;

			memcpy(&p[i], &pos, sizeof(pos));
		}
		*out = p;
		*out_n = o.keys.len;
		o.keys.items = NULL;
	}
	free(o.keys.items);
	free(o.named);
	return r;
}
