/* SPDX-License-Identifier: Apache-2.0 */
/* Which ranges of a disk changed. */
#ifndef STRATA_CHANGE_BLOCKS_H
#define STRATA_CHANGE_BLOCKS_H

#include "model/layout.h"
#include "os/source.h"

/* Ranges are multiples of this, but for the end of a disk. */
#define BLOCKS_UNIT 4096

struct blocks_side {
	struct source *disk; /* borrowed */
	/* NULL: the disk is not stored. Leaves with equal ids are not read. */
	record_get_fn get;
	void *ctx;
	struct oid layout;
};

/* A range that differs; what only one disk has differs. */
typedef int (*blocks_fn)(void *ctx, uint64_t off, uint64_t len);
/* Exact: where layouts differ, bytes are compared. In order. CORRUPT, NOMEM,
 * as the sources and fn say. */
int blocks_diff(const struct blocks_side side[2], blocks_fn fn, void *ctx,
	struct error *e);

#endif
