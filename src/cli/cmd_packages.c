/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/side.h"
#include "insight/packages.h"

static const struct cli_option options[] = {
	{ 'a', "all", NULL, "also those of which only configuration is left",
		0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static void put(const char *s, char end)
{
	cli_put_name(stdout, s, strlen(s));
	putchar_unlocked(end);
}

static void print_json(const struct packages *p, bool all)
{
	struct json j;

	json_start(&j, stdout, "packages");
	json_str(&j, "manager", p->manager);
	json_array(&j, "packages");
	for (size_t i = 0; i < p->items.len; i++) {
		const struct package *x = &p->items.items[i];

		if (!all && !x->installed)
			continue;
		json_object(&j, NULL);
		json_str(&j, "name", x->name);
		json_str(&j, "version", x->version);
		json_str(&j, "architecture", x->architecture);
		json_str(&j, "source", x->source);
		json_str(&j, "source_version", x->source_version);
		json_str(&j, "status", x->status);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_end(&j);
}

static int run(struct cli *c)
{
	AUTO_SIDE s = { 0 };
	struct packages p = { 0 };
	struct cli_findings found;
	struct side_args sa = { 0 };
	bool all = cli_flag(c, "all");
	int r = cli_want_args(c, 1, 1);

	if (r)
		return r;
	cli_findings_init(&found);
	sa.findings = &found.sink;
	r = side_open(c, c->args[0], &sa, &s);
	if (!r)
		r = packages_read(s.view, &p, &c->err);
	if (!r && p.manager && !p.known)
		r = error_set(&c->err, ERR_UNSUPPORTED,
			"the %s database is not read", p.manager);
	if (!r) {
		cli_pager(c);
		if (c->json)
			print_json(&p, all);
		for (size_t i = 0; i < p.items.len && !c->json; i++) {
			const struct package *x = &p.items.items[i];

			if (!all && !x->installed)
				continue;
			put(x->name, '\t');
			put(x->version, '\t');
			put(x->architecture, '\t');
			put(x->source, '\t');
			put(x->status, c->null ? 0 : '\n');
		}
	}
	side_release(&s);
	packages_release(&p);
	cli_findings_release(&found);
	return r;
}

const struct command cmd_packages = {
	.name = "packages",
	.synopsis = "REV|IMAGE [-a] [--json]",
	.summary = "which packages are installed",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
