/* SPDX-License-Identifier: Apache-2.0 */
/* edit: an overlay, a command on it, a commit if that went well. */
#ifndef STRATA_SERVE_EDIT_H
#define STRATA_SERVE_EDIT_H

#include "ops/commit.h"
#include "serve/command.h"
#include "serve/scratch.h"

struct edit_args {
	const struct oid *commit;
	int disk;
	const char *branch;  /* where the commit goes */
	const char *message;
	const char *const *annotations;
	bool local, keep;
	char *const *argv; /* "{}" is the overlay's path */
	int argc;
	bool stdout_to_stderr;
	const struct finding_sink *findings;
	const struct progress *progress;
};

struct edit_result {
	int status;	/* of the command */
	bool committed; /* else it failed, or changed nothing */
	struct commit_overlay_result commit;
	char *folder; /* with keep */
};
void edit_result_release(struct edit_result *r);

/* 0 where the command ran, whatever its status. CONFLICT (the branch is not at
 * commit), BUSY (the command left a program behind that writes), and what the
 * parts give. Nothing is left over but with keep. */
int edit_commit(struct library *l, const struct edit_args *a,
	struct edit_result *out, struct error *e);

#endif
