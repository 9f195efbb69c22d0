/* SPDX-License-Identifier: Apache-2.0 */
/* A source of which only so much may be read. */
#include "os/source.h"

#include <inttypes.h>
#include <stdlib.h>

struct budget_source {
	struct source s;
	struct source *base;
	uint64_t max;
	_Atomic uint64_t read;
};

static int budget_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct budget_source *b = (struct budget_source *)s;
	uint64_t before = atomic_fetch_add_explicit(
		&b->read, len, memory_order_relaxed);

	if (before > b->max)
		return error_at(e, ERR_LIMIT, off,
			"over %" PRIu64 " bytes were read from an image whose "
			"files are not large enough for that",
			b->max);
	return source_pread(b->base, buf, len, off, e);
}

static int budget_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	return source_extent_at(((struct budget_source *)s)->base, off, out, e);
}

static void budget_will_need(struct source *s, uint64_t off, uint64_t len)
{
	source_will_need(((struct budget_source *)s)->base, off, len);
}

static void budget_close(struct source *s)
{
	source_unref(((struct budget_source *)s)->base);
	free(s);
}

static const struct source_ops budget_ops = {
	.name = "bounded source",
	.pread = budget_pread,
	.extent = budget_extent,
	.will_need = budget_will_need,
	.close = budget_close,
};

int source_budget(struct source *base, uint64_t max, struct source **out,
	struct error *e)
{
	struct budget_source *b = calloc(1, sizeof(*b));

	if (!b)
		return error_nomem(e);
	source_init(&b->s, &budget_ops, base->size);
	b->s.sector_size = base->sector_size;
	b->base = source_ref(base);
	b->max = max;
	*out = &b->s;
	return 0;
}
