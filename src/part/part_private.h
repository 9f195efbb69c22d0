/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of partition tables share.
 *
 *	part.c    which table it is, what all entries must keep
 *	mbr.c     MBR and the chain of extended partitions
 *	gpt.c     GPT
 *	legacy.c  Apple maps and BSD labels
 *	workstation.c  Sun and SGI labels
 *	home.c    Amiga's, Atari's, and DASD labels
 */
#ifndef STRATA_PART_PRIVATE_H
#define STRATA_PART_PRIVATE_H

#include "base/vec.h"
#include "part/part.h"

struct part_reader {
	struct source *disk;
	const struct finding_sink *findings;
	struct part_table *out; /* scheme, sector_size, uuid */
	VEC(struct partition) items;
	uint8_t first[512]; /* the first sector's first 512 bytes */
	struct error *e;
};

/* Appends *p with its place given in sectors, unless it cannot be: an entry
 * that is empty, overflows or starts outside the disk is reported and left
 * out, one that ends outside is reported and clipped. at: the byte offset of
 * the entry, for the finding. Returns 0, NOMEM or LIMIT. */
int part_add(struct part_reader *r, struct partition *p, uint64_t first_lba,
	uint64_t sectors, uint32_t sector_size, uint64_t at);

/* Reads len bytes at off; false where they are outside or cannot be read (the
 * latter is reported). */
bool part_read(struct part_reader *r, void *buf, size_t len, uint64_t off);

#define MBR_TYPE_GPT 0xee

/* The first sector is the boot sector of a file system. */
bool mbr_is_boot_sector(const struct part_reader *r);
/* The first sector ends in 55 aa and its entries could be an MBR's. */
bool mbr_is(const struct part_reader *r);
/* Its only entry is for BSD and starts at sector 0: boot code of a disk with
 * a BSD label, which pretends to be an MBR. */
bool mbr_is_bsd_disk(const struct part_reader *r);
/* It has an entry of this type. */
bool mbr_has_type(const struct part_reader *r, uint8_t type);
/* Entries in use (with a size) whose type is not this one; 0: all in use. */
unsigned mbr_used_but(const struct part_reader *r, uint8_t type);
int mbr_read(struct part_reader *r);

/* *out_found: a GPT is there, valid or not. Entries are listed where a copy
 * is valid. protective: an MBR says that there is one. */
int gpt_read(struct part_reader *r, bool protective, bool *out_found);

int apple_read(struct part_reader *r, bool *out_found);
int bsd_read(struct part_reader *r, bool *out_found);
int sun_read(struct part_reader *r, bool *out_found);
int sgi_read(struct part_reader *r, bool *out_found);
int amiga_read(struct part_reader *r, bool *out_found);
int atari_read(struct part_reader *r, bool *out_found);
int dasd_read(struct part_reader *r, bool *out_found);

/* The partitions of a BSD label in the second sector of an MBR partition of
 * this type, as Linux lists them: numbered from *number on. */
int bsd_read_nested(struct part_reader *r, uint8_t type, uint64_t first,
	uint64_t count, uint32_t sector_size, uint32_t *number);

#endif
