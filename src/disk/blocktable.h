/* SPDX-License-Identifier: Apache-2.0 */
/* The table of VDI and VHD: for each block of the disk 4 bytes, which say where
 * in the file it is, or that it is nowhere. */
#ifndef STRATA_DISK_BLOCKTABLE_H
#define STRATA_DISK_BLOCKTABLE_H

#include "disk/blockmap.h"

struct blocktable {
	const char *name; /* of the format, for messages */
	bool big_endian;
	uint32_t none;	   /* this value and those above: no block */
	uint64_t at;	   /* the table's offset */
	uint64_t nblocks;  /* its entries */
	uint64_t block_size;
	/* Entry n means the byte origin + n x unit; there stand head bytes that
	 * belong to the block (a bitmap), then its data. */
	uint64_t origin, unit, head;
};

/* Is it inside the file, and are its entries enough for a disk of size bytes?
 * Leaves those to spare out. at_count, at_offset: where the file says nblocks
 * and at, for messages. CORRUPT. */
int blocktable_check(struct blocktable *t, uint64_t size, uint64_t file_size,
	uint64_t at_count, uint64_t at_offset, struct error *e);

/* Block i, below nblocks: *out_at is the offset of its head in the file, below
 * 2^62; *out_here: it is somewhere. From many threads at once. IO. */
int blocktable_get(struct blockmap *m, const struct blocktable *t, uint64_t i,
	bool *out_here, uint64_t *out_at, struct error *e);

/* Reads the whole table once: tally_add of each block, tally_end. */
int blocktable_scan(struct blockmap *m, const struct blocktable *t,
	const struct finding_sink *findings, struct error *e);

#endif
