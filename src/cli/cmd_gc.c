/* SPDX-License-Identifier: Apache-2.0 */
/* gc and repack */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/gc.h"
#include "serve/private_dir.h"

#define GRACE_DEFAULT 86400

static const struct cli_option gc_options[] = {
	{ 'n', "dry-run", NULL, "only tell what would go", 0 },
	{ 0, "grace", "DURATION",
		"keep what was written since then (24h; 90m, 7d, 2w, now)", 0 },
	{ 0, "keep", "DURATION", "the same as --grace", 0 },
	{ 0, "threads", "N", "how many cores to use (default: all)", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct cli_option repack_options[] = {
	{ 0, "level", "N", "zstd level, 1 to 22 (default: 19)", 0 },
	{ 0, "frame", "SIZE", "compressed together (default: 3M)", 0 },
	{ 0, "grace", "DURATION",
		"keep what was written since then (24h; 90m, 7d, 2w, now)", 0 },
	{ 0, "threads", "N", "how many cores to use (default: all)", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

/* "now", or a number and s, m, h, d, w (nothing: seconds). */
static int duration(struct cli *c, const char *text, int64_t *out)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 604800 }, { 0, 1 } };
	char *end;
	unsigned long long v;

	*out = GRACE_DEFAULT;
	if (!text)
		return 0;
	*out = 0;
	if (!strcmp(text, "now"))
		return 0;
	v = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	if (*text < '0' || *text > '9' || v > 1000000)
		return cli_usage(c, "'%s' is not a duration", text);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (*end == units[i].letter && (!*end || !end[1])) {
			*out = (int64_t)v * units[i].seconds;
			return 0;
		}
	return cli_usage(c, "'%s' is not a duration", text);
}

static void print_json(const char *name, const struct gc_args *a,
	const struct gc_result *g)
{
	struct json j;

	json_start(&j, stdout, name);
	json_bool(&j, "dry_run", a->dry_run);
	json_bool(&j, "deferred", g->deferred);
	json_u64(&j, "waiting_for", g->waiting);
	json_u64(&j, "removed_objects", g->removed_objects);
	json_u64(&j, "removed_bytes", g->removed_bytes);
	json_u64(&j, "kept_objects", g->kept_objects);
	json_u64(&j, "packs_before", g->packs_before);
	json_u64(&j, "packs", g->packs_after);
	json_u64(&j, "stored_bytes_before", g->stored_before);
	json_u64(&j, "stored_bytes", g->stored_after);
	json_u64(&j, "freed_bytes",
		g->stored_before > g->stored_after
			? g->stored_before - g->stored_after
			: 0);
	json_u64(&j, "tmp_files", g->tmp_files);
	json_u64(&j, "orphan_packs", g->orphans);
	json_end(&j);
}

static void print_text(const struct gc_args *a, const struct gc_result *g)
{
	char x[32], y[32];

	if (g->deferred)
		printf("%" PRIu64 " running imports may use what is not "
		       "needed; it goes when they have ended\n",
			g->waiting);
	printf("%s %" PRIu64 " objects of %s\n",
		a->dry_run ? "would remove" : "removed", g->removed_objects,
		cli_size(g->removed_bytes, x));
	if (!a->dry_run)
		printf("%" PRIu64 " packs of %s before, %" PRIu64
		       " of %s now\n",
			g->packs_before, cli_size(g->stored_before, x),
			g->packs_after, cli_size(g->stored_after, y));
	if (g->tmp_files || g->orphans)
		printf("%s %" PRIu64 " files of killed processes\n",
			a->dry_run ? "would remove" : "removed",
			g->tmp_files + g->orphans);
}

static int run(struct cli *c)
{
	struct gc_args a = { .repack = !strcmp(c->cmd->name, "repack"),
		.progress = &c->progress };
	struct gc_result res;
	const char *grace = cli_opt(c, "grace");
	uint64_t threads, level = 0, frame = 0;
	int r = cli_want_args(c, 0, 0);

	if (!r && !grace && !a.repack)
		grace = cli_opt(c, "keep");
	if (!r)
		r = duration(c, grace, &a.grace);
	if (!r)
		r = cli_opt_number(c, "threads", false, 0, &threads);
	if (!r && a.repack)
		r = cli_opt_number(c, "level", false, 0, &level);
	if (!r && a.repack)
		r = cli_opt_number(c, "frame", true, 0, &frame);
	if (r)
		return r;
	if (level > 22)
		return cli_usage(c, "--level: 1 to 22");
	if (frame && (frame < 4096 || frame > 16 << 20))
		return cli_usage(c, "--frame: 4K to 16M");
	a.dry_run = !a.repack && cli_flag(c, "dry-run");
	a.threads = (unsigned)(threads > 16 ? 16 : threads);
	a.level = (int)level;
	a.frame_size = (size_t)frame;
	r = cli_library(c);
	if (r)
		return r;
	cli_progress_start(c);
	r = ops_gc(c->lib, &a, &res, &c->err);
	cli_progress_end(c);
	if (r)
		return r;
	if (!a.dry_run)
		private_dir_sweep();
	if (c->json)
		print_json(c->cmd->name, &a, &res);
	else if (!c->quiet)
		print_text(&a, &res);
	return 0;
}

const struct command cmd_gc = {
	.name = "gc",
	.synopsis = "[--dry-run] [--grace DURATION]",
	.summary = "remove what no branch, tag or instance needs",
	.options = gc_options,
	.run = run,
};

const struct command cmd_repack = {
	.name = "repack",
	.synopsis = "[--level N] [--frame SIZE]",
	.summary = "compress everything anew, as small as it gets",
	.options = repack_options,
	.run = run,
};
