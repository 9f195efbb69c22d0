/* SPDX-License-Identifier: Apache-2.0 */
/* UDF on disk. Numbers are little endian. Sections are those of ECMA-167 (3rd
 * edition: part/section) and of OSTA UDF 2.60. */
#ifndef STRATA_FS_UDF_FORMAT_H
#define STRATA_FS_UDF_FORMAT_H

#include "base/endian.h"

/* 3/7.2 and 4/7.2 */
struct udf_tag {
	le16 id, version;
	uint8_t sum, reserved;
	le16 serial, crc, crc_len;
	le32 location;
};
_Static_assert(sizeof(struct udf_tag) == 16, "ECMA-167 3/7.2");

enum {
	UDF_TAG_SPARING = 0, /* UDF 2.2.12 */
	UDF_TAG_PRIMARY = 1,
	UDF_TAG_ANCHOR = 2,
	UDF_TAG_POINTER = 3,
	UDF_TAG_PARTITION = 5,
	UDF_TAG_LOGICAL = 6,
	UDF_TAG_END = 8,
	UDF_TAG_INTEGRITY = 9,
	UDF_TAG_FILE_SET = 256,
	UDF_TAG_FILE_IDENT = 257,
	UDF_TAG_ALLOC_EXTENT = 258,
	UDF_TAG_INDIRECT = 259,
	UDF_TAG_FILE = 261,
	UDF_TAG_UNALLOCATED = 263,
	UDF_TAG_BITMAP = 264,
	UDF_TAG_EXT_FILE = 266,
};

/* 3/7.1: an extent of sectors of the volume */
struct udf_extent_ad {
	le32 len, loc;
};

/* 4/14.14: the two top bits of a length say what the extent is */
struct udf_short_ad {
	le32 len, block;
};
struct udf_long_ad {
	le32 len, block;
	le16 part;
	uint8_t use[6];
};
struct udf_ext_ad {
	le32 len, recorded_len, info_len, block;
	le16 part;
	uint8_t use[2];
};
_Static_assert(sizeof(struct udf_short_ad) == 8, "ECMA-167 4/14.14.1");
_Static_assert(sizeof(struct udf_long_ad) == 16, "ECMA-167 4/14.14.2");
_Static_assert(sizeof(struct udf_ext_ad) == 20, "ECMA-167 4/14.14.3");

#define UDF_EXTENT_LEN 0x3fffffffu
enum {
	UDF_RECORDED = 0,
	UDF_UNRECORDED = 1,  /* allocated */
	UDF_UNALLOCATED = 2, /* a hole */
	UDF_CONTINUES = 3,   /* more descriptors are there */
};

struct udf_regid {
	uint8_t flags;
	char id[23];
	uint8_t suffix[8];
};
_Static_assert(sizeof(struct udf_regid) == 32, "ECMA-167 1/7.4");

struct udf_anchor {
	struct udf_tag tag;
	struct udf_extent_ad main, reserve;
};

struct udf_pointer {
	struct udf_tag tag;
	le32 sequence;
	struct udf_extent_ad next;
};

struct udf_primary {
	struct udf_tag tag;
	le32 sequence, number;
	uint8_t volume_id[32];
	le16 volume, volumes, level, max_level;
	le32 charsets, max_charsets;
	uint8_t set_id[128];
};
_Static_assert(sizeof(struct udf_primary) == 200, "ECMA-167 3/10.1");

struct udf_partition {
	struct udf_tag tag;
	le32 sequence;
	le16 flags, number;
	struct udf_regid contents;
	/* 4/14.3, the partition header */
	struct udf_short_ad free_table, free_bitmap, integrity, freed_table,
		freed_bitmap;
	uint8_t reserved[88];
	le32 access, start, len;
};
_Static_assert(sizeof(struct udf_partition) == 196, "ECMA-167 3/10.5");

struct udf_logical {
	struct udf_tag tag;
	le32 sequence;
	uint8_t charset[64];
	uint8_t id[128];
	le32 block_size;
	struct udf_regid domain;
	struct udf_long_ad file_set;
	le32 map_len, maps;
	struct udf_regid implementation;
	uint8_t use[128];
	struct udf_extent_ad integrity;
};
_Static_assert(sizeof(struct udf_logical) == 440, "ECMA-167 3/10.6");

struct udf_map1 {
	uint8_t type, len;
	le16 volume, number;
};
_Static_assert(sizeof(struct udf_map1) == 6, "ECMA-167 3/10.7.2");

/* UDF 2.2.8 to 2.2.10 */
struct udf_map2 {
	uint8_t type, len, reserved[2];
	struct udf_regid kind;
	le16 volume, number;
	union {
		struct {
			le16 packet_len;
			uint8_t tables, reserved;
			le32 table_len;
			le32 table[4];
		} sparing;
		struct {
			le32 main, mirror, bitmap, unit;
			le16 align;
			uint8_t flags;
		} meta;
		uint8_t bytes[24];
	};
};
_Static_assert(sizeof(struct udf_map2) == 64, "UDF 2.2.8");

