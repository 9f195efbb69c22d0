/* SPDX-License-Identifier: Apache-2.0 */
/* E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), section
 * 4b: the middle of the path is searched from both ends, then both halves;
 * with a bound on the search, where the best of what was reached is taken. */
#include "change/textdiff.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/vec.h"
#include "codec/digest.h"

/* Steps of one search; and of all together, after which what is left counts
 * as changed. */
#define SEARCH_MAX 1024
#define WORK_MAX (UINT64_C(1) << 28)

bool text_is_binary(struct view text)
{
	return text.len && memchr(text.data, 0, size_min(text.len, 8000));
}

/* --- lines --- */

static int split(struct text_side *s, struct view text, struct error *e)
{
	size_t n = 0, at = 0;

	s->text = text;
	for (struct cursor c = cursor_make(text.data, text.len); c.left;) {
		const uint8_t *end = memchr(c.p, '\n', c.left);

		cur_skip(&c, end ? (size_t)(end - c.p) + 1 : c.left);
		n++;
	}
	if (n > LIMIT_DIFF_LINES)
		return error_set(e, ERR_LIMIT, "a text of over %d lines",
			LIMIT_DIFF_LINES);
	s->n = n;
	s->start = calloc(n + 1, sizeof(*s->start));
	s->id = calloc(n + 1, sizeof(*s->id));
	s->changed = calloc(n + 1, sizeof(*s->changed));
	if (!s->start || !s->id || !s->changed)
		return error_nomem(e);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *end = memchr(text.data + at, '\n',
			text.len - at);

		s->start[i] = at;
		at = end ? (size_t)(end - text.data) + 1 : text.len;
	}
	s->start[n] = text.len;
	return 0;
}

static struct view line(const struct text_side *s, size_t i)
{
	return (struct view){ s->text.data + s->start[i],
		s->start[i + 1] - s->start[i] };
}

/* Numbers the lines of both sides. */
static int number(struct text_diff *d, struct error *e)
{
	struct slot {
		uint64_t hash;
		uint32_t id; /* 0: free */
		uint32_t side;
		size_t at;
	};
	size_t total = d->side[0].n + d->side[1].n, cap = 16;
	AUTO_FREE struct slot *t = NULL;
	uint32_t next = 0;

	while (cap < 2 * total)
		cap *= 2;
	t = calloc(cap, sizeof(*t));
	if (!t)
		return error_nomem(e);
	for (uint32_t k = 0; k < 2; k++) {
		struct text_side *s = &d->side[k];

		for (size_t i = 0; i < s->n; i++) {
			struct view v = line(s, i);
			uint64_t h = checksum64(v.data, v.len);
			size_t at = (size_t)h & (cap - 1);

			for (; t[at].id; at = (at + 1) & (cap - 1)) {
				struct view o;

				if (t[at].hash != h)
					continue;
				o = line(&d->side[t[at].side], t[at].at);
				if (o.len == v.len &&
					!memcmp(o.data, v.data, v.len))
					break;
			}
			if (!t[at].id)
				t[at] = (struct slot){ h, ++next, k, i };
			s->id[i] = t[at].id;
		}
	}
	return 0;
}

/* --- the search --- */

struct box {
	int64_t x0, x1, y0, y1;
};

struct search {
	const uint32_t *a, *b;
	int64_t *fwd, *bwd; /* by diagonal x - y: how far x came */
	uint64_t work;
};

/* The way forward along diagonals lo..hi after one more change. */
static bool step_forward(struct search *s, const struct box *x, int64_t lo,
	int64_t hi, bool meet, int64_t other_lo, int64_t other_hi,
	int64_t *out_x, int64_t *out_y)
{
	for (int64_t k = hi; k >= lo; k -= 2) {
		int64_t down = s->fwd[k + 1], right = s->fwd[k - 1] + 1;
		int64_t i = right > down ? right : down, j = i - k;

		while (i < x->x1 && j < x->y1 && s->a[i] == s->b[j]) {
			i++;
			j++;
			s->work++;
		}
		s->work++;
		s->fwd[k] = i;
		if (meet && k >= other_lo && k <= other_hi && s->bwd[k] <= i) {
			*out_x = i;
			*out_y = j;
			return true;
		}
	}
	return false;
}

static bool step_backward(struct search *s, const struct box *x, int64_t lo,
	int64_t hi, bool meet, int64_t other_lo, int64_t other_hi,
	int64_t *out_x, int64_t *out_y)
{
	for (int64_t k = hi; k >= lo; k -= 2) {
		int64_t up = s->bwd[k - 1], left = s->bwd[k + 1] - 1;
		int64_t i = up < left ? up : left, j = i - k;

		while (i > x->x0 && j > x->y0 && s->a[i - 1] == s->b[j - 1]) {
			i--;
			j--;
			s->work++;
		}
		s->work++;
		s->bwd[k] = i;
		if (meet && k >= other_lo && k <= other_hi && i <= s->fwd[k]) {
			*out_x = i;
			*out_y = j;
			return true;
		}
	}
	return false;
}

