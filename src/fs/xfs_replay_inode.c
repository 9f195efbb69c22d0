/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes in the log of XFS (Structure, "Inode Log Item", "Inode Creation Log
 * Item"): the core in the writer's order of bytes, forks as on the disk, but
 * for the root of a tree of extents, which has the form of a block. */
#include "fs/xfs_log.h"

#include <inttypes.h>
#include <string.h>
#include "base/checked.h"

/* Inode clusters: from 8 KiB (or a block) on, larger with larger inodes. */
#define CLUSTER_MIN 8192u
#define CLUSTER_MAX 65536u
/* Inodes that are made at once: a chunk, or part of one, of whole blocks. */
#define CHUNK_BYTES_MAX (64u * XFS_MAX_INODE)

static int corrupt(struct error *e, uint64_t ino, const char *what)
{
	return error_set(e, ERR_CORRUPT, "xfs: the log: inode %" PRIu64 ": %s",
		ino, what);
}

static void swap(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint8_t t = p[i];

		p[i] = p[n - 1 - i];
		p[n - 1 - i] = t;
	}
}

/* Where a core has numbers, and of how many bytes; those below 96 are in all
 * versions. */
static const struct {
	uint8_t at, size;
} numbers[] = {
	{ offsetof(struct xfs_dinode, magic), 2 },
	{ offsetof(struct xfs_dinode, mode), 2 },
	{ offsetof(struct xfs_dinode, onlink), 2 },
	{ offsetof(struct xfs_dinode, uid), 4 },
	{ offsetof(struct xfs_dinode, gid), 4 },
	{ offsetof(struct xfs_dinode, nlink), 4 },
	{ offsetof(struct xfs_dinode, projid_lo), 2 },
	{ offsetof(struct xfs_dinode, projid_hi), 2 },
	{ offsetof(struct xfs_dinode, size), 8 },
	{ offsetof(struct xfs_dinode, nblocks), 8 },
	{ offsetof(struct xfs_dinode, extsize), 4 },
	{ offsetof(struct xfs_dinode, nextents), 4 },
	{ offsetof(struct xfs_dinode, anextents), 2 },
	{ offsetof(struct xfs_dinode, dmevmask), 4 },
	{ offsetof(struct xfs_dinode, dmstate), 2 },
	{ offsetof(struct xfs_dinode, flags), 2 },
	{ offsetof(struct xfs_dinode, gen), 4 },
	{ offsetof(struct xfs_dinode, changecount), 8 },
	{ offsetof(struct xfs_dinode, flags2), 8 },
	{ offsetof(struct xfs_dinode, cowextsize), 4 },
	{ offsetof(struct xfs_dinode, ino), 8 },
};

static void swap_time(uint8_t *p, bool big)
{
	if (big) {
		swap(p, 8);
	} else { /* seconds, nanoseconds */
		swap(p, 4);
		swap(p + 4, 4);
	}
}

/* The core from the log (len bytes of it) into that of the disk, whose link to
 * the next unlinked inode, LSN and checksum stay. flushiter begins anew. */
static void put_core(uint8_t *raw, const uint8_t *from, size_t len)
{
	uint8_t c[XFS_LOG_DINODE_SIZE3] = { 0 };
	bool v3 = len == XFS_LOG_DINODE_SIZE3, big, large;
	struct xfs_dinode *to = (struct xfs_dinode *)raw;

	memcpy(c, from, len);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		swap(c + numbers[i].at, numbers[i].size);
	big = v3 && get_be64(c + offsetof(struct xfs_dinode, flags2)) &
			    XFS_DIFLAG2_BIGTIME;
	large = v3 && get_be64(c + offsetof(struct xfs_dinode, flags2)) &
			      XFS_DIFLAG2_NREXT64;
	if (large)
		swap(c + offsetof(struct xfs_dinode, big_nextents), 8);
	else
		memset(c + offsetof(struct xfs_dinode, big_nextents), 0, 8);
	swap_time(c + offsetof(struct xfs_dinode, atime), big);
	swap_time(c + offsetof(struct xfs_dinode, mtime), big);
	swap_time(c + offsetof(struct xfs_dinode, ctime), big);
	memcpy(to, c, offsetof(struct xfs_dinode, next_unlinked));
	if (!v3)
		return;
	swap_time(c + offsetof(struct xfs_dinode, crtime), big);
	memset(c + offsetof(struct xfs_dinode, pad), 0, sizeof(to->pad));
	memcpy(&to->changecount,
		c + offsetof(struct xfs_dinode, changecount), 8);
	memcpy(&to->flags2, c + offsetof(struct xfs_dinode, flags2),
		sizeof(*to) - offsetof(struct xfs_dinode, flags2));
}

/* The root of a tree as a block has it, into a fork: less of a header, and
 * pointers that begin where the fork's keys could end. */
static int put_root(const struct xfs_geo *g, uint8_t *fork, size_t room,
	struct view v, uint64_t ino, struct error *e)
{
	size_t head = g->v5 ? XFS_LONG_SIZE5 : XFS_LONG_SIZE4, from, to, n;

