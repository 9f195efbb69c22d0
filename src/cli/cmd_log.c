/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static int run(struct cli *c)
{
	return cli_library(c);
}

const struct command cmd_log = {
	.name = "log",
	.synopsis = "[REV]",
	.summary = "show the history",
	.operands = COMPLETE_REV,
	.run = run,
};
