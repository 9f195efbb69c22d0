/* SPDX-License-Identifier: Apache-2.0 */
/* LZX as in WIM archives and compressed system files: windows of 32 KiB, each
 * chunk for itself. [MS-PATCH] section 2 describes the format; what differs:
 * a block's size is a bit that says 32 KiB, else 16 bits, there is no header
 * for the translation of calls, which is always done, with a size of
 * 12,000,000. */
#include "fs/ntfs_codec.h"

#include <string.h>
#include "base/checked.h"
#include "fs/huffman.h"

#define WINDOW 32768
#define SLOTS 30 /* of match distances, for that window */
#define MAIN (256 + 8 * SLOTS)
#define LENGTHS 249
#define CALLS_SIZE 12000000

enum { VERBATIM = 1, ALIGNED, UNCOMPRESSED };

struct lzx {
	struct bits b;
	struct huffman main, lengths, aligned, pre;
	/* of the block before: new ones are given as differences */
	uint8_t main_lens[MAIN], length_lens[LENGTHS];
	uint32_t recent[3];
	uint8_t *out;
	size_t at, size;
};

/* The lengths of n codes, as differences to what is in lens. */
static bool read_lens(struct lzx *z, uint8_t *lens, unsigned n)
{
	uint8_t pre[20];
	unsigned i = 0;

	for (unsigned k = 0; k < sizeof(pre); k++)
		pre[k] = (uint8_t)bits_get(&z->b, 4);
	if (!huffman_make(&z->pre, pre, sizeof(pre)))
		return false;
	while (i < n) {
		uint32_t sym = huffman_get(&z->pre, &z->b);
		unsigned run = 1;
		uint8_t len = 0;

		if (sym == HUFFMAN_NONE)
			return false;
		if (sym == 17) {
			run = 4 + bits_get(&z->b, 4);
		} else if (sym == 18) {
			run = 20 + bits_get(&z->b, 5);
		} else {
			if (sym == 19) {
				run = 4 + bits_get(&z->b, 1);
				sym = huffman_get(&z->pre, &z->b);
				if (sym > 16)
					return false;
			}
			len = (uint8_t)((lens[i] + 17u - sym) % 17);
		}
		/* a run may say more than there are */
		for (; run && i < n; run--)
			lens[i++] = len;
	}
	return true;
}

static bool read_codes(struct lzx *z, unsigned kind)
{
	if (kind == ALIGNED) {
		uint8_t lens[8];

		for (unsigned k = 0; k < sizeof(lens); k++)
			lens[k] = (uint8_t)bits_get(&z->b, 3);
		if (!huffman_make(&z->aligned, lens, sizeof(lens)))
			return false;
	}
	return read_lens(z, z->main_lens, 256) &&
	       read_lens(z, z->main_lens + 256, MAIN - 256) &&
	       huffman_make(&z->main, z->main_lens, MAIN) &&
	       read_lens(z, z->length_lens, LENGTHS) &&
	       huffman_make(&z->lengths, z->length_lens, LENGTHS);
}

/* The distance of a match; 0: damaged. */
static uint32_t distance(struct lzx *z, unsigned slot, unsigned kind)
{
	unsigned extra = slot < 4 ? 0 : slot / 2 - 1;
	uint32_t base = slot < 4 ? slot : (2 + (slot & 1)) << extra;
	uint32_t d;

	if (slot < 3) {
		d = z->recent[slot];
		z->recent[slot] = z->recent[0];
		z->recent[0] = d;
		return d;
	}
	if (kind == ALIGNED && extra >= 3) {
		uint32_t low;

		d = bits_get(&z->b, extra - 3) << 3;
		low = huffman_get(&z->aligned, &z->b);
		if (low == HUFFMAN_NONE)
			return 0;
		d += low;
	} else {
		d = bits_get(&z->b, extra);
	}
	d += base - 2;
	z->recent[2] = z->recent[1];
	z->recent[1] = z->recent[0];
	z->recent[0] = d;
	return d;
}

static bool matches(struct lzx *z, unsigned kind, size_t end)
{
	while (z->at < end) {
		uint32_t sym = huffman_get(&z->main, &z->b), d;
		size_t n;

		if (sym == HUFFMAN_NONE)
			return false;
		if (sym < 256) {
			z->out[z->at++] = (uint8_t)sym;
			continue;
		}
		n = sym & 7;
		if (n == 7) {
			uint32_t more = huffman_get(&z->lengths, &z->b);

			if (more == HUFFMAN_NONE)
				return false;
			n += more;
		}
		n += 2;
		d = distance(z, (sym - 256) >> 3, kind);
		if (!d || d > z->at || n > end - z->at)
			return false;
		for (; n; n--, z->at++)
			z->out[z->at] = z->out[z->at - d];
	}
	return true;
}

static bool plain(struct lzx *z, size_t size)
{
	struct bits *b = &z->b;

	/* Up to the next word; a whole one where it is at that. Words that
	 * were fetched already are given back. */
	bits_want(b, 1);
	bits_take(b, b->left % 16 ? b->left % 16 : 16);
	if (b->over)
		return false;
	b->p -= b->left / 8;
	b->left = b->buf = 0;
	if ((size_t)(b->end - b->p) < 12 + size)
		return false;
	for (unsigned i = 0; i < 3; i++, b->p += 4)
		z->recent[i] = get_le32(b->p);
	memcpy(z->out + z->at, b->p, size);
	z->at += size;
	b->p += size;
	if (size & 1)
		bits_byte(b);
	return true;
}

/* Targets of x86 calls were made absolute, so that equal ones are equal. */
static void calls_back(uint8_t *p, size_t size)
{
	for (size_t i = 0; size > 10 && i < size - 10; i++) {
		int32_t at = (int32_t)i, v;

		if (p[i] != 0xe8)
			continue;
		v = (int32_t)get_le32(p + i + 1);
		if (v >= -at && v < CALLS_SIZE)
			put_le32(p + i + 1, (uint32_t)(v >= 0 ? v - at
							: v + CALLS_SIZE));
		i += 4;
	}
}

bool lzx_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	struct lzx z = { .b = { .p = in, .end = in + len },
		.recent = { 1, 1, 1 },
		.out = out,
		.size = size };

	if (size > WINDOW)
		return false;
	/* every block has a byte at least */
	while (z.at < size) {
		unsigned kind = bits_get(&z.b, 3);
		size_t n = bits_get(&z.b, 1) ? WINDOW : bits_get(&z.b, 16);
		bool ok;

		if (!n || n > size - z.at)
			return false;
		if (kind == UNCOMPRESSED)
			ok = plain(&z, n);
		else
			ok = (kind == VERBATIM || kind == ALIGNED) &&
			     read_codes(&z, kind) && matches(&z, kind, z.at + n);
		if (!ok)
			return false;
	}
	calls_back(out, size);
	return true;
}
