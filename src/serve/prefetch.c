/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/prefetch.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"

/* One read of a worker: about a frame. */
#define PIECE (512 * KIB)
#define THREADS_MAX 8
/* Pieces that wait: 32 MiB for readers, and a boot set of any shape. */
#define QUEUE_MAX 64u
#define BACKGROUND_MAX 8192u

struct piece {
	struct source *src;
	uint64_t off;
	size_t len;
};

struct ring {
	struct piece *items;
	unsigned head, len, cap;
};

struct prefetch {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct ring urgent, background;
	bool stop;
	unsigned nthreads;
	pthread_t threads[THREADS_MAX];
};

static bool ring_push(struct ring *q, struct piece x)
{
	if (q->len == q->cap)
		return false;
	q->items[(q->head + q->len++) % q->cap] = x;
	return true;
}

static bool ring_pop(struct ring *q, struct piece *out)
{
	if (!q->len)
		return false;
	*out = q->items[q->head];
	q->head = (q->head + 1) % q->cap;
	q->len--;
	return true;
}

static void *worker(void *arg)
{
	struct prefetch *p = arg;
	uint8_t *scratch = malloc(PIECE);
	struct piece x;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		if (!ring_pop(&p->urgent, &x) &&
			!ring_pop(&p->background, &x)) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		/* What fails here fails again for the client, who is told. */
		if (!source_warm(x.src, x.off, x.len) && scratch &&
			source_pread(x.src, scratch, x.len, x.off, NULL))
			(void)0;
		source_unref(x.src);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	free(scratch);
	return NULL;
}

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

int prefetch_start(unsigned threads, struct prefetch **out, struct error *e)
{
	struct prefetch *p = calloc(1, sizeof(*p));
	sigset_t all, old;
	int r = 0;

	if (!p)
		return error_nomem(e);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	p->urgent.cap = QUEUE_MAX;
	p->background.cap = BACKGROUND_MAX;
	p->urgent.items = calloc(QUEUE_MAX, sizeof(struct piece));
	p->background.items = calloc(BACKGROUND_MAX, sizeof(struct piece));
	if (!p->urgent.items || !p->background.items) {
		prefetch_stop(p);
		return error_nomem(e);
	}
	if (!threads || threads > THREADS_MAX)
		threads = processors();
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->nthreads < threads && !r) {
		r = pthread_create(&p->threads[p->nthreads], NULL, worker, p);
		if (!r)
			p->nthreads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r && !p->nthreads) {
		prefetch_stop(p);
		return error_set(e, ERR_IO, "cannot start a thread");
	}
	*out = p;
	return 0;
}

void prefetch_stop(struct prefetch *p)
{
	struct piece x;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	while (ring_pop(&p->urgent, &x) || ring_pop(&p->background, &x))
		source_unref(x.src);
	free(p->urgent.items);
	free(p->background.items);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

uint64_t prefetch_add(struct prefetch *p, struct source *src, uint64_t off,
	uint64_t len, bool background)
{
	uint64_t end = off < src->size ? off + u64_min(len, src->size - off)
				       : off;

	while (off < end) {
		uint64_t at = off, stop = end;
		bool ok;

		/* A boot set was read once: it is data, and looking at the
		 * layout of all of it would keep the client waiting. */
		if (!background && (source_next_data(src, off, end, PIECE, &at,
					    &stop, NULL) ||
					   at >= stop))
			return end;
		/* Pieces end on a grid: two readers ask for the same ones. */
		stop = u64_min(stop, round_down(at, PIECE) + PIECE);
		pthread_mutex_lock(&p->lock);
		ok = ring_push(background ? &p->background : &p->urgent,
			(struct piece){ source_ref(src), at,
				(size_t)(stop - at) });
		if (ok)
			pthread_cond_signal(&p->work);
		pthread_mutex_unlock(&p->lock);
		if (!ok) {
			source_unref(src);
			return at;
		}
		off = stop;
	}
	return end;
}
