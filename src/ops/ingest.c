/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep over a disk.
 *
 * The disk is cut, in order, into jobs of about a MiB: holes, gaps between
 * files (skeleton) and extents of files. Workers take jobs; the one that meets
 * the first extent of a file reads the whole file. Finished jobs are laid out
 * in order by whoever finishes the oldest one; since a file begins in the job
 * of its first extent, its hash is known when a later extent is laid out.
 */
#include "ops/ingest.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/layout.h"
#include "ops/ingest_file.h"
#include "ops/raw_cut.h"

#define JOB_BYTES (1u * 1024 * 1024)
#define JOB_PIECES 2048
/* Jobs under way, a thread: those behind one that is slow. */
#define RING_THREAD 32

enum piece_kind { PIECE_ZERO, PIECE_GAP, PIECE_FILE, PIECE_RAW };

struct piece {
	uint64_t off, len;
	enum piece_kind kind;
	uint32_t item;	 /* FILE: index in cut.items */
	struct oid id;	 /* RAW */
};
typedef VEC(struct piece) pieces;

struct job {
	pieces out;
	bool done;
};

struct sweep {
	struct ingest in; /* first */
	struct layout_builder layout;
	struct packer *records; /* of the layout; guarded by collect */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	uint64_t at;	  /* next byte to be cut */
	size_t item;	  /* next claimed extent */
	uint64_t head, tail; /* jobs [head, tail) are under way, modulo nring */
	struct job *ring;
	size_t nring;
	unsigned working; /* jobs and segments being worked on */
	uint64_t done_bytes, data_bytes;
	int code; /* the first error */
	struct error error;
	time_t told;

	pthread_mutex_t collect; /* guards laying out */
};

unsigned ingest_threads(void)
{
	cpu_set_t set;
	int n = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > 12 ? 12 : (unsigned)n;
}

