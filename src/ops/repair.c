/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/repair.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ops/ingest.h"
#include "ops/mark.h"
#include "store/frame.h"
#include "store/gc.h"
#include "store/lease.h"

struct repair {
	struct library *l;
	const struct repair_args *a;
	struct repair_result *out;
	unsigned threads;
	struct census *c;
	uint64_t *drop;	 /* positions of what is forgotten */
	uint8_t *doomed; /* packs that are damaged */
	time_t told;
	struct error *e;
};

static int tell(struct repair *p, const char *phase, uint64_t done,
	uint64_t total, struct error *e)
{
	progress_tell(p->a->progress, &p->told, phase, done, total);
	return progress_check(p->a->progress, e);
}

static int on_reindex(void *ctx, uint64_t done, uint64_t total,
	struct error *e)
{
	return tell(ctx, "index", done, total, e);
}

/* --- damage --- */

/* A pack that its frames do not fill, or without an end: it is written anew, so
 * that verify has nothing more to say about it. */
static int find_damaged(struct repair *p)
{
	size_t n;
	const struct census_pack *packs = census_packs(p->c, &n);
	AUTO_FREE uint64_t *sum = calloc(n + 1, sizeof(*sum));

	p->drop = census_bits(census_count(p->c));
	p->doomed = calloc(n + 1, 1);
	if (!sum || !p->drop || !p->doomed)
		return error_nomem(p->e);
	for (uint64_t i = 0; i < census_frames(p->c); i++) {
		struct census_frame f;

		if (census_frame_at(p->c, i, &f) && f.first)
			sum[f.pack] += sizeof(struct frame_header) +
				       f.stored_len;
	}
	for (size_t i = 0; i < n; i++)
		if (sum[i] + sizeof(struct pack_header) +
					sizeof(struct pack_footer) !=
				packs[i].size ||
			census_pack_check(p->c, i, NULL))
			p->doomed[i] = 1;
	return 0;
}

/* --- what is to be forgotten --- */

static void forget(struct repair *p, uint64_t pos, const struct census_entry *x)
{
	uint64_t first;

	if (!census_find(p->c, x->space, &x->id, &first) || first != pos ||
		bit_get(p->drop, pos))
		return;
	bit_set(p->drop, pos);
	p->out->forgotten++;
}

struct lacks {
	struct repair *p;
	bool any;
};

static int on_part(void *ctx, const struct mark_ref *ref)
{
	struct lacks *k = ctx;
	uint64_t pos;

	k->any |= !census_find(k->p->c, ref->space, &ref->id, &pos) ||
		  bit_get(k->p->drop, pos);
	return 0;
}

/* Lists of chunks that lack one: an import that finds the list takes the blob
 * for known and would not bring its chunks. Segments first, which lists name. */
static int forget_lists(struct repair *p, enum object_kind kind)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(p->c) && !r; i++) {
		struct lacks k = { .p = p };
		AUTO_BUF b = BUF_INIT;
		struct census_entry x;

		if (!census_at(p->c, i, &x) || x.kind != kind ||
			bit_get(p->drop, i))
			continue;
		r = tell(p, "chunks", i, census_count(p->c), p->e);
		if (r)
			break;
		/* every object that is listed was read just now */
		r = store_get(p->l->store, x.space, &x.id, NULL, &b, p->e);
		if (!r && mark_refs(kind, &b, on_part, &k, NULL))
			k.any = true; /* no list at all */
		if (!r && k.any)
			forget(p, i, &x);
	}
	return r;
}

/* --- writing anew --- */

static int on_move(void *ctx, uint64_t done, uint64_t total, struct error *e)
{
	return tell(ctx, "repair", done, total, e);
}

static int rewrite(struct repair *p)
{
	size_t n;
	AUTO_FREE uint8_t *others = NULL;
	struct gc_policy policy = { .doomed = p->doomed };
	struct writer_options opt = { .rewrite = true };
	CLEANUP(cleanup_writer) struct writer *w = NULL;
	struct gc_plan plan;
	int lock, r;

	census_packs(p->c, &n);
	policy.young = others = malloc(n + 1);
	if (!others)
		return error_nomem(p->e);
	memset(others, 1, n + 1);
	for (size_t i = 0; i < n; i++)
		p->out->rewritten += p->doomed[i];
	if (!p->out->rewritten && !p->out->forgotten)
		return 0;
	r = gc_plan_make(p->c, p->drop, &policy, &plan, p->e);
	if (r)
		return r;
	if (plan.moved_bytes) {
		r = writer_open(p->l->store, &opt, &w, p->e);
		if (!r)
			r = gc_move(p->c, p->drop, &plan, w, p->threads,
				on_move, p, p->e);
		if (!r)
			r = writer_finish(w, p->e);
	}
	if (!r)
		r = p->l->be->ops->lock(p->l->be, "locks/packs", true, true,
			&lock, p->e);
	if (!r) {
		r = gc_replace(p->c, p->drop, &plan, p->e);
		p->l->be->ops->unlock(p->l->be, "locks/packs", lock, false);
	}
	gc_plan_release(&plan);
	return r;
}

/* --- */

static int nobody_writes(struct repair *p)
{
	struct lease_names now = { 0 };
	int r = lease_list(p->l->be, &now, p->e);

	if (!r && now.len)
		r = error_set(p->e, ERR_BUSY,
			"library: %zu import%s or commits are under way; repair "
			"when they have ended",
			now.len, now.len == 1 ? "" : "s");
	lease_names_release(&now);
	return r;
}

static int locked(struct repair *p)
{
	int r = nobody_writes(p);

	if (!r)
		r = store_reindex(p->l->store, p->threads, on_reindex, p,
			&p->out->index, p->e);
	if (!r)
		r = census_open(p->l->store, &p->c, p->e);
	if (!r)
		r = find_damaged(p);
	if (!r)
		r = forget_lists(p, OBJ_SEGMENT);
	if (!r)
		r = forget_lists(p, OBJ_CHUNKS);
	if (!r)
		r = rewrite(p);
	return r ? r : store_reindex_end(p->l->store, p->e);
}

int ops_repair(struct library *l, const struct repair_args *a,
	struct repair_result *out, struct error *e)
{
	struct repair p = { .l = l, .a = a, .out = out, .e = e,
		.threads = a->threads ? a->threads : ingest_threads() };
	struct backend *be = l->be;
	int lock, index_lock, r;

	memset(out, 0, sizeof(*out));
	r = be->ops->lock(be, "locks/gc", true, false, &lock, e);
	if (r == ERR_BUSY)
		return error_set(e, ERR_BUSY,
			"library: a gc, repack or repair is at work");
	if (r)
		return r;
	r = be->ops->lock(be, "locks/index", true, true, &index_lock, e);
	if (!r) {
		r = locked(&p);
		be->ops->unlock(be, "locks/index", index_lock, false);
	}
	be->ops->unlock(be, "locks/gc", lock, false);
	census_close(p.c);
	free(p.drop);
	free(p.doomed);
	return r;
}
