/* SPDX-License-Identifier: Apache-2.0 */
/* Names of commits, and the log of what they were. */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>
#include <string.h>
#include <unistd.h>
#include "library/library.h"

int64_t library_now(void)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");

	if (s && *s) {
		char *end;
		long long v = strtoll(s, &end, 10);

		if (!*end)
			return v;
	}
	return time(NULL);
}

char *library_author(void)
{
	const char *s = getenv("STRATA_AUTHOR");
	AUTO_BUF b = BUF_INIT;
	char host[256] = "localhost";
	struct passwd *pw;

	if (s && *s)
		return strdup(s);
	pw = getpwuid(geteuid());
	s = pw ? pw->pw_name : getenv("USER");
	if (!s || !*s)
		s = "unknown";
	gethostname(host, sizeof(host) - 1);
	buf_printf(&b, "%s <%s@%s>", s, s, host);
	return buf_steal(&b);
}

int ref_name_check(const char *name, struct error *e)
{
	size_t n = strlen(name);
	const char *why = NULL;

	if (!n)
		why = "it is empty";
	else if (n > 200)
		why = "it is longer than 200 bytes";
	else if (name[0] == '-')
		why = "it starts with '-'";
	else if (name[0] == '/' || name[n - 1] == '/' || strstr(name, "//"))
		why = "it has an empty component";
	else if (name[0] == '.' || strstr(name, "/."))
		why = "a component starts with '.'";
	else if (name[n - 1] == '.' || strstr(name, ".."))
		why = "it holds '..' or ends with '.'";
	else if (strstr(name, ".lock/") ||
		 (n >= 5 && !strcmp(name + n - 5, ".lock")))
		why = "a component ends with '.lock'";
	else if (strstr(name, "@{") || !strcmp(name, "@") ||
		 !strcmp(name, "HEAD"))
		why = "it has a meaning of its own";
	for (const char *p = name; !why && *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 127 ||
			strchr("~^:?*[\\#", *p))
			why = "it holds a character that REV gives a meaning";
	return why ? error_set(e, ERR_ARG, "'%s' cannot be a name: %s", name,
			     why)
		   : 0;
}

static int parse_value(const char *name, const char *value, struct oid *out,
	struct error *e)
{
	return oid_parse(value, out)
		       ? 0
		       : error_set(e, ERR_DAMAGED,
				 "library: the ref %s is damaged", name);
}

int library_ref_read(struct library *l, const char *prefix, const char *name,
	struct oid *out, struct error *e)
{
	AUTO_BUF path = BUF_INIT, value = BUF_INIT;
	int r;

	buf_printf(&path, "%s/%s", prefix, name);
	r = l->be->ops->ref_read(l->be, buf_str(&path), &value, e);
	return r ? r : parse_value(name, buf_str(&value), out, e);
}

int library_ref_update(struct library *l, const char *prefix, const char *name,
	const struct oid *old, bool any, const struct oid *id,
	const char *reason, struct error *e)
{
	AUTO_BUF path = BUF_INIT, line = BUF_INIT;
	char old_hex[OID_HEX + 1], hex[OID_HEX + 1];
	AUTO_FREE char *author = library_author();
	struct oid now = { { 0 } };
	int r;

	if (any && !library_ref_read(l, prefix, name, &now, e))
		old = &now;
	else if (any)
		old = NULL;
	buf_printf(&path, "%s/%s", prefix, name);
	buf_printf(&line, "%s %s %" PRId64 " ",
		old ? oid_hex(old, old_hex) : oid_hex(&now, old_hex),
		id ? oid_hex(id, hex) : "-", library_now());
	/* author, a tab, the reason; neither may break the line */
	for (const char *p = author ? author : "?"; *p; p++)
		buf_addch(&line, (unsigned char)*p < ' ' ? ' ' : *p);
	buf_addch(&line, '\t');
	for (const char *p = reason ? reason : ""; *p; p++)
		buf_addch(&line, (unsigned char)*p < ' ' ? ' ' : *p);
	/* a checksum, so that verify finds a byte that changed */
	{
		uint64_t sum = checksum64(line.data, line.len);

		buf_printf(&line, "\t%016" PRIx64, sum);
	}
	if (line.oom)
		return error_nomem(e);
	r = l->be->ops->ref_update(l->be, buf_str(&path),
		old ? old_hex : NULL, id ? hex : NULL,
		id ? buf_str(&line) : NULL, e);
	if (r == ERR_CONFLICT)
		error_prefix(e, "cannot update");
	return r;
}

struct list_ctx {
	library_ref_fn fn;
	void *ctx;
	struct error *e;
};

static int list_one(void *ctx, const char *name, const char *value)
{
	struct list_ctx *c = ctx;
	struct oid id;
	int r = parse_value(name, value, &id, c->e);

	return r ? r : c->fn(c->ctx, name, &id);
}

int library_ref_list(struct library *l, const char *prefix, library_ref_fn fn,
	void *ctx, struct error *e)
{
	struct list_ctx c = { fn, ctx, e };

	return l->be->ops->ref_list(l->be, prefix, list_one, &c, e);
}

/* One line, without its newline, which is changed to hold the strings; false
 * where it is damaged. */
static bool reflog_parse(char *p, struct reflog_entry *x)
{
	size_t n = strlen(p);
	char *end, *tab = strrchr(p, '\t');
	char sum[17];

	if (n < 2 * OID_HEX + 3 || p[OID_HEX] != ' ' ||
		p[2 * OID_HEX + 1] != ' ' || !tab)
		return false;
	snprintf(sum, sizeof(sum), "%016" PRIx64,
		checksum64(p, (size_t)(tab - p)));
	if (strcmp(sum, tab + 1) != 0)
		return false;
	*tab = 0;
	if (!hex_decode(p, 32, x->old.b) ||
		!hex_decode(p + OID_HEX + 1, 32, x->id.b))
		return false;
	x->date = strtoll(p + 2 * OID_HEX + 2, &end, 10);
	tab = strchr(end, '\t');
	if (*end != ' ' || !tab)
		return false;
	*tab = 0;
	x->author = end + 1;
	x->reason = tab + 1;
	return true;
}

int library_reflog_check(struct library *l, const char *prefix,
	const char *name, library_reflog_fn fn,
	int (*bad)(void *ctx, unsigned line), void *ctx, struct error *e)
{
	AUTO_BUF path = BUF_INIT, text = BUF_INIT;
	unsigned line = 0;
	size_t at = 0;
	int r;

	buf_printf(&path, "%s/%s", prefix, name);
	r = l->be->ops->ref_log(l->be, buf_str(&path), &text, e);
	if (r)
		return r;
	while (at < text.len && !r) {
		char *p = (char *)text.data + at;
		char *nl = memchr(p, '\n', text.len - at);
		struct reflog_entry x = { 0 };

		line++;
		if (!nl) {
			/* Cut short by a crash, unless it is whole and just its
			 * newline is another byte. */
			text.data[text.len - 1] = 0;
			if (bad && reflog_parse(p, &x))
				r = bad(ctx, line);
			break;
		}
		at = (size_t)(nl - (char *)text.data) + 1;
		*nl = 0;
		if (strlen(p) == (size_t)(nl - p) && reflog_parse(p, &x))
			r = fn ? fn(ctx, &x) : 0;
		else if (bad)
			r = bad(ctx, line);
	}
	return r;
}

int library_reflog(struct library *l, const char *prefix, const char *name,
	library_reflog_fn fn, void *ctx, struct error *e)
{
	return library_reflog_check(l, prefix, name, fn, NULL, ctx, e);
}
