/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables: what is listed must lie inside the disk. */
#include <stdlib.h>
#include <string.h>
#include "fuzz/fuzz.h"
#include "part/part.h"

static void drop(void *ctx, const struct finding *f)
{
	(void)ctx;
	if (strlen(f->detail) > 100000)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finding_sink sink = { drop, NULL };
	struct source *src = fuzz_source(data, size);
	struct error e = { 0 };
	struct part_table t;

	if (!src)
		return 0;
	if (!part_table_read(src, &sink, &t, &e)) {
		for (size_t i = 0; i < t.len; i++) {
			const struct partition *p = &t.items[i];

			if (!p->len || p->off > src->size ||
				p->len > src->size - p->off || !p->number ||
				(i && t.items[i - 1].number >= p->number))
				abort();
		}
		part_table_release(&t);
	}
	source_unref(src);
	return 0;
}
