/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: directory records, names, dates. See iso9660.h. */
#include "fs/iso9660.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "fs/days.h"

static const struct iso_record *as_record(const uint8_t *rec)
{
	return (const struct iso_record *)(const void *)rec;
}

static bool record_sane(const uint8_t *rec, size_t left)
{
	return rec[0] >= sizeof(struct iso_record) + 1 && rec[0] <= left &&
	       rec[32] && sizeof(struct iso_record) + rec[32] <= rec[0];
}

int iso_record_read(struct iso *f, uint64_t off, uint8_t rec[255],
	struct error *e)
{
	size_t n = (size_t)u64_min(255,
		off < f->meta->size ? f->meta->size - off : 0);
	int r;

	if (n < 34)
		return error_at(e, ERR_RANGE, off,
			"iso9660: directory record outside the volume");
	r = source_pread(f->meta, rec, n, off, e);
	if (r)
		return r;
	if (!record_sane(rec, n))
		return error_at(e, ERR_CORRUPT, off,
			"iso9660: no directory record here");
	memset(rec + rec[0], 0, (size_t)255 - rec[0]);
	if (f->high_sierra) { /* its date has no zone */
		rec[25] = rec[24];
		rec[24] = 0;
	}
	return 0;
}

struct view iso_system_use(const uint8_t *rec)
{
	size_t at = sizeof(struct iso_record) + rec[32];

	at += at % 2; /* the area starts at an even offset */
	return at < rec[0] ? (struct view){ rec + at, rec[0] - at }
			   : (struct view){ rec, 0 };
}

/* --- dates --- */

static int64_t date(int64_t y, unsigned mo, unsigned d, unsigned h,
	unsigned mi, unsigned s, int8_t zone)
{
	int64_t t;

	if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 ||
		mi > 59 || s > 60)
		return 0;
	t = ((days_from_civil(y, mo, d) * 24 + h) * 60 + mi) * 60 + s;
	if (zone >= -52 && zone <= 52) /* quarters of an hour */
		t -= zone * 15 * 60;
	return t;
}

int64_t iso_date7(const uint8_t d[7])
{
	return date(1900 + d[0], d[1], d[2], d[3], d[4], d[5], (int8_t)d[6]);
}

int64_t iso_date17(const uint8_t d[17], uint32_t *ns)
{
	unsigned v[16];

	for (int i = 0; i < 16; i++) {
		if (d[i] < '0' || d[i] > '9')
			return 0;
		v[i] = d[i] - '0';
	}
	*ns = (v[14] * 10 + v[15]) * 10000000;
	return date(v[0] * 1000 + v[1] * 100 + v[2] * 10 + v[3],
		v[4] * 10 + v[5], v[6] * 10 + v[7], v[8] * 10 + v[9],
		v[10] * 10 + v[11], v[12] * 10 + v[13], (int8_t)d[16]);
}

/* --- one file --- */

/* Adds the section that the record names; false where it is outside. */
static bool add_section(struct iso *f, const uint8_t *rec, bool *nomem)
{
	const struct iso_record *r = as_record(rec);
	struct iso_section s = { .len = le32_get(r->size) };

	s.dev_off = ((uint64_t)le32_get(r->extent) + r->ext_attr_len) *
		    f->block_size;
	if (!s.len)
		return true;
	if (!range_inside(s.dev_off, s.len, f->src->size))
		return false;
	*nomem = !vec_push(&f->file.sections, s);
	f->file.stored += s.len;
	return true;
}

/* A file of more than one extent has one record each, one behind the other.
 * The walk ends at a record without the flag, at the limit, or at the end of
 * the source; every step moves on by a record. */
