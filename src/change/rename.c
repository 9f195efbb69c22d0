/* SPDX-License-Identifier: Apache-2.0 */
#include "change/rename.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/limits.h"

/* Of equal files that went, how many are looked at for one whose name stayed. */
#define LOOK_AT 64

static size_t keep_entry(struct buf *b, const struct entry *x)
{
	size_t at = b->len;

	if (!x)
		return SIZE_MAX;
	entry_encode(b, x);
	return at;
}

/* Back from the bytes; they were encoded here. */
static int entry_at(const struct renames *r, size_t off, struct entry *out,
	struct error *e)
{
	struct cursor c = cursor_make(r->data.data + off, r->data.len - off);

	return entry_decode(&c, out, e);
}

static int pass_on(struct renames *r, const struct pending *p, struct error *e)
{
	struct entry old, new;
	struct diff_change c = { .status = p->status,
		.changed = p->changed,
		.path = (const char *)r->data.data + p->path,
		.old_path = (const char *)r->data.data + p->path,
		.old_mount = p->old_mount,
		.new_mount = p->new_mount };
	size_t old_at = p->old;
	int rc = 0;

	if (p->status == DIFF_RENAMED) {
		const struct pending *f = &r->items.items[p->from];

		c.old_path = (const char *)r->data.data + f->path;
		c.old_mount = f->old_mount;
		old_at = f->old;
	}
	if (old_at != SIZE_MAX) {
		rc = entry_at(r, old_at, &old, e);
		c.old = &old;
	}
	if (!rc && p->new != SIZE_MAX) {
		rc = entry_at(r, p->new, &new, e);
		c.new = &new;
	}
	return rc ? rc : r->fn(r->ctx, &c);
}

static int pass_all(struct renames *r, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->items.len && !rc; i++)
		if (!r->items.items[i].gone)
			rc = pass_on(r, &r->items.items[i], e);
	r->items.len = 0;
	buf_clear(&r->data);
	return rc;
}

int renames_add(struct renames *r, const struct diff_change *c,
	struct error *e)
{
	const struct entry *x = c->old ? c->old : c->new;
	size_t path_len = strlen(c->path);
	struct pending p = { .path = r->data.len,
		.path_len = (uint32_t)path_len,
		.changed = c->changed,
		.old_mount = c->old_mount,
		.new_mount = c->new_mount,
		.status = (uint8_t)c->status,
		.dir = x->type == ENTRY_DIR };

	if (r->passing)
		return r->fn(r->ctx, c);
	if (x->type == ENTRY_DIR ||
		(x->type == ENTRY_FILE && x->size &&
			!(x->flags & ENTRY_OPAQUE)))
		p.id = x->id;
	buf_add(&r->data, c->path, path_len + 1);
	p.old = keep_entry(&r->data, c->old);
	p.new = keep_entry(&r->data, c->new);
	if (r->data.oom || !vec_push(&r->items, p))
		return error_nomem(e);
	if (r->data.len + r->items.len * sizeof(p) < LIMIT_DIFF_PENDING)
		return 0;
	r->passing = true;
	return pass_all(r, e);
}

/* --- pairing --- */

struct gone {
	struct oid id;
	uint32_t index;
	uint32_t skip; /* of the first with this id: how many are used up */
};

static int gone_cmp(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;
	int d = oid_cmp(&x->id, &y->id);

	return d ? d : (x->index > y->index) - (x->index < y->index);
}

