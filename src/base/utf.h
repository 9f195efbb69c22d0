/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-16 as disks hold it, to UTF-8; what is UTF-8. */
#ifndef STRATA_BASE_UTF_H
#define STRATA_BASE_UTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/endian.h"

/* What becomes of a surrogate without its partner (disks hold them). */
enum utf_lone {
	/* The three bytes that UTF-8 would have for it: not valid UTF-8, but
	 * two different names stay different (ntfs-3g does the same). */
	UTF_LONE_KEEP,
	/* U+FFFD: for labels and what else is only shown. */
	UTF_LONE_REPLACE,
};

/* The length of the UTF-8 character at p (n bytes left), 0 where it is none:
 * overlong forms, surrogates and what is above U+10FFFF are not. */
static inline size_t utf8_len(const uint8_t *p, size_t n)
{
	size_t k = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (!k || k > n)
		return 0;
	for (size_t i = 1; i < k; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return k;
}

/* Writes cp (below 0x110000; surrogates as they are) and returns how many
 * bytes, 1 to 4. */
static inline size_t utf8_put(uint8_t out[4], uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (uint8_t)(0xc0 | cp >> 6);
		out[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (uint8_t)(0xe0 | cp >> 12);
		out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | cp >> 18);
	out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

/* Converts n units (2 bytes each, no alignment needed) to UTF-8. Nothing is
 * treated as an end: a NUL unit gives a NUL byte, so cut before. Writes at
 * most max bytes, whole characters only, and no terminator; 3 * n is always
 * enough. Returns the bytes written, *out_lone (may be NULL) the number of
 * lone surrogates. */
static inline size_t utf16_to_utf8(const uint8_t *in, size_t n, bool big_endian,
	enum utf_lone lone, uint8_t *out, size_t max, size_t *out_lone)
{
	size_t len = 0, bad = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t u = big_endian ? get_be16(in + 2 * i)
					: get_le16(in + 2 * i);
		uint8_t c[4];
		size_t k;

		if (u >= 0xd800 && u < 0xe000) {
			uint32_t v = i + 1 >= n ? 0
				     : big_endian
					     ? get_be16(in + 2 * i + 2)
					     : get_le16(in + 2 * i + 2);

			if (u < 0xdc00 && v >= 0xdc00 && v < 0xe000) {
				u = 0x10000 + ((u - 0xd800) << 10) + v - 0xdc00;
				i++;
			} else {
				bad++;
				if (lone == UTF_LONE_REPLACE)
					u = 0xfffd;
			}
		}
		k = utf8_put(c, u);
		if (k > max - len)
			break;
		for (size_t j = 0; j < k; j++)
			out[len++] = c[j];
	}
	if (out_lone)
		*out_lone = bad;
	return len;
}

/* The number of units before the first NUL unit, at most n. */
static inline size_t utf16_len(const uint8_t *in, size_t n)
{
	size_t i = 0;

	while (i < n && (in[2 * i] || in[2 * i + 1]))
		i++;
	return i;
}

/* Fixed-size UTF-16 field that ends at a NUL unit or where it is full, as a
 * NUL-terminated UTF-8 string in out of size bytes (cut where it is longer). */
static inline void utf16_field(const uint8_t *in, size_t n, bool big_endian,
	char *out, size_t size)
{
	out[utf16_to_utf8(in, utf16_len(in, n), big_endian, UTF_LONE_REPLACE,
		(uint8_t *)out, size - 1, NULL)] = 0;
}

#endif
