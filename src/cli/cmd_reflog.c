/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include "cli/commands.h"
#include "cli/json.h"

struct line {
	struct oid old, id;
	int64_t date;
	char *author, *reason;
};

struct reflog {
	struct cli *c;
	struct json json;
	VEC(struct line) lines;
};

static int add(void *ctx, const struct reflog_entry *x)
{
	struct reflog *l = ctx;
	struct line n = { x->old, x->id, x->date, strdup(x->author),
		strdup(x->reason) };

	if (n.author && n.reason && vec_push(&l->lines, n))
		return 0;
	free(n.author);
	free(n.reason);
	return error_nomem(&l->c->err);
}

static void put(struct reflog *l, const char *branch, size_t i,
	const struct line *n)
{
	static const struct oid none;
	char hex[OID_HEX + 1], date[32];

	if (l->c->json) {
		json_object(&l->json, NULL);
		json_str(&l->json, "branch", branch);
		json_u64(&l->json, "index", i);
		if (oid_equal(&n->old, &none))
			json_null(&l->json, "old");
		else
			json_oid(&l->json, "old", &n->old);
		json_oid(&l->json, "new", &n->id);
		json_time(&l->json, "date", n->date);
		json_str(&l->json, "author", n->author);
		json_str(&l->json, "reason", n->reason);
		json_object_end(&l->json);
		return;
	}
	printf("%s%.12s%s %s@{%zu} %s: ", cli_color(l->c, "\033[33m"),
		oid_hex(&n->id, hex), cli_color(l->c, "\033[0m"), branch, i,
		format_time(n->date, date));
	cli_put_name(stdout, n->reason, strlen(n->reason));
	putchar('\n');
}

static int one(void *ctx, const char *branch, const struct oid *id ATTR_UNUSED)
{
	struct reflog *l = ctx;
	int r = library_reflog(l->c->lib, REFS_HEADS, branch, add, l,
		&l->c->err);

	for (size_t i = 0; i < l->lines.len && !r; i++)
		put(l, branch, i, &l->lines.items[l->lines.len - 1 - i]);
	for (size_t i = 0; i < l->lines.len; i++) {
		free(l->lines.items[i].author);
		free(l->lines.items[i].reason);
	}
	l->lines.len = 0;
	return r;
}

static int run(struct cli *c)
{
	struct reflog l = { .c = c };
	struct oid id;
	int r = cli_library(c);

	for (int i = 0; i < c->nargs && !r; i++) {
		r = ref_name_check(c->args[i], &c->err);
		if (!r)
			r = library_ref_read(c->lib, REFS_HEADS, c->args[i],
				&id, &c->err);
		if (r == ERR_NOTFOUND)
			error_set(&c->err, r, "no branch '%s'", c->args[i]);
	}
	if (r)
		return r;
	cli_pager(c);
	if (c->json) {
		json_start(&l.json, stdout, "reflog");
		json_array(&l.json, "entries");
	}
	for (int i = 0; i < c->nargs && !r; i++)
		r = one(&l, c->args[i], NULL);
	if (!c->nargs)
		r = library_ref_list(c->lib, REFS_HEADS, one, &l, &c->err);
	if (c->json && !r) {
		json_array_end(&l.json);
		json_end(&l.json);
	}
	vec_release(&l.lines);
	return r;
}

const struct command cmd_reflog = {
	.name = "reflog",
	.synopsis = "[BRANCH...] [--json]",
	.summary = "show what branches were before (BRANCH@{N})",
	.operands = COMPLETE_BRANCH,
	.run = run,
};
