/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "base/checked.h"
#include "cli/commands.h"
#include "cli/content.h"

#define WINDOW (1 << 20)

static int copy(struct cli *c, struct source *src, uint8_t *buf)
{
	for (uint64_t at = 0; at < src->size;) {
		size_t n = (size_t)u64_min(WINDOW, src->size - at);
		int r = progress_check(&c->progress, &c->err);

		if (!r)
			r = source_pread(src, buf, n, at, &c->err);
		if (r)
			return r;
		if (fwrite(buf, 1, n, stdout) != n)
			return error_errno(&c->err, "output");
		at += n;
	}
	return 0;
}

int content_to_stdout(struct cli *c, const char *text, struct target *t)
{
	AUTO_FREE uint8_t *buf = malloc(WINDOW);
	AUTO_SOURCE src = NULL;
	int r = buf ? target_open_path(c, text, true, t) : error_nomem(&c->err);

	if (!r)
		r = view_open_file(t->view, t->node.mount,
			buf_str(&t->node.path), &t->node.x, &src, &c->err);
	return r ? r : copy(c, src, buf);
}

static int run(struct cli *c)
{
	AUTO_TARGET t = { 0 };
	int r = cli_want_args(c, 1, -1);

	if (!r && c->json)
		r = cli_usage(c, "content is not given as JSON");
	for (int i = 0; i < c->nargs && !r; i++)
		r = content_to_stdout(c, c->args[i], &t);
	return r;
}

const struct command cmd_cat = {
	.name = "cat",
	.synopsis = "REV|IMAGE:PATH...",
	.summary = "write the content of files to stdout",
	.operands = COMPLETE_REV,
	.run = run,
};
