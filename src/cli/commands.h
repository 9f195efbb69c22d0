/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table of commands, one per command's file. */
#ifndef STRATA_CLI_COMMANDS_H
#define STRATA_CLI_COMMANDS_H

#include "cli/cli.h"

/* One a line, so that additions do not meet. */
extern const struct command cmd_bisect;
extern const struct command cmd_branch;
extern const struct command cmd_cat;
extern const struct command cmd_commit;
extern const struct command cmd_completion;
extern const struct command cmd_cp;
extern const struct command cmd_diff;
extern const struct command cmd_edit;
extern const struct command cmd_export;
extern const struct command cmd_help;
extern const struct command cmd_import;
extern const struct command cmd_init;
extern const struct command cmd_instance;
extern const struct command cmd_inspect;
extern const struct command cmd_log;
extern const struct command cmd_ls;
extern const struct command cmd_mount;
extern const struct command cmd_nbd;
extern const struct command cmd_packages;
extern const struct command cmd_reflog;
extern const struct command cmd_run;
extern const struct command cmd_show;
extern const struct command cmd_stats;
extern const struct command cmd_tag;
extern const struct command cmd_verify;
extern const struct command cmd_umount;
extern const struct command cmd_version;
extern const struct command cmd_init, cmd_import, cmd_export, cmd_log,
	cmd_ls, cmd_cat,
	cmd_nbd,
	cmd_diff,
	cmd_branch, cmd_tag, cmd_completion, cmd_help, cmd_version;
extern const struct command cmd_verify, cmd_stats, cmd_gc, cmd_repack;

#endif
