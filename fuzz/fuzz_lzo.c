/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "codec/lzo.h"
#include "fuzz/fuzz.h"

/* The first byte says how much room there is, so that the bound is met. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t max, n = SIZE_MAX;
	uint8_t *out;

	if (!size)
		return 0;
	max = data[0] == 255 ? 128 * 1024 : data[0] * 16u;
	out = malloc(max ? max : 1); /* of that size: overruns are seen */
	if (out && !lzo1x_decode(data + 1, size - 1, out, max, &n, NULL) &&
		n > max)
		abort();
	free(out);
	return 0;
}
