/* SPDX-License-Identifier: Apache-2.0 */
/* Gear hash with normalised chunk sizes (FastCDC, Xia et al., USENIX ATC '16):
 * before the average a harder mask, after it an easier one. */
#include "codec/cdc.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

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

/* A cut is behind a byte where the highest 17, then 13 bits of the hash are
 * zero: those on which the most bytes have a say. */
#define BELOW_HARD (UINT64_C(1) << 47)
#define BELOW_EASY (UINT64_C(1) << 51)

/* The hash is of the last 64 bytes: each is shifted out by those behind it. */
#define WINDOW 64

/* Stretches that are looked through two at a time, since a step waits for the
 * one before. What is done in the second one is lost when the first has a cut,
 * so they are short where that is likely. */
#define PAIR_HARD 4096
#define PAIR_EASY 1024

static uint64_t step(uint64_t h, uint8_t b)
{
	return (h << 1) + gear[b];
}

/* Of the window that ends at p. */
static uint64_t hash_before(const uint8_t *p)
{
	uint64_t h = 0;

	for (int i = -WINDOW; i < 0; i++)
		h = step(h, p[i]);
	return h;
}

static bool zeros(const uint8_t p[WINDOW])
{
	uint64_t w[WINDOW / 8], any = 0;

	memcpy(w, p, sizeof(w));
	for (size_t i = 0; i < WINDOW / 8; i++)
		any |= w[i];
	return !any;
}

/* Bytes up to the first cut in n of them; 0: there is none. */
static size_t scan(const uint8_t *p, size_t n, uint64_t *hash, uint64_t below)
{
	uint64_t h = *hash;

	for (size_t i = 0; i < n; i++) {
		h = step(h, p[i]);
		if (h < below)
			return i + 1;
	}
	*hash = h;
	return 0;
}

/* The same for two stretches of n bytes, a multiple of WINDOW. */
static size_t scan_pair(const uint8_t *a, size_t n, uint64_t *hash,
	uint64_t below)
{
	const uint8_t *b = a + n;
	uint64_t g = *hash, h = hash_before(b);
	/* Zeros alone: the sum of gear[0] << 0 to 63. It stays so, and with
	 * this table it is no cut. */
	const uint64_t still = -gear[0];

	for (size_t i = 0, end; i < n;) {
		if (g == still && h == still && zeros(a + i) && zeros(b + i)) {
			i += WINDOW;
			continue;
		}
#pragma GCC unroll 8
		for (end = i + WINDOW; i < end; i++) {
			g = step(g, a[i]);
			if (g < below)
				return i + 1;
			h = step(h, b[i]);
			if (h < below) {
				size_t k = scan(a + i + 1, n - i - 1, &g,
					below);

				return k ? i + 1 + k : n + i + 1;
			}
		}
	}
	*hash = h;
	return 0;
}

/* From data + *at to data + end. */
static bool find_cut(const uint8_t *data, size_t *at, size_t end, size_t pair,
	uint64_t *hash, uint64_t below)
{
	size_t n;

	for (; end - *at >= 2 * pair; *at += 2 * pair) {
		n = scan_pair(data + *at, pair, hash, below);
		if (n) {
			*at += n;
			return true;
		}
	}
	n = scan(data + *at, end - *at, hash, below);
	*at = n ? *at + n : end;
	return n;
}

size_t cdc_cut(const uint8_t *data, size_t len)
{
	size_t at = CDC_MIN, end, mid;
	uint64_t h;

	pthread_once(&once, make_gear);
	if (len <= CDC_MIN)
		return len;
	end = len < CDC_MAX ? len : CDC_MAX;
	mid = end < CDC_AVG ? end : CDC_AVG;
	h = hash_before(data + at);
	if (!find_cut(data, &at, mid, PAIR_HARD, &h, BELOW_HARD))
		find_cut(data, &at, end, PAIR_EASY, &h, BELOW_EASY);
	return at;
}
