/* SPDX-License-Identifier: Apache-2.0 */
/* Reading fields from bytes in memory. The cursor is sticky: once a read goes
 * past the end every later one gives zero, and bad stays set; read all
 * fields, test once. */
#ifndef STRATA_BASE_CURSOR_H
#define STRATA_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"

/* Bytes somebody else owns. */
struct view {
	const uint8_t *data;
	size_t len;
};

struct cursor {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct cursor cursor_make(const void *data, size_t len)
{
	return (struct cursor){ .p = data, .left = len };
}

/* The next n bytes, or NULL (and bad). */
static inline const uint8_t *cur_bytes(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > c->left) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

static inline void cur_skip(struct cursor *c, size_t n)
{
	cur_bytes(c, n);
}

static inline struct view cur_view(struct cursor *c, size_t n)
{
	const uint8_t *p = cur_bytes(c, n);

	return (struct view){ p, p ? n : 0 };
}

static inline uint8_t cur_u8(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p ? *p : 0;
}

#define CUR_DEFINE(order, bits)                                                \
	static inline uint##bits##_t cur_##order##bits(struct cursor *c)       \
	{                                                                      \
		const uint8_t *p = cur_bytes(c, bits / 8);                     \
		return p ? get_##order##bits(p) : 0;                           \
	}
CUR_DEFINE(le, 16)
CUR_DEFINE(le, 32)
CUR_DEFINE(le, 64)
CUR_DEFINE(be, 16)
CUR_DEFINE(be, 32)
CUR_DEFINE(be, 64)
#undef CUR_DEFINE

/* An unsigned LEB128 integer; one that is over 64 bits, or not in its
 * shortest form (ids depend on canonical bytes), is bad. */
static inline uint64_t cur_varint(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;

	for (;;) {
		const uint8_t *p = cur_bytes(c, 1);

		if (!p)
			return 0;
		if ((shift == 63 && *p > 1) || (shift && *p == 0)) {
			c->bad = true;
			return 0;
		}
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80))
			return v;
		shift += 7;
		if (shift > 63) {
			c->bad = true;
			return 0;
		}
	}
}

#endif
