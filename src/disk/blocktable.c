/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/blocktable.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/endian.h"

#define ENTRY 4u

int blocktable_check(struct blocktable *t, uint64_t size, uint64_t file_size,
	uint64_t at_count, uint64_t at_offset, struct error *e)
{
	uint64_t need = div_ceil(size, t->block_size);

	if (need > t->nblocks)
		return error_at(e, ERR_CORRUPT, at_count,
			"%s: %" PRIu64 " blocks cannot hold the disk of %" PRIu64
			" bytes", t->name, t->nblocks, size);
	t->nblocks = need;
	if (!range_inside(t->at, need * ENTRY, file_size))
		return error_at(e, ERR_CORRUPT, at_offset,
			"%s: the block table at %" PRIu64
			" is outside the file of %" PRIu64 " bytes", t->name,
			t->at, file_size);
	return 0;
}

/* n is below 2^32, unit at most LIMIT_CONTAINER_BLOCK: below 2^60. */
static bool place(const struct blocktable *t, const uint8_t *entry,
	uint64_t *out_at)
{
	uint32_t n = t->big_endian ? get_be32(entry) : get_le32(entry);

	*out_at = t->origin + n * t->unit;
	return n < t->none;
}

int blocktable_get(struct blockmap *m, const struct blocktable *t, uint64_t i,
	bool *out_here, uint64_t *out_at, struct error *e)
{
	uint8_t b[ENTRY] = { 0 };
	int r = source_pread(m->meta, b, sizeof(b), t->at + i * ENTRY, e);

	if (!r)
		*out_here = place(t, b, out_at);
	return r;
}

int blocktable_scan(struct blockmap *m, const struct blocktable *t,
	const struct finding_sink *findings, struct error *e)
{
	struct tally sum = { .file_size = m->file->size };
	uint8_t buf[4096];

	for (uint64_t i = 0; i < t->nblocks && sum.inside <= sum.file_size;
		i += sizeof(buf) / ENTRY) {
		size_t n = (size_t)u64_min(sizeof(buf) / ENTRY, t->nblocks - i);
		int r = source_pread(m->meta, buf, n * ENTRY, t->at + i * ENTRY,
			e);

		if (r)
			return r;
		for (size_t k = 0; k < n; k++) {
			uint64_t at;

			/* Tools end the file with the last block's data. */
			if (place(t, buf + k * ENTRY, &at))
				tally_add(&sum, at,
					t->head +
						u64_min(t->block_size,
							m->s.size -
								(i + k) *
									t->block_size));
		}
	}
	return tally_end(&sum, t->name, findings, e);
}
