/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/damage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/layout.h"
#include "ops/mark.h"

void damage_release(struct damage *d)
{
	for (size_t i = 0; i < d->items.len; i++) {
		struct damage_item *x = &d->items.items[i];

		free(x->what);
		free(x->where);
		for (size_t k = 0; k < x->paths.len; k++)
			free(x->paths.items[k]);
		for (size_t k = 0; k < x->refs.len; k++)
			free(x->refs.items[k]);
		vec_release(&x->paths);
		vec_release(&x->refs);
		vec_release(&x->commits);
	}
	vec_release(&d->items);
	free(d->objects);
	memset(d, 0, sizeof(*d));
}

int damage_add(struct damage *d, const char *where, const char *what,
	size_t *out_item, struct error *e)
{
	struct damage_item x = { 0 };

	d->nitems++;
	if (d->items.len >= DAMAGE_ITEMS) {
		if (out_item)
			*out_item = d->items.len - 1;
		return 0;
	}
	x.where = strdup(where);
	x.what = strdup(what);
	if (!x.where || !x.what || !vec_push(&d->items, x)) {
		free(x.where);
		free(x.what);
		return error_nomem(e);
	}
	if (out_item)
		*out_item = d->items.len - 1;
	return 0;
}

static size_t slot(const struct damage *d, uint8_t space, const struct oid *id)
{
	size_t k = (size_t)get_le64(id->b) & (d->cap - 1);

	while (d->objects[k].item && (d->objects[k].space != space ||
					     !oid_equal(&d->objects[k].id, id)))
		k = (k + 1) & (d->cap - 1);
	return k;
}

int damage_blame(struct damage *d, size_t item, enum object_space space,
	const struct oid *id, struct error *e)
{
	size_t k;

	if (d->nobjects >= DAMAGE_OBJECTS)
		return 0;
	if ((d->nobjects + 1) * 2 > d->cap) {
		struct damage old = *d;

		d->cap = old.cap ? old.cap * 2 : 64;
		d->objects = calloc(d->cap, sizeof(*d->objects));
		if (!d->objects) {
			d->objects = old.objects;
			d->cap = old.cap;
			return error_nomem(e);
		}
		for (size_t i = 0; i < old.cap; i++)
			if (old.objects[i].item)
				d->objects[slot(d, old.objects[i].space,
					&old.objects[i].id)] = old.objects[i];
		free(old.objects);
	}
	k = slot(d, (uint8_t)space, id);
	if (d->objects[k].item)
		return 0;
	d->objects[k] = (struct damage_object){ *id, (uint32_t)item + 1,
		(uint8_t)space };
	d->nobjects++;
	return 0;
}

static struct damage_item *blamed(const struct damage *d,
	enum object_space space, const struct oid *id)
{
	size_t k;

	if (!d->cap)
		return NULL;
	k = slot(d, (uint8_t)space, id);
	return d->objects[k].item ? &d->items.items[d->objects[k].item - 1]
				  : NULL;
}

bool damage_has(const struct damage *d, enum object_space space,
	const struct oid *id)
{
	return blamed(d, space, id) != NULL;
}

/* --- tracing --- */

/* A walk from a commit down to what is damaged. Whatever had nothing damaged
 * below it once is not looked at again. */
struct step {
	struct buf data;
	VEC(struct child {
		struct oid id;
		uint8_t space;
		uint32_t path_len; /* of the path with its name */
		char *name;
	}) children;
	size_t next;
	uint64_t pos;
	size_t path_len;
	bool dirty;
	enum object_kind kind;
};

struct trace {
	struct damage *d;
	struct library *l;
	struct census *c;
	uint64_t *clean;
	uint64_t *commits; /* those that are touched */
	struct oid commit;
	VEC(struct step) steps;
	struct buf path;
	struct error *e;
};

