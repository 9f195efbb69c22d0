/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an OVF that says which files and disks there are. Element and
 * attribute names are compared without their namespace prefix: tools differ. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/ova.h"
#include "disk/ovf_xml.h"

struct parse {
	struct ovf_xml xml; /* first */
	struct ovf *out;
};

static void stop(struct parse *p, int code, const char *why)
{
	ovf_xml_stop(&p->xml, code, why);
}

static const char *attr(const char **a, const char *name)
{
	for (; *a; a += 2)
		if (!strcmp(ovf_xml_local(a[0]), name))
			return a[1];
	return NULL;
}

/* DSP0243 9.1: "byte * 2^30" and the like; OVF 0.9: "GigaBytes". 0: not
 * known. */
static uint64_t unit(const char *s)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} words[] = { { "byte", 1 }, { "bytes", 1 }, { "kilobytes", KIB },
		{ "megabytes", MIB }, { "gigabytes", GIB } };
	const char *caret;
	uint64_t n;

	if (!s || !*s)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(s, words[i].name))
			return words[i].bytes;
	caret = strstr(s, "2^");
	if (strncasecmp(s, "byte", 4) != 0 || !caret ||
		!u64_decimal(caret + 2, &n) || n > 60)
		return 0;
	return UINT64_C(1) << n;
}

static char *copy(struct parse *p, const char *s)
{
	char *c = strdup(s ? s : "");

	if (!c)
		stop(p, ERR_NOMEM, "out of memory");
	return c;
}

static void on_file(struct parse *p, const char **a)
{
	const char *z = attr(a, "compression");
	struct ovf_file f = { 0 };

	if (!attr(a, "id") || !attr(a, "href")) {
		stop(p, ERR_CORRUPT, "a File without id or href");
		return;
	}
	f.has_size = u64_decimal(attr(a, "size"), &f.size);
	if (!u64_decimal(attr(a, "chunkSize"), &f.chunk))
		f.chunk = 0;
	f.gzip = z && !strcmp(z, "gzip");
	f.other_compression = z && *z && !f.gzip && strcmp(z, "identity") != 0;
	f.id = copy(p, attr(a, "id"));
	f.href = copy(p, attr(a, "href"));
	if (p->out->files.len >= LIMIT_OVA_MEMBERS) {
		stop(p, ERR_LIMIT, "too many files");
	} else if (vec_push(&p->out->files, f)) {
		return;
	} else {
		stop(p, ERR_NOMEM, "out of memory");
	}
	free(f.id);
	free(f.href);
}

static void on_disk(struct parse *p, const char **a)
{
	uint64_t u = unit(attr(a, "capacityAllocationUnits"));
	struct ovf_disk d = { 0 };

	if (!attr(a, "diskId")) {
		stop(p, ERR_CORRUPT, "a Disk without diskId");
		return;
	}
	/* A capacity may also name a property: then it is not known. */
	if (!u64_decimal(attr(a, "capacity"), &d.capacity) ||
		!u64_mul(d.capacity, u, &d.capacity) ||
		d.capacity > LIMIT_DISK_SIZE)
		d.capacity = 0;
	d.has_parent = attr(a, "parentRef") && *attr(a, "parentRef");
	d.id = copy(p, attr(a, "diskId"));
	d.file_ref = copy(p, attr(a, "fileRef"));
	if (p->out->disks.len >= LIMIT_OVF_DISKS) {
		stop(p, ERR_LIMIT, "too many disks");
	} else if (vec_push(&p->out->disks, d)) {
		return;
	} else {
		stop(p, ERR_NOMEM, "out of memory");
	}
	free(d.id);
	free(d.file_ref);
}

/* Envelope/References/File, Envelope/DiskSection/Disk; in OVF 0.9 the section
 * is Envelope/Section. */
static void on_start(struct ovf_xml *x, const char *name, const char **a)
{
	name = ovf_xml_local(name);
	if (x->depth == 3 && !strcmp(name, "File"))
		on_file((struct parse *)x, a);
	else if (x->depth == 3 && !strcmp(name, "Disk"))
		on_disk((struct parse *)x, a);
}

int ovf_parse(const char *text, size_t len, struct ovf *out, struct error *e)
{
	struct ovf o = { 0 };
	struct parse p = { .xml = { .start = on_start }, .out = &o };
	int r = ovf_xml_read(&p.xml, text, len, e);

	if (r)
		ovf_release(&o);
	else
		*out = o;
	return r;
}

void ovf_release(struct ovf *o)
{
	for (size_t i = 0; i < o->files.len; i++) {
		free(o->files.items[i].id);
		free(o->files.items[i].href);
	}
	for (size_t i = 0; i < o->disks.len; i++) {
		free(o->disks.items[i].id);
		free(o->disks.items[i].file_ref);
	}
	vec_release(&o->files);
	vec_release(&o->disks);
}
