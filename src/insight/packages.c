/* SPDX-License-Identifier: Apache-2.0 */
#include "insight/packages.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"

void packages_release(struct packages *p)
{
	vec_release(&p->items);
	strings_release(&p->strings);
	memset(p, 0, sizeof(*p));
}

static int push(struct packages *out, struct package *x, struct error *e)
{
	if (out->items.len >= LIMIT_PACKAGES)
		return error_set(e, ERR_LIMIT, "more than %d packages",
			LIMIT_PACKAGES);
	if (!x->source || !*x->source)
		x->source = x->name;
	if (!x->source_version || !*x->source_version)
		x->source_version = x->version;
	out->installed += x->installed;
	if (out->strings.oom || !vec_push(&out->items, *x))
		return error_nomem(e);
	return 0;
}

/* --- texts of records that end at an empty line --- */

struct format {
	struct package fresh; /* what a record begins as */
	/* a line of the record */
	void (*field)(struct packages *out, struct package *x, struct view line);
};

static int record_end(struct packages *out, const struct format *f,
	struct package *x, struct error *e)
{
	int r = 0;

	if (*x->name && *x->version && strcmp(x->status, "not-installed") != 0)
		r = push(out, x, e);
	*x = f->fresh;
	return r;
}

static int parse_records(struct view text, const struct format *f,
	struct packages *out, struct error *e)
{
	struct cursor c = cursor_make(text.data, text.len);
	struct package x = f->fresh;
	struct view line;
	int r = 0;

	while (!r && text_line(&c, &line)) {
		if (line.len)
			f->field(out, &x, line);
		else
			r = record_end(out, f, &x, e);
	}
	return r ? r : record_end(out, f, &x, e);
}

/* --- dpkg: deb-control(5), "Status: want flag status" --- */

static bool same_key(struct view v, const char *key)
{
	return v.len == strlen(key) &&
	       !strncasecmp((const char *)v.data, key, v.len);
}

static void dpkg_status(struct packages *out, struct package *x,
	struct view value)
{
	struct cursor c = cursor_make(value.data, value.len);
	struct view want, flag, status;

	if (!text_word(&c, &want) || !text_word(&c, &flag) ||
		!text_word(&c, &status))
		return;
	x->status = strings_add(&out->strings, status);
	x->installed = !view_is(status, "config-files") &&
		       !view_is(status, "not-installed");
}

/* "name (version)" */
static void dpkg_source(struct packages *out, struct package *x,
	struct view value)
{
	struct cursor c = cursor_make(value.data, value.len);
	struct view name, version;

	if (!text_word(&c, &name))
		return;
	x->source = strings_add(&out->strings, name);
	if (text_word(&c, &version) && version.len > 2 &&
		version.data[0] == '(' &&
		version.data[version.len - 1] == ')')
		x->source_version = strings_add(&out->strings,
			(struct view){ version.data + 1, version.len - 2 });
}

static void dpkg_field(struct packages *out, struct package *x,
	struct view line)
{
	const uint8_t *colon = memchr(line.data, ':', line.len);
	struct view key, value;

	if (line.data[0] == ' ' || line.data[0] == '\t' || !colon)
		return; /* the first two go on with the field above */
	key = (struct view){ line.data, (size_t)(colon - line.data) };
	value = view_trim((struct view){ colon + 1, line.len - key.len - 1 });
	if (same_key(key, "Package"))
		x->name = strings_add(&out->strings, value);
	else if (same_key(key, "Version"))
		x->version = strings_add(&out->strings, value);
	else if (same_key(key, "Architecture"))
		x->architecture = strings_add(&out->strings, value);
	else if (same_key(key, "Status"))
		dpkg_status(out, x, value);
	else if (same_key(key, "Source"))
		dpkg_source(out, x, value);
}

int packages_parse_dpkg(struct view text, struct packages *out,
	struct error *e)
{
	static const struct format dpkg = { { "", "", "", "", "", "", false },
		dpkg_field };

	return parse_records(text, &dpkg, out, e);
}

/* --- apk: one letter, a colon, the value --- */

static void apk_field(struct packages *out, struct package *x,
	struct view line)
{
	struct view value;

	if (line.len < 2 || line.data[1] != ':')
		return;
	value = (struct view){ line.data + 2, line.len - 2 };
	if (line.data[0] == 'P')
		x->name = strings_add(&out->strings, value);
	else if (line.data[0] == 'V')
		x->version = strings_add(&out->strings, value);
	else if (line.data[0] == 'A')
		x->architecture = strings_add(&out->strings, value);
	else if (line.data[0] == 'o')
		x->source = strings_add(&out->strings, value);
}

