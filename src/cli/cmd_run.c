/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/commit.h"
#include "serve/boot.h"

static const struct cli_option options[] = {
	{ 'm', "memory", "SIZE", "of the machine, as qemu takes it (1G)", 0 },
	{ 0, "cpus", "N", "of the machine (1)", 0 },
	{ 'e', "expect", "TEXT", "a boot test: end when the console says this",
		0 },
	{ 't', "timeout", "SECONDS", "end it after this (--expect: 300)", 0 },
	{ 0, "commit", "BRANCH", "keep what it changed, once it shut down",
		COMPLETE_BRANCH },
	{ 0, "message", "MSG", "the commit's message", 0 },
	{ 0, "uefi", NULL, "with UEFI firmware instead of a BIOS", 0 },
	{ 0, "net", NULL, "with a network (qemu's user mode)", 0 },
	{ 0, "local", NULL, "over an exported raw file, without a server", 0 },
	{ 0, "disk", "N", "which disk of an image with several", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static int check_branch(struct cli *c, const char *branch,
	const struct oid *commit)
{
	char hex[OID_HEX + 1];
	struct oid tip;
	int r = ref_name_check(branch, &c->err);

	if (!r && !library_ref_read(c->lib, REFS_HEADS, branch, &tip, NULL) &&
		!oid_equal(&tip, commit))
		r = error_set(&c->err, ERR_CONFLICT,
			"the branch '%s' is at %.12s; --commit wants a new "
			"branch, or the one that is run",
			branch, oid_hex(&tip, hex));
	return r;
}

static int keep(struct cli *c, const struct scratch *s,
	const struct oid *commit, int disk, const char *branch,
	struct commit_overlay_result *out)
{
	AUTO_SOURCE overlay = NULL;
	AUTO_BUF message = BUF_INIT;
	struct commit_overlay_args a = { .base = commit,
		.disk = disk,
		.branch = branch,
		.message = cli_opt(c, "message"),
		.progress = &c->progress };
	int r = source_file_open(s->overlay, &overlay, &c->err);

	buf_printf(&message, "Run of %s", c->args[0]);
	if (!a.message)
		a.message = buf_str(&message);
	a.overlay = overlay;
	return r ? r : ops_commit_overlay(c->lib, &a, out, &c->err);
}

static void report(struct cli *c, const struct boot_args *a,
	const struct boot_result *res, const struct commit_overlay_result *co,
	const char *branch, bool committed)
{
	char hex[OID_HEX + 1];
	struct json j;

	if (c->json) {
		json_start(&j, stdout, "run");
		json_str(&j, "accel", res->accel);
		json_str(&j, "expect", a->expect);
		json_bool(&j, "found", res->found);
		json_bool(&j, "timed_out", res->timed_out);
		json_bool(&j, "shut_down", res->down);
		json_i64(&j, "status", res->status);
		json_real(&j, "seconds", res->seconds);
		if (committed)
			json_oid(&j, "commit", &co->import.commit);
		else
			json_null(&j, "commit");
		json_str(&j, "branch", committed ? branch : NULL);
		json_end(&j);
		return;
	}
	if (a->expect && res->found)
		cli_note(c, "found after %.1f s (%s)", res->seconds,
			res->accel);
	else if (a->expect)
		cli_error("%s: not found: %s", a->expect,
			res->timed_out ? "the time is up"
				       : "the machine ended");
	else if (res->timed_out)
		cli_error("the time is up");
	if (committed && !c->quiet)
		printf("[%s %.12s]\n", branch,
			oid_hex(&co->import.commit, hex));
}

static int run(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_SCRATCH s = { 0 };
	struct scratch_args sa = { .local = cli_flag(c, "local"),
		.progress = &c->progress };
	struct boot_args a = { .disk = &s,
		.memory = cli_opt(c, "memory"),
		.expect = cli_opt(c, "expect"),
		.uefi = cli_flag(c, "uefi"),
		.net = cli_flag(c, "net"),
		.extra = c->after,
		.nextra = c->nafter,
		.console = -1,
		.cancel = c->progress.cancel };
	struct boot_result res = { 0 };
	struct commit_overlay_result co = { 0 };
	const char *branch = cli_opt(c, "commit");
	bool committed = false;
	uint64_t cpus, timeout, disk;
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = cli_opt_number(c, "cpus", false, 1, &cpus);
	if (!r)
		r = cli_opt_number(c, "timeout", false, a.expect ? 300 : 0,
			&timeout);
	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r && (!cpus || cpus > 1024))
		return cli_usage(c, "--cpus: 1 to 1024");
	if (!r && a.expect && !*a.expect)
		return cli_usage(c, "--expect: a text");
	if (!r && c->json && !a.expect)
		return cli_usage(c, "--json goes with --expect: the console is "
				    "on the terminal");
	if (!r)
		r = cli_library(c);
	if (!r)
		r = library_revision(c->lib, c->args[0], &rev, &c->err);
	if (!r && rev.path)
		return cli_usage(c, "run takes a whole image");
	if (!r && branch)
		r = check_branch(c, branch, &rev.commit);
	if (r)
		return r;
	a.cpus = (unsigned)cpus;
	a.timeout = timeout > 1000000 ? 1000000 : (unsigned)timeout;
	a.shut_down = branch != NULL;
	if (a.expect && !c->quiet)
		a.console = c->json ? 2 : 1;
	sa.commit = &rev.commit;
	sa.disk = disk == UINT64_MAX ? rev.disk
		  : disk > 4096	     ? 4096
				     : (int)disk;
	r = scratch_open(c->lib, &sa, &s, &c->err);
	if (r)
		return r;
	fflush(NULL);
	r = boot_run(&a, &res, &c->err);
	if (r)
		return r;
	if (branch && (!a.expect || res.found)) {
		if (!res.down)
			r = error_set(&c->err, ERR_IO,
				"the machine did not shut down; nothing is "
				"kept");
		else
			r = keep(c, &s, &rev.commit, sa.disk, branch, &co);
		committed = !r;
	}
	if (!r)
		report(c, &a, &res, &co, branch, committed);
	commit_overlay_result_release(&co);
	if (r)
		return r;
	if (a.expect)
		return res.found ? EXIT_OK : EXIT_DIFFERENT;
	return res.timed_out ? EXIT_DIFFERENT : res.status ? EXIT_IO : EXIT_OK;
}

const struct command cmd_run = {
	.name = "run",
	.synopsis = "REV [--expect TEXT --timeout S] [--commit BRANCH] "
		    "[-- QEMU-ARGS...]",
	.summary = "boot a throw-away instance in qemu",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