static int more_sections(struct iso *f, uint64_t off, uint8_t rec[255],
	struct error *e)
{
	for (int n = 0; as_record(rec)->flags & ISO_MULTI_EXTENT; n++) {
		bool nomem = false;
		uint8_t len;
		int r;

		if (n >= LIMIT_ISO_SECTIONS)
			return error_at(e, ERR_LIMIT, off,
				"iso9660: a file of more than %d extents",
				LIMIT_ISO_SECTIONS);
		off += rec[0];
		/* a zero length byte: on in the next block */
		r = source_pread(f->meta, &len, 1, off, e);
		if (r)
			return r;
		if (!len)
			off = (off / f->block_size + 1) * f->block_size;
		r = iso_record_read(f, off, rec, e);
		if (r)
			return r;
		if (!add_section(f, rec, &nomem))
			return error_at(e, ERR_CORRUPT, off,
				"iso9660: extent outside the volume");
		if (nomem)
			return error_nomem(e);
	}
	return 0;
}

static void opaque(struct iso *f, bool *told, enum finding_id id, uint64_t off,
	const char *why)
{
	f->file.node.flags |= FS_NODE_OPAQUE;
	if (told && *told)
		return;
	if (told)
		*told = true;
	finding_report(f->findings, id, off, NULL, "iso9660: record at %" PRIu64
		": %s", off, why);
}

static void set_type(struct fs_node *n, uint32_t mode)
{
	switch (mode & 0170000) {
	case 0040000: n->type = FS_DIR; break;
	case 0120000: n->type = FS_SYMLINK; break;
	case 0020000: n->type = FS_CHAR; break;
	case 0060000: n->type = FS_BLOCK; break;
	case 0010000: n->type = FS_FIFO; break;
	case 0140000: n->type = FS_SOCKET; break;
	default: n->type = FS_FILE; break;
	}
	n->mode = mode & 07777;
}

static void apply_rock(struct iso *f, const struct iso_rock *k, uint64_t id)
{
	struct fs_node *n = &f->file.node;
	bool dir = n->type == FS_DIR;

	if (k->damaged)
		finding_report(f->findings, FINDING_FILE_DAMAGED, id, NULL,
			"iso9660: record at %" PRIu64
			": damaged system use entries", id);
	if (k->has_px) {
		set_type(n, k->mode);
		n->nlink = k->nlink ? k->nlink : 1;
		n->uid = k->uid;
		n->gid = k->gid;
	}
	if (k->has_link && !k->has_px)
		n->type = FS_SYMLINK;
	/* the record decides what is a directory: it has the entries */
	if (dir != (n->type == FS_DIR)) {
		finding_report(f->findings, FINDING_FILE_DAMAGED, id, NULL,
			"iso9660: record at %" PRIu64
			": the mode and the directory flag disagree", id);
		n->type = dir ? FS_DIR : FS_FILE;
	}
	if (k->has_mtime) {
		n->mtime = k->mtime;
		n->mtime_ns = k->mtime_ns;
	}
	if (n->type == FS_CHAR || n->type == FS_BLOCK) {
		n->rdev_major = k->dev_high;
		n->rdev_minor = k->dev_low;
		if (!k->dev_high && k->dev_low > 255) {
			/* a number of both: 16 bits by old writers, by
			 * libisofs as Linux has them (the upper bits of the
			 * minor above those of the major) */
			n->rdev_major = k->dev_low >> 8 & 0xfff;
			n->rdev_minor = (k->dev_low & 255) |
					(k->dev_low >> 12 & 0xfff00);
		}
	}
}

