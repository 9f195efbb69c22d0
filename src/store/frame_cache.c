/* SPDX-License-Identifier: Apache-2.0 */
#include "store/frame_cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/compiler.h"

#define BUCKETS 4096u

struct node {
	struct cached_frame f; /* first */
	struct node *next;     /* of the bucket */
	struct node *newer, *older;
	uint64_t pack, off;
	unsigned refs;
	enum { LOADING, READY, FAILED } state;
	int code; /* of a failure: NOTFOUND makes the caller look again */
	uint8_t data[];
};

struct frame_cache {
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	size_t budget, used;
	struct node *buckets[BUCKETS];
	struct node *newest, *oldest; /* of those that nobody holds */
};

struct frame_cache *frame_cache_new(size_t budget)
{
	struct frame_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->budget = budget;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->loaded, NULL);
	return c;
}

static struct node **bucket(struct frame_cache *c, uint64_t pack, uint64_t off)
{
	uint64_t h = (pack ^ (off * UINT64_C(0x9e3779b97f4a7c15))) *
		     UINT64_C(0xbf58476d1ce4e5b9);

	return &c->buckets[h >> 52];
}

static void idle_remove(struct frame_cache *c, struct node *n)
{
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

static void drop(struct frame_cache *c, struct node *n)
{
	struct node **p = bucket(c, n->pack, n->off);

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	c->used -= n->f.len;
	free(n);
}

static void shrink(struct frame_cache *c)
{
	while (c->used > c->budget && c->oldest) {
		struct node *n = c->oldest;

		idle_remove(c, n);
		drop(c, n);
	}
}

void frame_cache_set_budget(struct frame_cache *c, size_t budget)
{
	pthread_mutex_lock(&c->lock);
	c->budget = budget;
	shrink(c);
	pthread_mutex_unlock(&c->lock);
}

void frame_cache_free(struct frame_cache *c)
{
	if (!c)
		return;
	frame_cache_set_budget(c, 0);
	pthread_cond_destroy(&c->loaded);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* With the lock held. */
static void release(struct frame_cache *c, struct node *n)
{
	if (--n->refs)
		return;
	if (n->state == FAILED) {
		drop(c, n);
		return;
	}
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
	shrink(c);
}

int frame_cache_get(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx, struct cached_frame **out,
	struct error *e)
{
	struct node *n;
	int r;

	pthread_mutex_lock(&c->lock);
	for (n = *bucket(c, pack, off); n; n = n->next)
		if (n->pack == pack && n->off == off && n->f.len == len &&
			n->state != FAILED)
			break;
	if (n) {
		if (!n->refs++)
			idle_remove(c, n);
		while (n->state == LOADING)
			pthread_cond_wait(&c->loaded, &c->lock);
		if (n->state == READY) {
			pthread_mutex_unlock(&c->lock);
			*out = &n->f;
			return 0;
		}
		r = n->code;
		release(c, n);
		pthread_mutex_unlock(&c->lock);
		return error_set(e, r, "library: a frame could not be read "
				       "by another thread either");
	}
	n = malloc(sizeof(*n) + len);
	if (!n) {
		pthread_mutex_unlock(&c->lock);
		return error_nomem(e);
	}
	*n = (struct node){ .f = { n->data, len },
		.next = *bucket(c, pack, off),
		.pack = pack,
		.off = off,
		.refs = 1,
		.state = LOADING };
	*bucket(c, pack, off) = n;
	c->used += len;
	shrink(c);
	pthread_mutex_unlock(&c->lock);

	r = load(ctx, n->data, len, e);

	pthread_mutex_lock(&c->lock);
	n->state = r ? FAILED : READY;
	n->code = r;
	pthread_cond_broadcast(&c->loaded);
	if (r)
		release(c, n);
	pthread_mutex_unlock(&c->lock);
	if (!r)
		*out = &n->f;
	return r;
}

void frame_cache_put(struct frame_cache *c, struct cached_frame *f)
{
	pthread_mutex_lock(&c->lock);
	release(c, (struct node *)f);
	pthread_mutex_unlock(&c->lock);
}