/* The point that came furthest from the corner that it started at. */
static void furthest(const struct search *s, const struct box *x, int64_t flo,
	int64_t fhi, int64_t blo, int64_t bhi, int64_t *out_x, int64_t *out_y)
{
	int64_t best = -1;

	for (int64_t k = flo; k <= fhi; k += 2) {
		int64_t i = s->fwd[k] < x->x1 ? s->fwd[k] : x->x1, j = i - k;

		if (j > x->y1) {
			j = x->y1;
			i = j + k;
		}
		if (i - x->x0 + j - x->y0 > best) {
			best = i - x->x0 + j - x->y0;
			*out_x = i;
			*out_y = j;
		}
	}
	for (int64_t k = blo; k <= bhi; k += 2) {
		int64_t i = s->bwd[k] > x->x0 ? s->bwd[k] : x->x0, j = i - k;

		if (j < x->y0) {
			j = x->y0;
			i = j + k;
		}
		if (x->x1 - i + x->y1 - j > best) {
			best = x->x1 - i + x->y1 - j;
			*out_x = i;
			*out_y = j;
		}
	}
}

/* A point on a shortest path through the box, which is not empty on either
 * side. The diagonals that are looked at grow by one on both ends, inside
 * those that the box has. */
static void middle(struct search *s, const struct box *x, int64_t *out_x,
	int64_t *out_y)
{
	int64_t kmin = x->x0 - x->y1, kmax = x->x1 - x->y0;
	int64_t f = x->x0 - x->y0, b = x->x1 - x->y1;
	int64_t flo = f, fhi = f, blo = b, bhi = b;
	bool odd = (f - b) & 1;

	s->fwd[f] = x->x0;
	s->bwd[b] = x->x1;
	for (int c = 1;; c++) {
		if (flo > kmin)
			s->fwd[--flo - 1] = -1;
		else
			flo++;
		if (fhi < kmax)
			s->fwd[++fhi + 1] = -1;
		else
			fhi--;
		if (step_forward(s, x, flo, fhi, odd, blo, bhi, out_x, out_y))
			return;
		if (blo > kmin)
			s->bwd[--blo - 1] = INT64_MAX;
		else
			blo++;
		if (bhi < kmax)
			s->bwd[++bhi + 1] = INT64_MAX;
		else
			bhi--;
		if (step_backward(s, x, blo, bhi, !odd, flo, fhi, out_x,
			    out_y))
			return;
		if (c >= SEARCH_MAX) {
			furthest(s, x, flo, fhi, blo, bhi, out_x, out_y);
			return;
		}
	}
}

static void mark(bool *changed, int64_t from, int64_t to)
{
	for (; from < to; from++)
		changed[from] = true;
}

/* Every box that is pushed is smaller than the one that it came from. */
static int compare(struct text_diff *d, struct error *e)
{
	size_t room = d->side[0].n + d->side[1].n + 5;
	AUTO_FREE int64_t *v = calloc(room, 2 * sizeof(*v));
	struct search s = { .a = d->side[0].id, .b = d->side[1].id };
	VEC(struct box) todo = { 0 };
	int r = 0;

	if (!v || !vec_push(&todo,
			  (struct box){ 0, (int64_t)d->side[0].n, 0,
				  (int64_t)d->side[1].n })) {
		vec_release(&todo);
		return error_nomem(e);
	}
	s.fwd = v + d->side[1].n + 2;
	s.bwd = s.fwd + room;
	while (todo.len && !r) {
		struct box x = todo.items[--todo.len];
		int64_t i = 0, j = 0;

		while (x.x0 < x.x1 && x.y0 < x.y1 && s.a[x.x0] == s.b[x.y0]) {
			x.x0++;
			x.y0++;
		}
		while (x.x0 < x.x1 && x.y0 < x.y1 &&
			s.a[x.x1 - 1] == s.b[x.y1 - 1]) {
			x.x1--;
			x.y1--;
		}
		if (x.x0 < x.x1 && x.y0 < x.y1 && s.work < WORK_MAX) {
			middle(&s, &x, &i, &j);
			if ((i > x.x0 || j > x.y0) &&
				(i < x.x1 || j < x.y1)) {
				if (!vec_push(&todo,
					    (struct box){ i, x.x1, j, x.y1 }) ||
					!vec_push(&todo,
						(struct box){ x.x0, i, x.y0,
							j }))
					r = error_nomem(e);
				continue;
			}
		}
		mark(d->side[0].changed, x.x0, x.x1);
		mark(d->side[1].changed, x.y0, x.y1);
	}
	vec_release(&todo);
	return r;
}

/* Runs of changed lines go down as far as the text allows, as people expect
 * of lines that were added behind equal ones; runs that meet become one. */
static void slide(struct text_side *s)
{
	size_t i = 0;

	while (i < s->n) {
		size_t end;

		if (!s->changed[i]) {
			i++;
			continue;
		}
		for (end = i; end < s->n && s->changed[end]; end++)
			;
		while (end < s->n && s->id[i] == s->id[end]) {
			s->changed[i++] = false;
			s->changed[end++] = true;
			while (end < s->n && s->changed[end])
				end++;
		}
		i = end;
	}
}

