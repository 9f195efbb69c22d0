/* SPDX-License-Identifier: Apache-2.0 */
/* An OVF taken apart into text that stays, files and disks (DSP0243, 7.1 and
 * 8.1). Names are compared without their namespace prefix, as in ova_ovf.c, and
 * what is put in takes the prefixes of what it stands in for. */
#include "disk/ova_keep.h"

#include <expat.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/vec.h"

#define MAX_DEPTH 64u

enum piece_kind { PIECE_FILES, PIECE_DISK, PIECE_NOTHING };

/* In place of text[from..to). */
struct cut {
	size_t from, to;
	enum piece_kind kind;
	struct buf head; /* DISK: "<Disk ovf:diskId="x"": what stays of it */
	char *attr;      /* DISK: prefix of its attributes, "ovf:" or "" */
};

struct ovf_keep {
	char *text;
	size_t len;
	VEC(struct cut) cuts; /* ascending, apart */
	size_t ndisks;
	char *file, *attr; /* prefixes of the File elements */
};

struct frame {
	size_t from;
	bool has_child, names_file;
};

struct parse {
	XML_Parser x;
	struct ovf_keep *k;
	struct error *e;
	int code;
	unsigned elements, depth;
	struct frame stack[MAX_DEPTH];
	bool in_files, in_disk;
	size_t files_from;
};

static void stop(struct parse *p, int code, const char *why)
{
	if (!p->code)
		p->code = error_at(p->e, code,
			(uint64_t)XML_GetCurrentByteIndex(p->x),
			"ovf: line %lu: %s", XML_GetCurrentLineNumber(p->x),
			why);
	XML_StopParser(p->x, XML_FALSE);
}

static const char *local(const char *name)
{
	const char *c = strrchr(name, ':');

	return c ? c + 1 : name;
}

static char *prefix_of(const char *name)
{
	return strndup(name, (size_t)(local(name) - name));
}

void ovf_escape(struct buf *b, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&': buf_addstr(b, "&amp;"); break;
		case '<': buf_addstr(b, "&lt;"); break;
		case '>': buf_addstr(b, "&gt;"); break;
		case '"': buf_addstr(b, "&quot;"); break;
		case '\n': buf_addstr(b, "&#10;"); break;
		case '\t': buf_addstr(b, "&#9;"); break;
		case '\r': buf_addstr(b, "&#13;"); break;
		default: buf_addch(b, *s);
		}
}

static size_t here(const struct parse *p)
{
	return (size_t)XML_GetCurrentByteIndex(p->x);
}

static size_t after(const struct parse *p)
{
	return here(p) + (size_t)XML_GetCurrentByteCount(p->x);
}

static void cut(struct parse *p, struct cut c)
{
	if (vec_push(&p->k->cuts, c))
		return;
	buf_release(&c.head);
	free(c.attr);
	stop(p, ERR_NOMEM, "out of memory");
}

/* What stays of a Disk: its name, its id, what vendors add. */
static void on_disk(struct parse *p, const char *name, const char **a)
{
	static const char *const ours[] = { "capacity",
		"capacityAllocationUnits", "fileRef", "format",
		"populatedSize", "parentRef" };
	struct cut c = { .from = here(p), .kind = PIECE_DISK };

	p->in_disk = true;
	if (p->k->ndisks++ >= LIMIT_OVF_DISKS) {
		stop(p, ERR_LIMIT, "too many disks");
		return;
	}
	buf_addch(&c.head, '<');
	buf_addstr(&c.head, name);
	for (; *a; a += 2) {
		bool mine = false;

		if (!strcmp(local(a[0]), "diskId") && !c.attr)
			c.attr = prefix_of(a[0]);
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			mine |= !strcmp(local(a[0]), ours[i]);
		if (mine)
			continue;
		buf_addch(&c.head, ' ');
		buf_addstr(&c.head, a[0]);
		buf_addstr(&c.head, "=\"");
		ovf_escape(&c.head, a[1]);
		buf_addch(&c.head, '"');
	}
	if (!c.attr || c.head.oom) {
		buf_release(&c.head);
		free(c.attr);
		stop(p, ERR_CORRUPT, "a Disk without diskId");
		return;
	}
	cut(p, c);
}

static void on_file(struct parse *p, const char **a)
{
	for (; *a && !p->k->attr; a += 2)
		if (!strcmp(local(a[0]), "href"))
			p->k->attr = prefix_of(a[0]);
}

static void XMLCALL on_start(void *ctx, const char *name, const char **a)
{
	struct parse *p = ctx;
	struct frame *f;

	if (p->code)
		return;
	if (++p->elements > LIMIT_OVF_ELEMENTS || p->depth >= MAX_DEPTH) {
		stop(p, ERR_LIMIT, "too many elements");
		return;
	}
	if (p->depth)
		p->stack[p->depth - 1].has_child = true;
	f = &p->stack[p->depth++];
	*f = (struct frame){ .from = here(p) };
	if (p->depth == 1 && strcmp(local(name), "Envelope") != 0) {
		stop(p, ERR_CORRUPT, "not an OVF: no Envelope");
	} else if (p->depth == 2 && !strcmp(local(name), "References")) {
		if (p->k->file) {
			stop(p, ERR_CORRUPT, "a second list of files");
			return;
		}
		p->in_files = true;
		p->files_from = after(p);
		p->k->file = prefix_of(name);
	} else if (p->in_files) {
		if (!strcmp(local(name), "File"))
			on_file(p, a);
	} else if (p->depth == 3 && !strcmp(local(name), "Disk")) {
		on_disk(p, name, a);
	} else if (!p->in_disk) {
		for (; *a; a += 2)
			f->names_file |= !strcmp(local(a[0]), "fileRef");
	}
}

