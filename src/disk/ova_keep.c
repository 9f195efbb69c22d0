/* SPDX-License-Identifier: Apache-2.0 */
/* An OVF taken apart into text that stays, files and disks (DSP0243, 7.1 and
 * 8.1). Names are compared without their namespace prefix, as in ova_ovf.c, and
 * what is put in takes the prefixes of what it stands in for. */
#include "disk/ova_keep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/vec.h"
#include "disk/ovf_xml.h"

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
	struct ovf_xml xml; /* first */
	struct ovf_keep *k;
	struct frame stack[OVF_XML_DEPTH]; /* by depth, from 0 */
	bool in_files, in_disk;
	size_t files_from;
};

static void stop(struct parse *p, int code, const char *why)
{
	ovf_xml_stop(&p->xml, code, why);
}

static char *prefix_of(const char *name)
{
	return strndup(name, (size_t)(ovf_xml_local(name) - name));
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
	return (size_t)XML_GetCurrentByteIndex(p->xml.parser);
}

static size_t after(const struct parse *p)
{
	return here(p) + (size_t)XML_GetCurrentByteCount(
				p->xml.parser);
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

		if (!strcmp(ovf_xml_local(a[0]), "diskId") && !c.attr)
			c.attr = prefix_of(a[0]);
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			mine |= !strcmp(ovf_xml_local(a[0]), ours[i]);
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
		if (!strcmp(ovf_xml_local(a[0]), "href"))
			p->k->attr = prefix_of(a[0]);
}

static void on_start(struct ovf_xml *x, const char *name, const char **a)
{
	struct parse *p = (struct parse *)x;
	const char *plain = ovf_xml_local(name);
	struct frame *f = &p->stack[x->depth - 1];

	if (x->depth > 1)
		f[-1].has_child = true;
	*f = (struct frame){ .from = here(p) };
	if (x->depth == 2 && !strcmp(plain, "References")) {
		if (p->k->file) {
			stop(p, ERR_CORRUPT, "a second list of files");
			return;
		}
		p->in_files = true;
		p->files_from = after(p);
		p->k->file = prefix_of(name);
	} else if (p->in_files) {
		if (!strcmp(plain, "File"))
			on_file(p, a);
	} else if (x->depth == 3 && !strcmp(plain, "Disk")) {
		on_disk(p, name, a);
	} else if (!p->in_disk) {
		for (; *a; a += 2)
			f->names_file |=
				!strcmp(ovf_xml_local(a[0]), "fileRef");
	}
}

static void on_end(struct ovf_xml *x)
{
	static const char uri[] = "ovf:/file/";
	struct parse *p = (struct parse *)x;
	const struct frame *f = &p->stack[x->depth - 1];
	size_t end = after(p);

	if (p->in_files) {
		if (x->depth == 2) {
			p->in_files = false;
			cut(p, (struct cut){ .from = p->files_from,
				       .to = here(p),
				       .kind = PIECE_FILES });
		}
	} else if (p->in_disk) {
		if (x->depth == 3) {
			p->in_disk = false;
			vec_last(&p->k->cuts)->to = end;
		}
	} else if (x->depth > 1 && !f->has_child &&
		   (f->names_file || memmem(p->k->text + f->from, end - f->from,
					     uri, sizeof(uri) - 1))) {
		cut(p, (struct cut){ .from = f->from,
			       .to = end,
			       .kind = PIECE_NOTHING });
	}
}

int ovf_keep_new(const char *text, size_t len, size_t ndisks,
	struct ovf_keep **out, struct error *e)
{
	AUTO_OVF_KEEP k = NULL;
	struct parse p = { .xml = { .start = on_start,
				   .end = on_end,
				   .utf8_only = true } };
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
	p.k = k;
	r = ovf_xml_read(&p.xml, k->text, k->len, e);
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
