/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/table.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_fs(&fs_udf, data, size);
	return 0;
}
