/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "serve/bisect.h"

static const struct cli_option options[] = {
	{ 0, "instance", NULL, "{} is an overlay, qcow2 (the default)", 0 },
	{ 0, "mount", NULL, "{} is a folder with the files", 0 },
	{ 0, "file", NULL, "{} is a raw disk file", 0 },
	{ 0, "disk", "N", "which disk of an image with several", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static const char *const verdicts[] = { "good", "bad", "skip" };

struct steps {
	struct cli *c;
	struct json j;
};

static void on_step(void *ctx, const struct oid *id, enum bisect_verdict v,
	int status, size_t left)
{
	struct steps *s = ctx;
	char hex[OID_HEX + 1];

	if (s->c->json) {
		json_object(&s->j, NULL);
		json_oid(&s->j, "commit", id);
		json_str(&s->j, "verdict", verdicts[v]);
		json_i64(&s->j, "exit", status);
		json_object_end(&s->j);
	} else {
		cli_note(s->c, "%.12s is %s, %zu left", oid_hex(id, hex),
			v == BISECT_SKIP ? "skipped" : verdicts[v], left);
	}
}

static void put_commit(struct cli *c, const struct oid *id)
{
	AUTO_COMMIT cm = { 0 };
	char hex[OID_HEX + 1], date[32];

	printf("commit %s\n", oid_hex(id, hex));
	if (library_get_commit(c->lib, id, &cm, NULL))
		return;
	printf("Author: ");
	cli_put_name(stdout, cm.author, strlen(cm.author));
	printf("\nDate:   %s\n\n    ", format_time(cm.date, date));
	cli_put_name(stdout, cm.message, strcspn(cm.message, "\n"));
	putchar('\n');
}

static void report(struct cli *c, struct steps *s,
	const struct bisect_result *res)
{
	char hex[OID_HEX + 1];
	bool one = res->candidates.len == 1;

	if (c->json) {
		json_array_end(&s->j);
		if (one)
			json_oid(&s->j, "first_bad", &res->candidates.items[0]);
		else
			json_null(&s->j, "first_bad");
		json_oid(&s->j, "last_good", &res->good);
		json_array(&s->j, "candidates");
		for (size_t i = 0; i < res->candidates.len; i++)
			json_oid(&s->j, NULL, &res->candidates.items[i]);
		json_array_end(&s->j);
		json_u64(&s->j, "commits", res->length);
		json_end(&s->j);
		return;
	}
	if (one) {
		printf("%.12s is the first bad commit\n",
			oid_hex(&res->candidates.items[0], hex));
		if (!c->quiet)
			put_commit(c, &res->candidates.items[0]);
		return;
	}
	printf("The first bad commit is one of these (the others were "
	       "skipped):\n");
	for (size_t i = 0; i < res->candidates.len; i++)
		printf("%s\n", oid_hex(&res->candidates.items[i], hex));
}

static int run(struct cli *c)
{
	AUTO_REVISION good = { 0 };
	AUTO_REVISION bad = { 0 };
	struct steps s = { .c = c };
	struct bisect_result res = { 0 };
	struct bisect_args a = { .mode = cli_flag(c, "mount") ? BISECT_MOUNT
					 : cli_flag(c, "file") ? BISECT_FILE
							       : BISECT_INSTANCE,
		.argv = c->after,
		.argc = c->nafter,
		.stdout_to_stderr = c->json,
		.step = on_step,
		.ctx = &s,
		.progress = &c->progress };
	uint64_t disk;
	int r = cli_want_args(c, 2, 2);

	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r && cli_flag(c, "mount") + cli_flag(c, "file") +
				cli_flag(c, "instance") > 1)
		return cli_usage(c, "--instance, --mount or --file");
	if (!r && c->nafter < 1)
		return cli_usage(c, "a command is missing behind --");
	if (!r)
		r = cli_library(c);
	if (!r)
		r = library_revision(c->lib, c->args[0], &good, &c->err);
	if (!r)
		r = library_revision(c->lib, c->args[1], &bad, &c->err);
	if (r)
		return r;
	if (good.path || bad.path)
		return cli_usage(c, "bisect takes versions, not files");
	a.disk = disk == UINT64_MAX ? bad.disk : disk > 4096 ? 4096 : (int)disk;
	a.good = good.commit;
	a.bad = bad.commit;
	fflush(NULL);
	if (c->json) {
		json_start(&s.j, stdout, "bisect");
		json_array(&s.j, "steps");
	}
	r = bisect_run(c->lib, &a, &res, &c->err);
	if (!r)
		report(c, &s, &res);
	r = r ? r : res.candidates.len == 1 ? EXIT_OK : EXIT_DIFFERENT;
	bisect_result_release(&res);
	return r;
}

const struct command cmd_bisect = {
	.name = "bisect",
	.synopsis = "GOOD BAD [--instance|--mount|--file] -- COMMAND {}",
	.summary = "find the version that broke something",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
