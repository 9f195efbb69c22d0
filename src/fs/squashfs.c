/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: superblock, inodes, directories. See squashfs.h. */
#include "fs/squashfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "fs/table.h"

#define MAGIC 0x73717368
#define NO_TABLE UINT64_MAX

enum inode_type {
	IT_DIR = 1, IT_FILE, IT_SYMLINK, IT_BLOCK, IT_CHAR, IT_FIFO, IT_SOCKET,
	IT_EXT = 7, /* added to them: the extended form */
};

static enum fs_verdict sqfs_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct sqfs_super s;
	uint16_t major;

	if (src->size < sizeof(s))
		return FS_NO;
	if (source_pread(src, &s, sizeof(s), 0, e))
		return FS_UNSURE;
	if (le32_get(s.magic) != MAGIC &&
		get_be32(s.magic.b) != MAGIC)
		return FS_NO;
	major = le32_get(s.magic) == MAGIC ? le16_get(s.major)
					   : get_be16(s.major.b);
	if (!major || major > 4)
		return FS_NO;
	if (major < 4 || le32_get(s.magic) != MAGIC) {
		snprintf(out->type, sizeof(out->type), "squashfs3");
		out->size = src->size;
		return FS_YES;
	}
	snprintf(out->type, sizeof(out->type), "squashfs");
	out->block_size = le32_get(s.block_size);
	out->size = le64_get(s.bytes_used);
	return FS_YES;
}

static void sqfs_close(struct fs *fs)
{
	struct sqfs *f = (struct sqfs *)fs;

	sqfs_meta_release(f);
	unpack_free(f->unpack);
	source_unref(f->meta);
	source_unref(f->src);
	free(f->block.data);
	free(f->frag.data);
	free(f->packed);
	free(f);
}

static void cleanup_sqfs(struct sqfs **f)
{
	if (*f)
		sqfs_close(&(*f)->fs);
}

static int sqfs_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_sqfs) struct sqfs *f = calloc(1, sizeof(*f));
	struct sqfs_super s;
	uint64_t used;
	int r;

	if (!f)
		return error_nomem(e);
	f->fs.ops = &fs_squashfs;
	f->src = source_ref(args->devs[0]);
	f->findings = args->findings;
	for (size_t i = 0; i < SQFS_SLOTS; i++)
		f->slots[i].block = UINT64_MAX;
	f->block.dev = f->frag.dev = UINT64_MAX;
	r = source_pread(f->src, &s, sizeof(s), 0, e);
	if (r)
		return r;
	if (sqfs_probe(f->src, &f->fs.info, e) != FS_YES)
		return error_at(e, ERR_CORRUPT, 0, "squashfs: no superblock");
	if (strcmp(f->fs.info.type, "squashfs") != 0 ||
		le16_get(s.minor) != 0) {
		bool le = le32_get(s.magic) == MAGIC;

		return error_at(e, ERR_UNSUPPORTED, 28,
			"squashfs: version %u.%u, only 4.0 is read",
			le ? le16_get(s.major) : get_be16(s.major.b),
			le ? le16_get(s.minor) : get_be16(s.minor.b));
	}
	f->fs.info.devices = 1;
	/* Every inode looks up its owner and its fragment. */
	r = source_cache(f->src, 4 * KIB, 1 * MIB, &f->meta, e);
	if (r)
		return r;
	f->block_size = le32_get(s.block_size);
	if (!is_pow2(f->block_size) || f->block_size < 4096 ||
		f->block_size > 1 * MIB ||
		1u << size_min(le16_get(s.block_log), 31) != f->block_size)
		return error_at(e, ERR_CORRUPT, 12,
			"squashfs: block size %u, log %u", f->block_size,
			le16_get(s.block_log));
	used = le64_get(s.bytes_used);
	if (used > f->src->size)
		finding_report(f->findings, FINDING_FS_TRUNCATED, 40, NULL,
			"squashfs: %" PRIu64 " bytes are used, its source has "
			"%" PRIu64, used, f->src->size);
	f->fragments = le32_get(s.fragments);
	f->ids = le16_get(s.ids);
	f->inode_table = le64_get(s.inode_table);
	f->dir_table = le64_get(s.dir_table);
	f->id_table = le64_get(s.id_table);
	f->fragment_table = le64_get(s.fragment_table);
	f->xattr_table = le64_get(s.xattr_table);
	if (f->inode_table < sizeof(s) || f->inode_table >= f->dir_table ||
		f->dir_table >= f->src->size || f->id_table >= f->src->size)
		return error_at(e, ERR_CORRUPT, 48,
			"squashfs: the tables lie at %" PRIu64 ", %" PRIu64
			" and %" PRIu64 " of %" PRIu64,
			f->inode_table, f->dir_table, f->id_table,
			f->src->size);
	r = unpack_new(le16_get(s.compressor), &f->unpack, e);
	if (r)
		return error_prefix(e, "squashfs");
	if (f->xattr_table != NO_TABLE) {
		struct error err = { 0 };

		if (sqfs_xattr_open(f, &err)) {
			finding_report(f->findings, FINDING_XATTR_DAMAGED, 56,
				NULL, "%s", err.msg);
			f->xattr_ids = 0;
		}
	}
	f->fs.root = le64_get(s.root);
	r = sqfs_load(f, f->fs.root, e);
	if (r)
		return error_prefix(e, "squashfs: root directory");
	if (f->file.node.type != FS_DIR)
		return error_at(e, ERR_CORRUPT, 32,
			"squashfs: the root is not a directory");
	*out = &steal_ptr(f)->fs;
	return 0;
}

