/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/huffman.h"

#include <string.h>

bool huffman_make(struct huffman *h, const uint8_t *lens, unsigned n)
{
	uint32_t code = 0;
	unsigned at = 0;
	uint16_t next[HUFFMAN_MAX_BITS + 1];

	memset(h, 0, sizeof(*h));
	for (unsigned i = 0; i < n; i++)
		h->count[lens[i]]++;
	h->count[0] = 0;
	for (unsigned len = 1; len <= HUFFMAN_MAX_BITS; len++) {
		code = (code + h->count[len - 1]) << 1;
		if (code + h->count[len] > UINT32_C(1) << len)
			return false;
		h->first[len] = code;
		h->start[len] = next[len] = (uint16_t)at;
		at += h->count[len];
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned len = lens[i], k;

		if (!len)
			continue;
		k = next[len]++;
		h->sorted[k] = (uint16_t)i;
		if (len > HUFFMAN_FAST)
			continue;
		code = (h->first[len] + (k - h->start[len]))
		       << (HUFFMAN_FAST - len);
		for (k = 0; k < 1u << (HUFFMAN_FAST - len); k++)
			h->fast[code + k] = (uint16_t)(i << 5 | len);
	}
	return true;
}

uint32_t huffman_long(const struct huffman *h, struct bits *b)
{
	for (unsigned len = HUFFMAN_FAST + 1; len <= HUFFMAN_MAX_BITS; len++) {
		uint32_t code = b->buf >> (32 - len);

		if (code - h->first[len] < h->count[len]) {
			bits_take(b, len);
			return h->sorted[h->start[len] + code - h->first[len]];
		}
	}
	return HUFFMAN_NONE;
}
