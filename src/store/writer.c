/* SPDX-License-Identifier: Apache-2.0 */
/* Writing packs: many threads gather objects in frames of their own, compress
 * them (packer.c), and append them to one pack. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/claims.h"
#include "store/frame.h"
#include "store/store_internal.h"

/* A pack is closed and indexed when it has this many objects (about 100 bytes
 * of memory each, with their claims) or bytes. */
#define ROTATE_OBJECTS (256u * 1024)
#define ROTATE_BYTES (UINT64_C(4) << 30)

struct writer {
	struct store *store;
	struct lease *lease;
	struct snapshot *snap;
	struct writer_options opt;
	/* Holds the indexes of packs that are closed. They must become
	 * visible at once: a list of chunks in one pack may name chunks in
	 * another. */
	struct claims *claims;

	pthread_mutex_t lock; /* guards what follows */
	struct backend_upload *upload;
	unsigned writes_under_way;
	pthread_cond_t idle;
	uint8_t pack_id[16];
	uint64_t off;
	VEC(struct index_frame) frames;
	VEC(struct index_entry) entries;
	struct writer_stats stats;
	bool failed; /* a frame was lost: finish must not succeed */
};

int writer_open(struct store *s, const struct writer_options *opt,
	struct writer **out, struct error *e)
{
	struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_nomem(e);
	w->store = s;
	if (opt)
		w->opt = *opt;
	if (!w->opt.level)
		w->opt.level = FRAME_LEVEL_IMPORT;
	if (!w->opt.frame_size)
		w->opt.frame_size = DEFAULT_FRAME;
	if (!w->opt.pack_objects)
		w->opt.pack_objects = ROTATE_OBJECTS;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->idle, NULL);
	r = claims_new(s, &w->claims, e);
	if (!r)
		r = lease_take(s->be, &w->lease, e);
	/* After the lease: what is known now stays as long as it is held. */
	if (!r)
		r = store_refresh(s, e);
	if (r) {
		writer_close(w);
		return r;
	}
	w->snap = store_snapshot(s);
	*out = w;
	return 0;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	if (w->upload)
		w->store->be->ops->upload_abort(w->upload);
	snapshot_unref(w->store, w->snap);
	lease_release(w->lease);
	claims_free(w->claims);
	vec_release(&w->frames);
	vec_release(&w->entries);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* --- who brings an object --- */

static bool in_store(
	struct writer *w, enum object_space space, const struct oid *id)
{
	struct located at;

	return !w->opt.rewrite && snapshot_find(w->snap, space, id, &at) &&
	       !lease_condemned(w->lease, space, id);
}

bool writer_knows(
	struct writer *w, enum object_space space, const struct oid *id)
{
	return in_store(w, space, id) || claims_have(w->claims, space, id);
}

bool writer_claim(
	struct writer *w, enum object_space space, const struct oid *id)
{
	return !in_store(w, space, id) && claims_add(w->claims, space, id);
}

/* --- packs --- */

static int start_pack(struct writer *w, struct error *e)
{
	struct pack_header h = {.format = le32_make(STORE_FORMAT)};
	int r;

	if (getrandom(w->pack_id, 16, 0) != 16)
		return error_errno(e, "random numbers");
	memcpy(h.magic, PACK_MAGIC, 8);
	memcpy(h.id, w->pack_id, 16);
	r = w->store->be->ops->upload_start(w->store->be, &w->upload, e);
	if (r)
		return r;
	w->off = sizeof(h);
	return w->store->be->ops->upload_write(w->upload, &h, sizeof(h), 0, e);
}

/* With the lock held and no write under way: closes the pack and, if it is
 * the last, publishes the index. */
