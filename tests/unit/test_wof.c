/* SPDX-License-Identifier: Apache-2.0 */
/* XPRESS and LZX: vectors written by hand, and what must be refused. What
 * wimlib writes is in tests/interop/ntfs_wof.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "fs/huffman.h"
#include "fs/ntfs_codec.h"

/* 256 bytes of lengths, then the alphabet: [MS-XCA] 3.2. */
static size_t alphabet(uint8_t *in)
{
	static const uint8_t stream[] = { 0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11,
		0x5b, 0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf, 0x8d, 0x04, 0,
		0, 0, 0 };

	memset(in, 0, 256);
	/* a to v have 5 bits, w to z and the end of the data 4 */
	for (unsigned c = 'a'; c <= 'z'; c++)
		in[c / 2] |= (uint8_t)((c <= 'v' ? 5 : 4) << (c & 1) * 4);
	in[128] = 4;
	memcpy(in + 256, stream, sizeof(stream));
	return 256 + sizeof(stream);
}

static void xpress(void **state)
{
	uint8_t in[512], out[64];
	size_t n = alphabet(in);

	(void)state;
	assert_true(xpress_decode(in, n, out, 26));
	assert_memory_equal(out, "abcdefghijklmnopqrstuvwxyz", 26);
	/* the symbol behind is a match of length 3 and distance 1 */
	assert_true(xpress_decode(in, n, out, 29));
	assert_memory_equal(out + 26, "zzz", 3);
	/* ... which must fit */
	assert_false(xpress_decode(in, n, out, 28));
	/* no lengths, too short for them, more codes than bits allow */
	assert_false(xpress_decode(in, 0, out, 26));
	assert_false(xpress_decode(in, 255, out, 26));
	in['b' / 2] = 0x11;
	in['d' / 2] = 0x11;
	assert_false(xpress_decode(in, n, out, 26));
	/* no codes at all */
	memset(in, 0, 256);
	assert_false(xpress_decode(in, n, out, 26));
	assert_true(xpress_decode(in, n, out, 0));
}

/* Bits in words of 16, from the top. */
struct writer {
	uint8_t b[256];
	size_t n;
	unsigned acc, have;
};

static void put(struct writer *w, unsigned v, unsigned bits)
{
	while (bits--) {
		w->acc = w->acc << 1 | (v >> bits & 1);
		if (++w->have == 16) {
			w->b[w->n++] = (uint8_t)w->acc;
			w->b[w->n++] = (uint8_t)(w->acc >> 8);
			w->acc = w->have = 0;
		}
	}
}

/* An uncompressed block, its header included. */
static void put_plain(struct writer *w, const char *s, size_t size)
{
	static const uint8_t recent[12] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };

	put(w, 3, 3);
	put(w, 0, 1);
	put(w, (unsigned)size, 16);
	/* to the end of the word, or one more */
	put(w, 0, 16 - w->have);
	memcpy(w->b + w->n, recent, 12);
	w->n += 12;
	memcpy(w->b + w->n, s, size);
	w->n += size;
	if (size & 1)
		w->b[w->n++] = 0;
}

/* n code lengths: all 0 but one or two of length 1, given by difference. */
static void put_lens(struct writer *w, unsigned n, unsigned a, unsigned b)
{
	/* symbols 0, 16 (one more than before, which was 0), 17, 18: 2 bits */
	for (unsigned i = 0; i < 20; i++)
		put(w, i == 0 || i == 16 || i == 17 || i == 18 ? 2 : 0, 4);
	for (unsigned i = 0; i < n;) {
		unsigned gap = (i <= a ? a : i <= b ? b : n) - i;

		if (i == a || i == b) {
			put(w, 1, 2);
			i++;
		} else if (gap >= 20) {
			gap = gap > 51 ? 51 : gap;
			put(w, 3, 2);
			put(w, gap - 20, 5);
			i += gap;
		} else if (gap >= 4) {
			put(w, 2, 2);
			put(w, gap - 4, 4);
			i += gap;
		} else {
			put(w, 0, 2);
			i++;
		}
	}
}

static void lzx_blocks(void **state)
{
	struct writer w = { .n = 0 };
	uint8_t out[64];

	(void)state;
	/* odd sizes have a byte behind them */
	put_plain(&w, "hello", 5);
	put_plain(&w, ", ", 2);
	put_plain(&w, "world", 5);
	assert_true(lzx_decode(w.b, w.n, out, 12));
	assert_memory_equal(out, "hello, world", 12);
	/* cut short, longer than what is wanted, of no known kind */
	assert_false(lzx_decode(w.b, w.n - 2, out, 12));
	assert_false(lzx_decode(w.b, w.n, out, 11));
	assert_false(lzx_decode(w.b, 0, out, 12));
	w.b[1] |= 0xe0;
	assert_false(lzx_decode(w.b, w.n, out, 12));
	/* a block of nothing */
	memset(&w, 0, sizeof(w));
	put_plain(&w, "", 0);
	assert_false(lzx_decode(w.b, w.n, out, 12));
	assert_false(lzx_decode(w.b, w.n, out, 32769));
}

/* A block of Huffman codes, then an uncompressed one, for every place in the
 * word where the header of the second may end: also at its end, where a whole
 * word is skipped. */
static void lzx_align(void **state)
{
	uint8_t out[64];

	(void)state;
	for (unsigned n = 1; n <= 32; n++) {
		struct writer w = { .n = 0 };

		put(&w, 1, 3);
		put(&w, 0, 1);
		put(&w, n, 16);
		put_lens(&w, 256, 'a', 'b');
		put_lens(&w, 240, 999, 999);
		put_lens(&w, 249, 999, 999);
		for (unsigned i = 0; i < n; i++)
			put(&w, i & 1, 1);
		put_plain(&w, "tail", 4);
		memset(out, 0, sizeof(out));
		assert_true(w.n < sizeof(w.b));
		assert_true(lzx_decode(w.b, w.n, out, n + 4));
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(out[i], 'a' + (i & 1));
		assert_memory_equal(out + n, "tail", 4);
	}
}

static void lzx_calls(void **state)
{
	struct writer w = { .n = 0 };
	uint8_t out[64];

	(void)state;
	/* at 1: absolute 5 is relative 4; at 8: the last ten are left alone */
	put_plain(&w, "\x90\xe8\x05\x00\x00\x00\x90\x90\xe8\x05\x00\x00\x00"
		      "\x90\x90\x90\x90", 17);
	assert_true(lzx_decode(w.b, w.n, out, 17));
	assert_memory_equal(out, "\x90\xe8\x04\x00\x00\x00\x90\x90\xe8\x05", 10);
}

static void huffman(void **state)
{
	struct huffman h;
	uint8_t lens[40] = { 0 };
	const uint8_t ones[] = { 0xff, 0xff, 0xff, 0xff };
	struct bits b = { .p = ones, .end = ones + sizeof(ones) };

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		lens[i] = (uint8_t)(i + 1);
	assert_true(huffman_make(&h, lens, 40));
	/* the one code that is not given */
	assert_int_equal(huffman_get(&h, &b), HUFFMAN_NONE);
	lens[16] = 16;
	assert_true(huffman_make(&h, lens, 40));
	b = (struct bits){ .p = ones, .end = ones + sizeof(ones) };
	assert_int_equal(huffman_get(&h, &b), 16);
	lens[17] = 16;
	assert_false(huffman_make(&h, lens, 40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xpress),
		cmocka_unit_test(lzx_blocks),
		cmocka_unit_test(lzx_align),
		cmocka_unit_test(lzx_calls),
		cmocka_unit_test(huffman),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
