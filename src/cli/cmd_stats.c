/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/stats.h"

static void print_json(const struct library_stats *s)
{
	struct json j;

	json_start(&j, stdout, "stats");
	json_u64(&j, "logical_bytes", s->logical_bytes);
	json_u64(&j, "data_bytes", s->data_bytes);
	json_u64(&j, "unique_bytes", s->unique_bytes);
	json_u64(&j, "stored_bytes", s->stored_bytes);
	json_u64(&j, "images", s->images);
	json_u64(&j, "commits", s->commits);
	json_u64(&j, "blobs", s->blobs);
	json_u64(&j, "chunks", s->chunks);
	json_u64(&j, "trees", s->trees);
	json_u64(&j, "packs", s->packs);
	json_u64(&j, "indexes", s->indexes);
	json_u64(&j, "branches", s->branches);
	json_u64(&j, "tags", s->tags);
	json_u64(&j, "instances", s->instances);
	json_end(&j);
}

static int run(struct cli *c)
{
	struct library_stats s;
	char a[32];
	int r = cli_want_args(c, 0, 0);

	if (!r)
		r = cli_library(c);
	if (!r)
		r = ops_stats(c->lib, &s, &c->err);
	if (r)
		return r;
	if (c->json) {
		print_json(&s);
		return 0;
	}
	printf("%" PRIu64 " commits of %" PRIu64 " images on %" PRIu64
	       " branches, %" PRIu64 " tags\n",
		s.commits, s.images, s.branches, s.tags);
	printf("disks    %10s  sizes of the disks of all commits\n",
		cli_size(s.logical_bytes, a));
	printf("data     %10s  of that is not zeros\n",
		cli_size(s.data_bytes, a));
	printf("unique   %10s  of distinct content\n",
		cli_size(s.unique_bytes, a));
	printf("stored   %10s  in %" PRIu64 " packs\n",
		cli_size(s.stored_bytes, a), s.packs);
	printf("%" PRIu64 " blobs, %" PRIu64 " chunks, %" PRIu64 " trees\n",
		s.blobs, s.chunks, s.trees);
	return 0;
}

const struct command cmd_stats = {
	.name = "stats",
	.synopsis = "",
	.summary = "how much is stored, and how much it stands for",
	.run = run,
};
