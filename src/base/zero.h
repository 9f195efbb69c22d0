/* SPDX-License-Identifier: Apache-2.0 */
/* Is a buffer all zeros? */
#ifndef STRATA_BASE_ZERO_H
#define STRATA_BASE_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The buffer compared with itself moved by 16 bytes: at the speed of memcmp,
 * and at once where the first bytes are not zero. */
static inline bool is_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t n = len < 16 ? len : 16;

	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return len <= 16 || !memcmp(p, p + 16, len - 16);
}

#endif
