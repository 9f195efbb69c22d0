/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the qcow2 reader share. Numbers of sections refer to
 * QEMU's docs/interop/qcow2.txt. */
#ifndef STRATA_DISK_QCOW2_INT_H
#define STRATA_DISK_QCOW2_INT_H

#include <pthread.h>
#include "disk/disk.h"
#include "disk/qcow2.h"

#define QCOW2_MAGIC "QFI\xfb"
#define QCOW2_V2_HEADER 72
#define QCOW2_V3_HEADER 104
#define QCOW2_WRITE_HEADER 112 /* with the compression type */

#define QCOW2_INCOMPAT_DIRTY (UINT64_C(1) << 0)
#define QCOW2_INCOMPAT_CORRUPT (UINT64_C(1) << 1)
#define QCOW2_INCOMPAT_DATA_FILE (UINT64_C(1) << 2)
#define QCOW2_INCOMPAT_COMPRESSION (UINT64_C(1) << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (UINT64_C(1) << 4)
#define QCOW2_INCOMPAT_KNOWN UINT64_C(0x1f)

#define QCOW2_EXT_BACKING_FORMAT UINT32_C(0xe2792aca)
#define QCOW2_EXT_FEATURES UINT32_C(0x6803f857)
#define QCOW2_EXT_DATA_FILE UINT32_C(0x44415441)

#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00) /* bits 9..55 */
#define QCOW2_COPIED (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED_FLAG (UINT64_C(1) << 62)
#define QCOW2_ZERO_FLAG UINT64_C(1)

enum qcow2_compression { QCOW2_ZLIB = 0, QCOW2_ZSTD = 1 };

struct qcow2_header {
	uint32_t version, cluster_bits, crypt, l1_size, refcount_clusters;
	uint32_t snapshots, refcount_order, length;
	uint64_t backing_off, size, l1_off, refcount_off, snapshots_off;
	uint64_t incompatible, compatible, autoclear;
	uint32_t backing_len;
	enum qcow2_compression compression;
	char backing[1024], backing_format[64], data_file[1024];
	/* Why the image is not one that we read; "" if it is. */
	char unknown[256];
};

/* Reads and checks the header and its extensions. findings may be NULL. */
int qcow2_header_read(struct source *file, struct qcow2_header *h,
	const struct finding_sink *findings, struct error *e);

/* Finds a snapshot by id, else by name, and puts its L1 table and size in h.
 * NOTFOUND. */
int qcow2_use_snapshot(struct source *file, struct qcow2_header *h,
	const char *wanted, struct error *e);

enum qcow2_kind {
	QCOW2_UNALLOCATED,
	QCOW2_ZERO,
	QCOW2_DATA,
	QCOW2_COMPRESSED,
};

/* A stretch of the virtual disk of one kind. */
struct qcow2_run {
	enum qcow2_kind kind;
	uint64_t off, len;
	uint64_t host;  /* DATA: of off; COMPRESSED: of the cluster's bytes */
	uint64_t start; /* COMPRESSED: where the cluster starts on the disk */
	uint32_t csize; /* COMPRESSED: bytes there, at most */
};

/* The tables that say where clusters are, with a bounded cache. */
#define QCOW2_SHARDS 16
#define QCOW2_SLOTS 32
/* Part of an L2 table that is cached as one: 16 KiB x 512 = 8 MiB in all. */
#define QCOW2_SLICE (16 * KIB)

struct qcow2_slot {
	uint64_t key;  /* host offset of the slice, 0 = empty */
	uint64_t used; /* tick */
	uint8_t *data;
};

struct qcow2_shard {
	pthread_mutex_t lock;
	uint64_t tick;
	struct qcow2_slot slots[QCOW2_SLOTS];
};

struct qcow2_table {
	struct source *file;    /* shared: where the tables are */
	uint64_t *l1;           /* host order, checked, flags cut off */
	uint64_t l1_used;       /* entries that the disk needs */
	uint64_t size;          /* of the virtual disk */
	uint64_t data_size;     /* of the source that holds the clusters */
	uint32_t cluster_bits, l2_bits, entry_size, slice_size;
	uint32_t version;
	bool extended, data_file;
	struct qcow2_shard *shards;
};

int qcow2_table_open(struct qcow2_table *t, struct source *file,
	const struct qcow2_header *h, uint64_t data_size, struct error *e);
void qcow2_table_release(struct qcow2_table *t);
/* The run around off (below size), from off. Threads: many. */
int qcow2_map(struct qcow2_table *t, uint64_t off, struct qcow2_run *out,
	struct error *e);

/* Compressed clusters: decoders for many threads and the last clusters. */
struct qcow2_unzip;
int qcow2_unzip_new(struct source *file, enum qcow2_compression how,
	uint32_t cluster_bits, struct qcow2_unzip **out, struct error *e);
void qcow2_unzip_free(struct qcow2_unzip *u); /* NULL is fine */
/* Bytes [skip, skip+len) of the cluster that run names. */
int qcow2_unzip_read(struct qcow2_unzip *u, const struct qcow2_run *run,
	void *buf, size_t len, size_t skip, struct error *e);

#endif
