/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/basis.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "disk/disk.h"
#include "disk/qcow2.h"
#include "view/view.h"

void basis_release(struct basis *b)
{
	free(b->branch);
	free(b->backing);
	record_release(&b->record);
	memset(b, 0, sizeof(*b));
}

#define WHOLE                                                                  \
	"; --base REV says what it stands on, or 'strata import "             \
	"--allow-backing' stores it whole"

static int unknown(struct error *e, const char *path, const char *why,
	const char *backing)
{
	return error_set(e, ERR_UNSUPPORTED, "%s: %s%s%s%s" WHOLE, path, why,
		*backing ? " ('" : "", backing, *backing ? "')" : "");
}

/* --- what a backing's name says --- */

/* The text behind "nbd://.../" up to "?", with %XX taken back: an export. */
static bool nbd_export(const char *uri, char *out, size_t size)
{
	static const char *const schemes[] = { "nbd+unix://", "nbds+unix://",
		"nbd://", "nbds://", "nbd+tcp://" };
	const char *p = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(schemes) && !p; i++)
		if (!strncmp(uri, schemes[i], strlen(schemes[i])))
			p = strchr(uri + strlen(schemes[i]), '/');
	if (!p)
		return false;
	for (p++; *p && *p != '?'; p++) {
		uint8_t c = (uint8_t)*p;
		char two[3] = { 0 };

		if (*p == '%' && p[1] && p[2]) {
			memcpy(two, p + 1, 2);
			if (!hex_decode(two, 1, &c) || !c)
				return false;
			p += 2;
		}
		if (n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return true;
}

/* "COMMIT" or "COMMIT#N". */
static bool named_by_id(const char *export, struct oid *out, int *out_disk)
{
	char hex[OID_HEX + 1];

	if (strlen(export) < OID_HEX)
		return false;
	memcpy(hex, export, OID_HEX);
	hex[OID_HEX] = 0;
	if (!oid_parse(hex, out))
		return false;
	*out_disk = -1;
	if (export[OID_HEX] == '#') {
		char *end;
		unsigned long n = strtoul(export + OID_HEX + 1, &end, 10);

		if (*end || end == export + OID_HEX + 1 || n > 4095)
			return false;
		*out_disk = (int)n;
		return true;
	}
	return !export[OID_HEX];
}

/* A name with a protocol ("json:", "nbd:") is no file, as qemu sees it. */
static bool is_file_name(const char *name)
{
	return name[strcspn(name, ":/")] != ':';
}

/* The backing's path: relative to the folder that the overlay is in. */
static char *backing_path(const char *overlay, const char *name)
{
	AUTO_FREE char *real = realpath(overlay, NULL);
	AUTO_BUF b = BUF_INIT;

	if (!real)
		return NULL;
	if (*name != '/') {
		*strrchr(real, '/') = 0;
		buf_printf(&b, "%s/", real);
	}
	buf_addstr(&b, name);
	return buf_steal(&b);
}

/* The backing is a file: one that we wrote and that nobody changed? Nothing is
 * opened; the record must agree with what the file system says of it. */
static int by_export(struct library *l, const struct basis_args *a,
	const struct qcow2_facts *f, struct record *out, bool *known,
	struct error *e)
{
	const char *name = f->backing;
	AUTO_FREE char *path = NULL;
	AUTO_RECORD r = { 0 };
	const char *why;
	int rc;

	if (!strncmp(name, "file:", 5))
		name += 5;
	if (!is_file_name(name))
		return unknown(e, a->path, "its base is not known", f->backing);
	path = backing_path(a->path, name);
	if (!path)
		return error_nomem(e);
	rc = record_find(l, path, &r, e);
	if (rc == ERR_NOTFOUND)
		return unknown(e, a->path,
			access(path, F_OK) ? "its base is not there"
					   : "its base was not exported from "
					     "this library",
			f->backing);
	if (rc)
		return rc;
	if (r.kind != RECORD_EXPORT)
		return unknown(e, a->path,
			"its base is an overlay itself; commit that one first",
			f->backing);
	*known = true;
	why = record_altered(&r);
	if (why)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: its base %s is not as it was exported (%s); "
			"'strata import --allow-backing' stores it whole",
			a->path, r.path, why);
	if (*f->backing_format && strcmp(f->backing_format, r.format) != 0)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: takes its base %s for %s, but it was exported as "
			"%s",
			a->path, r.path, f->backing_format, r.format);
	*out = r;
	memset(&r, 0, sizeof(r));
	return 0;
}

