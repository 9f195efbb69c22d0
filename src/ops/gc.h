/* SPDX-License-Identifier: Apache-2.0 */
/* gc: removes what no ref reaches. repack: the same, and everything written
 * anew. */
#ifndef STRATA_OPS_GC_H
#define STRATA_OPS_GC_H

#include "library/library.h"
#include "ops/progress.h"

struct gc_args {
	bool dry_run;
	int64_t grace; /* seconds: what was written since then stays */
	bool repack;
	int level;	   /* of repack, 0: default */
	size_t frame_size; /* of repack, 0: default */
	unsigned threads;  /* 0: one a processor */
	const struct progress *progress;
};

struct gc_result {
	bool deferred; /* what is not needed waits for writers to end ... */
	uint64_t waiting; /* ... this many */
	uint64_t removed_objects, removed_bytes; /* decoded */
	uint64_t kept_objects;
	uint64_t packs_before, packs_after;
	uint64_t stored_before, stored_after;
	uint64_t tmp_files, tmp_bytes; /* of killed processes */
	uint64_t orphans; /* packs without an index, removed */
};

/* BUSY while another gc or repack runs; DAMAGED, and nothing removed, where
 * something that a ref reaches is missing. May be killed at any point. */
int ops_gc(struct library *l, const struct gc_args *a, struct gc_result *out,
	struct error *e);

#endif