int packages_parse_apk(struct view text, struct packages *out,
	struct error *e)
{
	static const struct format apk = { { .name = "", .version = "",
						   .architecture = "",
						   .status = "installed",
						   .source = "",
						   .source_version = "",
						   .installed = true },
		apk_field };

	return parse_records(text, &apk, out, e);
}

/* --- an image --- */

static int by_name(const void *a, const void *b)
{
	const struct package *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	if (!d)
		d = strcmp(x->architecture, y->architecture);
	return d ? d : strcmp(x->version, y->version);
}

void packages_sort(struct packages *p)
{
	if (p->items.len)
		qsort(p->items.items, p->items.len, sizeof(struct package),
			by_name);
}

/* 0: parsed; NOTFOUND: no such file. */
static int read_one(struct view_files *v, const char *path,
	int (*parse)(struct view text, struct packages *out, struct error *e),
	struct packages *out, struct error *e)
{
	AUTO_BUF text = BUF_INIT;
	int r = view_read_file(v, path, LIMIT_PACKAGES_FILE, &text, e);

	return r ? r : parse((struct view){ text.data, text.len }, out, e);
}

/* Images without dpkg keep a file a package. */
static int status_d(struct view_files *v, struct packages *out,
	struct error *e)
{
	static const char dir[] = "/var/lib/dpkg/status.d";
	AUTO_NODE n = { 0 };
	struct view_dir d;
	struct entry x;
	unsigned mount;
	int r = view_lookup(v, dir, true, &n, e);

	if (r)
		return r;
	if (n.x.type != ENTRY_DIR)
		return ERR_NOTFOUND;
	r = view_dir_open(v, buf_str(&n.path), n.mount, &n.x.id, &d, e);
	if (r)
		return r;
	while ((r = view_dir_next(&d, &x, &mount, e)) > 0) {
		AUTO_BUF path = BUF_INIT;

		if (x.type != ENTRY_FILE ||
			(x.name_len > 8 &&
				!memcmp(x.name + x.name_len - 8, ".md5sums",
					8)))
			continue;
		buf_printf(&path, "%s/", dir);
		buf_add(&path, x.name, x.name_len);
		r = read_one(v, buf_str(&path), packages_parse_dpkg, out, e);
		if (r)
			break;
	}
	view_dir_release(&d);
	for (size_t i = 0; i < out->items.len; i++)
		if (!*out->items.items[i].status) {
			out->items.items[i].status = "installed";
			out->items.items[i].installed = true;
			out->installed++;
		}
	return r;
}

static bool is_there(struct view_files *v, const char *path)
{
	AUTO_NODE n = { 0 };

	return !view_lookup(v, path, true, &n, NULL);
}

int packages_read(struct view_files *v, struct packages *out,
	struct error *e)
{
	static const char *const apk[] = { "/lib/apk/db/installed",
		"/usr/lib/apk/db/installed" };
	static const char *const rpm[] = { "/var/lib/rpm/rpmdb.sqlite",
		"/usr/lib/sysimage/rpm/rpmdb.sqlite",
		"/var/lib/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages.db",
		"/var/lib/rpm/Packages" };
	int r;

	r = read_one(v, "/var/lib/dpkg/status", packages_parse_dpkg, out, e);
	if (r == ERR_NOTFOUND)
		r = status_d(v, out, e);
	if (!r)
		out->manager = "dpkg";
	for (size_t i = 0; i < ARRAY_LEN(apk) && r == ERR_NOTFOUND; i++) {
		r = read_one(v, apk[i], packages_parse_apk, out, e);
		if (!r)
			out->manager = "apk";
	}
	out->known = !r;
	for (size_t i = 0; i < ARRAY_LEN(rpm) && r == ERR_NOTFOUND; i++)
		if (is_there(v, rpm[i])) {
			out->manager = "rpm";
			r = 0;
		}
	packages_sort(out);
	return r == ERR_NOTFOUND ? 0 : r;
}

/* --- versions --- */

/* The order of a character that is no digit: "~" before the end, letters
 * before the rest (Debian policy 5.6.12). */
