/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/dmg.h"
#include "fuzz/fuzz_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_SOURCE file = fuzz_source(data, size);

	if (file)
		fuzz_disk(&disk_dmg, file);
	return 0;
}
