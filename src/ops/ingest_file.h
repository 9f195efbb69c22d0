/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one file's content from the disks, and storing it: what a worker of
 * the pipeline does. */
#ifndef STRATA_OPS_INGEST_FILE_H
#define STRATA_OPS_INGEST_FILE_H

#include <pthread.h>
#include "ops/chunker.h"
#include "ops/ingest.h"

/* Small files that a worker hashes together, and how many bytes they may have
 * when one more is added. */
#define WAITING_MAX 16
#define WAITING_BYTES (256u * 1024)

/* A large file whose segments are chunked by many workers. */
struct large_file {
	struct large_file *next;
	struct cut_file *file;
	uint64_t segments, taken, done;
	bool failed; /* a segment was not stored: the list must not be */
	struct chunk_ref {
		struct oid id;
		uint32_t len;
	} *list;
};

/* Shared by the workers of one sweep. */
struct ingest {
	const struct ingest_args *args;
	struct cut *cut;
	size_t disk;	      /* the one that is swept; SIZE_MAX: none */
	struct source *src;

	pthread_mutex_t lock; /* guards large and the cut's slack */
	struct large_file *large;
};

struct ingest_worker {
	struct ingest *in;
	struct packer *packer;
	struct sha256 *sha;
	struct buf data, scratch;
	/* small files that were read, to be hashed together: contents (with
	 * slack) in a row */
	struct waiting {
		struct cut_file *file;
		size_t off; /* in held */
	} waiting[WAITING_MAX];
	size_t nwaiting;
	struct buf held;
	/* bytes of the swept disk that were read at once, for many pieces */
	struct buf ahead;
	uint64_t ahead_off;
	struct digest_acc digest; /* of the swept disk */
	struct digest_acc *gains; /* of a change: one a disk, else NULL */
};

/* Frees large files that an error left behind. */
void ingest_release(struct ingest *in);

int ingest_worker_init(struct ingest_worker *w, struct ingest *in,
	struct error *e);
/* Flushes what the worker packed. */
int ingest_worker_finish(struct ingest_worker *w, struct error *e);
void ingest_worker_release(struct ingest_worker *w);

/* Adds bytes of a disk to the digest that is being made. */
int ingest_digest(struct ingest_worker *w, uint32_t disk, const uint8_t *data,
	size_t len, uint64_t off, struct error *e);

/* Reads bytes of a disk. */
int ingest_read(struct ingest_worker *w, uint32_t disk, void *buf, size_t len,
	uint64_t off, struct error *e);
/* Reads bytes of the swept disk ahead of the ingest_read calls for parts of
 * them. What fails is told by those. */
void ingest_read_ahead(struct ingest_worker *w, size_t len, uint64_t off);

/* Reads, hashes and stores a file by its extents. claimed: its bytes on the
 * swept disk count for the digest. A large one may be left to be chunked by
 * ingest_help, a small one to ingest_settle. */
int ingest_file(struct ingest_worker *w, struct cut_file *f, struct error *e);
/* Hashes and stores the files that still wait: before what the worker did is
 * said to be done. */
int ingest_settle(struct ingest_worker *w, struct error *e);

/* Reads a file of at most INGEST_WHOLE bytes in another way than by its
 * extents, and leaves it to ingest_settle as well. What read returns. */
#define INGEST_WHOLE (4u * 1024 * 1024)
int ingest_hold(struct ingest_worker *w, struct cut_file *f,
	chunker_read_fn read, void *ctx, struct error *e);
/* ingest_settle, where enough is waiting. */
int ingest_settle_full(struct ingest_worker *w, struct error *e);

/* Chunks one segment of some large file: 1, or 0 where there is none to take.
 */
int ingest_help(struct ingest_worker *w, struct error *e);

#endif