int text_diff(struct view a, struct view b, struct text_diff *out,
	struct error *e)
{
	struct text_diff d = { 0 };
	int r;

	if (a.len > LIMIT_DIFF_TEXT || b.len > LIMIT_DIFF_TEXT)
		return error_set(e, ERR_LIMIT, "a text of over %llu bytes",
			(unsigned long long)LIMIT_DIFF_TEXT);
	r = split(&d.side[0], a, e);
	if (!r)
		r = split(&d.side[1], b, e);
	if (!r)
		r = number(&d, e);
	if (!r)
		r = compare(&d, e);
	if (r) {
		text_diff_release(&d);
		return r;
	}
	for (int k = 0; k < 2; k++)
		slide(&d.side[k]);
	for (size_t i = 0; i < d.side[0].n; i++)
		d.deleted += d.side[0].changed[i];
	for (size_t i = 0; i < d.side[1].n; i++)
		d.inserted += d.side[1].changed[i];
	*out = d;
	return 0;
}

void text_diff_release(struct text_diff *d)
{
	for (int k = 0; k < 2; k++) {
		free(d->side[k].start);
		free(d->side[k].id);
		free(d->side[k].changed);
	}
	memset(d, 0, sizeof(*d));
}

/* --- unified --- */

static int put(const struct text_side *s, size_t i, char kind,
	text_line_fn fn, void *ctx)
{
	static const char none[] = " No newline at end of file";
	struct view v = line(s, i);
	bool ends = v.len && v.data[v.len - 1] == '\n';
	int r = fn(ctx, kind, v.data, v.len - ends);

	return r || ends ? r : fn(ctx, '\\', none, sizeof(none) - 1);
}

static size_t range(char *out, size_t room, char sign, size_t start, size_t n)
{
	int k = n == 1 ? snprintf(out, room, "%c%zu", sign, start + 1)
		       : snprintf(out, room, "%c%zu,%zu", sign,
				 n ? start + 1 : start, n);

	return k < 0 ? 0 : (size_t)k;
}

/* The nearest line above that begins like a name: where the hunk is. */
static struct view heading(const struct text_side *s, size_t before)
{
	while (before--) {
		struct view v = line(s, before);
		uint8_t c = v.data[0];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '_' || c == '$') {
			v.len = size_min(v.len, 80);
			while (v.len && (v.data[v.len - 1] <= ' '))
				v.len--;
			return v;
		}
	}
	return (struct view){ 0 };
}

struct hunk {
	size_t a0, a1, b0, b1;
};

static int put_hunk(const struct text_diff *d, const struct hunk *h,
	text_line_fn fn, void *ctx)
{
	const struct text_side *a = &d->side[0], *b = &d->side[1];
	char head[256] = "@@ ";
	size_t n = 3, i = h->a0, k = h->b0;
	struct view v = heading(a, h->a0);
	int r;

	n += range(head + n, 60, '-', h->a0, h->a1 - h->a0);
	head[n++] = ' ';
	n += range(head + n, 60, '+', h->b0, h->b1 - h->b0);
	memcpy(head + n, " @@", 3);
	n += 3;
	if (v.len) {
		head[n++] = ' ';
		memcpy(head + n, v.data, v.len);
		n += v.len;
	}
	r = fn(ctx, '@', head, n);
	while (!r && (i < h->a1 || k < h->b1)) {
		if (i < h->a1 && a->changed[i])
			r = put(a, i++, '-', fn, ctx);
		else if (k < h->b1 && b->changed[k])
			r = put(b, k++, '+', fn, ctx);
		else {
			r = put(a, i++, ' ', fn, ctx);
			k++;
		}
	}
	return r;
}

int text_diff_unified(const struct text_diff *d, size_t context,
	text_line_fn fn, void *ctx)
{
	const struct text_side *a = &d->side[0], *b = &d->side[1];
	size_t i = 0, k = 0;
	int r = 0;

	while (!r) {
		struct hunk h;
		size_t lead, same = 0;

		/* to the next change */
		while (i < a->n && k < b->n && !a->changed[i] &&
			!b->changed[k]) {
			i++;
			k++;
		}
		if (i == a->n && k == b->n)
			break;
		lead = size_min(context, size_min(i, k));
		h.a0 = i - lead;
		h.b0 = k - lead;
		/* over changes that are less than two contexts apart */
		while ((i < a->n || k < b->n) && same <= 2 * context) {
			if ((i < a->n && a->changed[i]) ||
				(k < b->n && b->changed[k])) {
				same = 0;
				i += i < a->n && a->changed[i];
				k += k < b->n && b->changed[k];
			} else {
				same++;
				i++;
				k++;
			}
		}
		lead = same > context ? same - context : 0;
		h.a1 = i - lead;
		h.b1 = k - lead;
		r = put_hunk(d, &h, fn, ctx);
		i = h.a1;
		k = h.b1;
	}
	return r;
}
