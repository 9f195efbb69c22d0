/* SPDX-License-Identifier: Apache-2.0 */
/* LZO1X: streams that liblzo 2.10 wrote, each instruction by itself, and what
 * must be refused. (tests/interop has mksquashfs and the kernel's btrfs.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "codec/lzo.h"

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

/* Input and output in blocks of their very size: valgrind and the sanitizers
 * see every byte too far. */
static int decode(const char *hex, size_t max, uint8_t **out, size_t *n,
	struct error *e)
{
	size_t len = strlen(hex) / 2;
	uint8_t *in = malloc(len ? len : 1);
	int r;

	assert_non_null(in);
	unhex(hex, in);
	*out = malloc(max ? max : 1);
	assert_non_null(*out);
	*n = 12345;
	r = lzo1x_decode(in, len, *out, max, n, e);
	free(in);
	return r;
}

static void test_valid(void **state)
{
	static const struct {
		const char *hex;
		const char *text; /* what comes out; times */
		size_t times;
	} rows[] = {
		{ "110000", "", 0 },
		{ "1261110000", "a", 1 },
		/* a run, a match of 64..127's kind that overlaps itself */
		{ "14616263300800110000", "abc", 7 },
		/* 128..255: six bytes from three before */
		{ "14616263a800110000", "abc", 3 },
		/* 0..15 behind two literals: two bytes from two before */
		{ "1361620400110000", "ab", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error e = { 0 };
		uint8_t *out;
		size_t n, unit = strlen(rows[i].text);
		int r;

		r = decode(rows[i].hex, unit * rows[i].times + 10, &out, &n,
			&e);
		if (r || n != unit * rows[i].times)
			fail_msg("row %zu: %d, %zu bytes: %s", i, r, n, e.msg);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k], rows[i].text[k % unit]);
		free(out);
	}
}

static void test_zeros(void **state)
{
	uint8_t *out;
	size_t n;

	(void)state;
	/* 1000 zeros */
	assert_int_equal(decode("120020000000c90000110000", 1000, &out, &n,
				 NULL),
		0);
	assert_int_equal(n, 1000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(out[i], 0);
	free(out);
	/* with no room for the last of them */
	assert_int_equal(decode("120020000000c90000110000", 999, &out, &n,
				 NULL),
		ERR_CORRUPT);
	free(out);
	/* a run over 238 literals, a far match */
	{
		char hex[2 * 400] = "00d8"; /* 3 + 15 + 216 */
		uint8_t *far;

		for (size_t i = 0; i < 234; i++)
			snprintf(hex + 4 + 2 * i, 3, "%02zx", i);
		snprintf(hex + 4 + 2 * 234, 7, "110000");
		assert_int_equal(decode(hex, 234, &far, &n, NULL), 0);
		assert_int_equal(n, 234);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(far[i], i);
		free(far);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *hex;
		uint64_t offset;
		const char *what;
	} rows[] = {
		{ "", 0, "cut off" },
		{ "11", 1, "cut off" },
		{ "1100", 2, "cut off" },
		{ "126111", 3, "cut off" },
		{ "146162", 1, "cannot be" },		/* literals cut off */
		{ "11000000", 3, "behind the end" },
		{ "1261" "400000" "110000", 4, "cannot be" }, /* before begin */
		{ "1261" "20ffff" "110000", 5, "cannot be" },
		{ "1261" "30ffff" "110000", 5, "cannot be" },
		{ "000000", 3, "cut off" }, /* a length without an end */
		{ "00", 1, "cut off" },
		{ "0400110000", 5, "cannot be" }, /* a run of 7 in 4 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error e = { 0 };
		uint8_t *out;
		size_t n;
		int r = decode(rows[i].hex, 4096, &out, &n, &e);

		if (r != ERR_CORRUPT || !e.has_offset || n != 12345)
			fail_msg("row %zu: %d, n %zu", i, r, n);
		if (!strstr(e.msg, rows[i].what) && i != 11)
			fail_msg("row %zu: \"%s\" at %u", i, e.msg,
				(unsigned)e.offset);
		free(out);
	}
}

/* Every stream that is cut, or has a byte changed, ends; and writes no more
 * than it may (the sanitizers see to that). */
static void test_damaged(void **state)
{
	static const char hex[] =
		"51000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
		"1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c"
		"3d3e3f205ffe00787932b400110000";
	uint8_t in[128], copy[128];
	size_t len = unhex(hex, in), n, ok = 0;
	uint8_t *out = malloc(214);

	(void)state;
	assert_non_null(out);
	assert_int_equal(lzo1x_decode(in, len, out, 214, &n, NULL), 0);
	assert_int_equal(n, 214);
	for (size_t i = 0; i < 192; i++)
		assert_int_equal(out[i], i % 64);
	assert_memory_equal(out + 192, "xy", 2);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(out[194 + i], 20 + i);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(lzo1x_decode(in, cut, out, 214, &n, NULL),
			ERR_CORRUPT);
	for (size_t at = 0; at < len; at++)
		for (unsigned v = 0; v < 256; v++) {
			memcpy(copy, in, len);
			copy[at] = (uint8_t)v;
			n = 0;
			ok += !lzo1x_decode(copy, len, out, 214, &n, NULL);
			assert_true(n <= 214);
		}
	/* literals may be anything */
	assert_true(ok >= 64 * 256 && ok < len * 256);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
