/* SPDX-License-Identifier: Apache-2.0 */
/* Gathering objects in frames: the bytes of many small ones are compressed
 * together. Records come from one thread while the others have nothing to do,
 * so their frames are compressed by a thread of the packer. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/frame.h"
#include "store/store_internal.h"

/* Of a frame's table; over 7,000 objects. */
#define TABLE_ROOM (32u * 1024)

/* A frame that is being filled. */
struct gather {
	/* Room for the table, then the objects. The table ends where they
	 * begin, so that the frame is one piece and nothing is copied. */
	struct buf bytes;
	size_t table_len;
	VEC(struct frame_item) items;
};

struct packer {
	struct writer *w;
	size_t frame_size;
	struct gather now;
	/* of whoever compresses: the caller, or the thread while it is busy */
	ZSTD_CCtx *cctx;
	struct buf stored;

	bool threaded, started;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t moved;
	struct gather full; /* the thread's while busy */
	bool busy, quit;
	int code; /* the thread's first error */
	struct error error;
};

int packer_open(struct writer *w, struct packer **out, struct error *e)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return error_nomem(e);
	p->w = w;
	p->frame_size = writer_get_options(w)->frame_size;
	p->cctx = ZSTD_createCCtx();
	if (!p->cctx) {
		free(p);
		return error_nomem(e);
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	*out = p;
	return 0;
}

int packer_open_records(struct writer *w, struct packer **out, struct error *e)
{
	int r = packer_open(w, out, e);

	if (r)
		return r;
	(*out)->frame_size = size_min(
		RECORD_FRAME, writer_get_options(w)->frame_size);
	(*out)->threaded = true;
	return 0;
}

static void gather_release(struct gather *g)
{
	buf_release(&g->bytes);
	vec_release(&g->items);
}

void packer_close(struct packer *p)
{
	if (!p)
		return;
	if (p->started) {
		pthread_mutex_lock(&p->lock);
		p->quit = true;
		pthread_cond_broadcast(&p->moved);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->thread, NULL);
	}
	/* claimed by nobody else, and lost */
	if (p->now.items.len || p->full.items.len)
		writer_lost(p->w);
	ZSTD_freeCCtx(p->cctx);
	buf_release(&p->stored);
	gather_release(&p->now);
	gather_release(&p->full);
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static uint32_t objects_len(const struct gather *g)
{
	return (uint32_t)(g->bytes.len ? g->bytes.len - TABLE_ROOM : 0);
}

/* Bytes of an object's entry in the table. */
static size_t entry_len(uint32_t len_kind)
{
	return len_kind >> 24 == OBJ_CHUNKS ? 36 : 4;
}

/* Compresses a frame and gives it to the writer. */
static int write_out(struct packer *p, struct gather *g, struct error *e)
{
	size_t table = g->table_len;
	uint32_t raw_len = (uint32_t)table + objects_len(g);
	uint8_t *raw, *at;
	int r;

	if (!g->items.len)
		return 0;
	if (g->bytes.oom)
		return error_nomem(e);
	raw = at = g->bytes.data + TABLE_ROOM - table;
	put_le32(at, (uint32_t)g->items.len);
	at += 4;
	for (size_t i = 0; i < g->items.len; i++) {
		const struct frame_item *t = &g->items.items[i];

		put_le32(at, t->len_kind);
		if (entry_len(t->len_kind) > 4)
			memcpy(at + 4, t->id.b, 32);
		at += entry_len(t->len_kind);
	}
	r = frame_encode(p->cctx, writer_get_options(p->w)->level, raw, raw_len,
		&p->stored, e);
	if (!r)
		r = writer_append_frame(p->w, &p->stored, raw_len,
			g->items.items, g->items.len, (uint32_t)table, e);
	if (r)
		return r;
	g->items.len = 0;
	buf_clear(&g->bytes);
	return 0;
}

static void *write_behind(void *arg)
{
	struct packer *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct error e = { 0 };
		int r;

		while (!p->busy && !p->quit)
			pthread_cond_wait(&p->moved, &p->lock);
		if (!p->busy)
			break;
		pthread_mutex_unlock(&p->lock);
		r = write_out(p, &p->full, &e);
		pthread_mutex_lock(&p->lock);
		if (r && !p->code) {
			p->code = r;
			p->error = e;
		}
		p->busy = false;
		pthread_cond_broadcast(&p->moved);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* With the lock held: waits until the thread has nothing to do. */
static int wait_idle(struct packer *p, struct error *e)
{
	while (p->busy)
		pthread_cond_wait(&p->moved, &p->lock);
	if (p->code && e)
		*e = p->error;
	return p->code;
}

/* The frame is full: the thread takes it, and another is begun. */
static int next_frame(struct packer *p, struct error *e)
{
	struct gather empty;
	int r;

	if (p->threaded && !p->started)
		p->started = !pthread_create(
			&p->thread, NULL, write_behind, p);
	if (!p->started)
		return write_out(p, &p->now, e);
	pthread_mutex_lock(&p->lock);
	r = wait_idle(p, e);
	if (!r) {
		empty = p->full;
		p->full = p->now;
		p->now = empty;
		p->busy = true;
		pthread_cond_broadcast(&p->moved);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

int packer_flush(struct packer *p, struct error *e)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = wait_idle(p, e);
	pthread_mutex_unlock(&p->lock);
	return r ? r : write_out(p, &p->now, e);
}

int packer_add(struct packer *p, enum object_kind kind, const struct oid *id,
	const void *data, size_t len, struct error *e)
{
	uint32_t len_kind = (uint32_t)len | (uint32_t)kind << 24;
	struct gather *g = &p->now;
	int r;

	if (len > OBJECT_MAX)
		return error_set(e, ERR_LIMIT, "an object of %zu bytes", len);
	if (g->items.len &&
		(objects_len(g) + len > p->frame_size + p->frame_size / 4 ||
			g->table_len + entry_len(len_kind) > TABLE_ROOM)) {
		r = next_frame(p, e);
		if (r)
			return r;
	}
	if (!g->items.len) {
		buf_zero(&g->bytes, TABLE_ROOM);
		g->table_len = 4;
	}
	if (!vec_push(&g->items, (struct frame_item){.id = *id,
					   .len_kind = len_kind,
					   .off = objects_len(g)}))
		return error_nomem(e);
	g->table_len += entry_len(len_kind);
	buf_add(&g->bytes, data, len);
	if (g->bytes.oom)
		return error_nomem(e);
	writer_count(p->w, kind, len);
	return objects_len(g) >= p->frame_size ? next_frame(p, e) : 0;
}

int packer_put_record(struct packer *p, enum object_kind kind, const void *data,
	size_t len, struct oid *out, struct error *e)
{
	sha256(data, len, out);
	return writer_claim(p->w, SPACE_RECORD, out)
		       ? packer_add(p, kind, out, data, len, e)
		       : 0;
}

int packer_put_known(struct packer *p, const void *data, size_t len,
	const struct oid *id, struct error *e)
{
	return len && writer_claim(p->w, SPACE_CONTENT, id)
		       ? packer_add(p, OBJ_BLOB, id, data, len, e)
		       : 0;
}

int packer_put_blob(struct packer *p, const void *data, size_t len,
	struct oid *out, struct error *e)
{
	sha256(data, len, out);
	return packer_put_known(p, data, len, out, e);
}
