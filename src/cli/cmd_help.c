/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/json.h"

static int run_help(struct cli *c)
{
	char page[64];

	if (!c->nargs)
		return help_overview(stdout);
	if (!cli_find_command(c->args[0]))
		return cli_usage(c, "'%s' is not a command", c->args[0]);
	snprintf(page, sizeof(page), "strata-%s", c->args[0]);
	fflush(stdout);
	if (isatty(1))
		execlp("man", "man", page, (char *)NULL);
	/* No man: what the table knows. */
	help_command(cli_find_command(c->args[0]), stdout);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "show the manual page of a command",
	.operands = COMPLETE_COMMAND,
	.run = run_help,
};

static int run_version(struct cli *c)
{
	struct json j;

	if (!c->json) {
		printf("strata %s\n", STRATA_VERSION);
		return 0;
	}
	json_start(&j, stdout, "version");
	json_str(&j, "version", STRATA_VERSION);
	json_u64(&j, "format", LIBRARY_FORMAT);
	json_array(&j, "features");
	for (const char *const *f = (const char *const[]){ STRATA_FEATURES
			NULL }; *f; f++)
		json_str(&j, NULL, *f);
	json_array_end(&j);
	json_end(&j);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.synopsis = "",
	.summary = "show the version and what was built in",
	.run = run_version,
};

static int run_completion(struct cli *c)
{
	int r = cli_want_args(c, 1, 1);

	if (r)
		return r;
	if (help_completion(c->args[0], stdout))
		return cli_usage(c, "completion for bash, zsh or fish");
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.synopsis = "bash|zsh|fish",
	.summary = "print a completion script",
	.run = run_completion,
	.hidden = true,
};