struct udf_integrity {
	struct udf_tag tag;
	uint8_t time[12];
	le32 type; /* 0: open, 1: closed */
	struct udf_extent_ad next;
	uint8_t use[32];
	le32 parts, use_len;
	/* free blocks of each partition, its blocks, implementation use */
};
_Static_assert(sizeof(struct udf_integrity) == 80, "ECMA-167 3/10.10");

/* UDF 2.2.12 */
struct udf_sparing {
	struct udf_tag tag;
	struct udf_regid id;
	le16 entries, reserved;
	le32 sequence;
	/* pairs of the first block of a packet, and where it is instead */
};
_Static_assert(sizeof(struct udf_sparing) == 56, "UDF 2.2.12");

struct udf_file_set {
	struct udf_tag tag;
	uint8_t skipped[384];
	struct udf_long_ad root;
	struct udf_regid domain;
	struct udf_long_ad next, streams;
};
_Static_assert(sizeof(struct udf_file_set) == 480, "ECMA-167 4/14.1");

struct udf_file_ident {
	struct udf_tag tag;
	le16 version;
	uint8_t flags, name_len;
	struct udf_long_ad icb;
	le16 use_len;
	/* implementation use, name, up to three bytes of padding */
} __attribute__((packed));
_Static_assert(sizeof(struct udf_file_ident) == 38, "ECMA-167 4/14.4");

enum { /* udf_file_ident.flags */
	UDF_IDENT_HIDDEN = 1,
	UDF_IDENT_DIRECTORY = 2,
	UDF_IDENT_DELETED = 4,
	UDF_IDENT_PARENT = 8,
};

struct udf_icb_tag {
	le32 prior;
	le16 strategy;
	uint8_t parameter[2];
	le16 entries;
	uint8_t reserved, type;
	le32 parent_block;
	le16 parent_part;
	le16 flags;
};
_Static_assert(sizeof(struct udf_icb_tag) == 20, "ECMA-167 4/14.6");

enum { /* udf_icb_tag.type */
	UDF_TYPE_UNSPECIFIED = 0,
	UDF_TYPE_DIR = 4,
	UDF_TYPE_FILE = 5,
	UDF_TYPE_BLOCK = 6,
	UDF_TYPE_CHAR = 7,
	UDF_TYPE_ATTRIBUTES = 8,
	UDF_TYPE_FIFO = 9,
	UDF_TYPE_SOCKET = 10,
	UDF_TYPE_SYMLINK = 12,
	UDF_TYPE_STREAMS = 13,
	UDF_TYPE_VAT = 248,
	UDF_TYPE_REALTIME = 249,
	UDF_TYPE_META = 250,
	UDF_TYPE_META_MIRROR = 251,
};
enum { /* udf_icb_tag.flags */
	UDF_ICB_AD = 7,
	UDF_AD_SHORT = 0,
	UDF_AD_LONG = 1,
	UDF_AD_EXTENDED = 2,
	UDF_AD_INLINE = 3,
	UDF_ICB_SETUID = 1 << 6,
	UDF_ICB_SETGID = 1 << 7,
	UDF_ICB_STICKY = 1 << 8,
	UDF_ICB_TRANSFORMED = 1 << 11,
};

/* What the two forms of a file's entry begin with. */
struct udf_file_head {
	struct udf_tag tag;
	struct udf_icb_tag icb;
	le32 uid, gid, permissions;
	le16 links;
	uint8_t format, display;
	le32 record_len;
	le64 size;
};
_Static_assert(sizeof(struct udf_file_head) == 64, "ECMA-167 4/14.9");

struct udf_file_entry {
	struct udf_file_head head;
	le64 blocks;
	uint8_t accessed[12], modified[12], changed[12];
	le32 checkpoint;
	struct udf_long_ad attributes;
	struct udf_regid implementation;
	le64 unique;
	le32 attributes_len, ads_len;
};
_Static_assert(sizeof(struct udf_file_entry) == 176, "ECMA-167 4/14.9");

struct udf_ext_file_entry {
	struct udf_file_head head;
	le64 object_size, blocks;
	uint8_t accessed[12], modified[12], created[12], changed[12];
	le32 checkpoint, reserved;
	struct udf_long_ad attributes, streams;
	struct udf_regid implementation;
	le64 unique;
	le32 attributes_len, ads_len;
};
_Static_assert(sizeof(struct udf_ext_file_entry) == 216, "ECMA-167 4/14.17");

struct udf_indirect {
	struct udf_tag tag;
	struct udf_icb_tag icb;
	struct udf_long_ad next;
};

struct udf_alloc_extent {
	struct udf_tag tag;
	le32 previous, ads_len;
};
_Static_assert(sizeof(struct udf_alloc_extent) == 24, "ECMA-167 4/14.5");

struct udf_bitmap {
	struct udf_tag tag;
	le32 bits, bytes;
};
_Static_assert(sizeof(struct udf_bitmap) == 24, "ECMA-167 4/14.12");

#endif
