/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: descriptors, files and their content. See iso9660.h. */
#include "fs/iso9660.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/label.h"
#include "fs/table.h"
#include "fs/udf.h"

/* Descriptors looked at; real images have up to five. */
#define DESCRIPTORS 32
#define DESCRIPTORS_AT (16 * (uint64_t)ISO_SECTOR)

enum {
	VD_BOOT = 0,
	VD_PRIMARY = 1,
	VD_SUPPLEMENTARY = 2,
	VD_END = 255,
};

/* Offsets in a primary or supplementary descriptor, ECMA-119 8.4. */
enum {
	PVD_VOLUME_ID = 40,
	PVD_SPACE_SIZE = 80,
	PVD_ESCAPES = 88,
	PVD_BLOCK_SIZE = 128,
	PVD_ROOT = 156,
	PVD_CREATED = 813,
	PVD_MODIFIED = 830,
};

struct descriptors {
	bool primary, joliet, high_sierra;
	uint8_t pvd[ISO_SECTOR], svd[ISO_SECTOR];
	uint64_t boot_catalog; /* block, 0 = none */
	uint64_t session;      /* sector where it begins */
	unsigned sessions;
};

static bool joliet_escape(const uint8_t *vd)
{
	const uint8_t *s = vd + PVD_ESCAPES;

	return s[0] == '%' && s[1] == '/' &&
	       (s[2] == '@' || s[2] == 'C' || s[2] == 'E');
}

/* The High Sierra form, which came before: all of it stands eight bytes further
 * on, but for some fields behind the block size. Made into the later one, without
 * times. No specification at hand: Linux, fs/isofs. */
static bool high_sierra(const uint8_t *vd, uint8_t *out)
{
	if (vd[8] != VD_PRIMARY || memcmp(vd + 9, "CDROM", 5) != 0)
		return false;
	memset(out, 0, ISO_SECTOR);
	memcpy(out, vd + 8, 132); /* to the block size */
	memcpy(out + 1, "CD001", 5);
	memcpy(out + PVD_ROOT, vd + 180, 34);
	return true;
}

static int read_session(struct source *src, uint64_t session,
	struct descriptors *d, struct error *e)
{
	uint8_t vd[ISO_SECTOR];

	memset(d, 0, sizeof(*d));
	d->session = session;
	for (unsigned i = 0; i < DESCRIPTORS; i++) {
		uint64_t off = DESCRIPTORS_AT +
			       (session + i) * (uint64_t)ISO_SECTOR;
		int r;

		if (!range_inside(off, ISO_SECTOR, src->size))
			break;
		r = source_pread(src, vd, ISO_SECTOR, off, e);
		if (r)
			return r;
		if (!i && !session && high_sierra(vd, d->pvd)) {
			d->primary = d->high_sierra = true;
			break;
		}
		if (memcmp(vd + 1, "CD001", 5) != 0 || vd[0] == VD_END)
			break;
		if (vd[0] == VD_PRIMARY && !d->primary) {
			memcpy(d->pvd, vd, ISO_SECTOR);
			d->primary = true;
		} else if (vd[0] == VD_SUPPLEMENTARY && !d->joliet &&
			   joliet_escape(vd)) {
			memcpy(d->svd, vd, ISO_SECTOR);
			d->joliet = true;
		} else if (vd[0] == VD_BOOT &&
			   !memcmp(vd + 7, "EL TORITO SPECIFICATION", 23)) {
			d->boot_catalog = get_le32(vd + 0x47);
		}
	}
	return 0;
}

/* Does a session begin at this sector? Its blocks are counted from the start of
 * the disc, which no other image behind this one would do. */
static bool session_at(struct source *src, uint64_t sector)
{
	const struct iso_record *root;
	uint8_t vd[ISO_SECTOR];

	if (!range_inside(DESCRIPTORS_AT + sector * ISO_SECTOR, ISO_SECTOR,
		    src->size) ||
		source_pread(src, vd, ISO_SECTOR,
			DESCRIPTORS_AT + sector * ISO_SECTOR, NULL))
		return false;
	root = (const void *)(vd + PVD_ROOT);
	return vd[0] == VD_PRIMARY && !memcmp(vd + 1, "CD001", 5) &&
	       get_le16(vd + PVD_BLOCK_SIZE) == ISO_SECTOR &&
	       root->len == sizeof(*root) + 1 &&
	       le32_get(root->extent) > sector + 16;
}

