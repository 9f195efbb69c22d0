/* SPDX-License-Identifier: Apache-2.0 */
/* The disk digest of bytes that come in pieces, in any order. Blocks that a
 * piece holds as a whole are added at once, and so is one that pieces in a row
 * make up; of others that are seen in part the number is noted, and they are
 * read by themselves at the end. */
#ifndef STRATA_OPS_DIGEST_ACC_H
#define STRATA_OPS_DIGEST_ACC_H

#include "base/vec.h"
#include "codec/digest.h"
#include "os/source.h"

/* The first bytes of the block where a piece ended. */
struct digest_open {
	uint64_t at;
	size_t len;
	uint8_t data[DISK_DIGEST_BLOCK];
};

struct digest_acc {
	struct disk_digest sum;
	VEC(uint64_t) edges; /* numbers of blocks seen in part */
	/* of two rows of pieces, the one that went on last first: files whose
	 * blocks lie in one place and their ends in another */
	struct digest_open open[2];
	unsigned last;
};

/* Adds a piece that stands at off of a disk of disk_size bytes. Pieces must
 * not overlap. NOMEM. */
int digest_acc_add(struct digest_acc *a, uint64_t disk_size,
	const uint8_t *data, size_t len, uint64_t off, struct error *e);
/* The same for those parts of the piece that lie in ranges. */
int digest_acc_add_in(struct digest_acc *a, uint64_t disk_size,
	const struct source_range *ranges, size_t n, const uint8_t *data,
	size_t len, uint64_t off, struct error *e);
/* Takes over what another one has. */
int digest_acc_merge(struct digest_acc *a, const struct digest_acc *other,
	struct error *e);
/* Reads the noted blocks from the disk and adds them. */
int digest_acc_finish(struct digest_acc *a, struct source *disk,
	struct error *e);
void digest_acc_release(struct digest_acc *a);

/* The first of n ranges (in order, not overlapping) that ends behind off. */
size_t source_range_find(const struct source_range *ranges, size_t n,
	uint64_t off);

#endif
