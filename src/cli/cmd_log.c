/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/graph.h"
#include "cli/json.h"
#include "cli/text.h"
#include "ops/history.h"

static const struct cli_option options[] = {
	{ 0, "graph", NULL, "draw the lines of descent", 0 },
	{ 'n', "max-count", "N", "at most N commits", 0 },
	{ 0, "path", "PATH", "only commits that changed PATH (repeatable)", 0 },
	{ 0, "since", "DATE", "only commits from then on (also --after)", 0 },
	{ 0, "after", "DATE", "the same as --since", 0 },
	{ 0, "until", "DATE", "only commits up to then (also --before)", 0 },
	{ 0, "before", "DATE", "the same as --until", 0 },
	{ 0, "author", "REGEX", "only commits whose author matches", 0 },
	{ 0, "grep", "REGEX", "only commits whose message matches", 0 },
	{ 0, "oneline", NULL, "a line a commit", 0 },
	{ 0, "all", NULL, "from all branches and tags", 0 },
	{ 0, "decorate", NULL, "show branches and tags (else on a terminal only)", 0 },
	{ 0, "no-decorate", NULL, "do not show them", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

struct log {
	struct cli *c;
	struct json json;
	struct graph graph;
	bool draw, oneline, any;
	struct decoration names;
	VEC(struct oid) from, without;
	VEC(struct revision) places; /* own the texts that paths refer to */
	VEC(struct history_path) paths;
	struct filter {
		bool used;
		int64_t since, until;
		regex_t *author, *grep;
	} filter;
	uint64_t left; /* to be shown */
};

static bool wanted(const struct filter *f, const struct commit *cm)
{
	if (!f->used)
		return true;
	return cm->date >= f->since && cm->date <= f->until &&
	       (!f->author || !regexec(f->author, cm->author, 0, NULL, 0)) &&
	       (!f->grep || !regexec(f->grep, cm->message, 0, NULL, 0));
}

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

	if (!wanted(&l->filter, x->commit))
		return 0;
	if (l->c->json) {
		json_object(&l->json, NULL);
		json_commit(&l->json, x->id, x->commit);
		json_object_end(&l->json);
	} else {
		put_text(l, x);
	}
	l->any = true;
	/* A pager that was left needs no more. */
	return ferror(stdout) || !--l->left ? 1 : 0;
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

/* Takes over what place holds. */
static int add_place(struct log *l, struct revision *place)
{
	struct history_path p = { place->path, place->volume, place->disk };

	if (!vec_push(&l->places, *place))
		return error_nomem(&l->c->err);
	*place = (struct revision){ 0 };
	return vec_push(&l->paths, p) ? 0 : error_nomem(&l->c->err);
}

/* REV, ^REV, A..B, REV:PATH. */
static int add_operand(struct log *l, const char *text)
{
	const char *dots = strstr(text, "..");
	AUTO_REVISION place = { 0 };
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
	r = revision_split(text, &rev, &place, &l->c->err);
	if (!r && place.path)
		r = add_place(l, &place);
	return r ? r : add_rev(l, rev, false);
}

/* "/etc/passwd", "etc/passwd", "p2:/etc/passwd". */
static int add_path(struct log *l, const char *path)
{
	AUTO_REVISION place = { 0 };
	AUTO_FREE char *none = NULL;
	AUTO_BUF text = BUF_INIT;
	int r;

	buf_printf(&text, ":%s", path);
	r = revision_split(buf_str(&text), &none, &place, &l->c->err);
	return r ? r : add_place(l, &place);
}

/* --- what is left out --- */

static int read_date(struct log *l, const char *name, const char *other,
	int64_t *out)
{
	const char *v = cli_opt(l->c, name);

	if (!v)
		v = cli_opt(l->c, other);
	l->filter.used |= v != NULL;
	return v ? parse_date(v, library_now(), out, &l->c->err) : 0;
}

static int read_regex(struct log *l, const char *name, regex_t *to,
	regex_t **out)
{
	const char *v = cli_opt(l->c, name);
	char why[128];
	int r;

	if (!v)
		return 0;
	r = regcomp(to, v, REG_NOSUB | REG_NEWLINE);
	if (r) {
		regerror(r, to, why, sizeof(why));
		return cli_usage(l->c, "--%s: '%s': %s", name, v, why);
	}
	*out = to;
	l->filter.used = true;
	return 0;
}

static int parse_filter(struct log *l, regex_t regex[2])
{
	int r;

	l->filter.since = INT64_MIN;
	l->filter.until = INT64_MAX;
	r = read_date(l, "since", "after", &l->filter.since);
	if (!r)
		r = read_date(l, "until", "before", &l->filter.until);
	if (!r)
		r = read_regex(l, "author", &regex[0], &l->filter.author);
	if (!r)
		r = read_regex(l, "grep", &regex[1], &l->filter.grep);
	if (!r && l->filter.used && l->draw)
		r = cli_usage(l->c, "--graph shows all commits: without "
				    "--since, --until, --author, --grep");
	return r;
}

static int parse(struct log *l)
{
	struct cli *c = l->c;
	const char *path;
	int r = cli_opt_number(c, "max-count", false, UINT64_MAX, &l->left);

	if (!r)
		r = cli_library(c);
	for (int i = 0; i < c->nargs && !r; i++) {
		c->subject = c->args[i];
		r = add_operand(l, c->args[i]);
	}
	if (r)
		return r;
	c->subject = NULL;
	for (size_t i = 0; !r && (path = cli_opt_at(c, "path", i)); i++)
		r = add_path(l, path);
	for (int i = 0; i < c->nafter && !r; i++)
		r = add_path(l, c->after[i]);
	if (!r && (!l->from.len || cli_flag(c, "all")))
		r = library_ref_list(c->lib, REFS_HEADS, add_tip, l, &c->err);
	if (!r && cli_flag(c, "all"))
		r = library_ref_list(c->lib, REFS_TAGS, add_tip, l, &c->err);
	return r;
}

static void log_release(struct log *l)
{
	graph_release(&l->graph);
	decoration_release(&l->names);
	vec_release(&l->from);
	vec_release(&l->without);
	vec_release(&l->paths);
	for (size_t i = 0; i < l->places.len; i++)
		revision_release(&l->places.items[i]);
	vec_release(&l->places);
	if (l->filter.author)
		regfree(l->filter.author);
	if (l->filter.grep)
		regfree(l->filter.grep);
}

static int show(struct log *l)
{
	struct cli *c = l->c;
	struct history_args a = { .from = l->from.items,
		.nfrom = l->from.len,
		.without = l->without.items,
		.nwithout = l->without.len,
		.paths = l->paths.items,
		.npaths = l->paths.len,
		.graph = cli_flag(c, "graph"),
		.max = l->filter.used ? UINT64_MAX : l->left,
		.progress = &c->progress };
	int r = 0;

	cli_pager(c);
	if (c->json) {
		json_start(&l->json, stdout, "log");
		json_array(&l->json, "commits");
	}
	if (l->left)
		r = ops_history(c->lib, &a, on_commit, l, &c->err);
	if (c->json && r >= 0) {
		json_array_end(&l->json);
		json_end(&l->json);
	}
	return r > 0 ? 0 : r;
}

static int run(struct cli *c)
{
	__attribute__((cleanup(log_release))) struct log l = { .c = c,
		.draw = cli_flag(c, "graph") && !c->json,
		.oneline = cli_flag(c, "oneline") };
	regex_t regex[2];
	int r = parse_filter(&l, regex);

	if (!r)
		r = parse(&l);
	if (!r && decoration_wanted(c))
		r = decoration_load(c, &l.names);
	return r ? r : show(&l);
}

const struct command cmd_log = {
	.name = "log",
	.synopsis = "[REV...] [--graph] [--oneline] [-n N] [--since DATE] [-- PATH...]",
	.summary = "show the history",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
