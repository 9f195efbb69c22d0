/* SPDX-License-Identifier: Apache-2.0 */
/* Gear hash with normalised chunk sizes (FastCDC, Xia et al., USENIX ATC '16):
 * before the average a harder mask, after it an easier one. */
#include "codec/cdc.h"

#include <pthread.h>

static uint64_t gear[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The table is made by splitmix64 from a fixed seed: it is part of the
 * format, and this is shorter than 256 constants. */
static void make_gear(void)
{
	uint64_t x = UINT64_C(0x7374726174612d31); /* "strata-1" */

	for (int i = 0; i < 256; i++) {
		uint64_t z = x += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		gear[i] = z ^ (z >> 31);
	}
}

/* 17 and 13 bits, in the high half, where the most bytes have a say. */
#define MASK_HARD (UINT64_C(0x1ffff) << 47)
#define MASK_EASY (UINT64_C(0x1fff) << 51)

size_t cdc_cut(const uint8_t *data, size_t len)
{
	size_t i = CDC_MIN - 64, end, mid;
	uint64_t h = 0;

	pthread_once(&once, make_gear);
	if (len <= CDC_MIN)
		return len;
	end = len < CDC_MAX ? len : CDC_MAX;
	mid = end < CDC_AVG ? end : CDC_AVG;
	for (; i < CDC_MIN; i++)
		h = (h << 1) + gear[data[i]];
	for (; i < mid; i++) {
		h = (h << 1) + gear[data[i]];
		if (!(h & MASK_HARD))
			return i + 1;
	}
	for (; i < end; i++) {
		h = (h << 1) + gear[data[i]];
		if (!(h & MASK_EASY))
			return i + 1;
	}
	return end;
}