	if (v.len < head || room < 4)
		return corrupt(e, ino, "the root of its extents is too short");
	n = get_be16(v.data + 6);
	from = (v.len - head) / 16;
	to = (room - 4) / 16;
	if (n > from || n > to)
		return corrupt(e, ino, "the root of its extents does not fit");
	memcpy(fork, v.data + 4, 4);
	memcpy(fork + 4, v.data + head, 8 * n);
	memcpy(fork + 4 + 8 * to, v.data + head + 8 * from, 8 * n);
	return 0;
}

static int put_fork(const struct xfs_geo *g, uint8_t *fork, size_t room,
	bool root, struct view v, uint64_t ino, struct error *e)
{
	if (root)
		return put_root(g, fork, room, v, ino, e);
	if (v.len > room)
		return corrupt(e, ino, "a fork does not fit");
	memcpy(fork, v.data, v.len);
	return 0;
}

/* One kind of content at the most. */
static bool fork_ok(uint32_t fields)
{
	return !fields || is_pow2(fields);
}

static int put_forks(struct xfs_replay *rp, uint8_t *raw,
	const struct xfs_dlog_inode *d, const struct xfs_log_item *it,
	uint64_t ino, struct error *e)
{
	const struct xfs_geo *g = &rp->g;
	size_t core = g->v5 ? XFS_DINODE_SIZE3 : XFS_DINODE_SIZE2;
	size_t room = g->inodesize - core;
	size_t at = ((struct xfs_dinode *)raw)->forkoff * (size_t)8;
	uint32_t fields = le32_get(d->fields);
	uint32_t df = fields & XFS_ILOG_DFORK, af = fields & XFS_ILOG_AFORK;
	unsigned i = 2;
	int r = 0;

	if (at >= room || !fork_ok(df) || !fork_ok(af) || (af && !at))
		return corrupt(e, ino, "its forks contradict each other");
	if (it->n != 2u + (df ? 1 : 0) + (af ? 1 : 0))
		return corrupt(e, ino, "the number of its regions is bad");
	if (fields & XFS_ILOG_DEV)
		put_be32(raw + core, le32_get(d->rdev));
	if (df)
		r = put_fork(g, raw + core, at ? at : room,
			df == XFS_ILOG_DBROOT, it->r[i++], ino, e);
	if (af && !r)
		r = put_fork(g, raw + core + at, room - at,
			af == XFS_ILOG_ABROOT, it->r[i], ino, e);
	return r;
}

/* Does the disk have what came later? Version 3 tells by its LSN (there may be
 * more than one checkpoint of the same), those before by a counter that
 * wraps. */
static bool is_newer(const struct xfs_geo *g, const struct xfs_dinode *d,
	const uint8_t *from, uint64_t lsn)
{
	uint64_t at = be64_get(d->lsn);
	unsigned disk, log;

	if (g->v5)
		return at && at != UINT64_MAX && at > lsn;
	disk = get_be16((const uint8_t *)d + 30);
	log = get_le16(from + 30);
	return log < disk && !(disk == XFS_FLUSHITER_MAX &&
				     log < XFS_FLUSHITER_MAX / 2);
}

/* Where the item says that the inode is must be where its number says. */
static bool place_ok(const struct xfs_geo *g, uint64_t ino, uint64_t off)
{
	uint64_t at;

	return xfs_fsb_offset(g, ino >> g->inopblog, 1, &at) &&
	       at + ((ino & ((UINT64_C(1) << g->inopblog) - 1))
			    << g->inodelog) == off;
}

static int get_item(const struct xfs_log_item *it, struct xfs_dlog_inode *d,
	struct error *e)
{
	struct xfs_dlog_inode32 d32;

	memset(d, 0, sizeof(*d));
	if (it->r[0].len == sizeof(*d)) {
		memcpy(d, it->r[0].data, sizeof(*d));
	} else if (it->r[0].len == sizeof(d32)) {
		memcpy(&d32, it->r[0].data, sizeof(d32));
		d->fields = d32.fields;
		d->ino = d32.ino;
		d->rdev = d32.rdev;
		d->blkno = d32.blkno;
		d->len = d32.len;
		d->boffset = d32.boffset;
	} else {
		return error_set(e, ERR_CORRUPT, "xfs: the log: an inode is "
			"described by %zu bytes", it->r[0].len);
	}
	return 0;
}

