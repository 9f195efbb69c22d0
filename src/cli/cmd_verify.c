/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/check.h"
#include "ops/repair.h"

static const struct cli_option options[] = {
	{ 0, "all", NULL, "the whole library (the default)", 0 },
	{ 0, "read-data", NULL, "read and hash every byte, rebuild every disk",
		0 },
	{ 0, "repair", NULL,
		"build index files again, forget what cannot be read", 0 },
	{ 0, "threads", "N", "how many cores to use (default: all)", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static void json_item(struct json *j, const struct damage_item *x)
{
	json_object(j, NULL);
	json_str(j, "what", x->what);
	json_str(j, "where", x->where);
	json_array(j, "commits");
	for (size_t i = 0; i < x->commits.len; i++)
		json_oid(j, NULL, &x->commits.items[i]);
	json_array_end(j);
	json_array(j, "refs");
	for (size_t i = 0; i < x->refs.len; i++)
		json_str(j, NULL, x->refs.items[i]);
	json_array_end(j);
	json_array(j, "paths");
	for (size_t i = 0; i < x->paths.len; i++)
		json_bytes(j, NULL, x->paths.items[i],
			strlen(x->paths.items[i]));
	json_array_end(j);
	json_u64(j, "commits_total", x->ncommits);
	json_u64(j, "paths_total", x->npaths);
	json_object_end(j);
}

static void json_repair(struct json *j, const struct repair_result *x)
{
	json_object(j, "repair");
	json_u64(j, "indexes", x->index.indexes);
	json_u64(j, "packs", x->index.packs);
	json_u64(j, "objects", x->index.objects);
	json_u64(j, "lost_bytes", x->index.lost_bytes);
	json_u64(j, "forgotten", x->forgotten);
	json_u64(j, "packs_rewritten", x->rewritten);
	json_object_end(j);
}

static void print_repair(const struct repair_result *x)
{
	printf("index built again: %" PRIu64 " objects in %" PRIu64 " packs\n",
		x->index.objects, x->index.packs);
	if (x->rewritten)
		printf("%" PRIu64 " damaged packs written anew; %" PRIu64
		       " bytes of them could not be read\n",
			x->rewritten, x->index.lost_bytes);
	if (x->forgotten)
		printf("%" PRIu64 " lists of chunks forgotten that lack one\n",
			x->forgotten);
}

static void print_json(const struct check_result *r,
	const struct repair_result *repair, bool read_data)
{
	struct json j;

	json_start(&j, stdout, "verify");
	json_bool(&j, "ok", !r->damage.nitems);
	json_bool(&j, "read_data", read_data);
	json_u64(&j, "refs", r->refs);
	json_u64(&j, "commits", r->commits);
	json_u64(&j, "images", r->images);
	json_u64(&j, "objects", r->objects);
	json_u64(&j, "unreachable", r->unreachable);
	json_u64(&j, "packs", r->packs);
	json_u64(&j, "orphan_packs", r->orphans);
	json_u64(&j, "frames", r->frames);
	json_u64(&j, "bytes", r->bytes);
	json_u64(&j, "disks", r->disks);
	if (repair)
		json_repair(&j, repair);
	json_array(&j, "damaged");
	for (size_t i = 0; i < r->damage.items.len; i++)
		json_item(&j, &r->damage.items.items[i]);
	json_array_end(&j);
	json_u64(&j, "damaged_total", r->damage.nitems);
	json_end(&j);
}

static void print_item(const struct damage_item *x)
{
	char hex[OID_HEX + 1];

	printf("damaged: %s: %s\n", x->where, x->what);
	for (size_t i = 0; i < x->refs.len; i++)
		printf("  in the history of %s\n", x->refs.items[i]);
	for (size_t i = 0; i < x->commits.len && i < 20; i++)
		printf("  commit %.12s\n", oid_hex(&x->commits.items[i], hex));
	if (x->ncommits > 20)
		printf("  and %" PRIu64 " more commits\n", x->ncommits - 20);
	for (size_t i = 0; i < x->paths.len && i < 50; i++) {
		printf("  ");
		cli_put_name(stdout, x->paths.items[i],
			strlen(x->paths.items[i]));
		putchar('\n');
	}
	if (x->npaths > 50)
		printf("  and %" PRIu64 " more paths\n", x->npaths - 50);
}

static int run(struct cli *c)
{
	struct check_args a = { .read_data = cli_flag(c, "read-data"),
		.progress = &c->progress };
	AUTO_FREE char *path = cli_library_path(c);
	bool mend = cli_flag(c, "repair");
	struct repair_result mended;
	struct check_result res;
	struct oid commit;
	uint64_t threads;
	int r = cli_want_args(c, 0, 1);

	if (!r && c->nargs && cli_flag(c, "all"))
		return cli_usage(c, "either a revision or --all");
	if (!r && c->nargs && mend)
		return cli_usage(c, "--repair is for the whole library");
	if (!r)
		r = cli_opt_number(c, "threads", false, 0, &threads);
	if (r)
		return r;
	a.threads = (unsigned)(threads > 16 ? 16 : threads);
	if (!path)
		return cli_no_library_path(c);
	r = library_open_damaged(path, &c->lib, &c->err);
	if (!r && c->nargs) {
		r = library_resolve(c->lib, c->args[0], &commit, &c->err);
		a.commit = &commit;
	}
	if (r)
		return r;
	cli_progress_start(c);
	if (mend) {
		r = ops_repair(c->lib,
			&(struct repair_args){ .threads = a.threads,
				.progress = &c->progress },
			&mended, &c->err);
		if (r) {
			cli_progress_end(c);
			return r;
		}
		a.read_data = true;
	}
	r = ops_check(c->lib, &a, &res, &c->err);
	cli_progress_end(c);
	if (r)
		return r;
	if (c->json) {
		print_json(&res, mend ? &mended : NULL, a.read_data);
	} else {
		if (mend && !c->quiet)
			print_repair(&mended);
		for (size_t i = 0; i < res.damage.items.len; i++)
			print_item(&res.damage.items.items[i]);
		if (!c->quiet)
			printf("%" PRIu64 " commits, %" PRIu64 " objects in %"
			       PRIu64 " packs: %s\n",
				res.commits, res.objects, res.packs,
				res.damage.nitems ? "DAMAGED"
				: a.read_data	  ? "every byte is as it was "
						    "stored"
						  : "everything is there");
		if (!c->quiet && res.damage.nitems)
			printf(mend ? "What is missing comes back with an "
				      "import of the same disk or file.\n"
				    : "'strata verify --repair' keeps what can "
				      "be read.\n");
	}
	r = res.damage.nitems ? EXIT_DAMAGED : 0;
	check_result_release(&res);
	return r;
}

const struct command cmd_verify = {
	.name = "verify",
	.synopsis = "[REV | --all] [--read-data] [--repair]",
	.summary = "check that everything is there and undamaged",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
