/* SPDX-License-Identifier: Apache-2.0 */
/* VirtualBox disk images, header version 1.1, as VirtualBox and qemu write
 * them. Little endian. A table of 32-bit block numbers follows; block n of the
 * data area is at offset_data + n * block_size. */
#ifndef STRATA_DISK_VDI_FORMAT_H
#define STRATA_DISK_VDI_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define VDI_SIGNATURE 0xbeda107fu
#define VDI_VERSION_1_1 0x00010001u
#define VDI_TEXT "<<< Oracle VM VirtualBox Disk Image >>>\n"

enum { VDI_DYNAMIC = 1, VDI_STATIC = 2, VDI_UNDO = 3, VDI_DIFF = 4 };

#define VDI_UNALLOCATED 0xffffffffu
#define VDI_DISCARDED 0xfffffffeu /* reads as zeros, also over a parent */

struct vdi_header {
	uint8_t text[64];
	le32 signature;
	le32 version;
	le32 header_size; /* from here on */
	le32 type;
	le32 flags;
	uint8_t description[256];
	le32 offset_table;
	le32 offset_data;
	le32 cylinders;
	le32 heads;
	le32 sectors;
	le32 sector_size;
	le32 unused;
	le64 disk_size;
	le32 block_size;
	le32 block_extra; /* bytes before each block */
	le32 blocks;
	le32 blocks_allocated;
	uint8_t uuid[16];
	uint8_t uuid_modified[16];
	uint8_t uuid_parent[16];
	uint8_t uuid_parent_modified[16];
	le32 lchs[4];
	uint8_t pad[40];
};

_Static_assert(sizeof(struct vdi_header) == 512, "VDI header");
_Static_assert(offsetof(struct vdi_header, disk_size) == 0x170, "VDI header");
_Static_assert(offsetof(struct vdi_header, uuid) == 0x188, "VDI header");

#endif
