/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/frame.h"
#include "store/store_internal.h"

#define THREADS_MAX 16

void gc_plan_release(struct gc_plan *p)
{
	free(p->doomed);
	free(p->kept);
	memset(p, 0, sizeof(*p));
}

/* The position of an object that stays? */
static bool lives(const struct census *c, const uint64_t *drop, uint64_t pos,
	struct census_entry *x)
{
	uint64_t first;

	return census_at(c, pos, x) &&
	       census_find(c, x->space, &x->id, &first) && first == pos &&
	       !(drop && bit_get(drop, pos));
}

bool gc_moves(const struct census *c, const uint64_t *drop,
	const struct gc_plan *p, uint64_t pos, struct census_entry *out)
{
	return lives(c, drop, pos, out) && p->doomed[out->pack];
}

int gc_plan_make(const struct census *c, const uint64_t *drop,
	const struct gc_policy *policy, struct gc_plan *out, struct error *e)
{
	size_t n;
	const struct census_pack *packs = census_packs(c, &n);
	unsigned small = 0;

	memset(out, 0, sizeof(*out));
	out->npacks = n;
	out->doomed = calloc(n + 1, 1);
	out->kept = calloc(n + 1, sizeof(uint64_t));
	if (!out->doomed || !out->kept) {
		gc_plan_release(out);
		return error_nomem(e);
	}
	for (uint64_t i = 0; i < census_count(c); i++) {
		struct census_entry x;

		if (lives(c, drop, i, &x)) {
			out->kept[x.pack] += x.len;
		} else if (drop && bit_get(drop, i) && census_at(c, i, &x)) {
			out->drop_objects++;
			out->drop_bytes += x.len;
		}
	}
	for (size_t i = 0; i < n; i++)
		small += packs[i].size < policy->join_below &&
			 !(policy->young && policy->young[i]);
	for (size_t i = 0; i < n; i++) {
		bool join = small >= policy->join_count &&
			    packs[i].size < policy->join_below;

		if (!policy->all && !(policy->doomed && policy->doomed[i])) {
			if (policy->young && policy->young[i])
				continue;
			if (!join && out->kept[i] >= packs[i].raw_bytes / 100 *
							     policy->live_percent)
				continue;
		}
		out->doomed[i] = 1;
		out->old_bytes += packs[i].size;
		out->moved_bytes += out->kept[i];
		if (out->kept[i])
			out->rewritten++;
		else
			out->removed++;
	}
	return 0;
}

/* --- moving in place order --- */

struct move {
	struct census *c;
	const uint64_t *drop;
	const struct gc_plan *plan;
	struct writer *w;
	struct packer *packers[THREADS_MAX];
	uint64_t *moved; /* positions that came by */
	pthread_mutex_t lock;
	uint64_t done;
	gc_progress_fn progress;
	void *ctx;
};

struct frame_move {
	struct move *m;
	const struct scan_frame *f;
	VEC(struct frame_item) items; /* that live */
	size_t all;
	struct error *e;
};

static int look_at(void *ctx, enum object_kind kind, const struct oid *id,
	uint32_t off, uint32_t len)
{
	struct frame_move *fm = ctx;
	struct census_entry x;
	struct oid real;
	uint64_t pos;

	fm->all++;
	if (!id) {
		sha256(fm->f->raw + off, len, &real);
		id = &real;
	}
	if (!census_find(fm->m->c, object_space(kind), id, &pos) ||
		!lives(fm->m->c, fm->m->drop, pos, &x) ||
		x.frame != fm->f->frame)
		return 0;
	pthread_mutex_lock(&fm->m->lock);
	bit_set(fm->m->moved, pos);
	pthread_mutex_unlock(&fm->m->lock);
	return vec_push(&fm->items,
		       (struct frame_item){ *id, len | (uint32_t)kind << 24,
			       off })
		       ? 0
		       : error_nomem(fm->e);
}

static int move_frame(void *ctx, unsigned thread, const struct scan_frame *f,
	struct error *e)
{
	struct move *m = ctx;
	struct frame_move fm = { .m = m, .f = f, .e = e };
	int r = 0;

