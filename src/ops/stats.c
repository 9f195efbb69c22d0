/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/stats.h"

#include <stdlib.h>
#include <string.h>
#include "base/cursor.h"
#include "model/layout.h"
#include "ops/mark.h"
#include "ops/roots.h"

struct stats {
	struct library *l;
	struct census *c;
	struct library_stats *out;
	/* Mapped bytes of each layout record + 1, by position; 0: not known.
	 * Pages that nothing asks for cost no memory. */
	uint64_t *mapped;
	uint64_t *commits, *images, *chunks;
	VEC(struct oid) todo;
	struct error *e;
};

static int leaf_bytes(const struct buf *b, uint64_t *out, struct error *e)
{
	layout_extents x = { 0 };
	int r = layout_leaf_decode(b->data, b->len, 0, LAYOUT_SPAN, &x, e);

	*out = 0;
	for (size_t i = 0; i < x.len && !r; i++)
		if (x.items[i].kind != LAYOUT_ZERO)
			*out += x.items[i].len;
	vec_release(&x);
	return r;
}

typedef VEC(struct oid) oid_stack;

/* The children of a node whose bytes are not known yet wait on the stack,
 * with the node below them. */
struct node_sum {
	struct stats *s;
	oid_stack *stack;
	uint64_t sum;
	bool wait;
};

static int add_child(void *ctx, const struct mark_ref *ref)
{
	struct node_sum *n = ctx;
	uint64_t pos;

	if (ref->space != SPACE_RECORD)
		return 0;
	if (!census_find(n->s->c, SPACE_RECORD, &ref->id, &pos))
		return error_set(n->s->e, ERR_DAMAGED, "library: a layout is "
						       "missing");
	if (n->s->mapped[pos]) {
		n->sum += n->s->mapped[pos] - 1;
		return 0;
	}
	n->wait = true;
	return vec_push(n->stack, ref->id) ? 0 : error_nomem(n->s->e);
}

static int layout_bytes(struct stats *s, const struct oid *root, uint64_t *out)
{
	oid_stack stack = { 0 };
	uint64_t pos = 0;
	int r = 0;

	*out = 0;
	if (oid_is_zero(root))
		return 0;
	if (!vec_push(&stack, *root))
		return error_nomem(s->e);
	/* A node is looked at twice at most: content-addressed records make no
	 * loops. */
	while (stack.len && !r) {
		AUTO_BUF b = BUF_INIT;
		struct node_sum n = { .s = s, .stack = &stack };
		struct oid id = *vec_last(&stack);

		if (!census_find(s->c, SPACE_RECORD, &id, &pos)) {
			r = error_set(s->e, ERR_DAMAGED,
				"library: a layout is missing");
			break;
		}
		if (s->mapped[pos]) {
			stack.len--;
			continue;
		}
		r = library_get_layout(s->l, &id, &b, s->e);
		if (r)
			break;
		if (b.len > 1 && b.data[1] == 0)
			r = leaf_bytes(&b, &n.sum, s->e);
		else
			r = mark_refs(OBJ_LAYOUT, &b, add_child, &n, s->e);
		if (!r && !n.wait) {
			s->mapped[pos] = n.sum + 1;
			stack.len--;
		}
	}
	vec_release(&stack);
	if (!r && census_find(s->c, SPACE_RECORD, root, &pos))
		*out = s->mapped[pos] - 1;
	return r;
}

