/* SPDX-License-Identifier: Apache-2.0 */
/* Committing what a user names: an instance, an overlay, an exported disk. */
#ifndef STRATA_OPS_COMMIT_FILE_H
#define STRATA_OPS_COMMIT_FILE_H

#include "ops/basis.h"
#include "ops/commit.h"

struct commit_file_args {
	const char *name; /* an instance, else a path */
	const struct revision *base; /* NULL: as the library remembers it */
	const char *branch;	     /* NULL: the base's, else by the name */
	const char *message;	     /* NULL: "Commit NAME" */
	const char *const *annotations;
	bool force_share; /* even if a program writes to it */
	unsigned threads;
	const struct finding_sink *findings;
	const struct progress *progress;
};

struct commit_file_result {
	struct commit_overlay_result commit;
	struct oid base, parent;
	char *branch;
	bool whole; /* not an overlay: all of it was read */
};
void commit_file_result_release(struct commit_file_result *r);

/* UNSUPPORTED where the base is not known or not as it was, BUSY where a
 * program has it open for writing, CONFLICT where the branch has moved, and
 * what ops_commit_overlay and ops_import give. */
int ops_commit_file(struct library *l, const struct commit_file_args *a,
	struct commit_file_result *out, struct error *e);

#endif