static int hit(struct trace *t, struct damage_item *x)
{
	if (!x->ncommits || !oid_equal(&x->last, &t->commit)) {
		x->ncommits++;
		x->last = t->commit;
		if (x->commits.len < DAMAGE_COMMITS &&
			!vec_push(&x->commits, t->commit))
			return error_nomem(t->e);
	}
	if (!t->path.len)
		return 0;
	x->npaths++;
	if (x->paths.len < DAMAGE_PATHS) {
		char *p = strndup(buf_str(&t->path), t->path.len);

		for (size_t i = 0; p && i < x->paths.len; i++)
			if (!strcmp(x->paths.items[i], p)) {
				free(p);
				x->npaths--;
				return 0;
			}
		if (!p || !vec_push(&x->paths, p)) {
			free(p);
			return error_nomem(t->e);
		}
	}
	return 0;
}

struct adding {
	struct trace *t;
	struct step *s;
};

static int add_child(void *ctx, const struct mark_ref *ref)
{
	struct adding *a = ctx;
	struct child c = { .id = ref->id, .space = (uint8_t)ref->space };
	AUTO_BUF name = BUF_INIT;

	if (ref->parent)
		return 0;
	if (ref->disk >= 0)
		buf_printf(&name, "disk %d", ref->disk);
	if (ref->volume)
		buf_printf(&name, "%s:", ref->volume);
	if (ref->name && (ref->name_len || !ref->volume)) {
		buf_addch(&name, '/');
		buf_add(&name, ref->name, ref->name_len);
	}
	if (name.len)
		c.name = buf_steal(&name);
	if (!vec_push(&a->s->children, c)) {
		free(c.name);
		return error_nomem(a->t->e);
	}
	return 0;
}

static void step_release(struct step *s)
{
	for (size_t i = 0; i < s->children.len; i++)
		free(s->children.items[i].name);
	vec_release(&s->children);
	buf_release(&s->data);
}

/* Goes into an object, unless it is damaged itself, or clean. */
static int enter(struct trace *t, enum object_space space,
	const struct oid *id)
{
	struct damage_item *x = blamed(t->d, space, id);
	struct step s = { .path_len = t->path.len };
	struct adding a = { t, &s };
	struct census_entry at;
	int r;

	if (x) {
		if (t->steps.len)
			vec_last(&t->steps)->dirty = true;
		return hit(t, x);
	}
	if (!census_find(t->c, space, id, &s.pos) ||
		bit_get(t->clean, s.pos) || !census_at(t->c, s.pos, &at) ||
		at.kind == OBJ_BLOB || t->steps.len >= LIMIT_DEPTH)
		return 0;
	r = store_get(t->l->store, space, id, &s.kind, &s.data, NULL);
	if (!r)
		r = mark_refs(s.kind, &s.data, add_child, &a, NULL);
	buf_release(&s.data);
	if (!r && !vec_push(&t->steps, s))
		r = error_nomem(t->e);
	if (r)
		step_release(&s);
	/* what cannot be read was found before */
	return r == ERR_NOMEM ? r : 0;
}

static int trace_commit(struct trace *t, const struct oid *id, uint64_t pos)
{
	bool dirty = false;
	int r;

	t->commit = *id;
	buf_clear(&t->path);
	if (blamed(t->d, SPACE_RECORD, id))
		bit_set(t->commits, pos);
	r = enter(t, SPACE_RECORD, id);
	while (t->steps.len && !r) {
		struct step *s = vec_last(&t->steps);

		t->path.len = s->path_len;
		if (s->next < s->children.len) {
			struct child *c = &s->children.items[s->next++];

			if (c->name)
				buf_addstr(&t->path, c->name);
			r = enter(t, (enum object_space)c->space, &c->id);
		} else {
			dirty = s->dirty;
			if (!dirty)
				bit_set(t->clean, s->pos);
			step_release(s);
			t->steps.len--;
			if (t->steps.len && dirty)
				vec_last(&t->steps)->dirty = true;
		}
	}
	while (t->steps.len)
		step_release(&t->steps.items[--t->steps.len]);
	if (dirty)
		bit_set(t->commits, pos);
	return r;
}

