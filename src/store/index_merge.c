/* SPDX-License-Identifier: Apache-2.0 */
/* Merging index files. They are sorted, so that their entries are taken in
 * order, three times: to count them, for the ids, for the locations. What is
 * merged does not come into memory: only the packs, 4 bytes a frame, and the
 * fan-out (2 bits an object). */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "store/index.h"

#define NONE UINT32_MAX
#define OUT_BUFFER (64 * 1024)

/* One of the files. */
struct input {
	const struct index *ix;
	uint32_t *frames; /* the new number of each frame, NONE: left out */
	uint64_t pos;	  /* in the section that is being read */
};

/* A pack, and which of the inputs it was first seen in. */
struct seen {
	uint8_t id[16];
	size_t input;
	uint32_t pack;
};

struct merge {
	struct input *in;
	size_t n;
	const struct index_filter *filter;
	index_emit_fn emit;
	void *ctx;
	uint8_t *buf; /* bytes that wait, OUT_BUFFER */
	size_t buffered;
	uint64_t off; /* of the file, behind what waits */
	struct checksum64 *sum;
	struct error *e;
};

static int flush(struct merge *m)
{
	int r = m->buffered ? m->emit(m->ctx, m->buf, m->buffered,
				      m->off - m->buffered, m->e)
			    : 0;

	checksum64_add(m->sum, m->buf, m->buffered);
	m->buffered = 0;
	return r;
}

static int put(struct merge *m, const void *data, size_t len)
{
	const uint8_t *p = data;
	int r = 0;

	while (len && !r) {
		size_t n = size_min(len, OUT_BUFFER - m->buffered);

		memcpy(m->buf + m->buffered, p, n);
		m->buffered += n;
		m->off += n;
		p += n;
		len -= n;
		if (m->buffered == OUT_BUFFER)
			r = flush(m);
	}
	return r;
}

/* --- packs and frames --- */

static int by_pack(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int d = memcmp(x->id, y->id, 16);

	return d                      ? d
	       : x->input != y->input ? (x->input > y->input) -
						(x->input < y->input)
				      : (x->pack > y->pack) -
						(x->pack < y->pack);
}

/* Numbers the packs that stay; a crash may leave one listed in two indexes.
 * new_no[i][p]: NONE for those left out. */
static int number_packs(struct merge *m, uint32_t **new_no, uint32_t *out,
	uint32_t packs)
{
	AUTO_FREE struct seen *all = calloc((size_t)packs + 1, sizeof(*all));
	size_t n = 0;
	int r = 0;

	if (!all)
		return error_nomem(m->e);
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t p = 0; p < m->in[i].ix->npacks; p++, n++) {
			memcpy(all[n].id, m->in[i].ix->packs[p].id, 16);
			all[n].input = i;
			all[n].pack = p;
		}
	qsort(all, n, sizeof(*all), by_pack);
	for (size_t k = 0; k < n; k++)
		new_no[all[k].input][all[k].pack] =
			k && !memcmp(all[k].id, all[k - 1].id, 16) ? NONE : 0;
	*out = 0;
	for (size_t i = 0; i < m->n && !r; i++)
		for (uint32_t p = 0; p < m->in[i].ix->npacks && !r; p++) {
			const struct index_pack *pk = &m->in[i].ix->packs[p];

			if (new_no[i][p] == NONE ||
				(m->filter && !m->filter->pack(m->filter->ctx,
						      pk->id))) {
				new_no[i][p] = NONE;
				continue;
			}
			new_no[i][p] = (*out)++;
			r = put(m, pk, sizeof(*pk));
		}
	return r;
}

static int number_frames(struct merge *m, uint32_t *const *new_no,
	uint32_t *out)
{
	int r = 0;

	*out = 0;
	for (size_t i = 0; i < m->n && !r; i++)
		for (uint32_t f = 0; f < m->in[i].ix->nframes && !r; f++) {
			struct index_frame fr = m->in[i].ix->frames[f];
			uint32_t p = le32_get(fr.pack);

			m->in[i].frames[f] = NONE;
			if (p >= m->in[i].ix->npacks || new_no[i][p] == NONE)
				continue;
			m->in[i].frames[f] = (*out)++;
			fr.pack = le32_make(new_no[i][p]);
			r = put(m, &fr, sizeof(fr));
		}
	return r;
}

/* --- entries --- */

static bool kept(const struct merge *m, size_t i, int s)
{
	const struct input *in = &m->in[i];
	uint32_t f = le32_get(in->ix->sec[s].locs[in->pos].frame);

	return f < in->ix->nframes && in->frames[f] != NONE &&
	       (!m->filter ||
		       m->filter->entry(m->filter->ctx, i,
			       (enum object_space)s, in->pos));
}

static const uint8_t *id_at(const struct input *in, int s)
{
	return in->ix->sec[s].ids + 32 * in->pos;
}

/* Past the entry at pos; DAMAGED where the next is not above it, since what is
 * out of order would not be found again. */
static int step(struct merge *m, struct input *in, int s)
{
	const uint8_t *was = id_at(in, s);

	if (++in->pos < in->ix->sec[s].n && memcmp(was, id_at(in, s), 32) >= 0)
		return error_set(m->e, ERR_DAMAGED,
			"library: index/%s: its ids are out of order",
			in->ix->name);
	return 0;
}

/* The next id of a section and the input that has it, which is stepped past by
 * the next call. 1, 0 at the end, DAMAGED. */
