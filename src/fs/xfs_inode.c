/* SPDX-License-Identifier: Apache-2.0 */
/* One XFS inode: found by its number, checked, decoded. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "base/checked.h"

#define NS_PER_S 1000000000u
/* Big timestamps count from the smallest 32-bit one (Structure,
 * "Timestamps"). */
#define BIGTIME_EPOCH (INT64_C(1) << 31)

static void decode_time(const struct xfs_inode *ip, be64 t, int64_t *out_s,
	uint32_t *out_ns)
{
	uint64_t v = be64_get(t);

	if (ip->version >= 3 && ip->flags2 & XFS_DIFLAG2_BIGTIME) {
		*out_s = (int64_t)(v / NS_PER_S) - BIGTIME_EPOCH;
		*out_ns = (uint32_t)(v % NS_PER_S);
		return;
	}
	*out_s = (int32_t)(uint32_t)(v >> 32);
	*out_ns = (uint32_t)v;
	if (*out_ns >= NS_PER_S)
		*out_ns = 0;
}

static const char *check_data(const struct xfs_inode *ip)
{
	switch (ip->mode & S_IFMT) {
	case S_IFREG:
		if (ip->format != XFS_FMT_EXTENTS &&
			ip->format != XFS_FMT_BTREE)
			return "a file's data fork is of another format";
		break;
	case S_IFDIR:
		if (ip->format != XFS_FMT_LOCAL &&
			ip->format != XFS_FMT_EXTENTS &&
			ip->format != XFS_FMT_BTREE)
			return "a directory's data fork is of another format";
		break;
	case S_IFLNK:
		if (ip->format != XFS_FMT_LOCAL &&
			ip->format != XFS_FMT_EXTENTS)
			return "a symlink's data fork is of another format";
		break;
	default:
		return ip->format == XFS_FMT_DEV && ip->data.len >= 4
			       ? NULL
			       : "a device's data fork is of another format";
	}
	if (ip->format == XFS_FMT_LOCAL && ip->size > ip->data.len)
		return "the size is over that of the inode's data fork";
	if (ip->format == XFS_FMT_EXTENTS &&
		ip->nextents > ip->data.len / sizeof(struct xfs_dbmbt_rec))
		return "more extents than fit into the inode";
	return NULL;
}

static const char *check_attr(const struct xfs_inode *ip)
{
	switch (ip->aformat) {
	case XFS_FMT_LOCAL:
	case XFS_FMT_BTREE:
		return NULL;
	case XFS_FMT_EXTENTS:
		return ip->anextents <=
				ip->attr.len / sizeof(struct xfs_dbmbt_rec)
			       ? NULL
			       : "more extents than fit into the inode";
	default:
		return "the attribute fork is of an unknown format";
	}
}

static int corrupt(struct error *e, const struct xfs_inode *ip,
	const char *what)
{
	return error_at(e, ERR_CORRUPT, ip->off, "xfs: inode %" PRIu64 ": %s",
		ip->ino, what);
}

/* The bytes of the inode at off, from the one kept or from the disk. */
static int load(struct xfs *x, struct xfs_inode *ip, struct error *e)
{
	int r;

	if (x->memo_ino != ip->ino) {
		x->memo_ino = XFS_NULL_INO;
		r = source_pread(x->meta, x->memo, x->g.inodesize, ip->off, e);
		if (r)
			return error_prefix(e, "xfs: inode %" PRIu64, ip->ino);
		x->memo_ino = ip->ino;
	}
	memcpy(ip->raw, x->memo, x->g.inodesize);
	return 0;
}

int xfs_inode_get(struct xfs *x, uint64_t ino, struct xfs_inode *ip,
	struct error *e)
{
	const struct xfs_geo *g = &x->g;
	const struct xfs_dinode *d = (const struct xfs_dinode *)ip->raw;
	size_t core = XFS_DINODE_SIZE2, fork_size, at;
	int r;

	memset(ip, 0, offsetof(struct xfs_inode, raw));
	ip->ino = ino;
	if (!xfs_fsb_offset(g, ino >> g->inopblog, 1, &ip->off))
		return error_set(e, ERR_NOTFOUND, "xfs: no inode %" PRIu64,
			ino);
	ip->off += (ino & ((UINT64_C(1) << g->inopblog) - 1)) << g->inodelog;
	for (size_t i = 0; i < sizeof(g->hidden) / sizeof(*g->hidden); i++)
		if (ino == g->hidden[i])
			return error_set(e, ERR_NOTFOUND,
				"xfs: inode %" PRIu64 " is the file system's",
				ino);
	r = load(x, ip, e);
	if (r)
		return r;
	if (be16_get(d->magic) != XFS_INODE_MAGIC)
		return corrupt(e, ip, "no inode is there");
	ip->version = d->version;
	ip->mode = be16_get(d->mode);
	ip->crc_ok = true;
	if (g->v5) {
		if (ip->version != 3)
			return corrupt(e, ip, "the version is not 3");
		core = XFS_DINODE_SIZE3;
		ip->crc_ok = xfs_crc_ok(ip->raw, g->inodesize,
			XFS_DINODE_CRC_AT);
		if (be64_get(d->ino) != ino)
			return corrupt(e, ip, "it has another number");
		if (memcmp(d->uuid, g->meta_uuid, 16) != 0)
			return corrupt(e, ip, "it is of another file system");
		ip->flags2 = be64_get(d->flags2);
	} else if (ip->version != 1 && ip->version != 2) {
		return corrupt(e, ip, "the version is not 1 or 2");
	}
	if (!ip->mode || ip->flags2 & XFS_DIFLAG2_METADATA)
		return error_at(e, ERR_NOTFOUND, ip->off,
			"xfs: inode %" PRIu64 " is not in use", ino);
	ip->format = d->format;
	ip->aformat = d->aformat;
	ip->flags = be16_get(d->flags);
	ip->uid = be32_get(d->uid);
	ip->gid = be32_get(d->gid);
	ip->nlink = ip->version == 1 ? be16_get(d->onlink) : be32_get(d->nlink);
	ip->size = be64_get(d->size);
	if (ip->size > INT64_MAX)
		return corrupt(e, ip, "the size is negative");
	ip->nextents = be32_get(d->nextents);
	ip->anextents = be16_get(d->anextents);
	if (ip->flags2 & XFS_DIFLAG2_NREXT64) {
		ip->nextents = be64_get(d->big_nextents);
		ip->anextents = be32_get(d->nextents);
	}
	decode_time(ip, d->mtime, &ip->mtime, &ip->mtime_ns);

	fork_size = g->inodesize - core;
	at = (size_t)d->forkoff * 8;
	if (at >= fork_size) {
		ip->data_bad = "the attribute fork starts outside the inode";
		return 0;
	}
	ip->data = (struct view){ ip->raw + core, at ? at : fork_size };
	if (at)
		ip->attr = (struct view){ ip->raw + core + at, fork_size - at };
	ip->data_bad = check_data(ip);
	if (at)
		ip->attr_bad = check_attr(ip);
	return 0;
}
