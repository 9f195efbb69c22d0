/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the EROFS reader: what its files share.
 *
 * erofs.c        superblock, inodes, directories
 * erofs_data.c   content and extents
 * erofs_zmap.c   the index of compressed files
 * erofs_xattr.c  extended attributes
 *
 * Source: the EROFS documentation, "Core on-disk format", "Compressed Format
 * Layout", "Chunk-based Inode Layout", "Extended Attributes"; Linux
 * fs/erofs/erofs_fs.h.
 *
 * The id of a file is its node number. Not read, and then opaque: compression
 * other than LZ4, a second algorithm, fragments, extra devices.
 */
#ifndef STRATA_FS_EROFS_H
#define STRATA_FS_EROFS_H

#include "base/endian.h"
#include "fs/fs.h"

struct erofs_super {
	le32 magic, checksum, compat;
	uint8_t block_bits, ext_slots;
	le16 root;
	le64 inodes, build_time;
	le32 build_ns, blocks, meta_block, xattr_block;
	uint8_t uuid[16], label[16];
	le32 incompat;
	le16 algorithms, extra_devices, device_table;
	uint8_t dir_bits, prefixes;
	le32 prefix_start;
	le64 packed;
	uint8_t filter_reserved, reserved[23];
};
_Static_assert(sizeof(struct erofs_super) == 128, "EROFS superblock");

enum {
	EROFS_ZERO_PADDING = 1,
	EROFS_BIG_PCLUSTER = 2,
	EROFS_ZTAILPACKING = 0x10,
	EROFS_FRAGMENTS = 0x20,
	EROFS_KNOWN = 0x7f,
};

enum erofs_layout {
	EROFS_FLAT_PLAIN,
	EROFS_COMPRESSED_FULL,
	EROFS_FLAT_INLINE,
	EROFS_COMPRESSED_COMPACT,
	EROFS_CHUNKED,
};

/* One compressed extent: [la, la + llen) of the file is in [pa, pa + plen). */
struct erofs_zext {
	uint64_t la, llen, pa, plen;
	bool plain;	 /* not compressed */
	bool interlaced; /* and turned round within its block */
	bool in_meta;
};

struct erofs_file {
	uint64_t id, offset; /* of the inode on the device */
	struct fs_node node;
	uint32_t inode_size, xattr_size;
	enum erofs_layout layout;
	uint32_t u; /* block address, chunk format */
	/* compressed */
	uint16_t advise;
	uint8_t cluster_bits;
	uint64_t index; /* where the index begins */
	uint64_t clusters;
	bool inline_tail;
	uint64_t tail_head, tail_off; /* cluster of the tail's head, its data */
	uint32_t tail_len;
};

struct erofs {
	struct fs fs;
	struct source *src, *meta;
	const struct finding_sink *findings;
	uint32_t block_bits, block_size, incompat, compat;
	uint64_t meta_off, xattr_off;
	int64_t build_time;
	uint32_t build_ns, extra_devices;
	bool has_file;
	struct erofs_file file;
	/* the extent decoded last */
	uint64_t z_id;
	struct erofs_zext z;
	struct buf z_data;
	bool told[4];
};

int erofs_load(struct erofs *f, uint64_t id, struct error *e);
/* Content of f->file, whatever its type. */
int erofs_content(struct erofs *f, void *buf, size_t len, uint64_t off,
	struct error *e);
int erofs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int erofs_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e);
/* Reads a compressed file's header. UNSUPPORTED: the file is opaque. */
int erofs_z_open(struct erofs *f, struct error *e);
/* The extent of f->file around off. */
int erofs_z_map(struct erofs *f, uint64_t off, struct erofs_zext *out,
	struct error *e);
int erofs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);

#endif
