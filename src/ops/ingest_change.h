/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a disk that differs from a stored one in known places, at a cost
 * that follows the change. */
#ifndef STRATA_OPS_INGEST_CHANGE_H
#define STRATA_OPS_INGEST_CHANGE_H

#include "library/library.h"
#include "ops/ingest.h"
#include "os/source.h"

/* A disk over a base that the library has. */
struct changed_disk {
	const struct image_disk *base;
	struct source *base_view;	    /* of the base's size, resized to the
					     * disk's where they differ */
	const struct source_range *changed; /* may differ from the base: in
					     * order, not overlapping */
	size_t nchanged;
};

/* Proves which files are the base's: those of which every extent is laid out
 * in the base as the same blob of the same size, in places that did not
 * change. They get that blob's id without being read. Files with holes are
 * never proven (a hole may have been punched). */
int change_prove_files(struct library *l, const struct changed_disk *d,
	size_t ndisks, struct cut *cut, struct error *e);

/* Lays out a disk: leaves of the base that nothing touched are taken over by
 * their ids, others are made from the base's extents, the claims of files (all
 * are hashed by now) and what changed. a->changes and a->gains are set. */
int ingest_change(const struct ingest_args *a, struct library *l,
	size_t disk, struct ingest_disk *out, struct error *e);

#endif
