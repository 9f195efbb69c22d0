/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include "base/checked.h"

bool vec_reserve_raw(void **items, size_t *cap, size_t want, size_t item_size)
{
	size_t n = *cap, bytes;
	void *p;

	if (want <= n)
		return true;
	n += n / 2;
	if (n < want)
		n = want;
	if (n < 8)
		n = 8;
	if (!size_mul(n, item_size, &bytes))
		return false;
	p = realloc(*items, bytes);
	if (!p)
		return false;
	*items = p;
	*cap = n;
	return true;
}
