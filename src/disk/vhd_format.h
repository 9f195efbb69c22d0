/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual Hard Disk (Microsoft, Virtual Hard Disk Image Format Specification,
 * 2006). Big endian. A fixed disk is the disk's bytes and a footer; a dynamic
 * one has a copy of the footer, a header, a table of 32-bit sector numbers,
 * blocks (each behind a bitmap of its sectors), the footer. */
#ifndef STRATA_DISK_VHD_FORMAT_H
#define STRATA_DISK_VHD_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

enum { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

#define VHD_COOKIE "conectix"
#define VHD_HEADER_COOKIE "cxsparse"
#define VHD_UNALLOCATED 0xffffffffu
#define VHD_VERSION 0x00010000u

struct vhd_footer {
	uint8_t cookie[8];
	be32 features;
	be32 version;
	be64 data_offset; /* of the header; all ones: fixed */
	be32 timestamp;   /* seconds since 2000-01-01 UTC */
	uint8_t creator[4];
	be32 creator_version;
	uint8_t creator_os[4];
	be64 original_size;
	be64 current_size;
	be16 cylinders;
	uint8_t heads;
	uint8_t sectors;
	be32 type;
	be32 checksum; /* inverted sum of all bytes, this field as zeros */
	uint8_t uuid[16];
	uint8_t saved_state;
	uint8_t reserved[427];
};

_Static_assert(sizeof(struct vhd_footer) == 512, "VHD footer");
_Static_assert(offsetof(struct vhd_footer, current_size) == 48, "VHD footer");
_Static_assert(offsetof(struct vhd_footer, uuid) == 68, "VHD footer");

struct vhd_locator {
	uint8_t code[4]; /* "W2ru": relative name, UTF-16LE; "W2ku": absolute */
	be32 data_space;
	be32 data_length;
	be32 reserved;
	be64 data_offset;
};

struct vhd_header {
	uint8_t cookie[8];
	be64 data_offset; /* all ones */
	be64 table_offset;
	be32 version;
	be32 max_entries;
	be32 block_size;
	be32 checksum;
	uint8_t parent_uuid[16];
	be32 parent_timestamp;
	be32 reserved;
	uint8_t parent_name[512]; /* UTF-16, big endian */
	struct vhd_locator locators[8];
	uint8_t reserved2[256];
};

_Static_assert(sizeof(struct vhd_header) == 1024, "VHD header");
_Static_assert(offsetof(struct vhd_header, locators) == 576, "VHD header");

/* The checksum of a footer or header whose checksum field is at off. */
static inline uint32_t vhd_checksum(const void *p, size_t len, size_t off)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		if (i < off || i >= off + 4)
			sum += b[i];
	return ~sum;
}

#define VHD_FOOTER_SUM(f)                                                      \
	vhd_checksum((f), sizeof(struct vhd_footer),                           \
		offsetof(struct vhd_footer, checksum))
#define VHD_HEADER_SUM(h)                                                      \
	vhd_checksum((h), sizeof(struct vhd_header),                           \
		offsetof(struct vhd_header, checksum))

#endif
