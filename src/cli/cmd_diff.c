/* SPDX-License-Identifier: Apache-2.0 */
/* diff: what is different between two images. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/commands.h"
#include "cli/diff_private.h"
#include "cli/target.h"

static const struct cli_option options[] = {
	{ 0, "name-status", NULL, "status letters and paths (the default)", 0 },
	{ 0, "name-only", NULL, "paths only", 0 },
	{ 'p', "patch", NULL, "changed text files line by line, as git does",
		0 },
	{ 0, "stat", NULL, "how many lines changed in which file", 0 },
	{ 0, "packages", NULL, "packages that came, went or changed", 0 },
	{ 0, "blocks", NULL, "ranges of the disks that changed", 0 },
	{ 0, "exit-code", NULL, "exit 1 where there are differences", 0 },
	{ 0, "ignore-mtime", NULL, "times of change do not count", 0 },
	{ 0, "no-renames", NULL, "moved files as deleted and added ones", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

/* --- output --- */

static void put_path(const struct diff *d, const char *path)
{
	if (d->c->null)
		fwrite(path, 1, strlen(path), stdout);
	else
		cli_put_name(stdout, path, strlen(path));
}

static const char *colour(const struct diff *d, enum diff_status s)
{
	return cli_color(d->c, s == DIFF_ADDED	   ? "\033[32m"
			       : s == DIFF_DELETED ? "\033[31m"
						   : "\033[33m");
}

static int put_text(struct diff *d, const struct diff_change *ch)
{
	char sep = d->c->null ? 0 : '\t', end = d->c->null ? 0 : '\n';

	if (d->mode == NAME_STATUS) {
		const char *on = d->c->null ? "" : colour(d, ch->status);

		fputs(on, stdout);
		putchar_unlocked((int)ch->status);
		if (ch->status == DIFF_RENAMED) {
			fputs("100", stdout);
			putchar_unlocked(sep);
			put_path(d, ch->old_path);
		}
		putchar_unlocked(sep);
		put_path(d, diff_name(d, 1, ch->path));
		if (*on)
			fputs("\033[0m", stdout);
	} else {
		put_path(d, diff_name(d, 1, ch->path));
	}
	putchar_unlocked(end);
	return ferror(stdout) ? ERR_IO : 0;
}

static void put_entry(struct json *j, const char *key, const struct entry *x)
{
	if (!x) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	json_entry(j, x);
	json_object_end(j);
}

static void put_json(struct diff *d, const struct diff_change *ch)
{
	struct json *j = &d->json;
	const char *path = diff_name(d, 1, ch->path);
	char status[2] = { (char)ch->status, 0 };

	json_object(j, NULL);
	json_bytes(j, "path", path, strlen(path));
	json_str(j, "status", status);
	if (ch->status == DIFF_RENAMED)
		json_bytes(j, "old_path", ch->old_path, strlen(ch->old_path));
	put_entry(j, "old", ch->old);
	put_entry(j, "new", ch->new);
	json_array(j, "changed");
	for (unsigned i = 0; i < DIFF_FIELDS; i++)
		if (ch->changed >> i & 1)
			json_str(j, NULL, diff_field_name(i));
	json_array_end(j);
	json_object_end(j);
}

static int on_change(void *ctx, const struct diff_change *ch)
{
	struct diff *d = ctx;

	if (d->c->json) {
		put_json(d, ch);
		return progress_check(&d->c->progress, &d->c->err);
	}
	if (d->mode == PATCH)
		return diff_put_patch(d, ch);
	if (d->mode == STAT)
		return diff_count(d, ch);
	return put_text(d, ch);
}

/* --- the two sides --- */

static int resolve(void *ctx, unsigned mount, const char *path,
	struct entry *x, struct error *e)
{
	(void)mount;
	(void)path;
	return peek_hash(ctx, x, e);
}

static int hash_tree(void *ctx, const struct oid *id, struct buf *out,
	struct error *e)
{
	struct view_files *v = ctx;

	return v->get_tree(v->get_ctx, id, out, e);
}

static int make_side(struct diff *d, int i, struct diff_side *out)
{
	struct side *s = &d->side[i];

	for (size_t k = 0; k < s->view->mounts.len; k++)
		if (!vec_push(&d->mounts[i],
			    (struct diff_mount){ s->view->mounts.items[k].path,
				    s->view->mounts.items[k].root }))
			return error_nomem(&d->c->err);
	*out = (struct diff_side){ .get = hash_tree,
		.ctx = s->view,
		.at = &s->node.x,
		.path = buf_str(&s->node.path),
		.mount = s->node.mount,
		.mounts = d->mounts[i].items,
		.nmounts = d->mounts[i].len,
		.resolve = s->is_file ? resolve : NULL };
	d->own[i] = s->node.x.type == ENTRY_DIR ? "." : out->path + 1;
	if (!strcmp(out->path, "/"))
		out->path = "";
	return 0;
}

