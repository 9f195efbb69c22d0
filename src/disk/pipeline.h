/* SPDX-License-Identifier: Apache-2.0 */
/* Work on a sequence of jobs by all cores, with the results taken in order:
 * how the writers read, compress and write at once. */
#ifndef STRATA_DISK_PIPELINE_H
#define STRATA_DISK_PIPELINE_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct pipeline {
	size_t slot_size; /* bytes of one job; starts zeroed, reused after */
	/* Fill the slot with the next job: 1, 0 at the end, or an error. One
	 * caller at a time. */
	int (*next)(void *ctx, void *slot, struct error *e);
	/* Many callers at once, each with its own slot. */
	int (*work)(void *ctx, void *slot, struct error *e);
	/* In the order of next, one caller at a time. May be NULL. */
	int (*emit)(void *ctx, void *slot, struct error *e);
	/* Free what the slot owns, at the end; may be NULL. */
	void (*drop)(void *slot);
	void *ctx;
	unsigned threads; /* 0: pipeline_threads() */
	/* Jobs under way for each thread, 0: 2. More where jobs are small and
	 * one thread emits for a while; their buffers are all in memory, so
	 * that with many threads they are fewer. */
	unsigned depth;
};

/* How many threads pay: the processors this process may use, at most 16. */
unsigned pipeline_threads(void);

/* Runs it on the caller's thread and threads - 1 others; at most depth x threads
 * jobs are under way. Returns 0 or the first error (in time), after all
 * threads have ended. */
int pipeline_run(const struct pipeline *p, struct error *e);

#endif
