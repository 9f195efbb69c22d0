/* SPDX-License-Identifier: Apache-2.0 */
/* XFS directories (Structure, "Directories"). All four forms keep their
 * entries in the inode or in data blocks below 32 GiB of the fork; the hash
 * index above them is not needed to list a directory. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/checked.h"
#include "base/limits.h"

/* Damaged blocks of one directory after which it is given up: one of millions
 * of holes would else cost a read and a finding each. */
#define MAX_BAD_BLOCKS 256

struct dir {
	struct xfs *x;
	const struct xfs_inode *ip;
	fs_entry_fn fn;
	void *ctx;
	uint64_t entries;
	unsigned bad_blocks;
	bool damaged;
};

static void damage(struct dir *d, uint64_t off, const char *what)
{
	d->damaged = true;
	finding_report(d->x->findings, FINDING_DIR_DAMAGED, off, "",
		"inode %" PRIu64 ": %s", d->ip->ino, what);
}

/* Hands one entry over: 0, LIMIT, or what the callback says. */
static int deliver(struct dir *d, uint64_t off, const uint8_t *name, size_t len,
	uint64_t ino, struct error *e)
{
	uint64_t where;

	if ((len == 1 && name[0] == '.') ||
		(len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (d->entries++ >= LIMIT_DIR_ENTRIES)
		return error_at(e, ERR_LIMIT, d->ip->off,
			"xfs: directory %" PRIu64 ": more than %d entries",
			d->ip->ino, LIMIT_DIR_ENTRIES);
	if (!len || memchr(name, '/', len) || memchr(name, 0, len)) {
		finding_report(d->x->findings, FINDING_NAME_BAD, off, "",
			"directory %" PRIu64, d->ip->ino);
		return 0;
	}
	if (!xfs_fsb_offset(&d->x->g, ino >> d->x->g.inopblog, 1, &where)) {
		damage(d, off, "an entry's inode is outside the file system");
		return 0;
	}
	return d->fn(d->ctx, name, len, ino);
}

/* Short form: all in the inode. */
static int list_inode(struct dir *d, struct error *e)
{
	struct cursor c = cursor_make(d->ip->data.data, (size_t)d->ip->size);
	unsigned count = cur_u8(&c), big = cur_u8(&c);

	cur_skip(&c, big ? 8 : 4); /* the parent */
	if (c.bad || (big && big > count + 1u)) {
		damage(d, d->ip->off, "its header is bad");
		return 0;
	}
	while (count--) {
		size_t len = cur_u8(&c);
		const uint8_t *name;
		uint64_t ino;
		int r;

		cur_skip(&c, 2); /* where it would lie in a block */
		name = cur_bytes(&c, len);
		cur_skip(&c, d->x->g.ftype ? 1 : 0);
		ino = big ? cur_be64(&c) : cur_be32(&c);
		if (c.bad || !len) {
			damage(d, d->ip->off, "an entry does not fit");
			return 0;
		}
		r = deliver(d, d->ip->off, name, len, ino, e);
		if (r)
			return r;
	}
	return 0;
}

/* Entries and free stretches one behind the other, from at to end. */
static int list_entries(struct dir *d, const uint8_t *block, size_t at,
	size_t end, uint64_t off, struct error *e)
{
	size_t extra = d->x->g.ftype ? 1 : 0;
	int r;

	while (at < end) {
		const uint8_t *p = block + at;
		size_t room = end - at, size, len;

		if (room < 8)
			break;
		if (get_be16(p) == XFS_DIR_FREE_TAG) {
			size = get_be16(p + 2);
			if (size < 8 || size % 8 || size > room)
				break;
			at += size;
			continue;
		}
		if (room < 16)
			break;
		/* inode number, length, name, [type], padding, tag */
		len = p[8];
		size = (size_t)round_up(9 + len + extra + 2, 8);
		if (size > room || get_be16(p + size - 2) != at)
			break;
		r = deliver(d, off + at, p + 9, len, get_be64(p), e);
		if (r)
			return r;
		at += size;
	}
	if (at < end)
		damage(d, off + at, "an entry contradicts itself");
	return 0;
}

/* One block of the directory, read from byte off of the device. */
static int list_block(struct dir *d, const uint8_t *block, uint64_t file_blk,
	uint64_t off, struct error *e)
{
	const struct xfs_geo *g = &d->x->g;
	const struct xfs_ddir3 *h = (const struct xfs_ddir3 *)block;
	size_t at = g->v5 ? XFS_DIR3_SIZE : XFS_DIR2_SIZE, end = g->dirblksize;
	uint32_t magic = be32_get(h->magic);
	bool single = magic ==
		(g->v5 ? XFS_DIR3_BLOCK_MAGIC : XFS_DIR2_BLOCK_MAGIC);

	if (!single &&
		magic != (g->v5 ? XFS_DIR3_DATA_MAGIC : XFS_DIR2_DATA_MAGIC)) {
		d->bad_blocks++;
		damage(d, off, "a block has no magic");
		return 0;
	}
	if (g->v5 && (be64_get(h->owner) != d->ip->ino ||
			     memcmp(h->uuid, g->meta_uuid, 16) != 0)) {
		d->bad_blocks++;
		damage(d, off, "a block is of another directory");
		return 0;
	}
	if (g->v5 && !xfs_crc_ok(block, g->dirblksize, XFS_DIR3_CRC_AT))
		damage(d, off, "a block's checksum is wrong");
	if (single) {
		/* The hash index is at the end of the one block. */
		uint64_t count = get_be32(block + end - 8);

		if (file_blk || count > (end - 8 - at) / 8) {
			damage(d, off, "a block's index is bad");
			count = 0;
		}
		end -= 8 + 8 * (size_t)count;
	}
	return list_entries(d, block, at, end, off, e);
}

/* The data blocks, in the order of the fork. The walk ends with the extents,
 * of which each starts behind the one before. */
static int list_blocks(struct dir *d, struct xfs_bmap *b, uint8_t *block,
	struct error *e)
{
	const struct xfs_geo *g = &d->x->g;
	uint32_t per = g->dirblksize >> g->blocklog;
	uint64_t limit = XFS_DIR_LEAF_AT >> g->blocklog, next = 0;
	struct xfs_extent ex;
	int r;

	while ((r = xfs_bmap_next(b, &ex, e)) > 0) {
		uint64_t end = u64_min(ex.file_blk + ex.blocks, limit);
		uint64_t at = u64_max(next, round_down(ex.file_blk, per));

		if (ex.file_blk >= limit)
			break;
		for (; at < end; at = next) {
			uint64_t off = ex.dev_off +
				       ((at - ex.file_blk) << g->blocklog);
			struct error why = { 0 };

			next = at + per;
			if (at >= ex.file_blk && next <= end)
				r = source_pread(d->x->meta, block,
					g->dirblksize, off, &why);
			else
				r = xfs_fork_read(d->x, d->ip, XFS_DATA, at,
					per, block, &off, &why);
			if (r == ERR_NOMEM)
				return error_nomem(e);
			if (r) {
				d->bad_blocks++;
				damage(d, off, why.msg);
			} else {
				r = list_block(d, block, at, off, e);
				if (r)
					return r;
			}
			if (d->bad_blocks >= MAX_BAD_BLOCKS)
				return 0;
		}
	}
	/* The last data block ends where the directory does. */
	if (r >= 0 && next << g->blocklog != d->ip->size)
		damage(d, d->ip->off, "its size is not that of its blocks");
	return r < 0 ? r : 0;
}

int xfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct xfs *x = xfs_of(fs);
	struct xfs_inode ip;
	struct dir d = { .x = x, .ip = &ip, .fn = fn, .ctx = ctx };
	struct error why = { 0 };
	int r = xfs_inode_get(x, dir, &ip, e);

	if (r)
		return r;
	if (!S_ISDIR(ip.mode))
		return error_set(e, ERR_ARG, "xfs: inode %" PRIu64
			" is not a directory", dir);
	if (ip.data_bad) {
		damage(&d, ip.off, ip.data_bad);
	} else if (ip.format == XFS_FMT_LOCAL) {
		r = list_inode(&d, e);
	} else {
		AUTO_FREE uint8_t *block = malloc(x->g.dirblksize);
		struct xfs_bmap b;

		if (!block)
			return error_nomem(e);
		r = xfs_bmap_begin(&b, x, &ip, XFS_DATA, 0, true, &why);
		if (!r)
			r = list_blocks(&d, &b, block, &why);
		xfs_bmap_end(&b);
		if (r == ERR_CORRUPT)
			damage(&d, why.offset, why.msg);
		else if (r < 0 && e && why.code == r)
			*e = why;
	}
	if ((!r || r == ERR_CORRUPT) && d.damaged)
		return error_at(e, ERR_CORRUPT, ip.off,
			"xfs: directory %" PRIu64 " is damaged", dir);
	return r;
}
