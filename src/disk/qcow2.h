/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2 as the commit of an instance sees it: what an overlay itself holds,
 * without its backing file. (Ordinary reading goes through disk_table.) */
#ifndef STRATA_DISK_QCOW2_H
#define STRATA_DISK_QCOW2_H

#include "base/buf.h"
#include "disk/disk.h"

struct qcow2_facts {
	uint32_t version;      /* 2 or 3 */
	uint32_t cluster_size; /* bytes */
	uint64_t size;         /* of the virtual disk */
	uint32_t snapshots;    /* how many internal ones */
	bool extended_l2, dirty, corrupt;
	char compression[8];     /* "zlib", "zstd" */
	char backing[1024];      /* "" = none */
	char backing_format[64]; /* "" = not recorded */
	char data_file[1024];    /* "" = none */
};

struct qcow2_snapshot {
	const char *id, *name; /* borrowed until the callback returns */
	uint64_t size;         /* of the disk then */
	uint64_t vm_state;     /* bytes of saved memory */
	uint32_t date;         /* seconds since 1970 */
};

struct qcow2_range {
	uint64_t off, len;
	enum source_kind kind; /* ZERO: zeroed or discarded in the overlay */
};

/* The header's facts alone. CORRUPT, UNSUPPORTED, LIMIT, IO. */
int qcow2_read_facts(struct source *file, struct qcow2_facts *out,
	struct error *e);

/* Calls each internal snapshot in the order of the table; a call that returns
 * non-zero ends it. CORRUPT, LIMIT, IO. */
int qcow2_snapshots(struct source *file,
	int (*each)(void *ctx, const struct qcow2_snapshot *s), void *ctx,
	struct error *e);

/* An overlay alone: its backing file is neither opened nor needed. Reading a
 * range that the overlay does not hold is ARG. An external data file goes
 * through resolver (NULL: not allowed). findings may be NULL. facts may be
 * NULL. CORRUPT, UNSUPPORTED, LIMIT, NOMEM, IO. Threads: as any source. */
int qcow2_open_overlay(struct source *file,
	const struct disk_resolver *resolver,
	const struct finding_sink *findings, struct source **out,
	struct qcow2_facts *facts, struct error *e);

/* The first range at or after off that the overlay holds, as long as its kind
 * lasts: data and zeros that hide what is below, not what would be read
 * from below. Returns 1, 0 when there is none, CORRUPT, IO. overlay comes from
 * qcow2_open_overlay. Cost follows the allocated tables, not the size. */
int qcow2_next_allocated(struct source *overlay, uint64_t off,
	struct qcow2_range *out, struct error *e);

/* Appends the file of a new overlay over backing (as its header will name it;
 * nothing is opened), which holds nothing: reads go to the backing. size is
 * rounded up to whole sectors. ARG (a name that is too long), LIMIT, NOMEM. */
int qcow2_encode_overlay(uint64_t size, const char *backing,
	const char *backing_format, struct buf *out, struct error *e);

#endif
