/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/gc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/checked.h"
#include "ops/ingest.h"
#include "ops/mark.h"
#include "ops/repack.h"
#include "ops/roots.h"
#include "store/gc.h"
#include "store/lease.h"

/* Packs of which less than this lives are written anew. */
#define LIVE_PERCENT 80
/* This many packs below that size become one. */
#define JOIN_COUNT 10
#define JOIN_BELOW (UINT64_C(32) << 20)
/* What gc writes anew, it writes once: better than an import's level. */
#define GC_LEVEL 9
/* How often the refs may move while they are looked at. */
#define TRIES 5

struct gc {
	struct library *l;
	const struct gc_args *a;
	struct gc_result *out;
	struct roots roots;
	struct census *c;
	struct mark *m;
	uint8_t *young;	 /* of each pack */
	uint64_t *drop;	 /* positions that may go */
	uint64_t ndrop;
	struct condemned list;
	time_t told;
	struct error *e;
};

static void forget(struct gc *g)
{
	roots_release(&g->roots);
	mark_close(g->m);
	census_close(g->c);
	free(g->young);
	free(g->drop);
	g->m = NULL;
	g->c = NULL;
	g->young = NULL;
	g->drop = NULL;
	g->ndrop = 0;
}

/* --- what is needed --- */

struct ages {
	struct gc *g;
	int64_t oldest;
};

static int on_age(void *ctx, const char *name, uint64_t size ATTR_UNUSED,
	int64_t mtime)
{
	struct ages *a = ctx;
	uint8_t id[16];
	size_t at;

	if (strlen(name) >= 32 && hex_decode(name, 16, id) &&
		census_pack_find(a->g->c, id, &at))
		a->g->young[at] = mtime > a->oldest;
	return 0;
}

/* What was written lately stays, and what it needs: the rest of an import that
 * was cut short, a commit that its author has yet to name. */
static int mark_young(struct gc *g)
{
	struct ages a = { g, (int64_t)time(NULL) - g->a->grace };
	size_t n;
	int r;

	census_packs(g->c, &n);
	g->young = calloc(n + 1, 1);
	if (!g->young)
		return error_nomem(g->e);
	if (!g->a->grace)
		return 0;
	r = g->l->be->ops->list(g->l->be, "packs", on_age, &a, g->e);
	for (uint64_t i = 0; i < census_count(g->c) && !r; i++) {
		struct census_entry x;

		if (census_at(g->c, i, &x) && g->young[x.pack])
			r = mark_loose(g->m, i, g->e);
	}
	return r;
}

static int mark(struct gc *g)
{
	int r;

	forget(g);
	r = roots_read_pinned(g->l, library_now(), &g->roots, g->e);
	if (!r && g->roots.damaged.len)
		r = error_set(g->e, ERR_DAMAGED,
			"library: %s: %s; nothing was removed (see 'strata "
			"verify')",
			g->roots.damaged.items[0].where,
			g->roots.damaged.items[0].what);
	/* After the refs: what they name is in it. */
	if (!r)
		r = census_open(g->l->store, &g->c, g->e);
	for (size_t i = 0; !r && i < census_indexes(g->c); i++)
		r = census_index_check(g->c, i, g->e);
	if (!r)
		r = mark_open(g->l, g->c, NULL, NULL, g->a->progress, &g->m,
			g->e);
	for (size_t i = 0; i < g->roots.items.len && !r; i++) {
		const struct root *x = &g->roots.items.items[i];
		struct object_info info;

		/* A server that pins what is gone will find out. */
		if (!x->pin || store_has(g->l->store, SPACE_RECORD, &x->id,
				       &info))
			r = mark_commit(g->m, &x->id, !x->pin, g->e);
	}
	if (!r)
		r = mark_finish(g->m, g->e);
	return r ? r : mark_young(g);
}

/* Everything that is not marked; with a list, only what is on it too. */
static int choose(struct gc *g)
{
	const uint64_t *marked = mark_bits(g->m);

	g->drop = census_bits(census_count(g->c));
	if (!g->drop)
		return error_nomem(g->e);
	g->ndrop = 0;
	g->out->kept_objects = 0;
	for (uint64_t i = 0; i < census_count(g->c); i++) {
		struct census_entry x;
		uint64_t first;

		if (!census_at(g->c, i, &x) ||
			!census_find(g->c, x.space, &x.id, &first) ||
			first != i)
			continue;
		if (bit_get(marked, i) ||
			(g->list.data &&
				!condemned_has(&g->list, x.space, &x.id))) {
			g->out->kept_objects++;
			continue;
		}
		bit_set(g->drop, i);
		g->ndrop++;
	}
	return 0;
}

/* --- what is condemned --- */

/* Publishes g->drop as a list. */
static int publish(struct gc *g, const struct lease_names *held, char name[64])
{
	struct census_order o;
	int r = census_order_start(&o, g->c, g->drop, g->e);

	if (r)
		return r;
	r = condemned_publish(g->l->be, census_order_key, &o, held, name, g->e);
	census_order_end(&o);
	return r;
}