static int weight(char c)
{
	if (c == '~')
		return -1;
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return (unsigned char)c;
	return c && !(c >= '0' && c <= '9') ? (unsigned char)c + 256 : 0;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Numbers of any length. */
static int number_order(const char **a, const char **b)
{
	size_t n, m;
	int d;

	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	n = strspn(*a, "0123456789");
	m = strspn(*b, "0123456789");
	d = n != m ? (n > m ? 1 : -1) : memcmp(*a, *b, n);
	*a += n;
	*b += m;
	return d;
}

static int part_order(const char *a, const char *a_end, const char *b,
	const char *b_end)
{
	AUTO_FREE char *x = strndup(a, (size_t)(a_end - a));
	AUTO_FREE char *y = strndup(b, (size_t)(b_end - b));
	const char *p = x ? x : "", *q = y ? y : "";
	int d;

	while (*p || *q) {
		while ((*p && !digit(*p)) || (*q && !digit(*q))) {
			d = weight(*p) - weight(*q);
			if (d)
				return d;
			p++;
			q++;
		}
		d = number_order(&p, &q);
		if (d)
			return d;
	}
	return 0;
}

static const char *after_epoch(const char *v, const char **digits, size_t *n)
{
	const char *colon = strchr(v, ':');

	*digits = v;
	*n = colon ? (size_t)(colon - v) : 0;
	return colon ? colon + 1 : v;
}

int version_compare_dpkg(const char *a, const char *b)
{
	const char *ea, *eb, *ra, *rb;
	size_t na, nb;
	int d;

	a = after_epoch(a, &ea, &na);
	b = after_epoch(b, &eb, &nb);
	d = part_order(ea, ea + na, eb, eb + nb);
	if (d)
		return d;
	ra = strrchr(a, '-');
	rb = strrchr(b, '-');
	d = part_order(a, ra ? ra : a + strlen(a), b, rb ? rb : b + strlen(b));
	if (d)
		return d;
	ra = ra ? ra + 1 : "";
	rb = rb ? rb + 1 : "";
	return part_order(ra, ra + strlen(ra), rb, rb + strlen(rb));
}

/* alpha, beta, pre and rc stand before the release, the others behind it. */
static int apk_suffix(const char **v)
{
	static const char *const names[] = { "_alpha", "_beta", "_pre", "_rc",
		NULL, "_cvs", "_svn", "_git", "_hg", "_p" };

	for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
		size_t n = names[i] ? strlen(names[i]) : 0;

		if (n && !strncmp(*v, names[i], n)) {
			*v += n;
			return i - 4;
		}
	}
	return 0;
}

int version_compare_apk(const char *a, const char *b)
{
	while (*a || *b) {
		int d;

		if (*a == '_' || *b == '_') {
			d = apk_suffix(&a) - apk_suffix(&b);
			if (d)
				return d;
			if (*a == '_' && *b == '_') {
				a++;
				b++;
			}
		}
		if (digit(*a) && digit(*b)) {
			d = number_order(&a, &b);
			if (d)
				return d;
			continue;
		}
		if (*a != *b) {
			/* "1.2" < "1.2-r1" < "1.2a" < "1.2.1" */
			static const char order[] = "-abcdefghijklmnopqrstuvwxyz.";
			const char *p = *a ? strchr(order, *a) : NULL;
			const char *q = *b ? strchr(order, *b) : NULL;

			if (p || q)
				return (p ? (int)(p - order) + 1 : 0) -
				       (q ? (int)(q - order) + 1 : 0);
			return (unsigned char)*a - (unsigned char)*b;
		}
		if (*a) {
			a++;
			b++;
		}
	}
	return 0;
}

/* --- what changed --- */

const char *package_status_name(enum package_status s)
{
	static const char *const names[] = { "added", "removed", "upgraded",
		"downgraded", "changed" };

	return names[s];
}

int packages_diff(const struct packages *a, const struct packages *b,
	package_change_fn fn, void *ctx)
{
	bool apk = b->manager && !strcmp(b->manager, "apk");
	size_t i = 0, k = 0;
	int r = 0;

	while (!r) {
		const struct package *x, *y;
		struct package_change c = { 0 };
		int d;

		while (i < a->items.len && !a->items.items[i].installed)
			i++;
		while (k < b->items.len && !b->items.items[k].installed)
			k++;
		x = i < a->items.len ? &a->items.items[i] : NULL;
		y = k < b->items.len ? &b->items.items[k] : NULL;
		if (!x && !y)
			break;
		d = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);
		if (!d)
			d = strcmp(x->architecture, y->architecture);
		c.old = d <= 0 ? x : NULL;
		c.new = d >= 0 ? y : NULL;
		i += d <= 0;
		k += d >= 0;
		if (d) {
			c.status = d < 0 ? PACKAGE_REMOVED : PACKAGE_ADDED;
		} else {
			int o = apk ? version_compare_apk(x->version, y->version)
				    : version_compare_dpkg(x->version,
					      y->version);

			if (!o && !strcmp(x->version, y->version) &&
				!strcmp(x->status, y->status))
				continue;
			c.status = o < 0   ? PACKAGE_UPGRADED
				   : o > 0 ? PACKAGE_DOWNGRADED
					   : PACKAGE_CHANGED;
		}
		r = fn(ctx, &c);
	}
	return r;
}
