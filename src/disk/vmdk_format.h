/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK structures on disk (VMware, Virtual Disk Format 5.0). Little endian,
 * most numbers count sectors of 512 bytes. */
#ifndef STRATA_DISK_VMDK_FORMAT_H
#define STRATA_DISK_VMDK_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define VMDK_SECTOR 512u

/* Hosted sparse extents: "KDMV". */
#define VMDK_MAGIC 0x564d444bu
#define VMDK_FLAG_NEWLINES 1u    /* the four newline bytes are valid */
#define VMDK_FLAG_REDUNDANT 2u   /* the second grain directory is valid */
#define VMDK_FLAG_ZERO_GRAINS 4u /* table entry 1 means zeros */
#define VMDK_FLAG_COMPRESSED (1u << 16)
#define VMDK_FLAG_MARKERS (1u << 17)
#define VMDK_GD_AT_END UINT64_MAX
#define VMDK_DEFLATE 1

struct vmdk_header {
	le32 magic;
	le32 version;
	le32 flags;
	uint8_t capacity[8]; /* not aligned from here on */
	uint8_t grain_size[8];
	uint8_t desc_offset[8];
	uint8_t desc_size[8];
	uint8_t gtes_per_gt[4];
	uint8_t rgd_offset[8];
	uint8_t gd_offset[8];
	uint8_t overhead[8];
	uint8_t unclean;
	uint8_t newlines[4]; /* "\n \r\n" */
	uint8_t compression[2];
	uint8_t pad[433];
};

_Static_assert(sizeof(struct vmdk_header) == 512, "VMDK header");
_Static_assert(offsetof(struct vmdk_header, gd_offset) == 56, "VMDK header");
_Static_assert(offsetof(struct vmdk_header, compression) == 77, "VMDK header");

/* In streams, before each grain (size > 0, data follow at once), table or
 * footer (size 0, type and one sector). */
struct vmdk_marker {
	le64 value; /* grain: its first sector; else sectors that follow */
	le32 size;
	le32 type;
};

enum {
	VMDK_MARKER_END = 0,
	VMDK_MARKER_TABLE = 1,
	VMDK_MARKER_DIRECTORY = 2,
	VMDK_MARKER_FOOTER = 3,
};

/* ESX sparse extents (deltas on VMFS): "COWD". */
#define COWD_MAGIC 0x44574f43u
#define COWD_GTES 4096u

struct cowd_header {
	le32 magic;
	le32 version;
	le32 flags;
	le32 sectors;
	le32 grain_size;
	le32 gd_offset;
	le32 gd_entries;
	le32 next_free;
	uint8_t pad[480];
};

_Static_assert(sizeof(struct cowd_header) == 512, "COWD header");

/* Space-efficient sparse extents (vSphere 6.5 on); as qemu's block/vmdk.c
 * documents them. */
#define SESPARSE_MAGIC UINT64_C(0xcafebabe)
#define SESPARSE_VERSION UINT64_C(0x0000000200000001)
#define SESPARSE_VOLATILE_MAGIC UINT64_C(0xcafecafe)

struct sesparse_header {
	le64 magic;
	le64 version;
	le64 capacity;
	le64 grain_size;
	le64 table_size;
	le64 flags;
	le64 reserved[4];
	le64 volatile_offset, volatile_size;
	le64 journal_header_offset, journal_header_size;
	le64 journal_offset, journal_size;
	le64 dir_offset, dir_size;
	le64 tables_offset, tables_size;
	le64 bitmap_offset, bitmap_size;
	le64 backmap_offset, backmap_size;
	le64 grains_offset, grains_size;
	uint8_t pad[304];
};

_Static_assert(sizeof(struct sesparse_header) == 512, "seSparse header");

struct sesparse_volatile {
	le64 magic;
	le64 free_gt;
	le64 next_txn;
	le64 replay_journal;
	uint8_t pad[480];
};

_Static_assert(sizeof(struct sesparse_volatile) == 512, "seSparse header");

#endif
