/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table of commands, one per command's file. */
#ifndef STRATA_CLI_COMMANDS_H
#define STRATA_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command cmd_init, cmd_import, cmd_export, cmd_log,
	cmd_ls, cmd_cat,
	cmd_nbd,
	cmd_diff,
	cmd_branch, cmd_tag, cmd_completion, cmd_help, cmd_version;
extern const struct command cmd_verify, cmd_stats;

#endif
