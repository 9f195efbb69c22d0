/* SPDX-License-Identifier: Apache-2.0 */
/* The XFS reader: its row of the table, and file content. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/table.h"
#include "fs/xfs_log.h"

/* Metadata is read in chunks of an inode cluster's size (64 inodes of 512
 * bytes), and what a walk comes back to stays in memory. */
#define CACHE_BLOCK (32 * 1024)
#define CACHE_BUDGET (16 * 1024 * 1024)

static void xfs_close(struct fs *fs)
{
	struct xfs *x = xfs_of(fs);

	source_unref(x->meta);
	source_unref(x->dev);
	free(x);
}

static void report_super(const struct xfs *x, const struct xfs_super_state *st)
{
	const struct xfs_geo *g = &x->g;

	if (st->backup)
		finding_report(x->findings, FINDING_FS_BACKUP_SUPER, 0, "",
			"%s; the copy at offset %" PRIu64 " is used",
			st->first.msg, st->at);
	if (st->bad_crc)
		finding_report(x->findings, FINDING_FS_DAMAGED, 0, "", "%s",
			st->first.msg);
	if (g->needs_repair)
		finding_report(x->findings, FINDING_FS_DAMAGED, 0, "",
			"it is marked as in need of xfs_repair");
	if (g->size > x->dev->size)
		finding_report(x->findings, FINDING_FS_TRUNCATED, 0, "",
			"it has %" PRIu64 " bytes, its volume %" PRIu64,
			g->size, x->dev->size);
}

/* Metadata are read through the log from here on, where the root of the file
 * system is found so. Content is not in the log. */
static int replay(struct xfs *x, const struct xfs_log *l, struct error *why)
{
	AUTO_SOURCE view = NULL;
	struct source *meta = NULL, *old = x->meta;
	struct xfs_geo g = x->g;
	struct xfs_replayed sum;
	struct xfs_inode root;
	int r = xfs_log_replay(l, &view, &sum, why);

	if (!r)
		r = source_cache(view, CACHE_BLOCK, CACHE_BUDGET, &meta, why);
	if (r)
		return r;
	x->meta = meta;
	x->memo_ino = XFS_NULL_INO;
	r = xfs_inode_get(x, x->g.rootino, &root, why);
	if (!r && S_ISDIR(root.mode)) {
		source_unref(old);
		xfs_log_tell(l, &sum);
		return 0;
	}
	x->meta = old;
	x->memo_ino = XFS_NULL_INO;
	x->g = g;
	source_unref(meta);
	return r == ERR_NOMEM ? r
			      : error_set(why, ERR_CORRUPT,
				"xfs: the log: the root is gone with it");
}

static int check_log(struct xfs *x, struct error *e)
{
	enum xfs_log_state state = XFS_LOG_DAMAGED;
	struct error why = { 0 };
	struct xfs_log l;
	int r;

	if (!x->g.logstart) {
		finding_report(x->findings, FINDING_FS_EXTERNAL_LOG, 0, "",
			"whether it is clean is not known");
		return 0;
	}
	r = xfs_log_check(x, &l, &state, &why);
	x->log_clean = !r && state == XFS_LOG_CLEAN;
	if (x->log_clean)
		return 0;
	if (!r && state == XFS_LOG_DAMAGED)
		r = error_set(&why, ERR_CORRUPT,
			"the log is outside the volume");
	else if (!r)
		r = replay(x, &l, &why);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r)
		finding_report(x->findings, FINDING_FS_DIRTY,
			x->g.logstart << x->g.blocklog, "",
			"the log was not replayed, files are as they are on "
			"the disk: %s", why.msg);
	return 0;
}

static int xfs_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	struct xfs_super_state st;
	struct xfs_inode root;
	struct xfs *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return error_nomem(e);
	x->memo_ino = XFS_NULL_INO;
	x->findings = args->findings;
	x->dev = source_ref(args->devs[0]);
	r = xfs_super_read(x->dev, &x->g, &st, e);
	if (!r)
		r = source_cache(x->dev, CACHE_BLOCK, CACHE_BUDGET, &x->meta,
			e);
	if (!r) {
		report_super(x, &st);
		xfs_fill_info(&x->g, &x->fs.info);
		r = check_log(x, e);
	}
	if (!r)
		r = xfs_inode_get(x, x->g.rootino, &root, e);
	if (!r && !S_ISDIR(root.mode))
		r = error_at(e, ERR_CORRUPT, root.off,
			"xfs: the root is not a directory");
	if (r == ERR_NOTFOUND) { /* no superblock, no root: a contradiction */
		r = ERR_CORRUPT;
		if (e)
			e->code = r;
	}
	if (r) {
		xfs_close(&x->fs);
		return r;
	}
	x->fs.root = x->g.rootino;
	*out = &x->fs;
	(*out)->ops = &fs_xfs;
	return 0;
}

