/* SPDX-License-Identifier: Apache-2.0 */
/* The XFS reader, on sparse images. */
#include "fs/table.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_fs(&fs_xfs, data, size);
	return 0;
}