/* The operands behind "--" (or behind A and B), without slashes around. */
static char **wanted_paths(struct cli *c)
{
	size_t n = 0, max = (size_t)(c->nafter + c->nargs) + 1;
	char **v = calloc(max, sizeof(*v));

	for (int i = 2; v && i < c->nargs + c->nafter; i++) {
		const char *p = i < c->nargs ? c->args[i]
					     : c->after[i - c->nargs];
		size_t k;

		while (*p == '/' || (p[0] == '.' && (p[1] == '/' || !p[1])))
			p++;
		k = strlen(p);
		while (k && p[k - 1] == '/')
			k--;
		v[n] = strndup(p, k);
		if (!v[n++])
			return NULL;
	}
	return v;
}

static int compare(struct diff *d, struct diff_result *res)
{
	struct cli *c = d->c;
	struct diff_args a = { .renames = !cli_flag(c, "no-renames"),
		.need_ids = c->json || d->mode == PATCH,
		.ignore = cli_flag(c, "ignore-mtime") ? DIFF_MTIME : 0 };
	char **paths = NULL;
	int r = make_side(d, 0, &a.side[0]);

	if (!r)
		r = make_side(d, 1, &a.side[1]);
	if (r)
		return r;
	if (c->nargs > 2 || c->nafter) {
		paths = wanted_paths(c);
		if (!paths)
			return error_nomem(&c->err);
		a.paths = (const char *const *)paths;
	}
	r = diff_run(&a, on_change, d, res, &c->err);
	for (char **p = paths; p && *p; p++)
		free(*p);
	free(paths);
	return r;
}

static void diff_release(struct diff *d)
{
	for (int i = 0; i < 2; i++) {
		side_release(&d->side[i]);
		vec_release(&d->mounts[i]);
	}
	vec_release(&d->stats);
	buf_release(&d->stat_paths);
}

static enum diff_mode mode_of(const struct cli *c)
{
	static const struct {
		const char *name;
		enum diff_mode mode;
	} modes[] = { { "blocks", BLOCKS }, { "packages", PACKAGES },
		{ "patch", PATCH }, { "stat", STAT },
		{ "name-only", NAME_ONLY } };

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (cli_flag(c, modes[i].name))
			return modes[i].mode;
	return NAME_STATUS;
}

static int tell(struct diff *d, struct diff_result *res)
{
	int r;

	switch (d->mode) {
	case PACKAGES:
		return diff_packages(d, &res->changes);
	case BLOCKS:
		return diff_blocks(d, &res->changes);
	default:
		if (d->c->json)
			json_array(&d->json, "entries");
		r = compare(d, res);
		if (!r && d->c->json)
			json_array_end(&d->json);
		else if (!r && d->mode == STAT)
			diff_put_stats(d);
		return r;
	}
}

/* "A..B"; not where a file has that name, nor in a path. */
static bool is_range(const char *text)
{
	const char *dots = strstr(text, "..");

	return dots && dots != text && dots[2] && dots[2] != '.' &&
	       !strpbrk(text, ":/") && access(text, F_OK);
}

static int diff(struct cli *c)
{
	__attribute__((cleanup(diff_release))) struct diff d = { .c = c };
	struct cli_findings found;
	struct diff_result res = { 0 };
	struct side_args sa = { .xattrs = true };
	int r = cli_want_args(c, 2, -1);

	if (r)
		return r;
	d.mode = mode_of(c);
	sa.maybe = d.mode == BLOCKS;
	cli_findings_init(&found);
	sa.findings = &found.sink;
	for (int i = 0; i < 2 && !r; i++)
		r = side_open(c, c->args[i], &sa, &d.side[i]);
	if (!r) {
		cli_pager(c);
		if (c->json)
			json_start(&d.json, stdout, "diff");
		r = tell(&d, &res);
		if (c->json && !r)
			json_end(&d.json);
		if (!r && res.renames_left)
			cli_note(c, "so many changes that renames were not "
				    "looked for");
	}
	cli_findings_print(c, &found);
	diff_release(&d);
	cli_findings_release(&found);
	if (!r && res.changes && cli_flag(c, "exit-code"))
		r = EXIT_DIFFERENT;
	return r;
}

static int run(struct cli *c)
{
	AUTO_FREE char *copy = NULL;
	char **args = c->args, *two[2], *dots;
	int r;

	if (c->nargs != 1 || !is_range(c->args[0]))
		return diff(c);
	/* as git takes it */
	copy = strdup(c->args[0]);
	if (!copy)
		return error_nomem(&c->err);
	dots = strstr(copy, "..");
	*dots = 0;
	two[0] = copy;
	two[1] = dots + 2;
	c->args = two;
	c->nargs = 2;
	r = diff(c);
	c->args = args;
	c->nargs = 1;
	c->subject = NULL;
	return r;
}

const struct command cmd_diff = {
	.name = "diff",
	.synopsis = "A B|A..B [--stat|--name-status|--name-only|--packages|--blocks|-p] "
		    "[--exit-code] [-- PATH...]",
	.summary = "what is different between two images",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
