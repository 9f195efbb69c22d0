/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <time.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/commit.h"

static const struct cli_option options[] = {
	{ 0, "base", "REV", "the version that the overlay stands on",
		COMPLETE_REV },
	{ 'b', "branch", "BRANCH", "the branch to move (default: the base's)",
		COMPLETE_BRANCH },
	{ 'm', "message", "MSG", "the commit's message", 0 },
	{ 0, "disk", "N", "which disk of the base", 0 },
	{ 0, "annotate", "K=V", "an annotation (repeatable)", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(struct cli *c, const char *branch,
	const struct commit_overlay_result *res, const struct oid *base,
	const struct cli_findings *found, double seconds)
{
	char hex[OID_HEX + 1], a[32], b[32], digest[DIGEST_TEXT];
	struct json j;

	if (!c->json) {
		if (!c->quiet)
			printf("[%s %.12s] %s changed, %" PRIu64
			       " new blobs stored as %s, in %.2f s\n",
				branch, oid_hex(&res->import.commit, hex),
				cli_size(res->changed_bytes, a),
				res->import.new_blobs,
				cli_size(res->import.stored_bytes, b), seconds);
		return;
	}
	json_start(&j, stdout, "commit");
	json_oid(&j, "commit", &res->import.commit);
	json_str(&j, "branch", branch);
	json_oid(&j, "image", &res->import.image_id);
	json_oid(&j, "base", base);
	json_array(&j, "disks");
	for (size_t i = 0; i < res->import.image.disks.len; i++) {
		const struct image_disk *d = &res->import.image.disks.items[i];

		json_object(&j, NULL);
		json_u64(&j, "size", d->size);
		json_u64(&j, "data", res->import.data_bytes[i]);
		json_str(&j, "digest", digest_text(d->digest, digest));
		json_array(&j, "volumes");
		json_volumes(&j, &res->import.image, (uint32_t)i);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_u64(&j, "changed_bytes", res->changed_bytes);
	json_u64(&j, "new_blobs", res->import.new_blobs);
	json_u64(&j, "new_bytes", res->import.new_bytes);
	json_u64(&j, "stored_bytes", res->import.stored_bytes);
	json_findings(&j, found);
	json_real(&j, "seconds", seconds);
	json_end(&j);
}

static int run(struct cli *c)
{
	AUTO_REVISION base = { 0 };
	AUTO_SOURCE overlay = NULL;
	struct cli_findings found;
	struct commit_overlay_result res = { 0 };
	AUTO_FREE const char **annotate = NULL;
	struct commit_overlay_args a = { .branch = cli_opt(c, "branch"),
		.message = cli_opt(c, "message"),
		.progress = &c->progress };
	uint64_t disk;
	double start = now();
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r && !cli_opt(c, "base"))
		r = cli_usage(c, "--base says which version the overlay "
				 "stands on");
	if (!r)
		r = cli_library(c);
	if (!r)
		r = library_revision(c->lib, cli_opt(c, "base"), &base,
			&c->err);
	if (r)
		return r;
	annotate = calloc(c->nvalues + 1, sizeof(char *));
	if (!annotate)
		return error_nomem(&c->err);
	for (size_t i = 0; (annotate[i] = cli_opt_at(c, "annotate", i)); i++)
		;
	a.annotations = annotate;
	a.base = &base.commit;
	a.disk = disk == UINT64_MAX ? base.disk : disk > 4096 ? 4096 : (int)disk;
	if (!a.branch)
		a.branch = base.branch;
	if (!a.branch)
		return cli_usage(c, "the base is no branch: -b says which one "
				    "to move");
	if (!a.message)
		a.message = "Commit of an overlay";
	cli_findings_init(&found);
	a.findings = &found.sink;
	cli_progress_start(c);
	c->subject = c->args[0];
	r = source_file_open(c->args[0], &overlay, &c->err);
	a.overlay = overlay;
	if (!r)
		r = ops_commit_overlay(c->lib, &a, &res, &c->err);
	cli_progress_end(c);
	if (!r)
		print(c, a.branch, &res, &base.commit, &found, now() - start);
	if (!c->json)
		cli_findings_print(c, &found);
	commit_overlay_result_release(&res);
	cli_findings_release(&found);
	return r;
}

const struct command cmd_commit = {
	.name = "commit",
	.synopsis = "OVERLAY --base REV [-b BRANCH] [-m MSG]",
	.summary = "store what an overlay changed as a new version",
	.options = options,
	.operands = COMPLETE_FILE,
	.run = run,
};