static int owner(struct sqfs *f, uint16_t index, uint32_t *out,
	struct error *e)
{
	uint8_t b[4];
	int r;

	if (index >= f->ids)
		return error_set(e, ERR_CORRUPT, "squashfs: owner %u of %u",
			index, f->ids);
	r = sqfs_table_read(f, f->id_table, index, 4, b, e);
	if (!r)
		*out = get_le32(b);
	return r;
}

static void load_dir(struct sqfs *f, struct cursor *c, bool ext)
{
	struct sqfs_file *x = &f->file;
	uint32_t start;

	if (ext) {
		x->node.nlink = cur_le32(c);
		x->dir_size = cur_le32(c);
		start = cur_le32(c);
		cur_skip(c, 4 + 2); /* parent, size of the index */
		x->dir.off = cur_le16(c);
		x->xattr = cur_le32(c);
	} else {
		start = cur_le32(c);
		x->node.nlink = cur_le32(c);
		x->dir_size = cur_le16(c);
		x->dir.off = cur_le16(c);
	}
	x->dir.block = f->dir_table + start;
}

static void load_file(struct sqfs *f, struct cursor *c, bool ext, uint64_t id)
{
	struct sqfs_file *x = &f->file;

	if (ext) {
		x->start = cur_le64(c);
		x->node.size = cur_le64(c);
		cur_skip(c, 8); /* how much of it is holes */
		x->node.nlink = cur_le32(c);
		x->frag = cur_le32(c);
		x->frag_off = cur_le32(c);
		x->xattr = cur_le32(c);
	} else {
		x->start = cur_le32(c);
		x->frag = cur_le32(c);
		x->frag_off = cur_le32(c);
		x->node.size = cur_le32(c);
	}
	x->blocks = x->frag == SQFS_NONE
			    ? div_ceil(x->node.size, f->block_size)
			    : x->node.size / f->block_size;
	if (x->blocks > LIMIT_SQUASHFS_BLOCKS) {
		x->node.flags |= FS_NODE_OPAQUE;
		finding_report(f->findings, FINDING_FILE_LIMIT,
			FINDING_NO_OFFSET, NULL,
			"squashfs: inode %#" PRIx64 " has %" PRIu64 " bytes",
			id, x->node.size);
	}
}

