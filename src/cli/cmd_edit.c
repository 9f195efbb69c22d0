/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "serve/edit.h"

static const struct cli_option options[] = {
	{ 'b', "branch", "BRANCH", "where the commit goes (default: REV's)",
		COMPLETE_BRANCH },
	{ 'm', "message", "MSG", "the commit's message", 0 },
	{ 'a', "all", "GLOB", "edit every branch that matches", 0 },
	{ 0, "annotate", "K=V", "an annotation (repeatable)", 0 },
	{ 0, "disk", "N", "which disk of an image with several", 0 },
	{ 0, "local", NULL, "over an exported raw file, without a server", 0 },
	{ 'k', "keep", NULL, "leave the overlay's folder", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

struct target {
	char *branch;
	struct oid commit;
};
typedef VEC(struct target) target_list;

struct editing {
	struct cli *c;
	struct edit_args a;
	struct cli_findings found;
	struct json j;
	target_list targets;
	const char *glob;
	unsigned failed;
	int last_status;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_json(struct editing *x, const struct target *t,
	const char *status, const struct edit_result *res, int r,
	double seconds)
{
	const struct import_result *im = &res->commit.import;

	json_object(&x->j, NULL);
	json_str(&x->j, "branch", t->branch);
	json_oid(&x->j, "base", &t->commit);
	json_str(&x->j, "status", status);
	if (r)
		json_null(&x->j, "exit");
	else
		json_i64(&x->j, "exit", res->status);
	if (res->committed)
		json_oid(&x->j, "commit", &im->commit);
	else
		json_null(&x->j, "commit");
	json_u64(&x->j, "changed_bytes", res->commit.changed_bytes);
	json_u64(&x->j, "reused_files", res->commit.reused_files);
	json_u64(&x->j, "new_blobs", im->new_blobs);
	json_u64(&x->j, "stored_bytes", im->stored_bytes);
	json_str(&x->j, "error", r ? x->c->err.msg : NULL);
	json_str(&x->j, "folder", res->folder);
	json_real(&x->j, "seconds", seconds);
	json_object_end(&x->j);
}

static void put_line(const struct editing *x, const struct target *t,
	const char *status, const struct edit_result *res, int r,
	double seconds)
{
	char hex[OID_HEX + 1] = "-", size[32];

	if (x->c->quiet)
		return;
	if (res->committed)
		oid_hex(&res->commit.import.commit, hex);
	printf("%-24s %-9s %-12.12s %10s %8.2f s", t->branch, status, hex,
		cli_size(res->commit.changed_bytes, size), seconds);
	if (r)
		printf("  %s", x->c->err.msg);
	else if (res->status)
		printf("  exit %d", res->status);
	putchar('\n');
	fflush(stdout);
}

static int edit_one(struct editing *x, const struct target *t)
{
	struct edit_result res = { 0 };
	double start = now();
	const char *status;
	int r;

	x->a.commit = &t->commit;
	x->a.branch = t->branch;
	memset(&x->c->err, 0, sizeof(x->c->err));
	fflush(NULL);
	r = edit_commit(x->c->lib, &x->a, &res, &x->c->err);
	status = r ? "error"
		 : res.status	 ? "failed"
		 : res.committed ? "committed"
				 : "unchanged";
	if (r || res.status)
		x->failed++;
	x->last_status = res.status;
	if (x->c->json)
		put_json(x, t, status, &res, r, now() - start);
	else if (x->glob || !r)
		put_line(x, t, status, &res, r, now() - start);
	if (res.folder && !x->c->json)
		cli_note(x->c, "kept: %s", res.folder);
	edit_result_release(&res);
	/* One that fails does not stop the others. */
	return r == ERR_CANCELLED || !x->glob ? r : 0;
}

static int collect(void *ctx, const char *name, const struct oid *id)
{
	struct editing *x = ctx;
	struct target t = { .commit = *id };

	if (fnmatch(x->glob, name, 0))
		return 0;
	t.branch = strdup(name);
	return t.branch && vec_push(&x->targets, t)
		       ? 0
		       : error_nomem(&x->c->err);
}

static int one_target(struct cli *c, struct editing *x)
{
	AUTO_REVISION rev = { 0 };
	const char *branch = cli_opt(c, "branch");
	struct target t;
	int r = library_revision(c->lib, c->args[0], &rev, &c->err);

	if (r)
		return r;
	if (rev.path)
		return cli_usage(c, "edit takes a whole image");
	if (rev.disk >= 0)
		x->a.disk = rev.disk;
	if (!branch)
		branch = rev.branch;
	if (!branch)
		return cli_usage(c, "'%s' is no branch: -b says where the "
				    "commit goes", c->args[0]);
	t.commit = rev.commit;
	t.branch = strdup(branch);
	return t.branch && vec_push(&x->targets, t) ? 0
						     : error_nomem(&c->err);
}

static int edit_all(struct cli *c, struct editing *x)
{
	int r = x->glob ? library_ref_list(c->lib, REFS_HEADS, collect, x,
				  &c->err)
			: one_target(c, x);

	if (!r && !x->targets.len)
		r = error_set(&c->err, ERR_NOTFOUND, "no branch matches '%s'",
			x->glob);
	if (r)
		return r;
	if (c->json) {
		json_start(&x->j, stdout, "edit");
		json_array(&x->j, "results");
	}
	for (size_t i = 0; i < x->targets.len && !r; i++)
		r = edit_one(x, &x->targets.items[i]);
	if (c->json) {
		json_array_end(&x->j);
		json_findings(&x->j, &x->found);
		json_end(&x->j);
	} else {
		cli_findings_print(c, &x->found);
	}
	if (r || !x->failed)
		return r;
	return x->glob ? EXIT_DIFFERENT : x->last_status;
}

static int run(struct cli *c)
{
	struct editing x = { .c = c, .glob = cli_opt(c, "all") };
	AUTO_FREE const char **annotate = NULL;
	uint64_t disk;
	int r = cli_want_args(c, x.glob ? 0 : 1, x.glob ? 0 : 1);

	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r && c->nafter < 1)
		return cli_usage(c, "a command is missing behind --");
	if (!r && x.glob && cli_opt(c, "branch"))
		return cli_usage(c, "--all or -b, not both");
	if (!r)
		r = cli_library(c);
	if (!r)
		r = cli_opt_all(c, "annotate", &annotate);
	if (r)
		return r;
	cli_findings_init(&x.found);
	x.a = (struct edit_args){ .disk = disk == UINT64_MAX ? -1
					  : disk > 4096	     ? 4096
							     : (int)disk,
		.message = cli_opt(c, "message"),
		.annotations = annotate,
		.local = cli_flag(c, "local"),
		.keep = cli_flag(c, "keep"),
		.argv = c->after,
		.argc = c->nafter,
		.stdout_to_stderr = c->json,
		.findings = &x.found.sink,
		.progress = &c->progress };
	AUTO_BUF message = BUF_INIT;
	buf_addstr(&message, "Edit:");
	for (int i = 0; i < c->nafter; i++)
		buf_printf(&message, " %s", c->after[i]);
	if (!x.a.message)
		x.a.message = buf_str(&message);
	r = edit_all(c, &x);
	for (size_t i = 0; i < x.targets.len; i++)
		free(x.targets.items[i].branch);
	vec_release(&x.targets);
	cli_findings_release(&x.found);
	return r;
}

const struct command cmd_edit = {
	.name = "edit",
	.synopsis = "REV [-b BRANCH] [-m MSG] | --all GLOB -- COMMAND {}",
	.summary = "run a command on a copy and commit what it changed",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