static enum fs_type type_of(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return FS_FILE;
	case S_IFDIR:
		return FS_DIR;
	case S_IFLNK:
		return FS_SYMLINK;
	case S_IFCHR:
		return FS_CHAR;
	case S_IFBLK:
		return FS_BLOCK;
	case S_IFIFO:
		return FS_FIFO;
	case S_IFSOCK:
		return FS_SOCKET;
	default:
		return FS_UNKNOWN;
	}
}

static bool is_realtime(const struct xfs_inode *ip)
{
	return S_ISREG(ip->mode) && ip->flags & XFS_DIFLAG_REALTIME;
}

static void report_inode(struct xfs *x, const struct xfs_inode *ip)
{
	if (!ip->crc_ok)
		finding_report(x->findings, FINDING_FILE_DAMAGED, ip->off, "",
			"inode %" PRIu64 ": the checksum is wrong", ip->ino);
	if (ip->data_bad)
		finding_report(x->findings, FINDING_FILE_DAMAGED, ip->off, "",
			"inode %" PRIu64 ": %s", ip->ino, ip->data_bad);
	if (is_realtime(ip))
		finding_report(x->findings, FINDING_FILE_UNREADABLE, ip->off,
			"", "inode %" PRIu64 ": it is on the realtime device",
			ip->ino);
}

static int xfs_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct xfs *x = xfs_of(fs);
	struct xfs_inode ip;
	enum fs_type type;
	int r = xfs_inode_get(x, id, &ip, e);

	if (r)
		return r;
	type = type_of(ip.mode);
	if (type == FS_UNKNOWN)
		return error_at(e, ERR_CORRUPT, ip.off, "xfs: inode %" PRIu64
			": the mode %#o has no file type", id, ip.mode);
	report_inode(x, &ip);
	*out = (struct fs_node){
		.id = id,
		.size = type == FS_FILE || type == FS_SYMLINK ? ip.size : 0,
		.mtime = ip.mtime,
		.mtime_ns = ip.mtime_ns,
		.mode = ip.mode & 07777u,
		.uid = ip.uid,
		.gid = ip.gid,
		.nlink = ip.nlink,
		.type = type,
	};
	if (type == FS_FILE && (ip.data_bad || is_realtime(&ip)))
		out->flags |= FS_NODE_OPAQUE;
	if (ip.attr.len && (ip.attr_bad || ip.aformat == XFS_FMT_BTREE ||
				   (ip.aformat == XFS_FMT_EXTENTS &&
					   ip.anextents) ||
				   (ip.aformat == XFS_FMT_LOCAL &&
					   ip.attr.len > 2 && ip.attr.data[2])))
		out->flags |= FS_NODE_XATTRS;
	if ((type == FS_CHAR || type == FS_BLOCK) && !ip.data_bad) {
		/* the SysV form: 14 bits major, 18 bits minor */
		uint32_t dev = get_be32(ip.data.data);

		out->rdev_major = dev >> 18 & 0x3fff;
		out->rdev_minor = dev & 0x3ffff;
	}
	return 0;
}

static int xfs_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct xfs *x = xfs_of(fs);
	uint8_t target[XFS_MAX_SYMLINK];
	struct xfs_inode ip;
	int r = xfs_inode_get(x, id, &ip, e);

	if (r)
		return r;
	if (!S_ISLNK(ip.mode))
		return error_set(e, ERR_ARG, "xfs: inode %" PRIu64
			" is not a symlink", id);
	if (ip.data_bad || !ip.size || ip.size > sizeof(target))
		return error_at(e, ERR_CORRUPT, ip.off, "xfs: inode %" PRIu64
			": %s", id, ip.data_bad ? ip.data_bad
				: "the length of the symlink is bad");
	if (ip.format == XFS_FMT_LOCAL)
		memcpy(target, ip.data.data, (size_t)ip.size);
	else
		r = xfs_remote_read(x, &ip, XFS_DATA, 0, XFS_SYMLINK_MAGIC,
			target, (size_t)ip.size, e);
	if (r)
		return r;
	if (memchr(target, 0, (size_t)ip.size))
		return error_at(e, ERR_CORRUPT, ip.off, "xfs: inode %" PRIu64
			": the target holds a NUL", id);
	buf_add(out, target, (size_t)ip.size);
	return out->oom ? error_nomem(e) : 0;
}

