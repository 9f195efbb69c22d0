/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the diff command: what its ways of telling share. */
#ifndef STRATA_CLI_DIFF_PRIVATE_H
#define STRATA_CLI_DIFF_PRIVATE_H

#include "base/vec.h"
#include "change/diff.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/side.h"

enum diff_mode { NAME_STATUS, NAME_ONLY, PATCH, STAT, PACKAGES, BLOCKS };

/* A line of --stat. */
struct diff_stat {
	size_t path; /* in stat_paths */
	bool binary;
	uint64_t deleted, inserted; /* lines; binary: bytes before, after */
};

struct diff {
	struct cli *c;
	enum diff_mode mode;
	struct json json;
	struct side side[2];
	const char *own[2]; /* "etc/motd" where the side is a file, else "." */
	VEC(struct diff_mount) mounts[2];
	VEC(struct diff_stat) stats;
	struct buf stat_paths;
};

/* The name that is shown of a path of the side i; "" is the side itself. */
static inline const char *diff_name(const struct diff *d, int i,
	const char *path)
{
	return *path ? path : d->own[i];
}

/* The change as git's patch format has it. */
int diff_put_patch(struct diff *d, const struct diff_change *ch);
/* Counts it; diff_put_stats prints them all. */
int diff_count(struct diff *d, const struct diff_change *ch);
void diff_put_stats(struct diff *d);
/* --packages, --blocks: print everything; *out_n: how many differences. */
int diff_packages(struct diff *d, uint64_t *out_n);
int diff_blocks(struct diff *d, uint64_t *out_n);

#endif