	if (f->code) {
		if (e)
			*e = *f->why;
		return f->code == ERR_NOTFOUND ? ERR_DAMAGED : f->code;
	}
	r = frame_objects(f->raw, f->at.raw_len, look_at, &fm, e);
	if (!r && fm.items.len == fm.all && fm.all)
		r = writer_put_frame(m->w, f->stored, f->stored_len,
			f->at.raw_len, fm.items.items, fm.items.len, e);
	else
		for (size_t i = 0; i < fm.items.len && !r; i++) {
			const struct frame_item *x = &fm.items.items[i];

			r = packer_add(m->packers[thread],
				(enum object_kind)(x->len_kind >> 24), &x->id,
				f->raw + x->off, x->len_kind & LEN_MASK, e);
		}
	vec_release(&fm.items);
	pthread_mutex_lock(&m->lock);
	m->done += f->at.raw_len;
	if (!r && m->progress)
		r = m->progress(m->ctx, m->done, m->plan->moved_bytes, e);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Every object that was to move must have come by. */
static int all_moved(struct census *c, const uint64_t *drop,
	const struct gc_plan *p, const uint64_t *moved, struct error *e)
{
	struct census_entry x;
	char hex[OID_HEX + 1];

	for (uint64_t i = 0; i < census_count(c); i++)
		if (gc_moves(c, drop, p, i, &x) &&
			!bit_get(moved, i))
			return error_set(e, ERR_DAMAGED,
				"library: %s %s is not where its index entry "
				"says",
				object_kind_name(x.kind), oid_hex(&x.id, hex));
	return 0;
}

int gc_move(struct census *c, const uint64_t *drop, const struct gc_plan *p,
	struct writer *w, unsigned threads, gc_progress_fn progress, void *ctx,
	struct error *e)
{
	struct move m = { .c = c, .drop = drop, .plan = p, .w = w,
		.progress = progress, .ctx = ctx };
	AUTO_FREE uint64_t *want = census_bits(census_frames(c));
	AUTO_FREE uint64_t *moved = census_bits(census_count(c));
	int r = want && moved ? 0 : error_nomem(e);