static void fail(struct sweep *s, int code, const struct error *e)
{
	pthread_mutex_lock(&s->lock);
	if (!s->code) {
		s->code = code;
		s->error = *e;
	}
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* --- cutting --- */

/* The first piece of the gap [at, end): zeros, or bytes to be read. Where it
 * ends depends on the disk's content alone, not on which zeros its container
 * happens to know as holes: the same disk must give the same chunks. So data
 * is widened to whole blocks, joined over what is then no hole any more, and
 * cut at multiples of GAP_MAX. */
static int cut_gap(struct source *src, uint64_t at, uint64_t end,
	struct piece *p, struct error *e)
{
	uint64_t limit = u64_min(round_down(at + GAP_MAX, GAP_MAX), end);
	uint64_t from, to;
	int r = source_next_data(src, at, end, GAP_MAX, &from, &to, e);

	if (r)
		return r;
	from = from >= end ? end : u64_max(round_down(from, RAW_BLOCK), at);
	if (from > at) {
		p->kind = PIECE_ZERO;
		p->len = from - at;
		return 0;
	}
	p->kind = PIECE_GAP;
	for (;;) {
		to = u64_min(round_up(to, RAW_BLOCK), limit);
		p->len = to - at;
		if (to == limit)
			return 0;
		r = source_next_data(src, to, limit, GAP_MAX, &from, &to, e);
		if (r || from >= limit ||
			round_down(from, RAW_BLOCK) > at + p->len)
			return r;
	}
}

/* With the lock held: cuts the next job into pieces. */
static int cut_job(struct sweep *s, pieces *in, struct error *e)
{
	const struct cut *c = s->in.cut;
	const struct cut_disk *cd = &c->disks.items[s->in.disk];
	uint64_t size = s->in.src->size;
	uint64_t budget = JOB_BYTES;

	in->len = 0;
	while (s->at < size && budget && in->len < JOB_PIECES) {
		struct piece p = { .off = s->at };
		uint64_t next = size, cost;

		if (s->item < cd->n) {
			const struct cut_item *it =
				&c->items.items[cd->first + s->item];
			const struct cut_extent *x =
				&c->extents.items[it->extent];
			const struct cut_file *f = &c->files.items[it->file];

			next = x->disk_off;
			if (next == s->at) {
				p.kind = PIECE_FILE;
				p.len = x->len;
				p.item = (uint32_t)(cd->first + s->item++);
				/* What the worker will read for it. */
				cost = f->first_item == p.item ? f->size : 4096;
				budget -= u64_min(budget, cost + 512);
				goto push;
			}
		}
		{
			int r = cut_gap(s->in.src, s->at, next, &p, e);

			if (r)
				return r;
			if (p.kind == PIECE_GAP)
				budget -= u64_min(budget, p.len);
		}
push:
		if (p.kind != PIECE_ZERO)
			s->data_bytes += p.len;
		s->at += p.len;
		if (!vec_push(in, p))
			return error_nomem(e);
	}
	return 0;
}

/* --- working --- */

struct gap {
	pieces *out;
	uint64_t off;
};

static int on_raw(void *ctx, bool zero, uint64_t len, const struct oid *id,
	struct error *e)
{
	struct gap *g = ctx;
	struct piece p = { .off = g->off,
		.len = len,
		.kind = zero ? PIECE_ZERO : PIECE_RAW };

	if (id)
		p.id = *id;
	g->off += len;
	return vec_push(g->out, p) ? 0 : error_nomem(e);
}

static int do_gap(struct ingest_worker *w, pieces *out, const struct piece *p,
	struct error *e)
{
	struct gap g = { out, p->off };
	uint8_t *buf;
	int r;

	buf_clear(&w->data);
	buf = buf_room(&w->data, (size_t)p->len);
	if (!buf)
		return error_nomem(e);
	r = ingest_read(w, (uint32_t)w->in->disk, buf, (size_t)p->len, p->off,
		e);
	if (!r)
		r = ingest_digest(w, (uint32_t)w->in->disk, buf,
			(size_t)p->len, p->off, e);
	return r ? r
		 : raw_cut(w->packer, buf, (size_t)p->len, p->off, on_raw, &g,
			   e);
}

/* An extent here of a file that began on another disk: only the digest needs
 * its bytes. */
static int digest_extent(struct ingest_worker *w, const struct piece *p,
	struct error *e)
{
	for (uint64_t at = 0; at < p->len;) {
		size_t n = (size_t)u64_min(p->len - at, JOB_BYTES);
		uint8_t *buf;
		int r;

		buf_clear(&w->data);
		buf = buf_room(&w->data, n);
		if (!buf)
			return error_nomem(e);
		r = source_pread(w->in->src, buf, n, p->off + at, e);
		if (!r)
			r = ingest_digest(w, (uint32_t)w->in->disk, buf, n,
				p->off + at, e);
		if (r)
			return r;
		at += n;
	}
	return 0;
}

/* Small pieces in a row are read at once: a system call costs as much as the
 * copy of 8 KiB. */
#define AHEAD_PIECE (64 * 1024)
#define AHEAD_BYTES (256 * 1024)

static bool read_small(const struct cut *c, const struct piece *p)
{
	return p->len <= AHEAD_PIECE &&
	       (p->kind == PIECE_GAP ||
		       (p->kind == PIECE_FILE &&
			       c->files.items[c->items.items[p->item].file]
					       .first_item == p->item));
}

/* Reads the run of small pieces that begins with the i-th; returns where it
 * ends. */
static size_t read_run(struct ingest_worker *w, const pieces *in, size_t i)
{
	uint64_t off = in->items[i].off;
	size_t k = i, len = 0;

	while (k < in->len && len < AHEAD_BYTES &&
		read_small(w->in->cut, &in->items[k]))
		len += (size_t)in->items[k++].len;
	if (k > i + 1)
		ingest_read_ahead(w, len, off);
	return k > i ? k : i + 1;
}

static int do_job(struct ingest_worker *w, const pieces *in, pieces *out,
	struct error *e)
{
	const struct cut *c = w->in->cut;
	size_t run = 0; /* the end of what was read ahead */
	int r = 0;

	out->len = 0;
	for (size_t i = 0; i < in->len && !r; i++) {
		const struct piece *p = &in->items[i];

		if (i >= run)
			run = read_run(w, in, i);
		if (p->kind == PIECE_GAP) {
			r = do_gap(w, out, p, e);
			continue;
		}
		if (p->kind == PIECE_FILE) {
			struct cut_file *f =
				&w->in->cut->files
					 .items[c->items.items[p->item].file];
			const struct cut_item *first =
				&c->items.items[f->first_item];

			if (f->first_item == p->item)
				r = ingest_file(w, f, e);
			else if (c->extents.items[first->extent].disk !=
				 w->in->disk)
				r = digest_extent(w, p, e);
		}
		if (!r && !vec_push(out, *p))
			r = error_nomem(e);
	}
	return r ? r : ingest_settle(w, e);
}

/* --- laying out --- */

static int put_record(void *ctx, const void *data, size_t len,
	struct oid *out, struct error *e)
{
	return packer_put_record(ctx, OBJ_LAYOUT, data, len, out, e);
}

static int lay_out_file(struct sweep *s, const struct piece *p,
	struct error *e)
{
	const struct cut *c = s->in.cut;
	const struct cut_item *it = &c->items.items[p->item];
	const struct cut_file *f = &c->files.items[it->file];
	uint64_t file_off = c->extents.items[it->extent].file_off;
	bool slack = f->flags & CUT_SLACK && file_off + p->len > f->size;
	uint64_t body = slack ? f->size - file_off : p->len;
	int r;

	r = layout_builder_add(&s->layout, LAYOUT_FILE, body, &f->hash,
		file_off, e);
	if (!r && slack) {
		struct oid id;

		pthread_mutex_lock(&s->in.lock); /* the vec may be moving */
		id = c->slack.items[f->slack].id;
		pthread_mutex_unlock(&s->in.lock);
		r = layout_builder_add(&s->layout, LAYOUT_RAW, p->len - body,
			&id, 0, e);
	}
	return r;
}

static int lay_out(struct sweep *s, const struct job *j, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < j->out.len && !r; i++) {
		const struct piece *p = &j->out.items[i];

		if (p->off != s->layout.at)
			return error_at(e, ERR_CORRUPT, p->off,
				"the pieces of the disk do not join");
		if (p->kind == PIECE_FILE)
			r = lay_out_file(s, p, e);
		else
			r = layout_builder_add(&s->layout,
				p->kind == PIECE_ZERO ? LAYOUT_ZERO
						      : LAYOUT_RAW,
				p->len, &p->id, 0, e);
	}
	return r;
}