static int next(struct merge *m, int s, const struct input *last,
	struct input **out)
{
	struct input *best = NULL;
	uint8_t id[32];
	int r;

	if (last)
		memcpy(id, id_at(last, s), 32);
	for (size_t i = 0; i < m->n; i++) {
		struct input *in = &m->in[i];

		while (in->pos < in->ix->sec[s].n &&
			((last && !memcmp(id_at(in, s), id, 32)) ||
				!kept(m, i, s))) {
			r = step(m, in, s);
			if (r)
				return r;
		}
		if (in->pos < in->ix->sec[s].n &&
			(!best ||
				memcmp(id_at(in, s), id_at(best, s), 32) < 0))
			best = in;
	}
	*out = best;
	return best != NULL;
}

enum pass { PASS_COUNT, PASS_IDS, PASS_LOCS };

/* Goes through a section once. PASS_COUNT fills fanout, of 2^bits + 1. */
static int sweep(struct merge *m, int s, enum pass pass, unsigned bits,
	uint32_t *fanout, uint64_t *out_n)
{
	struct input *at = NULL;
	uint64_t n = 0;
	int r;

	for (size_t i = 0; i < m->n; i++)
		m->in[i].pos = 0;
	while ((r = next(m, s, at, &at)) == 1) {
		const struct index_loc *l = &at->ix->sec[s].locs[at->pos];
		struct index_loc moved = *l;

		r = 0;
		if (pass == PASS_COUNT)
			fanout[index_top_bits(id_at(at, s), bits) + 1]++;
		else if (pass == PASS_IDS)
			r = put(m, id_at(at, s), 32);
		else {
			moved.frame = le32_make(
				at->frames[le32_get(l->frame)]);
			r = put(m, &moved, sizeof(moved));
		}
		if (r)
			return r;
		n++;
	}
	*out_n = n;
	return r;
}

static int merge_section(struct merge *m, int s, struct index_header *h)
{
	AUTO_FREE uint32_t *fanout = NULL;
	uint64_t n = 0;
	unsigned bits;
	int r;

	for (size_t i = 0; i < m->n; i++)
		n += m->in[i].ix->sec[s].n;
	bits = index_fanout_bits(n);
	fanout = calloc((UINT64_C(1) << bits) + 1, sizeof(*fanout));
	if (!fanout)
		return error_nomem(m->e);
	r = sweep(m, s, PASS_COUNT, bits, fanout, &n);
	for (uint64_t v = 0; v <= UINT64_C(1) << bits && !r; v++) {
		le32 x;

		if (v)
			fanout[v] += fanout[v - 1];
		x = le32_make(fanout[v]);
		r = put(m, &x, sizeof(x));
	}
	if (!r)
		r = sweep(m, s, PASS_IDS, bits, fanout, &n);
	if (!r)
		r = sweep(m, s, PASS_LOCS, bits, fanout, &n);
	h->objects[s] = le64_make(n);
	h->fanout_bits[s] = le32_make(bits);
	return r;
}

static int merge_all(struct merge *m, uint32_t **new_no, uint32_t npacks)
{
	struct index_header h;
	uint32_t packs = 0, frames = 0;
	int r;

	memset(&h, 0, sizeof(h));
	m->off = sizeof(h);
	r = number_packs(m, new_no, &packs, npacks);
	if (!r)
		r = number_frames(m, new_no, &frames);
	for (int s = 0; s < 2 && !r; s++)
		r = merge_section(m, s, &h);
	if (!r)
		r = flush(m);
	if (r)
		return r;
	h.packs = le32_make(packs);
	h.frames = le32_make(frames);
	h.size = le64_make(m->off);
	h.body_checksum = le64_make(checksum64_finish(m->sum));
	index_header_seal(&h);
	return m->emit(m->ctx, &h, sizeof(h), 0, m->e);
}

int index_merge(const struct index *const *ix, size_t n,
	const struct index_filter *filter, index_emit_fn emit, void *ctx,
	struct error *e)
{
	AUTO_FREE struct input *in = calloc(n + 1, sizeof(*in));
	AUTO_FREE uint32_t **new_no = calloc(n + 1, sizeof(*new_no));
	AUTO_FREE uint8_t *buf = malloc(OUT_BUFFER);
	struct merge m = { .in = in,
		.n = n,
		.filter = filter,
		.emit = emit,
		.ctx = ctx,
		.buf = buf,
		.sum = checksum64_new(),
		.e = e };
	uint64_t packs = 0, frames = 0, objects = 0;
	int r = in && new_no && buf && m.sum ? 0 : error_nomem(e);

	for (size_t i = 0; i < n && !r; i++) {
		packs += ix[i]->npacks;
		frames += ix[i]->nframes;
		objects += ix[i]->sec[0].n + ix[i]->sec[1].n;
		in[i].ix = ix[i];
		in[i].frames = calloc((size_t)ix[i]->nframes + 1,
			sizeof(*in[i].frames));
		new_no[i] = calloc((size_t)ix[i]->npacks + 1,
			sizeof(*new_no[i]));
		if (!in[i].frames || !new_no[i])
			r = error_nomem(e);
	}
	if (!r && (packs >= NONE || frames >= NONE || objects >= NONE))
		r = error_set(e, ERR_LIMIT, "over 2^32 objects in an index");
	if (!r)
		r = merge_all(&m, new_no, (uint32_t)packs);
	for (size_t i = 0; i < n && in && new_no; i++) {
		free(in[i].frames);
		free(new_no[i]);
	}
	checksum64_free(m.sum);
	return r;
}
