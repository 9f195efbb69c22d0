/* SPDX-License-Identifier: Apache-2.0 */
/* Parses VMDK descriptors: lines "key = value", and lines of extents:
 * ACCESS SECTORS TYPE ["NAME" [OFFSET]]. */
#include "disk/vmdk_desc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"

void vmdk_desc_release(struct vmdk_desc *d)
{
	vec_release(&d->extents);
	free(d->text);
	*d = (struct vmdk_desc){ 0 };
}

static char *skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Cuts the word at *p off and moves *p behind it. */
static char *word(char **p)
{
	char *start = skip_blanks(*p), *end = start;

	while (*end && *end != ' ' && *end != '\t')
		end++;
	*p = end;
	if (*end) {
		*end = 0;
		*p = end + 1;
	}
	return start;
}

static bool hex32(const char *s, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (!isxdigit((unsigned char)*s))
		return false;
	v = strtoul(s, &end, 16);
	if (*skip_blanks(end) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

static int bad(struct error *e, unsigned line, const char *why)
{
	return error_set(e, ERR_CORRUPT, "vmdk: descriptor, line %u: %s", line,
		why);
}

/* The quoted name at *p, or NULL. Nothing can be escaped. */
static char *quoted(char **p)
{
	char *start = skip_blanks(*p), *end;

	if (*start != '"' || !(end = strchr(start + 1, '"')))
		return NULL;
	*end = 0;
	*p = end + 1;
	return start + 1;
}

static int extent_line(struct vmdk_desc *d, char *p, const char *access,
	unsigned line, struct error *e)
{
	struct vmdk_extent x = { .name = "" };
	const char *type;

	if (!strcasecmp(access, "NOACCESS"))
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: descriptor, line %u: an extent without access",
			line);
	if (!u64_decimal(word(&p), &x.sectors) ||
		x.sectors > LIMIT_DISK_SIZE / 512)
		return bad(e, line, "not a number of sectors");
	type = word(&p);
	if (!strcasecmp(type, "ZERO")) {
		x.type = VMDK_ZERO;
	} else {
		if (!strcasecmp(type, "FLAT") || !strcasecmp(type, "VMFS"))
			x.type = VMDK_FLAT;
		else if (!strcasecmp(type, "SPARSE") ||
			 !strcasecmp(type, "VMFSSPARSE") ||
			 !strcasecmp(type, "SESPARSE"))
			x.type = VMDK_SPARSE;
		else
			return error_set(e, ERR_UNSUPPORTED,
				"vmdk: descriptor, line %u: extents of type "
				"'%.20s' are not read", line, type);
		x.name = quoted(&p);
		if (!x.name || !*x.name)
			return bad(e, line, "an extent without a file name");
		p = skip_blanks(p);
		/* A device and partition may follow the offset. */
		if (*p && (!u64_decimal(word(&p), &x.offset) ||
				  x.offset > LIMIT_DISK_SIZE / 512))
			return bad(e, line, "not an offset in sectors");
	}
	if (d->extents.len >= LIMIT_VMDK_EXTENTS)
		return error_set(e, ERR_LIMIT,
			"vmdk: more than %u extents", LIMIT_VMDK_EXTENTS);
	return vec_push(&d->extents, x) ? 0 : error_nomem(e);
}

static int key_line(struct vmdk_desc *d, char *p, unsigned line,
	struct error *e)
{
	char *eq = strchr(p, '='), *value, *q, *end;

	if (!eq)
		return 0;
	value = skip_blanks(eq + 1);
	for (end = eq; end > p && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = 0;
	if (*value == '"') {
		q = value;
		value = quoted(&q);
		if (!value)
			return bad(e, line, "a quote that does not end");
	}
	if (!strcasecmp(p, "CID") && !hex32(value, &d->cid))
		return bad(e, line, "CID is not a hexadecimal number");
	if (!strcasecmp(p, "parentCID") && !hex32(value, &d->parent_cid))
		return bad(e, line, "parentCID is not a hexadecimal number");
	if (!strcasecmp(p, "createType"))
		d->create_type = value;
	if (!strcasecmp(p, "parentFileNameHint"))
		d->parent_hint = value;
	return 0;
}

static int one_line(struct vmdk_desc *d, char *p, unsigned line,
	struct error *e)
{
	static const char *const access[] = { "RW", "RDONLY", "NOACCESS" };
	size_t n = strlen(p);

	while (n && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t'))
		p[--n] = 0;
	p = skip_blanks(p);
	if (!*p || *p == '#')
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(access); i++) {
		n = strlen(access[i]);
		if (!strncasecmp(p, access[i], n) &&
			(p[n] == ' ' || p[n] == '\t'))
			return extent_line(d, p + n, access[i], line, e);
	}
	return key_line(d, p, line, e);
}

int vmdk_desc_parse(const uint8_t *text, size_t len, struct vmdk_desc *out,
	struct error *e)
{
	struct vmdk_desc d = { .cid = VMDK_NO_CID,
		.parent_cid = VMDK_NO_CID,
		.create_type = "",
		.parent_hint = "" };
	unsigned line = 0;
	char *p, *next;
	int r = 0;

	if (len > LIMIT_VMDK_DESC)
		return error_set(e, ERR_LIMIT,
			"vmdk: a descriptor of %zu bytes", len);
	d.text = strndup((const char *)text, len); /* padded with NULs */
	if (!d.text)
		return error_nomem(e);
	for (p = d.text; p && !r; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = 0;
		r = one_line(&d, p, ++line, e);
	}
	if (r) {
		vmdk_desc_release(&d);
		return r;
	}
	*out = d;
	return 0;
}
