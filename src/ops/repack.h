/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which repack writes. */
#ifndef STRATA_OPS_REPACK_H
#define STRATA_OPS_REPACK_H

#include "library/library.h"
#include "ops/progress.h"
#include "store/census.h"
#include "store/gc.h"

#define REPACK_LEVEL 19
/* Of decoded frames, beside two or more encoders of 45 MiB each at level 19. */
#define REPACK_CACHE (24u * 1024 * 1024)
/* 1 % less room than 2 MiB, 0.4 % more than 4 MiB. */
#define REPACK_FRAME (3u * 1024 * 1024)
/* Records, and what boots read: asked for one here, one there. Boot sets take
 * 1 % more room in frames of this size than in large ones. */
#define REPACK_SMALL_FRAME (256u * 1024)
/* Objects that stand together on a disk: sorted by kind and name within so
 * many bytes, which a reader's cache of frames holds. */
#define REPACK_WINDOW (16u * 1024 * 1024)

struct repack_order {
	uint64_t *positions; /* in the census, of all that is not dropped */
	size_t n;
	struct gc_run runs[2]; /* small frames, large frames */
};

/* frame_size: of the large ones. drop: bits, or NULL. IO, DAMAGED, NOMEM,
 * CANCELLED. Memory: 60 bytes an object. */
int repack_order_make(struct library *l, struct census *c,
	const uint64_t *drop, size_t frame_size,
	const struct progress *progress, struct repack_order *out,
	struct error *e);
void repack_order_release(struct repack_order *o);

#endif
