/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: file extents and content. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

/* A file extent, checked: every sum of its numbers fits, and what it shows of
 * a disk extent lies inside that. */
struct fext {
	uint64_t off, len;       /* in the file */
	uint64_t disk, disk_len; /* logical; 0 = a hole */
	uint64_t skip, ram;      /* shows [skip, skip+len) of ram bytes */
	uint8_t type, compression;
	const uint8_t *data; /* inline: in the path's leaf */
	size_t data_len;
};

static int fext_bad(const struct btrfs_path *p, const char *what,
	struct error *e)
{
	return error_set(e, ERR_CORRUPT,
		"btrfs: inode %" PRIu64 ": extent at %" PRIu64 ": %s",
		p->key.objectid, p->key.offset, what);
}

static int fext_parse(const struct btrfs *b, const struct btrfs_path *p,
	struct fext *x, struct error *e)
{
	struct btrfs_disk_extent d = { 0 };
	uint64_t end;

	if (p->len < BTRFS_EXTENT_INLINE_HEAD)
		return fext_bad(p, "too short", e);
	memcpy(&d, p->data, size_min(p->len, sizeof(d)));
	*x = (struct fext){ .off = p->key.offset,
		.type = d.type,
		.ram = le64_get(d.ram_bytes),
		.compression = d.compression };
	if (d.encryption || le16_get(d.other_encoding))
		return error_set(e, ERR_UNSUPPORTED,
			"btrfs: inode %" PRIu64 ": encrypted", p->key.objectid);
	if (d.type == BTRFS_EXTENT_INLINE) {
		x->data = p->data + BTRFS_EXTENT_INLINE_HEAD;
		x->data_len = p->len - BTRFS_EXTENT_INLINE_HEAD;
		x->len = x->ram;
		if (x->len > LIMIT_FS_BLOCK || x->off)
			return fext_bad(p, "inline, but large or not first", e);
		return 0;
	}
	if (d.type > BTRFS_EXTENT_PREALLOC)
		return fext_bad(p, "unknown type", e);
	if (p->len < sizeof(d))
		return fext_bad(p, "too short", e);
	x->disk = le64_get(d.disk_bytenr);
	x->disk_len = le64_get(d.disk_num_bytes);
	x->skip = le64_get(d.offset);
	x->len = le64_get(d.num_bytes);
	if (!x->len || !u64_add(x->off, x->len, &end) || end > INT64_MAX)
		return fext_bad(p, "its length", e);
	if (!x->disk)
		return 0;
	if (!u64_add(x->skip, x->len, &end) ||
		end > (x->compression ? x->ram : x->disk_len) ||
		!u64_add(x->disk, x->disk_len, &end))
		return fext_bad(p, "it shows more than there is", e);
	if ((x->disk | x->disk_len) % b->sb.sectorsize || !x->disk_len)
		return fext_bad(p, "not in whole sectors", e);
	if (x->compression && (x->ram > LIMIT_BTRFS_COMPRESSED ||
				      x->disk_len > LIMIT_BTRFS_COMPRESSED))
		return fext_bad(p, "a compressed extent is too large", e);
	return 0;
}

/* Walks the extents of a file that end behind from, in order. */
struct fwalk {
	struct btrfs *b;
	struct btrfs_path p;
	uint64_t ino, end; /* end of the extent before */
	bool started;
};

static void fwalk_release(struct fwalk *w)
{
	btrfs_path_release(&w->p);
}
#define AUTO_FWALK __attribute__((cleanup(fwalk_release))) struct fwalk

/* 1, 0 or an error. */
static int fwalk_next(struct fwalk *w, const struct btrfs_root *r,
	uint64_t from, struct fext *x, struct error *e)
{
	for (;;) {
		int rc;

		if (!w->started) {
			struct btrfs_key key = { w->ino, from,
				BTRFS_EXTENT_DATA };

			w->started = true;
			rc = btrfs_seek_le(w->b, r, &key, &w->p, e);
			/* the one before may be of another kind or inode */
			if (rc == 0 && w->p.node[0] && w->p.node[0]->nritems)
				rc = 1;
		} else {
			rc = btrfs_next(&w->p, e);
		}
		if (rc > 0 && w->p.damaged)
			rc = btrfs_path_verdict(&w->p, e);
		if (rc < 0)
			return rc;
		if (!rc)
			return btrfs_path_verdict(&w->p, e);
		if (w->p.key.objectid < w->ino ||
			(w->p.key.objectid == w->ino &&
				w->p.key.type < BTRFS_EXTENT_DATA))
			continue; /* only before the first */
		if (w->p.key.objectid != w->ino ||
			w->p.key.type != BTRFS_EXTENT_DATA)
			return 0;
		rc = fext_parse(w->b, &w->p, x, e);
		if (rc)
			return rc;
		if (x->off < w->end)
			return fext_bad(&w->p, "it overlaps the one before", e);
		w->end = x->off + x->len;
		if (w->end > from)
			return 1;
	}
}

