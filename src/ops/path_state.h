/* SPDX-License-Identifier: Apache-2.0 */
/* What a path is in an image, as one id that is the same where nothing at or
 * below it differs. */
#ifndef STRATA_OPS_PATH_STATE_H
#define STRATA_OPS_PATH_STATE_H

#include "library/library.h"

/* *out: zero where the path is not there. How many names a file has counts
 * only as far as they are below the path. DAMAGED, NOMEM, IO. */
int path_state(struct library *l, const struct oid *image, int disk,
	const char *volume, const char *path, struct oid *out,
	struct error *e);

#endif
