/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>
#include "cli/commands.h"
#include "cli/graph.h"
#include "cli/json.h"
#include "cli/text.h"
#include "ops/history.h"

static const struct cli_option options[] = {
	{ 0, "graph", NULL, "draw the lines of descent", 0 },
	{ 'n', "max-count", "N", "at most N commits", 0 },
	{ 0, "path", "PATH", "only commits that changed PATH", 0 },
	{ 0, "oneline", NULL, "a line a commit", 0 },
	{ 0, "all", NULL, "from all branches and tags", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

struct log {
	struct cli *c;
	struct json json;
	struct graph graph;
	bool draw, oneline, any;
	struct decoration names;
	VEC(struct oid) from, without;
};

/* Text goes out line by line, the graph's next row before each. */
static void put_lines(struct log *l, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		AUTO_BUF row = BUF_INIT;

		if (l->draw) {
			graph_row(&l->graph, &row);
			if (!n) /* no blanks at the end */
				while (row.len && row.data[row.len - 1] == ' ')
					row.len--;
			fwrite(row.data, 1, row.len, stdout);
		}
		fwrite(text, 1, n, stdout);
		putchar('\n');
		text += n + 1;
	}
}

static void put_text(struct log *l, const struct history_item *x)
{
	AUTO_BUF b = BUF_INIT;

	if (l->oneline)
		text_oneline(&b, l->c, x->id, x->commit, &l->names);
	else
		text_commit(&b, l->c, x->id, x->commit, &l->names);
	if (l->any && !l->oneline)
		put_lines(l, "\n", 1);
	if (l->draw && !graph_commit(&l->graph, x->id, x->parents, x->nparents))
		return;
	put_lines(l, buf_str(&b), b.len);
	while (l->draw && graph_pending(&l->graph)) {
		buf_clear(&b);
		graph_row(&l->graph, &b);
		b.len--;
		printf("%s\n", buf_str(&b));
	}
}

static int on_commit(void *ctx, const struct history_item *x)
{
	struct log *l = ctx;

	if (l->c->json) {
		json_object(&l->json, NULL);
		json_commit(&l->json, x->id, x->commit);
		json_object_end(&l->json);
	} else {
		put_text(l, x);
	}
	l->any = true;
	/* A pager that was left needs no more. */
	return ferror(stdout) ? 1 : 0;
}

static int add_tip(void *ctx, const char *name ATTR_UNUSED,
	const struct oid *id)
{
	struct log *l = ctx;

	return vec_push(&l->from, *id) ? 0 : error_nomem(&l->c->err);
}

static int add_rev(struct log *l, const char *text, bool without)
{
	struct oid id;
	int r = library_resolve(l->c->lib, text, &id, &l->c->err);

	if (r)
		return r;
	if (without ? !vec_push(&l->without, id) : !vec_push(&l->from, id))
		return error_nomem(&l->c->err);
	return 0;
}

/* REV, ^REV, A..B, REV:PATH. */
static int add_operand(struct log *l, const char *text,
	struct revision *place, struct history_args *a)
{
	const char *dots = strstr(text, "..");
	AUTO_FREE char *rev = NULL;
	int r;

	if (*text == '^')
		return add_rev(l, text + 1, true);
	if (dots && dots > text && !memchr(text, ':', (size_t)(dots - text)) &&
		!memchr(text, '{', (size_t)(dots - text))) {
		rev = strndup(text, (size_t)(dots - text));
		r = rev ? add_rev(l, rev, true) : error_nomem(&l->c->err);
		return r ? r : add_rev(l, dots + 2, false);
	}
	revision_release(place);
	r = revision_split(text, &rev, place, &l->c->err);
	if (r)
		return r;
	if (place->path) {
		a->path = place->path;
		a->volume = place->volume;
		a->disk = place->disk;
	}
	return add_rev(l, rev, false);
}

/* --path: "/etc/passwd", "p2:/etc/passwd". */
static int parse_path(struct cli *c, const char *path, struct revision *out,
	struct history_args *a)
{
	AUTO_FREE char *none = NULL;
	AUTO_BUF text = BUF_INIT;
	int r;

	buf_printf(&text, ":%s", path);
	r = revision_split(buf_str(&text), &none, out, &c->err);
	a->path = out->path;
	a->volume = out->volume;
	return r;
}

static int parse(struct log *l, struct revision *place, struct revision *path,
	struct history_args *a)
{
	struct cli *c = l->c;
	int r = cli_opt_number(c, "max-count", false, UINT64_MAX, &a->max);

	if (!r)
		r = cli_library(c);
	for (int i = 0; i < c->nargs && !r; i++) {
		c->subject = c->args[i];
		r = add_operand(l, c->args[i], place, a);
	}
	if (r)
		return r;
	c->subject = NULL;
	if (cli_opt(c, "path"))
		r = parse_path(c, cli_opt(c, "path"), path, a);
	if (!r && (!l->from.len || cli_flag(c, "all")))
		r = library_ref_list(c->lib, REFS_HEADS, add_tip, l, &c->err);
	if (!r && cli_flag(c, "all"))
		r = library_ref_list(c->lib, REFS_TAGS, add_tip, l, &c->err);
	return r;
}

static int run(struct cli *c)
{
	AUTO_REVISION place = { 0 };
	AUTO_REVISION path = { 0 };
	struct log l = { .c = c,
		.draw = cli_flag(c, "graph") && !c->json,
		.oneline = cli_flag(c, "oneline") };
	struct history_args a = { .disk = -1,
		.graph = cli_flag(c, "graph"),
		.progress = &c->progress };
	int r = parse(&l, &place, &path, &a);

	if (!r && !c->json)
		r = decoration_load(c, &l.names);
	if (!r) {
		a.from = l.from.items;
		a.nfrom = l.from.len;
		a.without = l.without.items;
		a.nwithout = l.without.len;
		cli_pager(c);
		if (c->json) {
			json_start(&l.json, stdout, "log");
			json_array(&l.json, "commits");
		}
		r = ops_history(c->lib, &a, on_commit, &l, &c->err);
		if (c->json && r >= 0) {
			json_array_end(&l.json);
			json_end(&l.json);
		}
	}
	graph_release(&l.graph);
	decoration_release(&l.names);
	vec_release(&l.from);
	vec_release(&l.without);
	return r > 0 && ferror(stdout) ? 0 : r;
}

const struct command cmd_log = {
	.name = "log",
	.synopsis = "[REV...] [--graph] [--oneline] [-n N] [--path PATH]",
	.summary = "show the history",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
