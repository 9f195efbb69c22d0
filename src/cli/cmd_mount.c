/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "cli/commands.h"
#include "serve/mount.h"

static const struct cli_option options[] = {
	{ 0, "disk", NULL, "show the disks: disk0.raw, disk0.qcow2", 0 },
	{ 'a', "all", NULL, "show branch/, tag/ and commit/", 0 },
	{ 'f', "foreground", NULL, "serve until it is unmounted", 0 },
	{ 0, "allow-other", NULL, "for other users too, as modes allow", 0 },
	{ 0, "cache", "SIZE", "decoded data kept in memory", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static int run(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_BUF label = BUF_INIT;
	bool all = cli_flag(c, "all");
	struct mount_args a = { .what = all ? NODES_ALL
				      : cli_flag(c, "disk") ? NODES_DISKS
							    : NODES_FILES,
		.disk = -1,
		.foreground = cli_flag(c, "foreground"),
		.allow_other = cli_flag(c, "allow-other") };
	int r = cli_want_args(c, all ? 1 : 2, all ? 1 : 2);

	if (!r)
		r = cli_opt_number(c, "cache", true, 0, &a.cache);
	if (!r && all && cli_flag(c, "disk"))
		r = cli_usage(c, "--all or --disk, not both");
	if (!r)
		r = cli_library(c);
	if (!r && !all)
		r = library_revision(c->lib, c->args[0], &rev, &c->err);
	if (r)
		return r;
	if (rev.path && strcmp(rev.path, "/"))
		return cli_usage(c, "mount shows a whole image, or one volume "
				    "of it: REV:p2:/");
	buf_printf(&label, "strata:%s", all ? "all" : c->args[0]);
	a.label = buf_str(&label);
	a.library = c->lib->path;
	a.dir = c->args[all ? 0 : 1];
	a.commit = rev.commit;
	a.disk = rev.disk;
	a.volume = rev.volume;
	return mount_run(&a, &c->err);
}

const struct command cmd_mount = {
	.name = "mount",
	.synopsis = "REV DIR [--disk] | --all DIR",
	.summary = "show the files of an image as a folder",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};

static const struct cli_option umount_options[] = {
	{ 'l', "lazy", NULL, "also while it is in use", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static int run_umount(struct cli *c)
{
	int r = cli_want_args(c, 1, -1);

	for (int i = 0; !r && i < c->nargs; i++)
		r = mount_end(c->args[i], cli_flag(c, "lazy"), &c->err);
	return r;
}

const struct command cmd_umount = {
	.name = "umount",
	.synopsis = "DIR...",
	.summary = "end a mount",
	.options = umount_options,
	.operands = COMPLETE_FILE,
	.run = run_umount,
};