/* Where the session behind the one that ends here begins: at once, aligned as
 * growisofs and xorriso do, or as a drive leaves a gap (the two blocks that end
 * a track, the lead-out, the lead-in, the pre-gap); 0: there is none. */
static uint64_t next_session(struct source *src, uint64_t end)
{
	static const unsigned gaps[] = { 0, 2, 150, 152, 6900, 6902, 7050, 7052,
		11400, 11402, 11550, 11552 };
	uint64_t aligned[] = { round_up(end, 16), round_up(end, 32) };

	for (size_t i = 0; i < ARRAY_LEN(aligned); i++)
		if (session_at(src, aligned[i]))
			return aligned[i];
	for (size_t i = 0; i < ARRAY_LEN(gaps); i++)
		if (session_at(src, end + gaps[i]))
			return end + gaps[i];
	return 0;
}

/* Those of the last session of a disc to which more was written; each begins
 * behind the one before. */
static int read_descriptors(struct source *src, struct descriptors *d,
	struct error *e)
{
	unsigned n = 1;
	int r = read_session(src, 0, d, e);

	while (!r && d->primary && n < LIMIT_ISO_SESSIONS &&
		get_le16(d->pvd + PVD_BLOCK_SIZE) == ISO_SECTOR) {
		uint64_t end = d->session + get_le32(d->pvd + PVD_SPACE_SIZE);
		uint64_t next = end > d->session ? next_session(src, end) : 0;

		if (!next)
			break;
		n++;
		r = read_session(src, next, d, e);
	}
	d->sessions = n;
	return r;
}

static bool date_uuid(const uint8_t *d, char out[40])
{
	if (!memcmp(d, "0000000000000000", 16) && !d[16])
		return false;
	for (int i = 0; i < 16; i++)
		if (d[i] < '0' || d[i] > '9')
			return false;
	snprintf(out, 40, "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s", d, d + 4,
		d + 6, d + 8, d + 10, d + 12, d + 14);
	return true;
}

/* Joliet has room for 16 characters, the primary descriptor for 32 of ASCII,
 * often in capitals and with '_' for what it has not; where one continues the
 * other, take both (blkid does). */
static bool same_letter(uint16_t u, uint8_t a)
{
	return a == '_' || a == '?' || u == a ||
	       (u >= 'a' && u <= 'z' && u - 'a' + 'A' == a);
}

static void set_label(const struct descriptors *d, struct fs_info *out)
{
	const uint8_t *a = d->pvd + PVD_VOLUME_ID, *j = d->svd + PVD_VOLUME_ID;
	uint8_t both[64];

	if (!d->joliet) {
		fs_label_bytes(a, 32, out->label, sizeof(out->label));
		return;
	}
	memset(both, 0, sizeof(both));
	for (int i = 0; i < 32; i++) {
		uint16_t u = i < 16 ? get_be16(j + 2 * i) : 0;

		if (i < 16 && !same_letter(u, a[i])) {
			fs_label_utf16(j, 16, true, out->label,
				sizeof(out->label));
			return;
		}
		put_be16(both + 2 * i, i < 16 ? u : a[i]);
	}
	fs_label_utf16(both, 32, true, out->label, sizeof(out->label));
}

static bool block_size_ok(uint32_t bs)
{
	return bs == 512 || bs == 1024 || bs == 2048;
}

static void set_info(const struct descriptors *d, struct fs_info *out)
{
	snprintf(out->type, sizeof(out->type), "iso9660");
	out->devices = 1;
	out->block_size = get_le16(d->pvd + PVD_BLOCK_SIZE);
	out->size = (uint64_t)get_le32(d->pvd + PVD_SPACE_SIZE) *
			    out->block_size +
		    d->session * ISO_SECTOR;
	if (!date_uuid(d->pvd + PVD_MODIFIED, out->uuid))
		(void)date_uuid(d->pvd + PVD_CREATED, out->uuid);
	set_label(d, out);
}

