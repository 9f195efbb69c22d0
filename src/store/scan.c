/* SPDX-License-Identifier: Apache-2.0 */
/* Reading every frame of a census, by many threads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/census.h"
#include "store/frame.h"
#include "store/store_internal.h"

struct piece {
	uint64_t frame;
	uint64_t off;
	size_t pack;
};

struct scan {
	struct store *s;
	struct census *c;
	scan_fn fn;
	void *ctx;
	VEC(struct piece) todo;
	pthread_mutex_t lock; /* guards what follows */
	size_t next;
	int code;
	struct error error;
};

struct scan_worker {
	struct scan *s;
	unsigned number;
	pthread_t thread;
	bool started;
};

static int by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

static int read_frame(struct scan *s, struct scan_frame *f, struct buf *stored,
	struct buf *raw, struct error *why)
{
	size_t n, packs;
	const struct census_pack *p = census_packs(s->c, &packs);
	char hex[33];
	int r = 0;

	if (f->at.raw_len > FRAME_RAW_MAX || f->at.stored_len > f->at.raw_len)
		r = error_set(why, ERR_DAMAGED, "its index entry is damaged");
	n = sizeof(struct frame_header) + f->at.stored_len;
	buf_clear(stored);
	buf_clear(raw);
	if (!r && (!buf_grow(stored, n) || !buf_grow(raw, f->at.raw_len)))
		return error_nomem(why);
	if (!r)
		r = store_pack_read(s->s, p[f->at.pack].id, stored->data, n,
			f->at.off, why);
	if (!r) {
		f->stored = stored->data;
		f->stored_len = n;
		r = frame_decode(stored->data, n, raw->data, f->at.raw_len,
			why);
	}
	if (r)
		error_prefix(why, "library: packs/%s.pack at offset %llu",
			hex_encode(p[f->at.pack].id, 16, hex),
			(unsigned long long)f->at.off);
	else
		f->raw = raw->data;
	return r;
}

static void *run(void *arg)
{
	struct scan_worker *w = arg;
	struct scan *s = w->s;
	AUTO_BUF stored = BUF_INIT, raw = BUF_INIT;
	struct error e = { 0 }, why = { 0 };
	int r = 0;

	while (!r) {
		struct scan_frame f = { 0 };
		size_t i;

		pthread_mutex_lock(&s->lock);
		i = s->code ? s->todo.len : s->next;
		s->next = i + 1;
		pthread_mutex_unlock(&s->lock);
		if (i >= s->todo.len)
			break;
		f.frame = s->todo.items[i].frame;
		census_frame_at(s->c, f.frame, &f.at);
		f.code = read_frame(s, &f, &stored, &raw, &why);
		f.why = &why;
		if (f.code == ERR_NOMEM)
			r = error_nomem(&e);
		else
			r = s->fn(s->ctx, w->number, &f, &e);
	}
	pthread_mutex_lock(&s->lock);
	if (r && !s->code) {
		s->code = r;
		s->error = e;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int census_scan(struct census *c, const uint64_t *want, unsigned threads,
	scan_fn fn, void *ctx, struct error *e)
{
	struct scan s = { .s = census_store(c), .c = c, .fn = fn, .ctx = ctx };
	struct scan_worker w[16] = { 0 };
	int r = 0;

	for (uint64_t i = 0; i < census_frames(c) && !r; i++) {
		struct census_frame at;

		if (want ? !bit_get(want, i) || !census_frame_at(c, i, &at)
			 : !census_frame_at(c, i, &at) || !at.first)
			continue;
		if (!vec_push(&s.todo, (struct piece){ i, at.off, at.pack }))
			r = error_nomem(e);
	}
	if (r) {
		vec_release(&s.todo);
		return r;
	}
	if (s.todo.len)
		qsort(s.todo.items, s.todo.len, sizeof(struct piece), by_place);
	pthread_mutex_init(&s.lock, NULL);
	if (threads > ARRAY_LEN(w))
		threads = ARRAY_LEN(w);
	for (unsigned i = 0; i < threads; i++)
		w[i] = (struct scan_worker){ .s = &s, .number = i };
	for (unsigned i = 1; i < threads; i++)
		w[i].started = !pthread_create(&w[i].thread, NULL, run, &w[i]);
	run(&w[0]);
	for (unsigned i = 1; i < threads; i++)
		if (w[i].started)
			pthread_join(w[i].thread, NULL);
	pthread_mutex_destroy(&s.lock);
	vec_release(&s.todo);
	if (s.code && e)
		*e = s.error;
	return s.code;
}
