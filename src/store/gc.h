/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting and removing packs: what gc and repack do once it is known which
 * objects go. The caller holds locks/gc and locks/index. */
#ifndef STRATA_STORE_GC_H
#define STRATA_STORE_GC_H

#include "store/census.h"

struct gc_plan {
	uint8_t *doomed;   /* of each pack: it goes, what lives moves */
	uint64_t *kept;	   /* of each pack: bytes of objects that live */
	uint64_t npacks;
	uint64_t removed;    /* packs that hold nothing that lives */
	uint64_t rewritten;  /* packs of which a part lives */
	uint64_t moved_bytes; /* decoded, that are to be copied */
	uint64_t old_bytes;  /* stored, of the doomed packs */
	uint64_t drop_objects, drop_bytes; /* decoded */
};
void gc_plan_release(struct gc_plan *p);

/* drop: a bit for each position that goes (only the one that census_find
 * gives counts). Packs of which less than live_percent lives are doomed, and
 * all smaller than join_below where there are at least join_count; all: every
 * pack. young (may be NULL): packs that are left alone, unless all. doomed (may
 * be NULL): packs that go in any case. */
struct gc_policy {
	unsigned live_percent;
	uint64_t join_below;
	unsigned join_count;
	bool all;
	const uint8_t *young;
	const uint8_t *doomed;
};
int gc_plan_make(const struct census *c, const uint64_t *drop,
	const struct gc_policy *policy, struct gc_plan *out, struct error *e);

/* Is this the position of an object that lives, in a pack that goes? */
bool gc_moves(const struct census *c, const uint64_t *drop,
	const struct gc_plan *p, uint64_t pos, struct census_entry *out);

typedef int (*gc_progress_fn)(void *ctx, uint64_t done, uint64_t total,
	struct error *e);

/* Copies what lives in doomed packs to the writer, in the order in which it
 * stands; whole frames as they are. Every object is hashed on the way. DAMAGED
 * where a frame is. */
int gc_move(struct census *c, const uint64_t *drop, const struct gc_plan *p,
	struct writer *w, unsigned threads, gc_progress_fn progress, void *ctx,
	struct error *e);

/* Positions up to end (from that of the run before) go into frames of this
 * size, at most that of the writer. */
struct gc_run {
	size_t end;
	size_t frame_size;
};
/* Copies the objects at these positions in this order, frame by frame. */
int gc_move_list(struct census *c, const uint64_t *positions,
	const struct gc_run *runs, size_t nruns, struct writer *w,
	unsigned threads, gc_progress_fn progress, void *ctx, struct error *e);

/* After the writer has finished: replaces the index files, then removes the
 * doomed packs. Durable at each step. */
int gc_replace(struct census *c, const uint64_t *drop, const struct gc_plan *p,
	struct error *e);

#endif
