/* SPDX-License-Identifier: Apache-2.0 */
/* verify: is everything there, and as it was stored? */
#ifndef STRATA_OPS_CHECK_H
#define STRATA_OPS_CHECK_H

#include "ops/damage.h"
#include "ops/progress.h"

struct check_args {
	const struct oid *commit; /* only this one (without its history), NULL:
				   * the whole library */
	bool read_data;
	unsigned threads; /* 0: one a processor */
	const struct progress *progress;
};

struct check_result {
	struct damage damage;
	uint64_t refs, commits, images, objects, packs, frames;
	uint64_t bytes; /* decoded, with read_data */
	uint64_t disks; /* rebuilt, with read_data */
	uint64_t unreachable; /* objects */
	uint64_t orphans; /* packs that no index lists: an import under way, or
			   * what a killed one left */
};
void check_result_release(struct check_result *r);

/* 0 whether or not something is damaged: that is in out->damage. The library
 * is best opened with library_open_damaged. gc waits while it runs. */
int ops_check(struct library *l, const struct check_args *a,
	struct check_result *out, struct error *e);

#endif