static int add_commit(struct stats *s, const struct oid *id)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	uint64_t pos;
	int r;

	if (!census_find(s->c, SPACE_RECORD, id, &pos))
		return error_set(s->e, ERR_DAMAGED,
			"library: a commit is missing (see 'strata verify')");
	if (bit_get(s->commits, pos))
		return 0;
	bit_set(s->commits, pos);
	s->out->commits++;
	r = library_get_commit(s->l, id, &c, s->e);
	if (!r)
		r = library_get_image(s->l, &c.image, &im, s->e);
	if (!r && census_find(s->c, SPACE_RECORD, &c.image, &pos) &&
		!bit_get(s->images, pos)) {
		bit_set(s->images, pos);
		s->out->images++;
	}
	for (size_t i = 0; i < im.disks.len && !r; i++) {
		uint64_t mapped;

		s->out->logical_bytes += im.disks.items[i].size;
		r = layout_bytes(s, &im.disks.items[i].layout, &mapped);
		s->out->data_bytes += r ? 0 : mapped;
	}
	for (size_t i = 0; i < c.parents.len && !r; i++)
		if (!vec_push(&s->todo, c.parents.items[i]))
			r = error_nomem(s->e);
	return r;
}

static int add_chunk(void *ctx, const struct mark_ref *ref)
{
	struct stats *s = ctx;
	uint64_t pos;

	if (ref->space == SPACE_CONTENT &&
		census_find(s->c, SPACE_CONTENT, &ref->id, &pos) &&
		!bit_get(s->chunks, pos)) {
		bit_set(s->chunks, pos);
		s->out->chunks++;
	}
	return 0;
}

/* What is stored, by kind. A chunk that is a file of its own too counts as a
 * chunk. */
static int count_objects(struct stats *s)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(s->c) && !r; i++) {
		AUTO_BUF b = BUF_INIT;
		struct census_entry x;
		uint64_t first;

		if (!census_at(s->c, i, &x) ||
			!census_find(s->c, x.space, &x.id, &first) ||
			first != i)
			continue;
		s->out->unique_bytes += x.len;
		s->out->trees += x.kind == OBJ_TREE;
		s->out->blobs += x.kind == OBJ_BLOB || x.kind == OBJ_CHUNKS;
		if (x.kind != OBJ_CHUNKS && x.kind != OBJ_SEGMENT)
			continue;
		r = store_get(s->l->store, x.space, &x.id, NULL, &b, s->e);
		if (!r)
			r = mark_refs(x.kind, &b, add_chunk, s, s->e);
	}
	s->out->blobs -= s->out->chunks;
	return r;
}

int ops_stats(struct library *l, struct library_stats *out, struct error *e)
{
	CLEANUP(cleanup_census) struct census *c = NULL;
	AUTO_ROOTS roots = { 0 };
	struct stats s = { .l = l, .out = out, .e = e };
	struct store_stats st;
	uint64_t n = 0;
	int r;

	memset(out, 0, sizeof(*out));
	r = roots_read(l, library_now(), &roots, e);
	if (!r)
		r = census_open(l->store, &c, e);
	if (!r)
		r = store_get_stats(l->store, &st, e);
	if (!r) {
		s.c = c;
		n = census_count(c);
		s.mapped = calloc((size_t)n + 1, sizeof(uint64_t));
		s.commits = census_bits(n);
		s.images = census_bits(n);
		s.chunks = census_bits(n);
		if (!s.mapped || !s.commits || !s.images || !s.chunks)
			r = error_nomem(e);
	}
	for (size_t i = 0; i < roots.items.len && !r; i++) {
		const struct root *x = &roots.items.items[i];

		if (x->log)
			continue;
		out->branches += !strncmp(x->ref, "refs/heads/", 11);
		out->tags += !strncmp(x->ref, "refs/tags/", 10);
		out->instances += !strncmp(x->ref, "refs/instances/", 15);
		if (!vec_push(&s.todo, x->id))
			r = error_nomem(e);
		while (!r && s.todo.len) {
			struct oid id = s.todo.items[--s.todo.len];

			r = add_commit(&s, &id);
		}
	}
	if (!r)
		r = count_objects(&s);
	if (!r) {
		out->packs = st.packs;
		out->indexes = st.indexes;
		out->stored_bytes = st.stored_bytes;
	}
	free(s.mapped);
	free(s.commits);
	free(s.images);
	free(s.chunks);
	vec_release(&s.todo);
	return r;
}
