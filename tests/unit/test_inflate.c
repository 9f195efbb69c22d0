/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate of whole blocks against zlib alone: whole, short of room, cut off at
 * every length, damaged; also what stands behind the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include "base/checked.h"
#include "codec/inflate.h"

#define PLAIN 20000u
#define ROOM 65536u

static uint8_t plain[PLAIN], packed[ROOM], out[ROOM], other[ROOM];
static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static size_t pack(enum inflate_kind kind, int level, int strategy)
{
	z_stream z = { 0 };
	size_t n;

	assert_int_equal(deflateInit2(&z, level, Z_DEFLATED,
				 kind == INFLATE_RAW ? -15 : 15, 8, strategy),
		Z_OK);
	z.next_in = plain;
	z.avail_in = PLAIN;
	z.next_out = packed;
	z.avail_out = ROOM;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = z.total_out;
	deflateEnd(&z);
	return n;
}

/* zlib's own answer: END, or BAD. */
static enum inflate_result alone(enum inflate_kind kind, size_t len, size_t max,
	size_t *n)
{
	z_stream z = { .next_in = packed,
		.avail_in = (uInt)len,
		.next_out = other,
		.avail_out = (uInt)max };
	int r;

	assert_int_equal(inflateInit2(&z, kind == INFLATE_RAW ? -15 : 15),
		Z_OK);
	r = inflate(&z, Z_FINISH);
	*n = z.total_out;
	inflateEnd(&z);
	return r == Z_STREAM_END ? INFLATE_END : INFLATE_BAD;
}

static void fill(void)
{
	for (uint32_t i = 0; i < PLAIN; i++)
		plain[i] = i < 5000    ? (uint8_t)rnd(256)
			   : i < 12000 ? (uint8_t)(i % 37 + rnd(2))
				       : (uint8_t)"abcabd"[i % 6];
}

static void test_whole(void **state)
{
	AUTO_INFLATER x = NULL;

	(void)state;
	assert_int_equal(inflater_new(&x, NULL), 0);
	for (enum inflate_kind kind = INFLATE_RAW; kind <= INFLATE_ZLIB; kind++)
		for (int level = 0; level <= 9; level++)
			for (int strategy = 0; strategy <= Z_FIXED; strategy++) {
				size_t n = pack(kind, level, strategy), got;
				const char *why = NULL;

				assert_int_equal(inflate_block(x, kind, packed,
							 n, out, ROOM, &got,
							 &why), INFLATE_END);
				assert_int_equal(got, PLAIN);
				assert_memory_equal(out, plain, PLAIN);
				assert_int_equal(inflate_block(x, kind, packed,
							 n, out, PLAIN, &got,
							 &why), INFLATE_END);
				/* what follows is not looked at */
				memset(packed + n, 'x', 100);
				assert_int_equal(inflate_block(x, kind, packed,
							 n + 100, out, PLAIN,
							 &got, &why),
					INFLATE_END);
				/* short of room */
				assert_int_equal(inflate_block(x, kind, packed,
							 n, out, PLAIN - 1,
							 &got, &why),
					INFLATE_FULL);
				assert_int_equal(got, PLAIN - 1);
				assert_memory_equal(out, plain, PLAIN - 1);
				assert_int_equal(inflate_block(x, kind, packed,
							 n, out, 0, &got, &why),
					INFLATE_FULL);
			}
}

static void test_cut(void **state)
{
	AUTO_INFLATER x = NULL;

	(void)state;
	assert_int_equal(inflater_new(&x, NULL), 0);
	for (enum inflate_kind kind = INFLATE_RAW; kind <= INFLATE_ZLIB;
		kind++) {
		size_t n = pack(kind, 6, 0);

		for (size_t k = 0; k < n; k++) {
			const char *why = NULL;
			size_t got;

			assert_int_equal(inflate_block(x, kind, packed, k, out,
						 PLAIN, &got, &why),
				INFLATE_BAD);
			assert_non_null(why);
			assert_true(got <= PLAIN);
			assert_memory_equal(out, plain, got);
		}
	}
}

static void test_damaged(void **state)
{
	AUTO_INFLATER x = NULL;
	unsigned whole = 0, bad = 0, lenient = 0;

	(void)state;
	assert_int_equal(inflater_new(&x, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		enum inflate_kind kind = rnd(2);
		size_t n = pack(kind, (int)rnd(10), (int)rnd(5)), got, want;
		enum inflate_result a, b;

		for (uint32_t k = rnd(3); k < 3; k++)
			packed[rnd(4) ? rnd((uint32_t)n) : rnd(60)] ^=
				(uint8_t)(1u << rnd(8));
		a = inflate_block(x, kind, packed, n, out, ROOM, &got, NULL);
		b = alone(kind, n, ROOM, &want);
		whole += b == INFLATE_END;
		bad += b == INFLATE_BAD;
		/* libdeflate takes a few codes that zlib finds odd; with a
		 * checksum behind them it must be the same bytes. */
		if (a == INFLATE_END && b != INFLATE_END) {
			lenient++;
			if (kind == INFLATE_ZLIB)
				assert_memory_equal(out, plain, PLAIN);
		} else if (a != b && b == INFLATE_END) {
			fail_msg("%d: %d, zlib %d", i, a, b);
		} else if (a == INFLATE_END) {
			assert_int_equal(got, want);
			assert_memory_equal(out, other, got);
		}
	}
	assert_true(whole > 1000 && bad > 1000 && lenient < bad / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
	};

	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