/* Lays out finished jobs from the oldest on. Only one thread at a time; the
 * others go on, whoever lays out looks again before it leaves. */
static int collect(struct sweep *s, struct error *e)
{
	int r = 0;

	pthread_mutex_lock(&s->collect);
	pthread_mutex_lock(&s->lock);
	while (!r && !s->code && s->head < s->tail &&
		s->ring[s->head % s->nring].done) {
		struct job *j = &s->ring[s->head % s->nring];

		pthread_mutex_unlock(&s->lock);
		r = lay_out(s, j, e);
		pthread_mutex_lock(&s->lock);
		s->head++;
		pthread_cond_broadcast(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->collect);
	return r;
}

/* --- threads --- */

static void tell(struct sweep *s)
{
	const struct progress *p = s->in.args->progress;
	struct timespec now;

	if (!p || !p->update)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	/* about four times a second */
	if (s->told == now.tv_sec * 4 + now.tv_nsec / 250000000)
		return;
	s->told = now.tv_sec * 4 + now.tv_nsec / 250000000;
	p->update(p->ctx, "import", s->at, s->in.src->size);
}

/* Takes a job, or helps with a large file. 1: did something, 0: all is done,
 * < 0. */
static int step(struct sweep *s, struct ingest_worker *w, pieces *in,
	struct error *e)
{
	struct job *j = NULL;
	int r;

	r = progress_check(s->in.args->progress, e);
	if (r)
		return r;
	r = ingest_help(w, e);
	if (r) {
		if (r > 0) { /* somebody may wait for work or for the end */
			pthread_mutex_lock(&s->lock);
			pthread_cond_broadcast(&s->wake);
			pthread_mutex_unlock(&s->lock);
		}
		return r;
	}
	pthread_mutex_lock(&s->lock);
	if (s->code) {
		r = s->code;
		*e = s->error;
	} else if (s->at < s->in.src->size && s->tail - s->head < s->nring) {
		j = &s->ring[s->tail % s->nring];
		j->done = false;
		r = cut_job(s, in, e);
		s->tail++;
		s->working++;
		tell(s);
	} else if (s->working || (s->at < s->in.src->size)) {
		struct timespec t;

		/* Others are at it: they may queue a large file, or make room.
		 * The time limit is for a wake-up that came in between. */
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 20 * 1000 * 1000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&s->wake, &s->lock, &t);
		r = 1;
	}
	pthread_mutex_unlock(&s->lock);
	if (!j)
		return r;
	if (!r)
		r = do_job(w, in, &j->out, e);
	pthread_mutex_lock(&s->lock);
	s->working--;
	j->done = !r;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (!r)
		r = collect(s, e);
	return r ? r : 1;
}

