/* SPDX-License-Identifier: Apache-2.0 */
/* Walking commits from their tips to their roots. */
#ifndef STRATA_OPS_HISTORY_H
#define STRATA_OPS_HISTORY_H

#include "library/library.h"
#include "ops/progress.h"

/* A path of a volume (NULL: of the merged view) and disk (-1: any). */
struct history_path {
	const char *path, *volume;
	int disk;
};

struct history_args {
	const struct oid *from; /* where to begin */
	size_t nfrom;
	const struct oid *without; /* these, and all before them, are not shown */
	size_t nwithout;
	/* Only commits that changed one of these: as git, a merge that has them
	 * all as one of its parents has them is left out, and only that parent
	 * followed. None: all commits. */
	const struct history_path *paths;
	size_t npaths;
	/* Keep lines of descent together, as a graph wants it; else the newest
	 * first wherever it is. Both: no commit before one that descends from
	 * it. */
	bool graph;
	uint64_t max; /* at most so many */
	const struct progress *progress;
};

struct history_item {
	const struct oid *id;
	const struct commit *commit;
	/* With graph: the nearest shown before it; else its own parents. */
	const struct oid *parents;
	size_t nparents;
};
typedef int (*history_fn)(void *ctx, const struct history_item *x);

/* Calls fn for each, in order; what it returns other than 0 stops and is
 * handed back. DAMAGED, NOMEM, IO, CANCELLED. As long as history is one line
 * it is read only as far as is shown; from the first merge or fork on, all of
 * it (about 150 bytes a commit). */
int ops_history(struct library *l, const struct history_args *a,
	history_fn fn, void *ctx, struct error *e);

#endif
