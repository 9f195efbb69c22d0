/* SPDX-License-Identifier: Apache-2.0 */
/* Help and completion, made from the table of commands. */
#ifndef STRATA_CLI_HELP_H
#define STRATA_CLI_HELP_H

#include <stddef.h>
#include <stdio.h>
#include "cli/cli.h"

/* The list of commands. Always 0. */
int help_overview(FILE *f);
/* Usage and options of one. */
void help_command(const struct command *cmd, FILE *f);
/* Says that there is no such command, and which is nearest; EXIT_USAGE. */
int help_unknown(const char *name);
/* Edit distance, capped at 9: for "did you mean". */
size_t help_distance(const char *a, const char *b);
/* The completion script for bash, zsh or fish; -1: unknown shell. */
int help_completion(const char *shell, FILE *f);

#endif
