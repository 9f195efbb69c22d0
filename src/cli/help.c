/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

int help_overview(FILE *f)
{
	fputs("usage: strata [-L LIBRARY] COMMAND ...\n\n"
	      "A library for virtual machine images: import disks, version "
	      "them, look inside,\nget them back bit for bit.\n\n",
		f);
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			fprintf(f, "  %-12s %s\n", cli_commands[i]->name,
				cli_commands[i]->summary);
	fputs("\n'strata COMMAND --help' tells the options, 'strata help "
	      "COMMAND' shows the manual.\n",
		f);
	return 0;
}

static void put_options(const struct cli_option *o, FILE *f)
{
	for (; o && o->name; o++) {
		char text[80];
		int n = snprintf(text, sizeof(text), "%s%c%s--%s%s%s",
			o->letter ? "-" : " ", o->letter ? o->letter : ' ',
			o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");

		if (n > 28)
			fprintf(f, "  %s\n  %-28s %s\n", text, "", o->help);
		else
			fprintf(f, "  %-28s %s\n", text, o->help);
	}
}

void help_command(const struct command *cmd, FILE *f)
{
	fprintf(f, "usage: strata %s %s\n\n%s\n", cmd->name, cmd->synopsis,
		cmd->summary);
	if (cmd->options && cmd->options->name) {
		fputs("\noptions:\n", f);
		put_options(cmd->options, f);
	}
	fputs("\ncommon options:\n", f);
	put_options(cli_common_options, f);
}

size_t help_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (strlen(a) > 60 || n > 60)
		return 9;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (size_t k = 1; k <= n; k++) {
			size_t cost = diag + (a[i - 1] != b[k - 1]);

			diag = row[k];
			if (row[k] + 1 < cost)
				cost = row[k] + 1;
			if (row[k - 1] + 1 < cost)
				cost = row[k - 1] + 1;
			row[k] = cost;
		}
	}
	return row[n] > 9 ? 9 : row[n];
}

int help_unknown(const char *name)
{
	const char *best = NULL;
	size_t n = strlen(name), best_d = n / 2 + 1;

	if (best_d > 4)
		best_d = 4;
	for (size_t i = 0; cli_commands[i]; i++) {
		const char *have = cli_commands[i]->name;
		size_t d = help_distance(name, have);

		if (n > 1 && !strncmp(have, name, n))
			d = 0;
		if (!cli_commands[i]->hidden && d < best_d) {
			best_d = d;
			best = have;
		}
	}
	cli_error("%s: not a command; %s%s%s'strata help' lists them",
		*name ? name : "''", best ? "did you mean '" : "",
		best ? best : "", best ? "'? " : "");
	return EXIT_USAGE;
}
