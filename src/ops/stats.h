/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STRATA_OPS_STATS_H
#define STRATA_OPS_STATS_H

#include "library/library.h"

struct library_stats {
	uint64_t logical_bytes; /* sizes of the disks of all commits */
	uint64_t data_bytes;	/* of those: what is not zeros */
	uint64_t unique_bytes;	/* distinct content, before compression */
	uint64_t stored_bytes;	/* packs and indexes */
	uint64_t commits, images, trees, blobs, chunks;
	uint64_t packs, indexes;
	uint64_t branches, tags, instances;
};

/* Counts what the refs reach (commits, logical, data) and what is stored. Cost:
 * one record a commit, the layouts of each image once. */
int ops_stats(struct library *l, struct library_stats *out, struct error *e);

#endif
