/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of slots and equal workers. A slot is empty, taken (being worked
 * on), done (waiting for its turn), or being emitted. Each worker does
 * what is most urgent: emit if it is that job's turn, else take a new one. */
#include "disk/pipeline.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

/* Under way at most, unless two a thread are more: each has a buffer. */
#define JOBS_MAX 24

enum slot_state { SLOT_EMPTY, SLOT_TAKEN, SLOT_DONE };

struct ring {
	const struct pipeline *p;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint8_t *slots;
	enum slot_state *state;
	size_t n;
	uint64_t tail, head; /* job numbers: next to emit, next to take */
	bool ended, emitting, nexting;
	int code;
	struct error error;
};

unsigned pipeline_threads(void)
{
	cpu_set_t set;
	int n = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > 16 ? 16 : (unsigned)n;
}

/* With the lock held. */
static void failed(struct ring *g, int code, const struct error *e)
{
	if (!g->code) {
		g->code = code;
		g->error = *e;
	}
	g->ended = true;
	pthread_cond_broadcast(&g->moved);
}

static void *slot_of(struct ring *g, uint64_t job)
{
	return g->slots + (size_t)(job % g->n) * g->p->slot_size;
}

/* With the lock held, which is given back while the job is emitted. */
static void emit_one(struct ring *g)
{
	void *slot = slot_of(g, g->tail);
	struct error e = { 0 };
	int r = 0;

	if (g->p->emit) {
		g->emitting = true;
		pthread_mutex_unlock(&g->lock);
		r = g->p->emit(g->p->ctx, slot, &e);
		pthread_mutex_lock(&g->lock);
		g->emitting = false;
	}
	g->state[g->tail % g->n] = SLOT_EMPTY;
	g->tail++;
	if (r)
		failed(g, r, &e);
	pthread_cond_broadcast(&g->moved);
}

/* The same for a new job. */
static void take_one(struct ring *g)
{
	uint64_t job = g->head;
	void *slot = slot_of(g, job);
	struct error e = { 0 };
	int r;

	g->nexting = true;
	pthread_mutex_unlock(&g->lock);
	r = g->p->next(g->p->ctx, slot, &e);
	pthread_mutex_lock(&g->lock);
	g->nexting = false;
	if (r <= 0) {
		g->ended = true;
		if (r)
			failed(g, r, &e);
		pthread_cond_broadcast(&g->moved);
		return;
	}
	g->state[job % g->n] = SLOT_TAKEN;
	g->head++;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
	r = g->p->work(g->p->ctx, slot, &e);
	pthread_mutex_lock(&g->lock);
	g->state[job % g->n] = SLOT_DONE;
	if (r)
		failed(g, r, &e);
	pthread_cond_broadcast(&g->moved);
}

static void *worker(void *arg)
{
	struct ring *g = arg;

	pthread_mutex_lock(&g->lock);
	for (;;) {
		if (g->code || (g->ended && g->tail == g->head))
			break;
		if (!g->emitting && g->tail < g->head &&
			g->state[g->tail % g->n] == SLOT_DONE)
			emit_one(g);
		else if (!g->ended && !g->nexting && g->head - g->tail < g->n)
			take_one(g);
		else
			pthread_cond_wait(&g->moved, &g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int pipeline_run(const struct pipeline *p, struct error *e)
{
	struct ring g = { .p = p };
	unsigned threads = p->threads ? p->threads : pipeline_threads();
	unsigned started = 0;
	pthread_t id[16];

	if (threads > 16)
		threads = 16;
	g.n = (size_t)threads * (p->depth ? p->depth : 2);
	if (g.n > JOBS_MAX)
		g.n = JOBS_MAX > 2 * threads ? JOBS_MAX : 2 * threads;
	g.slots = calloc(g.n, p->slot_size);
	g.state = calloc(g.n, sizeof(*g.state));
	if (!g.slots || !g.state) {
		free(g.slots);
		free(g.state);
		return error_nomem(e);
	}
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.moved, NULL);
	/* Fewer threads than hoped for is slower, not wrong. */
	while (started + 1 < threads &&
		!pthread_create(&id[started], NULL, worker, &g))
		started++;
	worker(&g);
	while (started)
		pthread_join(id[--started], NULL);
	if (p->drop)
		for (size_t i = 0; i < g.n; i++)
			p->drop(g.slots + i * p->slot_size);
	pthread_cond_destroy(&g.moved);
	pthread_mutex_destroy(&g.lock);
	free(g.slots);
	free(g.state);
	if (g.code && e)
		*e = g.error;
	return g.code;
}
