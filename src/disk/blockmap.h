/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of block-mapped containers (VMDK, VHD, VHDX, VDI) share: a
 * format says what one block is made of, and this makes a source of it.
 *
 * A block that lies past the end of its file (a container that was cut off)
 * reads as zeros, as qemu does; the reader's opening scan reports it. */
#ifndef STRATA_DISK_BLOCKMAP_H
#define STRATA_DISK_BLOCKMAP_H

#include <pthread.h>
#include "disk/disk.h"

enum piece_kind {
	PIECE_ZERO,
	PIECE_DATA,   /* in src at src_off */
	PIECE_PACKED, /* compressed: unpacked as a whole */
	PIECE_PARENT, /* not in this layer */
};

/* A stretch of the virtual disk that is all of one kind. */
struct piece {
	uint64_t off, len; /* in the virtual disk */
	enum piece_kind kind;
	struct source *src; /* DATA, PACKED; borrowed from the map */
	uint64_t src_off;
};

struct blockmap;

struct blockmap_ops {
	const char *name;
	/* The piece that holds off, off < s.size. It may run past the end of
	 * the disk. From many threads at once. */
	int (*lookup)(struct blockmap *m, uint64_t off, struct piece *out,
		struct error *e);
	/* PACKED: all p->len bytes. From many threads at once. */
	int (*unpack)(struct blockmap *m, const struct piece *p, uint8_t *buf,
		struct error *e);
	/* Release what the format's own struct owns (not the struct); or
	 * NULL. */
	void (*release)(struct blockmap *m);
};

struct blockmap_slot {
	uint64_t off, stamp;
	size_t len; /* 0 = empty */
	uint8_t *data;
};

/* Formats embed it first, allocate with calloc, and hand it to
 * blockmap_init. */
struct blockmap {
	struct source s;
	const struct blockmap_ops *ops;
	struct source *file;   /* the container's bytes; a reference */
	struct source *meta;   /* the same behind a cache, for tables */
	struct source *parent; /* a reference, or NULL: zeros */
	/* PACKED blocks that were read in part. */
	pthread_mutex_t lock;
	struct blockmap_slot slots[8];
	uint64_t clock;
};

/* Fills in the shared part of a zeroed struct; from then on source_unref(&m->s)
 * frees it, also when this fails (then it was freed already). LIMIT where size
 * is over LIMIT_DISK_SIZE, NOMEM. */
int blockmap_init(struct blockmap *m, const struct blockmap_ops *ops,
	struct source *file, uint64_t size, struct error *e);

/* Sets the parent (reference transferred), cut or grown with zeros to the
 * length that is seen through this map. */
int blockmap_set_parent(struct blockmap *m, struct source *parent,
	struct error *e);

/* A bitmap of sectors at byte offset at of the file: whether bit i is set, and
 * how many bits from it on, at most max, are the same. high_first: the order of
 * bits in a byte. Past the end of the file bits are zero. */
int blockmap_bits(struct blockmap *m, uint64_t at, uint64_t i, uint64_t max,
	bool high_first, bool *out_set, uint64_t *out_run, struct error *e);

/* How many bytes of the file from off on are a hole, without reading: tables in
 * holes say nothing, however large a sparse file claims to be. */
uint64_t blockmap_hole(struct blockmap *m, uint64_t off);

/* The sum of what a container's tables point to, taken while they are scanned
 * at opening. */
struct tally {
	uint64_t file_size;
	uint64_t inside;   /* bytes of blocks inside the file */
	uint64_t outside;  /* blocks that reach past its end */
	uint64_t first_at; /* where the first of those should be */
};

void tally_add(struct tally *t, uint64_t src_off, uint64_t len);
/* CORRUPT where the blocks need more bytes than the file has: some are mapped
 * twice (else a small file could stand for any amount of data). Reports
 * DISK_TRUNCATED where blocks lie past the end. */
int tally_end(const struct tally *t, const char *what,
	const struct finding_sink *findings, struct error *e);

/* Reads len bytes at off; what is past the end reads as zeros. */
int read_padded(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e);

/* "\" to "/", and "./" at the start removed: how Windows tools write the
 * relative name of a parent. In place. */
void windows_path_to_host(char *s);

#endif
