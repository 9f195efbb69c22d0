/* SPDX-License-Identifier: Apache-2.0 */
/* Where the qcow2 writer puts things. All that is known from the disk's
 * extents comes first, so that the file can be written forwards:
 *
 *	cluster 0        header and feature names
 *	1                refcount block of region 0
 *	2 ..             refcount table, L1 table, L2 tables
 *	then             data, in the order of the disk
 *	k x region       refcount block of region k, amid what stands there
 *
 * A region is the clusters that one refcount block covers (2 GiB of 64 KiB
 * clusters), so memory does not grow with the disk. */
#ifndef STRATA_DISK_QCOW2_LAYOUT_H
#define STRATA_DISK_QCOW2_LAYOUT_H

#include "disk/disk.h"
#include "disk/qcow2_int.h"

struct qcow2_layout {
	const struct disk_write_args *a;
	struct sink *out;
	bool seekable;
	uint32_t cluster_bits;
	uint64_t cluster;    /* bytes */
	uint64_t region;     /* clusters of one refcount block */
	uint64_t size;       /* of the disk, in whole sectors */
	uint64_t l1_entries; /* of the L1 table, at least 1 */
	uint64_t *l1;        /* host offsets of L2 tables, 0 = none */
	uint64_t l1_at, table_at; /* host offsets of the two tables */
	uint64_t table_clusters;  /* of the refcount table */
	uint64_t data_clusters;   /* by the extents */
	uint64_t total;           /* clusters; streams: known beforehand */
	uint64_t next;            /* the next free cluster */
	bool zstd;

	/* The region and the L2 table being filled. */
	uint64_t region_now, regions;
	uint8_t *counts;
	uint64_t l2_now; /* entry of the L1 table, UINT64_MAX = none */
	uint8_t *l2;
};

/* Counts clusters by the extents and lays out all but data. */
int qcow2_layout_init(struct qcow2_layout *y,
	const struct disk_write_args *args, struct sink *out, struct error *e);
void qcow2_layout_release(struct qcow2_layout *y);

/* The next clusters of the disk with data, from at (a multiple of a cluster),
 * at most max bytes: *off and *len are of the disk, *len is 0 at the end. */
int qcow2_next_data(const struct qcow2_layout *y, uint64_t at, uint64_t max,
	uint64_t *off, uint64_t *len, struct error *e);

/* The next free cluster that is no refcount block. */
static inline uint64_t qcow2_alloc(const struct qcow2_layout *y, uint64_t *next)
{
	if (*next % y->region == 0)
		++*next;
	return (*next)++;
}

/* One more reference to a cluster; clusters come in the order of regions. */
int qcow2_count(struct qcow2_layout *y, uint64_t cluster, struct error *e);
/* The entry for a cluster of the disk; in ascending order. Seekable only. */
int qcow2_set_entry(struct qcow2_layout *y, uint64_t disk_cluster,
	uint64_t entry, struct error *e);

/* What comes before the data: on a stream all of it, else what is known. */
int qcow2_write_front(struct qcow2_layout *y, struct error *e);
/* What is only known at the end; the file gets its size. */
int qcow2_write_rest(struct qcow2_layout *y, struct error *e);

/* The data: qcow2_write.c and qcow2_zip.c. */
int qcow2_write_plain(struct qcow2_layout *y, struct error *e);
int qcow2_write_zip(struct qcow2_layout *y, struct error *e);

extern const struct disk_writer qcow2_writer;

/* For tests: other clusters than of 2^16 bytes (9 to 21), so that a small disk
 * has many tables and regions. 0: normal. */
extern unsigned qcow2_test_cluster_bits;

/* How much one job of the writers takes, and the clusters in it. */
#define QCOW2_JOB (1 * MIB)
#define QCOW2_JOB_CLUSTERS (QCOW2_JOB / 512)

#endif
