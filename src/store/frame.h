/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: objects gathered, compressed, checksummed. */
#ifndef STRATA_STORE_FRAME_H
#define STRATA_STORE_FRAME_H

#include "base/buf.h"
#include "base/error.h"
#include "store/format.h"
#include "store/object.h"

struct ZSTD_CCtx_s;

#define FRAME_LEVEL_IMPORT 3

/* Encodes raw as header and stored bytes into out (cleared first). What zstd
 * cannot shrink is stored as it is. NOMEM. */
int frame_encode(struct ZSTD_CCtx_s *cctx, int level, const void *raw,
	size_t raw_len, struct buf *out, struct error *e);

/* Decodes a frame (header and stored bytes, len in all) into raw, which holds
 * raw_len bytes, as its index says. DAMAGED, NOMEM. */
int frame_decode(const uint8_t *stored, size_t len, void *raw, size_t raw_len,
	struct error *e);

/* The calling thread's own room for the stored bytes of one frame; until its
 * next call. NULL: no memory. */
uint8_t *frame_stored_room(size_t len);

/* Reads a frame header; false where it is none. */
bool frame_header_check(const struct frame_header *h);

/* Walks the objects of a decoded frame. id is that of a CHUNKS object, NULL
 * for the others. DAMAGED where the table does not fit. */
typedef int (*frame_object_fn)(void *ctx, enum object_kind kind,
	const struct oid *id, uint32_t off, uint32_t len);
int frame_objects(const uint8_t *raw, size_t raw_len, frame_object_fn fn,
	void *ctx, struct error *e);

#endif
