/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reindex.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/frame.h"
#include "store/names.h"
#include "store/store_internal.h"

#define MARKER "index/repair-under-way.idx"
/* Each holds the entries of one pack: 22 MiB, and as much encoded. */
#define THREADS_MAX 4
/* Twice what a writer puts into a pack. */
#define PACK_OBJECTS_MAX (1024u * 1024)
/* Looking for the next frame behind bytes that are none. */
#define RESYNC_STEP (1024u * 1024)

struct pack_file {
	uint8_t id[16];
	uint64_t size;
};

struct reindex {
	struct store *s;
	reindex_progress_fn progress;
	void *ctx;
	VEC(struct pack_file) todo;
	uint64_t total;
	pthread_mutex_t lock; /* guards what follows */
	size_t next;
	uint64_t done;
	name_list fresh; /* index files that were written */
	struct reindex_result *out;
	int code;
	struct error error;
};

/* One pack on its way to an index. */
struct pack_walk {
	struct reindex *x;
	const struct pack_file *pack;
	VEC(struct index_frame) frames;
	VEC(struct index_entry) entries;
	struct buf stored, raw;
	uint64_t lost;
	struct error *e;
};

static int on_object(void *ctx, enum object_kind kind, const struct oid *id,
	uint32_t off, uint32_t len)
{
	struct pack_walk *w = ctx;
	struct index_entry t = { .frame = (uint32_t)w->frames.len,
		.off = off,
		.len_kind = len | (uint32_t)kind << 24 };

	if (w->entries.len >= PACK_OBJECTS_MAX)
		return ERR_LIMIT;
	if (id)
		t.id = *id;
	else
		sha256(w->raw.data + off, len, &t.id);
	return vec_push(&w->entries, t) ? 0 : error_nomem(w->e);
}

/* 1: a frame that can be read, *out_len bytes with its header; 0: none; or an
 * error. */
static int take_frame(struct pack_walk *w, uint64_t off, uint64_t *out_len)
{
	struct store *s = w->x->s;
	struct frame_header h;
	struct index_frame f = { .off = le64_make(off) };
	struct error why = { 0 };
	size_t before = w->entries.len, n;
	int r;

	if (w->pack->size - off < sizeof(h))
		return 0;
	r = store_pack_read(s, w->pack->id, &h, sizeof(h), off, w->e);
	if (r)
		return r;
	n = sizeof(h) + (size_t)le32_get(h.stored_len);
	if (!frame_header_check(&h) || n > w->pack->size - off)
		return 0;
	*out_len = n;
	buf_clear(&w->stored);
	buf_clear(&w->raw);
	if (!buf_grow(&w->stored, n) || !buf_grow(&w->raw, le32_get(h.raw_len)))
		return error_nomem(w->e);
	r = store_pack_read(s, w->pack->id, w->stored.data, n, off, w->e);
	if (r)
		return r;
	r = frame_decode(w->stored.data, n, w->raw.data, le32_get(h.raw_len),
		&why);
	if (!r)
		r = frame_objects(w->raw.data, le32_get(h.raw_len), on_object,
			w, &why);
	if (r == ERR_NOMEM)
		return error_nomem(w->e);
	if (r) {
		w->entries.len = before;
		return 0;
	}
	f.stored_len = h.stored_len;
	f.raw_len = h.raw_len;
	return vec_push(&w->frames, f) ? 1 : error_nomem(w->e);
}

/* The next place from off on that looks like a frame's header, or the end. */
static int resync(struct pack_walk *w, uint64_t off, uint64_t *out)
{
	le32 magic = le32_make(FRAME_MAGIC);
	AUTO_BUF b = BUF_INIT;

	if (!buf_grow(&b, RESYNC_STEP))
		return error_nomem(w->e);
	while (off < w->pack->size) {
		size_t n = (size_t)u64_min(RESYNC_STEP, w->pack->size - off);
		const uint8_t *hit;
		int r = store_pack_read(w->x->s, w->pack->id, b.data, n, off,
			w->e);

		if (r)
			return r;
		hit = memmem(b.data, n, &magic, sizeof(magic));
		if (hit) {
			*out = off + (uint64_t)(hit - b.data);
			return 0;
		}
		if (n < RESYNC_STEP)
			break;
		off += n - (sizeof(magic) - 1);
	}
	*out = w->pack->size;
	return 0;
}

static int walk(struct pack_walk *w)
{
	uint64_t size = w->pack->size, off = sizeof(struct pack_header);
	uint64_t end = size - size_min(size, sizeof(struct pack_footer));

	while (off < end) {
		uint64_t len = 0, next;
		int r = take_frame(w, off, &len);

		if (r < 0 || r > 1)
			return r;
		if (r) {
			off += len;
			continue;
		}
		/* a frame of which only the content is damaged is passed over
		 * whole: what stands in it may look like anything */
		next = off + len;
		if (!len) {
			r = resync(w, off + 1, &next);
			if (r)
				return r;
		}
		next = u64_min(next, end);
		w->lost += next - off;
		off = next;
	}
	return 0;
}

static int index_pack(struct pack_walk *w, struct buf *out)
{
	struct index_pack p = { .size = le64_make(w->pack->size),
		.frames = le32_make((uint32_t)w->frames.len) };
	struct index_build b = { .packs = &p,
		.npacks = 1,
		.frames = w->frames.items,
		.nframes = (uint32_t)w->frames.len,
		.entries = w->entries.items,
		.nentries = w->entries.len };

	memcpy(p.id, w->pack->id, 16);
	return index_build_encode(&b, out, w->e);
}

