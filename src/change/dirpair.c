/* SPDX-License-Identifier: Apache-2.0 */
#include "change/dirpair.h"

#include <string.h>
#include "base/checked.h"

int name_order(const void *a, size_t an, const void *b, size_t bn)
{
	int d = memcmp(a, b, size_min(an, bn));

	return d ? d : (an > bn) - (an < bn);
}

/* Levels shrink by one with every record that is opened below another. */
static int push(struct dirpair_side *s, const struct oid *id, struct error *e)
{
	struct tree_frame f = { 0 };
	int r = s->get(s->ctx, id, &f.data, e);

	if (!r)
		r = tree_record_open(f.data.data, f.data.len, &f.at, &f.level,
			e);
	if (!r && s->frames.len && f.level + 1 != vec_last(&s->frames)->level)
		r = error_set(e, ERR_CORRUPT, "tree levels do not descend");
	if (!r && !vec_push(&s->frames, f))
		r = error_nomem(e);
	if (r)
		buf_release(&f.data);
	return r;
}

/* Makes the next item known, entry or record. 1, 0 at the end, < 0. */
static int peek(struct dirpair_side *s, struct error *e)
{
	while (!s->have && s->frames.len) {
		struct tree_frame *f = vec_last(&s->frames);
		int r;

		if (!f->at.left) {
			buf_release(&f->data);
			s->frames.len--;
			continue;
		}
		s->is_index = f->level > 0;
		s->level = f->level;
		r = s->is_index ? tree_record_item(&f->at, &s->first,
					  &s->child, e)
				: entry_decode(&f->at, &s->entry, e);
		if (r)
			return r;
		s->have = true;
	}
	return s->have;
}

static int expand(struct dirpair_side *s, struct error *e)
{
	struct oid id = s->child;

	s->have = false;
	return push(s, &id, e);
}

int dirpair_open(struct dirpair *d, record_get_fn get_a, void *ctx_a,
	const struct oid *a, record_get_fn get_b, void *ctx_b,
	const struct oid *b, bool skip, struct error *e)
{
	int r = 0;

	memset(d, 0, sizeof(*d));
	d->side[0].get = get_a;
	d->side[0].ctx = ctx_a;
	d->side[1].get = get_b;
	d->side[1].ctx = ctx_b;
	d->skip = skip && a && b;
	if (a)
		r = push(&d->side[0], a, e);
	if (!r && b)
		r = push(&d->side[1], b, e);
	return r;
}

void dirpair_release(struct dirpair *d)
{
	for (int i = 0; i < 2; i++) {
		struct dirpair_side *s = &d->side[i];

		for (size_t k = 0; k < s->frames.len; k++)
			buf_release(&s->frames.items[k].data);
		vec_release(&s->frames);
	}
}

int dirpair_next(struct dirpair *d, const struct entry **out_a,
	const struct entry **out_b, struct error *e)
{
	struct dirpair_side *a = &d->side[0], *b = &d->side[1];

	for (;;) {
		int ha = peek(a, e), hb = ha < 0 ? ha : peek(b, e), c;

		*out_a = *out_b = NULL;
		if (ha < 0 || hb < 0)
			return ha < 0 ? ha : hb;
		if (!ha && !hb)
			return 0;
		if (d->skip && ha && hb && a->is_index && b->is_index &&
			oid_equal(&a->child, &b->child)) {
			/* What comes next is the same on both sides. */
			a->have = b->have = false;
			continue;
		}
		/* An index item is opened when it may hold the next name; of
		 * two, the one that starts first or stands higher. */
		if (ha && a->is_index && hb && b->is_index) {
			c = name_order(a->first.data, a->first.len,
				b->first.data, b->first.len);
			if (!c)
				c = a->level >= b->level ? -1 : 1;
			c = expand(c < 0 ? a : b, e);
			if (c)
				return c;
			continue;
		}
		if ((ha && a->is_index) || (hb && b->is_index)) {
			struct dirpair_side *x = ha && a->is_index ? a : b;
			struct dirpair_side *y = x == a ? b : a;

			if (!y->have ||
				name_order(x->first.data, x->first.len,
					y->entry.name, y->entry.name_len) <= 0) {
				int r = expand(x, e);

				if (r)
					return r;
				continue;
			}
			y->have = false;
			*(y == a ? out_a : out_b) = &y->entry;
			return 1;
		}
		c = !ha ? 1 : !hb ? -1 : name_order(a->entry.name,
			a->entry.name_len, b->entry.name, b->entry.name_len);
		if (c <= 0) {
			a->have = false;
			*out_a = &a->entry;
		}
		if (c >= 0) {
			b->have = false;
			*out_b = &b->entry;
		}
		return 1;
	}
}