static int finish_pack(struct writer *w, bool last, struct error *e)
{
	struct backend_upload *u = w->upload;
	struct pack_footer f = {.frames = le64_make(w->frames.len)};
	struct index_pack p = {.frames = le32_make((uint32_t)w->frames.len)};
	struct index_build b = {.packs = &p,
		.npacks = 1,
		.frames = w->frames.items,
		.nframes = (uint32_t)w->frames.len,
		.entries = w->entries.items,
		.nentries = w->entries.len};
	AUTO_BUF ix = BUF_INIT;
	char name[64];
	int r;

	if (!u)
		return last && claims_retired(w->claims)
			       ? claims_publish(w->claims, e)
			       : 0;
	memcpy(f.magic, PACK_END_MAGIC, 8);
	memcpy(f.id, w->pack_id, 16);
	f.size = le64_make(w->off + sizeof(f));
	f.checksum = le64_make(
		checksum64(&f, offsetof(struct pack_footer, checksum)));
	memcpy(p.id, w->pack_id, 16);
	p.size = f.size;
	r = w->store->be->ops->upload_write(u, &f, sizeof(f), w->off, e);
	if (!r)
		r = index_build_encode(&b, &ix, e);
	if (r)
		return r;
	pack_name(w->pack_id, name);
	w->upload = NULL;
	r = w->store->be->ops->upload_finish(u, name, e);
	if (!r && last && !claims_retired(w->claims))
		r = store_put_index(w->store, &ix, e);
	else if (!r) {
		r = claims_retire(w->claims, w->pack_id, &ix, e);
		if (!r && last)
			r = claims_publish(w->claims, e);
	}
	if (r)
		return r;
	w->stats.stored_bytes += w->off + sizeof(f) + ix.len;
	w->frames.len = w->entries.len = 0;
	return 0;
}

static bool pack_is_full(const struct writer *w)
{
	return w->off >= ROTATE_BYTES ||
	       w->entries.len >= w->opt.pack_objects;
}

/* Appends an encoded frame with its objects. */
int writer_append_frame(struct writer *w, const struct buf *stored,
	uint32_t raw_len, const struct frame_item *obj, size_t n,
	uint32_t shift, struct error *e)
{
	struct index_frame f = {
		.stored_len = le32_make(
			(uint32_t)(stored->len - sizeof(struct frame_header))),
		.raw_len = le32_make(raw_len),
	};
	struct backend_upload *u;
	uint64_t off;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	if (w->upload && pack_is_full(w)) {
		while (w->writes_under_way)
			pthread_cond_wait(&w->idle, &w->lock);
		/* another thread may have done it while we waited */
		if (pack_is_full(w))
			r = finish_pack(w, false, e);
	}
	if (!r && !w->upload)
		r = start_pack(w, e);
	if (!r) {
		f.off = le64_make(w->off);
		if (!vec_reserve(&w->entries, w->entries.len + n) ||
			!vec_push(&w->frames, f))
			r = error_nomem(e);
	}
	if (r) {
		w->failed = true;
		pthread_mutex_unlock(&w->lock);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		w->entries.items[w->entries.len++] = (struct index_entry){
			.id = obj[i].id,
			.frame = (uint32_t)w->frames.len - 1,
			.off = obj[i].off + shift,
			.len_kind = obj[i].len_kind,
		};
	off = w->off;
	w->off += stored->len;
	u = w->upload;
	w->writes_under_way++;
	pthread_mutex_unlock(&w->lock);

	r = w->store->be->ops->upload_write(
		u, stored->data, stored->len, off, e);

	pthread_mutex_lock(&w->lock);
	if (r)
		w->failed = true;
	if (!--w->writes_under_way)
		pthread_cond_broadcast(&w->idle);
	pthread_mutex_unlock(&w->lock);
	return r;
}

const struct writer_options *writer_get_options(const struct writer *w)
{
	return &w->opt;
}

void writer_count(struct writer *w, enum object_kind kind, size_t len)
{
	pthread_mutex_lock(&w->lock);
	w->stats.new_objects++;
	w->stats.new_bytes += len;
	if (object_space(kind) == SPACE_CONTENT)
		w->stats.new_blobs++;
	pthread_mutex_unlock(&w->lock);
}

void writer_lost(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->failed = true;
	pthread_mutex_unlock(&w->lock);
}

int writer_put_frame(struct writer *w, const void *stored, size_t len,
	uint32_t raw_len, const struct frame_item *items, size_t n,
	struct error *e)
{
	AUTO_BUF b = BUF_INIT;

	buf_add(&b, stored, len);
	return b.oom ? error_nomem(e)
		     : writer_append_frame(w, &b, raw_len, items, n, 0, e);
}

int writer_finish(struct writer *w, struct error *e)
{
	int r;

	pthread_mutex_lock(&w->lock);
	if (w->failed)
		r = error_set(e, ERR_IO, "some objects could not be written");
	else
		r = finish_pack(w, true, e);
	pthread_mutex_unlock(&w->lock);
	if (!r)
		r = store_refresh(w->store, e);
	if (!r)
		store_merge_indexes(w->store);
	return r;
}

void writer_get_stats(struct writer *w, struct writer_stats *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->stats;
	pthread_mutex_unlock(&w->lock);
}
