/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of compressed system files: XPRESS and LZX. */
#include <stdlib.h>
#include "base/endian.h"
#include "fs/ntfs_codec.h"
#include "fuzz/fuzz.h"

/* The first byte says which, the next two how much there is to come. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t max;
	uint8_t *out;
	bool ok;

	if (size < 3)
		return 0;
	max = (size_t)get_le16(data + 1) + 1;
	out = malloc(max); /* of that size: overruns are seen */
	if (!out)
		return 0;
	ok = data[0] & 1 ? lzx_decode(data + 3, size - 3, out, max)
			 : xpress_decode(data + 3, size - 3, out, max);
	/* all of it is set */
	for (size_t i = 0; ok && i < max; i++)
		data[0] & 2 ? out[i]++ : out[i]--;
	free(out);
	return 0;
}
