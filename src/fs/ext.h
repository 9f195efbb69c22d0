/* SPDX-License-Identifier: Apache-2.0 */
/* The ext2/3/4 reader, as its parts see each other.
 *
 *	ext_io.c       our io_manager: libext2fs over a source
 *	ext_super.c    is it ext; which superblock; geometry
 *	ext.c          open and close; the row of the table
 *	ext_journal.c  the journal, replayed as a source
 *	ext_fast.c     its fast commits, as layers over inodes and names
 *	ext_inode.c    inodes, stat
 *	ext_map.c      where the blocks of a file are (extents, block maps)
 *	ext_file.c     extents, pread, readlink
 *	ext_dir.c      directories
 *	ext_xattr.c    extended attributes, inline data
 *	ext_free.c     free space
 *
 * libext2fs opens the file system (superblock, group descriptors in all their
 * layouts) and answers for its groups; what belongs to single inodes is
 * parsed here, since a hostile image must not make it loop or allocate, and a
 * listing must not cost an allocation an inode.
 */
#ifndef STRATA_FS_EXT_H
#define STRATA_FS_EXT_H

#include <ext2fs/ext2fs.h>
#include "base/vec.h"
#include "fs/ext_format.h"
#include "fs/fs.h"

/* --- ext_super.c --- */

struct ext_geometry {
	uint64_t blocks;
	uint64_t bytes; /* blocks in bytes */
	uint32_t block_size, first_block, blocks_per_group, groups;
	uint32_t cluster_blocks; /* blocks in a cluster */
	uint32_t inodes, inodes_per_group, inode_size, first_ino;
	uint32_t compat, incompat, ro_compat;
	uint32_t csum_seed;
	uint64_t super_blk; /* where the superblock was: 0 = the first */
	struct ext_super super;
};

/* Reads and checks the superblock at byte off. CORRUPT, UNSUPPORTED (unknown
 * incompatible features), LIMIT, IO, RANGE. */
int ext_super_read(struct source *src, uint64_t off, struct ext_geometry *out,
	struct error *e);
/* The n-th place where a copy may be (in the order of likelihood), false
 * after the last. */
bool ext_super_backup(const struct source *src, unsigned n, uint64_t *out_off,
	uint32_t *out_group, uint32_t *out_block_size);
/* ext_super_read of a copy, which must also say that it is that very one. */
int ext_super_read_backup(struct source *src, unsigned n,
	struct ext_geometry *out, struct error *e);
void ext_super_info(const struct ext_super *sb, uint64_t bytes,
	uint32_t block_size, struct fs_info *out);
enum fs_verdict ext_probe(struct source *src, struct fs_info *out,
	struct error *e);

/* --- ext_io.c --- */

/* libext2fs over src (borrowed until ext2fs_close). The io_manager reads
 * only. */
int ext_io_open(struct source *src, const struct ext_geometry *g,
	ext2_filsys *out, struct error *e);

/* --- the handle --- */

/* An inode, unpacked. */
struct ext_inode {
	uint32_t ino, flags, generation, links;
	uint64_t size, acl_block;
	uint16_t mode;
	uint16_t extra; /* where in-inode attributes begin; 0 = none fit */
	bool bad_extra; /* the field that says so cannot be */
	uint8_t block[EXT_IBLOCK_SIZE];
};

/* A stretch of a file that has blocks. */
struct ext_run {
	uint64_t lblk, len, pblk;
	bool unwritten;
};

/* Looks up runs of one file; keeps the last tree path that it used, so that
 * going through a file in order reads each node once. */
struct ext_map {
	struct ext *x;
	uint32_t ino, seed;
	bool valid, extents;
	uint64_t end_lblk; /* one behind the last block that can be mapped */
	uint64_t nodes;    /* tree blocks loaded since ext_map_begin */
	bool charged;      /* the file has paid before */
	const struct fast_range *over; /* what fast commits say instead */
	size_t nover;
	uint8_t root[EXT_IBLOCK_SIZE];
	struct ext_map_node {
		uint64_t blk, lo, hi;
		bool loaded;
		uint8_t *data;
	} node[EXT_EXTENT_MAX_DEPTH];
};

struct replay;	 /* ext_journal.c */
struct ext_fast; /* ext_fast.c */

