/* SPDX-License-Identifier: Apache-2.0 */
/* Another source with ranges that read as zeros: zeros stacked on it. */
#include "os/source.h"

int source_mask(struct source *base, const struct source_range *ranges,
	size_t n, struct source **out, struct error *e)
{
	AUTO_SOURCE zeros = NULL;
	int r = source_zero(base->size, &zeros, e);

	return r ? r : source_stack(zeros, base, ranges, n, out, e);
}