static void XMLCALL on_end(void *ctx, const char *name)
{
	static const char uri[] = "ovf:/file/";
	struct parse *p = ctx;
	struct frame *f;
	size_t end = after(p);

	(void)name;
	if (p->code)
		return;
	f = &p->stack[--p->depth];
	if (p->in_files) {
		if (p->depth == 1) {
			p->in_files = false;
			cut(p, (struct cut){ .from = p->files_from,
				       .to = here(p),
				       .kind = PIECE_FILES });
		}
	} else if (p->in_disk) {
		if (p->depth == 2) {
			p->in_disk = false;
			vec_last(&p->k->cuts)->to = end;
		}
	} else if (p->depth > 0 && !f->has_child &&
		   (f->names_file || memmem(p->k->text + f->from, end - f->from,
					     uri, sizeof(uri) - 1))) {
		cut(p, (struct cut){ .from = f->from,
			       .to = end,
			       .kind = PIECE_NOTHING });
	}
}

static void XMLCALL on_declaration(void *ctx, const char *version,
	const char *encoding, int standalone)
{
	(void)version;
	(void)standalone;
	if (encoding && strcasecmp(encoding, "utf-8") != 0 &&
		strcasecmp(encoding, "us-ascii") != 0)
		stop(ctx, ERR_UNSUPPORTED, "not in UTF-8");
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *sysid,
	const char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(ctx, ERR_CORRUPT, "a document type declaration");
}

static int take_apart(struct ovf_keep *k, struct error *e)
{
	struct parse p = { .k = k, .e = e };
	int r = 0;

	p.x = XML_ParserCreate("UTF-8");
	if (!p.x)
		return error_nomem(e);
	XML_SetUserData(p.x, &p);
	XML_SetElementHandler(p.x, on_start, on_end);
	XML_SetXmlDeclHandler(p.x, on_declaration);
	XML_SetStartDoctypeDeclHandler(p.x, on_doctype);
	XML_SetParamEntityParsing(p.x, XML_PARAM_ENTITY_PARSING_NEVER);
	if (XML_Parse(p.x, k->text, (int)k->len, XML_TRUE) != XML_STATUS_OK)
		r = p.code ? p.code
			   : error_set(e, ERR_CORRUPT, "ovf: line %lu: %s",
				     XML_GetCurrentLineNumber(p.x),
				     XML_ErrorString(XML_GetErrorCode(p.x)));
	XML_ParserFree(p.x);
	return r;
}

int ovf_keep_new(const char *text, size_t len, size_t ndisks,
	struct ovf_keep **out, struct error *e)
{
	AUTO_OVF_KEEP k = NULL;
	int r;

	if (len > LIMIT_OVF)
		return error_set(e, ERR_LIMIT, "ovf: %zu bytes of text", len);
	k = calloc(1, sizeof(*k));
	if (!k || !(k->text = malloc(len + 1)))
		return error_nomem(e);
	memcpy(k->text, text, len);
	/* What a writer filled it up with does not pile up. */
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	k->len = len;
	r = take_apart(k, e);
	if (r)
		return r;
	if (k->ndisks != ndisks)
		return error_set(e, ERR_UNSUPPORTED,
			"ovf: it describes %zu disks, not %zu", k->ndisks,
			ndisks);
	if (!k->file || !k->attr)
		return error_set(e, ERR_UNSUPPORTED, "ovf: it names no files");
	*out = steal_ptr(k);
	return 0;
}

void ovf_keep_free(struct ovf_keep *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->cuts.len; i++) {
		buf_release(&k->cuts.items[i].head);
		free(k->cuts.items[i].attr);
	}
	vec_release(&k->cuts);
	free(k->text);
	free(k->file);
	free(k->attr);
	free(k);
}

static void files_text(const struct ovf_keep *k, const char *name,
	const uint64_t *sizes, struct buf *b)
{
	for (size_t i = 0; i < k->ndisks; i++)
		buf_printf(b,
			"\n    <%sFile %shref=\"%s-disk%zu.vmdk\" "
			"%sid=\"file%zu\" %ssize=\"%" PRIu64 "\"/>",
			k->file, k->attr, name, i + 1, k->attr, i + 1, k->attr,
			sizes[i]);
	buf_addstr(b, "\n  ");
}

void ovf_keep_text(const struct ovf_keep *k, const char *name,
	const uint64_t *capacities, const uint64_t *file_sizes, struct buf *b)
{
	size_t at = 0, disk = 0;

	for (size_t i = 0; i < k->cuts.len; i++) {
		const struct cut *c = &k->cuts.items[i];

		buf_add(b, k->text + at, c->from - at);
		at = c->to;
		if (c->kind == PIECE_FILES) {
			files_text(k, name, file_sizes, b);
		} else if (c->kind == PIECE_DISK) {
			buf_add(b, c->head.data, c->head.len);
			buf_printf(b,
				" %scapacity=\"%" PRIu64 "\" "
				"%scapacityAllocationUnits=\"byte\" "
				"%sfileRef=\"file%zu\" %sformat=\"%s\"/>",
				c->attr, capacities[disk], c->attr, c->attr,
				disk + 1, c->attr, OVF_FORMAT_STREAM);
			disk++;
		}
	}
	buf_add(b, k->text + at, k->len - at);
	buf_addch(b, '\n');
}
