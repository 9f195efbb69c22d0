/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs as it stands on disk. Source: btrfs.readthedocs.io, "On-disk format",
 * and include/uapi/linux/btrfs_tree.h; offsets checked against
 * "btrfs inspect-internal dump-super" and "dump-tree" (btrfs-progs 6.2).
 * All integers are little endian, nothing is aligned.
 */
#ifndef STRATA_FS_BTRFS_FORMAT_H
#define STRATA_FS_BTRFS_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define BTRFS_MAGIC "_BHRfS_M"
#define BTRFS_SUPER_SIZE 4096
/* Copies of the superblock lie at fixed places of every device. */
#define BTRFS_SUPER_COPIES 3
#define BTRFS_SUPER_FIRST UINT64_C(65536)
#define BTRFS_SUPER_OFFSETS                                                    \
	{                                                                      \
		BTRFS_SUPER_FIRST, UINT64_C(67108864), UINT64_C(274877906944)  \
	}
/* The allocator keeps a whole stripe around each copy free of anything. */
#define BTRFS_STRIPE_LEN UINT64_C(65536)
/* Nothing is ever allocated below: boot loaders live there. */
#define BTRFS_RESERVED UINT64_C(1048576)
#define BTRFS_CSUM_MAX 32
#define BTRFS_MAX_LEVEL 8
#define BTRFS_NAME_MAX 255

struct btrfs_disk_key {
	le64 objectid;
	uint8_t type;
	le64 offset;
};
_Static_assert(sizeof(struct btrfs_disk_key) == 17, "key");

struct btrfs_disk_dev {
	le64 devid, total_bytes, bytes_used;
	le32 io_align, io_width, sector_size;
	le64 type, generation, start_offset;
	le32 dev_group;
	uint8_t seek_speed, bandwidth, uuid[16], fsid[16];
};
_Static_assert(sizeof(struct btrfs_disk_dev) == 98, "dev item");

struct btrfs_disk_super {
	uint8_t csum[BTRFS_CSUM_MAX]; /* over everything behind it */
	uint8_t fsid[16];
	le64 bytenr, flags;
	uint8_t magic[8];
	le64 generation, root, chunk_root, log_root, log_root_transid;
	le64 total_bytes, bytes_used, root_dir_objectid, num_devices;
	le32 sectorsize, nodesize, leafsize, stripesize, sys_chunk_array_size;
	le64 chunk_root_generation, compat, compat_ro, incompat;
	le16 csum_type;
	uint8_t root_level, chunk_root_level, log_root_level;
	struct btrfs_disk_dev dev;
	uint8_t label[256];
	le64 cache_generation, uuid_tree_generation;
	uint8_t metadata_uuid[16];
	uint8_t reserved[224];
	uint8_t sys_chunk_array[2048];
	uint8_t backup_roots[672];
	uint8_t padding[565];
};
_Static_assert(sizeof(struct btrfs_disk_super) == BTRFS_SUPER_SIZE, "super");
_Static_assert(offsetof(struct btrfs_disk_super, magic) == 0x40, "super");
_Static_assert(offsetof(struct btrfs_disk_super, dev) == 0xc9, "super");
_Static_assert(offsetof(struct btrfs_disk_super, label) == 0x12b, "super");
_Static_assert(offsetof(struct btrfs_disk_super, sys_chunk_array) == 0x32b,
	"super");

enum btrfs_super_flags {
	BTRFS_SUPER_SEEDING = 32,         /* bit */
	BTRFS_SUPER_METADUMP = 33,        /* bit: btrfs-image, no content */
	BTRFS_SUPER_METADUMP_V2 = 34,     /* bit */
	BTRFS_SUPER_CHANGING_FSID = 35,   /* bit */
	BTRFS_SUPER_CHANGING_FSID_2 = 36, /* bit */
};

