/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving out free space: the one thing that an import can lose, on request. */
#ifndef STRATA_OPS_DISCARD_H
#define STRATA_OPS_DISCARD_H

#include "base/finding.h"
#include "os/source.h"

/* Gives each disk a source on which the free space of every file system whose
 * free map is read, and the contents of swap, read as zeros. What is not
 * certain (a dirty journal, a damaged bitmap) stays, with a finding.
 * out_disks holds n sources, to be unreferenced. *out_bytes: how many bytes of
 * data (not holes) are zeros now. NOMEM, IO. */
int discard_free_space(struct source *const *disks, size_t n,
	const struct finding_sink *findings, struct source **out_disks,
	uint64_t *out_bytes, struct error *e);

#endif
