/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of text files of guests, versions, and the comparison of texts.
 * The first byte says which; what must hold of any input is checked. */
#include <stdlib.h>
#include <string.h>
#include "change/textdiff.h"
#include "fuzz/fuzz.h"
#include "insight/packages.h"
#include "insight/text.h"

static void files(struct view v)
{
	static const char *const keys[] = { "ID", "NAME", "VERSION_ID" };
	struct cursor c = cursor_make(v.data, v.len);
	struct fstab f = { 0 };
	struct passwd p;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		AUTO_BUF b = BUF_INIT;

		text_assignment(v, keys[i], &b);
		if (b.len > v.len)
			abort();
	}
	while (text_fstab(&c, &f))
		if (!f.spec.len)
			abort();
	fstab_release(&f);
	c = cursor_make(v.data, v.len);
	while (text_passwd(&c, &p))
		password_state_name(text_password(p.password, p.name, v));
	text_machine(v);
}

static int on_change(void *ctx, const struct package_change *c)
{
	(void)ctx;
	if (!c->old && !c->new)
		abort();
	return 0;
}

static void packages(struct view v,
	int (*parse)(struct view text, struct packages *out, struct error *e))
{
	struct packages a = { 0 }, b = { 0 };
	size_t half = v.len / 2;

	if (!parse((struct view){ v.data, half }, &a, NULL) &&
		!parse((struct view){ v.data + half, v.len - half }, &b,
			NULL)) {
		packages_sort(&a);
		packages_sort(&b);
		packages_diff(&a, &b, on_change, NULL);
	}
	packages_release(&a);
	packages_release(&b);
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void versions(struct view v)
{
	struct strings s = { 0 };
	struct cursor c = cursor_make(v.data, v.len);
	struct view line;
	const char *x[2] = { "", "" };

	for (size_t i = 0; i < 2 && text_line(&c, &line); i++)
		x[i] = strings_add(&s, line);
	if (sign(version_compare_dpkg(x[0], x[1])) !=
			-sign(version_compare_dpkg(x[1], x[0])) ||
		version_compare_dpkg(x[0], x[0]))
		abort();
	if (sign(version_compare_apk(x[0], x[1])) !=
			-sign(version_compare_apk(x[1], x[0])) ||
		version_compare_apk(x[0], x[0]))
		abort();
	strings_release(&s);
}

struct patch {
	size_t minus, plus;
};

static int on_line(void *ctx, char kind, const void *line, size_t len)
{
	struct patch *p = ctx;

	(void)line;
	(void)len;
	p->minus += kind == '-';
	p->plus += kind == '+';
	return 0;
}

/* What is left of both texts when changed lines are taken away is the same,
 * and the patch has every changed line once. */
static void texts(struct view v)
{
	const uint8_t *cut = v.len ? memchr(v.data, 0xff, v.len) : NULL;
	size_t n = cut ? (size_t)(cut - v.data) : v.len, i = 0, k = 0;
	struct text_diff d;
	struct patch p = { 0 };

	if (text_diff((struct view){ v.data, n },
		    (struct view){ v.data + n + (cut != NULL),
			    v.len - n - (cut != NULL) }, &d, NULL))
		return;
	for (;;) {
		struct text_side *a = &d.side[0], *b = &d.side[1];

		while (i < a->n && a->changed[i])
			i++;
		while (k < b->n && b->changed[k])
			k++;
		if (i == a->n || k == b->n) {
			if (i != a->n || k != b->n)
				abort();
			break;
		}
		if (a->id[i++] != b->id[k++])
			abort();
	}
	if (text_diff_unified(&d, 3, on_line, &p) || p.minus != d.deleted ||
		p.plus != d.inserted)
		abort();
	text_diff_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view v = { data + 1, size ? size - 1 : 0 };

	if (!size)
		return 0;
	switch (data[0] % 5) {
	case 0:
		files(v);
		break;
	case 1:
		packages(v, packages_parse_dpkg);
		break;
	case 2:
		packages(v, packages_parse_apk);
		break;
	case 3:
		versions(v);
		break;
	default:
		texts(v);
	}
	return 0;
}
