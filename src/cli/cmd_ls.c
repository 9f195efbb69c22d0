/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include "base/checked.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/target.h"

static const struct cli_option options[] = {
	{ 'l', "long", NULL, "mode, links, owner, size, time", 0 },
	{ 'R', "recursive", NULL, "folders in folders too", 0 },
	{ 'h', "human-readable", NULL, "with -l: sizes as 1.5K, 23M", 0 },
	{ 'p', "slash", NULL, "a '/' behind folders", 0 },
	{ 'a', "all", NULL, "as always: names that begin with a dot, too", 0 },
	{ '1', "one", NULL, "as always: a name a line", 0 },
	{ 'd', "directory", NULL, "the folder itself, not what is in it", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

struct ls {
	struct cli *c;
	struct json json;
	bool all, details, human, slash;
	bool hashed; /* ids are hashes */
};

/* As ls -h: rounded up, in units of 1024, one decimal below ten. */
static void short_size(uint64_t v, char out[32])
{
	static const char units[] = " KMGTPE";
	unsigned u = 0;
	uint64_t unit = 1, tenths, whole;

	/* up to where rounding gives 1024 of them */
	while (u < 6 && div_ceil(v, unit) >= 1024) {
		unit <<= 10;
		u++;
	}
	tenths = v / unit * 10 + div_ceil(v % unit * 10, unit);
	whole = div_ceil(v, unit);
	if (!u)
		snprintf(out, 32, "%" PRIu64, v);
	else if (tenths < 100)
		snprintf(out, 32, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			tenths % 10, units[u]);
	else
		snprintf(out, 32, "%" PRIu64 "%c", whole, units[u]);
}

static void put_long(const struct ls *ls, const struct entry *x)
{
	char mode[11], date[32], size[32];

	if (x->type == ENTRY_CHAR || x->type == ENTRY_BLOCK)
		snprintf(size, sizeof(size), "%u, %u", x->rdev_major,
			x->rdev_minor);
	else if (ls->human)
		short_size(x->size, size);
	else
		snprintf(size, sizeof(size), "%" PRIu64, x->size);
	/* "2026-11-21T10:20:30Z" as "2026-11-21 10:20" */
	format_time(x->mtime, date);
	if (date[0] && date[10] == 'T') {
		date[10] = ' ';
		date[16] = 0;
	}
	printf("%s%c %3u %5u %5u %11s %s ", mode_text(x, mode),
		x->xattrs.len ? '+' : ' ', x->nlink, x->uid, x->gid, size,
		date);
}

static const char *colour(const struct ls *ls, const struct entry *x)
{
	switch (x->type) {
	case ENTRY_DIR:
		return cli_color(ls->c, "\033[01;34m");
	case ENTRY_SYMLINK:
		return cli_color(ls->c, "\033[01;36m");
	case ENTRY_FILE:
		return x->mode & 0111 ? cli_color(ls->c, "\033[01;32m") : "";
	default:
		return cli_color(ls->c, "\033[01;33m");
	}
}

static void put(struct ls *ls, const char *name, const struct entry *x)
{
	const char *on = ls->c->color ? colour(ls, x) : "";

	if (ls->c->json) {
		struct entry shown = *x;

		/* What is not imported was not read. */
		if (!ls->hashed)
			shown.flags |= ENTRY_OPAQUE;
		json_object(&ls->json, NULL);
		json_bytes(&ls->json, "path", name, strlen(name));
		json_entry(&ls->json, &shown);
		json_object_end(&ls->json);
		return;
	}
	if (ls->details)
		put_long(ls, x);
	fputs(on, stdout);
	cli_put_name(stdout, name, strlen(name));
	if (*on)
		fputs("\033[0m", stdout);
	if (ls->slash && x->type == ENTRY_DIR)
		putchar_unlocked('/');
	if (ls->details && x->type == ENTRY_SYMLINK) {
		fputs(" -> ", stdout);
		cli_put_name(stdout, x->target.data, x->target.len);
	}
	putchar_unlocked(ls->c->null ? 0 : '\n');
}

static int on_enter(void *ctx, const struct view_item *it)
{
	struct ls *ls = ctx;

	if (!it->depth)
		return 0;
	put(ls, it->rel, it->x);
	return ls->all ? progress_check(&ls->c->progress, &ls->c->err)
		       : VIEW_PRUNE;
}

static int on_entry(void *ctx, const struct view_item *it)
{
	struct ls *ls = ctx;
	const char *base = strrchr(it->path, '/') + 1;

	put(ls, it->depth ? it->rel : base, it->x);
	return 0;
}

static int run(struct cli *c)
{
	AUTO_TARGET t = { 0 };
	struct ls ls = { .c = c,
		.all = cli_flag(c, "recursive"),
		.details = cli_flag(c, "long"),
		.human = cli_flag(c, "human-readable"),
		.slash = cli_flag(c, "slash") };
	struct view_visitor v = { .enter = on_enter, .entry = on_entry,
		.ctx = &ls };
	bool self = cli_flag(c, "directory");

	t.no_xattrs = !ls.details;
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = target_open(c, c->args[0], !ls.details && !self, &t);
	if (r)
		return r;
	ls.hashed = !t.file.is_file;
	cli_pager(c);
	if (c->json) {
		json_start(&ls.json, stdout, "ls");
		if (ls.hashed)
			json_oid(&ls.json, "commit", &t.rev.commit);
		else
			json_null(&ls.json, "commit");
		json_bytes(&ls.json, "root", t.node.path.data,
			t.node.path.len);
		json_array(&ls.json, "entries");
	}
	if (self)
		put(&ls, t.node.path.len > 1
				? strrchr(buf_str(&t.node.path), '/') + 1
				: "/",
			&t.node.x);
	else
		r = view_walk(t.view, &t.node, &v, &c->err);
	if (c->json && !r) {
		json_array_end(&ls.json);
		json_end(&ls.json);
	}
	return r;
}

const struct command cmd_ls = {
	.name = "ls",
	.synopsis = "REV|IMAGE[:PATH] [-l] [-h] [-p] [-R] [-d] [-z] [--json]",
	.summary = "list files of an image",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