static uint64_t still_held(const struct lease_names *then,
	const struct lease_names *now)
{
	uint64_t n = 0;

	for (size_t i = 0; i < then->len; i++)
		for (size_t k = 0; k < now->len; k++)
			n += !memcmp(then->ids[i], now->ids[k], 16);
	return n;
}

static int defer(struct gc *g, uint64_t n)
{
	g->out->deferred = true;
	g->out->waiting = n;
	free(g->drop);
	g->drop = NULL;
	g->ndrop = 0;
	return 0;
}

/* Goes on with a list that an earlier gc published: have the writers that
 * began before it ended? */
static int resume(struct gc *g, bool *out_ready)
{
	struct lease_names now = { 0 };
	uint64_t n;
	int r = lease_list(g->l->be, &now, g->e);

	*out_ready = false;
	if (r)
		return r;
	n = g->list.held_unknown ? now.len : still_held(&g->list.held, &now);
	if (g->list.held_unknown && n && !g->a->dry_run)
		r = condemned_publish(g->l->be, condemned_next,
			&(struct condemned_keys){ &g->list, 0 }, &now,
			g->list.name, g->e);
	lease_names_release(&now);
	*out_ready = !n;
	return r || !n ? r : defer(g, n);
}

/* Publishes what may go. Not ready: writers are at work that may have seen it
 * as known; or one has ended meanwhile, and the refs have moved. */
static int condemn(struct gc *g, bool *out_ready, bool *out_again)
{
	struct lease_names now = { 0 };
	AUTO_ROOTS again = { 0 };
	char name[64] = "";
	int r = publish(g, NULL, name);

	*out_ready = *out_again = false;
	if (!r)
		r = lease_list(g->l->be, &now, g->e);
	if (!r && now.len)
		r = publish(g, &now, name);
	if (!r && !now.len)
		r = roots_read_pinned(g->l, library_now(), &again, g->e);
	if (!r)
		r = condemned_open(g->l->be, &g->list, g->e);
	if (!r && now.len) {
		r = defer(g, now.len);
	} else if (!r) {
		*out_ready = roots_equal(&g->roots, &again);
		*out_again = !*out_ready;
	}
	lease_names_release(&now);
	return r;
}

/* Finds out what goes now: g->drop, or none. */
static int decide(struct gc *g)
{
	bool ready = true, again = true;
	int r = condemned_open(g->l->be, &g->list, g->e);

	if (!r && g->list.data)
		r = resume(g, &ready);
	if (!r && !ready) { /* a repack still wants to know what there is */
		r = mark(g);
		return r;
	}
	for (int try = 0; !r && again; try++) {
		again = false;
		r = mark(g);
		if (!r)
			r = choose(g);
		if (r || g->a->dry_run || !g->ndrop || g->list.data)
			break;
		if (try == TRIES)
			return defer(g, 0);
		r = condemn(g, &ready, &again);
	}
	return r;
}

/* --- the rest of killed processes --- */

struct stale {
	struct gc *g;
	int64_t oldest;
	int code;
};

static int on_orphan(void *ctx, const char *name, uint64_t size, int64_t mtime)
{
	struct stale *s = ctx;
	char path[80];

	if (mtime > s->oldest)
		return 0;
	s->g->out->orphans++;
	s->g->out->tmp_bytes += size;
	snprintf(path, sizeof(path), "packs/%s", name);
	return s->g->a->dry_run
		       ? 0
		       : s->g->l->be->ops->remove(s->g->l->be, path, s->g->e);
}

static int on_pending(void *ctx, const char *name, uint64_t size ATTR_UNUSED,
	int64_t mtime ATTR_UNUSED)
{
	struct stale *s = ctx;
	char path[300];

	snprintf(path, sizeof(path), "pending/%s", name);
	return s->g->a->dry_run
		       ? 0
		       : s->g->l->be->ops->remove(s->g->l->be, path, s->g->e);
}

/* Packs that no index lists, while no writer is at work: everything that the
 * refs reach was found elsewhere, so nothing is lost with them. */
static int clean(struct gc *g)
{
	struct stale s = { .g = g, .oldest = (int64_t)time(NULL) - g->a->grace };
	struct lease_names now = { 0 };
	int r = g->l->be->ops->clean(g->l->be, g->a->dry_run,
		&g->out->tmp_files, &g->out->tmp_bytes, g->e);

	if (!r)
		r = lease_list(g->l->be, &now, g->e);
	if (!r && !now.len) {
		/* the census is older than the list of leases: look again */
		CLEANUP(cleanup_census) struct census *c = NULL;

		r = census_open(g->l->store, &c, g->e);
		if (!r)
			r = census_orphans(c, on_orphan, &s, g->e);
		if (!r)
			r = g->l->be->ops->list(g->l->be, "pending",
				on_pending, &s, g->e);
	}
	lease_names_release(&now);
	return r;
}

