/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the NTFS reader share. From the bottom up: ntfs_mft.c
 * (records, inodes), ntfs_attr.c (runs, streams), ntfs_data.c (content),
 * ntfs_wof.c (content that a filter compresses), ntfs_dir.c (indexes),
 * ntfs_link.c (reparse points), ntfs_xattr.c (security), ntfs.c (volume, the
 * operations).
 *
 * An id is a file reference with the number of a stream in it: bits 0..31
 * the MFT record, 32..47 the named stream (0: the file itself), 48..63 the
 * record's sequence number, which tells stale references.
 */
#ifndef STRATA_FS_NTFS_H
#define STRATA_FS_NTFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cursor.h"
#include "base/vec.h"
#include "fs/fs.h"
#include "fs/ntfs_format.h"

#define NTFS_HOLE UINT64_MAX

static inline uint64_t ntfs_id(uint64_t rec, unsigned seq, unsigned stream)
{
	return rec | (uint64_t)stream << 32 | (uint64_t)seq << 48;
}
static inline uint64_t ntfs_id_rec(uint64_t id)
{
	return id & 0xffffffff;
}
static inline unsigned ntfs_id_stream(uint64_t id)
{
	return (unsigned)(id >> 32) & 0xffff;
}
static inline unsigned ntfs_id_seq(uint64_t id)
{
	return (unsigned)(id >> 48);
}

struct ntfs_run {
	uint64_t vcn, lcn, len; /* clusters; lcn NTFS_HOLE: none stored */
};

/* One attribute record, whole or a piece of a fragmented one. */
struct ntfs_attr {
	uint32_t type;
	uint32_t name_len; /* in UTF-16 units */
	const uint8_t *name;
	uint64_t lowest_vcn;
	uint32_t rec;     /* the MFT record that holds it */
	uint16_t instance;
	const uint8_t *raw; /* NULL until ntfs_attr_load */
	uint32_t raw_len;
};

/* An attribute's value, resident or not. */
struct ntfs_stream {
	bool resident, encrypted;
	unsigned unit_shift;  /* compressed: clusters of a unit, log2; else 0 */
	const uint8_t *value; /* resident: borrowed from the inode */
	uint64_t size, init;
	VEC(struct ntfs_run) runs; /* in order, without a gap, from VCN 0 */
};

/* How the overlay filter keeps a file's content in a named stream. */
#define NTFS_WOF_STREAM "WofCompressedData"
struct ntfs_wof {
	bool on, lzx; /* or XPRESS */
	unsigned chunk_shift, entry; /* bytes of an entry of its table */
	uint64_t size, chunks;
};

struct ntfs_rec_bytes {
	uint32_t no;
	uint8_t *data;
	uint32_t used;
};

struct ntfs_inode {
	uint32_t no;
	uint16_t seq, links, flags;
	VEC(struct ntfs_rec_bytes) recs; /* the base record first */
	VEC(struct ntfs_attr) attrs;
	uint8_t *list; /* the attribute list that names point into */
	bool has_list;
	/* the stream used last */
	bool has_stream;
	uint64_t stream_no;
	struct ntfs_stream stream;
	struct ntfs_wof wof; /* on: stream holds the content, compressed */
};

struct ntfs_sds {
	uint32_t id, len;
	uint64_t off;
};

struct ntfs {
	struct fs fs;
	struct source *src;  /* for content */
	struct source *meta; /* the same, cached, for everything else */
	const struct finding_sink *findings;
	unsigned cluster_shift;
	uint32_t cluster_size, rec_size;
	uint64_t clusters; /* inside the source */
	uint64_t mirror_lcn;
	struct ntfs_stream mft;
	uint64_t records;
	struct ntfs_inode *cached[2];
	bool told_encrypted;
	/* the decoded unit of a compressed stream */
	uint64_t unit_id, unit_no; /* unit_id 0: none */
	uint8_t *unit;
	size_t unit_cap;
	/* security descriptors by id, built on first use */
	bool sds_tried;
	struct ntfs_stream sds;
	VEC(struct ntfs_sds) sds_index;
};

/* ntfs_mft.c */

/* Undo the update sequence of a record or block with this magic in place.
 * CORRUPT; at is where it lies, for the message. */
int ntfs_fixup(uint8_t *p, size_t size, const char *magic, uint64_t at,
	struct error *e);
/* Finds the MFT, from its first record or the mirror's, with all its runs. */
int ntfs_mft_open(struct ntfs *n, uint64_t mft_lcn, struct error *e);
/* The inode of an id, from the cache where it is there; give it back with
 * ntfs_inode_put. NOTFOUND (not in use, stale), CORRUPT, IO, NOMEM. */
int ntfs_inode_get(struct ntfs *n, uint64_t id, struct ntfs_inode **out,
	struct error *e);
void ntfs_inode_put(struct ntfs *n, struct ntfs_inode *ino);
void ntfs_inode_free(struct ntfs_inode *ino);

/* ntfs_attr.c */

/* The attribute at *at of a record, or the end (returns 0; 1: out is set).
 * CORRUPT. *at moves forward. */
