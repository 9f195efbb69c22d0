/* SPDX-License-Identifier: Apache-2.0 */
/* LVM2 and MD on the two halves of the input: what is readable must lie on
 * its members. */
#include <stdlib.h>
#include "fuzz/fuzz.h"
#include "volume/volume.h"

static void drop(void *ctx, const struct finding *f)
{
	(void)ctx;
	(void)f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finding_sink sink = { drop, NULL };
	struct source *src = fuzz_source(data, size), *half[2] = { 0 };
	struct volume_member m[2];
	struct volume_set set;
	struct error e = { 0 };
	uint64_t mid;

	if (!src)
		return 0;
	mid = src->size / 2 & ~UINT64_C(4095);
	if (source_window(src, 0, mid, &half[0], &e) ||
		source_window(src, mid, src->size - mid, &half[1], &e))
		abort();
	for (int i = 0; i < 2; i++)
		m[i] = (struct volume_member){ half[i], "half" };
	if (!volume_scan(m, 2, &sink, &set, &e)) {
		for (size_t i = 0; i < set.len; i++) {
			const struct logical_volume *v = &set.items[i];
			struct source *s = NULL;
			uint64_t at = 0;

			for (size_t k = 0; k < v->nsegments; k++) {
				const struct volume_segment *x = &v->segments[k];

				if (!x->len || (x->member != UINT32_MAX &&
					(x->member > 1 || x->off > half[x->member]->size ||
					x->len > half[x->member]->size - x->off)))
					abort();
				at += x->len;
			}
			if (!v->readable)
				continue;
			if (at != v->size)
				abort();
			if (!volume_source(v, m, 2, &s, &e)) {
				uint8_t b;

				if (!source_pread(s, &b, 1, s->size, &e))
					abort();
				(void)!source_pread(s, &b, 1, s->size - 1, &e);
				source_unref(s);
			}
		}
		volume_set_release(&set);
	}
	source_unref(half[0]);
	source_unref(half[1]);
	source_unref(src);
	return 0;
}