int iso_load(struct iso *f, uint64_t id, struct error *e)
{
	uint8_t first[255], rec[255];
	struct iso_rock k = { 0 };
	struct fs_node *n = &f->file.node;
	const struct iso_record *d = as_record(first);
	bool nomem = false, inside = true;
	int r;

	if (f->has_file && f->file.id == id)
		return 0;
	f->has_file = false;
	r = iso_record_read(f, id, first, e);
	if (r == ERR_CORRUPT || r == ERR_RANGE)
		return error_at(e, ERR_NOTFOUND, id,
			"iso9660: no directory record at %" PRIu64, id);
	if (r)
		return r;
	memset(n, 0, sizeof(*n));
	f->file.sections.len = 0;
	f->file.stored = 0;
	f->file.zf_version = 0;
	n->id = id;
	n->nlink = 1;
	n->mode = 0555; /* as Linux where there is no Rock Ridge */
	n->mtime = iso_date7(d->date);
	n->type = d->flags & ISO_DIRECTORY ? FS_DIR : FS_FILE;
	if (f->rock) {
		r = iso_rock_read(f, first, id, f->susp_skip, &k, e);
		if (r)
			goto out;
		apply_rock(f, &k, id);
		if (k.has_attrs || (f->attrs && n->type == FS_DIR))
			n->flags |= FS_NODE_XATTRS;
	}
	if (n->type == FS_SYMLINK) {
		buf_clear(&f->link);
		buf_add(&f->link, k.link.data, k.link.len);
		if (f->link.oom) {
			r = error_nomem(e);
			goto out;
		}
		n->size = f->link.len;
	}
	if (n->type != FS_FILE)
		goto out;
	inside = add_section(f, first, &nomem);
	if (nomem) {
		r = error_nomem(e);
		goto out;
	}
	memcpy(rec, first, sizeof(rec));
	r = more_sections(f, id, rec, e);
	if (r == ERR_CORRUPT || r == ERR_LIMIT || r == ERR_RANGE) {
		inside = false;
		r = 0;
	}
	if (r)
		goto out;
	n->size = f->file.stored;
	if (!inside) {
		n->size = u64_max(n->size, le32_get(d->size));
		opaque(f, NULL, FINDING_FILE_DAMAGED, id,
			"an extent lies outside the volume");
	} else if (d->unit_size || d->gap_size) {
		opaque(f, &f->told_interleaved, FINDING_FILE_UNREADABLE, id,
			"the file is interleaved");
	} else if (k.sparse) {
		opaque(f, &f->told_sparse, FINDING_FILE_UNREADABLE, id,
			"the file is stored as a Rock Ridge sparse file");
	} else if (k.zf_version == 255) {
		opaque(f, &f->told_zf, FINDING_FILE_UNREADABLE, id,
			"compressed in a way that is not known");
	} else if (k.zf_version && f->file.stored) {
		n->size = k.zf_size;
		f->file.zf_version = k.zf_version;
		f->file.zf_header = 4u * k.zf_header;
		f->file.zf_shift = k.zf_shift;
		if (!iso_zisofs_check(f, &f->file)) {
			f->file.zf_version = 0;
			opaque(f, NULL, FINDING_FILE_DAMAGED, id,
				"marked as compressed but is not");
		}
	}
out:
	iso_rock_release(&k);
	f->file.id = id;
	f->has_file = !r;
	return r;
}

/* --- directories --- */

/* As Linux with map=normal: lower case, ";1" and the dot before it dropped. */
static size_t plain_name(const uint8_t *in, size_t n, uint8_t *out)
{
	size_t i = 0;

	for (; i < n && in[i]; i++) {
		uint8_t c = in[i];

		if (i + 3 == n && !memcmp(in + i, ".;1", 3))
			break;
		if (i + 2 == n && !memcmp(in + i, ";1", 2))
			break;
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		out[i] = c == ';' || c == '/' ? '.' : c;
	}
	return i;
}

static size_t joliet_name(const uint8_t *in, size_t n, uint8_t *out, size_t max)
{
	n = utf16_to_utf8(in, n / 2, true, UTF_LONE_KEEP, out, max, NULL);
	if (n > 2 && out[n - 2] == ';' && out[n - 1] == '1')
		n -= 2;
	while (n >= 2 && out[n - 1] == '.')
		n--;
	return n;
}

static bool name_ok(const uint8_t *s, size_t n)
{
	return n && n <= LIMIT_NAME && !memchr(s, 0, n) &&
	       !memchr(s, '/', n) && !(n == 1 && s[0] == '.') &&
	       !(n == 2 && s[0] == '.' && s[1] == '.');
}

