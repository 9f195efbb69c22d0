/* SPDX-License-Identifier: Apache-2.0 */
/* ext2/3/4 as it stands on disk, as far as it is read here. Names and offsets
 * follow the kernel's Documentation/filesystems/ext4 (superblock, inodes,
 * ifork, directory, attributes, journal). */
#ifndef STRATA_FS_EXT_FORMAT_H
#define STRATA_FS_EXT_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"

#define EXT_SUPER_OFFSET 1024
#define EXT_SUPER_SIZE 1024
#define EXT_MAGIC 0xef53

/* A feature bit is named by its word and its value. */
enum ext_compat {
	EXT_COMPAT_HAS_JOURNAL = 0x4,
	EXT_COMPAT_SPARSE_SUPER2 = 0x200,
	EXT_COMPAT_FAST_COMMIT = 0x400,
};
enum ext_incompat {
	EXT_INCOMPAT_FILETYPE = 0x2,
	EXT_INCOMPAT_RECOVER = 0x4,
	EXT_INCOMPAT_JOURNAL_DEV = 0x8,
	EXT_INCOMPAT_META_BG = 0x10,
	EXT_INCOMPAT_EXTENTS = 0x40,
	EXT_INCOMPAT_64BIT = 0x80,
	EXT_INCOMPAT_MMP = 0x100,
	EXT_INCOMPAT_FLEX_BG = 0x200,
	EXT_INCOMPAT_EA_INODE = 0x400,
	EXT_INCOMPAT_CSUM_SEED = 0x2000,
	EXT_INCOMPAT_LARGEDIR = 0x4000,
	EXT_INCOMPAT_INLINE_DATA = 0x8000,
	EXT_INCOMPAT_ENCRYPT = 0x10000,
	EXT_INCOMPAT_CASEFOLD = 0x20000,
};
enum ext_ro_compat {
	EXT_RO_SPARSE_SUPER = 0x1,
	EXT_RO_LARGE_FILE = 0x2,
	EXT_RO_BTREE_DIR = 0x4,
	EXT_RO_GDT_CSUM = 0x10,
	EXT_RO_BIGALLOC = 0x200,
	EXT_RO_METADATA_CSUM = 0x400,
};

enum ext_state { EXT_STATE_VALID = 1, EXT_STATE_ERROR = 2 };

struct ext_super {
	le32 inodes_count, blocks_count_lo, r_blocks_count_lo;
	le32 free_blocks_count_lo, free_inodes_count, first_data_block;
	le32 log_block_size, log_cluster_size;
	le32 blocks_per_group, clusters_per_group, inodes_per_group;
	le32 mtime, wtime;
	le16 mnt_count, max_mnt_count, magic, state, errors, minor_rev_level;
	le32 lastcheck, checkinterval, creator_os, rev_level;
	le16 def_resuid, def_resgid;
	le32 first_ino;
	le16 inode_size, block_group_nr;
	le32 feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16], volume_name[16], last_mounted[64];
	le32 algorithm_bitmap;
	uint8_t prealloc_blocks, prealloc_dir_blocks;
	le16 reserved_gdt_blocks;
	uint8_t journal_uuid[16];
	le32 journal_inum, journal_dev, last_orphan, hash_seed[4];
	uint8_t def_hash_version, jnl_backup_type;
	le16 desc_size;
	le32 default_mount_opts, first_meta_bg, mkfs_time;
	le32 jnl_blocks[17];
	le32 blocks_count_hi, r_blocks_count_hi, free_blocks_count_hi;
	uint8_t pad0[0x175 - 0x15c];
	uint8_t checksum_type;
	uint8_t pad1[0x270 - 0x176];
	le32 checksum_seed;
	uint8_t pad2[0x3fc - 0x274];
	le32 checksum;
};
_Static_assert(sizeof(struct ext_super) == EXT_SUPER_SIZE, "superblock");
_Static_assert(offsetof(struct ext_super, magic) == 0x38, "s_magic");
_Static_assert(offsetof(struct ext_super, uuid) == 0x68, "s_uuid");
_Static_assert(offsetof(struct ext_super, journal_inum) == 0xe0, "s_journal_inum");
_Static_assert(offsetof(struct ext_super, desc_size) == 0xfe, "s_desc_size");
_Static_assert(offsetof(struct ext_super, jnl_blocks) == 0x10c, "s_jnl_blocks");
_Static_assert(offsetof(struct ext_super, blocks_count_hi) == 0x150,
	"s_blocks_count_hi");

enum ext_ino {
	EXT_INO_ROOT = 2,
	EXT_INO_JOURNAL = 8,
	EXT_INO_FIRST_OLD = 11, /* of revision 0 */
};

enum ext_bg_flags { EXT_BG_INODE_UNINIT = 1, EXT_BG_BLOCK_UNINIT = 2 };

enum ext_inode_flags {
	EXT_FL_ENCRYPT = 0x800,
	EXT_FL_INDEX = 0x1000,
	EXT_FL_EXTENTS = 0x80000,
	EXT_FL_EA_INODE = 0x200000,
	EXT_FL_INLINE_DATA = 0x10000000,
	EXT_FL_CASEFOLD = 0x40000000,
};

enum ext_mode {
	EXT_MODE_FMT = 0170000,
	EXT_MODE_FIFO = 0010000,
	EXT_MODE_CHAR = 0020000,
	EXT_MODE_DIR = 0040000,
	EXT_MODE_BLOCK = 0060000,
	EXT_MODE_FILE = 0100000,
	EXT_MODE_SYMLINK = 0120000,
	EXT_MODE_SOCKET = 0140000,
};

#define EXT_INODE_OLD_SIZE 128
#define EXT_IBLOCK_SIZE 60
#define EXT_NDIR 12 /* direct blocks; then single, double, triple indirect */