static enum fs_verdict iso_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct descriptors d;

	if (src->size < DESCRIPTORS_AT + ISO_SECTOR)
		return FS_NO;
	if (read_descriptors(src, &d, e))
		return FS_UNSURE;
	if (!d.primary || !block_size_ok(get_le16(d.pvd + PVD_BLOCK_SIZE)))
		return FS_NO;
	set_info(&d, out);
	return FS_YES;
}

static void iso_close(struct fs *fs)
{
	struct iso *f = (struct iso *)fs;

	source_unref(f->meta);
	source_unref(f->src);
	vec_release(&f->file.sections);
	vec_release(&f->aliases);
	vec_release(&f->dir_records);
	buf_release(&f->link);
	buf_release(&f->zf_block);
	free(f);
}

static void cleanup_iso(struct iso **f)
{
	if (*f)
		iso_close(&(*f)->fs);
}

static uint64_t root_offset(const struct iso *f, const uint8_t *vd)
{
	const struct iso_record *r = (const void *)(vd + PVD_ROOT);

	return ((uint64_t)le32_get(r->extent) + r->ext_attr_len) *
	       f->block_size;
}

/* A volume that is UDF as well is shown as that (see udf.c), but with Rock
 * Ridge, or where UDF cannot be opened. */
static void report_udf(struct iso *f)
{
	uint32_t spacing;
	bool iso;

	if (!udf_announced(f->meta, &iso, &spacing))
		return;
	if (f->rock)
		finding_report(f->findings, FINDING_FS_BRIDGE,
			FINDING_NO_OFFSET, NULL,
			"iso9660: the volume is UDF as well; its ISO 9660 "
			"side has Rock Ridge and is shown");
	else
		finding_report(f->findings, FINDING_FS_DAMAGED,
			FINDING_NO_OFFSET, NULL,
			"iso9660: the volume is UDF as well, which may hold "
			"more files, but cannot be opened");
}

void iso_boot_find(struct source *src, const struct finding_sink *findings)
{
	struct descriptors d;

	if (!read_descriptors(src, &d, NULL) && d.boot_catalog)
		iso_boot_report(src, findings, d.boot_catalog);
}

static int iso_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_iso) struct iso *f = calloc(1, sizeof(*f));
	struct descriptors d;
	uint8_t rec[255];
	int r;

	if (!f)
		return error_nomem(e);
	f->fs.ops = &fs_iso9660;
	f->findings = args->findings;
	f->src = source_ref(args->devs[0]);
	f->zf_id = UINT64_MAX;
	r = source_cache(f->src, 4096, 4 * MIB, &f->meta, e);
	if (!r)
		r = read_descriptors(f->meta, &d, e);
	if (r)
		return r;
	if (!d.primary)
		return error_at(e, ERR_CORRUPT, DESCRIPTORS_AT,
			"iso9660: no primary volume descriptor");
	f->block_size = get_le16(d.pvd + PVD_BLOCK_SIZE);
	if (!block_size_ok(f->block_size))
		return error_at(e, ERR_CORRUPT, DESCRIPTORS_AT + PVD_BLOCK_SIZE,
			"iso9660: logical block size is %u", f->block_size);
	set_info(&d, &f->fs.info);
	if (f->fs.info.size > f->src->size)
		finding_report(f->findings, FINDING_FS_TRUNCATED,
			DESCRIPTORS_AT + PVD_SPACE_SIZE, NULL,
			"iso9660: the volume has %" PRIu64
			" bytes, its source %" PRIu64,
			f->fs.info.size, f->src->size);
	if (d.sessions > 1)
		finding_report(f->findings, FINDING_FS_SESSION,
			d.session * ISO_SECTOR, NULL,
			"iso9660: the last of %u sessions, at sector %" PRIu64,
			d.sessions, d.session);
	f->fs.root = root_offset(f, d.pvd);
	f->high_sierra = d.high_sierra;
	if (!f->high_sierra)
		r = iso_rock_detect(f, f->fs.root, e);
	if (r && r != ERR_CORRUPT && r != ERR_RANGE)
		return r;
	if (!f->rock && d.joliet) {
		f->joliet = true;
		f->fs.root = root_offset(f, d.svd);
	}
	r = iso_record_read(f, f->fs.root, rec, e);
	if (r && f->joliet) {
		finding_report(f->findings, FINDING_FS_DAMAGED, f->fs.root,
			NULL, "iso9660: the Joliet root: %s",
			e ? e->msg : "unreadable");
		f->joliet = false;
		f->fs.root = root_offset(f, d.pvd);
		r = iso_record_read(f, f->fs.root, rec, e);
	}
	if (r)
		return error_prefix(e, "iso9660: root directory");
	if (!(((struct iso_record *)(void *)rec)->flags & ISO_DIRECTORY))
		return error_at(e, ERR_CORRUPT, f->fs.root,
			"iso9660: the root is not a directory");
	report_udf(f);
	if (d.boot_catalog)
		iso_boot_report(f->meta, f->findings, d.boot_catalog);
	*out = &steal_ptr(f)->fs;
	return 0;
}

