/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX structures on disk: [MS-VHDX] 2.x. Little endian; checksums are
 * CRC-32C over the structure with the field as zeros. */
#ifndef STRATA_DISK_VHDX_FORMAT_H
#define STRATA_DISK_VHDX_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define VHDX_ALIGN UINT64_C(1048576) /* of regions and blocks */
#define VHDX_FILE_SIGNATURE "vhdxfile"
#define VHDX_HEADER1 UINT64_C(65536)
#define VHDX_HEADER2 UINT64_C(131072)
#define VHDX_REGIONS1 UINT64_C(196608)
#define VHDX_REGIONS2 UINT64_C(262144)
#define VHDX_TABLE_BYTES 65536u /* region and metadata tables */
#define VHDX_TABLE_ENTRIES 2047u
#define VHDX_CHUNK_SECTORS (UINT64_C(1) << 23) /* of one bitmap block */

/* 2.2.2. 4 KiB are checksummed, most of them zeros. */
struct vhdx_header {
	uint8_t signature[4]; /* "head" */
	le32 checksum;
	le64 sequence;
	uint8_t file_write_guid[16];
	uint8_t data_write_guid[16];
	uint8_t log_guid[16]; /* zeros: no log to replay */
	le16 log_version;
	le16 version;
	le32 log_length;
	le64 log_offset;
	uint8_t reserved[4016];
};
_Static_assert(sizeof(struct vhdx_header) == 4096, "[MS-VHDX] 2.2.2");

/* 2.2.3 */
struct vhdx_region_header {
	uint8_t signature[4]; /* "regi" */
	le32 checksum;        /* of 64 KiB */
	le32 entries;
	le32 reserved;
};
struct vhdx_region {
	uint8_t guid[16];
	le64 offset;
	le32 length;
	le32 flags; /* bit 0: required */
};
_Static_assert(sizeof(struct vhdx_region) == 32, "[MS-VHDX] 2.2.3.2");

/* 2.3.1 */
struct vhdx_log_header {
	uint8_t signature[4]; /* "loge" */
	le32 checksum;        /* of the whole entry */
	le32 length;
	le32 tail;
	le64 sequence;
	le32 descriptors;
	le32 reserved;
	uint8_t log_guid[16];
	le64 flushed_size;
	le64 last_size;
};
_Static_assert(sizeof(struct vhdx_log_header) == 64, "[MS-VHDX] 2.3.1.1");

/* "zero": length of zeros; "desc": the first 8 bytes of a 4 KiB block, whose
 * last 4 are in trailing and whose rest is in a data sector. */
struct vhdx_log_desc {
	uint8_t signature[4];
	le32 trailing;
	le64 leading;
	le64 offset;
	le64 sequence;
};
_Static_assert(sizeof(struct vhdx_log_desc) == 32, "[MS-VHDX] 2.3.1.2");

struct vhdx_log_data {
	uint8_t signature[4]; /* "data" */
	le32 sequence_high;
	uint8_t data[4084];
	le32 sequence_low;
};
_Static_assert(sizeof(struct vhdx_log_data) == 4096, "[MS-VHDX] 2.3.1.3");

/* 2.6.1 */
struct vhdx_meta_header {
	uint8_t signature[8]; /* "metadata" */
	le16 reserved;
	le16 entries;
	uint8_t reserved2[20];
};
struct vhdx_meta {
	uint8_t guid[16];
	le32 offset; /* in the metadata region, at least 64 KiB */
	le32 length;
	le32 flags; /* bit 0 user, 1 virtual disk, 2 required */
	le32 reserved;
};
_Static_assert(sizeof(struct vhdx_meta_header) == 32, "[MS-VHDX] 2.6.1.1");
_Static_assert(sizeof(struct vhdx_meta) == 32, "[MS-VHDX] 2.6.1.2");

#define VHDX_META_REQUIRED 4u

/* 2.5: an entry of the block table is state (3 bits) and offset (44 bits, in
 * MiB, from bit 20). */
enum vhdx_state {
	VHDX_NOT_PRESENT = 0,
	VHDX_UNDEFINED = 1,
	VHDX_ZERO = 2,
	VHDX_UNMAPPED = 3,
	VHDX_UNMAPPED_OLD = 5, /* qemu and early Windows 8 wrote it */
	VHDX_PRESENT = 6,
	VHDX_PARTIAL = 7,
};

/* GUIDs as their bytes on disk. */
#define VHDX_GUID_BAT                                                          \
	"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08"
#define VHDX_GUID_METADATA                                                     \
	"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
#define VHDX_GUID_FILE_PARAMETERS                                              \
	"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
#define VHDX_GUID_DISK_SIZE                                                    \
	"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"
#define VHDX_GUID_DISK_ID                                                      \
	"\xab\x12\xca\xbe\xe6\xb2\x23\x45\x93\xef\xc3\x09\xe0\x00\xc7\x46"
#define VHDX_GUID_LOGICAL_SECTOR                                               \
	"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f"
#define VHDX_GUID_PHYSICAL_SECTOR                                              \
	"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56"
#define VHDX_GUID_PARENT_LOCATOR                                               \
	"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c"
#define VHDX_GUID_LOCATOR_VHDX                                                 \
	"\xb7\xef\x4a\xb0\x9e\xd1\x81\x4a\xb7\x89\x25\xb8\xe9\x44\x59\x13"

#endif
