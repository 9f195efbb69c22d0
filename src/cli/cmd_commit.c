/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <time.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/commit_file.h"

static const struct cli_option options[] = {
	{ 0, "base", "REV", "the version that the overlay stands on",
		COMPLETE_REV },
	{ 'b', "branch", "BRANCH", "the branch to move (default: the base's)",
		COMPLETE_BRANCH },
	{ 'm', "message", "MSG", "the commit's message", 0 },
	{ 0, "disk", "N", "which disk of the base", 0 },
	{ 0, "annotate", "K=V", "an annotation (repeatable)", 0 },
	{ 'U', "force-share", NULL, "even while a program writes to it", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(struct cli *c, const struct commit_file_result *res,
	const struct cli_findings *found, double seconds)
{
	const struct import_result *im = &res->commit.import;
	char hex[OID_HEX + 1], a[32], b[32], digest[DIGEST_TEXT];
	struct json j;

	if (!c->json) {
		if (!c->quiet)
			printf("[%s %.12s] %s %s, %" PRIu64
			       " new blobs stored as %s, in %.2f s\n",
				res->branch, oid_hex(&im->commit, hex),
				cli_size(res->commit.changed_bytes, a),
				res->whole ? "read" : "changed", im->new_blobs,
				cli_size(im->stored_bytes, b), seconds);
		return;
	}
	json_start(&j, stdout, "commit");
	json_oid(&j, "commit", &im->commit);
	json_str(&j, "branch", res->branch);
	json_oid(&j, "image", &im->image_id);
	json_oid(&j, "base", &res->base);
	json_oid(&j, "parent", &res->parent);
	json_array(&j, "disks");
	for (size_t i = 0; i < im->image.disks.len; i++) {
		const struct image_disk *d = &im->image.disks.items[i];

		json_object(&j, NULL);
		json_u64(&j, "size", d->size);
		json_u64(&j, "data", im->data_bytes[i]);
		json_str(&j, "digest", digest_text(d->digest, digest));
		json_array(&j, "volumes");
		json_volumes(&j, &im->image, (uint32_t)i);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_u64(&j, "changed_bytes", res->commit.changed_bytes);
	json_u64(&j, "reused_files", res->commit.reused_files);
	json_bool(&j, "whole", res->whole);
	json_u64(&j, "new_blobs", im->new_blobs);
	json_u64(&j, "new_bytes", im->new_bytes);
	json_u64(&j, "stored_bytes", im->stored_bytes);
	json_findings(&j, found);
	json_real(&j, "seconds", seconds);
	json_end(&j);
}

static int run(struct cli *c)
{
	AUTO_REVISION base = { 0 };
	struct cli_findings found;
	struct commit_file_result res = { 0 };
	AUTO_FREE const char **annotate = NULL;
	struct commit_file_args a = { .branch = cli_opt(c, "branch"),
		.message = cli_opt(c, "message"),
		.force_share = cli_flag(c, "force-share"),
		.progress = &c->progress };
	uint64_t disk;
	double start = now();
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r && disk != UINT64_MAX && !cli_opt(c, "base"))
		r = cli_usage(c, "--disk goes with --base");
	if (!r)
		r = cli_library(c);
	if (!r && cli_opt(c, "base")) {
		r = library_revision(c->lib, cli_opt(c, "base"), &base,
			&c->err);
		if (!r && base.path)
			return cli_usage(c, "--base: a version, not a file");
		if (disk != UINT64_MAX)
			base.disk = disk > 4096 ? 4096 : (int)disk;
		a.base = &base;
	}
	if (!r)
		r = cli_opt_all(c, "annotate", &annotate);
	if (r)
		return r;
	a.annotations = annotate;
	a.name = c->args[0];
	cli_findings_init(&found);
	a.findings = &found.sink;
	cli_progress_start(c);
	r = ops_commit_file(c->lib, &a, &res, &c->err);
	cli_progress_end(c);
	if (!r)
		print(c, &res, &found, now() - start);
	if (!c->json)
		cli_findings_print(c, &found);
	commit_file_result_release(&res);
	cli_findings_release(&found);
	return r;
}

const struct command cmd_commit = {
	.name = "commit",
	.synopsis = "IMAGE|NAME [--base REV] [-b BRANCH] [-m MSG]",
	.summary = "store what an instance changed as a new version",
	.options = options,
	.operands = COMPLETE_FILE,
	.run = run,
};