	m.moved = moved;
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	for (uint64_t i = 0; i < census_count(c) && !r; i++) {
		struct census_entry x;

		if (gc_moves(c, drop, p, i, &x))
			bit_set(want, x.frame);
	}
	for (unsigned i = 0; i < threads && !r; i++)
		r = packer_open(w, &m.packers[i], e);
	pthread_mutex_init(&m.lock, NULL);
	if (!r)
		r = census_scan(c, want, threads, move_frame, &m, e);
	for (unsigned i = 0; i < threads; i++) {
		if (!r)
			r = packer_flush(m.packers[i], e);
		packer_close(m.packers[i]);
	}
	pthread_mutex_destroy(&m.lock);
	return r ? r : all_moved(c, drop, p, moved, e);
}

/* --- moving in another order --- */

struct list_move {
	struct census *c;
	const uint64_t *positions;
	const struct gc_run *runs;
	size_t nruns, run; /* run: the one at hand */
	size_t next;
	struct writer *w;
	pthread_mutex_t lock;
	uint64_t done;
	gc_progress_fn progress;
	void *ctx;
	int code;
	struct error error;
};

/* With the lock held: the next frame's worth. */
static size_t take_group(struct list_move *m, size_t *out_from)
{
	const struct gc_run *run;
	size_t bytes = 0, i;

	while (m->run < m->nruns && m->runs[m->run].end <= m->next)
		m->run++;
	*out_from = m->next;
	if (m->run == m->nruns)
		return 0;
	run = &m->runs[m->run];
	for (i = m->next; i < run->end && !m->code; i++) {
		struct census_entry x;

		if (!census_at(m->c, m->positions[i], &x))
			continue;
		if (i > m->next && bytes + x.len > run->frame_size)
			break;
		bytes += x.len;
	}
	m->next = i;
	return i - *out_from;
}

static int move_group(struct list_move *m, struct packer *p, size_t from,
	size_t n, struct error *e)
{
	struct store *s = census_store(m->c);
	uint64_t bytes = 0;
	int r = 0;

	for (size_t i = from; i < from + n && !r; i++) {
		AUTO_BUF b = BUF_INIT;
		enum object_kind kind;
		struct census_entry x;
		struct oid real;

		if (!census_at(m->c, m->positions[i], &x))
			continue;
		r = store_get(s, x.space, &x.id, &kind, &b, e);
		if (!r && kind == OBJ_BLOB) {
			char hex[OID_HEX + 1];

			sha256(b.data, b.len, &real);
			if (!oid_equal(&real, &x.id))
				r = error_set(e, ERR_DAMAGED,
					"library: blob %s has other bytes than "
					"its id says",
					oid_hex(&x.id, hex));
		}
		if (!r)
			r = packer_add(p, kind, &x.id, b.data, b.len, e);
		bytes += b.len;
	}
	if (!r)
		r = packer_flush(p, e);
	pthread_mutex_lock(&m->lock);
	m->done += bytes;
	if (!r && m->progress)
		r = m->progress(m->ctx, m->done, 0, e);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void *list_run(void *arg)
{
	struct list_move *m = arg;
	CLEANUP(cleanup_packer) struct packer *p = NULL;
	struct error e = { 0 };
	int r = packer_open(m->w, &p, &e);

	while (!r) {
		size_t from, n;

		pthread_mutex_lock(&m->lock);
		n = take_group(m, &from);
		pthread_mutex_unlock(&m->lock);
		if (!n)
			break;
		r = move_group(m, p, from, n, &e);
	}
	pthread_mutex_lock(&m->lock);
	if (r && !m->code) {
		m->code = r;
		m->error = e;
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int gc_move_list(struct census *c, const uint64_t *positions,
	const struct gc_run *runs, size_t nruns, struct writer *w,
	unsigned threads, gc_progress_fn progress, void *ctx, struct error *e)
{
	struct list_move m = { .c = c, .positions = positions, .runs = runs,
		.nruns = nruns, .w = w, .progress = progress, .ctx = ctx };
	pthread_t t[THREADS_MAX];
	bool started[THREADS_MAX] = { 0 };

	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	pthread_mutex_init(&m.lock, NULL);
	for (unsigned i = 1; i < threads; i++)
		started[i] = !pthread_create(&t[i], NULL, list_run, &m);
	list_run(&m);
	for (unsigned i = 1; i < threads; i++)
		if (started[i])
			pthread_join(t[i], NULL);
	pthread_mutex_destroy(&m.lock);
	if (m.code && e)
		*e = m.error;
	return m.code;
}

/* --- replacing --- */

struct replace {
	struct census *c;
	const uint64_t *drop;
	const struct gc_plan *p;
	size_t index;
	uint64_t base[2];
};

static bool pack_doomed(const struct replace *x, const uint8_t id[16])
{
	size_t at;

	return census_pack_find(x->c, id, &at) && x->p->doomed[at];
}

static bool keep_pack(void *ctx, const uint8_t id[16])
{
	return !pack_doomed(ctx, id);
}

/* Copies that another index lists go with the first. */
static bool keep_entry(void *ctx, size_t i ATTR_UNUSED,
	enum object_space space, uint64_t pos)
{
	struct replace *x = ctx;
	struct census_entry at;
	uint64_t first;

	return !x->drop || (census_at(x->c, x->base[space] + pos, &at) &&
				   census_find(x->c, at.space, &at.id, &first) &&
				   !bit_get(x->drop, first));
}

int gc_replace(struct census *c, const uint64_t *drop, const struct gc_plan *p,
	struct error *e)
{
	struct store *s = census_store(c);
	struct snapshot *sn = census_snapshot(c);
	struct replace x = { .c = c, .drop = drop, .p = p };
	AUTO_FREE uint8_t *old = calloc(sn->n + 1, 1);
	size_t npacks;
	const struct census_pack *packs = census_packs(c, &npacks);
	uint64_t base = 0;
	char path[80];
	int r = old ? 0 : error_nomem(e);

	for (size_t i = 0; i < sn->n && !r; i++) {
		const struct index *ix = &sn->ix[i];
		size_t left = 0;
		bool change = false;

		for (int k = 0; k < 2; k++) {
			x.base[k] = base;
			base += ix->sec[k].n;
		}
		for (uint32_t q = 0; q < ix->npacks; q++) {
			bool doomed = pack_doomed(&x, ix->packs[q].id);

			change |= doomed;
			left += !doomed;
		}
		for (uint64_t k = x.base[0]; drop && k < base && !change; k++) {
			struct census_entry at;
			uint64_t first;

			change = census_at(c, k, &at) &&
				 census_find(c, at.space, &at.id, &first) &&
				 bit_get(drop, first);
		}
		if (!change)
			continue;
		old[i] = 1;
		if (left) {
			struct index_filter f = { keep_pack, keep_entry, &x };

			r = store_put_merged(s, &ix, 1, &f, e);
		}
	}
	for (size_t i = 0; i < sn->n && !r; i++)
		if (old[i]) {
			snprintf(path, sizeof(path), "index/%s",
				sn->ix[i].name);
			r = s->be->ops->remove(s->be, path, e);
		}
	if (!r)
		r = s->be->ops->sync(s->be, "index", e);
	for (size_t i = 0; i < npacks && !r; i++)
		if (p->doomed[i]) {
			char name[64];

			pack_name(packs[i].id, name);
			r = s->be->ops->remove(s->be, name, e);
		}
	if (!r)
		r = s->be->ops->sync(s->be, "packs", e);
	return r ? r : store_refresh(s, e);
}