int ntfs_attr_next(const uint8_t *rec, uint32_t used, uint32_t no, uint32_t *at,
	struct ntfs_attr *out, struct error *e);
/* Makes raw available, reading the record that holds it. */
int ntfs_attr_load(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_attr *a,
	struct error *e);
/* The first attribute (its first piece) of this type and name ("" = none),
 * loaded. 1: found, 0: there is none, or an error. The pointer is good until
 * the inode is given back. */
int ntfs_attr_find(struct ntfs *n, struct ntfs_inode *ino, uint32_t type,
	const char *name, struct ntfs_attr **out, struct error *e);
/* Does n->unit hold this unit (chunk) already? If not: room for size bytes,
 * which hold nothing then; false: no memory. */
bool ntfs_unit_kept(const struct ntfs *n, uint64_t id, uint64_t no);
bool ntfs_unit_room(struct ntfs *n, size_t size);
bool ntfs_name_is(const uint8_t *name, size_t units, const char *ascii);
/* A resident attribute's value; CORRUPT where it is not resident. */
int ntfs_attr_value(const struct ntfs_attr *a, struct view *out,
	struct error *e);
/* Appends the runs of one piece. */
int ntfs_runs_add(const struct ntfs *n, const struct ntfs_attr *a,
	struct ntfs_stream *s, struct error *e);
/* Sizes and flags of a first piece, without its runs. */
int ntfs_stream_head(const struct ntfs *n, const struct ntfs_attr *a,
	struct ntfs_stream *s, struct error *e);
/* The whole stream that starts with this first piece. Release it. */
int ntfs_stream_open(struct ntfs *n, struct ntfs_inode *ino,
	struct ntfs_attr *first, struct ntfs_stream *out, struct error *e);
void ntfs_stream_release(struct ntfs_stream *s);
/* The stored bytes (compressed ones as they are), holes and what lies behind
 * the initialized size as zeros. RANGE past size. */
int ntfs_stream_read(struct ntfs *n, const struct ntfs_stream *s,
	struct source *src, void *buf, size_t len, uint64_t off,
	struct error *e);
/* The index of the run that holds vcn; runs.len where none does. */
size_t ntfs_run_find(const struct ntfs_stream *s, uint64_t vcn);
/* A whole small value, resident or not, at most max bytes (LIMIT). */
int ntfs_attr_read(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_attr *a,
	size_t max, struct buf *out, struct error *e);

/* ntfs_data.c */

/* Of an id's content or named stream; as fs_ops says. */
int ntfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int ntfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e);
int ntfs_streams(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
	struct error *e);
/* The first piece of the data attribute that an id means; 1, 0: none. */
int ntfs_data_attr(struct ntfs *n, struct ntfs_inode *ino, unsigned stream,
	struct ntfs_attr **out, struct error *e);
/* Can its bytes be read? False: compressed by an unknown method. */
bool ntfs_stream_known(const struct ntfs *n, const struct ntfs_attr *a);

/* ntfs_wof.c */

/* Whether the overlay filter compresses a file, and how (but for size, entry
 * and chunks). 1: so it is, 0: not; UNSUPPORTED: so it is, but the content
 * cannot be had. */
int ntfs_wof_info(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_wof *out,
	struct error *e);
/* The same of the inode whose unnamed stream is open; it takes the place of
 * that stream. 0 also where there is nothing to do. */
int ntfs_wof_open(struct ntfs *n, struct ntfs_inode *ino, struct error *e);
/* Content; RANGE, CORRUPT, NOMEM, IO. */
int ntfs_wof_pread(struct ntfs *n, const struct ntfs_inode *ino, uint64_t id,
	uint8_t *p, size_t len, uint64_t off, struct error *e);

/* ntfs_dir.c */
int ntfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);

/* ntfs_link.c */

/* What a file is besides a file or directory: reparse points of Windows and
 * WSL, and Interix' special files. Sets type, size, rdev and flags of out;
 * target (may be NULL) gets a symlink's. */
int ntfs_special(struct ntfs *n, struct ntfs_inode *ino, uint32_t attributes,
	struct fs_node *out, struct buf *target, struct error *e);
/* Owner, mode and device numbers as WSL keeps them, where it does. */
void ntfs_lx_attributes(struct ntfs *n, struct ntfs_inode *ino,
	struct fs_node *out);

/* The reparse point with its header; 1, or 0 where there is none. */
int ntfs_reparse_read(struct ntfs *n, struct ntfs_inode *ino, struct buf *b,
	uint32_t *tag, struct error *e);

/* Whether the content can be had: UNSUPPORTED where it lies elsewhere
 * (deduplicated, in the cloud). */
int ntfs_content_check(struct ntfs *n, struct ntfs_inode *ino,
	struct error *e);

/* ntfs_xattr.c */
int ntfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);
/* The standard information; all zeros where there is none. */
int ntfs_standard(struct ntfs *n, struct ntfs_inode *ino,
	struct ntfs_standard *out, struct error *e);

#endif
