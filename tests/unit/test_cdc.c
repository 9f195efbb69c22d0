/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts by content stand where the format says, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "codec/cdc.h"

static uint64_t gear[256];

static size_t plain(const uint8_t *data, size_t len)
{
	uint64_t h = 0;
	size_t end = len < CDC_MAX ? len : CDC_MAX;

	if (len <= CDC_MIN)
		return len;
	for (size_t i = CDC_MIN - 64; i < end; i++) {
		h = (h << 1) + gear[data[i]];
		if (i >= CDC_MIN && h >> (i < CDC_AVG ? 47 : 51) == 0)
			return i + 1;
	}
	return end;
}

static void check(const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = cdc_cut(data, len);

		assert_int_equal(n, plain(data, len));
		data += n;
		len -= n;
	}
}

static uint32_t x = 1;

static uint32_t any(uint32_t n)
{
	x = x * 1664525 + 1013904223;
	return (x >> 8) % n;
}

/* Records of noise of some bytes, and zeros up to a power of two: tables of
 * inodes and the like. 0: noise alone. */
static void fill(uint8_t *p, size_t len, size_t record, size_t used)
{
	for (size_t i = 0; i < len; i++)
		p[i] = record && i % record >= used ? 0 : (uint8_t)any(256);
}

static void test_cuts(void **state)
{
	static uint8_t b[3000000];
	static const struct {
		size_t record, used;
	} kinds[] = { { 0, 0 }, { 2048, 200 }, { 2048, 2000 }, { 256, 160 },
		{ 1024, 500 }, { 65536, 70 }, { 65536, 20000 }, { 4096, 0 },
		{ 512, 64 }, { 131072, 9000 } };
	uint64_t seed = UINT64_C(0x7374726174612d31);

	(void)state;
	for (int i = 0; i < 256; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		gear[i] = z ^ (z >> 31);
	}
	/* zeros are no cut: they may be passed over */
	assert_true(-gear[0] >> 51);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		fill(b, sizeof(b), kinds[k].record, kinds[k].used);
		check(b, sizeof(b));
		check(b + 1 + any(64), sizeof(b) - 65);
		for (int i = 0; i < 300; i++) {
			size_t at = any(sizeof(b) - 70000);

			check(b + at, any(70000));
		}
	}
	for (size_t len = 0; len < CDC_AVG + 3000; len += 1 + any(40))
		check(b + any(1000), len);
	assert_int_equal(cdc_cut(b, CDC_MIN), CDC_MIN);
	check(b, CDC_MIN + 1);
	check(b, CDC_AVG);
	check(b, CDC_MAX);
	check(b, CDC_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