int sqfs_load(struct sqfs *f, uint64_t id, struct error *e)
{
	static const enum fs_type types[] = { FS_UNKNOWN, FS_DIR, FS_FILE,
		FS_SYMLINK, FS_BLOCK, FS_CHAR, FS_FIFO, FS_SOCKET };
	struct sqfs_at at = { 0, (uint32_t)(id & 0xffff) };
	struct sqfs_file *x = &f->file;
	uint8_t b[16 + 40];
	struct cursor c;
	uint16_t type, uid, gid;
	size_t more;
	bool ext;
	int r;

	if (f->has_file && x->id == id)
		return 0;
	f->has_file = false;
	if (id >> 48 || !u64_add(f->inode_table, id >> 16, &at.block) ||
		at.block >= f->dir_table)
		return error_set(e, ERR_NOTFOUND,
			"squashfs: inode %#" PRIx64 " is outside", id);
	r = sqfs_meta_read(f, &at, b, 16, e);
	if (r)
		return error_prefix(e, "squashfs: inode %#" PRIx64, id);
	memset(x, 0, sizeof(*x));
	x->xattr = x->frag = SQFS_NONE;
	c = cursor_make(b, 16);
	type = cur_le16(&c);
	x->node.mode = cur_le16(&c) & 07777;
	uid = cur_le16(&c);
	gid = cur_le16(&c);
	x->node.mtime = cur_le32(&c);
	if (!type || type > IT_SOCKET + IT_EXT)
		return error_set(e, ERR_CORRUPT,
			"squashfs: inode %#" PRIx64 " is of type %u", id, type);
	r = owner(f, uid, &x->node.uid, e);
	if (!r)
		r = owner(f, gid, &x->node.gid, e);
	if (r)
		return error_prefix(e, "squashfs: inode %#" PRIx64, id);
	ext = type > IT_EXT;
	if (ext)
		type = (uint16_t)(type - IT_EXT);
	x->node.type = types[type];
	x->node.id = x->id = id;
	x->node.nlink = 1;
	more = type == IT_DIR	    ? (ext ? 24 : 16)
	       : type == IT_FILE    ? (ext ? 40 : 16)
	       : type == IT_SYMLINK ? 8
	       : type <= IT_CHAR    ? (ext ? 12 : 8)
				    : (ext ? 8 : 4);
	r = sqfs_meta_read(f, &at, b, more, e);
	if (r)
		return error_prefix(e, "squashfs: inode %#" PRIx64, id);
	c = cursor_make(b, more);
	switch (type) {
	case IT_DIR:
		load_dir(f, &c, ext);
		break;
	case IT_FILE:
		load_file(f, &c, ext, id);
		x->list = x->walk_list = at;
		x->walk_dev = x->start;
		break;
	case IT_SYMLINK:
		x->node.nlink = cur_le32(&c);
		x->node.size = cur_le32(&c);
		x->target = at;
		if (x->node.size > LIMIT_SYMLINK)
			return error_set(e, ERR_CORRUPT,
				"squashfs: inode %#" PRIx64
				": target of %" PRIu64 " bytes", id,
				x->node.size);
		if (ext) {
			r = sqfs_meta_read(f, &at, NULL,
				(size_t)x->node.size, e);
			if (!r)
				r = sqfs_meta_read(f, &at, b, 4, e);
			if (r)
				return r;
			x->xattr = get_le32(b);
		}
		break;
	default:
		x->node.nlink = cur_le32(&c);
		if (type <= IT_CHAR) {
			uint32_t dev = cur_le32(&c);

			x->node.rdev_major = dev >> 8 & 0xfff;
			x->node.rdev_minor = (dev & 0xff) |
					     (dev >> 12 & 0xfff00);
		}
		if (ext)
			x->xattr = cur_le32(&c);
	}
	if (x->xattr != SQFS_NONE && f->xattr_ids)
		x->node.flags |= FS_NODE_XATTRS;
	else
		x->xattr = SQFS_NONE;
	f->has_file = true;
	return 0;
}

