/* SPDX-License-Identifier: Apache-2.0 */
/* Hyper-V disks. */
#ifndef STRATA_DISK_VHDX_H
#define STRATA_DISK_VHDX_H

#include "disk/disk.h"
#include "disk/vhdx_format.h"

extern const struct disk_ops disk_vhdx;
extern const struct disk_writer vhdx_writer;

/* --- between vhdx*.c --- */

/* The current header: the valid one with the higher sequence number. CORRUPT
 * where none is. */
int vhdx_read_header(struct source *file, const struct finding_sink *findings,
	struct vhdx_header *out, struct error *e);

/* Replays the log in memory: *out is the file as it would be after that (a
 * new reference, of the same file where there is nothing to do). */
int vhdx_replay(struct source *file, const struct vhdx_header *h,
	const struct finding_sink *findings, struct source **out,
	struct error *e);

struct vhdx_meta_info {
	uint64_t bat, bat_len; /* region, in bytes */
	uint64_t disk_size;
	uint32_t block_size;
	uint32_t sector_size;
	bool has_parent;
	char parent[1024];       /* its name, "" where none was found */
	uint8_t parent_id[2][16]; /* data-write GUIDs that are right */
};

/* Region table and metadata. */
int vhdx_read_meta(struct source *file, const struct finding_sink *findings,
	struct vhdx_meta_info *out, struct error *e);

/* The checksum of len bytes whose field is at offset 4. */
uint32_t vhdx_checksum(const void *p, size_t len);

#endif
