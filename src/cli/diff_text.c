/* SPDX-License-Identifier: Apache-2.0 */
/* diff -p and --stat: changed files line by line, in git's format. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "change/textdiff.h"
#include "cli/diff_private.h"

/* One version of a file, as a patch sees it. */
struct version {
	const struct entry *x; /* NULL: not there */
	struct buf data;
	bool binary;  /* not shown line by line */
	bool unknown; /* the content cannot be had */
	struct oid id;
};

/* Folders, devices and their like are not in patches, as in git. */
static bool in_patches(const struct entry *x)
{
	return x && (x->type == ENTRY_FILE || x->type == ENTRY_SYMLINK);
}

static unsigned git_mode(const struct entry *x)
{
	return x->type == ENTRY_SYMLINK ? 0120000 : 0100000 | x->mode;
}

/* "etc/passwd" below where the side begins, as a path of its view. */
static void full_path(const struct side *s, const char *rel, struct buf *out)
{
	buf_add(out, s->node.path.data, s->node.path.len);
	if (out->len && out->data[out->len - 1] == '/')
		out->len--;
	if (*rel)
		buf_addch(out, '/');
	buf_addstr(out, rel);
}

static int load(struct diff *d, int i, const char *rel, unsigned mount,
	struct version *v)
{
	struct side *s = &d->side[i];
	AUTO_BUF path = BUF_INIT;
	AUTO_SOURCE src = NULL;
	AUTO_NODE node = { 0 };
	struct error err = { 0 };
	size_t n;
	uint8_t *p;
	int r;

	if (!v->x)
		return 0;
	if (v->x->type == ENTRY_SYMLINK) {
		buf_add(&v->data, v->x->target.data, v->x->target.len);
		sha256(v->data.data, v->data.len, &v->id);
		return v->data.oom ? error_nomem(&d->c->err) : 0;
	}
	v->id = v->x->id;
	full_path(s, rel, &path);
	if (s->is_file) {
		/* The change has the content's id, not the reader's handle. */
		r = view_lookup(s->view, buf_str(&path), false, &node, &err);
		if (!r)
			r = view_open_file(s->view, node.mount, buf_str(&path),
				&node.x, &src, &err);
	} else {
		r = view_open_file(s->view, mount, buf_str(&path), v->x, &src,
			&err);
	}
	if (r == ERR_NOMEM || r == ERR_DAMAGED)
		goto fail;
	if (r) {
		v->binary = v->unknown = true;
		return 0;
	}
	/* The beginning tells whether the rest is wanted. */
	n = (size_t)u64_min(8000, src->size);
	p = buf_grow(&v->data, n);
	r = p || !n ? source_pread(src, p, n, 0, &err) : error_nomem(&err);
	v->binary = src->size > LIMIT_DIFF_TEXT ||
		    text_is_binary((struct view){ v->data.data, v->data.len });
	if (!r && !v->binary && src->size > n) {
		p = buf_grow(&v->data, (size_t)src->size - n);
		r = p ? source_pread(src, p, (size_t)src->size - n, n, &err)
		      : error_nomem(&err);
	}
	if (r == ERR_NOMEM || r == ERR_DAMAGED)
		goto fail;
	if (r)
		v->binary = v->unknown = true;
	return 0;
fail:
	d->c->err = err;
	return r;
}

static int load_both(struct diff *d, const struct diff_change *ch,
	struct version v[2])
{
	int r = 0;

	v[0].x = ch->old;
	v[1].x = ch->new;
	for (int i = 0; i < 2 && !r; i++)
		r = load(d, i, i ? ch->path : ch->old_path,
			i ? ch->new_mount : ch->old_mount, &v[i]);
	return r;
}

/* 0: *out is the diff; LIMIT: too long for one. */
static int compare(struct diff *d, const struct version v[2],
	struct text_diff *out)
{
	return text_diff((struct view){ v[0].data.data, v[0].data.len },
		(struct view){ v[1].data.data, v[1].data.len }, out,
		&d->c->err);
}

/* --- the patch --- */

