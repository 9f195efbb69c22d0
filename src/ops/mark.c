/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/mark.h"

#include <stdlib.h>
#include <string.h>
#include "base/cursor.h"
#include "base/vec.h"
#include "model/layout.h"
#include "model/tree.h"
#include "store/chunklist.h"

/* Objects waiting on the stack (8 bytes each); further ones wait as a bit and
 * are found again by looking through the bits. */
#define STACK_MAX (1u << 18)

struct mark {
	struct library *l;
	struct census *c;
	const struct progress *progress;
	mark_problem_fn problem;
	void *ctx;
	uint64_t *seen, *waiting;
	bool any_waiting;
	VEC(uint64_t) stack;
	VEC(uint64_t) later; /* roots of volumes with encoded files */
	enum { STRICT, ENCODED, LOOSE } mode;
	bool history;
	uint64_t done;
	struct error *e; /* of the call at hand */
	struct error why;
};

int mark_open(struct library *l, struct census *c, mark_problem_fn problem,
	void *ctx, const struct progress *progress, struct mark **out,
	struct error *e)
{
	struct mark *m = calloc(1, sizeof(*m));

	if (!m)
		return error_nomem(e);
	m->l = l;
	m->c = c;
	m->progress = progress;
	m->problem = problem;
	m->ctx = ctx;
	m->seen = census_bits(census_count(c));
	m->waiting = census_bits(census_count(c));
	if (!m->seen || !m->waiting) {
		mark_close(m);
		return error_nomem(e);
	}
	*out = m;
	return 0;
}

void mark_close(struct mark *m)
{
	if (!m)
		return;
	free(m->seen);
	free(m->waiting);
	vec_release(&m->stack);
	vec_release(&m->later);
	free(m);
}

const uint64_t *mark_bits(const struct mark *m)
{
	return m->seen;
}

/* --- what refers to what --- */

struct refs {
	mark_ref_fn fn;
	void *ctx;
	struct mark_ref ref; /* what is common to all */
};

static int give(struct refs *r, enum object_space space, const struct oid *id)
{
	if (oid_is_zero(id) ||
		(space == SPACE_CONTENT && oid_equal(id, &oid_empty)))
		return 0;
	r->ref.space = space;
	r->ref.id = *id;
	return r->fn(r->ctx, &r->ref);
}

static int give_record(void *ctx, const struct oid *id)
{
	return give(ctx, SPACE_RECORD, id);
}

static int give_content(void *ctx, const struct oid *id)
{
	return give(ctx, SPACE_CONTENT, id);
}

static int give_entry(void *ctx, const struct entry *x)
{
	struct refs *r = ctx;
	struct cursor c = cursor_make(x->xattrs.data, x->xattrs.len);
	struct xattr a;
	int code = 0;

	r->ref.name = x->name;
	r->ref.name_len = x->name_len;
	if (x->type == ENTRY_DIR)
		code = give(r, SPACE_RECORD, &x->id);
	else if (x->type == ENTRY_FILE && !(x->flags & ENTRY_OPAQUE))
		code = give(r, SPACE_CONTENT, &x->id);
	while (!code && xattr_next(&c, &a))
		if (a.is_blob)
			code = give(r, SPACE_CONTENT, &a.id);
	r->ref.name = NULL;
	r->ref.name_len = 0;
	return code;
}

static int chunk_refs(const struct buf *b, struct refs *r, struct error *e)
{
	int code = 0;

	if (b->len < CHUNKLIST_HEAD ||
		(b->len - CHUNKLIST_HEAD) % CHUNKLIST_ENTRY || b->data[0] > 1)
		return error_set(e, ERR_CORRUPT, "a list of chunks is damaged");
	for (size_t at = CHUNKLIST_HEAD; at < b->len && !code;
		at += CHUNKLIST_ENTRY) {
		struct oid id;

		memcpy(id.b, b->data + at, 32);
		code = give(r, b->data[0] ? SPACE_RECORD : SPACE_CONTENT, &id);
	}
	return code;
}

static int image_refs(const struct buf *b, struct refs *r, struct error *e)
{
	AUTO_IMAGE im = { 0 };
	int code = image_decode(b->data, b->len, &im, e);

	for (size_t i = 0; i < im.disks.len && !code; i++) {
		r->ref.disk = (int)i;
		code = give(r, SPACE_RECORD, &im.disks.items[i].layout);
	}
	r->ref.disk = -1;
	for (size_t i = 0; i < im.attachments.len && !code; i++) {
		r->ref.name = (const uint8_t *)im.attachments.items[i].name;
		r->ref.name_len = strlen(im.attachments.items[i].name);
		code = give(r, SPACE_CONTENT, &im.attachments.items[i].id);
	}
	r->ref.name = NULL;
	r->ref.name_len = 0;
	for (size_t i = 0; i < im.volumes.len && !code; i++) {
		struct image_volume *v = &im.volumes.items[i];
		struct cursor c = cursor_make(v->root.data, v->root.len);
		struct entry x;

		if (!v->has_tree)
			continue;
		code = entry_decode(&c, &x, e);
		r->ref.volume = v->name;
		r->ref.encoded = v->has_encoded;
		if (!code)
			code = give_entry(r, &x);
		r->ref.volume = NULL;
		r->ref.encoded = false;
	}
	return code;
}

static int commit_refs(const struct buf *b, struct refs *r, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	int code = commit_decode(b->data, b->len, &c, e);

	if (!code)
		code = give(r, SPACE_RECORD, &c.image);
	r->ref.parent = true;
	for (size_t i = 0; i < c.parents.len && !code; i++)
		code = give(r, SPACE_RECORD, &c.parents.items[i]);
	return code;
}