struct ext_inode_disk {
	le16 mode, uid_lo;
	le32 size_lo, atime, ctime, mtime, dtime;
	le16 gid_lo, links;
	le32 blocks_lo, flags, osd1;
	uint8_t block[EXT_IBLOCK_SIZE];
	le32 generation, file_acl_lo, size_hi, faddr;
	le16 blocks_hi, file_acl_hi, uid_hi, gid_hi, csum_lo, reserved;
	/* from here on only in inodes over 128 bytes */
	le16 extra_isize, csum_hi;
	le32 ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra;
	le32 version_hi, projid;
};
_Static_assert(offsetof(struct ext_inode_disk, block) == 0x28, "i_block");
_Static_assert(offsetof(struct ext_inode_disk, csum_lo) == 0x7c, "i_csum_lo");
_Static_assert(offsetof(struct ext_inode_disk, extra_isize) == 0x80,
	"i_extra_isize");
_Static_assert(offsetof(struct ext_inode_disk, mtime_extra) == 0x88,
	"i_mtime_extra");

#define EXT_EXTENT_MAGIC 0xf30a
#define EXT_EXTENT_MAX_DEPTH 5
#define EXT_EXTENT_INIT_MAX 32768 /* a longer ee_len means unwritten */

struct ext_extent_header {
	le16 magic, entries, max, depth;
	le32 generation;
};
struct ext_extent_leaf {
	le32 block;
	le16 len, start_hi;
	le32 start_lo;
};
struct ext_extent_index {
	le32 block, leaf_lo;
	le16 leaf_hi, unused;
};
_Static_assert(sizeof(struct ext_extent_header) == 12, "extent header");
_Static_assert(sizeof(struct ext_extent_leaf) == 12, "extent");
_Static_assert(sizeof(struct ext_extent_index) == 12, "extent index");

struct ext_dirent {
	le32 inode;
	le16 rec_len;
	uint8_t name_len, file_type;
};
_Static_assert(sizeof(struct ext_dirent) == 8, "directory entry");
#define EXT_DIR_TAIL 12 /* inode 0, rec_len 12, name_len 0, type 0xde, csum */
#define EXT_DIR_TAIL_TYPE 0xde

#define EXT_XATTR_MAGIC 0xea020000
enum ext_xattr_index {
	EXT_XATTR_USER = 1,
	EXT_XATTR_ACL_ACCESS = 2,
	EXT_XATTR_ACL_DEFAULT = 3,
	EXT_XATTR_TRUSTED = 4,
	EXT_XATTR_SECURITY = 6,
	EXT_XATTR_SYSTEM = 7,
	EXT_XATTR_HURD = 10,
};
struct ext_xattr_header {
	le32 magic, refcount, blocks, hash, checksum, reserved[3];
};
struct ext_xattr_entry {
	uint8_t name_len, name_index;
	le16 value_offs;
	le32 value_inum, value_size, hash;
};
_Static_assert(sizeof(struct ext_xattr_header) == 32, "xattr header");
_Static_assert(sizeof(struct ext_xattr_entry) == 16, "xattr entry");

/* The journal (JBD2): big-endian. */
#define JBD_MAGIC 0xc03b3998
enum jbd_block_type {
	JBD_DESCRIPTOR = 1,
	JBD_COMMIT = 2,
	JBD_SUPER_V1 = 3,
	JBD_SUPER_V2 = 4,
	JBD_REVOKE = 5,
};
enum jbd_features {
	JBD_COMPAT_CHECKSUM = 0x1,
	JBD_INCOMPAT_REVOKE = 0x1,
	JBD_INCOMPAT_64BIT = 0x2,
	JBD_INCOMPAT_ASYNC_COMMIT = 0x4,
	JBD_INCOMPAT_CSUM_V2 = 0x8,
	JBD_INCOMPAT_CSUM_V3 = 0x10,
	JBD_INCOMPAT_FAST_COMMIT = 0x20,
	JBD_INCOMPAT_ALL = 0x3f,
};
enum jbd_tag_flags {
	JBD_TAG_ESCAPE = 1,
	JBD_TAG_SAME_UUID = 2,
	JBD_TAG_DELETED = 4,
	JBD_TAG_LAST = 8,
};
/* Fast commits: little-endian records (tag, length, value) in blocks behind the
 * log. */
enum ext_fc_tag {
	EXT_FC_ADD_RANGE = 1,
	EXT_FC_DEL_RANGE = 2,
	EXT_FC_CREAT = 3,
	EXT_FC_LINK = 4,
	EXT_FC_UNLINK = 5,
	EXT_FC_INODE = 6,
	EXT_FC_PAD = 7,
	EXT_FC_TAIL = 8,
	EXT_FC_HEAD = 9,
};
struct jbd_header {
	be32 magic, type, sequence;
};
struct jbd_super {
	struct jbd_header h;
	be32 blocksize, maxlen, first;
	be32 sequence, start, err;
	be32 feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	be32 nr_users, dynsuper, max_transaction, max_trans_data;
	uint8_t checksum_type, pad[3];
	be32 num_fc_blks, head;
	uint8_t pad2[0xfc - 0x5c];
	be32 checksum;
	uint8_t users[768];
};
_Static_assert(sizeof(struct jbd_super) == 1024, "journal superblock");
_Static_assert(offsetof(struct jbd_super, uuid) == 0x30, "journal s_uuid");
_Static_assert(offsetof(struct jbd_super, num_fc_blks) == 0x54, "s_num_fc_blks");
struct jbd_commit {
	struct jbd_header h;
	uint8_t chksum_type, chksum_size, pad[2];
	be32 chksum[8];
	be64 commit_sec;
	be32 commit_nsec;
};

#endif