/* As git writes names that hold anything unusual. */
static void put_name(const char *prefix, const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	bool plain = true;

	for (; *p; p++)
		plain &= *p >= ' ' && *p < 127 && *p != '"' && *p != '\\';
	if (plain) {
		printf("%s%s", prefix, name);
		return;
	}
	printf("\"%s", prefix);
	for (p = (const unsigned char *)name; *p; p++) {
		static const char from[] = "\a\b\t\n\v\f\r\"\\";
		static const char to[] = "abtnvfr\"\\";
		const char *at = strchr(from, *p);

		if (at)
			printf("\\%c", to[at - from]);
		else if (*p < ' ' || *p >= 127)
			printf("\\%03o", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

struct put {
	struct diff *d;
};

static int put_line(void *ctx, char kind, const void *line, size_t len)
{
	struct cli *c = ((struct put *)ctx)->d->c;
	const char *on = cli_color(c, kind == '@'   ? "\033[36m"
				      : kind == '-' ? "\033[31m"
				      : kind == '+' ? "\033[32m"
						    : "");

	fputs(on, stdout);
	if (kind != '@')
		putchar_unlocked(kind);
	/* A header's heading is text of the guest, and so are lines. */
	cli_put_text(stdout, line, len);
	if (*on)
		fputs("\033[0m", stdout);
	putchar_unlocked('\n');
	return ferror(stdout) ? ERR_IO : progress_check(&c->progress, &c->err);
}

static void put_side(const char *mark, const char *prefix, const char *name,
	const struct version *v)
{
	fputs(mark, stdout);
	if (v->x)
		put_name(prefix, name);
	else
		fputs("/dev/null", stdout);
	/* git puts a tab behind names with blanks, for patch(1) */
	if (v->x && strchr(name, ' '))
		putchar('\t');
	putchar('\n');
}

static void put_head(struct diff *d, const struct diff_change *ch,
	const struct version v[2], bool content)
{
	const struct entry *x = v[0].x, *y = v[1].x;
	const char *on = cli_color(d->c, "\033[1m");
	char a[OID_HEX + 1], b[OID_HEX + 1];

	printf("%sdiff --git ", on);
	put_name("a/", diff_name(d, 0, ch->old_path));
	putchar(' ');
	put_name("b/", diff_name(d, 1, ch->path));
	putchar('\n');
	if (!x)
		printf("new file mode %06o\n", git_mode(y));
	else if (!y)
		printf("deleted file mode %06o\n", git_mode(x));
	else if (git_mode(x) != git_mode(y))
		printf("old mode %06o\nnew mode %06o\n", git_mode(x),
			git_mode(y));
	if (ch->status == DIFF_RENAMED) {
		fputs("similarity index 100%\nrename from ", stdout);
		put_name("", ch->old_path);
		fputs("\nrename to ", stdout);
		put_name("", ch->path);
		putchar('\n');
	}
	if (content) {
		printf("index %.12s..%.12s",
			x ? oid_hex(&v[0].id, a) : "000000000000",
			y ? oid_hex(&v[1].id, b) : "000000000000");
		if (x && y && git_mode(x) == git_mode(y))
			printf(" %06o", git_mode(x));
		putchar('\n');
	}
	if (*on)
		fputs("\033[0m", stdout);
}

static int put_one(struct diff *d, const struct diff_change *ch)
{
	__attribute__((cleanup(text_diff_release))) struct text_diff t = { 0 };
	struct version v[2] = { { 0 }, { 0 } };
	struct put p = { d };
	bool content;
	int r = load_both(d, ch, v);

	if (r)
		goto out;
	content = !v[0].x || !v[1].x ||
		  ch->changed & (DIFF_CONTENT | DIFF_TARGET);
	if (!content && ch->status != DIFF_RENAMED &&
		git_mode(v[0].x) == git_mode(v[1].x))
		goto out;
	put_head(d, ch, v, content);
	if (!content || (!v[0].data.len && !v[1].data.len && !v[0].unknown &&
				!v[1].unknown))
		goto out;
	if (!v[0].binary && !v[1].binary) {
		r = compare(d, v, &t);
		if (!r) {
			put_side("--- ", "a/",
				diff_name(d, 0, ch->old_path), &v[0]);
			put_side("+++ ", "b/",
				diff_name(d, 1, ch->path), &v[1]);
			r = text_diff_unified(&t, 3, put_line, &p);
			goto out;
		}
		if (r != ERR_LIMIT)
			goto out;
		r = 0;
	}
	fputs("Binary files ", stdout);
	if (v[0].x)
		put_name("a/", diff_name(d, 0, ch->old_path));
	else
		fputs("/dev/null", stdout);
	fputs(" and ", stdout);
	if (v[1].x)
		put_name("b/", diff_name(d, 1, ch->path));
	else
		fputs("/dev/null", stdout);
	fputs(" differ\n", stdout);
out:
	buf_release(&v[0].data);
	buf_release(&v[1].data);
	return r;
}

/* A file that became another type of file goes, and comes anew. */
static int each(struct diff *d, const struct diff_change *ch,
	int (*fn)(struct diff *d, const struct diff_change *ch))
{
	struct diff_change c = *ch;
	int r = 0;

	if (!in_patches(c.old))
		c.old = NULL;
	if (!in_patches(c.new))
		c.new = NULL;
	if (ch->status != DIFF_TYPE)
		return c.old || c.new ? fn(d, &c) : 0;
	c.new = NULL;
	if (c.old)
		r = fn(d, &c);
	c.old = NULL;
	c.new = ch->new;
	return r || !in_patches(c.new) ? r : fn(d, &c);
}

int diff_put_patch(struct diff *d, const struct diff_change *ch)
{
	return each(d, ch, put_one);
}

/* --- counts --- */

static int count_one(struct diff *d, const struct diff_change *ch)
{
	__attribute__((cleanup(text_diff_release))) struct text_diff t = { 0 };
	struct version v[2] = { { 0 }, { 0 } };
	struct diff_stat s = { .path = d->stat_paths.len };
	bool content = !ch->old || !ch->new ||
		       ch->changed & (DIFF_CONTENT | DIFF_TARGET);
	int r = content ? load_both(d, ch, v) : 0;

	if (!r && content && !v[0].binary && !v[1].binary) {
		r = compare(d, v, &t);
		s.deleted = t.deleted;
		s.inserted = t.inserted;
		if (r == ERR_LIMIT) {
			v[0].binary = true;
			r = 0;
		}
	}
	if (v[0].binary || v[1].binary) {
		s.binary = true;
		s.deleted = ch->old ? ch->old->size : 0;
		s.inserted = ch->new ? ch->new->size : 0;
	}
	if (ch->status == DIFF_RENAMED)
		buf_printf(&d->stat_paths, "%s => ", ch->old_path);
	buf_addstr(&d->stat_paths, diff_name(d, 1, ch->path));
	buf_addch(&d->stat_paths, 0);
	/* A change of times and owners alone is nothing that is counted. */
	if (!r && (content || ch->status == DIFF_RENAMED ||
			  ch->changed & DIFF_MODE) &&
		!vec_push(&d->stats, s))
		r = error_nomem(&d->c->err);
	buf_release(&v[0].data);
	buf_release(&v[1].data);
	return r;
}

int diff_count(struct diff *d, const struct diff_change *ch)
{
	return each(d, ch, count_one);
}

static void put_graph(struct cli *c, uint64_t ins, uint64_t del, uint64_t max)
{
	const unsigned room = 40;
	uint64_t a = ins, b = del;

	if (max > room) {
		a = ins ? u64_max(1, ins * room / max) : 0;
		b = del ? u64_max(1, del * room / max) : 0;
	}
	fputs(cli_color(c, "\033[32m"), stdout);
	while (a--)
		putchar_unlocked('+');
	fputs(cli_color(c, "\033[31m"), stdout);
	while (b--)
		putchar_unlocked('-');
	fputs(cli_color(c, "\033[0m"), stdout);
}

void diff_put_stats(struct diff *d)
{
	const char *paths = buf_str(&d->stat_paths);
	uint64_t ins = 0, del = 0, max = 0;
	size_t width = 0;

	for (size_t i = 0; i < d->stats.len; i++) {
		const struct diff_stat *s = &d->stats.items[i];

		width = u64_max(width, strlen(paths + s->path));
		if (s->binary)
			continue;
		ins += s->inserted;
		del += s->deleted;
		max = u64_max(max, s->inserted + s->deleted);
	}
	width = size_min(width, 60);
	for (size_t i = 0; i < d->stats.len; i++) {
		const struct diff_stat *s = &d->stats.items[i];
		const char *name = paths + s->path;
		size_t n = strlen(name);

		putchar(' ');
		cli_put_name(stdout, name, n);
		printf("%*s | ", n < width ? (int)(width - n) : 0, "");
		if (s->binary) {
			printf("Bin %" PRIu64 " -> %" PRIu64 " bytes\n",
				s->deleted, s->inserted);
			continue;
		}
		printf("%" PRIu64 "%s", s->inserted + s->deleted,
			s->inserted + s->deleted ? " " : "");
		put_graph(d->c, s->inserted, s->deleted, max);
		putchar('\n');
	}
	if (!d->stats.len)
		return;
	printf(" %zu file%s changed", d->stats.len,
		d->stats.len == 1 ? "" : "s");
	if (ins || !del)
		printf(", %" PRIu64 " insertion%s(+)", ins,
			ins == 1 ? "" : "s");
	if (del || !ins)
		printf(", %" PRIu64 " deletion%s(-)", del,
			del == 1 ? "" : "s");
	putchar('\n');
}
