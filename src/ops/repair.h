/* SPDX-License-Identifier: Apache-2.0 */
/* verify --repair: brings a damaged library into a state in which everything
 * that can be read is found, and nothing is taken for known that is not there. */
#ifndef STRATA_OPS_REPAIR_H
#define STRATA_OPS_REPAIR_H

#include "library/library.h"
#include "ops/progress.h"
#include "store/reindex.h"

struct repair_args {
	unsigned threads; /* 0: one a processor */
	const struct progress *progress;
};

struct repair_result {
	struct reindex_result index;
	uint64_t forgotten; /* lists of chunks that lack one */
	uint64_t rewritten; /* packs with damage: what is whole in them moved */
};

/* Builds the index files again from what can be read of the packs, and writes
 * packs that are damaged anew, without the damage. No commit, tree or ref is
 * touched: what a commit still lacks afterwards, verify names, and an import of
 * the same disk or file brings it back. May be killed at any point and run
 * again. The library is opened by library_open_damaged. BUSY while a writer, gc
 * or another repair is at work. IO, NOMEM, CANCELLED. */
int ops_repair(struct library *l, const struct repair_args *a,
	struct repair_result *out, struct error *e);

#endif