/* One record of a directory to the caller. */
static int deliver(struct iso *f, const uint8_t *rec, uint64_t off,
	fs_entry_fn fn, void *ctx, struct error *e)
{
	const struct iso_record *d = as_record(rec);
	const uint8_t *name = rec + sizeof(*d);
	struct iso_rock k = { 0 };
	uint8_t text[LIMIT_NAME];
	size_t n = 0;
	uint64_t id = off;
	int r = 0;

	if (d->flags & ISO_DIRECTORY)
		id = ((uint64_t)le32_get(d->extent) + d->ext_attr_len) *
		     f->block_size;
	if (f->rock) {
		r = iso_rock_read(f, rec, off, f->susp_skip, &k, e);
		if (r || k.relocated)
			goto out;
		if (k.has_child)
			id = (uint64_t)k.child_lba * f->block_size;
		if (k.has_attrs)
			f->attrs = true;
		if (f->attrs && (k.has_child || d->flags & ISO_DIRECTORY))
			iso_aaip_note(f, id, off);
		if (!k.has_child && !(d->flags & ISO_DIRECTORY) &&
			iso_link_wanted(&k)) {
			if (f->scan)
				iso_link_note(f, rec, off, &k);
			else
				id = iso_link_id(f, off);
		}
		if (k.has_name) {
			n = size_min(k.name.len, sizeof(text));
			memcpy(text, k.name.data, n);
		}
	}
	if (!n)
		n = f->joliet ? joliet_name(name, d->name_len, text,
					sizeof(text))
			      : plain_name(name, d->name_len, text);
	if (!name_ok(text, n)) {
		finding_report(f->findings, FINDING_NAME_BAD, off, NULL,
			"iso9660: the name in the record at %" PRIu64
			" is empty, too long or holds a '/' or NUL", off);
		goto out;
	}
	r = fn(ctx, text, n, id);
out:
	iso_rock_release(&k);
	return r;
}

int iso_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct iso *f = (struct iso *)fs;
	uint8_t rec[255], self[255];
	uint64_t size, at = 0;
	size_t count = 0;
	bool more = false; /* inside a file of several extents */
	int r;

	r = iso_record_read(f, dir, self, e);
	if (r)
		return error_prefix(e, "iso9660: directory at %" PRIu64, dir);
	if (!(as_record(self)->flags & ISO_DIRECTORY))
		return error_at(e, ERR_ARG, dir, "iso9660: not a directory");
	size = le32_get(as_record(self)->size);
	if (self[32] != 1 || self[33] != 0) {
		return error_at(e, ERR_CORRUPT, dir,
			"iso9660: directory at %" PRIu64
			" does not start with an entry for itself", dir);
	}
	if (size > LIMIT_ISO_DIR)
		return error_at(e, ERR_LIMIT, dir,
			"iso9660: directory of %" PRIu64 " bytes", size);
	while (at < size) {
		uint64_t off = dir + at;
		uint8_t len;
		bool again = more;

		if (off >= f->meta->size)
			return error_at(e, ERR_CORRUPT, off,
				"iso9660: directory ends outside the volume");
		r = source_pread(f->meta, &len, 1, off, e);
		if (r)
			return r;
		if (!len) { /* the rest of the block is empty */
			at = (at / f->block_size + 1) * f->block_size;
			continue;
		}
		r = iso_record_read(f, off, rec, e);
		if (r)
			return error_prefix(e, "iso9660: directory at %" PRIu64,
				dir);
		at += len;
		more = as_record(rec)->flags & ISO_MULTI_EXTENT;
		if (again || (as_record(rec)->flags & ISO_ASSOCIATED) ||
			(rec[32] == 1 && rec[33] <= 1))
			continue;
		if (++count > LIMIT_DIR_ENTRIES)
			return error_at(e, ERR_LIMIT, dir,
				"iso9660: more than %d entries",
				LIMIT_DIR_ENTRIES);
		r = deliver(f, rec, off, fn, ctx, e);
		if (r)
			return r;
	}
	return 0;
}
