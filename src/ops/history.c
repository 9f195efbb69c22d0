/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/history.h"

#include <stdlib.h>
#include <string.h>
#include "ops/path_state.h"

#define NONE UINT32_MAX

struct node {
	struct oid id, image;
	struct oid state; /* of the paths; zero: none is there */
	int64_t date;
	uint32_t first, n; /* parents, a range of history.parents */
	uint32_t children; /* not yet shown */
	uint32_t next;	   /* in its bucket */
	bool loaded, have_state, reached, excluded, shown;
};

struct history {
	struct library *l;
	const struct history_args *a;
	history_fn fn;
	void *ctx;
	struct error *e;
	VEC(struct node) nodes;
	VEC(uint32_t) parents; /* indices */
	uint32_t *buckets;
	size_t nbuckets;
	VEC(uint32_t) work; /* a stack, or a heap by date */
	uint64_t count;	    /* shown so far */
};

/* --- nodes --- */

static int grow_buckets(struct history *h)
{
	size_t n = h->nbuckets ? h->nbuckets * 2 : 256;
	uint32_t *fresh = malloc(n * sizeof(*fresh));

	if (!fresh)
		return error_nomem(h->e);
	memset(fresh, 0xff, n * sizeof(*fresh));
	for (size_t i = 0; i < h->nodes.len; i++) {
		size_t k = get_le64(h->nodes.items[i].id.b) & (n - 1);

		h->nodes.items[i].next = fresh[k];
		fresh[k] = (uint32_t)i;
	}
	free(h->buckets);
	h->buckets = fresh;
	h->nbuckets = n;
	return 0;
}

/* The node of a commit, made if it is new. */
static int node_of(struct history *h, const struct oid *id, uint32_t *out)
{
	struct node fresh = { .id = *id };
	size_t k;
	int r;

	if (h->nodes.len >= h->nbuckets) {
		r = grow_buckets(h);
		if (r)
			return r;
	}
	k = get_le64(id->b) & (h->nbuckets - 1);
	for (*out = h->buckets[k]; *out != NONE;
		*out = h->nodes.items[*out].next)
		if (oid_equal(&h->nodes.items[*out].id, id))
			return 0;
	fresh.next = h->buckets[k];
	if (h->nodes.len >= NONE - 1 || !vec_push(&h->nodes, fresh))
		return error_nomem(h->e);
	*out = h->buckets[k] = (uint32_t)h->nodes.len - 1;
	return 0;
}

static int load(struct history *h, uint32_t i)
{
	AUTO_COMMIT c = { 0 };
	size_t first = h->parents.len;
	struct node *n = &h->nodes.items[i];
	int r;

	if (n->loaded)
		return 0;
	r = progress_check(h->a->progress, h->e);
	if (!r)
		r = library_get_commit(h->l, &n->id, &c, h->e);
	if (r)
		return r == ERR_NOTFOUND
			       ? error_set(h->e, ERR_DAMAGED,
					 "library: a commit that another one "
					 "names as its parent is missing")
			       : r;
	for (size_t k = 0; k < c.parents.len && !r; k++) {
		uint32_t p;

		r = node_of(h, &c.parents.items[k], &p);
		if (!r && !vec_push(&h->parents, p))
			r = error_nomem(h->e);
	}
	n = &h->nodes.items[i];
	n->image = c.image;
	n->date = c.date;
	n->first = (uint32_t)first;
	n->n = (uint32_t)c.parents.len;
	n->loaded = !r;
	return r;
}

static uint32_t parent(const struct history *h, uint32_t i, uint32_t k)
{
	return h->parents.items[h->nodes.items[i].first + k];
}

static int state_of(struct history *h, uint32_t i)
{
	AUTO_BUF all = BUF_INIT;
	struct node *n;
	bool any = false;
	int r = load(h, i);

	n = &h->nodes.items[i];
	if (r || n->have_state)
		return r;
	for (size_t k = 0; k < h->a->npaths && !r; k++) {
		const struct history_path *p = &h->a->paths[k];

		r = path_state(h->l, &n->image, p->disk, p->volume, p->path,
			&n->state, h->e);
		any |= !r && !oid_is_zero(&n->state);
		buf_add(&all, n->state.b, sizeof(n->state.b));
	}
	if (!r && all.oom)
		r = error_nomem(h->e);
	if (!r && any && h->a->npaths > 1)
		sha256(all.data, all.len, &n->state);
	n->have_state = !r;
	return r;
}

