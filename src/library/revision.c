/* SPDX-License-Identifier: Apache-2.0 */
/* REV: what names a commit, and what in it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "library/library.h"

void revision_release(struct revision *r)
{
	free(r->branch);
	free(r->volume);
	free(r->path);
	memset(r, 0, sizeof(*r));
}

char *format_time(int64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099 ||
		!strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, 32, "%lld", (long long)seconds);
	return out;
}

static bool relative_date(const char *text, int64_t now, int64_t *out)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = { { "second", 1 }, { "minute", 60 }, { "hour", 3600 },
		{ "day", 86400 }, { "week", 604800 }, { "month", 2629746 },
		{ "year", 31556952 } };
	char *end;
	long long n;

	if (!strcasecmp(text, "now")) {
		*out = now;
		return true;
	}
	if (!strcasecmp(text, "yesterday")) {
		*out = now - 86400;
		return true;
	}
	n = strtoll(text, &end, 10);
	if (end == text || n < 0 || n > 1000000)
		return false;
	while (*end == ' ' || *end == '.')
		end++;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t w = strlen(units[i].name);
		const char *p = end + w;

		if (strncasecmp(end, units[i].name, w) != 0)
			continue;
		if (*p == 's')
			p++;
		while (*p == ' ' || *p == '.')
			p++;
		if (strcasecmp(p, "ago") != 0)
			return false;
		*out = now - n * units[i].seconds;
		return true;
	}
	return false;
}

int parse_date(const char *text, int64_t now, int64_t *out, struct error *e)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
		"%Y-%m-%d" };
	char *end;

	if (relative_date(text, now, out))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { 0 };
		const char *rest = strptime(text, forms[i], &tm);
		int zone = 0, hh, mm;
		char sign;

		if (!rest)
			continue;
		if (*rest == '.') /* fractions of a second */
			rest += 1 + strspn(rest + 1, "0123456789");
		if (*rest == 'Z' || *rest == 'z')
			rest++;
		else if (sscanf(rest, "%c%2d:%2d", &sign, &hh, &mm) == 3 &&
			 (sign == '+' || sign == '-')) {
			zone = (hh * 60 + mm) * (sign == '-' ? -60 : 60);
			rest += 6;
		}
		if (*rest)
			continue;
		*out = timegm(&tm) - zone;
		return 0;
	}
	if (*text) {
		long long v = strtoll(text + (*text == '@'), &end, 10);

		if (!*end && end > text + (*text == '@')) {
			*out = v;
			return 0;
		}
	}
	return error_set(e, ERR_ARG, "'%s' is not a date", text);
}

struct at_log {
	int64_t want; /* index from the newest, or a date */
	bool by_date;
	VEC(struct oid) ids;
	struct oid found, first_old;
	bool have;
	unsigned n;
};

static int see_log(void *ctx, const struct reflog_entry *x)
{
	struct at_log *a = ctx;

	if (!a->n++)
		a->first_old = x->old;
	if (a->by_date) {
		if (x->date <= a->want) {
			a->found = x->id;
			a->have = true;
		}
		return 0;
	}
	return vec_push(&a->ids, x->id) ? 0 : ERR_NOMEM;
}

/* NAME@{N} or NAME@{DATE} */
static int from_reflog(struct library *l, const char *name, const char *at,
	struct oid *out, struct error *e)
{
	struct at_log a = { 0 };
	char *end;
	int r;

	a.want = strtoll(at, &end, 10);
	if (*end || end == at || end - at > 6) {
		a.by_date = true;
		r = parse_date(at, library_now(), &a.want, e);
		if (r)
			return r;
	}
	r = library_reflog(l, REFS_HEADS, name, see_log, &a, e);
	if (!r && a.by_date && !a.have)
		r = error_set(e, ERR_NOTFOUND,
			"the log of %s does not go back to %s", name, at);
	else if (!r && !a.by_date &&
		 (a.want < 0 || (uint64_t)a.want >= a.ids.len))
		r = error_set(e, ERR_NOTFOUND,
			"the log of %s has only %zu entries", name, a.ids.len);
	if (!r)
		*out = a.by_date ? a.found
				 : a.ids.items[a.ids.len - 1 - (size_t)a.want];
	vec_release(&a.ids);
	return r;
}

/* A name without operators. */
static int resolve_name(struct library *l, const char *name, struct oid *out,
	struct error *e)
{
	const char *plain = name;
	struct object_info info;
	int r;