static size_t first_of(const struct gone *g, size_t n, const struct oid *id)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (oid_cmp(&g[mid].id, id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const char *base_name(const struct renames *r, const struct pending *p)
{
	const char *s = (const char *)r->data.data + p->path;
	const char *slash = strrchr(s, '/');

	return slash ? slash + 1 : s;
}

/* How many items behind this folder are in it. */
static size_t below(const struct renames *r, size_t i)
{
	const struct pending *p = &r->items.items[i];
	const uint8_t *dir = r->data.data + p->path;
	size_t n = 0;

	for (size_t k = i + 1; k < r->items.len; k++, n++) {
		const struct pending *q = &r->items.items[k];
		const uint8_t *s = r->data.data + q->path;

		if (q->path_len <= p->path_len ||
			memcmp(s, dir, p->path_len) != 0 ||
			(p->path_len && s[p->path_len] != '/'))
			break;
	}
	return n;
}

static int pair(struct renames *r, size_t from, size_t to, struct error *e)
{
	struct pending *f = &r->items.items[from], *t = &r->items.items[to];
	struct entry old, new;
	int rc = entry_at(r, f->old, &old, e);

	if (!rc)
		rc = entry_at(r, t->new, &new, e);
	if (rc)
		return rc;
	f->gone = true;
	t->status = DIFF_RENAMED;
	t->from = (uint32_t)from;
	/* The group of a hard link is named by its first name, which moved. */
	old.link_group = new.link_group = 0;
	t->changed = diff_fields(&old, &new);
	return 0;
}

/* The deleted one that an added one was; SIZE_MAX: none. */
static size_t find(struct renames *r, struct gone *g, size_t n, size_t to)
{
	const struct pending *t = &r->items.items[to];
	const char *name = base_name(r, t);
	size_t lo = first_of(g, n, &t->id), best = SIZE_MAX;
	struct gone *first = &g[lo];

	if (lo == n || !oid_equal(&first->id, &t->id))
		return SIZE_MAX;
	for (size_t i = lo + first->skip, looked = 0;
		i < n && looked < LOOK_AT && oid_equal(&g[i].id, &t->id);
		i++) {
		const struct pending *f = &r->items.items[g[i].index];

		if (f->gone) {
			if (i == lo + first->skip)
				first->skip++;
			continue;
		}
		looked++;
		if (f->dir != t->dir)
			continue;
		if (best == SIZE_MAX)
			best = g[i].index;
		if (!strcmp(base_name(r, f), name))
			return g[i].index;
	}
	return best;
}

static int match(struct renames *r, struct gone *g, size_t n, bool dirs,
	struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->items.len && !rc; i++) {
		struct pending *t = &r->items.items[i];
		size_t from, k = 0;

		if (t->status != DIFF_ADDED || t->dir != dirs ||
			oid_is_zero(&t->id))
			continue;
		if (dirs) {
			k = below(r, i);
			if (!k)
				continue; /* every empty folder is the same */
		}
		from = find(r, g, n, i);
		if (from == SIZE_MAX || (dirs && below(r, from) != k))
			continue;
		for (size_t j = 0; j <= k && !rc; j++)
			if (r->items.items[from + j].status == DIFF_DELETED &&
				!r->items.items[from + j].gone &&
				r->items.items[i + j].status == DIFF_ADDED)
				rc = pair(r, from + j, i + j, e);
		i += k;
	}
	return rc;
}

int renames_finish(struct renames *r, struct error *e)
{
	AUTO_FREE struct gone *g = NULL;
	size_t n = 0, added = 0;
	int rc = 0;

	if (r->passing)
		return 0;
	for (size_t i = 0; i < r->items.len; i++) {
		struct pending *p = &r->items.items[i];

		if (p->dir && r->local_ids)
			p->id = (struct oid){ { 0 } };
		n += p->status == DIFF_DELETED;
		added += p->status == DIFF_ADDED;
	}
	if (n && added) {
		g = calloc(n, sizeof(*g));
		if (!g)
			return error_nomem(e);
		n = 0;
		for (size_t i = 0; i < r->items.len; i++) {
			const struct pending *p = &r->items.items[i];

			if (p->status == DIFF_DELETED && !oid_is_zero(&p->id))
				g[n++] = (struct gone){ p->id, (uint32_t)i, 0 };
		}
		if (n)
			qsort(g, n, sizeof(*g), gone_cmp);
		rc = match(r, g, n, true, e);
		if (!rc)
			rc = match(r, g, n, false, e);
	}
	return rc ? rc : pass_all(r, e);
}

void renames_release(struct renames *r)
{
	vec_release(&r->items);
	buf_release(&r->data);
}
