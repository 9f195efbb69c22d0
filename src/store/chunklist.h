/* SPDX-License-Identifier: Apache-2.0 */
/* The list of chunks of a blob over BLOB_WHOLE_MAX bytes (strata-pack(5)):
 * u8 kind (0: of chunks, 1: of segments), le64 size of what it lists, then an
 * entry each: 32-byte id, le32 length. Every segment but the last has
 * CDC_SEGMENT bytes. */
#ifndef STRATA_STORE_CHUNKLIST_H
#define STRATA_STORE_CHUNKLIST_H

#include "base/buf.h"
#include "codec/digest.h"

#define CHUNKLIST_HEAD 9
#define CHUNKLIST_ENTRY 36

/* Sticky: test b->oom once at the end. */
static inline void chunklist_begin(struct buf *b, bool of_segments)
{
	buf_clear(b);
	buf_addch(b, of_segments ? 1 : 0);
	buf_zero(b, 8);
}

static inline void chunklist_add(struct buf *b, const struct oid *id,
	uint32_t len)
{
	buf_add(b, id->b, 32);
	buf_le32(b, len);
	if (!b->oom)
		put_le64(b->data + 1, get_le64(b->data + 1) + len);
}

#endif
