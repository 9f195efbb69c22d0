/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes of ext2/3/4. They are read through a cache of long stretches of the
 * inode tables, so that a listing costs a read each few hundred files. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "fs/ext_fast.h"

int ext_block_read(struct ext *x, uint64_t blk, uint8_t *buf, struct error *e)
{
	if (blk >= x->g.blocks)
		return error_set(e, ERR_CORRUPT,
			"block %" PRIu64 " is outside the file system", blk);
	return source_pread(x->meta, buf, x->g.block_size, ext_blk_off(x, blk),
		e);
}

uint64_t ext_inode_off(const struct ext *x, uint32_t ino)
{
	uint32_t g = (ino - 1) / x->g.inodes_per_group;
	uint64_t index = (ino - 1) % x->g.inodes_per_group;

	return ext_blk_off(x, ext2fs_inode_table_loc(x->e2, g)) +
	       index * x->g.inode_size;
}

/* Everything that hangs on an inode is summed with this seed. */
uint32_t ext_inode_seed(const struct ext *x, const struct ext_inode *in)
{
	uint8_t b[8];

	put_le32(b, in->ino);
	put_le32(b + 4, in->generation);
	return crc32c_update(x->g.csum_seed, b, sizeof(b));
}

static bool csum_ok(const struct ext *x, const struct ext_inode *in,
	const uint8_t *raw)
{
	const struct ext_inode_disk *d = (const void *)raw;
	static const uint8_t zero[2];
	uint32_t size = x->g.inode_size, want = le16_get(d->csum_lo), c;
	const size_t lo = offsetof(struct ext_inode_disk, csum_lo);
	const size_t hi = offsetof(struct ext_inode_disk, csum_hi);
	bool has_hi = size > EXT_INODE_OLD_SIZE &&
		      le16_get(d->extra_isize) >= 4;

	c = crc32c_update(ext_inode_seed(x, in), raw, lo);
	c = crc32c_update(c, zero, 2);
	c = crc32c_update(c, raw + lo + 2, EXT_INODE_OLD_SIZE - lo - 2);
	if (size > EXT_INODE_OLD_SIZE) {
		c = crc32c_update(c, raw + EXT_INODE_OLD_SIZE,
			hi - EXT_INODE_OLD_SIZE);
		if (has_hi) {
			c = crc32c_update(c, zero, 2);
			want |= (uint32_t)le16_get(d->csum_hi) << 16;
			c = crc32c_update(c, raw + hi + 2, size - hi - 2);
		} else {
			c = crc32c_update(c, raw + hi, size - hi);
		}
	}
	return has_hi ? c == want : (c & 0xffff) == want;
}

/* x->raw, as the disk has it. */
static int read_raw(struct ext *x, uint32_t ino, struct error *e)
{
	uint64_t table = ext2fs_inode_table_loc(x->e2,
		(ino - 1) / x->g.inodes_per_group);
	int r;

	if (table < x->g.first_block || table >= x->g.blocks)
		return error_set(e, ERR_CORRUPT,
			"inode %u: its table at block %" PRIu64
			" is outside the file system", ino, table);
	r = source_pread(x->itab, x->raw, x->g.inode_size,
		ext_inode_off(x, ino), e);
	if (r) {
		error_prefix(e, "inode %u", ino);
		return r == ERR_RANGE ? ERR_CORRUPT : r;
	}
	return 0;
}

static void identify(const struct ext *x, uint32_t ino, struct ext_inode *out)
{
	const struct ext_inode_disk *d = (const void *)x->raw;

	out->ino = ino;
	out->mode = le16_get(d->mode);
	out->links = le16_get(d->links);
	out->generation = le32_get(d->generation);
	out->flags = le32_get(d->flags);
}

int ext_inode_slot(struct ext *x, uint32_t ino, struct ext_inode *out,
	bool *out_sound, struct error *e)
{
	int r = read_raw(x, ino, e);

	if (r)
		return r;
	identify(x, ino, out);
	*out_sound = !x->csum || csum_ok(x, out, x->raw);
	return 0;
}

int ext_inode_read(struct ext *x, uint64_t id, bool special,
	struct ext_inode *out, const uint8_t **out_raw, struct error *e)
{
	const struct ext_inode_disk *d = (const void *)x->raw;
	const struct fast_inode *layer;
	uint32_t ino = (uint32_t)id;
	uint64_t off;
	bool sound;
	int r;

	if (!id || id > x->g.inodes ||
		(!special && id < x->g.first_ino && id != EXT_INO_ROOT))
		return error_set(e, ERR_NOTFOUND,
			"inode %" PRIu64 " cannot be a file's", id);
	r = read_raw(x, ino, e);
	if (r)
		return r;
	off = ext_inode_off(x, ino);
	identify(x, ino, out);
	layer = ext_fast_inode(x->fast, ino);
	if (layer) {
		sound = !x->csum || layer->fresh || csum_ok(x, out, x->raw);
		ext_layer_inode(x, layer, x->raw);
		identify(x, ino, out);
	}
	if (!out->links || !out->mode)
		return error_at(e, ERR_NOTFOUND, off, "inode %u is not in use",
			ino);
	if (!layer)
		sound = !x->csum || csum_ok(x, out, x->raw);
	if (!sound)
		return error_at(e, ERR_CORRUPT, off,
			"inode %u: its checksum is wrong", ino);
	out->size = le32_get(d->size_lo);
	if ((out->mode & EXT_MODE_FMT) == EXT_MODE_FILE ||
		(x->g.incompat & EXT_INCOMPAT_LARGEDIR))
		out->size |= (uint64_t)le32_get(d->size_hi) << 32;
	if (out->size > INT64_MAX)
		return error_at(e, ERR_CORRUPT, off,
			"inode %u: its size is %" PRIu64, ino, out->size);
	out->acl_block = le32_get(d->file_acl_lo);
	if (x->g.incompat & EXT_INCOMPAT_64BIT)
		out->acl_block |= (uint64_t)le16_get(d->file_acl_hi) << 32;
	out->extra = 0;
	out->bad_extra = false;
	if (x->g.inode_size > EXT_INODE_OLD_SIZE) {
		uint32_t extra = le16_get(d->extra_isize);

		/* A wrong one costs the attributes behind it, not the file. */
		out->bad_extra = extra & 3 ||
				 extra > x->g.inode_size - EXT_INODE_OLD_SIZE;
		if (!out->bad_extra &&
			extra + EXT_INODE_OLD_SIZE + 8 <= x->g.inode_size)
			out->extra = (uint16_t)(EXT_INODE_OLD_SIZE + extra);
	}
	memcpy(out->block, d->block, sizeof(out->block));
	if (out_raw)
		*out_raw = x->raw;
	return 0;
}

