/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the squashfs reader: what its files share.
 *
 * squashfs.c        superblock, inodes, directories
 * squashfs_meta.c   metadata blocks, tables
 * squashfs_data.c   content and extents
 * squashfs_xattr.c  extended attributes
 * unpack.c          the decompressors
 *
 * Source: the format as Linux has it in fs/squashfs/squashfs_fs.h, and "The
 * squashfs filesystem format" (Dr. Carsten Kiess, squashfs-tools-ng,
 * doc/format.adoc), version 4.0.
 *
 * The metadata is read here rather than by libsquashfs, whose calls allocate
 * what an image asks for (block lists, tables), leave out LZO, and give no
 * places of blocks.
 *
 * The id of a file is its inode's reference (block << 16 | offset), which all
 * its hard links share.
 */
#ifndef STRATA_FS_SQUASHFS_H
#define STRATA_FS_SQUASHFS_H

#include "base/cleanup.h"
#include "base/endian.h"
#include "fs/fs.h"
#include "fs/unpack.h"

#define SQFS_META 8192
#define SQFS_NONE UINT32_MAX /* no fragment, no xattrs */
#define SQFS_SLOTS 256	     /* metadata blocks kept: 2 MiB */

struct sqfs_super {
	le32 magic, inodes, mtime, block_size, fragments;
	le16 compressor, block_log, flags, ids, major, minor;
	le64 root, bytes_used, id_table, xattr_table, inode_table, dir_table;
	le64 fragment_table, export_table;
};
_Static_assert(sizeof(struct sqfs_super) == 96, "squashfs 4.0");

/* A place in a stream of metadata blocks. */
struct sqfs_at {
	uint64_t block; /* byte offset of the block on the device */
	uint32_t off;   /* in the decoded block */
};

struct sqfs_slot {
	uint64_t block; /* UINT64_MAX: empty */
	uint64_t next;
	uint32_t len;
	uint8_t *data;
};

struct sqfs_file {
	uint64_t id;
	struct fs_node node;
	uint32_t xattr;
	/* directory: where its list is, and its bytes */
	struct sqfs_at dir;
	uint32_t dir_size;
	/* symlink: where its target is */
	struct sqfs_at target;
	/* file */
	uint64_t start;	    /* of the first block on the device */
	struct sqfs_at list; /* of the sizes of its blocks */
	uint64_t blocks;
	uint32_t frag, frag_off;
	/* how far the walk over the list of sizes has come: the next block */
	uint64_t walk_index, walk_dev;
	struct sqfs_at walk_list;
};

struct sqfs {
	struct fs fs;
	struct source *src, *meta; /* meta: cached, for tables */
	const struct finding_sink *findings;
	uint32_t block_size, fragments, ids;
	uint64_t inode_table, dir_table, id_table, fragment_table, xattr_table;
	uint64_t xattr_start;
	uint32_t xattr_ids;
	struct unpack *unpack;
	struct sqfs_slot slots[SQFS_SLOTS];
	bool has_file;
	struct sqfs_file file;
	/* the data block decoded last, and the fragment */
	struct sqfs_decoded {
		uint64_t dev; /* UINT64_MAX: none */
		uint32_t len;
		uint8_t *data; /* block_size bytes, allocated at need */
	} block, frag;
	uint8_t *packed; /* block_size bytes, allocated at need */
};

/* Reads n bytes of the metadata stream and moves on. buf NULL: skips. */
int sqfs_meta_read(struct sqfs *f, struct sqfs_at *at, void *buf, size_t n,
	struct error *e);
/* Entry index of a table of entry_size-byte entries. */
int sqfs_table_read(struct sqfs *f, uint64_t table, uint64_t index,
	size_t entry_size, void *out, struct error *e);
void sqfs_meta_release(struct sqfs *f);

int sqfs_load(struct sqfs *f, uint64_t id, struct error *e);
int sqfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int sqfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e);
int sqfs_xattr_open(struct sqfs *f, struct error *e);
int sqfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);

#endif
