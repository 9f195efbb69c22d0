/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/json.h"

struct load {
	struct decoration *d;
	const char *prefix;
};

static int add_name(void *ctx, const char *name, const struct oid *id)
{
	struct load *l = ctx;
	struct decoration_name n = { .id = *id };

	if (asprintf(&n.name, "%s%s", l->prefix, name) < 0)
		return ERR_NOMEM;
	if (vec_push(&l->d->names, n))
		return 0;
	free(n.name);
	return ERR_NOMEM;
}

static int by_id(const void *a, const void *b)
{
	const struct decoration_name *x = a, *y = b;
	int c = memcmp(x->id.b, y->id.b, sizeof(x->id.b));

	return c ? c : strcmp(x->name, y->name);
}

bool decoration_wanted(const struct cli *c)
{
	return !c->json && !cli_flag(c, "no-decorate") &&
	       (cli_flag(c, "decorate") || isatty(1));
}

int decoration_load(struct cli *c, struct decoration *out)
{
	struct load l = { out, "" };
	int r = library_ref_list(c->lib, REFS_HEADS, add_name, &l, &c->err);

	l.prefix = "tag: ";
	if (!r)
		r = library_ref_list(c->lib, REFS_TAGS, add_name, &l, &c->err);
	if (out->names.len)
		qsort(out->names.items, out->names.len,
			sizeof(struct decoration_name), by_id);
	return r;
}

void decoration_release(struct decoration *d)
{
	for (size_t i = 0; i < d->names.len; i++)
		free(d->names.items[i].name);
	vec_release(&d->names);
}

static void put_names(struct buf *out, const struct cli *c,
	const struct oid *id, const struct decoration *d)
{
	size_t lo = 0, hi = d ? d->names.len : 0;
	bool any = false;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(d->names.items[mid].id.b, id->b, sizeof(id->b)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; d && lo < d->names.len &&
		oid_equal(&d->names.items[lo].id, id);
		lo++) {
		const char *name = d->names.items[lo].name;

		buf_printf(out, "%s%s%s%s", any ? ", " : " (",
			cli_color(c, !strncmp(name, "tag: ", 5)
					     ? "\033[1;33m"
					     : "\033[1;32m"),
			name, cli_color(c, "\033[0m"));
		any = true;
	}
	if (any)
		buf_addch(out, ')');
}

/* Text that came with a commit, which a peer may have made: on a terminal
 * without control characters. */
static void put_text(struct buf *out, const char *text, size_t len)
{
	bool terminal = isatty(1);

	for (size_t i = 0; i < len;) {
		size_t k = terminal && text[i] != '\t'
				   ? cli_printable(text + i, len - i)
				   : 1;

		if (!k)
			buf_printf(out, "\\x%02x", (unsigned char)text[i++]);
		else
			buf_add(out, text + i, k), i += k;
	}
}

char *text_date(int64_t seconds, char out[64])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
		!strftime(out, 64, "%a %b %e %H:%M:%S %Y +0000", &tm))
		snprintf(out, 64, "%lld", (long long)seconds);
	return out;
}

void text_oneline(struct buf *out, const struct cli *c, const struct oid *id,
	const struct commit *cm, const struct decoration *names)
{
	char hex[OID_HEX + 1];

	buf_printf(out, "%s%.12s%s", cli_color(c, "\033[33m"), oid_hex(id, hex),
		cli_color(c, "\033[0m"));
	put_names(out, c, id, names);
	buf_addch(out, ' ');
	put_text(out, cm->message, strcspn(cm->message, "\n"));
	buf_addch(out, '\n');
}

void text_commit(struct buf *out, const struct cli *c, const struct oid *id,
	const struct commit *cm, const struct decoration *names)
{
	char hex[OID_HEX + 1], date[64];
	const char *p = cm->message;

	buf_printf(out, "%scommit %s%s", cli_color(c, "\033[33m"),
		oid_hex(id, hex), cli_color(c, "\033[0m"));
	put_names(out, c, id, names);
	if (cm->parents.len > 1) {
		buf_addstr(out, "\nMerge:");
		for (size_t i = 0; i < cm->parents.len; i++)
			buf_printf(out, " %.12s",
				oid_hex(&cm->parents.items[i], hex));
	}
	buf_addstr(out, "\nAuthor: ");
	put_text(out, cm->author, strlen(cm->author));
	buf_printf(out, "\nDate:   %s\n", text_date(cm->date, date));
	for (size_t i = 0; i < cm->annotations.len; i++) {
		const struct annotation *a = &cm->annotations.items[i];

		buf_addstr(out, "Note:   ");
		put_text(out, a->key, strlen(a->key));
		buf_addch(out, '=');
		put_text(out, a->value, strcspn(a->value, "\n"));
		buf_addch(out, '\n');
	}
	buf_addch(out, '\n');
	while (*p) {
		size_t n = strcspn(p, "\n");

		if (n)
			buf_addstr(out, "    ");
		put_text(out, p, n);
		buf_addch(out, '\n');
		p += n + (p[n] == '\n');
	}
}

void json_commit(struct json *j, const struct oid *id, const struct commit *cm)
{
	json_oid(j, "id", id);
	json_array(j, "parents");
	for (size_t i = 0; i < cm->parents.len; i++)
		json_oid(j, NULL, &cm->parents.items[i]);
	json_array_end(j);
	json_str(j, "author", cm->author);
	json_time(j, "date", cm->date);
	json_str(j, "message", cm->message);
	json_oid(j, "image", &cm->image);
	json_object(j, "annotations");
	for (size_t i = 0; i < cm->annotations.len; i++)
		json_str(j, cm->annotations.items[i].key,
			cm->annotations.items[i].value);
	json_object_end(j);
}
