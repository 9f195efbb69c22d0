/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the public interface share. */
#ifndef STRATA_API_API_H
#define STRATA_API_API_H

#include <stdatomic.h>
#include "strata/strata.h"
#include "library/library.h"
#include "ops/progress.h"

struct strata {
	struct library *l;
};

/* The internal error becomes the caller's; returns r. */
int api_error(int r, const struct error *from, struct strata_error *to);

/* A progress function of the caller's as the inner one; what it says stops. */
struct api_progress {
	strata_progress_fn fn;
	void *ctx;
	atomic_bool stop;
	struct progress inner;
};
const struct progress *api_progress_init(struct api_progress *p,
	strata_progress_fn fn, void *ctx);

/* The part of a struct of options that the caller knows, over zeros. ARG where
 * its size is not one. */
int api_options(void *out, size_t out_size, const void *from,
	struct error *e);

#endif