int xfs_replay_inode(struct xfs_replay *rp, const struct xfs_log_item *it,
	uint64_t lsn, struct error *e)
{
	const struct xfs_geo *g = &rp->g;
	size_t core = g->v5 ? XFS_LOG_DINODE_SIZE3 : XFS_LOG_DINODE_SIZE2;
	uint8_t raw[XFS_MAX_INODE];
	const struct xfs_dinode *disk = (const struct xfs_dinode *)raw;
	struct xfs_dlog_inode d;
	uint64_t ino, off;
	const uint8_t *from;
	int r = get_item(it, &d, e);

	if (r)
		return r;
	ino = le64_get(d.ino);
	if (xfs_replay_cancelled(rp, le64_get(d.blkno), le32_get(d.len)))
		return 0;
	if (!u64_mul(le64_get(d.blkno), XFS_LOG_BB, &off) ||
		!u64_add(off, le32_get(d.boffset), &off) ||
		!place_ok(g, ino, off) ||
		!range_inside(off, g->inodesize, rp->view->size))
		return corrupt(e, ino, "it is not where it says");
	r = source_pread(rp->view, raw, g->inodesize, off, e);
	if (r)
		return r;
	if (be16_get(disk->magic) != XFS_INODE_MAGIC)
		return corrupt(e, ino, "no inode is there");
	if (it->n < 2 || it->r[1].len < core)
		return corrupt(e, ino, "its core is too short");
	from = it->r[1].data;
	if (get_le16(from) != XFS_INODE_MAGIC ||
		(g->v5 ? from[4] != 3 : from[4] != 1 && from[4] != 2))
		return corrupt(e, ino, "its core has no magic");
	if (is_newer(g, disk, from, lsn))
		return 0;
	put_core(raw, from, core);
	r = put_forks(rp, raw, &d, it, ino, e);
	if (r)
		return r;
	if (g->v5) {
		if (be64_get(disk->ino) != ino)
			return corrupt(e, ino, "its core has another number");
		put_le32(raw + XFS_DINODE_CRC_AT,
			xfs_crc(raw, g->inodesize, XFS_DINODE_CRC_AT));
	}
	/* Blocks of its tree still name the file that they were swapped with. */
	if (le32_get(d.fields) & (XFS_ILOG_DOWNER | XFS_ILOG_AOWNER))
		rp->sum->owners++;
	return xfs_replay_write(rp, raw, g->inodesize, off, e);
}

/* Was any cluster of the chunk given back again? Then all were. The size of
 * clusters depends on how inodes are aligned; a buffer of another size that
 * was given back there tells the same. */
static bool chunk_cancelled(const struct xfs_replay *rp, uint64_t off,
	uint32_t bytes)
{
	uint32_t size = rp->g.blocksize > CLUSTER_MIN ? rp->g.blocksize
						      : CLUSTER_MIN;

	for (; size <= CLUSTER_MAX; size *= 2)
		for (uint32_t at = 0; at < bytes; at += size)
			if (xfs_replay_cancelled(rp, (off + at) / XFS_LOG_BB,
				    size / XFS_LOG_BB))
				return true;
	return false;
}

/* A chunk of inodes as it was made: empty, each with its number. */
int xfs_replay_icreate(struct xfs_replay *rp, const struct xfs_log_item *it,
	struct error *e)
{
	const struct xfs_geo *g = &rp->g;
	struct xfs_dlog_icreate d;
	uint32_t agno, agbno, count, length;
	uint64_t off, fsb;
	int r = 0;

	if (it->n != 1 || it->r[0].len < sizeof(d))
		return error_set(e, ERR_CORRUPT,
			"xfs: the log: new inodes are described badly");
	memcpy(&d, it->r[0].data, sizeof(d));
	agno = be32_get(d.ag);
	agbno = be32_get(d.agbno);
	count = be32_get(d.count);
	length = be32_get(d.length);
	fsb = (uint64_t)agno << g->agblklog | agbno;
	if (!agbno || agbno >= g->agblocks || be32_get(d.isize) != g->inodesize ||
		!count || count >> g->inopblog != length ||
		(uint64_t)length << g->blocklog > CHUNK_BYTES_MAX ||
		!xfs_fsb_offset(g, fsb, length, &off) ||
		!range_inside(off, (uint64_t)length << g->blocklog,
			rp->view->size))
		return error_set(e, ERR_CORRUPT, "xfs: the log: new inodes at "
			"block %" PRIu32 " of group %" PRIu32 " do not fit",
			agbno, agno);
	if (chunk_cancelled(rp, off, length << g->blocklog))
		return 0;
	for (uint32_t i = 0; i < count && !r; i++) {
		uint8_t raw[XFS_MAX_INODE] = { 0 };
		struct xfs_dinode *n = (struct xfs_dinode *)raw;

		n->magic = be16_make(XFS_INODE_MAGIC);
		n->version = g->v5 ? 3 : 2;
		n->gen = d.gen;
		n->next_unlinked = be32_make(UINT32_MAX);
		if (g->v5) {
			n->ino = be64_make((fsb << g->inopblog) + i);
			memcpy(n->uuid, g->meta_uuid, 16);
			put_le32(raw + XFS_DINODE_CRC_AT,
				xfs_crc(raw, g->inodesize, XFS_DINODE_CRC_AT));
		}
		r = xfs_replay_write(rp, raw, g->inodesize,
			off + ((uint64_t)i << g->inodelog), e);
	}
	return r;
}
