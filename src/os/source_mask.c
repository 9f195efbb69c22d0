/* SPDX-License-Identifier: Apache-2.0 */
/* Another source with ranges that read as zeros. */
#include "os/source.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

struct mask_source {
	struct source s;
	struct source *base;
	size_t n;
	struct source_range ranges[];
};

/* The first range that ends behind off. */
static size_t find(const struct mask_source *m, uint64_t off)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->ranges[mid].off + m->ranges[mid].len <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int mask_pread(struct source *s, void *buf_arg, size_t len,
	uint64_t off, struct error *e)
{
	struct mask_source *m = (struct mask_source *)s;
	uint8_t *buf = buf_arg;
	size_t i = find(m, off);

	while (len) {
		const struct source_range *g = &m->ranges[i];
		bool in = i < m->n && g->off <= off;
		uint64_t end = in ? g->off + g->len
			       : i < m->n ? g->off
					  : s->size;
		size_t n = (size_t)u64_min(end - off, len);

		if (in) {
			memset(buf, 0, n);
			i++;
		} else {
			int r = source_pread(m->base, buf, n, off, e);

			if (r)
				return r;
		}
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int mask_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct mask_source *m = (struct mask_source *)s;
	size_t i = find(m, off);
	int r;

	if (i < m->n && m->ranges[i].off <= off) {
		*out = (struct source_extent){ .off = m->ranges[i].off,
			.len = m->ranges[i].len,
			.kind = SOURCE_ZERO };
		return 0;
	}
	r = source_extent_at(m->base, off, out, e);
	if (!r && i < m->n)
		out->len = u64_min(out->len, m->ranges[i].off - off);
	return r;
}

static void mask_close(struct source *s)
{
	source_unref(((struct mask_source *)s)->base);
	free(s);
}

static const struct source_ops mask_ops = {
	.name = "masked source",
	.pread = mask_pread,
	.extent = mask_extent,
	.close = mask_close,
};

int source_mask(struct source *base, const struct source_range *ranges,
	size_t n, struct source **out, struct error *e)
{
	struct mask_source *m;
	uint64_t end = 0;
	size_t bytes;

	for (size_t i = 0; i < n; i++) {
		if (!ranges[i].len || ranges[i].off < end ||
			!range_inside(ranges[i].off, ranges[i].len,
				base->size))
			return error_set(e, ERR_ARG,
				"mask ranges are not in order");
		end = ranges[i].off + ranges[i].len;
	}
	if (!size_mul(n, sizeof(*ranges), &bytes) ||
		!size_add(bytes, sizeof(*m), &bytes))
		return error_nomem(e);
	m = calloc(1, bytes);
	if (!m)
		return error_nomem(e);
	source_init(&m->s, &mask_ops, base->size);
	m->s.sector_size = base->sector_size;
	m->base = source_ref(base);
	m->n = n;
	if (n)
		memcpy(m->ranges, ranges, n * sizeof(*ranges));
	*out = &m->s;
	return 0;
}
