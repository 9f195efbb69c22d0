/* SPDX-License-Identifier: Apache-2.0 */
/* NTFS as it stands on disk. Field names and offsets follow the layout that
 * the Linux and ntfs-3g drivers publish (there is no public specification);
 * sizes are checked below. All integers are little-endian. */
#ifndef STRATA_FS_NTFS_FORMAT_H
#define STRATA_FS_NTFS_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"

/* Update sequences protect every 512 bytes, whatever the sector size. */
#define NTFS_STRIDE 512

struct ntfs_boot {
	uint8_t jump[3];
	uint8_t oem[8]; /* "NTFS    " */
	le16 bytes_per_sector;
	uint8_t sectors_per_cluster; /* above 0x80: 2^(256 - n) sectors */
	uint8_t unused1[26];
	le64 sectors; /* without the backup boot sector behind them */
	le64 mft_lcn;
	le64 mirror_lcn;
	int8_t clusters_per_record; /* negative: 2^-n bytes */
	uint8_t unused2[3];
	int8_t clusters_per_index;
	uint8_t unused3[3];
	le64 serial;
	uint8_t unused4[4 + 426];
	uint8_t magic[2]; /* 55 AA */
};
_Static_assert(sizeof(struct ntfs_boot) == 512, "boot sector");
_Static_assert(offsetof(struct ntfs_boot, sectors) == 0x28, "sectors");
_Static_assert(offsetof(struct ntfs_boot, clusters_per_record) == 0x40, "cpr");
_Static_assert(offsetof(struct ntfs_boot, serial) == 0x48, "serial");

enum ntfs_system_record {
	NTFS_REC_MFT = 0,
	NTFS_REC_MIRROR = 1,
	NTFS_REC_LOGFILE = 2,
	NTFS_REC_VOLUME = 3,
	NTFS_REC_ROOT = 5,
	NTFS_REC_BITMAP = 6,
	NTFS_REC_SECURE = 9,
	NTFS_REC_FIRST_USER = 16,
};
#define NTFS_MIRRORED 4 /* records that $MFTMirr holds at least */

enum ntfs_record_flags {
	NTFS_RECORD_IN_USE = 0x0001,
	NTFS_RECORD_DIR = 0x0002,
};

struct ntfs_record {
	uint8_t magic[4]; /* "FILE" */
	le16 usa_off, usa_count;
	le64 lsn;
	le16 seq;
	le16 links;
	le16 attrs_off;
	le16 flags;
	le32 used;
	le32 allocated;
	le64 base; /* 0, or the record this one extends */
	le16 next_instance;
	le16 unused;
	le32 number; /* since NTFS 3.1; then usa_off is at least 0x30 */
};
_Static_assert(sizeof(struct ntfs_record) == 0x30, "record header");

enum ntfs_attr_type {
	NTFS_AT_STANDARD = 0x10,
	NTFS_AT_LIST = 0x20,
	NTFS_AT_NAME = 0x30,
	NTFS_AT_SECURITY = 0x50,
	NTFS_AT_VOLUME_NAME = 0x60,
	NTFS_AT_VOLUME_INFO = 0x70,
	NTFS_AT_DATA = 0x80,
	NTFS_AT_INDEX_ROOT = 0x90,
	NTFS_AT_INDEX_ALLOC = 0xa0,
	NTFS_AT_BITMAP = 0xb0,
	NTFS_AT_REPARSE = 0xc0,
	NTFS_AT_EA = 0xe0,
	NTFS_AT_END = 0xffffffff,
};

enum ntfs_attr_flags {
	NTFS_ATTR_COMPRESSION = 0x00ff, /* 0 none, 1 LZNT1 */
	NTFS_ATTR_ENCRYPTED = 0x4000,
	NTFS_ATTR_SPARSE = 0x8000,
};

struct ntfs_attr_header {
	le32 type;
	le32 len;
	uint8_t nonresident;
	uint8_t name_len; /* in UTF-16 units */
	le16 name_off;
	le16 flags;
	le16 instance;
};
_Static_assert(sizeof(struct ntfs_attr_header) == 16, "attribute header");

struct ntfs_resident {
	struct ntfs_attr_header h;
	le32 value_len;
	le16 value_off;
	uint8_t flags, unused;
};
_Static_assert(sizeof(struct ntfs_resident) == 24, "resident attribute");

struct ntfs_nonresident {
	struct ntfs_attr_header h;
	le64 lowest_vcn;
	le64 highest_vcn;
	le16 runs_off;
	uint8_t unit_shift; /* compression unit: 2^n clusters */
	uint8_t unused[5];
	le64 allocated; /* the three sizes count in the first piece only */
	le64 size;
	le64 initialized;
};
_Static_assert(sizeof(struct ntfs_nonresident) == 64, "nonresident attribute");