/* Are the paths in both as they are in the other? < 0: an error. */
static int same_state(struct history *h, uint32_t a, uint32_t b)
{
	int r = load(h, a);

	if (!r)
		r = load(h, b);
	if (r)
		return r;
	if (oid_equal(&h->nodes.items[a].image, &h->nodes.items[b].image))
		return 1;
	r = state_of(h, a);
	if (!r)
		r = state_of(h, b);
	return r ? r
		 : oid_equal(&h->nodes.items[a].state,
			   &h->nodes.items[b].state);
}

/* Which commits are to be shown, and which parents lead on. A commit that has
 * the paths as a parent has them is not shown, and leads on to that one only. */
static int simplify(struct history *h, uint32_t i)
{
	struct node *n = &h->nodes.items[i];
	struct oid none = { { 0 } };
	int r;

	n->shown = true;
	if (!h->a->npaths)
		return 0;
	for (uint32_t k = 0; k < h->nodes.items[i].n; k++) {
		uint32_t p = parent(h, i, k);

		r = same_state(h, i, p);
		if (r < 0)
			return r;
		if (!r)
			continue;
		n = &h->nodes.items[i];
		h->parents.items[n->first] = p;
		n->n = 1;
		n->shown = false;
		return 0;
	}
	if (!h->nodes.items[i].n) {
		r = state_of(h, i);
		if (r)
			return r;
		h->nodes.items[i].shown =
			!oid_equal(&h->nodes.items[i].state, &none);
	}
	return 0;
}

static int show(struct history *h, uint32_t i, const struct oid *parents,
	size_t n)
{
	AUTO_COMMIT c = { 0 };
	struct oid id = h->nodes.items[i].id;
	struct history_item x = { .id = &id, .commit = &c };
	int r = library_get_commit(h->l, &id, &c, h->e);

	if (r)
		return r;
	x.parents = parents ? parents : c.parents.items;
	x.nparents = parents ? n : c.parents.len;
	h->count++;
	return h->fn(h->ctx, &x);
}

/* --- all that can be reached --- */

static int exclude(struct history *h)
{
	int r = 0;

	h->work.len = 0;
	for (size_t i = 0; i < h->a->nwithout && !r; i++) {
		uint32_t k;

		r = node_of(h, &h->a->without[i], &k);
		if (!r && !vec_push(&h->work, k))
			r = error_nomem(h->e);
	}
	while (h->work.len && !r) {
		uint32_t i = h->work.items[--h->work.len];

		if (h->nodes.items[i].excluded)
			continue;
		h->nodes.items[i].excluded = true;
		r = load(h, i);
		for (uint32_t k = 0; k < h->nodes.items[i].n && !r; k++)
			if (!vec_push(&h->work, parent(h, i, k)))
				r = error_nomem(h->e);
	}
	return r;
}

/* Every node that is reached from those in work: loaded, simplified, its
 * children counted. work is empty afterwards. */
static int reach(struct history *h)
{
	int r = 0;

	while (h->work.len && !r) {
		uint32_t i = h->work.items[--h->work.len];

		if (h->nodes.items[i].reached || h->nodes.items[i].excluded)
			continue;
		h->nodes.items[i].reached = true;
		r = load(h, i);
		if (!r)
			r = simplify(h, i);
		for (uint32_t k = 0; k < h->nodes.items[i].n && !r; k++) {
			uint32_t p = parent(h, i, k);

			h->nodes.items[p].children++;
			if (!vec_push(&h->work, p))
				r = error_nomem(h->e);
		}
	}
	return r;
}

/* --- order --- */

static bool newer(const struct history *h, uint32_t a, uint32_t b)
{
	const struct node *x = &h->nodes.items[a], *y = &h->nodes.items[b];

	/* Equal dates: as they were met, so that the order is one. */
	return x->date != y->date ? x->date > y->date : a < b;
}

static int heap_push(struct history *h, uint32_t v)
{
	size_t i = h->work.len;

	if (!vec_push(&h->work, v))
		return error_nomem(h->e);
	while (i && newer(h, v, h->work.items[(i - 1) / 2])) {
		h->work.items[i] = h->work.items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->work.items[i] = v;
	return 0;
}

static uint32_t heap_pop(struct history *h)
{
	uint32_t top = h->work.items[0], v = h->work.items[--h->work.len];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= h->work.len)
			break;
		if (c + 1 < h->work.len &&
			newer(h, h->work.items[c + 1], h->work.items[c]))
			c++;
		if (!newer(h, h->work.items[c], v))
			break;
		h->work.items[i] = h->work.items[c];
		i = c;
	}
	if (h->work.len)
		h->work.items[i] = v;
	return top;
}

typedef VEC(struct oid) oid_list;

/* The nearest shown commits before i, each once. A commit that is not shown
 * has at most one way on, so that each is a walk along a line. */