#define BTRFS_INCOMPAT_METADATA_UUID (UINT64_C(1) << 10)
/* What this reader knows: mixed backrefs, default subvolume, mixed groups,
 * lzo, zstd, big metadata, extref, raid56, skinny metadata, no holes,
 * metadata uuid, raid1c34, simple quota. Zoned (12) keeps its superblocks
 * elsewhere; extent-tree-v2 (13) and raid-stripe-tree (14) map otherwise. */
#define BTRFS_INCOMPAT_KNOWN (UINT64_C(0xfff) | UINT64_C(1) << 16)
#define BTRFS_INCOMPAT_NAMES                                                   \
	{                                                                      \
		{ 12, "zoned" }, { 13, "extent-tree-v2" },                     \
			{ 14, "raid-stripe-tree" }, { 17, "remap-tree" },      \
	}

enum btrfs_csum_type {
	BTRFS_CSUM_CRC32C = 0,
	BTRFS_CSUM_XXHASH = 1,
	BTRFS_CSUM_SHA256 = 2,
	BTRFS_CSUM_BLAKE2 = 3,
};

struct btrfs_disk_header {
	uint8_t csum[BTRFS_CSUM_MAX], fsid[16];
	le64 bytenr, flags;
	uint8_t chunk_tree_uuid[16];
	le64 generation, owner;
	le32 nritems;
	uint8_t level;
};
_Static_assert(sizeof(struct btrfs_disk_header) == 101, "header");

struct btrfs_disk_item { /* of a leaf; data is at header + offset */
	struct btrfs_disk_key key;
	le32 offset, size;
};
_Static_assert(sizeof(struct btrfs_disk_item) == 25, "item");

struct btrfs_disk_ptr { /* of a node above the leaves */
	struct btrfs_disk_key key;
	le64 blockptr, generation;
};
_Static_assert(sizeof(struct btrfs_disk_ptr) == 33, "key pointer");

enum btrfs_objectid {
	BTRFS_ROOT_TREE = 1,
	BTRFS_EXTENT_TREE = 2,
	BTRFS_CHUNK_TREE = 3,
	BTRFS_DEV_TREE = 4,
	BTRFS_FS_TREE = 5, /* the top-level subvolume */
	BTRFS_FIRST_FREE = 256,
};
#define BTRFS_LAST_FREE UINT64_C(-256)
#define BTRFS_DEV_ITEMS UINT64_C(1) /* objectid in the chunk tree */
#define BTRFS_FIRST_CHUNK UINT64_C(256)

enum btrfs_item_type {
	BTRFS_INODE_ITEM = 1,
	BTRFS_INODE_REF = 12,
	BTRFS_INODE_EXTREF = 13,
	BTRFS_XATTR_ITEM = 24,
	BTRFS_VERITY_DESC = 36,
	BTRFS_DIR_ITEM = 84,
	BTRFS_DIR_INDEX = 96,
	BTRFS_EXTENT_DATA = 108,
	BTRFS_ROOT_ITEM = 132,
	BTRFS_ROOT_BACKREF = 144,
	BTRFS_ROOT_REF = 156,
	BTRFS_EXTENT_ITEM = 168,
	BTRFS_METADATA_ITEM = 169,
	BTRFS_DEV_ITEM = 216,
	BTRFS_CHUNK_ITEM = 228,
};

struct btrfs_disk_stripe {
	le64 devid, offset;
	uint8_t dev_uuid[16];
};
struct btrfs_disk_chunk {
	le64 length, owner, stripe_len, type;
	le32 io_align, io_width, sector_size;
	le16 num_stripes, sub_stripes;
};
_Static_assert(sizeof(struct btrfs_disk_stripe) == 32, "stripe");
_Static_assert(sizeof(struct btrfs_disk_chunk) == 48, "chunk");

