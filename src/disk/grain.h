/* SPDX-License-Identifier: Apache-2.0 */
/* What the writers of block-mapped containers share: the disk's blocks that
 * hold anything, read by all cores, written one behind the other. */
#ifndef STRATA_DISK_GRAIN_H
#define STRATA_DISK_GRAIN_H

#include "disk/disk.h"

struct grain {
	uint64_t index; /* of the block in the disk */
	uint8_t *data;  /* block_size bytes; past the disk's end: zeros */
	size_t len;     /* of packed, where pack is set */
	uint8_t *packed;
};

struct grain_writer {
	const struct disk_write_args *args;
	size_t block_size;
	/* Compresses g->data to g->packed (pack_room bytes) and sets g->len;
	 * called by many threads at once. NULL: blocks are kept as they are. */
	int (*pack)(void *ctx, struct grain *g, struct error *e);
	size_t pack_room;
	/* Called in ascending order of index, for blocks that are not all
	 * zeros only. */
	int (*put)(void *ctx, const struct grain *g, struct error *e);
	void *ctx;
};

/* Runs over the whole disk. Reports progress; CANCELLED where that says so. */
int grain_run(const struct grain_writer *w, struct error *e);

/* Writes a block's runs of 4 KiB that are not zeros (all of it to a device):
 * the output keeps holes. */
int grain_put_sparse(struct sink *out, const uint8_t *data, size_t len,
	uint64_t off, struct error *e);

/* 16 bytes that follow from the caller's id and a label: a version 4 UUID as
 * its 16 bytes in memory order. */
void derive_uuid(const uint8_t *id, const char *label, uint8_t out[16]);

#endif
