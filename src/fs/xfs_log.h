/* SPDX-License-Identifier: Apache-2.0 */
/* The log of XFS: from the ring of basic blocks to what is to be put in place.
 *
 *	xfs_log.c       the ring: is it clean?
 *	xfs_record.c    records: read, checked; which of them are active
 *	xfs_trans.c     the operations in them, gathered to transactions
 *	xfs_places.c    a table of places in them
 *	xfs_replay.c    transactions that were committed, over the disk
 *	xfs_replay_inode.c   inodes among them
 */
#ifndef STRATA_FS_XFS_LOG_H
#define STRATA_FS_XFS_LOG_H

#include "base/buf.h"
#include "base/vec.h"
#include "fs/xfs.h"

/* Blocks of the largest log (XFS_MAX_LOG_BYTES). */
#define XFS_LOG_BLOCKS_MAX (1u << 22)
#define XFS_RECORD_BLOCKS_MAX                                                  \
	(XFS_LOG_RECORD_MAX / XFS_LOG_CYCLE_SIZE +                             \
		XFS_LOG_RECORD_MAX / XFS_LOG_BB)

/* --- xfs_log.c --- */

struct xfs_log {
	struct xfs *x;
	uint64_t off;    /* of the ring, on the device */
	uint32_t blocks; /* basic blocks */
	uint32_t head;   /* behind what was written last: (0, blocks] */
	uint32_t cycle;  /* of the block before head */
};

enum xfs_log_state { XFS_LOG_CLEAN, XFS_LOG_DIRTY, XFS_LOG_DAMAGED };

/* Finds the ring and tells whether it is clean. DAMAGED: it is outside the
 * volume. Reads at most about 600 KiB. IO, NOMEM. */
int xfs_log_check(struct xfs *x, struct xfs_log *l, enum xfs_log_state *out,
	struct error *e);
/* n blocks (at most l->blocks) from at on, which may lie around the end. IO. */
int xfs_log_read(const struct xfs_log *l, uint32_t at, uint32_t n, uint8_t *buf,
	struct error *e);

/* --- xfs_record.c --- */

struct xfs_record {
	uint32_t at, cycle;
	uint32_t blocks; /* with the header */
	uint32_t len, ops;
	uint32_t size; /* the most that its writer puts into one */
	uint64_t lsn, tail;
	uint8_t *buf;
	const uint8_t *data; /* len bytes, as they were before they were put
			      * into blocks; in buf */
};

int xfs_record_init(struct xfs_record *rec, struct error *e); /* NOMEM */
void xfs_record_release(struct xfs_record *rec);
/* The record that starts at block at in this cycle. 1: it is whole. 0: it is
 * not, *e says why. IO; UNSUPPORTED (another order of bytes). */
int xfs_record_read(const struct xfs_log *l, uint32_t at, uint32_t cycle,
	struct xfs_record *rec, struct error *e);

/* The records that are to be replayed: so many blocks from the tail on. */
struct xfs_log_span {
	uint32_t tail, cycle, blocks;
};
/* Finds them, and checks each. Records at the end that were not written whole
 * are left out, as Linux does. CORRUPT, UNSUPPORTED, IO. */
int xfs_log_active(const struct xfs_log *l, struct xfs_record *rec,
	struct xfs_log_span *out, struct error *e);
/* From rec to the one behind it. */
void xfs_record_next(const struct xfs_log *l, const struct xfs_record *rec,
	uint32_t *at, uint32_t *cycle);

/* --- xfs_trans.c --- */

struct xfs_log_item {
	uint16_t type;
	unsigned n; /* regions, at least one of at least four bytes */
	struct view r[XFS_LOG_REGIONS_MAX];
};

struct xfs_trans_region {
	uint32_t off, len;
};
struct xfs_trans_item {
	uint32_t first; /* its regions */
	uint16_t total;
};

/* One that was begun. */
struct xfs_trans {
	uint32_t tid;
	uint64_t lsn; /* of the record in which it began */
	uint32_t head_len;
	uint8_t head[XFS_TRANS_HEADER];
	struct buf data;
	VEC(struct xfs_trans_region) regions;
	VEC(struct xfs_trans_item) items;
};

typedef int (*xfs_commit_fn)(void *ctx, const struct xfs_trans *t,
	struct error *e);

struct xfs_gather {
	xfs_commit_fn fn;
	void *ctx;
	VEC(struct xfs_trans *) open;
	uint64_t bytes; /* that they hold */
	size_t regions;
};

/* The operations of a record, in order; fn is called for each transaction
 * that is committed, and what it says ends it. CORRUPT, LIMIT, NOMEM. */
int xfs_gather_record(struct xfs_gather *ga, const struct xfs_record *rec,
	struct error *e);
void xfs_gather_release(struct xfs_gather *ga);

/* Item i of a transaction; its views are borrowed from it. CORRUPT where a
 * region is missing. */
int xfs_trans_item(const struct xfs_trans *t, size_t i,
	struct xfs_log_item *out, struct error *e);

/* --- xfs_places.c --- */

/* Blocks of the device by their place and length (basic blocks), each with a
 * count. All zero: empty. */
struct xfs_places {
	struct xfs_place {
		uint64_t blkno;
		uint32_t len, count;
	} *table; /* open addressing; len 0: free */
	size_t n, cap;
};

/* Counts it once more, or once less. LIMIT, NOMEM. */
int xfs_places_add(struct xfs_places *p, uint64_t blkno, uint32_t len,
	struct error *e);
void xfs_places_take(struct xfs_places *p, uint64_t blkno, uint32_t len);
uint32_t xfs_places_count(const struct xfs_places *p, uint64_t blkno,
	uint32_t len);
void xfs_places_release(struct xfs_places *p);

/* --- xfs_replay.c --- */

struct xfs_replay {
	struct xfs *x;
	struct xfs_geo g; /* as the log leaves it */
	struct source *view;
	struct xfs_places cancelled, touched;
	struct xfs_places intents; /* by id; len is their type */
	struct xfs_replayed *sum;
	uint64_t budget; /* bytes of work that are left */
	bool first_pass;
};

/* What was done. */
struct xfs_replayed {
	uint64_t transactions, items;
	uint64_t open;   /* changes of files that were begun and not ended */
	uint64_t owners; /* trees of extents that changed their file */
};

/* The device as it is once the log is replayed, in memory: *out is over
 * x->dev, and x->g is corrected where the file system was growing. CORRUPT,
 * UNSUPPORTED, LIMIT, IO: it cannot be replayed, nothing is set. NOMEM. */
int xfs_log_replay(const struct xfs_log *l, struct source **out,
	struct xfs_replayed *sum, struct error *e);
/* Tells the findings. */
void xfs_log_tell(const struct xfs_log *l, const struct xfs_replayed *sum);

/* For xfs_replay_inode.c: writes over the device; LIMIT, CORRUPT, NOMEM. */
int xfs_replay_write(struct xfs_replay *rp, const void *buf, size_t len,
	uint64_t off, struct error *e);
/* Was the buffer given back later on? What the log says of it is old then. */
bool xfs_replay_cancelled(const struct xfs_replay *rp, uint64_t blkno,
	uint32_t len);

/* --- xfs_replay_inode.c --- */

int xfs_replay_inode(struct xfs_replay *rp, const struct xfs_log_item *it,
	uint64_t lsn, struct error *e);
int xfs_replay_icreate(struct xfs_replay *rp, const struct xfs_log_item *it,
	struct error *e);

#endif