static int sqfs_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct sqfs *f = (struct sqfs *)fs;
	int r = sqfs_load(f, id, e);

	if (!r)
		*out = f->file.node;
	return r;
}

static int sqfs_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct sqfs *f = (struct sqfs *)fs;
	struct sqfs_at at;
	size_t n, before = out->len;
	uint8_t *p;
	int r = sqfs_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_SYMLINK)
		return error_set(e, ERR_ARG, "squashfs: not a symlink");
	at = f->file.target;
	n = (size_t)f->file.node.size;
	p = buf_grow(out, n);
	if (!p)
		return error_nomem(e);
	r = sqfs_meta_read(f, &at, p, n, e);
	if (r)
		out->len = before;
	return r;
}

static bool name_ok(const uint8_t *s, size_t n)
{
	return !memchr(s, 0, n) && !memchr(s, '/', n) &&
	       !(n == 1 && s[0] == '.') &&
	       !(n == 2 && s[0] == '.' && s[1] == '.');
}

static int sqfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct sqfs *f = (struct sqfs *)fs;
	struct sqfs_at at;
	uint64_t left;
	size_t total = 0;
	int r = sqfs_load(f, dir, e);

	if (r)
		return r;
	if (f->file.node.type != FS_DIR)
		return error_set(e, ERR_ARG, "squashfs: not a directory");
	at = f->file.dir;
	/* the size counts "." and ".." as three bytes; every entry takes at
	 * least nine of it */
	left = f->file.dir_size > 3 ? f->file.dir_size - 3 : 0;
	while (left) {
		uint8_t h[12];
		uint32_t count;
		uint64_t start;

		if (left < sizeof(h))
			goto damaged;
		r = sqfs_meta_read(f, &at, h, sizeof(h), e);
		if (r)
			return r;
		left -= sizeof(h);
		count = get_le32(h);
		start = get_le32(h + 4);
		if (count >= 256)
			goto damaged;
		for (uint32_t i = 0; i <= count; i++) {
			uint8_t b[8], name[256];
			size_t n;

			if (left < sizeof(b))
				goto damaged;
			r = sqfs_meta_read(f, &at, b, sizeof(b), e);
			if (r)
				return r;
			left -= sizeof(b);
			n = (size_t)get_le16(b + 6) + 1;
			if (n > sizeof(name) || n > left)
				goto damaged;
			r = sqfs_meta_read(f, &at, name, n, e);
			if (r)
				return r;
			left -= n;
			if (++total > LIMIT_DIR_ENTRIES)
				return error_set(e, ERR_LIMIT,
					"squashfs: more than %d entries",
					LIMIT_DIR_ENTRIES);
			if (!name_ok(name, n)) {
				finding_report(f->findings, FINDING_NAME_BAD,
					at.block, NULL,
					"squashfs: a name in directory %#" PRIx64
					" holds a '/' or NUL, or is dots", dir);
				continue;
			}
			r = fn(ctx, name, n, start << 16 | get_le16(b));
			if (r)
				return r;
		}
	}
	return 0;
damaged:
	return error_at(e, ERR_CORRUPT, at.block,
		"squashfs: directory %#" PRIx64 " contradicts itself", dir);
}

const struct fs_ops fs_squashfs = {
	.name = "squashfs",
	.probe = sqfs_probe,
	.open = sqfs_open,
	.close = sqfs_close,
	.stat = sqfs_stat,
	.readdir = sqfs_readdir,
	.readlink = sqfs_readlink,
	.extents = sqfs_extents,
	.pread = sqfs_pread,
	.xattrs = sqfs_xattrs,
};