static void set_time(const struct ext *x, const struct ext_inode_disk *d,
	struct fs_node *out)
{
	out->mtime = (int32_t)le32_get(d->mtime);
	out->mtime_ns = 0;
	/* Of the extra word two bits are the epoch (each 2^32 s), the other
	 * 30 nanoseconds (Documentation: "Inode Timestamps"). */
	if (x->g.inode_size > EXT_INODE_OLD_SIZE &&
		le16_get(d->extra_isize) >=
			offsetof(struct ext_inode_disk, mtime_extra) + 4 -
				EXT_INODE_OLD_SIZE) {
		uint32_t extra = le32_get(d->mtime_extra);

		out->mtime += (int64_t)(extra & 3) << 32;
		if (extra >> 2 < 1000000000)
			out->mtime_ns = extra >> 2;
	}
}

/* Numbers before Linux 2.6 are 8:8 bits in the first word; since then 12:20
 * in the second, as the kernel's old_decode_dev and new_decode_dev. */
static void set_device(const struct ext_inode_disk *d, struct fs_node *out)
{
	uint32_t old = get_le32(d->block), v = get_le32(d->block + 4);

	if (old) {
		out->rdev_major = (old >> 8) & 0xff;
		out->rdev_minor = old & 0xff;
	} else {
		out->rdev_major = (v & 0xfff00) >> 8;
		out->rdev_minor = (v & 0xff) | ((v >> 12) & 0xfff00);
	}
}

static enum fs_type type_of(uint16_t mode)
{
	switch (mode & EXT_MODE_FMT) {
	case EXT_MODE_FILE:
		return FS_FILE;
	case EXT_MODE_DIR:
		return FS_DIR;
	case EXT_MODE_SYMLINK:
		return FS_SYMLINK;
	case EXT_MODE_CHAR:
		return FS_CHAR;
	case EXT_MODE_BLOCK:
		return FS_BLOCK;
	case EXT_MODE_FIFO:
		return FS_FIFO;
	case EXT_MODE_SOCKET:
		return FS_SOCKET;
	default:
		return FS_UNKNOWN;
	}
}

int ext_stat(struct fs *fs, uint64_t id, struct fs_node *out, struct error *e)
{
	struct ext *x = ext_of(fs);
	const struct ext_inode_disk *d;
	struct ext_inode in;
	const uint8_t *raw;
	struct fs_node n = { 0 };
	struct error err = { 0 };
	int r = ext_inode_read(x, id, false, &in, &raw, &err);

	if (!r) {
		n.type = type_of(in.mode);
		if (n.type == FS_UNKNOWN)
			r = error_at(&err, ERR_CORRUPT,
				ext_inode_off(x, in.ino),
				"inode %u: its mode is %#o", in.ino, in.mode);
	}
	if (r) {
		char where[32];

		snprintf(where, sizeof(where), "inode %" PRIu64, id);
		finding_report(x->findings,
			r == ERR_IO ? FINDING_READ_ERROR : FINDING_FILE_DAMAGED,
			err.has_offset ? err.offset : FINDING_NO_OFFSET, where,
			"%s", err.msg);
		if (e)
			*e = err;
		return r;
	}
	d = (const void *)raw;
	n.id = id;
	n.mode = in.mode & 07777;
	n.uid = le16_get(d->uid_lo) | (uint32_t)le16_get(d->uid_hi) << 16;
	n.gid = le16_get(d->gid_lo) | (uint32_t)le16_get(d->gid_hi) << 16;
	n.nlink = in.links;
	set_time(x, d, &n);
	if (in.bad_extra) {
		char where[32];

		snprintf(where, sizeof(where), "inode %u", in.ino);
		finding_report(x->findings, FINDING_XATTR_DAMAGED,
			ext_inode_off(x, in.ino) + 0x80, where,
			"i_extra_isize is %u", le16_get(d->extra_isize));
	}
	if (n.type == FS_FILE || n.type == FS_SYMLINK)
		n.size = in.size;
	if (n.type == FS_CHAR || n.type == FS_BLOCK)
		set_device(d, &n);
	if (in.acl_block ||
		(in.extra && get_le32(raw + in.extra) == EXT_XATTR_MAGIC))
		n.flags |= FS_NODE_XATTRS;
	if (in.flags & EXT_FL_ENCRYPT) {
		n.flags |= FS_NODE_ENCRYPTED;
		if (!x->told_encrypted)
			finding_report(x->findings, FINDING_FILE_ENCRYPTED,
				ext_inode_off(x, in.ino), "",
				"inode %u is the first of them", in.ino);
		x->told_encrypted = true;
	}
	*out = n;
	return 0;
}