/* The history of a ref: a bit for each commit that is there, and the ids of
 * those that are not. */
struct history {
	uint64_t *seen;
	VEC(struct oid) missing;
};

static int walk_history(struct trace *t, const struct oid *from,
	struct history *h)
{
	VEC(struct oid) todo = { 0 };
	int r = vec_push(&todo, *from) ? 0 : error_nomem(t->e);

	while (!r && todo.len) {
		struct oid id = todo.items[--todo.len];
		AUTO_COMMIT c = { 0 };
		uint64_t pos;

		if (!census_find(t->c, SPACE_RECORD, &id, &pos)) {
			if (!vec_push(&h->missing, id))
				r = error_nomem(t->e);
			continue;
		}
		if (bit_get(h->seen, pos))
			continue;
		bit_set(h->seen, pos);
		if (library_get_commit(t->l, &id, &c, NULL))
			continue;
		for (size_t i = 0; i < c.parents.len && !r; i++)
			if (!vec_push(&todo, c.parents.items[i]))
				r = error_nomem(t->e);
	}
	vec_release(&todo);
	return r;
}

/* Is one of the commits that stand on it in this history? */
static bool touches(const struct trace *t, const struct damage_item *x,
	const struct history *h)
{
	uint64_t pos;

	for (size_t i = 0; i < x->commits.len; i++)
		if (census_find(t->c, SPACE_RECORD, &x->commits.items[i],
			    &pos) &&
			bit_get(h->seen, pos))
			return true;
	for (size_t i = 0; i < h->missing.len; i++)
		if (blamed(t->d, SPACE_RECORD, &h->missing.items[i]) == x)
			return true;
	return false;
}

/* Which items does a ref stand on? Its history is walked once for all. */
static int trace_ref(struct trace *t, const struct root *root)
{
	struct history h = { .seen = census_bits(census_count(t->c)) };
	int r = h.seen ? walk_history(t, &root->id, &h) : error_nomem(t->e);

	for (size_t i = 0; i < t->d->items.len && !r; i++) {
		struct damage_item *x = &t->d->items.items[i];
		char *name;

		if (!x->ncommits || !touches(t, x, &h))
			continue;
		name = strdup(root->ref);
		if (!name || !vec_push(&x->refs, name)) {
			free(name);
			r = error_nomem(t->e);
		}
	}
	free(h.seen);
	vec_release(&h.missing);
	return r;
}

int damage_trace(struct damage *d, struct library *l, struct census *c,
	const uint64_t *marked, const struct roots *roots, struct error *e)
{
	struct trace t = { .d = d, .l = l, .c = c, .e = e };
	int r = 0;

	if (!d->nobjects)
		return 0;
	t.clean = census_bits(census_count(c));
	t.commits = census_bits(census_count(c));
	if (!t.clean || !t.commits)
		r = error_nomem(e);
	for (uint64_t i = 0; i < census_count(c) && !r; i++) {
		struct census_entry x;

		if (bit_get(marked, i) && census_at(c, i, &x) &&
			x.kind == OBJ_COMMIT)
			r = trace_commit(&t, &x.id, i);
	}
	/* A commit that is not there is named too. */
	for (size_t i = 0; i < roots->items.len && !r; i++) {
		const struct oid *id = &roots->items.items[i].id;
		struct damage_item *x = blamed(d, SPACE_RECORD, id);
		uint64_t pos;

		if (x && !census_find(c, SPACE_RECORD, id, &pos)) {
			t.commit = *id;
			buf_clear(&t.path);
			r = hit(&t, x);
		}
	}
	for (size_t i = 0; i < roots->items.len && !r; i++)
		if (!roots->items.items[i].log)
			r = trace_ref(&t, &roots->items.items[i]);
	buf_release(&t.path);
	vec_release(&t.steps);
	free(t.clean);
	free(t.commits);
	return r;
}
