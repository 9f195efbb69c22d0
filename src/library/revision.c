/* SPDX-License-Identifier: Apache-2.0 */
/* REV: what names a commit, and what in it. */
#include <stdlib.h>
#include <string.h>
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

struct at_log {
	int64_t want; /* index from the newest, or a date */
	bool by_date;
	VEC(struct oid) ids;
	struct oid found, first, first_old;
	int64_t first_date;
	bool have;
	unsigned n;
};

static int see_log(void *ctx, const struct reflog_entry *x)
{
	struct at_log *a = ctx;

	if (!a->n++) {
		a->first = x->id;
		a->first_old = x->old;
		a->first_date = x->date;
	}
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
	char *end, date[32];
	int r;

	a.want = strtoll(at, &end, 10);
	if (*end || end == at || end - at > 6) {
		a.by_date = true;
		r = parse_date(at, library_now(), &a.want, e);
		if (r)
			return r;
	}
	r = library_reflog(l, REFS_HEADS, name, see_log, &a, e);
	if (!r && a.by_date && !a.have && a.n) {
		/* as git: the oldest that is known, and a word about it */
		library_warn(l, "the log of %s only goes back to %s", name,
			format_time(a.first_date, date));
		a.found = oid_is_zero(&a.first_old) ? a.first : a.first_old;
	} else if (!r && a.by_date && !a.have)
		r = error_set(e, ERR_NOTFOUND, "%s: its log is empty", name);
	else if (!r && !a.by_date &&
		 (a.want < 0 || (uint64_t)a.want >= a.ids.len))
		r = error_set(e, ERR_NOTFOUND,
			"%s@{%s}: the log of %s has only %zu entries", name, at,
			name, a.ids.len);
	if (!r)
		*out = a.by_date ? a.found
				 : a.ids.items[a.ids.len - 1 - (size_t)a.want];
	vec_release(&a.ids);
	return r;
}

static int no_name(const char *name, struct error *e)
{
	return error_set(e, *name ? ERR_NOTFOUND : ERR_ARG,
		"%s: no branch, tag or commit of this name",
		*name ? name : "''");
}

/* "refs/heads/x", "heads/x", "refs/tags/x", "tags/x". NOTFOUND. */
static int full_name(struct library *l, const char *name, struct oid *out,
	struct error *e)
{
	static const struct {
		const char *start, *prefix;
	} forms[] = { { "refs/heads/", REFS_HEADS }, { "heads/", REFS_HEADS },
		{ "refs/tags/", REFS_TAGS }, { "tags/", REFS_TAGS } };
	int r = ERR_NOTFOUND;

	for (size_t i = 0; i < ARRAY_LEN(forms) && r == ERR_NOTFOUND; i++) {
		size_t n = strlen(forms[i].start);

		if (!strncmp(name, forms[i].start, n) && name[n])
			r = library_ref_read(l, forms[i].prefix, name + n, out,
				e);
	}
	return r;
}

static bool is_commit(struct library *l, const struct oid *id)
{
	struct object_info info;

	return !store_stat(l->store, SPACE_RECORD, id, &info, NULL) &&
	       info.kind == OBJ_COMMIT;
}

/* A name without operators: a commit's full id, a branch, a tag, the beginning
 * of an id. */
static int resolve_name(struct library *l, const char *name, struct oid *out,
	struct error *e)
{
	struct oid tag;
	int r;

	if (!*name || ref_name_check(name, NULL))
		return no_name(name, e);
	/* A full id always is the commit, whatever a branch is called. */
	if (oid_parse(name, out) && is_commit(l, out))
		return 0;
	r = full_name(l, name, out, e);
	if (r == ERR_NOTFOUND) {
		r = library_ref_read(l, REFS_HEADS, name, out, e);
		if (!r && !library_ref_read(l, REFS_TAGS, name, &tag, NULL) &&
			!oid_equal(out, &tag))
			library_warn(l, "%s: a branch and a tag; the branch is "
					"taken (tags/%s is the tag)",
				name, name);
	}
	if (r == ERR_NOTFOUND)
		r = library_ref_read(l, REFS_TAGS, name, out, e);
	if (r != ERR_NOTFOUND)
		return r;
	r = store_resolve_prefix(l->store, OBJ_COMMIT, name, out, e);
	return r == ERR_NOTFOUND ? no_name(name, e) : r;
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
			return error_set(e, ERR_ARG, "%s: '@{' without '}'",
				rev);
		at = strndup(ops + 2, (size_t)(end - ops - 2));
		if (!at)
			return error_nomem(e);
		if (!*name)
			return error_set(e, ERR_ARG,
				"%s: of which branch? (none is checked out)",
				rev);
		r = ref_name_check(name, e);
		if (!r)
			r = library_ref_read(l, REFS_HEADS, name, out, e);
		if (r)
			return error_set(e, ERR_NOTFOUND,
				"%s: no branch of this name", name);
		r = from_reflog(l, name, at, out, e);
		ops = end + 1;
	} else {
		r = resolve_name(l, name, out, e);
	}
	while (!r && *ops) {
		char op = *ops++, *end;
		unsigned long n = 1;

		if (op != '~' && op != '^')
			return error_set(e, ERR_ARG, "%s: not a revision", rev);
		/* All that is named is a commit already. */
		if (op == '^' && !strncmp(ops, "{}", 2)) {
			ops += 2;
			continue;
		}
		if (op == '^' && !strncmp(ops, "{commit}", 8)) {
			ops += 8;
			continue;
		}
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
				"%s: '#' wants the number of a disk", text);
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
