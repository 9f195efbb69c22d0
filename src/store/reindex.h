/* SPDX-License-Identifier: Apache-2.0 */
/* Index files are derived: this builds them again from the packs. */
#ifndef STRATA_STORE_REINDEX_H
#define STRATA_STORE_REINDEX_H

#include "store/store.h"

struct reindex_result {
	uint64_t indexes; /* files that were there, and are replaced */
	uint64_t packs, objects;
	uint64_t lost_bytes; /* of packs, that are no whole frame */
};

/* Called by one thread at a time; non-zero stops. */
typedef int (*reindex_progress_fn)(void *ctx, uint64_t done, uint64_t total,
	struct error *e);

/* Reads every pack and replaces all index files by one a pack, which lists what
 * can be read of it: every object in them was decoded and hashed. The store
 * was opened by store_open_damaged; the caller holds locks/gc and locks/index,
 * and no writer is at work.
 *
 * Until store_reindex_end the library is closed to everybody else: a pack that
 * a killed import left may hold lists of chunks whose chunks never came, and
 * the caller has yet to take those out. A file in index/ that is no index sees
 * to that, also where this process dies; another repair then begins anew. What
 * fails before the old files are removed changes nothing. IO, NOMEM, what
 * progress returns. */
int store_reindex(struct store *s, unsigned threads,
	reindex_progress_fn progress, void *ctx, struct reindex_result *out,
	struct error *e);
int store_reindex_end(struct store *s, struct error *e);

#endif
