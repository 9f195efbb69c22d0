/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/refs.h"

static const struct cli_option options[] = {
	{ 'l', "list", NULL, "list those that match one of the globs", 0 },
	{ 'd', "delete", NULL, "delete tags", 0 },
	{ 'f', "force", NULL, "move a tag that exists", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct ref_words words = { REFS_TAGS, "tag", "tags" };

static int run(struct cli *c)
{
	int r;

	if (cli_flag(c, "list"))
		return refs_list(c, &words);
	if (cli_flag(c, "delete"))
		return refs_delete(c, &words);
	r = cli_want_args(c, 0, 2);
	if (r)
		return r;
	return c->nargs ? refs_create(c, &words, cli_flag(c, "force"))
			: refs_list(c, &words);
}

const struct command cmd_tag = {
	.name = "tag",
	.synopsis = "[-v] [-l [GLOB...]] | NAME [REV] [-f] | -d NAME...",
	.summary = "list, create or delete tags",
	.options = options,
	.operands = COMPLETE_TAG,
	.run = run,
};
