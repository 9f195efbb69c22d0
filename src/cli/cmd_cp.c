/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include "cli/commands.h"
#include "cli/content.h"
#include "cli/target.h"
#include "ops/copyout.h"

static const struct cli_option options[] = {
	{ 'H', "dereference", NULL, "copy what a symlink REV:PATH leads to",
		0 },
	{ 0, "no-preserve", NULL,
		"leave out owner, mode, times and attributes", 0 },
	{ 'r', "recursive", NULL, "as always: folders are copied whole", 0 },
	{ 'a', "archive", NULL, "as always: metadata is kept", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static void on_problem(void *ctx, const char *path, const struct error *e)
{
	struct cli *c = ctx;

	/* The first is the command's own error. */
	if (c->verbose)
		cli_note(c, "%s: %s", path, e->msg);
}

/* The name that the copy gets in a folder: the last component of what was
 * asked for. NULL: the root, whose content is meant. */
static const char *base_name(struct target *t, char **text)
{
	const char *asked = t->rev.path ? t->rev.path : "/";
	size_t n = strlen(asked);
	const char *p;

	while (n && asked[n - 1] == '/')
		n--;
	*text = strndup(asked, n);
	p = *text ? strrchr(*text, '/') : NULL;
	p = p ? p + 1 : *text;
	if (p && *p && strcmp(p, ".") && strcmp(p, ".."))
		return p;
	p = strrchr(buf_str(&t->node.path), '/') + 1;
	return *p ? p : NULL;
}

/* Opens the folder that DEST is, or is to be made in. *out_name: its name
 * there, NULL: DEST is the folder. */
static int open_dest(struct cli *c, const char *dest, bool several, int *out,
	const char **out_name, char **out_text)
{
	AUTO_FREE char *parent = NULL;
	size_t n = strlen(dest);
	struct stat st;
	char *slash;

	*out_name = NULL;
	*out = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out >= 0)
		return 0;
	if (several && (errno == ENOENT || errno == ENOTDIR))
		return error_set(&c->err, ERR_NOTFOUND,
			"%s: is not a folder, and there are several to copy",
			dest);
	if (errno != ENOENT && errno != ENOTDIR)
		return error_errno(&c->err, "%s", dest);
	/* A dangling symlink would be replaced, not followed: say so. */
	if (!lstat(dest, &st) && S_ISLNK(st.st_mode) && stat(dest, &st))
		return error_set(&c->err, ERR_EXISTS,
			"%s: is a symlink that leads nowhere", dest);
	while (n > 1 && dest[n - 1] == '/')
		n--;
	*out_text = strndup(dest, n);
	if (!*out_text)
		return error_nomem(&c->err);
	slash = strrchr(*out_text, '/');
	parent = !slash		     ? strdup(".")
		 : slash == *out_text ? strdup("/")
				     : strndup(*out_text,
					       (size_t)(slash - *out_text));
	if (!parent)
		return error_nomem(&c->err);
	*out_name = slash ? slash + 1 : *out_text;
	if (!strcmp(*out_name, ".") || !strcmp(*out_name, ".."))
		return error_set(&c->err, ERR_NOTFOUND, "%s: is not there",
			dest);
	*out = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? error_errno(&c->err, "%s", parent) : 0;
}

static int one(struct cli *c, const char *text, struct target *t, int fd,
	const char *name)
{
	AUTO_FREE char *base = NULL;
	struct copy_result res = { 0 };
	struct copy_args a = { .plain = cli_flag(c, "no-preserve"),
		.problem = on_problem,
		.ctx = c,
		.progress = &c->progress };
	int r = target_open_path(c, text, cli_flag(c, "dereference"), t);

	c->subject = NULL;
	if (r) {
		c->subject = text;
		return r;
	}
	if (!name)
		name = base_name(t, &base);
	r = ops_copy_out(t->view, &t->node, fd, name, &a, &res, &c->err);
	if (res.xattrs_left_out)
		cli_note(c, "%" PRIu64 " extended attribute%s left out",
			res.xattrs_left_out,
			res.xattrs_left_out == 1 ? " was" : "s were");
	if (res.problems > 1 && !c->verbose)
		cli_note(c, "%" PRIu64 " could not be copied (-v names them)",
			res.problems);
	if (!r || !res.all_tried)
		return r;
	/* The rest was copied: go on with the next, and fail in the end. */
	cli_error("%s: %s", text, c->err.msg);
	return cli_exit_code(r);
}

static int run(struct cli *c)
{
	AUTO_TARGET t = { 0 };
	AUTO_FREE char *text = NULL;
	AUTO_FD int fd = -1;
	const char *dest, *name;
	int r = cli_want_args(c, 2, -1), worst = 0;

	if (r)
		return r;
	dest = c->args[c->nargs - 1];
	if (!strcmp(dest, "-")) {
		for (int i = 0; i < c->nargs - 1 && !r; i++)
			r = content_to_stdout(c, c->args[i], &t);
		return r;
	}
	r = open_dest(c, dest, c->nargs > 2, &fd, &name, &text);
	for (int i = 0; i < c->nargs - 1 && r >= 0; i++) {
		r = one(c, c->args[i], &t, fd, name);
		if (!worst)
			worst = r;
	}
	return r < 0 ? r : worst;
}

const struct command cmd_cp = {
	.name = "cp",
	.synopsis = "REV|IMAGE:PATH... DEST",
	.summary = "copy files and folders out to the host",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
