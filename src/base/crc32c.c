/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: the processor's instruction where it has one, else eight tables. */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include "base/endian.h"

#define POLY UINT32_C(0x82f63b78) /* 0x1edc6f41 with its bits reversed */

static uint32_t table[8][256];
static bool have_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

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
#endif
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t reg,
	const uint8_t *p, size_t len)
{
	uint64_t r = reg;

	for (; len >= 8; p += 8, len -= 8)
		r = __builtin_ia32_crc32di(r, get_le64(p));
	for (; len; p++, len--)
		r = __builtin_ia32_crc32qi((uint32_t)r, *p);
	return (uint32_t)r;
}
#endif

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

uint32_t crc32c_update(uint32_t reg, const void *data, size_t len)
{
	pthread_once(&once, setup);
#ifdef __x86_64__
	if (have_instruction)
		return update_sse42(reg, data, len);
#endif
	return update_table(reg, data, len);
}