int mark_refs(enum object_kind kind, const struct buf *data, mark_ref_fn fn,
	void *ctx, struct error *e)
{
	struct refs r = { .fn = fn, .ctx = ctx, .ref.disk = -1 };

	switch (kind) {
	case OBJ_CHUNKS:
	case OBJ_SEGMENT:
		return chunk_refs(data, &r, e);
	case OBJ_TREE:
		return tree_record_walk(data->data, data->len, give_record,
			give_entry, &r, e);
	case OBJ_LAYOUT:
		return layout_record_walk(data->data, data->len, give_record,
			give_content, &r, e);
	case OBJ_IMAGE:
		return image_refs(data, &r, e);
	case OBJ_COMMIT:
		return commit_refs(data, &r, e);
	default:
		return 0;
	}
}

/* --- the walk --- */

static int problem(struct mark *m, enum object_space space,
	const struct oid *id, struct error *why)
{
	if (m->mode == LOOSE)
		return 0;
	if (m->problem)
		return m->problem(m->ctx, space, id, why, m->e);
	error_prefix(why, "the library is damaged (see 'strata verify')");
	if (m->e) {
		*m->e = *why;
		m->e->code = ERR_DAMAGED;
	}
	return ERR_DAMAGED;
}

static int push(struct mark *m, uint64_t pos)
{
	if (m->stack.len < STACK_MAX) {
		if (!vec_push(&m->stack, pos))
			return error_nomem(m->e);
	} else {
		bit_set(m->waiting, pos);
		m->any_waiting = true;
	}
	return 0;
}

static int visit(struct mark *m, enum object_space space,
	const struct oid *id, bool later)
{
	struct census_entry x;
	char hex[OID_HEX + 1];
	uint64_t pos;

	if (!census_find(m->c, space, id, &pos)) {
		if (space == SPACE_CONTENT && m->mode == ENCODED)
			return 0;
		error_set(&m->why, ERR_NOTFOUND, "library: %s %s is missing",
			space == SPACE_CONTENT ? "blob" : "record",
			oid_hex(id, hex));
		return problem(m, space, id, &m->why);
	}
	if (later && !bit_get(m->seen, pos))
		return vec_push(&m->later, pos) ? 0 : error_nomem(m->e);
	if (bit_get(m->seen, pos))
		return 0;
	bit_set(m->seen, pos);
	if (!census_at(m->c, pos, &x)) {
		error_set(&m->why, ERR_DAMAGED, "library: the index entry of "
						"%s is damaged",
			oid_hex(id, hex));
		return problem(m, space, id, &m->why);
	}
	return x.kind == OBJ_BLOB ? 0 : push(m, pos);
}

static int on_ref(void *ctx, const struct mark_ref *ref)
{
	struct mark *m = ctx;

	if (ref->parent && !m->history)
		return 0;
	return visit(m, ref->space, &ref->id,
		ref->encoded && m->mode == STRICT);
}

static int expand(struct mark *m, uint64_t pos)
{
	AUTO_BUF data = BUF_INIT;
	struct census_entry x;
	enum object_kind kind;
	int r;

	if (!census_at(m->c, pos, &x))
		return 0;
	if (++m->done % 256 == 0) {
		r = progress_check(m->progress, m->e);
		if (r)
			return r;
	}
	r = store_get(m->l->store, x.space, &x.id, &kind, &data, &m->why);
	if (r)
		return r == ERR_NOMEM ? error_nomem(m->e)
				      : problem(m, x.space, &x.id, &m->why);
	m->why.code = 0;
	r = mark_refs(kind, &data, on_ref, m, &m->why);
	if (r == ERR_CORRUPT || r == ERR_UNSUPPORTED || r == ERR_LIMIT) {
		m->why.code = ERR_DAMAGED;
		error_prefix(&m->why, "library: %s", object_kind_name(kind));
		r = problem(m, x.space, &x.id, &m->why);
	}
	return r;
}

static int run(struct mark *m)
{
	int r = 0;

	while (!r) {
		if (m->stack.len) {
			r = expand(m, m->stack.items[--m->stack.len]);
		} else if (m->any_waiting) {
			m->any_waiting = false;
			for (uint64_t i = 0; i < census_count(m->c); i++) {
				if (!bit_get(m->waiting, i))
					continue;
				if (m->stack.len >= STACK_MAX) {
					m->any_waiting = true;
					break;
				}
				bit_clear(m->waiting, i);
				if (!vec_push(&m->stack, i))
					return error_nomem(m->e);
			}
		} else {
			break;
		}
	}
	return r;
}

int mark_commit(struct mark *m, const struct oid *id, bool history,
	struct error *e)
{
	int r;

	m->e = e;
	m->mode = STRICT;
	m->history = history;
	r = visit(m, SPACE_RECORD, id, false);
	return r ? r : run(m);
}

int mark_finish(struct mark *m, struct error *e)
{
	int r = 0;

	m->e = e;
	m->mode = ENCODED;
	for (size_t i = 0; i < m->later.len && !r; i++) {
		uint64_t pos = m->later.items[i];

		if (bit_get(m->seen, pos))
			continue;
		bit_set(m->seen, pos);
		r = push(m, pos);
		if (!r)
			r = run(m);
	}
	m->later.len = 0;
	return r;
}

int mark_loose(struct mark *m, uint64_t pos, struct error *e)
{
	struct census_entry x;
	int r;

	m->e = e;
	m->mode = LOOSE;
	m->history = true;
	if (bit_get(m->seen, pos) || !census_at(m->c, pos, &x))
		return 0;
	bit_set(m->seen, pos);
	if (x.kind == OBJ_BLOB)
		return 0;
	r = push(m, pos);
	return r ? r : run(m);
}