static int shown_parents(struct history *h, uint32_t i, oid_list *out)
{
	out->len = 0;
	for (uint32_t k = 0; k < h->nodes.items[i].n; k++) {
		uint32_t p = parent(h, i, k);
		bool have = false;

		while (!h->nodes.items[p].shown && h->nodes.items[p].reached &&
			h->nodes.items[p].n)
			p = parent(h, p, 0);
		if (!h->nodes.items[p].shown || !h->nodes.items[p].reached)
			continue;
		for (size_t j = 0; j < out->len; j++)
			have |= oid_equal(&out->items[j],
				&h->nodes.items[p].id);
		if (!have && !vec_push(out, h->nodes.items[p].id))
			return error_nomem(h->e);
	}
	/* not NULL, which would ask for the commit's own */
	return vec_reserve(out, 1) ? 0 : error_nomem(h->e);
}

static int by_date(const void *a, const void *b, void *ctx)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return newer(ctx, x, y) ? -1 : x != y;
}

/* Shows what was reached from the tips: none before its children. */
static int ordered(struct history *h, const uint32_t *tips, size_t n)
{
	AUTO_FREE uint32_t *order = calloc(n + 1, sizeof(*order));
	oid_list parents = { 0 };
	size_t used = 0;
	int r = 0;

	if (!order)
		return error_nomem(h->e);
	for (size_t i = 0; i < n; i++)
		if (h->nodes.items[tips[i]].reached &&
			!h->nodes.items[tips[i]].children)
			order[used++] = tips[i];
	qsort_r(order, used, sizeof(*order), by_date, h);
	h->work.len = 0;
	/* A stack is filled from its bottom. */
	for (size_t i = used; i-- && !r;) {
		if (i && order[i] == order[i - 1])
			continue; /* named twice */
		r = h->a->graph ? (vec_push(&h->work, order[i])
						  ? 0
						  : error_nomem(h->e))
				: heap_push(h, order[i]);
	}
	while (h->work.len && !r && h->count < h->a->max) {
		uint32_t i = h->a->graph ? h->work.items[--h->work.len]
					 : heap_pop(h);

		if (h->nodes.items[i].shown) {
			if (h->a->graph)
				r = shown_parents(h, i, &parents);
			if (!r)
				r = show(h, i,
					h->a->graph ? parents.items : NULL,
					parents.len);
		}
		for (uint32_t k = 0; k < h->nodes.items[i].n && !r; k++) {
			uint32_t p = parent(h, i, k);

			if (!h->nodes.items[p].reached ||
				--h->nodes.items[p].children)
				continue;
			if (!h->a->graph)
				r = heap_push(h, p);
			else if (!vec_push(&h->work, p))
				r = error_nomem(h->e);
		}
	}
	vec_release(&parents);
	return r;
}

/* --- from the tips --- */

/* Shows one line of descent from *at as long as it is one. *out_done: to its
 * end. */
static int line(struct history *h, uint32_t *at, bool *out_done)
{
	*out_done = false;
	while (h->count < h->a->max) {
		int r = load(h, *at);

		if (r || h->nodes.items[*at].n > 1)
			return r;
		r = simplify(h, *at);
		if (!r && h->nodes.items[*at].shown)
			r = show(h, *at, NULL, 0);
		if (r)
			return r;
		if (!h->nodes.items[*at].n)
			break;
		*at = parent(h, *at, 0);
	}
	*out_done = true;
	return 0;
}

int ops_history(struct library *l, const struct history_args *a,
	history_fn fn, void *ctx, struct error *e)
{
	struct history h = { .l = l, .a = a, .fn = fn, .ctx = ctx, .e = e };
	AUTO_FREE uint32_t *tips = calloc(a->nfrom + 1, sizeof(*tips));
	bool done = false;
	int r = tips ? 0 : error_nomem(e);

	for (size_t i = 0; i < a->nfrom && !r; i++)
		r = node_of(&h, &a->from[i], &tips[i]);
	if (!r)
		r = exclude(&h);
	if (!r && a->nfrom == 1 && !a->nwithout && !a->graph)
		r = line(&h, &tips[0], &done);
	if (!r && !done) {
		h.work.len = 0;
		for (size_t i = 0; i < a->nfrom && !r; i++)
			if (!vec_push(&h.work, tips[i]))
				r = error_nomem(e);
		if (!r)
			r = reach(&h);
		if (!r)
			r = ordered(&h, tips, a->nfrom);
	}
	vec_release(&h.nodes);
	vec_release(&h.parents);
	vec_release(&h.work);
	free(h.buckets);
	return r;
}
