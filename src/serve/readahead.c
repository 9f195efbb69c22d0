/* SPDX-License-Identifier: Apache-2.0 */
/* Recognising clients that read forwards.
 *
 * Each of a few slots follows one reader: where it is, and up to where was
 * asked for ahead of it. A client with many requests under way sends them a
 * little out of order, so a read counts as the next one where it begins within
 * SLACK of the place expected. The distance starts small and doubles with each
 * read that fits, as the kernel's own read-ahead does, but stays below a part
 * of what was read in this run: what a boot loader or a guest reads is over
 * after a few megabytes, and what was read behind its end was read in vain. */
#include <pthread.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"
#include "serve/prefetch.h"

#define SLOTS 8
#define SLACK (2 * MIB)
#define FIRST_WINDOW (512 * KIB)
/* Of what was read in a row, at most one part in this many is read ahead. */
#define RUN_PARTS 4
/* Less is not worth a call. */
#define LEAST (64 * KIB)
/* Reads in a row before anything is read ahead. */
#define RUN 3

struct slot {
	uint64_t begin; /* of the run */
	uint64_t next;	/* where the next read begins */
	uint64_t ahead; /* asked for up to here */
	uint64_t window;
	uint64_t used_at;
	unsigned run;
};

struct readahead {
	struct prefetch *p;
	struct source *src;
	uint64_t window, clock;
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct readahead *readahead_new(struct prefetch *p, struct source *src,
	uint64_t window)
{
	struct readahead *ra = calloc(1, sizeof(*ra));

	if (!ra)
		return NULL;
	ra->p = p;
	ra->src = source_ref(src);
	ra->window = window;
	pthread_mutex_init(&ra->lock, NULL);
	return ra;
}

void readahead_free(struct readahead *ra)
{
	if (!ra)
		return;
	source_unref(ra->src);
	pthread_mutex_destroy(&ra->lock);
	free(ra);
}

static struct slot *find(struct readahead *ra, uint64_t off)
{
	struct slot *oldest = &ra->slots[0];

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &ra->slots[i];

		if (s->run && off + SLACK >= s->next &&
			off <= s->next + SLACK)
			return s;
		if (s->used_at < oldest->used_at)
			oldest = s;
	}
	*oldest = (struct slot){ 0 };
	return oldest;
}

void readahead_note(struct readahead *ra, uint64_t off, uint64_t len)
{
	uint64_t from = 0, upto = 0, window, got;
	struct slot *s;

	if (!ra || !ra->window)
		return;
	pthread_mutex_lock(&ra->lock);
	s = find(ra, off);
	s->used_at = ++ra->clock;
	if (!s->run) {
		s->begin = off;
		s->next = s->ahead = off + len;
		s->window = FIRST_WINDOW;
	}
	s->run += s->run < RUN;
	if (off + len > s->next) {
		s->next = off + len;
		if (s->run >= RUN)
			s->window = u64_min(2 * s->window, ra->window);
	}
	s->ahead = u64_max(s->ahead, s->next);
	/* Asking again when half of it is used up keeps the calls few. */
	window = u64_min(s->window, (s->next - s->begin) / RUN_PARTS);
	if (s->run >= RUN && window >= LEAST &&
		s->ahead - s->next <= window / 2) {
		from = s->ahead;
		upto = u64_min(s->next + window, ra->src->size);
		s->ahead = u64_max(from, upto);
	}
	pthread_mutex_unlock(&ra->lock);
	if (from >= upto)
		return;
	got = prefetch_add(ra->p, ra->src, from, upto - from, false);
	if (got < upto) {
		pthread_mutex_lock(&ra->lock);
		if (s->ahead == upto)
			s->ahead = got;
		pthread_mutex_unlock(&ra->lock);
	}
}
