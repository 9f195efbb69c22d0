/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/export.h"

static const struct cli_option options[] = {
	{ 'o', "output", "FILE", "where to; - for stdout (default: REV.raw)",
		COMPLETE_FILE },
	{ 0, "format", "FORMAT", "the format (default: by the file's ending)",
		COMPLETE_FORMAT },
	{ 0, "disk", "N", "which disk of an image with several (an OVA takes all)", 0 },
	{ 0, "compress", NULL, "compress, where the format can", 0 },
	{ 0, "compression", "zstd|zlib", "for qcow2", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static int run(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_BUF name = BUF_INIT;
	struct export_args a = { .path = cli_opt(c, "output"),
		.format = cli_opt(c, "format"),
		.compress = cli_flag(c, "compress") ||
			    cli_flag(c, "compression"),
		.compression = cli_opt(c, "compression"),
		.progress = &c->progress };
	struct cli_findings found;
	bool unnoted = false;
	uint64_t disk;
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);
	if (!r)
		r = cli_library(c);
	if (!r)
		r = library_revision(c->lib, c->args[0], &rev, &c->err);
	if (r)
		return r;
	if (rev.path)
		return cli_usage(c, "export takes a whole image; for files use "
				    "'strata cp' or 'strata cat'");
	if (a.path && !*a.path)
		return cli_usage(c, "--output: the name is empty");
	/* It may lead to a file, which would be replaced. */
	if (a.path && !strcmp(a.path, "/dev/stdout"))
		a.path = "-";
	a.commit = &rev.commit;
	a.branch = rev.branch;
	a.out_unnoted = &unnoted;
	a.disk = disk == UINT64_MAX ? rev.disk : disk > 4096 ? 4096 : (int)disk;
	if (!a.path) {
		for (const char *p = c->args[0]; *p; p++)
			buf_addch(&name, *p == '/' ? '-' : *p);
		buf_printf(&name, ".%s", a.format ? a.format : "raw");
		a.path = buf_str(&name);
	}
	cli_findings_init(&found);
	a.findings = &found.sink;
	cli_progress_start(c);
	r = ops_export(c->lib, &a, &c->err);
	cli_progress_end(c);
	cli_findings_print(c, &found);
	cli_findings_release(&found);
	if (!r && unnoted)
		cli_note(c, "the library could not note this export: a "
			    "commit of an overlay over it needs --base");
	return r;
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "REV [-o FILE] [--format F] [--disk N] [--compress]",
	.summary = "write an image out as a disk file",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
