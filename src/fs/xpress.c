/* SPDX-License-Identifier: Apache-2.0 */
/* XPRESS with Huffman codes, [MS-XCA] 2.1 and 2.2. */
#include "fs/ntfs_codec.h"

#include <string.h>
#include "base/checked.h"
#include "fs/huffman.h"

#define SYMBOLS 512

bool xpress_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	struct huffman h;
	uint8_t lens[SYMBOLS];
	struct bits b;
	size_t o = 0;

	if (len < SYMBOLS / 2)
		return false;
	for (unsigned i = 0; i < SYMBOLS; i++)
		lens[i] = in[i / 2] >> (i & 1) * 4 & 15;
	if (!huffman_make(&h, lens, SYMBOLS))
		return false;
	b = (struct bits){ .p = in + SYMBOLS / 2, .end = in + len };
	while (o < size) {
		uint32_t sym = huffman_get(&h, &b);
		size_t n, dist;

		if (sym == HUFFMAN_NONE)
			return false;
		if (sym < 256) {
			out[o++] = (uint8_t)sym;
			continue;
		}
		n = sym & 15;
		/* All bits of the distance are in the words fetched by now;
		 * the bytes of the length lie behind them. */
		bits_want(&b, 16);
		dist = (size_t)1 << (sym >> 4 & 15);
		dist |= bits_take(&b, sym >> 4 & 15);
		if (n == 15) {
			n += bits_byte(&b);
			if (n == 15 + 255) {
				n = bits_byte(&b);
				n |= (size_t)bits_byte(&b) << 8;
			}
		}
		n += 3;
		if (dist > o || n > size - o)
			return false;
		/* Source and destination may overlap, on purpose. */
		for (; n; n--, o++)
			out[o] = out[o - dist];
	}
	return true;
}
