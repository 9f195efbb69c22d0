/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs, with checksums taken as right, so that changes get deep. */
#include "fs/btrfs.h"
#include "fs/table.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	btrfs_fuzz_no_csum = true;
	fuzz_fs(&fs_btrfs, data, size);
	return 0;
}
