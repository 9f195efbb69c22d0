/* SPDX-License-Identifier: Apache-2.0 */
/* Storing blobs: whole, chunked, in segments. */
#ifndef STRATA_OPS_CHUNKER_H
#define STRATA_OPS_CHUNKER_H

#include "codec/cdc.h"
#include "store/chunklist.h"
#include "store/store.h"

/* Gives len bytes of the blob at off. */
typedef int (*chunker_read_fn)(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e);

/* Chunks len bytes of one segment (or of a blob of at most CDC_SEGMENT bytes)
 * that are in memory, stores the chunks, and appends to list (begun by the
 * caller). */
int chunk_memory(struct packer *p, const uint8_t *data, size_t len,
	struct buf *list, struct error *e);

/* The same for bytes that are read piece by piece, [off, off+len) of the blob;
 * scratch is kept between calls. */
int chunk_stream(struct packer *p, chunker_read_fn read, void *ctx,
	uint64_t off, uint64_t len, struct buf *scratch, struct buf *list,
	struct error *e);

/* Hashes a blob of any size that a function reads, and stores it if it is not
 * known. One thread. store false: only hashes. */
int store_blob_stream(struct writer *w, struct packer *p, chunker_read_fn read,
	void *ctx, uint64_t size, bool store, struct oid *out,
	struct error *e);

#endif
