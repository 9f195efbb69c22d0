/* SPDX-License-Identifier: Apache-2.0 */
/* bisect: which version broke something? */
#ifndef STRATA_SERVE_BISECT_H
#define STRATA_SERVE_BISECT_H

#include "base/vec.h"
#include "serve/command.h"
#include "serve/scratch.h"

enum bisect_mode {
	BISECT_INSTANCE, /* {} is an overlay (qcow2) */
	BISECT_MOUNT,	 /* a folder with its files */
	BISECT_FILE,	 /* a raw file */
};

enum bisect_verdict { BISECT_GOOD, BISECT_BAD, BISECT_SKIP };

struct bisect_args {
	struct oid good, bad;
	enum bisect_mode mode;
	int disk;
	char *const *argv;
	int argc;
	bool stdout_to_stderr;
	/* Told of each step: the commit, its verdict, how many are left. */
	void (*step)(void *ctx, const struct oid *id,
		enum bisect_verdict v, int status, size_t left);
	void *ctx;
	const struct progress *progress;
};

struct bisect_result {
	/* One: the first bad commit. Several, oldest first: it is one of them,
	 * those that could be told apart were skipped. */
	VEC(struct oid) candidates;
	struct oid good; /* the last good one before them */
	size_t steps, length; /* of the history between the two */
};
void bisect_result_release(struct bisect_result *r);

/* Searches the history from bad back to good (the line of first parents where
 * good lies on it, else a shortest path). Exit codes as in 'git bisect run':
 * 0 good, 125 skip, else bad; 128 and more end the search with IO. ARG where
 * good is no ancestor of bad. */
int bisect_run(struct library *l, const struct bisect_args *a,
	struct bisect_result *out, struct error *e);

#endif