/* Without a recorded format qemu looks at the content. Of a raw base that
 * begins like some container it would see another disk. */
static int check_probe(struct library *l, const struct basis *b,
	const struct qcow2_facts *f, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	AUTO_SOURCE disk = NULL;
	size_t n = b->disk < 0 ? 0 : (size_t)b->disk;
	int r;

	if (*f->backing_format)
		return 0;
	r = library_get_commit(l, &b->base, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r && n >= im.disks.len)
		r = error_set(e, ERR_NOTFOUND, "the base has no disk %zu", n);
	if (!r)
		r = view_disk(l, &im.disks.items[n], &disk, e);
	if (!r && strcmp(disk_probe(disk)->name, "raw") != 0)
		r = error_set(e, ERR_UNSUPPORTED,
			"the overlay does not say that its base is raw, and "
			"the base begins like %s",
			disk_probe(disk)->name);
	return r;
}

/* --- the search --- */

static bool copy(char **out, const char *s)
{
	free(*out);
	*out = s ? strdup(s) : NULL;
	return *out || !s;
}

/* What the record says of base, parent and branch. */
static int from_record(const struct record *r, struct basis *b,
	struct error *e)
{
	bool went = !oid_is_zero(&r->head);

	b->base = r->commit;
	b->disk = (int)r->disk;
	b->parent = went ? r->head : r->commit;
	return copy(&b->branch, went && r->head_branch ? r->head_branch
						       : r->branch)
		       ? 0
		       : error_nomem(e);
}

static int by_backing(struct library *l, const struct basis_args *a,
	const struct qcow2_facts *f, struct basis *b, bool *known,
	struct error *e)
{
	char export[OID_HEX + 32];
	AUTO_RECORD r = { 0 };
	int rc;

	if (nbd_export(f->backing, export, sizeof(export)) &&
		named_by_id(export, &b->base, &b->disk)) {
		b->parent = b->base;
		*known = true;
		return check_probe(l, b, f, e);
	}
	rc = by_export(l, a, f, &r, known, e);
	if (!rc)
		rc = from_record(&r, b, e);
	if (!rc && !strcmp(r.format, "raw"))
		rc = check_probe(l, b, f, e);
	return rc;
}

/* The record of the overlay itself, if it still tells the truth. */
static int by_own_record(struct library *l, const struct basis_args *a,
	const struct qcow2_facts *f, struct basis *b, bool *known,
	struct error *e)
{
	const char *was = b->record.backing ? b->record.backing : "";
	char export[OID_HEX + 32];
	AUTO_RECORD r = { 0 };
	int rc = 0;

	if (strcmp(was, f->backing) != 0)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: its base was changed from '%s' to '%s'" WHOLE,
			a->path, was, f->backing);
	/* Over a file: that one must be as it was, too. */
	if (!nbd_export(f->backing, export, sizeof(export)))
		rc = by_export(l, a, f, &r, known, e);
	if (rc) /* known only where the base's own record was found */
		return rc;
	*known = true;
	return from_record(&b->record, b, e);
}

/* What the user says must not be against what is known. */
static int agree(const struct basis_args *a, const struct basis *b,
	struct error *e)
{
	char x[OID_HEX + 1], y[OID_HEX + 1];

	if (oid_equal(&a->base->commit, &b->base) &&
		(a->base->disk < 0 || b->disk < 0 || a->base->disk == b->disk))
		return 0;
	return error_set(e, ERR_UNSUPPORTED,
		"%s: stands on disk %d of commit %.12s, not on disk %d of "
		"%.12s",
		a->path, b->disk < 0 ? 0 : b->disk, oid_hex(&b->base, x),
		a->base->disk < 0 ? 0 : a->base->disk,
		oid_hex(&a->base->commit, y));
}

static int check_there(struct library *l, const struct basis *b,
	const char *path, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	char hex[OID_HEX + 1];
	int r = library_get_commit(l, &b->base, &c, e);

	if (r == ERR_NOTFOUND)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: its base, commit %.12s, is not in the library "
			"any more; 'strata import --allow-backing' stores it "
			"whole",
			path, oid_hex(&b->base, hex));
	return r;
}

static int from_user(const struct basis_args *a, struct basis *b,
	struct error *e)
{
	b->base = a->base->commit;
	b->disk = a->base->disk;
	b->parent = b->base;
	return copy(&b->branch, a->base->branch) ? 0 : error_nomem(e);
}

