/* SPDX-License-Identifier: Apache-2.0 */
/* The NTFS reader over a volume, as it is and with its records repaired. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fs/table.h"
#include "fuzz/fuzz.h"

/* Update sequences stop nearly every change of the fuzzer at the first test
 * of a record. Where the last byte of the input is odd, records and index
 * blocks get the marks that they expect. */
static void repair(uint8_t *p, size_t size)
{
	for (size_t at = SIMG_HEADER; size - at >= 12;) {
		size_t len = get_le32(p + at + 8);

		at += 12;
		if (len > size - at)
			len = size - at;
		for (size_t i = 0; i + 512 <= len; i += 512) {
			uint8_t *r = p + at + i;
			size_t off, n;

			if (memcmp(r, "FILE", 4) != 0 &&
				memcmp(r, "INDX", 4) != 0)
				continue;
			off = get_le16(r + 4);
			n = get_le16(r + 6);
			if (off > 510 || n < 2)
				continue;
			for (size_t k = 1; k < n && i + k * 512 <= len; k++)
				memcpy(r + k * 512 - 2, r + off, 2);
		}
		at += len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	fuzz_fs(&fs_ntfs, data, size);
	if (size < SIMG_HEADER + 12 || !(data[size - 1] & 1) ||
		memcmp(data, SIMG_MAGIC, 8) != 0)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	repair(copy, size);
	fuzz_fs(&fs_ntfs, copy, size);
	free(copy);
	return 0;
}
