/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/ovf_xml.h"

#include <string.h>
#include <strings.h>
#include "base/limits.h"

void ovf_xml_stop(struct ovf_xml *x, int code, const char *why)
{
	if (!x->code)
		x->code = error_at(x->e, code,
			(uint64_t)XML_GetCurrentByteIndex(x->parser),
			"ovf: line %lu: %s",
			XML_GetCurrentLineNumber(x->parser), why);
	XML_StopParser(x->parser, XML_FALSE);
}

const char *ovf_xml_local(const char *name)
{
	const char *c = strrchr(name, ':');

	return c ? c + 1 : name;
}

static void XMLCALL on_start(void *ctx, const char *name, const char **a)
{
	struct ovf_xml *x = ctx;

	if (x->code)
		return;
	if (++x->elements > LIMIT_OVF_ELEMENTS || x->depth >= OVF_XML_DEPTH) {
		ovf_xml_stop(x, ERR_LIMIT, "too many elements");
		return;
	}
	if (!x->depth++ && strcmp(ovf_xml_local(name), "Envelope") != 0)
		ovf_xml_stop(x, ERR_CORRUPT, "not an OVF: no Envelope");
	else
		x->start(x, name, a);
}

static void XMLCALL on_end(void *ctx, const char *name)
{
	struct ovf_xml *x = ctx;

	(void)name;
	if (x->code)
		return;
	if (x->end)
		x->end(x);
	x->depth--;
}

static void XMLCALL on_declaration(void *ctx, const char *version,
	const char *encoding, int standalone)
{
	(void)version;
	(void)standalone;
	if (encoding && strcasecmp(encoding, "utf-8") != 0 &&
		strcasecmp(encoding, "us-ascii") != 0)
		ovf_xml_stop(ctx, ERR_UNSUPPORTED, "not in UTF-8");
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *sysid,
	const char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	ovf_xml_stop(ctx, ERR_CORRUPT,
		"a document type declaration, which an OVF has no use for");
}

int ovf_xml_read(struct ovf_xml *x, const char *text, size_t len,
	struct error *e)
{
	int r = 0;

	if (len > LIMIT_OVF)
		return error_set(e, ERR_LIMIT, "ovf: %zu bytes of text", len);
	x->e = e;
	x->parser = XML_ParserCreate(x->utf8_only ? "UTF-8" : NULL);
	if (!x->parser)
		return error_nomem(e);
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	if (x->utf8_only)
		XML_SetXmlDeclHandler(x->parser, on_declaration);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	XML_SetParamEntityParsing(x->parser, XML_PARAM_ENTITY_PARSING_NEVER);
	if (XML_Parse(x->parser, text, (int)len, XML_TRUE) != XML_STATUS_OK)
		r = x->code ? x->code
			    : error_set(e, ERR_CORRUPT, "ovf: line %lu: %s",
				      XML_GetCurrentLineNumber(x->parser),
				      XML_ErrorString(
					      XML_GetErrorCode(x->parser)));
	XML_ParserFree(x->parser);
	return r;
}
