/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"

static int run(struct cli *c)
{
	AUTO_FREE char *path = NULL;
	int r = cli_want_args(c, 0, 1);

	if (r)
		return r;
	if (c->nargs)
		c->library_path = c->args[0];
	path = cli_library_path(c);
	if (!path)
		return cli_no_library_path(c);
	if (!*path)
		return cli_usage(c, "the folder's name is empty");
	r = cli_make_parents(path, &c->err);
	if (!r)
		r = library_init(path, &c->err);
	if (r)
		return r;
	if (c->json) {
		struct json j;

		json_start(&j, stdout, "init");
		json_str(&j, "library", path);
		json_u64(&j, "format", LIBRARY_FORMAT);
		json_end(&j);
	} else if (!c->quiet) {
		printf("made the library %s\n", path);
	}
	return 0;
}

const struct command cmd_init = {
	.name = "init",
	.synopsis = "[DIR]",
	.summary = "make a new, empty library",
	.operands = COMPLETE_FILE,
	.run = run,
};
