/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: sums, names, times (fields of the volume: tests/corrupt/udf.sh). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/compiler.h"
#include "base/limits.h"
#include "fs/udf.h"

static void test_sums(void **state)
{
	uint8_t b[64] = { 0 };

	(void)state;
	/* the example of ECMA-167 3/7.2.6 */
	assert_int_equal(udf_crc((const uint8_t *)"\x70\x6a\x77", 3), 0x3299);
	assert_int_equal(udf_crc(NULL, 0), 0);
	memset(b + 16, 0xa5, 48);
	put_le16(b, UDF_TAG_FILE);
	put_le16(b + 8, udf_crc(b + 16, 48));
	put_le16(b + 10, 48);
	put_le32(b + 12, 77);
	for (int i = 0; i < 16; i++)
		b[4] = (uint8_t)(b[4] + (i == 4 ? 0 : b[i]));
	assert_null(udf_tag_fault(b, sizeof(b), 77));
	assert_non_null(udf_tag_fault(b, sizeof(b), 78));
	for (size_t i = 0; i < sizeof(b); i++) {
		b[i] ^= 0x10;
		assert_non_null(udf_tag_fault(b, sizeof(b), 77));
		b[i] ^= 0x10;
	}
	/* a checksum over more than there is cannot be checked */
	assert_null(udf_tag_fault(b, 63, 77));
}

static void test_names(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *want;
	} rows[] = {
		{ "\x08" "abc", 4, "abc" },
		{ "\x08\xe4", 2, "\xc3\xa4" },
		{ "\x10\0a\x65\xe5", 5, "a\xe6\x97\xa5" },
		{ "\x10\xd8\x3d\xde\0", 5, "\xf0\x9f\x98\x80" },
		{ "\x10\xd8\x3d", 3, "\xed\xa0\xbd" },
		{ "\xfe" "abc", 4, "abc" },
		{ "\xff\0a", 3, "a" },
		{ "\x08" "a/b", 4, "a_b#F667" },
		{ "\x08" "a/b.c", 6, "a_b#DC0A.c" },
		{ "\x08" "a//b", 5, "a_b#DFAD" },
		{ "\x08" ".", 2, ".#C5AC" },
		{ "\x08" "..", 3, "..#E045" },
		{ "\x08" "...", 4, "..." },
		{ "\x08" "a\0b", 4, "a_b#E0BF" },
		/* no name, or not one */
		{ "", 0, "" },
		{ "\x08", 1, "" },
		{ "\x10" "abc", 4, "" },
		{ "\x07" "abc", 4, "" },
		{ "\0abc", 4, "" },
	};
	uint8_t out[LIMIT_NAME], longest[255];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = udf_name((const uint8_t *)rows[i].in, rows[i].n, out);

		if (n != strlen(rows[i].want) ||
			memcmp(out, rows[i].want, n) != 0)
			fail_msg("row %zu: %.*s, not %s", i, (int)n, out,
				rows[i].want);
	}
	memset(longest, 0xff, sizeof(longest));
	longest[0] = 8;
	assert_int_equal(udf_name(longest, 255, out), 508);
	longest[0] = 16;
	assert_int_equal(udf_name(longest, 255, out), 381);
	memset(longest + 1, '/', 254);
	longest[0] = 8;
	assert_int_equal(udf_name(longest, 255, out), 6);
}

static void test_times(void **state)
{
	static const struct {
		uint16_t zone;
		int16_t year;
		uint8_t rest[8];
		int64_t want;
		uint32_t ns;
	} rows[] = {
		{ 0x1000, 1970, { 1, 1, 0, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 2, 29, 1, 2, 3, 12, 34, 56 }, 951786123,
			123456000 },
		{ 0x1000 | 60, 2000, { 2, 29, 1, 2, 3, 0, 0, 0 }, 951782523, 0 },
		{ 0x1000 | (-60 & 0xfff), 2000, { 2, 29, 1, 2, 3, 0, 0, 0 },
			951789723, 0 },
		/* not known; not local time */
		{ 0x1000 | (-2047 & 0xfff), 2000, { 2, 29, 1, 2, 3, 0, 0, 0 },
			951786123, 0 },
		{ 0x0000 | 60, 2000, { 2, 29, 1, 2, 3, 0, 0, 0 }, 951786123, 0 },
		{ 0x1000, 1601, { 1, 1, 0, 0, 0, 0, 0, 0 }, -11644473600, 0 },
		{ 0x1000, -1, { 12, 31, 0, 0, 0, 0, 0, 0 }, -62167305600, 0 },
		{ 0x1000, 2000, { 2, 29, 1, 2, 3, 100, 0, 0 }, 951786123, 0 },
		/* no times */
		{ 0x1000, 2000, { 0, 1, 0, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 13, 1, 0, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 1, 0, 0, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 1, 32, 0, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 1, 1, 24, 0, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 1, 1, 0, 60, 0, 0, 0, 0 }, 0, 0 },
		{ 0x1000, 2000, { 1, 1, 0, 0, 61, 0, 0, 0 }, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t t[12];
		uint32_t ns = 1;
		int64_t got;

		put_le16(t, rows[i].zone);
		put_le16(t + 2, (uint16_t)rows[i].year);
		memcpy(t + 4, rows[i].rest, 8);
		got = udf_time(t, &ns);
		if (got != rows[i].want || ns != rows[i].ns)
			fail_msg("row %zu: %lld.%09u", i, (long long)got, ns);
	}
}

static void test_labels(void **state)
{
	uint8_t b[32] = { 0 };
	char out[64];

	(void)state;
	memcpy(b, "\x08ok", 3);
	b[31] = 3;
	udf_dstring(b, 32, out, sizeof(out));
	assert_string_equal(out, "ok");
	b[31] = 255; /* longer than the field */
	udf_dstring(b, 32, out, sizeof(out));
	assert_string_equal(out, "ok");
	b[31] = 0;
	udf_dstring(b, 32, out, sizeof(out));
	assert_string_equal(out, "");
	memset(b, 0xff, 32);
	b[0] = 8;
	udf_dstring(b, 32, out, 10);
	assert_true(strlen(out) < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
