/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: the processor's instruction where it has one, else eight tables. */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include "base/endian.h"

#define POLY UINT32_C(0x82f63b78) /* 0x1edc6f41 with its bits reversed */

/* The instruction gives a result after three cycles, but takes new work in
 * each: three streams side by side, LONG or SHORT bytes each, cost as much as
 * one. The longer fits a block of 4096 bytes, what most sums are of. */
#define LONG 1344
#define SHORT 128

static uint32_t table[8][256];
static bool have_instruction;
/* What becomes of byte k of a register when that many zero bytes pass. */
static uint32_t over_long[4][256], over_short[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t update_table(uint32_t reg, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t a = reg ^ get_le32(p), b = get_le32(p + 4);

		reg = table[7][a & 0xff] ^ table[6][(a >> 8) & 0xff] ^
		      table[5][(a >> 16) & 0xff] ^ table[4][a >> 24] ^
		      table[3][b & 0xff] ^ table[2][(b >> 8) & 0xff] ^
		      table[1][(b >> 16) & 0xff] ^ table[0][b >> 24];
	}
	for (; len; p++, len--)
		reg = (reg >> 8) ^ table[0][(reg ^ *p) & 0xff];
	return reg;
}

#ifdef __x86_64__
/* The passing of zeros is linear: what becomes of each single bit is enough. */
static void setup_over(uint32_t over[4][256], size_t len)
{
	static const uint8_t zeros[LONG];

	for (int k = 0; k < 4; k++)
		for (int bit = 0; bit < 8; bit++) {
			uint32_t one = update_table(
				UINT32_C(1) << (8 * k + bit), zeros, len);

			for (uint32_t i = 0; i < UINT32_C(1) << bit; i++)
				over[k][i | UINT32_C(1) << bit] =
					over[k][i] ^ one;
		}
}

static inline uint32_t pass(uint32_t over[4][256], uint32_t reg)
{
	return over[0][reg & 0xff] ^ over[1][(reg >> 8) & 0xff] ^
	       over[2][(reg >> 16) & 0xff] ^ over[3][reg >> 24];
}
#endif

static void setup(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c >> 1) ^ (c & 1 ? POLY : 0);
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 0xff];
#ifdef __x86_64__
	__builtin_cpu_init();
	have_instruction = __builtin_cpu_supports("sse4.2");
	setup_over(over_long, LONG);
	setup_over(over_short, SHORT);
#endif
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static inline uint32_t three(uint32_t reg,
	const uint8_t *p, size_t len, uint32_t over[4][256])
{
	uint64_t a = reg, b = 0, c = 0;

	for (size_t i = 0; i < len; i += 8) {
		a = __builtin_ia32_crc32di(a, get_le64(p + i));
		b = __builtin_ia32_crc32di(b, get_le64(p + len + i));
		c = __builtin_ia32_crc32di(c, get_le64(p + 2 * len + i));
	}
	b ^= pass(over, (uint32_t)a);
	return (uint32_t)c ^ pass(over, (uint32_t)b);
}

__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t reg,
	const uint8_t *p, size_t len)
{
	uint64_t r;

	for (; len >= 3 * LONG; p += 3 * LONG, len -= 3 * LONG)
		reg = three(reg, p, LONG, over_long);
	for (; len >= 3 * SHORT; p += 3 * SHORT, len -= 3 * SHORT)
		reg = three(reg, p, SHORT, over_short);
	r = reg;
	for (; len >= 8; p += 8, len -= 8)
		r = __builtin_ia32_crc32di(r, get_le64(p));
	for (; len; p++, len--)
		r = __builtin_ia32_crc32qi((uint32_t)r, *p);
	return (uint32_t)r;
}
#endif

uint32_t crc32c_update(uint32_t reg, const void *data, size_t len)
{
	pthread_once(&once, setup);
#ifdef __x86_64__
	if (have_instruction)
		return update_sse42(reg, data, len);
#endif
	return update_table(reg, data, len);
}
