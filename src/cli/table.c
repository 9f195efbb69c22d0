/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, in the order in which help lists them. */
#include "cli/commands.h"

const struct command *const cli_commands[] = {
	&cmd_init,
	&cmd_import,
	&cmd_export,
	&cmd_commit,
	&cmd_nbd,
	&cmd_mount,
	&cmd_umount,
	&cmd_instance,
	&cmd_log,
	&cmd_show,
	&cmd_ls,
	&cmd_cat,
	&cmd_cp,
	&cmd_inspect,
	&cmd_packages,
	&cmd_diff,
	&cmd_branch,
	&cmd_tag,
	&cmd_reflog,
	&cmd_verify,
	&cmd_gc,
	&cmd_repack,
	&cmd_stats,
	&cmd_verify,
	&cmd_help,
	&cmd_version,
	&cmd_completion,
	NULL,
};
