/* SPDX-License-Identifier: Apache-2.0 */
/* Committing an overlay: what an instance changed becomes a version, at a cost
 * that follows the change. */
#ifndef STRATA_OPS_COMMIT_H
#define STRATA_OPS_COMMIT_H

#include "ops/import.h"

struct commit_overlay_args {
	/* A qcow2 file whose backing is disk number disk of base. Its backing
	 * file is not opened. Borrowed. */
	struct source *overlay;
	const struct oid *base; /* commit */
	int disk;		/* -1: the only one */
	const struct oid *parent; /* NULL: base */
	/* The branch that moves. Where it exists, its tip must be parent. Where
	 * not, it is made, from parent. */
	const char *branch;
	const char *message;
	const char *const *annotations;
	unsigned threads;
	const struct finding_sink *findings;
	const struct progress *progress;
};

struct commit_overlay_result {
	struct import_result import; /* data_bytes: what changed, per disk */
	uint64_t changed_bytes;	     /* that the overlay holds */
	uint64_t reused_files;	     /* that kept their blob unread */
};
void commit_overlay_result_release(struct commit_overlay_result *r);

/* The other disks of the base's image stay as they are; its attachments too.
 * The overlay is read about once and nothing but it; the base comes from the
 * library. CORRUPT, UNSUPPORTED (not a qcow2), CONFLICT (the branch is not at
 * base), NOTFOUND, DAMAGED, IO. */
int ops_commit_overlay(struct library *l, const struct commit_overlay_args *a,
	struct commit_overlay_result *out, struct error *e);

#endif
