/* SPDX-License-Identifier: Apache-2.0 */
/* How far an operation is, and whether it should stop. */
#ifndef STRATA_OPS_PROGRESS_H
#define STRATA_OPS_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/error.h"

struct progress {
	/* Called from any thread, not more often than a few times a second; one
	 * call at a time. phase: "survey", "import", ... total 0: not known.
	 * NULL: nobody wants to know. */
	void (*update)(void *ctx, const char *phase, uint64_t done,
		uint64_t total);
	void *ctx;
	/* Set (by a signal handler) to stop: CANCELLED. NULL: never. */
	const atomic_bool *cancel;
};

/* An update at most once a second; *told is when the last was. Callers take
 * turns. */
static inline void progress_tell(const struct progress *p, time_t *told,
	const char *phase, uint64_t done, uint64_t total)
{
	time_t now = time(NULL);

	if (p && p->update && now != *told) {
		*told = now;
		p->update(p->ctx, phase, done, total);
	}
}

static inline bool progress_cancelled(const struct progress *p)
{
	return p && p->cancel && atomic_load(p->cancel);
}

static inline int progress_check(const struct progress *p, struct error *e)
{
	return progress_cancelled(p)
		       ? error_set(e, ERR_CANCELLED, "interrupted")
		       : 0;
}

#endif
