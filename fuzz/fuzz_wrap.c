/* SPDX-License-Identifier: Apache-2.0 */
/* The unwrapper, with a small cap on what may come out. */
#include <stdlib.h>
#include "disk/wrap.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *file = NULL, *out = NULL;
	struct wrap_info info;
	struct error e;

	if (source_memory(data, size, &file, &e))
		return 0;
	if (!wrap_unwrap(&(struct wrap_args){ .file = file, .max = 1 << 20 },
		    &out, &info, &e)) {
		uint8_t b;

		if (*info.kinds && out->size > 1 << 20 && out->size > size)
			abort();
		if (out->size && source_pread(out, &b, 1, out->size - 1, &e))
			abort();
		source_unref(out);
	}
	source_unref(file);
	return 0;
}
