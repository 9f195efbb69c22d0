/* SPDX-License-Identifier: Apache-2.0 */
/* Fast commits of ext4 (Documentation/filesystems/ext4 "Fast commits"): what
 * fsync wrote behind the log of the journal since its last transaction. They
 * tell of inodes, stretches of files and names, not of blocks. They are kept
 * as layers over what the disk holds:
 *
 *	ext_fast_scan.c	the log is read
 *	ext_fast.c	and put in effect, record by record
 *	ext_layer.c	the layers, as the rest of the reader asks for them
 *
 * Nothing is written and no block allocated, so trees, hashes of directories,
 * bitmaps and checksums need not be brought up to date, and memory is bounded
 * by the log. */
#ifndef STRATA_FS_EXT_FAST_H
#define STRATA_FS_EXT_FAST_H

#include "base/buf.h"
#include "base/vec.h"
#include "fs/ext.h"

/* Where the name is in a record of one, behind le32 directory, le32 inode. */
#define FAST_NAME 8

/* A record of the log. */
struct fast_rec {
	uint32_t off; /* of its value in the area */
	uint16_t tag, len;
};

/* Blocks of a file that are not (pblk 0: no longer) where its map says. */
struct fast_range {
	uint64_t lblk, len, pblk;
	bool unwritten;
};
struct fast_ranges {
	struct fast_range *items;
	size_t len, cap;
};

struct fast_inode {
	uint32_t ino, generation;
	uint16_t mode, links; /* as the log leaves them */
	uint16_t raw_len;
	bool fresh;    /* what the disk has in its place was another's */
	bool named;    /* a directory, made by the log, has its name */
	bool changed;  /* links is not what the disk says */
	bool unsound;  /* the disk's checksum is wrong */
	uint8_t *raw;  /* the inode as far as it was logged; NULL = not */
	size_t life;   /* records before this one told of another file */
	size_t ranges, nranges, names, nnames; /* into the lists below */
};

struct fast_name {
	uint32_t dir, ino; /* ino 0: there is no such name */
	const uint8_t *text;
	uint16_t len;
	bool linked; /* by the log */
	bool made;   /* with what it names */
};

struct ext_fast {
	struct buf area;
	VEC(struct fast_rec) recs;
	uint32_t commits;
	VEC(struct fast_inode) inodes; /* sorted by number */
	VEC(struct fast_name) names;   /* sorted by directory, then as bytes */
	struct fast_ranges ranges;     /* of an inode together, in order */
	struct fast_ranges taken;      /* those with blocks, by pblk */
};

/* Block n of the area for fast commits. */
typedef int (*fast_read_fn)(void *ctx, uint32_t n, uint8_t *buf,
	struct error *e);

/* Reads the fast commits of transaction tid, from an area of count blocks,
 * into x->fast, which stays NULL where there are none. What they cannot be
 * used for is a finding and no error. NOMEM only. */
int ext_fast_find(struct ext *x, uint32_t count, uint32_t tid,
	fast_read_fn read, void *ctx, struct error *e);

/* --- ext_layer.c --- */

struct fast_inode *ext_fast_inode(const struct ext_fast *f, uint32_t ino);
struct fast_name *ext_fast_name(const struct ext_fast *f,
	const struct fast_inode *dir, const uint8_t *text, size_t len);
int ext_fast_order(const uint8_t *a, size_t alen, const uint8_t *b,
	size_t blen);
/* Adds to list what the records (oldest first) come to: sorted, not
 * overlapping, later ones over earlier ones. False: out of memory. */
bool ext_fast_paint(const struct fast_range *recs, size_t n,
	struct fast_ranges *list);

/* How the reader sees them; all of these do nothing where there are none. */

/* raw, as the disk has it, as i leaves it. */
void ext_layer_inode(const struct ext *x, const struct fast_inode *i,
	uint8_t *raw);
/* The ranges of a file that are not as its map says, sorted. */
const struct fast_range *ext_layer_ranges(const struct ext *x, uint32_t ino,
	size_t *out_n);
/* Is block from (or, behind a hole, *out_from) in one with blocks: 1, the rest
 * of it in out. Else 0, *out_from is the first block not in a hole, and
 * out->lblk where the next range begins. */
int ext_layer_next(const struct fast_range *list, size_t n, uint64_t from,
	struct ext_run *out, uint64_t *out_from);
/* Is the name in the directory one of those that the list below has? */
bool ext_layer_hides(const struct ext *x, uint32_t dir, const uint8_t *name,
	size_t len);
/* fresh: the directory has nothing but these. */
const struct fast_name *ext_layer_names(const struct ext *x, uint32_t dir,
	size_t *out_n, bool *out_fresh);
/* Calls fn for the blocks in [first, end) that ranges put in use. */
void ext_layer_taken(const struct ext *x, uint64_t first, uint64_t end,
	void (*fn)(void *ctx, uint64_t from, uint64_t to), void *ctx);

#endif