struct ext {
	struct fs fs;
	struct source *disk; /* as given */
	struct source *view; /* with the journal replayed; may be disk itself */
	struct source *meta; /* caches of view: block-sized reads, */
	struct source *itab; /* and the inode tables */
	struct replay *replay; /* borrowed from view, NULL = nothing replayed */
	struct ext_fast *fast; /* owned, NULL = none */
	ext2_filsys e2;
	const struct finding_sink *findings;
	struct ext_geometry g;
	uint8_t *raw;   /* an inode */
	bool csum;      /* metadata_csum */
	bool unreplayed; /* changes are in a journal that was not replayed */
	uint32_t bad_groups; /* descriptors that are damaged */
	bool told_encrypted;
	struct ext_map read; /* of pread: never in use while a callback runs */
	/* Each block that maps a file, or holds a directory, belongs to one
	 * inode. So over all inodes with many of them, each counted once,
	 * their number is at most that of the blocks; more is an image made
	 * to cost time. */
	uint64_t charged;
	VEC(uint32_t) paid; /* sorted */
};

static inline struct ext *ext_of(struct fs *fs)
{
	return (struct ext *)fs;
}

static inline uint64_t ext_blk_off(const struct ext *x, uint64_t blk)
{
	return blk * x->g.block_size; /* blk was checked to be below blocks */
}

/* Reads a whole block through the metadata cache. CORRUPT (outside), IO. */
int ext_block_read(struct ext *x, uint64_t blk, uint8_t *buf, struct error *e);

/* --- ext_journal.c --- */

/* Reads the journal and makes x->view show the disk as it would be after
 * recovery. Reports what it did; a journal that cannot be replayed is a
 * finding and no error. NOMEM only. */
int ext_journal_replay(struct ext *x, struct error *e);
/* The first replayed block at or after blk; UINT64_MAX where there is none. */
uint64_t ext_replay_next(const struct replay *r, uint64_t blk);

/* --- ext_fast.c --- */

/* Puts the fast commits that were found with the journal in effect. Where they
 * contradict the file system there is a finding and no error. NOMEM only. */
int ext_fast_apply(struct ext *x, struct error *e);
/* Forgets them, if there are any; why, where not NULL, goes in a finding. */
void ext_fast_drop(struct ext *x, const char *why);

/* --- ext_inode.c --- */

/* Reads an inode in use. NOTFOUND (no such, reserved, deleted), CORRUPT, IO.
 * raw, where not NULL, gets a view of all its bytes, valid until the next
 * call. special: reserved inodes are allowed. */
int ext_inode_read(struct ext *x, uint64_t ino, bool special,
	struct ext_inode *out, const uint8_t **out_raw, struct error *e);
/* What the disk holds in the place of an inode, in use or not: mode, links,
 * flags and generation only, and whether its checksum is right. */
int ext_inode_slot(struct ext *x, uint32_t ino, struct ext_inode *out,
	bool *out_sound, struct error *e);
/* The byte offset of an inode; it was read before. */
uint64_t ext_inode_off(const struct ext *x, uint32_t ino);
uint32_t ext_inode_seed(const struct ext *x, const struct ext_inode *in);
int ext_stat(struct fs *fs, uint64_t id, struct fs_node *out, struct error *e);

/* --- ext_map.c --- */

int ext_map_begin(struct ext_map *m, struct ext *x, const struct ext_inode *in,
	struct error *e);
/* The first run that ends behind block from, cut to start at from or later: 1,
 * 0 (none), or an error. */
int ext_map_next(struct ext_map *m, uint64_t from, struct ext_run *out,
	struct error *e);
/* Counts more blocks of work for the file; LIMIT. */
int ext_map_charge(struct ext_map *m, uint64_t n, struct error *e);
/* The walk is over: book what it cost. */
void ext_map_end(struct ext_map *m);
void ext_map_release(struct ext_map *m);

/* --- ext_file.c --- */

int ext_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int ext_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e);
/* The same of an inode at hand; the range is inside its size. */
int ext_inode_pread(struct ext *x, const struct ext_inode *in, void *buf,
	size_t len, uint64_t off, struct error *e);
int ext_readlink(struct fs *fs, uint64_t id, struct buf *out, struct error *e);

/* --- ext_dir.c --- */

int ext_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);

/* --- ext_xattr.c --- */

int ext_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);
/* The content of an inode with inline data, appended to out: i_block and the
 * value of "system.data", at most its size. What is missing reads as zeros (as
 * the kernel has it; mke2fs -d makes such files of holes). */
int ext_inline_data(struct ext *x, const struct ext_inode *in,
	const uint8_t *raw, struct buf *out, struct error *e);

/* --- ext_free.c --- */

int ext_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e);

#endif