bool iso_has_rock(struct source *src)
{
	struct fs *fs;
	bool rock;

	if (iso_open(&(struct fs_open_args){ &src, 1, NULL }, &fs, NULL))
		return false;
	rock = ((struct iso *)fs)->rock;
	iso_close(fs);
	return rock;
}

static int iso_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct iso *f = (struct iso *)fs;
	int r = iso_load(f, id, e);

	if (!r)
		*out = f->file.node;
	return r;
}

static int iso_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct iso *f = (struct iso *)fs;
	int r = iso_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_SYMLINK)
		return error_at(e, ERR_ARG, id, "iso9660: not a symlink");
	buf_add(out, f->link.data, f->link.len);
	return out->oom ? error_nomem(e) : 0;
}

static int load_content(struct iso *f, uint64_t id, struct error *e)
{
	int r = iso_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_FILE)
		return error_at(e, ERR_ARG, id, "iso9660: not a file");
	if (f->file.node.flags & FS_NODE_OPAQUE)
		return error_at(e, ERR_UNSUPPORTED, id,
			"iso9660: the file's content cannot be decoded");
	return 0;
}

static int iso_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct iso *f = (struct iso *)fs;
	uint64_t at = 0;
	int r = load_content(f, id, e);

	if (r || !f->file.node.size)
		return r;
	if (f->file.zf_version) {
		struct fs_extent x = { .len = f->file.node.size,
			.kind = FS_EXTENT_INLINE };

		/* in one piece on the disk, or only readable as a whole */
		if (f->file.sections.len == 1) {
			x.kind = FS_EXTENT_ENCODED;
			x.dev_off = f->file.sections.items[0].dev_off;
			x.dev_len = f->file.sections.items[0].len;
		}
		return fn(ctx, &x);
	}
	for (size_t i = 0; i < f->file.sections.len; i++) {
		const struct iso_section s = f->file.sections.items[i];
		struct fs_extent x = { .file_off = at,
			.len = s.len,
			.dev_off = s.dev_off,
			.dev_len = s.len,
			.kind = FS_EXTENT_DATA };

		if (!s.len)
			continue;
		r = fn(ctx, &x);
		if (r)
			return r;
		at += s.len;
	}
	return 0;
}

int iso_raw_pread(struct iso *f, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	uint8_t *dst = buf;

	if (!range_inside(off, len, f->file.stored))
		return fs_outside(e, len, off, f->file.stored);
	for (size_t i = 0; len && i < f->file.sections.len; i++) {
		const struct iso_section s = f->file.sections.items[i];
		size_t n;
		int r;

		if (off >= s.len) {
			off -= s.len;
			continue;
		}
		n = (size_t)u64_min(len, s.len - off);
		r = source_pread(f->src, dst, n, s.dev_off + off, e);
		if (r)
			return r;
		dst += n;
		len -= n;
		off = 0;
	}
	return 0;
}

static int iso_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct iso *f = (struct iso *)fs;
	int r = load_content(f, id, e);

	if (r)
		return r;
	if (!range_inside(off, len, f->file.node.size))
		return fs_outside(e, len, off, f->file.node.size);
	return f->file.zf_version ? iso_zisofs_pread(f, buf, len, off, e)
				  : iso_raw_pread(f, buf, len, off, e);
}

const struct fs_ops fs_iso9660 = {
	.name = "iso9660",
	.probe = iso_probe,
	.open = iso_open,
	.close = iso_close,
	.stat = iso_stat,
	.readdir = iso_readdir,
	.readlink = iso_readlink,
	.extents = iso_extents,
	.pread = iso_pread,
	.xattrs = iso_xattrs,
};
