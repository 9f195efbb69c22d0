/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds that are recognised only. */
#include "fs/table.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *src = fuzz_source(data, size);
	struct fs_info info = { 0 };
	struct error e = { 0 };

	if (!src)
		return 0;
	if (fs_kinds.probe(src, &info, &e) == FS_YES &&
		(!*info.type || strlen(info.label) >= sizeof(info.label)))
		abort();
	memset(&info, 0, sizeof(info));
	if (fs_kinds_raid.probe(src, &info, &e) == FS_YES && !*info.type)
		abort();
	source_unref(src);
	return 0;
}