#define BTRFS_BG_DATA (UINT64_C(1) << 0)
#define BTRFS_BG_SYSTEM (UINT64_C(1) << 1)
#define BTRFS_BG_METADATA (UINT64_C(1) << 2)
#define BTRFS_BG_RAID0 (UINT64_C(1) << 3)
#define BTRFS_BG_RAID1 (UINT64_C(1) << 4)
#define BTRFS_BG_DUP (UINT64_C(1) << 5)
#define BTRFS_BG_RAID10 (UINT64_C(1) << 6)
#define BTRFS_BG_RAID5 (UINT64_C(1) << 7)
#define BTRFS_BG_RAID6 (UINT64_C(1) << 8)
#define BTRFS_BG_RAID1C3 (UINT64_C(1) << 9)
#define BTRFS_BG_RAID1C4 (UINT64_C(1) << 10)
#define BTRFS_BG_KNOWN UINT64_C(0x7ff)
#define BTRFS_BG_PROFILES (BTRFS_BG_KNOWN & ~UINT64_C(7))

struct btrfs_disk_time {
	le64 sec;
	le32 nsec;
};
struct btrfs_disk_inode {
	le64 generation, transid, size, nbytes, block_group;
	le32 nlink, uid, gid, mode;
	le64 rdev, flags, sequence, reserved[4];
	struct btrfs_disk_time atime, ctime, mtime, otime;
};
_Static_assert(sizeof(struct btrfs_disk_inode) == 160, "inode");

struct btrfs_disk_root { /* as old kernels wrote it */
	struct btrfs_disk_inode inode;
	le64 generation, root_dirid, bytenr, byte_limit, bytes_used;
	le64 last_snapshot, flags;
	le32 refs;
	struct btrfs_disk_key drop_progress;
	uint8_t drop_level, level;
	/* since Linux 3.6; valid where generation_v2 equals generation */
	le64 generation_v2;
	uint8_t uuid[16], parent_uuid[16], received_uuid[16];
};
#define BTRFS_ROOT_ITEM_OLD offsetof(struct btrfs_disk_root, generation_v2)
_Static_assert(BTRFS_ROOT_ITEM_OLD == 239, "root");
#define BTRFS_ROOT_RDONLY (UINT64_C(1) << 0)

struct btrfs_disk_root_ref {
	le64 dirid, sequence;
	le16 name_len; /* the name follows */
};
_Static_assert(sizeof(struct btrfs_disk_root_ref) == 18, "root ref");

struct btrfs_disk_dir_item {
	struct btrfs_disk_key location;
	le64 transid;
	le16 data_len, name_len;
	uint8_t type; /* the name follows, then the data */
};
_Static_assert(sizeof(struct btrfs_disk_dir_item) == 30, "dir item");

struct btrfs_disk_inode_ref {
	le64 index;
	le16 name_len; /* the name follows */
};
_Static_assert(sizeof(struct btrfs_disk_inode_ref) == 10, "inode ref");

struct btrfs_disk_extent {
	le64 generation, ram_bytes;
	uint8_t compression, encryption;
	le16 other_encoding;
	uint8_t type;
	/* inline data starts here, or: */
	le64 disk_bytenr, disk_num_bytes, offset, num_bytes;
};
#define BTRFS_EXTENT_INLINE_HEAD offsetof(struct btrfs_disk_extent, disk_bytenr)
_Static_assert(BTRFS_EXTENT_INLINE_HEAD == 21, "extent");
_Static_assert(sizeof(struct btrfs_disk_extent) == 53, "extent");

enum btrfs_extent_type {
	BTRFS_EXTENT_INLINE = 0,
	BTRFS_EXTENT_REG = 1,
	BTRFS_EXTENT_PREALLOC = 2,
};
enum btrfs_compression {
	BTRFS_COMPRESS_NONE = 0,
	BTRFS_COMPRESS_ZLIB = 1,
	BTRFS_COMPRESS_LZO = 2,
	BTRFS_COMPRESS_ZSTD = 3,
};

#endif