struct thread {
	struct sweep *s;
	pthread_t id;
	struct digest_acc digest;
	bool started;
};

static void *run(void *arg)
{
	struct thread *t = arg;
	struct ingest_worker w;
	pieces in = { 0 };
	struct error e = { 0 };
	int r = ingest_worker_init(&w, &t->s->in, &e);

	while (!r) {
		r = step(t->s, &w, &in, &e);
		if (r <= 0)
			break;
		r = 0;
	}
	if (!r)
		r = ingest_worker_finish(&w, &e);
	if (r)
		fail(t->s, r, &e);
	t->digest = w.digest;
	memset(&w.digest, 0, sizeof(w.digest));
	ingest_worker_release(&w);
	vec_release(&in);
	return NULL;
}

static void release(struct sweep *s)
{
	ingest_release(&s->in);
	for (size_t i = 0; i < s->nring; i++)
		vec_release(&s->ring[i].out);
	free(s->ring);
	layout_builder_release(&s->layout);
	packer_close(s->records);
	pthread_mutex_destroy(&s->in.lock);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->collect);
	pthread_cond_destroy(&s->wake);
	free(s);
}

static struct sweep *sweep_new(const struct ingest_args *a, size_t disk,
	unsigned threads)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->nring = threads * RING_THREAD;
	s->ring = calloc(s->nring, sizeof(*s->ring));
	if (!s->ring) {
		free(s);
		return NULL;
	}
	s->in.args = a;
	s->in.cut = a->cut;
	s->in.disk = disk;
	s->in.src = a->disks[disk];
	pthread_mutex_init(&s->in.lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->collect, NULL);
	pthread_cond_init(&s->wake, NULL);
	return s;
}

/* Runs fn on n threads, the first being the caller's. */
static unsigned run_threads(struct thread *t, unsigned n, void *(*fn)(void *))
{
	unsigned started = 1;

	for (unsigned i = 1; i < n; i++) {
		t[i].started = !pthread_create(&t[i].id, NULL, fn, &t[i]);
		started += t[i].started;
	}
	fn(&t[0]);
	for (unsigned i = 1; i < n; i++)
		if (t[i].started)
			pthread_join(t[i].id, NULL);
	return started;
}

int ingest_disk(const struct ingest_args *a, size_t disk,
	struct ingest_disk *out, struct error *e)
{
	unsigned n = a->threads ? a->threads : ingest_threads();
	struct sweep *s = sweep_new(a, disk, n);
	struct digest_acc sum = { 0 };
	struct thread *t = calloc(n, sizeof(*t));
	int r;

	if (!s || !t) {
		free(t);
		if (s)
			release(s);
		return error_nomem(e);
	}
	r = packer_open_records(a->writer, &s->records, e);
	if (!r)
		r = layout_builder_init(&s->layout, s->in.src->size, put_record,
			s->records, e);
	if (!r) {
		for (unsigned i = 0; i < n; i++)
			t[i].s = s;
		run_threads(t, n, run);
		r = s->code;
		if (r && e)
			*e = s->error;
	}
	for (unsigned i = 0; i < n && !r; i++)
		r = digest_acc_merge(&sum, &t[i].digest, e);
	if (!r)
		r = digest_acc_finish(&sum, s->in.src, e);
	if (!r)
		r = layout_builder_finish(&s->layout, &out->layout, e);
	if (!r)
		r = packer_flush(s->records, e);
	if (!r) {
		out->sum = sum.sum;
		out->data_bytes = s->data_bytes;
	}
	for (unsigned i = 0; i < n; i++)
		digest_acc_release(&t[i].digest);
	digest_acc_release(&sum);
	free(t);
	release(s);
	return r;
}
