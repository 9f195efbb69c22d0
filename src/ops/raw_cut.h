/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting bytes of the skeleton into zeros and raw chunks. */
#ifndef STRATA_OPS_RAW_CUT_H
#define STRATA_OPS_RAW_CUT_H

#include "store/store.h"

/* Gaps between files are read in pieces that end at multiples of this. */
#define GAP_MAX (4u * 1024 * 1024)
/* Blocks of zeros, at multiples of this on the disk, are not stored. */
#define RAW_BLOCK 4096u

typedef int (*raw_cut_fn)(void *ctx, bool zero, uint64_t len,
	const struct oid *id, struct error *e);

/* data stands at disk offset off. Chunks are stored; fn gets the pieces in
 * order (id is NULL for zeros). What fn returns, if not 0, ends it. */
int raw_cut(struct packer *p, const uint8_t *data, size_t len, uint64_t off,
	raw_cut_fn fn, void *ctx, struct error *e);

#endif