struct ntfs_list_entry {
	le32 type;
	le16 len;
	uint8_t name_len, name_off;
	le64 lowest_vcn;
	le64 ref;
	le16 instance;
};
_Static_assert(sizeof(struct ntfs_list_entry) == 26, "attribute list entry");

struct ntfs_standard {
	le64 created, modified, changed, accessed;
	le32 attributes;
	uint8_t unused[16]; /* NTFS 1.2 ends within: 48 bytes in all */
	le32 security_id;
	uint8_t quota_usn[16];
};
_Static_assert(sizeof(struct ntfs_standard) == 72, "standard information");
#define NTFS_STANDARD_MIN 48

enum ntfs_file_attributes {
	NTFS_FILE_HIDDEN = 0x2,
	NTFS_FILE_SYSTEM = 0x4,
	NTFS_FILE_DIRECTORY = 0x10,
	NTFS_FILE_NORMAL = 0x80,
	NTFS_FILE_SPARSE = 0x200,
	NTFS_FILE_REPARSE = 0x400,
	NTFS_FILE_OFFLINE = 0x1000,
	NTFS_FILE_ENCRYPTED = 0x4000,
	NTFS_FILE_RECALL = 0x400000,
	NTFS_FILE_I30 = 0x10000000,
	NTFS_FILE_VIEW = 0x20000000,
};

struct ntfs_file_name {
	le64 parent;
	uint8_t times[32];
	le64 allocated, size;
	le32 attributes, reparse;
	uint8_t name_len; /* in UTF-16 units */
	uint8_t space;    /* enum ntfs_name_space */
};
_Static_assert(sizeof(struct ntfs_file_name) == 66, "file name");

enum ntfs_name_space {
	NTFS_NAME_POSIX,
	NTFS_NAME_WIN32,
	NTFS_NAME_DOS,
	NTFS_NAME_BOTH,
};

struct ntfs_index_header {
	le32 first; /* the three count from this header's start */
	le32 used;
	le32 allocated;
	uint8_t flags, unused[3];
};
_Static_assert(sizeof(struct ntfs_index_header) == 16, "index header");

struct ntfs_index_root {
	le32 type;
	le32 collation;
	le32 block_size;
	uint8_t clusters_per_block, unused[3];
	struct ntfs_index_header h;
};
_Static_assert(sizeof(struct ntfs_index_root) == 32, "index root");

struct ntfs_index_block {
	uint8_t magic[4]; /* "INDX" */
	le16 usa_off, usa_count;
	le64 lsn;
	le64 vcn;
	struct ntfs_index_header h;
};
_Static_assert(sizeof(struct ntfs_index_block) == 40, "index block");

struct ntfs_index_entry {
	le64 ref;
	le16 len, key_len, flags, unused;
};
_Static_assert(sizeof(struct ntfs_index_entry) == 16, "index entry");
enum ntfs_entry_flags {
	NTFS_ENTRY_NODE = 1, /* the last 8 bytes are a child's VCN */
	NTFS_ENTRY_END = 2,
};

struct ntfs_sds_entry {
	le32 hash;
	le32 id;
	le64 off;
	le32 len; /* with this header */
};
_Static_assert(sizeof(struct ntfs_sds_entry) == 20, "security entry");
/* Entries lie in blocks of this size, each followed by its copy. */
#define NTFS_SDS_BLOCK 0x40000

enum ntfs_reparse_tag {
	NTFS_TAG_MOUNT_POINT = (int)0xa0000003,
	NTFS_TAG_SYMLINK = (int)0xa000000c,
	NTFS_TAG_LX_SYMLINK = (int)0xa000001d,
	NTFS_TAG_AF_UNIX = (int)0x80000023,
	NTFS_TAG_LX_FIFO = (int)0x80000024,
	NTFS_TAG_LX_CHR = (int)0x80000025,
	NTFS_TAG_LX_BLK = (int)0x80000026,
	NTFS_TAG_WOF = (int)0x80000017,
	NTFS_TAG_DEDUP = (int)0x80000013,
	NTFS_TAG_WIM = (int)0x80000008,
	NTFS_TAG_HSM = (int)0xc0000004,
	NTFS_TAG_HSM2 = (int)0x80000006,
};

struct ntfs_reparse {
	le32 tag;
	le16 len; /* of what follows this header */
	le16 unused;
};
_Static_assert(sizeof(struct ntfs_reparse) == 8, "reparse header");

#endif
