/* SPDX-License-Identifier: Apache-2.0 */
#include "model/commit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARENTS 64
#define MAX_ANNOTATIONS 4096

void commit_release(struct commit *c)
{
	free(c->author);
	free(c->message);
	for (size_t i = 0; i < c->annotations.len; i++) {
		free(c->annotations.items[i].key);
		free(c->annotations.items[i].value);
	}
	vec_release(&c->annotations);
	vec_release(&c->parents);
	memset(c, 0, sizeof(*c));
}

int commit_annotate(struct commit *c, const char *key, const char *value,
	struct error *e)
{
	struct annotation a;
	size_t i;

	if (!*key)
		return error_set(e, ERR_ARG, "an annotation needs a name");
	for (const char *p = key; *p; p++)
		if (*p == '=' || (unsigned char)*p < ' ')
			return error_set(e, ERR_ARG,
				"'%s' cannot be an annotation's name", key);
	a.key = strdup(key);
	a.value = strdup(value);
	if (!a.key || !a.value)
		goto nomem;
	for (i = 0; i < c->annotations.len; i++) {
		struct annotation *x = &c->annotations.items[i];
		int d = strcmp(x->key, key);

		if (!d) {
			free(x->key);
			free(x->value);
			*x = a;
			return 0;
		}
		if (d > 0)
			break;
	}
	if (c->annotations.len >= MAX_ANNOTATIONS) {
		free(a.key);
		free(a.value);
		return error_set(e, ERR_LIMIT, "over %d annotations",
			MAX_ANNOTATIONS);
	}
	if (!vec_push(&c->annotations, a))
		goto nomem;
	memmove(&c->annotations.items[i + 1], &c->annotations.items[i],
		(c->annotations.len - 1 - i) * sizeof(a));
	c->annotations.items[i] = a;
	return 0;
nomem:
	free(a.key);
	free(a.value);
	return error_nomem(e);
}

const char *commit_annotation(const struct commit *c, const char *key)
{
	for (size_t i = 0; i < c->annotations.len; i++)
		if (!strcmp(c->annotations.items[i].key, key))
			return c->annotations.items[i].value;
	return NULL;
}

static void put_escaped(struct buf *b, const char *s)
{
	for (; *s; s++)
		if (*s == '%' || (unsigned char)*s < ' ' || *s == 127)
			buf_printf(b, "%%%02X", (unsigned char)*s);
		else
			buf_addch(b, *s);
}

static char *get_escaped(const char *s, size_t n)
{
	AUTO_BUF b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		uint8_t v = (uint8_t)s[i];

		if (v == '%') {
			if (n - i < 3 || !hex_decode(s + i + 1, 1, &v) || !v)
				return NULL;
			i += 2;
		}
		buf_addch(&b, (char)v);
	}
	return buf_steal(&b);
}

int commit_encode(const struct commit *c, struct buf *out, struct error *e)
{
	char hex[OID_HEX + 1];

	buf_printf(out, "commit 1\nimage %s\n", oid_hex(&c->image, hex));
	for (size_t i = 0; i < c->parents.len; i++)
		buf_printf(out, "parent %s\n",
			oid_hex(&c->parents.items[i], hex));
	buf_addstr(out, "author ");
	put_escaped(out, c->author ? c->author : "");
	buf_printf(out, "\ndate %" PRId64 "\n", c->date);
	for (size_t i = 0; i < c->annotations.len; i++) {
		buf_addstr(out, "annotation ");
		put_escaped(out, c->annotations.items[i].key);
		buf_addch(out, '=');
		put_escaped(out, c->annotations.items[i].value);
		buf_addch(out, '\n');
	}
	buf_addch(out, '\n');
	buf_addstr(out, c->message ? c->message : "");
	buf_addch(out, '\n');
	return out->oom ? error_nomem(e) : 0;
}

static bool after(const char *line, size_t n, const char *word,
	const char **rest, size_t *rest_len)
{
	size_t w = strlen(word);

	if (n < w || memcmp(line, word, w) != 0)
		return false;
	*rest = line + w;
	*rest_len = n - w;
	return true;
}

static bool get_id(const char *s, size_t n, struct oid *out)
{
	return n == OID_HEX && hex_decode(s, 32, out->b);
}

/* One header line; false where it is not a valid one. */
static bool header(struct commit *c, const char *line, size_t n, unsigned *seen)
{
	const char *p;
	size_t len;
	struct oid id;
	enum { IMAGE = 1, AUTHOR = 2, DATE = 4 };

	if (after(line, n, "image ", &p, &len)) {
		*seen |= IMAGE;
		return get_id(p, len, &c->image);
	}
	if (after(line, n, "parent ", &p, &len))
		return c->parents.len < MAX_PARENTS && get_id(p, len, &id) &&
		       vec_push(&c->parents, id);
	if (after(line, n, "author ", &p, &len)) {
		*seen |= AUTHOR;
		free(c->author);
		c->author = get_escaped(p, len);
		return c->author != NULL;
	}
	if (after(line, n, "date ", &p, &len)) {
		char num[24], *end;

		if (len >= sizeof(num))
			return false;
		memcpy(num, p, len);
		num[len] = 0;
		errno = 0;
		c->date = strtoll(num, &end, 10);
		*seen |= DATE;
		return !errno && !*end && len;
	}
	if (after(line, n, "annotation ", &p, &len)) {
		const char *eq = memchr(p, '=', len);
		char *k, *v;
		bool ok;

		if (!eq)
			return false;
		k = get_escaped(p, (size_t)(eq - p));
		v = get_escaped(eq + 1, len - (size_t)(eq + 1 - p));
		ok = k && v && !commit_annotate(c, k, v, NULL);
		free(k);
		free(v);
		return ok;
	}
	/* A line of a later version that does not change what the rest means. */
	return after(line, n, "x-", &p, &len);
}

int commit_decode(const void *data, size_t len, struct commit *out,
	struct error *e)
{
	const char *p = data, *end = p + len;
	unsigned seen = 0;

	memset(out, 0, sizeof(*out));
	if (len < 9 || memcmp(p, "commit ", 7) != 0)
		goto damaged;
	if (memcmp(p, "commit 1\n", 9) != 0)
		return error_set(e, ERR_UNSUPPORTED,
			"a commit of another version: made by a newer strata");
	p += 9;
	for (;;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (!nl)
			goto damaged;
		if (nl == p)
			break;
		if (!header(out, p, (size_t)(nl - p), &seen))
			goto damaged;
		p = nl + 1;
	}
	p++;
	if (seen != 7 || p >= end || end[-1] != '\n' ||
		memchr(p, 0, (size_t)(end - p)))
		goto damaged;
	out->message = strndup(p, (size_t)(end - 1 - p));
	if (!out->message) {
		commit_release(out);
		return error_nomem(e);
	}
	return 0;
damaged:
	commit_release(out);
	return error_set(e, ERR_CORRUPT, "a commit record is damaged");
}