static int of_overlay(struct library *l, const struct basis_args *a,
	const struct qcow2_facts *f, struct basis *b, struct error *e)
{
	bool known = false;
	int r = b->record.path && b->record.kind != RECORD_EXPORT
			? by_own_record(l, a, f, b, &known, e)
			: by_backing(l, a, f, b, &known, e);

	if (!a->base)
		return r;
	if (r)
		return known ? r : from_user(a, b, e);
	r = agree(a, b, e);
	if (!r && !b->branch && !copy(&b->branch, a->base->branch))
		r = error_nomem(e);
	return r;
}

/* A record of another file that had this name once says nothing, not even where
 * the new file was given the old one's inode. An instance may have been
 * rewritten (qemu-img convert): its header is looked at, and its base stays;
 * but whether the new file goes on from the last commit is not known. Taken for
 * granted, a commit could undo that one; like this it is a conflict. */
static void drop_stale(const char *path, struct record *r)
{
	struct record_stamp now = { 0 };

	if (!record_stamp_of(path, &now, NULL) &&
		record_same_file(&now, &r->stamp))
		return;
	if (r->kind == RECORD_INSTANCE)
		memset(&r->head, 0, sizeof(r->head));
	else
		record_release(r);
}

int basis_find(struct library *l, const struct basis_args *a,
	struct basis *out, struct error *e)
{
	AUTO_BASIS b = { .disk = -1 };
	struct qcow2_facts f = { 0 };
	AUTO_COMMIT c = { 0 };
	const struct record *own = &b.record;
	bool raw;
	int r = record_find(l, a->path, &b.record, e);

	if (r && r != ERR_NOTFOUND)
		return r;
	if (!r)
		drop_stale(a->path, &b.record);
	/* A guest may have written what looks like a container to its disk. */
	raw = own->path && own->kind == RECORD_EXPORT &&
	      !strcmp(own->format, "raw");
	r = 0;
	if (!raw && !strcmp(disk_probe(a->file)->name, "qcow2"))
		r = qcow2_read_facts(a->file, &f, e);
	if (r)
		return r;
	b.overlay = *f.backing;
	if (b.overlay)
		r = of_overlay(l, a, &f, &b, e);
	else if (a->base)
		r = from_user(a, &b, e);
	else if (own->path)
		r = from_record(own, &b, e);
	else
		r = error_set(e, ERR_UNSUPPORTED,
			"%s: is no overlay and was not exported from this "
			"library; 'strata import' stores it, --base REV says "
			"what it was made from",
			a->path);
	if (!r)
		r = check_there(l, &b, a->path, e);
	/* What was made of it last may be gone, with its branch. */
	if (!r && library_get_commit(l, &b.parent, &c, NULL))
		b.parent = b.base;
	if (!r) {
		b.backing = strdup(f.backing);
		r = b.backing ? 0 : error_nomem(e);
	}
	if (!r) {
		*out = b;
		memset(&b, 0, sizeof(b));
	}
	return r;
}

int basis_committed(struct library *l, const char *path,
	const struct basis *b, const struct oid *commit, const char *branch,
	struct error *e)
{
	const char *backing = b->backing;
	AUTO_RECORD r = { .kind = RECORD_OVERLAY,
		.commit = b->base,
		.disk = b->disk < 0 ? 0 : (uint32_t)b->disk,
		.created = library_now() };
	const struct record *old = &b->record;
	bool instance = old->path && old->kind == RECORD_INSTANCE;
	int rc;

	/* What was written whole is an export again: all of it is known. */
	if (!b->overlay) {
		r.kind = RECORD_EXPORT;
		r.commit = *commit;
		r.disk = 0;
		backing = NULL;
	}
	if (instance) {
		r.kind = RECORD_INSTANCE;
		r.created = old->created;
	}
	r.path = realpath(path, NULL);
	r.head = *commit;
	if (!r.path)
		return error_errno(e, "%s", path);
	if (r.kind == RECORD_EXPORT)
		memset(&r.head, 0, sizeof(r.head));
	if (!copy(&r.format, r.kind == RECORD_EXPORT && old->format
				     ? old->format
				     : "qcow2") ||
		!copy(&r.branch, r.kind == RECORD_EXPORT ? branch
							 : b->branch) ||
		!copy(&r.head_branch, branch) || !copy(&r.backing, backing) ||
		(instance && (!copy(&r.name, old->name) ||
				     !copy(&r.socket, old->socket) ||
				     !copy(&r.base_path, old->base_path) ||
				     !copy(&r.branch, old->branch))))
		return error_nomem(e);
	rc = record_stamp_of(r.path, &r.stamp, e);
	return rc ? rc : record_write(l, &r, e);
}