/* --- where --- */

static int emit_piece(struct btrfs *b, const struct btrfs_piece *m,
	struct fs_extent *x, uint64_t logical, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	for (uint32_t i = 0; i < m->ncopies; i++)
		if (btrfs_here(b, &m->copy[i], m->len)) {
			x->dev = b->devs.items[m->copy[i].dev].index;
			x->dev_off = m->copy[i].off;
			x->dev_len = m->len;
			return fn(ctx, x);
		}
	return error_set(e, ERR_CORRUPT,
		"btrfs: logical address %" PRIu64
		" lies on no device that is there",
		logical);
}

/* DATA and UNWRITTEN: one to one, cut where the stripes are. */
static int emit_plain(struct btrfs *b, const struct fext *f, uint64_t len,
	fs_extent_fn fn, void *ctx, uint64_t *count, struct error *e)
{
	uint64_t done = 0;

	while (done < len) {
		uint64_t logical = f->disk + f->skip + done;
		struct btrfs_piece m;
		struct fs_extent x = { .kind = f->type == BTRFS_EXTENT_PREALLOC
						       ? FS_EXTENT_UNWRITTEN
						       : FS_EXTENT_DATA };
		int rc = btrfs_map(b, logical, len - done, &m, e);

		if (rc)
			return rc;
		if (++*count > LIMIT_FILE_EXTENTS)
			return error_set(e, ERR_LIMIT,
				"btrfs: a file of over %" PRIu64 " extents",
				LIMIT_FILE_EXTENTS);
		x.file_off = f->off + done;
		x.len = m.len;
		rc = emit_piece(b, &m, &x, logical, fn, ctx, e);
		if (rc)
			return rc;
		done += m.len;
	}
	return 0;
}

/* ENCODED: the whole compressed extent. Where stripes cut it, the part of the
 * file is shared out over the pieces, which says nothing but keeps every
 * piece named. */
static int emit_encoded(struct btrfs *b, const struct fext *f, uint64_t len,
	fs_extent_fn fn, void *ctx, uint64_t *count, struct error *e)
{
	uint64_t at = 0, done = 0;

	while (at < f->disk_len && done < len) {
		struct btrfs_piece m;
		struct fs_extent x = { .kind = FS_EXTENT_ENCODED };
		int rc = btrfs_map(b, f->disk + at, f->disk_len - at, &m, e);

		if (rc)
			return rc;
		if (++*count > LIMIT_FILE_EXTENTS)
			return error_set(e, ERR_LIMIT,
				"btrfs: a file of over %" PRIu64 " extents",
				LIMIT_FILE_EXTENTS);
		x.file_off = f->off + done;
		x.len = len - done;
		if (at + m.len < f->disk_len && x.len > 1)
			x.len /= 2;
		rc = emit_piece(b, &m, &x, f->disk + at, fn, ctx, e);
		if (rc)
			return rc;
		done += x.len;
		at += m.len;
	}
	return 0;
}

/* The inode as a regular file: its tree, number and size. */
static int file_open(struct btrfs *b, uint64_t id,
	const struct btrfs_subvol **out_sv, uint64_t *out_ino,
	uint64_t *out_size, struct error *e)
{
	struct btrfs_disk_inode inode;
	AUTO_PATH p = { 0 };
	bool stub;
	int rc = btrfs_id_open(b, id, out_sv, out_ino, &stub, e);

	if (rc)
		return rc;
	if (stub)
		return error_set(e, ERR_ARG, "btrfs: not a regular file");
	rc = btrfs_inode_get(b, &(*out_sv)->tree, *out_ino, &p, &inode, e);
	if (rc)
		return rc;
	if ((le32_get(inode.mode) & 0170000) != 0100000)
		return error_set(e, ERR_ARG, "btrfs: not a regular file");
	*out_size = le64_get(inode.size);
	return 0;
}

int btrfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	AUTO_FWALK w = { .b = b };
	uint64_t size, limit, count = 0;
	struct fext f;
	int rc = file_open(b, id, &sv, &w.ino, &size, e);

	if (rc)
		return rc;
	/* What lies behind the last sector in use is not the file's: space
	 * preallocated for what it may become. */
	limit = round_up(size, b->sb.sectorsize);
	while ((rc = fwalk_next(&w, &sv->tree, 0, &f, e)) > 0) {
		uint64_t len;

		if (f.off >= limit)
			return 0;
		len = u64_min(f.len, limit - f.off);
		if (!len)
			continue;
		if (f.type == BTRFS_EXTENT_INLINE) {
			struct fs_extent x = { .kind = FS_EXTENT_INLINE,
				.len = u64_min(len, size),
				.packed = f.compression };

			rc = fn(ctx, &x);
		} else if (!f.disk) {
			continue;
		} else if (f.compression && f.type == BTRFS_EXTENT_REG) {
			rc = emit_encoded(b, &f, len, fn, ctx, &count, e);
		} else {
			rc = emit_plain(b, &f, len, fn, ctx, &count, e);
		}
		if (rc)
			return rc;
	}
	return rc;
}

/* --- what --- */

/* The whole of a compressed extent, decoded; kept for the next read. */
static int decoded_get(struct btrfs *b, const struct fext *f, struct error *e)
{
	struct buf *out = &b->decoded.data, *raw = &b->decoded.raw;
	uint32_t copies = btrfs_copies(b, f->disk);
	size_t len = (size_t)f->disk_len;
	int rc = ERR_CORRUPT;

	if (out->len && b->decoded.disk == f->disk && out->len == f->ram)
		return 0;
	buf_clear(out);
	if (!buf_room(out, (size_t)f->ram) || !buf_room(raw, len))
		return error_nomem(e);
	for (uint32_t i = 0; i < copies; i++) {
		uint64_t bad;

		rc = btrfs_read_copy(b, raw->data, len, f->disk, i, e);
		/* without sums, or where they are lost, decoding will tell */
		if (!rc && btrfs_data_check(b, f->disk, raw->data, len, &bad,
				   NULL) == 1)
			rc = error_set(e, ERR_CORRUPT, "btrfs: data at logical "
				"address %" PRIu64 " does not match its "
				"checksum", f->disk + bad);
		if (!rc)
			rc = btrfs_decode(&b->codec, f->compression,
				b->sb.sectorsize, raw->data, len, out->data,
				(size_t)f->ram, e);
		if (!rc)
			break;
	}
	if (rc)
		return rc;
	out->len = (size_t)f->ram;
	b->decoded.disk = f->disk;
	return 0;
}

/* Bytes [at, at+len) of what the extent shows. */
static int fext_read(struct btrfs *b, const struct fext *f, uint8_t *buf,
	size_t len, uint64_t at, struct error *e)
{
	int rc;

	if (f->type == BTRFS_EXTENT_INLINE) {
		AUTO_FREE uint8_t *out = malloc((size_t)f->ram + 1);

		if (!out)
			return error_nomem(e);
		rc = btrfs_decode(&b->codec, f->compression,
			b->sb.sectorsize, f->data, f->data_len, out,
			(size_t)f->ram, e);
		if (!rc)
			memcpy(buf, out + at, len);
		return rc;
	}
	if (!f->disk || f->type == BTRFS_EXTENT_PREALLOC) {
		memset(buf, 0, len);
		return 0;
	}
	if (!f->compression)
		return btrfs_read(b, buf, len, f->disk + f->skip + at, e);
	rc = decoded_get(b, f, e);
	if (!rc)
		memcpy(buf, b->decoded.data.data + f->skip + at, len);
	return rc;
}

int btrfs_content(struct btrfs *b, const struct btrfs_root *r, uint64_t ino,
	void *buf, size_t len, uint64_t off, struct error *e)
{
	AUTO_FWALK w = { .b = b, .ino = ino };
	uint64_t end = off + len, at = off;
	uint8_t *out = buf;
	struct fext f;
	int rc = 0;

	while (at < end && (rc = fwalk_next(&w, r, at, &f, e)) > 0) {
		uint64_t n;

		if (f.off >= end)
			break;
		if (f.off > at) {
			memset(out + (at - off), 0, (size_t)(f.off - at));
			at = f.off;
		}
		n = u64_min(f.off + f.len, end) - at;
		rc = fext_read(b, &f, out + (at - off), (size_t)n, at - f.off,
			e);
		if (rc)
			return rc;
		at += n;
	}
	if (rc < 0)
		return rc;
	memset(out + (at - off), 0, (size_t)(end - at));
	return 0;
}

int btrfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	uint64_t ino, size;
	int rc = file_open(b, id, &sv, &ino, &size, e);

	if (rc)
		return rc;
	if (!range_inside(off, len, size))
		return error_set(e, ERR_RANGE,
			"btrfs: [%" PRIu64 ", +%zu) is outside a file of "
			"%" PRIu64 " bytes",
			off, len, size);
	return btrfs_content(b, &sv->tree, ino, buf, len, off, e);
}