static int publish(struct reindex *x, const struct buf *ix, struct error *e)
{
	char path[64];
	int r = backend_new_name("index", ".idx", path, e);

	if (r)
		return r;
	pthread_mutex_lock(&x->lock);
	r = names_take(&x->fresh, strdup(path), e);
	pthread_mutex_unlock(&x->lock);
	return r ? r
		 : x->s->be->ops->put(x->s->be, path, ix->data, ix->len, e);
}

static int one_pack(struct reindex *x, const struct pack_file *pack,
	struct error *e)
{
	struct pack_walk w = { .x = x, .pack = pack, .e = e };
	AUTO_BUF ix = BUF_INIT;
	int r = walk(&w);

	if (!r)
		r = index_pack(&w, &ix);
	if (!r)
		r = publish(x, &ix, e);
	pthread_mutex_lock(&x->lock);
	x->out->packs++;
	x->out->objects += w.entries.len;
	x->out->lost_bytes += w.lost;
	x->done += pack->size;
	if (!r && x->progress)
		r = x->progress(x->ctx, x->done, x->total, e);
	pthread_mutex_unlock(&x->lock);
	vec_release(&w.frames);
	vec_release(&w.entries);
	buf_release(&w.stored);
	buf_release(&w.raw);
	return r;
}

static void *run(void *arg)
{
	struct reindex *x = arg;
	struct error e = { 0 };
	int r = 0;

	while (!r) {
		size_t i;

		pthread_mutex_lock(&x->lock);
		i = x->code ? x->todo.len : x->next++;
		pthread_mutex_unlock(&x->lock);
		if (i >= x->todo.len)
			break;
		r = one_pack(x, &x->todo.items[i], &e);
	}
	pthread_mutex_lock(&x->lock);
	if (r && !x->code) {
		x->code = r;
		x->error = e;
	}
	pthread_mutex_unlock(&x->lock);
	return NULL;
}

/* --- all of them --- */

static int on_pack(void *ctx, const char *name, uint64_t size,
	int64_t mtime ATTR_UNUSED)
{
	struct reindex *x = ctx;
	struct pack_file f = { .size = size };

	if (strlen(name) != 37 || strcmp(name + 32, ".pack") ||
		!hex_decode(name, 16, f.id))
		return 0;
	x->total += size;
	return vec_push(&x->todo, f) ? 0 : ERR_NOMEM;
}

static int index_all(struct reindex *x, unsigned threads, struct error *e)
{
	pthread_t t[THREADS_MAX];
	bool started[THREADS_MAX] = { 0 };
	int r = x->s->be->ops->list(x->s->be, "packs", on_pack, x, e);

	if (r)
		return r == ERR_NOMEM ? error_nomem(e) : r;
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	for (unsigned i = 1; i < threads; i++)
		started[i] = !pthread_create(&t[i], NULL, run, x);
	run(x);
	for (unsigned i = 1; i < threads; i++)
		if (started[i])
			pthread_join(t[i], NULL);
	if (x->code && e)
		*e = x->error;
	return x->code;
}

static int remove_old(struct reindex *x, const name_list *old,
	struct error *e)
{
	struct backend *be = x->s->be;
	int r = 0;

	for (size_t i = 0; i < old->len && !r; i++) {
		char path[64];

		/* other names are none of ours */
		if (strlen(old->items[i]) >= INDEX_NAME_MAX)
			continue;
		snprintf(path, sizeof(path), "index/%s", old->items[i]);
		if (!strcmp(path, MARKER))
			continue;
		r = be->ops->remove(be, path, e);
		x->out->indexes++;
	}
	return r ? r : be->ops->sync(be, "index", e);
}

/* As if it had not been tried: what an earlier repair left closed stays so. */
static void take_back(struct reindex *x, const name_list *old)
{
	struct backend *be = x->s->be;

	for (size_t i = 0; i < x->fresh.len; i++)
		be->ops->remove(be, x->fresh.items[i], NULL);
	for (size_t i = 0; i < old->len; i++)
		if (!strcmp(old->items[i], strchr(MARKER, '/') + 1))
			return;
	be->ops->remove(be, MARKER, NULL);
}

int store_reindex(struct store *s, unsigned threads,
	reindex_progress_fn progress, void *ctx, struct reindex_result *out,
	struct error *e)
{
	static const char text[] =
		"A repair is under way, or was cut short: run "
		"'strata verify --repair' again.\n";
	struct reindex x = { .s = s, .progress = progress, .ctx = ctx,
		.out = out };
	AUTO_NAMES old = { 0 };
	int r;

	memset(out, 0, sizeof(*out));
	r = backend_names(s->be, "index", &old, e);
	if (r)
		return r;
	pthread_mutex_init(&x.lock, NULL);
	r = s->be->ops->put(s->be, MARKER, text, sizeof(text) - 1, e);
	if (!r)
		r = index_all(&x, threads, e);
	if (r)
		take_back(&x, &old);
	else
		r = remove_old(&x, &old, e);
	pthread_mutex_destroy(&x.lock);
	vec_release(&x.todo);
	names_release(&x.fresh);
	return r ? r : store_refresh(s, e);
}

int store_reindex_end(struct store *s, struct error *e)
{
	int r = s->be->ops->remove(s->be, MARKER, e);

	if (!r)
		r = s->be->ops->sync(s->be, "index", e);
	return r ? r : store_refresh(s, e);
}
