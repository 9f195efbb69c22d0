/* SPDX-License-Identifier: Apache-2.0 */
/* Checking what is stored. */
#ifndef STRATA_OPS_VERIFY_H
#define STRATA_OPS_VERIFY_H

#include "library/library.h"
#include "ops/progress.h"

/* Rebuilds every disk of an image from the store and compares its digest.
 * DAMAGED where one differs. */
int verify_disks(struct library *l, const struct image *im,
	const struct progress *progress, struct error *e);

#endif
