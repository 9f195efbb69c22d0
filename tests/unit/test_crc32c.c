/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against the vectors of RFC 3720, B.4, and against itself in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/crc32c.h"

static void test_vectors(void **state)
{
	uint8_t b[32];

	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c("", 0), 0);
	memset(b, 0, sizeof(b));
	assert_int_equal(crc32c(b, 32), 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(crc32c(b, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(crc32c(b, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(b, 32), 0x113fdb5c);
}

static void test_parts(void **state)
{
	uint8_t b[300];

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7 + (i >> 3));
	for (size_t cut = 0; cut <= sizeof(b); cut++) {
		uint32_t r = crc32c_update(UINT32_MAX, b, cut);

		r = ~crc32c_update(r, b + cut, sizeof(b) - cut);
		assert_int_equal(r, crc32c(b, sizeof(b)));
	}
}

/* Bit by bit, as the polynomial says. */
static uint32_t plain(uint32_t r, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		r ^= p[i];
		for (int k = 0; k < 8; k++)
			r = r >> 1 ^ (r & 1 ? 0x82f63b78 : 0);
	}
	return r;
}

static void test_lengths(void **state)
{
	static uint8_t b[40000];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	for (size_t len = 0; len < sizeof(b) - 9; len += len < 9000 ? 7 : 1171)
		assert_int_equal(crc32c_update((uint32_t)len, b + len % 9, len),
			plain((uint32_t)len, b + len % 9, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
