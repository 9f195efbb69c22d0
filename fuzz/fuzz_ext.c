/* SPDX-License-Identifier: Apache-2.0 */
/* ext2/3/4. Checksums would hide nearly all that a mutation can reach, so the
 * seeds are mostly without them. */
#include "fs/table.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_fs(&fs_ext, data, size);
	return 0;
}
