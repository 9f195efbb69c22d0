/* SPDX-License-Identifier: Apache-2.0 */
/* A cache of blocks in front of a slow or often-asked source. One lock: it is
 * meant for metadata readers, each with a cache of its own. */
#include "os/source.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

struct cache_block {
	struct cache_block *hash_next;
	struct cache_block *newer, *older; /* the ring of use */
	uint64_t index;
	uint8_t *data;
};

struct cache_source {
	struct source s;
	struct source *base;
	pthread_mutex_t lock;
	size_t block_size, max_blocks, count;
	struct cache_block *blocks; /* max_blocks of them */
	struct cache_block **buckets;
	size_t nbuckets;
	struct cache_block ring; /* newer: oldest block, older: newest */
};

static size_t bucket_of(const struct cache_source *c, uint64_t index)
{
	return (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
	       (c->nbuckets - 1);
}

static void ring_remove(struct cache_block *b)
{
	b->newer->older = b->older;
	b->older->newer = b->newer;
}

static void ring_add_newest(struct cache_source *c, struct cache_block *b)
{
	b->newer = &c->ring;
	b->older = c->ring.older;
	b->older->newer = b;
	c->ring.older = b;
}

static void hash_remove(struct cache_source *c, struct cache_block *b)
{
	struct cache_block **p = &c->buckets[bucket_of(c, b->index)];

	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
}

/* With the lock held: the block's bytes, read if need be. */
static int get(struct cache_source *c, uint64_t index, const uint8_t **out,
	struct error *e)
{
	size_t k = bucket_of(c, index);
	struct cache_block *b;
	uint64_t off = index * c->block_size;
	int r;

	for (b = c->buckets[k]; b; b = b->hash_next)
		if (b->index == index)
			break;
	if (b) {
		ring_remove(b);
		ring_add_newest(c, b);
		*out = b->data;
		return 0;
	}
	if (c->count < c->max_blocks) {
		b = &c->blocks[c->count];
		b->data = malloc(c->block_size);
		if (!b->data)
			return error_nomem(e);
		c->count++;
	} else {
		b = c->ring.newer;
		ring_remove(b);
		if (b->index != UINT64_MAX)
			hash_remove(c, b);
	}
	b->index = UINT64_MAX;
	ring_add_newest(c, b);
	r = source_pread(c->base, b->data,
		(size_t)u64_min(c->block_size, c->s.size - off), off, e);
	if (r)
		return r;
	b->index = index;
	b->hash_next = c->buckets[k];
	c->buckets[k] = b;
	*out = b->data;
	return 0;
}

static int cache_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct cache_source *c = (struct cache_source *)s;
	uint8_t *dst = buf;
	int r = 0;

	/* Long reads are file content: they would only push metadata out. */
	if (len >= 4 * c->block_size)
		return source_pread(c->base, buf, len, off, e);
	pthread_mutex_lock(&c->lock);
	while (len) {
		uint64_t index = off / c->block_size;
		size_t in = (size_t)(off % c->block_size);
		size_t n = size_min(len, c->block_size - in);
		const uint8_t *data = NULL;

		r = get(c, index, &data, e);
		if (r)
			break;
		memcpy(dst, data + in, n);
		dst += n;
		off += n;
		len -= n;
	}
	pthread_mutex_unlock(&c->lock);
	/* A bad sector must not take its neighbours along: ask for exactly
	 * what was wanted. */
	if (r == ERR_IO || r == ERR_CORRUPT)
		r = source_pread(c->base, dst, len, off, e);
	return r;
}

static int cache_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	return source_extent_at(((struct cache_source *)s)->base, off, out, e);
}

static void cache_will_need(struct source *s, uint64_t off, uint64_t len)
{
	source_will_need(((struct cache_source *)s)->base, off, len);
}

static void cache_close(struct source *s)
{
	struct cache_source *c = (struct cache_source *)s;

	for (size_t i = 0; i < c->count; i++)
		free(c->blocks[i].data);
	free(c->blocks);
	free(c->buckets);
	source_unref(c->base);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct source_ops cache_ops = {
	.name = "cache",
	.pread = cache_pread,
	.extent = cache_extent,
	.will_need = cache_will_need,
	.close = cache_close,
};

int source_cache(struct source *base, size_t block_size, size_t budget,
	struct source **out, struct error *e)
{
	struct cache_source *c;

	if (!is_pow2(block_size) || budget < block_size)
		return error_set(e, ERR_ARG, "cache of %zu bytes in blocks of "
			"%zu", budget, block_size);
	c = calloc(1, sizeof(*c));
	if (!c)
		return error_nomem(e);
	c->max_blocks = size_min(budget / block_size,
		(size_t)div_ceil(base->size, block_size) + 1);
	for (c->nbuckets = 16; c->nbuckets < c->max_blocks; c->nbuckets *= 2)
		;
	c->blocks = calloc(c->max_blocks, sizeof(*c->blocks));
	c->buckets = calloc(c->nbuckets, sizeof(struct cache_block *));
	if (!c->blocks || !c->buckets) {
		free(c->blocks);
		free(c->buckets);
		free(c);
		return error_nomem(e);
	}
	source_init(&c->s, &cache_ops, base->size);
	c->s.sector_size = base->sector_size;
	c->base = source_ref(base);
	c->block_size = block_size;
	c->ring.newer = c->ring.older = &c->ring;
	pthread_mutex_init(&c->lock, NULL);
	*out = &c->s;
	return 0;
}