/* A regular file whose content can be read. */
static int get_file(struct xfs *x, uint64_t id, struct xfs_inode *ip,
	struct error *e)
{
	int r = xfs_inode_get(x, id, ip, e);

	if (r)
		return r;
	if (!S_ISREG(ip->mode))
		return error_set(e, ERR_ARG, "xfs: inode %" PRIu64
			" is not a regular file", id);
	if (is_realtime(ip))
		return error_at(e, ERR_UNSUPPORTED, ip->off,
			"xfs: inode %" PRIu64 " is on the realtime device", id);
	return 0;
}

static int xfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct xfs *x = xfs_of(fs);
	unsigned log = x->g.blocklog;
	struct xfs_extent ex;
	struct xfs_inode ip;
	struct xfs_bmap b;
	uint64_t end;
	int r = get_file(x, id, &ip, e);

	if (r)
		return r;
	/* What is preallocated behind the end is not the file's content. */
	end = div_ceil(ip.size, x->g.blocksize);
	r = xfs_bmap_begin(&b, x, &ip, XFS_DATA, 0, true, e);
	while (!r && (r = xfs_bmap_next(&b, &ex, e)) > 0) {
		struct fs_extent out;
		uint64_t n;

		r = 0;
		if (ex.file_blk >= end)
			break;
		n = u64_min(ex.blocks, end - ex.file_blk) << log;
		out = (struct fs_extent){
			.file_off = ex.file_blk << log,
			.len = n,
			.dev_off = ex.dev_off,
			.dev_len = n,
			.kind = ex.unwritten ? FS_EXTENT_UNWRITTEN
					     : FS_EXTENT_DATA,
		};
		r = fn(ctx, &out);
	}
	xfs_bmap_end(&b);
	return r;
}

static int xfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct xfs *x = xfs_of(fs);
	unsigned log = x->g.blocklog;
	struct xfs_inode ip;
	struct xfs_extent ex;
	struct xfs_bmap b;
	uint8_t *dst = buf;
	int r = get_file(x, id, &ip, e);

	if (r)
		return r;
	if (!range_inside(off, len, ip.size))
		return error_set(e, ERR_RANGE, "xfs: inode %" PRIu64
			": read of %zu bytes at %" PRIu64
			" is past its %" PRIu64 " bytes", id, len, off, ip.size);
	r = xfs_bmap_begin(&b, x, &ip, XFS_DATA, off >> log, false, e);
	while (!r && len) {
		uint64_t start, end, n;

		r = xfs_bmap_next(&b, &ex, e);
		if (r < 0)
			break;
		start = r ? ex.file_blk << log : UINT64_MAX;
		r = 0;
		if (start > off) { /* a hole before it, or the last one */
			n = u64_min(len, start - off);
			memset(dst, 0, (size_t)n);
			dst += n;
			off += n;
			len -= (size_t)n;
		}
		if (!len)
			break;
		end = start + (ex.blocks << log);
		n = u64_min(len, end - off);
		if (ex.unwritten)
			memset(dst, 0, (size_t)n);
		else
			r = source_pread(x->dev, dst, (size_t)n,
				ex.dev_off + (off - start), e);
		dst += n;
		off += n;
		len -= (size_t)n;
	}
	xfs_bmap_end(&b);
	return r;
}

const struct fs_ops fs_xfs = {
	.name = "xfs",
	.probe = xfs_probe,
	.open = xfs_open,
	.close = xfs_close,
	.stat = xfs_stat,
	.readdir = xfs_readdir,
	.readlink = xfs_readlink,
	.extents = xfs_extents,
	.pread = xfs_pread,
	.xattrs = xfs_xattrs,
	.free_space = xfs_free_space,
};
