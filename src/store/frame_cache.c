/* SPDX-License-Identifier: Apache-2.0 */
#include "store/frame_cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/compiler.h"
#include "store/frame_room.h"
#include "store/store.h"

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
	struct frame_room room;
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

static size_t size_of(size_t len)
{
	return sizeof(struct node) + len;
}

static void idle_remove(struct frame_cache *c, struct node *n)
{
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

/* Takes a node out; it is to be freed. */
static void take_out(struct frame_cache *c, struct node *n)
{
	struct node **p = bucket(c, n->pack, n->off);

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	c->used -= n->f.len;
}

/* Takes out what is over the budget: a chain for free_chain, since giving half
 * a megabyte back takes longer than others should wait for the lock. */
static struct node *shrink(struct frame_cache *c)
{
	struct node *gone = NULL;

	while (c->used > c->budget && c->oldest) {
		struct node *n = c->oldest;

		idle_remove(c, n);
		take_out(c, n);
		n->next = gone;
		gone = n;
	}
	return gone;
}

/* Pieces of the map are marked only: the lock is taken again for them. */
static void free_chain(struct frame_cache *c, struct node *n)
{
	while (n) {
		struct node *next = n->next;
		bool ours = false;

		if (size_of(n->f.len) >= FRAME_ROOM_LEAST) {
			pthread_mutex_lock(&c->lock);
			ours = frame_room_put(&c->room, n, size_of(n->f.len));
			pthread_mutex_unlock(&c->lock);
		}
		if (!ours)
			free(n);
		n = next;
	}
}

void frame_cache_set_budget(struct frame_cache *c, size_t budget)
{
	struct node *gone;

	pthread_mutex_lock(&c->lock);
	c->budget = budget;
	gone = shrink(c);
	pthread_mutex_unlock(&c->lock);
	free_chain(c, gone);
}

void frame_cache_free(struct frame_cache *c)
{
	if (!c)
		return;
	frame_cache_set_budget(c, 0);
	frame_room_release(&c->room);
	pthread_cond_destroy(&c->loaded);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* With the lock held. Returns what is to be freed. */
static struct node *release(struct frame_cache *c, struct node *n)
{
	if (--n->refs)
		return NULL;
	if (n->state == FAILED) {
		take_out(c, n);
		n->next = NULL;
		return n;
	}
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
	return shrink(c);
}

/* With the lock held. */
static struct node *find(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len)
{
	struct node *n = *bucket(c, pack, off);

	while (n && !(n->pack == pack && n->off == off && n->f.len == len &&
			    n->state != FAILED))
		n = n->next;
	return n;
}

/* Makes the frame and decodes it, with one reference. The lock is held at the
 * start and not at the end. NULL: NOMEM. */
static struct node *make(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx, struct error *e)
{
	struct node *n = NULL, *gone;
	int r;

	if (size_of(len) >= FRAME_ROOM_LEAST)
		n = frame_room_get(&c->room, size_of(len), c->budget);
	if (!n)
		n = malloc(size_of(len));
	if (!n) {
		pthread_mutex_unlock(&c->lock);
		error_nomem(e);
		return NULL;
	}
	*n = (struct node){ .f = { n->data, len },
		.next = *bucket(c, pack, off),
		.pack = pack,
		.off = off,
		.refs = 1,
		.state = LOADING };
	*bucket(c, pack, off) = n;
	c->used += len;
	gone = shrink(c);
	pthread_mutex_unlock(&c->lock);
	free_chain(c, gone);

	r = load(ctx, n->data, len, e);

	pthread_mutex_lock(&c->lock);
	n->state = r ? FAILED : READY;
	n->code = r;
	pthread_cond_broadcast(&c->loaded);
	pthread_mutex_unlock(&c->lock);
	return n;
}

int frame_cache_get(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx, struct cached_frame **out,
	struct error *e)
{
	struct node *n;
	int r;

	pthread_mutex_lock(&c->lock);
	n = find(c, pack, off, len);
	if (n) {
		if (!n->refs++)
			idle_remove(c, n);
		while (n->state == LOADING)
			pthread_cond_wait(&c->loaded, &c->lock);
		r = n->state == READY ? 0 : n->code;
		pthread_mutex_unlock(&c->lock);
		if (r)
			error_set(e, r, "library: a frame could not be read "
					"by another thread either");
	} else {
		n = make(c, pack, off, len, load, ctx, e);
		if (!n)
			return ERR_NOMEM;
		r = n->code;
	}
	if (r)
		frame_cache_put(c, &n->f);
	else
		*out = &n->f;
	return r;
}

unsigned frame_cache_warm(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx)
{
	struct node *n;

	pthread_mutex_lock(&c->lock);
	n = find(c, pack, off, len);
	if (n) {
		unsigned state = n->state == LOADING ? WARM_BUSY : 0;

		pthread_mutex_unlock(&c->lock);
		return state;
	}
	n = make(c, pack, off, len, load, ctx, NULL);
	if (n)
		frame_cache_put(c, &n->f);
	return WARM_DECODED;
}

void frame_cache_put(struct frame_cache *c, struct cached_frame *f)
{
	struct node *gone;

	pthread_mutex_lock(&c->lock);
	gone = release(c, (struct node *)f);
	pthread_mutex_unlock(&c->lock);
	free_chain(c, gone);
}
