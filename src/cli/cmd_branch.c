/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/refs.h"

static const struct cli_option options[] = {
	{ 'l', "list", NULL, "list those that match one of the globs", 0 },
	{ 'd', "delete", NULL, "delete branches", 0 },
	{ 'D', "force-delete", NULL, "the same as -d", 0 },
	{ 'm', "move", NULL, "rename OLD to NEW", 0 },
	{ 'f', "force", NULL, "move a branch that exists", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct ref_words words = { REFS_HEADS, "branch", "branches" };

static int run(struct cli *c)
{
	bool force = cli_flag(c, "force");
	int r;

	if (cli_flag(c, "list"))
		return refs_list(c, &words);
	if (cli_flag(c, "delete") || cli_flag(c, "force-delete"))
		return refs_delete(c, &words);
	if (cli_flag(c, "move")) {
		r = cli_want_args(c, 2, 2);
		return r ? r : refs_rename(c, &words, force);
	}
	r = cli_want_args(c, 0, 2);
	if (r)
		return r;
	return c->nargs ? refs_create(c, &words, force) : refs_list(c, &words);
}

const struct command cmd_branch = {
	.name = "branch",
	.synopsis = "[-v] [-l [GLOB...]] | NAME [REV] [-f] | -d NAME... | -m OLD NEW",
	.summary = "list, create, delete or rename branches",
	.options = options,
	.operands = COMPLETE_BRANCH,
	.run = run,
};