	if (!*name || ref_name_check(name, e))
		return error_set(e, *name ? ERR_NOTFOUND : ERR_ARG,
			"no branch, tag or commit '%s'", name);
	if (!strncmp(name, "refs/heads/", 11) || !strncmp(name, "heads/", 6)) {
		plain = name + (name[0] == 'r' ? 11 : 6);
		if (!library_ref_read(l, REFS_HEADS, plain, out, e))
			return 0;
	}
	if (!strncmp(name, "refs/tags/", 10) || !strncmp(name, "tags/", 5)) {
		plain = name + (name[0] == 'r' ? 10 : 5);
		if (!library_ref_read(l, REFS_TAGS, plain, out, e))
			return 0;
	}
	r = library_ref_read(l, REFS_HEADS, name, out, e);
	if (r == ERR_NOTFOUND)
		r = library_ref_read(l, REFS_TAGS, name, out, e);
	if (r != ERR_NOTFOUND)
		return r;
	if (oid_parse(name, out) &&
		!store_stat(l->store, SPACE_RECORD, out, &info, e) &&
		info.kind == OBJ_COMMIT)
		return 0;
	r = store_resolve_prefix(l->store, OBJ_COMMIT, name, out, e);
	if (r == ERR_NOTFOUND)
		r = error_set(e, ERR_NOTFOUND,
			"no branch, tag or commit '%s'", name);
	return r;
}

static int nth_parent(struct library *l, struct oid *id, unsigned long n,
	struct error *e)
{
	AUTO_COMMIT c = { 0 };
	char hex[OID_HEX + 1];
	int r = library_get_commit(l, id, &c, e);

	if (r || !n)
		return r;
	if (n > c.parents.len)
		return error_set(e, ERR_NOTFOUND,
			"commit %.12s has %zu parent%s, not %lu",
			oid_hex(id, hex), c.parents.len,
			c.parents.len == 1 ? "" : "s", n);
	*id = c.parents.items[n - 1];
	return 0;
}

int library_resolve(struct library *l, const char *rev, struct oid *out,
	struct error *e)
{
	const char *ops = rev + strcspn(rev, "~^@");
	AUTO_FREE char *name = NULL;
	int r;

	while (*ops == '@' && ops[1] != '{')
		ops += 1 + strcspn(ops + 1, "~^@");
	name = strndup(rev, (size_t)(ops - rev));
	if (!name)
		return error_nomem(e);
	if (*ops == '@') {
		const char *end = strchr(ops, '}');
		AUTO_FREE char *at = NULL;

		if (!end)
			return error_set(e, ERR_ARG, "'%s': '@{' without '}'",
				rev);
		at = strndup(ops + 2, (size_t)(end - ops - 2));
		if (!at)
			return error_nomem(e);
		r = ref_name_check(name, e);
		if (!r)
			r = library_ref_read(l, REFS_HEADS, name, out, e);
		if (r)
			return error_set(e, ERR_NOTFOUND, "no branch '%s'",
				name);
		r = from_reflog(l, name, at, out, e);
		ops = end + 1;
	} else {
		r = resolve_name(l, name, out, e);
	}
	while (!r && *ops) {
		char op = *ops++, *end;
		unsigned long n = 1;

		if (op != '~' && op != '^')
			return error_set(e, ERR_ARG, "'%s' is not a revision",
				rev);
		if (*ops >= '0' && *ops <= '9') {
			n = strtoul(ops, &end, 10);
			ops = end;
		}
		if (op == '^')
			r = nth_parent(l, out, n, e);
		for (; op == '~' && n && !r; n--)
			r = nth_parent(l, out, 1, e);
	}
	return r;
}

int revision_split(const char *text, char **out_rev, struct revision *out,
	struct error *e)
{
	size_t depth = 0, n;
	const char *p, *hash;

	memset(out, 0, sizeof(*out));
	out->disk = -1;
	/* A ':' inside @{...} belongs to a date. */
	for (p = text; *p && (*p != ':' || depth); p++)
		depth += *p == '{' ? 1 : 0, depth -= *p == '}' && depth ? 1 : 0;
	n = (size_t)(p - text);
	hash = memchr(text, '#', n);
	if (hash) {
		char *end;
		unsigned long d = strtoul(hash + 1, &end, 10);

		if (end == hash + 1 || end != text + n || d > 4095)
			return error_set(e, ERR_ARG,
				"'%s': '#' wants the number of a disk", text);
		out->disk = (int)d;
		n = (size_t)(hash - text);
	}
	if (*p) {
		const char *path = p + 1, *colon = strchr(path, ':');

		/* REV:p2:/path, but REV:/a:b is a path */
		if (*path != '/' && colon && (colon[1] == '/' || !colon[1])) {
			out->volume = strndup(path, (size_t)(colon - path));
			path = colon + 1;
		}
		out->path = strdup(*path ? path : "/");
		if (!out->path)
			return error_nomem(e);
	}
	*out_rev = strndup(text, n);
	return *out_rev ? 0 : error_nomem(e);
}

int library_revision(struct library *l, const char *text,
	struct revision *out, struct error *e)
{
	AUTO_FREE char *rev = NULL;
	struct oid id;
	int r = revision_split(text, &rev, out, e);

	if (!r)
		r = library_resolve(l, rev, &out->commit, e);
	if (!r && !ref_name_check(rev, NULL) &&
		!library_ref_read(l, REFS_HEADS, rev, &id, NULL))
		out->branch = steal_ptr(rev);
	if (r)
		revision_release(out);
	return r;
}
