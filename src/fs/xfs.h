/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the XFS reader: a map of its files.
 *
 *	xfs.c        the table row: open, stat, content
 *	xfs_super.c  superblocks, probing, backups
 *	xfs_log.h    the log, and its replay
 *	xfs_inode.c  one inode: found, checked, decoded
 *	xfs_bmap.c   the extents of a fork, in order
 *	xfs_dir.c    directory entries
 *	xfs_attr.c   extended attributes
 *	xfs_free.c   free space
 *
 * What "Structure" means is said in xfs_format.h.
 */
#ifndef STRATA_FS_XFS_H
#define STRATA_FS_XFS_H

#include "base/cursor.h"
#include "fs/fs.h"
#include "fs/xfs_format.h"

#define XFS_MAX_INODE 2048
/* The longest symlink target that XFS can hold (XFS_SYMLINK_MAXLEN). */
#define XFS_MAX_SYMLINK 1024
/* Levels of any B+tree: with the smallest blocks and half-full nodes nine
 * levels map 2^54 blocks, the most a fork can have. */
#define XFS_MAX_LEVELS 9
/* No inode, or an inode that a feature does without. */
#define XFS_NULL_INO UINT64_MAX

/* The geometry: every number checked by xfs_super_parse. */
struct xfs_geo {
	bool v5, ftype, logv2, needs_repair;
	uint32_t incompat, log_incompat;
	uint32_t blocksize, sectsize, inodesize, agblocks, agcount, logblocks;
	unsigned blocklog, inodelog, inopblog, agblklog;
	uint32_t dirblksize;
	uint64_t dblocks, rootino, logstart, size;
	uint64_t hidden[5]; /* quota and realtime inodes */
	uint8_t uuid[16], meta_uuid[16];
	char label[13];
};

struct xfs {
	struct fs fs;
	struct source *dev;  /* whole blocks of content */
	struct source *meta; /* the same as the log leaves it, behind a cache */
	const struct finding_sink *findings;
	struct xfs_geo g;
	bool log_clean;
	uint64_t memo_ino; /* whose bytes memo holds; XFS_NULL_INO: none */
	uint8_t memo[XFS_MAX_INODE];
};

static inline struct xfs *xfs_of(struct fs *fs)
{
	return (struct xfs *)fs;
}

/* --- xfs_super.c --- */

/* Finds the superblock, or a backup of it (*out_backup), and checks it.
 * NOTFOUND: not XFS. CORRUPT: it is XFS, but no superblock can be used.
 * UNSUPPORTED: it has a feature that is not read; *out is set as far as
 * known. IO, LIMIT. detail gets what was wrong with the first one. */
struct xfs_super_state {
	bool backup;       /* a copy is used */
	bool bad_crc;      /* the first one is used though its checksum fails */
	uint64_t at;       /* where the one used lies */
	struct error first; /* why the first one was not used */
};
int xfs_super_read(struct source *src, struct xfs_geo *out,
	struct xfs_super_state *st, struct error *e);
enum fs_verdict xfs_probe(struct source *src, struct fs_info *out,
	struct error *e);
void xfs_fill_info(const struct xfs_geo *g, struct fs_info *out);

/* The checksum of data (len bytes) with zeros where its field is, at crc_at;
 * is it right? */
uint32_t xfs_crc(const uint8_t *data, size_t len, size_t crc_at);
bool xfs_crc_ok(const uint8_t *data, size_t len, size_t crc_at);

/* Blocks of an AG: all but the last one have the same. */
uint32_t xfs_ag_blocks(const struct xfs_geo *g, uint32_t agno);

/* Byte offset of block agbno of AG agno; both are checked. */
bool xfs_ag_offset(const struct xfs_geo *g, uint64_t agno, uint64_t agbno,
	uint64_t *out);
/* Byte offset of count blocks from a file-system block number; false where
 * they do not lie inside one AG. */
bool xfs_fsb_offset(const struct xfs_geo *g, uint64_t fsb, uint64_t count,
	uint64_t *out);

/* --- xfs_inode.c --- */

enum xfs_fork { XFS_DATA, XFS_ATTR };

struct xfs_inode {
	uint64_t ino, off;
	uint8_t version, format, aformat;
	bool crc_ok;
	uint16_t mode;
	uint16_t flags;
	uint32_t uid, gid, nlink;
	uint64_t size, nextents, flags2;
	uint32_t anextents;
	int64_t mtime;
	uint32_t mtime_ns;
	const char *data_bad; /* why the data fork cannot be used, or NULL */
	const char *attr_bad;
	struct view data, attr; /* the forks, inside raw */
	uint8_t raw[XFS_MAX_INODE];
};

/* Loads one. NOTFOUND (no such inode, not in use, or hidden), CORRUPT (it is
 * not an inode, or not this one), IO. The caller's storage is about 2 KiB. */
int xfs_inode_get(struct xfs *x, uint64_t ino, struct xfs_inode *out,
	struct error *e);

/* --- xfs_bmap.c --- */

struct xfs_extent {
	uint64_t file_blk, blocks; /* in file-system blocks */
	uint64_t dev_off;          /* bytes; all of it is inside the device */
	bool unwritten;
};

/* Goes through the extents of a fork in file order. Do not copy. */
struct xfs_bmap {
	struct xfs *x;
	const struct xfs_inode *ip;
	bool report;         /* tell findings */
	const uint8_t *recs; /* of this leaf, or of the inode */
	uint32_t at, n;
	uint64_t next_leaf; /* all ones: none */
	uint64_t end;       /* extents start here or later */
	uint64_t from;      /* extents that end before it are left out */
	uint64_t count;
	uint8_t *block;
};

/* Starts at the extent that holds file_blk, or the next one; with report,
 * wrong checksums become findings. ip is borrowed until xfs_bmap_end, which is
 * needed also after a failure. CORRUPT, IO, NOMEM. */
int xfs_bmap_begin(struct xfs_bmap *b, struct xfs *x,
	const struct xfs_inode *ip, enum xfs_fork fork, uint64_t file_blk,
	bool report, struct error *e);
/* 1: *out is set; 0: no more; CORRUPT, LIMIT, IO. */
int xfs_bmap_next(struct xfs_bmap *b, struct xfs_extent *out, struct error *e);
void xfs_bmap_end(struct xfs_bmap *b);

/* Metadata in a fork: count whole blocks, all of them mapped and written.
 * *out_dev (may be NULL) is where the first one lies. CORRUPT, IO, NOMEM. */
int xfs_fork_read(struct xfs *x, const struct xfs_inode *ip, enum xfs_fork fork,
	uint64_t file_blk, uint32_t count, uint8_t *buf, uint64_t *out_dev,
	struct error *e);
/* A value that is kept in blocks of a fork: len bytes from file_blk on, with
 * a header of this magic in each block (version 5). */
int xfs_remote_read(struct xfs *x, const struct xfs_inode *ip,
	enum xfs_fork fork, uint64_t file_blk, uint32_t magic, uint8_t *buf,
	size_t len, struct error *e);

/* --- xfs_dir.c, xfs_attr.c, xfs_free.c: rows of the table --- */

int xfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
int xfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);
int xfs_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e);

#endif
