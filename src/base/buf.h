/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer, also used to build strings. A failed allocation is
 * sticky: append freely, test oom once at the end. */
#ifndef STRATA_BASE_BUF_H
#define STRATA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"
#include "base/endian.h"

struct buf {
	uint8_t *data;
	size_t len, cap;
	bool oom;
};

#define BUF_INIT { 0 }
#define AUTO_BUF __attribute__((cleanup(buf_release))) struct buf

void buf_release(struct buf *b);
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* Room for n more bytes; returns where they go (len is not moved), or NULL. */
uint8_t *buf_room(struct buf *b, size_t n);
/* Room for n more bytes, len moved past them; NULL when out of memory. */
uint8_t *buf_grow(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
void buf_zero(struct buf *b, size_t n); /* appends n zero bytes */
/* Appends an unsigned LEB128 integer (7 bits a byte, low first). */
void buf_varint(struct buf *b, uint64_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
/* The bytes as a NUL-terminated string (the NUL is not counted in len);
 * "" when out of memory. Borrowed until the next change. */
const char *buf_str(struct buf *b);
/* Hands the NUL-terminated bytes over (free() them); NULL when oom. */
char *buf_steal(struct buf *b);

#endif
