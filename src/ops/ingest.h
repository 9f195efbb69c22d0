/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline that brings a disk into the store: read, hash, ask whether it
 * is known, compress, pack, and lay out; over all cores, in bounded memory. */
#ifndef STRATA_OPS_INGEST_H
#define STRATA_OPS_INGEST_H

#include "ops/cut.h"
#include "ops/digest_acc.h"
#include "store/store.h"

struct ingest_disk {
	struct oid layout;
	struct disk_digest sum;
	uint64_t data_bytes; /* that were not holes */
};

struct changed_disk; /* ops/ingest_change.h */
struct datasum;

struct ingest_args {
	struct writer *writer;
	struct source *const *disks;
	size_t ndisks;
	struct cut *cut;
	/* For a change: where each disk differs from its base, and what its
	 * digest gains there by the files that ingest_rest reads; else NULL. */
	const struct changed_disk *changes;
	struct digest_acc *gains;
	struct datasum *sums; /* ops/datasum.h; NULL: nothing to check */
	unsigned threads; /* 0: one a processor, at most 12: about 10 MiB each */
	const struct progress *progress;
};

/* Brings one disk. The claimed files that begin on it get their hash. IO with
 * the offset where the disk cannot be read: an import must be exact. */
int ingest_disk(const struct ingest_args *a, size_t disk,
	struct ingest_disk *out, struct error *e);

/* Hashes (and stores, but for those that are encoded) the files that no disk
 * sweep brought: those whose content the reader gives, and those that lost
 * their claim. To be called after all disks. */
int ingest_rest(const struct ingest_args *a, const struct survey *s,
	const struct finding_sink *findings, struct error *e);

unsigned ingest_threads(void);

#endif