/* --- doing it --- */

static int on_progress(void *ctx, uint64_t done, uint64_t total,
	struct error *e)
{
	struct gc *g = ctx;

	progress_tell(g->a->progress, &g->told, g->a->repack ? "repack" : "gc",
		done, total ? total : g->out->removed_bytes);
	return progress_check(g->a->progress, e);
}

static int rewrite(struct gc *g, const struct gc_plan *plan)
{
	struct writer_options opt = { .rewrite = true,
		.level = g->a->repack ? g->a->level ? g->a->level : REPACK_LEVEL
				      : GC_LEVEL,
		.frame_size = !g->a->repack ? 0
			      : g->a->frame_size ? g->a->frame_size
						 : REPACK_FRAME };
	CLEANUP(cleanup_writer) struct writer *w = NULL;
	unsigned threads = g->a->threads ? g->a->threads : ingest_threads();
	int r = writer_open(g->l->store, &opt, &w, g->e);

	if (r)
		return r;
	if (g->a->repack) {
		struct repack_order order = { 0 };

		r = repack_order_make(g->l, g->c, g->drop, opt.frame_size,
			g->a->progress, &order, g->e);
		/* what marking and ordering took: 40 MiB that the encoders
		 * cannot use, since theirs are mapped */
		malloc_trim(0);
		if (!r)
			r = gc_move_list(g->c, order.positions, order.runs,
				ARRAY_LEN(order.runs), w, threads, on_progress,
				g, g->e);
		repack_order_release(&order);
	} else {
		r = gc_move(g->c, g->drop, plan, w, threads, on_progress, g,
			g->e);
	}
	return r ? r : writer_finish(w, g->e);
}

static int carry_out(struct gc *g)
{
	struct gc_policy policy = { .live_percent = LIVE_PERCENT,
		.join_below = JOIN_BELOW,
		.join_count = JOIN_COUNT,
		.all = g->a->repack,
		.young = g->young };
	struct gc_plan plan;
	int lock, r = gc_plan_make(g->c, g->drop, &policy, &plan, g->e);

	if (r)
		return r;
	g->out->removed_objects = plan.drop_objects;
	g->out->removed_bytes = plan.drop_bytes;
	g->out->packs_after = plan.npacks - plan.removed - plan.rewritten +
			      (plan.rewritten ? 1 : 0);
	if (!g->a->dry_run && (plan.removed || plan.rewritten || g->ndrop)) {
		if (plan.moved_bytes)
			r = rewrite(g, &plan);
		/* a verify reads what is there to its end */
		if (!r)
			r = g->l->be->ops->lock(g->l->be, "locks/packs", true,
				true, &lock, g->e);
		if (!r) {
			r = gc_replace(g->c, g->drop, &plan, g->e);
			g->l->be->ops->unlock(g->l->be, "locks/packs", lock,
				false);
		}
	}
	gc_plan_release(&plan);
	if (!r && !g->a->dry_run && g->list.data && !g->out->deferred)
		r = condemned_remove(g->l->be, g->list.name, g->e);
	return r;
}

static int locked(struct gc *g)
{
	struct store_stats st;
	int r = store_get_stats(g->l->store, &st, g->e);

	if (r)
		return r;
	g->out->packs_before = g->out->packs_after = st.packs;
	g->out->stored_before = g->out->stored_after = st.stored_bytes;
	r = decide(g);
	/* Only after everything that is needed was seen. */
	if (!r)
		r = clean(g);
	if (!r && (!g->out->deferred || g->a->repack))
		r = carry_out(g);
	if (!r && !g->a->dry_run)
		r = store_get_stats(g->l->store, &st, g->e);
	if (!r && !g->a->dry_run) {
		g->out->packs_after = st.packs;
		g->out->stored_after = st.stored_bytes;
	}
	return r;
}

int ops_gc(struct library *l, const struct gc_args *a, struct gc_result *out,
	struct error *e)
{
	struct gc g = { .l = l, .a = a, .out = out, .e = e };
	struct backend *be = l->be;
	int lock, index_lock;
	int r;

	memset(out, 0, sizeof(*out));
	if (a->repack)
		store_set_cache(l->store, REPACK_CACHE);
	r = be->ops->lock(be, "locks/gc", true, false, &lock, e);
	if (r == ERR_BUSY)
		return error_set(e, ERR_BUSY,
			"library: another gc or repack is at work");
	if (r)
		return r;
	/* Index files stay as they are but for new ones. */
	r = be->ops->lock(be, "locks/index", true, true, &index_lock, e);
	if (!r) {
		r = locked(&g);
		be->ops->unlock(be, "locks/index", index_lock, false);
	}
	condemned_close(&g.list);
	forget(&g);
	be->ops->unlock(be, "locks/gc", lock, false);
	return r;
}
