/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of runs in a property list: read in pieces, and nothing kept of it
 * but the table at hand. */
#include <expat.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/dmg.h"

#define STEP 65536

struct plist {
	XML_Parser x;
	int (*fn)(void *ctx, const struct buf *table, struct error *e);
	void *ctx;
	struct error *e;
	int code;
	unsigned depth;
	unsigned array; /* depth of the array of "blkx"; 0: not in it */
	bool in_key, in_data, next_is_blkx;
	char key[16];
	size_t key_len;
	struct buf table;
	uint32_t bits; /* of base64, not yet a byte */
	unsigned nbits;
};

static void stop(struct plist *p, int code, const char *why)
{
	if (!p->code)
		p->code = error_set(p->e, code,
			"dmg: the property list, line %lu: %s",
			XML_GetCurrentLineNumber(p->x), why);
	XML_StopParser(p->x, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const char *name, const char **a)
{
	struct plist *p = ctx;

	(void)a;
	if (p->code)
		return;
	if (++p->depth > 64) {
		stop(p, ERR_LIMIT, "too deep");
		return;
	}
	p->in_key = !strcmp(name, "key");
	p->in_data = p->array && !strcmp(name, "data");
	if (p->in_key)
		p->key_len = 0;
	else if (p->next_is_blkx && !p->array && !strcmp(name, "array"))
		p->array = p->depth;
	if (!p->in_key)
		p->next_is_blkx = false;
	if (p->in_data) {
		buf_clear(&p->table);
		p->nbits = 0;
	}
}

static void XMLCALL on_end(void *ctx, const char *name)
{
	struct plist *p = ctx;

	(void)name;
	if (p->code)
		return;
	if (p->in_key)
		p->next_is_blkx = p->key_len == 4 && !memcmp(p->key, "blkx", 4);
	if (p->in_data) {
		p->code = p->table.oom ? error_nomem(p->e)
				       : p->fn(p->ctx, &p->table, p->e);
		if (p->code)
			XML_StopParser(p->x, XML_FALSE);
	}
	p->in_key = p->in_data = false;
	if (p->array == p->depth)
		p->array = 0;
	p->depth--;
}

static int base64(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
				      : -1;
}

static void XMLCALL on_text(void *ctx, const char *s, int n)
{
	struct plist *p = ctx;

	if (p->code)
		return;
	for (int i = 0; p->in_key && i < n; i++)
		if (p->key_len < sizeof(p->key))
			p->key[p->key_len++] = s[i];
	for (int i = 0; p->in_data && i < n; i++) {
		int v = base64(s[i]);

		if (v < 0) {
			if (!strchr(" \t\r\n=", s[i])) {
				stop(p, ERR_CORRUPT, "not base64");
				return;
			}
			continue;
		}
		p->bits = p->bits << 6 | (uint32_t)v;
		p->nbits += 6;
		if (p->nbits < 8)
			continue;
		p->nbits -= 8;
		if (p->table.len >= LIMIT_DMG_TABLE) {
			stop(p, ERR_LIMIT, "a table of more than 32 MiB");
			return;
		}
		buf_addch(&p->table, (char)(p->bits >> p->nbits));
	}
}

/* Every list names its DTD, which is not fetched; none declares entities. */
static void XMLCALL on_entity(void *ctx, const XML_Char *name, int parameter,
	const XML_Char *value, int len, const XML_Char *base,
	const XML_Char *sysid, const XML_Char *pubid, const XML_Char *notation)
{
	(void)name;
	(void)parameter;
	(void)value;
	(void)len;
	(void)base;
	(void)sysid;
	(void)pubid;
	(void)notation;
	stop(ctx, ERR_CORRUPT, "an entity is declared");
}

static int feed(struct plist *p, struct source *xml, struct error *e)
{
	AUTO_FREE char *buf = malloc(STEP);

	if (!buf)
		return error_nomem(e);
	for (uint64_t at = 0; at < xml->size;) {
		size_t n = (size_t)u64_min(STEP, xml->size - at);
		int r = source_pread(xml, buf, n, at, e);

		if (r)
			return r;
		at += n;
		if (XML_Parse(p->x, buf, (int)n, at == xml->size) ==
			XML_STATUS_OK)
			continue;
		return p->code ? p->code
			       : error_set(e, ERR_CORRUPT,
					 "dmg: the property list, line %lu: %s",
					 XML_GetCurrentLineNumber(p->x),
					 XML_ErrorString(
						 XML_GetErrorCode(p->x)));
	}
	return 0;
}

int dmg_plist(struct source *xml,
	int (*fn)(void *ctx, const struct buf *table, struct error *e),
	void *ctx, struct error *e)
{
	struct plist p = { .fn = fn, .ctx = ctx, .e = e };
	int r;

	p.x = XML_ParserCreate(NULL);
	if (!p.x)
		return error_nomem(e);
	XML_SetUserData(p.x, &p);
	XML_SetElementHandler(p.x, on_start, on_end);
	XML_SetCharacterDataHandler(p.x, on_text);
	XML_SetEntityDeclHandler(p.x, on_entity);
	XML_SetParamEntityParsing(p.x, XML_PARAM_ENTITY_PARSING_NEVER);
	r = feed(&p, xml, e);
	XML_ParserFree(p.x);
	buf_release(&p.table);
	return r;
}
