/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of one source over another: an overlay over what it stands on. */
#include "os/source.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

struct stack_source {
	struct source s;
	struct source *top, *base;
	size_t n;
	struct source_range ranges[];
};

static size_t find(const struct stack_source *m, uint64_t off)
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

static int stack_pread(struct source *s, void *buf_arg, size_t len,
	uint64_t off, struct error *e)
{
	struct stack_source *m = (struct stack_source *)s;
	uint8_t *buf = buf_arg;
	size_t i = find(m, off);

	while (len) {
		const struct source_range *g = &m->ranges[i];
		bool in = i < m->n && g->off <= off;
		uint64_t end = in ? g->off + g->len
			       : i < m->n ? g->off
					  : s->size;
		size_t n = (size_t)u64_min(end - off, len);
		int r = source_pread(in ? m->top : m->base, buf, n, off, e);

		if (r)
			return r;
		i += in && off + n == end;
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int stack_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct stack_source *m = (struct stack_source *)s;
	size_t i = find(m, off);
	bool in = i < m->n && m->ranges[i].off <= off;
	uint64_t end = in ? m->ranges[i].off + m->ranges[i].len
		       : i < m->n ? m->ranges[i].off
				  : s->size;
	int r = source_extent_at(in ? m->top : m->base, off, out, e);

	if (!r) {
		out->len = u64_min(out->len, end - off);
		out->layer += !in;
	}
	return r;
}

static void stack_close(struct source *s)
{
	source_unref(((struct stack_source *)s)->top);
	source_unref(((struct stack_source *)s)->base);
	free(s);
}

static const struct source_ops stack_ops = {
	.name = "overlay",
	.pread = stack_pread,
	.extent = stack_extent,
	.close = stack_close,
};

int source_stack(struct source *top, struct source *base,
	const struct source_range *ranges, size_t n, struct source **out,
	struct error *e)
{
	struct stack_source *m;
	uint64_t end = 0;
	size_t bytes;

	if (top->size != base->size)
		return error_set(e, ERR_ARG, "layers of two sizes");
	for (size_t i = 0; i < n; i++) {
		if (!ranges[i].len || ranges[i].off < end ||
			!range_inside(ranges[i].off, ranges[i].len, top->size))
			return error_set(e, ERR_ARG,
				"overlay ranges are not in order");
		end = ranges[i].off + ranges[i].len;
	}
	if (!size_mul(n, sizeof(*ranges), &bytes) ||
		!size_add(bytes, sizeof(*m), &bytes))
		return error_nomem(e);
	m = calloc(1, bytes);
	if (!m)
		return error_nomem(e);
	source_init(&m->s, &stack_ops, top->size);
	m->s.sector_size = base->sector_size;
	m->top = source_ref(top);
	m->base = source_ref(base);
	m->n = n;
	if (n)
		memcpy(m->ranges, ranges, n * sizeof(*ranges));
	*out = &m->s;
	return 0;
}
