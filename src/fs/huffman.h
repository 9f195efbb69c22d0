/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical Huffman codes and the bit stream that XPRESS and LZX share: words
 * of 16 bits, little-endian, read from the top; bytes may stand between. */
#ifndef STRATA_FS_HUFFMAN_H
#define STRATA_FS_HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"

#define HUFFMAN_MAX_SYMBOLS 512
#define HUFFMAN_MAX_BITS 16
#define HUFFMAN_FAST 10
/* No code is so: the stream is damaged. */
#define HUFFMAN_NONE UINT32_MAX

struct huffman {
	uint16_t fast[1 << HUFFMAN_FAST]; /* symbol << 5 | length; 0: longer */
	uint16_t sorted[HUFFMAN_MAX_SYMBOLS];
	uint32_t first[HUFFMAN_MAX_BITS + 1]; /* code of each length */
	uint16_t count[HUFFMAN_MAX_BITS + 1], start[HUFFMAN_MAX_BITS + 1];
};

/* From the lengths (0: unused) of n symbols. False: there are more codes than
 * bits allow. Fewer are fine: using one of those that are not is an error. */
bool huffman_make(struct huffman *h, const uint8_t *lens, unsigned n);

struct bits {
	const uint8_t *p, *end;
	uint32_t buf; /* left-aligned */
	unsigned left;
	unsigned over; /* words of zeros given behind the end */
};

/* At least n (at most 16) bits are in buf. A word is fetched only where there
 * are fewer: bytes that stand between words come from where p is then. */
static inline void bits_want(struct bits *b, unsigned n)
{
	if (b->left >= n)
		return;
	if (b->end - b->p >= 2) {
		b->buf |= (uint32_t)get_le16(b->p) << (16 - b->left);
		b->p += 2;
	} else {
		b->over++;
	}
	b->left += 16;
}

/* n bits (0 to 16), which bits_want has seen to. */
static inline uint32_t bits_take(struct bits *b, unsigned n)
{
	uint32_t v = n ? b->buf >> (32 - n) : 0;

	b->buf = n ? b->buf << n : b->buf;
	b->left -= n;
	return v;
}

static inline uint32_t bits_get(struct bits *b, unsigned n)
{
	bits_want(b, n);
	return bits_take(b, n);
}

/* A byte; 0 behind the end. */
static inline unsigned bits_byte(struct bits *b)
{
	return b->p < b->end ? *b->p++ : 0;
}

uint32_t huffman_long(const struct huffman *h, struct bits *b);

/* The next symbol, or HUFFMAN_NONE. */
static inline uint32_t huffman_get(const struct huffman *h, struct bits *b)
{
	uint32_t x;

	bits_want(b, 16);
	x = h->fast[b->buf >> (32 - HUFFMAN_FAST)];
	if (!x)
		return huffman_long(h, b);
	bits_take(b, x & 31);
	return x >> 5;
}

#endif
