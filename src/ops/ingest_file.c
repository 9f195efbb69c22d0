/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ingest_file.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "ops/datasum.h"
#include "ops/ingest_change.h"

#define WINDOW (1u * 1024 * 1024)

void ingest_release(struct ingest *in)
{
	struct large_file *l, *next;

	for (l = in->large; l; l = next) {
		next = l->next;
		free(l->list);
		free(l);
	}
	in->large = NULL;
}

int ingest_worker_init(struct ingest_worker *w, struct ingest *in,
	struct error *e)
{
	memset(w, 0, sizeof(*w));
	w->in = in;
	w->sha = sha256_new();
	if (!w->sha)
		return error_nomem(e);
	if (in->args->gains && in->disk == SIZE_MAX) {
		w->gains = calloc(in->args->ndisks + 1, sizeof(*w->gains));
		if (!w->gains)
			return error_nomem(e);
	}
	return packer_open(in->args->writer, &w->packer, e);
}

int ingest_worker_finish(struct ingest_worker *w, struct error *e)
{
	return packer_flush(w->packer, e);
}

void ingest_worker_release(struct ingest_worker *w)
{
	packer_close(w->packer);
	sha256_free(w->sha);
	buf_release(&w->data);
	buf_release(&w->scratch);
	buf_release(&w->held);
	buf_release(&w->ahead);
	digest_acc_release(&w->digest);
	for (size_t i = 0; w->gains && i < w->in->args->ndisks; i++)
		digest_acc_release(&w->gains[i]);
	free(w->gains);
}

int ingest_digest(struct ingest_worker *w, uint32_t disk, const uint8_t *data,
	size_t len, uint64_t off, struct error *e)
{
	const struct ingest_args *a = w->in->args;
	uint64_t size = a->disks[disk]->size;

	if (w->gains)
		return digest_acc_add_in(&w->gains[disk], size,
			a->changes[disk].changed, a->changes[disk].nchanged,
			data, len, off, e);
	if (disk != w->in->disk)
		return 0;
	return digest_acc_add(&w->digest, size, data, len, off, e);
}

int ingest_read(struct ingest_worker *w, uint32_t disk, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	if (disk != w->in->disk || off < w->ahead_off ||
		!range_inside(off - w->ahead_off, len, w->ahead.len))
		return source_pread(
			w->in->args->disks[disk], buf, len, off, e);
	memcpy(buf, w->ahead.data + (off - w->ahead_off), len);
	return 0;
}

void ingest_read_ahead(struct ingest_worker *w, size_t len, uint64_t off)
{
	uint8_t *p;

	buf_clear(&w->ahead);
	p = buf_grow(&w->ahead, len);
	if (!p || source_pread(w->in->src, p, len, off, NULL))
		buf_clear(&w->ahead);
	w->ahead_off = off;
}

/* First extent of a file that ends behind off. */
static uint32_t find_extent(const struct cut *c, const struct cut_file *f,
	uint64_t off)
{
	uint32_t lo = 0, hi = f->nextents;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct cut_extent *x =
			&c->extents.items[f->first_extent + mid];

		if (x->file_off + x->len <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Reads [off, off+len) of a file; len may reach past its size as far as its
 * extents do. digest: adds what stands on the swept disk. */
static int read_file(struct ingest_worker *w, const struct cut_file *f,
	uint8_t *buf, size_t len, uint64_t off, bool digest, struct error *e)
{
	const struct cut *c = w->in->cut;
	uint64_t end = off + len;

	for (uint32_t i = find_extent(c, f, off); off < end; i++) {
		const struct cut_extent *x =
			&c->extents.items[f->first_extent + i];
		uint64_t in, n;
		int r;

		if (i >= f->nextents || x->file_off >= end) {
			memset(buf, 0, (size_t)(end - off));
			return 0;
		}
		if (x->file_off > off) { /* a hole */
			memset(buf, 0, (size_t)(x->file_off - off));
			buf += x->file_off - off;
			off = x->file_off;
		}
		in = off - x->file_off;
		n = u64_min(x->len - in, end - off);
		r = ingest_read(w, x->disk, buf, (size_t)n, x->disk_off + in, e);
		if (!r && digest)
			r = ingest_digest(w, x->disk, buf, (size_t)n,
				x->disk_off + in, e);
		if (r)
			return r;
		if (digest && w->in->args->sums)
			datasum_check(w->in->args->sums, f, x->disk,
				x->disk_off + in, buf, (size_t)n);
		buf += n;
		off += n;
	}
	return 0;
}

/* Bytes that the last extent holds behind the file's size. */
static size_t slack_len(const struct cut *c, const struct cut_file *f)
{
	const struct cut_extent *x;

	if (!f->nextents)
		return 0;
	x = &c->extents.items[f->first_extent + f->nextents - 1];
	return x->file_off + x->len > f->size
		       ? (size_t)(x->file_off + x->len - f->size)
		       : 0;
}

static int put_slack(struct ingest_worker *w, struct cut_file *f,
	const uint8_t *data, size_t len, struct error *e)
{
	struct cut_slack s = { .len = (uint32_t)len };
	bool ok;
	int r;

	if (!(f->flags & CUT_CLAIMED) || is_zero(data, len))
		return 0;
	r = packer_put_blob(w->packer, data, len, &s.id, e);
	if (r)
		return r;
	pthread_mutex_lock(&w->in->lock);
	f->slack = (uint32_t)w->in->cut->slack.len;
	ok = vec_push(&w->in->cut->slack, s);
	pthread_mutex_unlock(&w->in->lock);
	f->flags |= CUT_SLACK;
	return ok ? 0 : error_nomem(e);
}

/* Stores a small file's content, whose hash is known. */
static int put_small(struct ingest_worker *w, struct cut_file *f,
	const uint8_t *data, struct error *e)
{
	struct writer *wr = w->in->args->writer;
	size_t size = (size_t)f->size;
	int r;

	f->flags |= CUT_HASHED;
	if (f->flags & CUT_ENCODED ||
		!writer_claim(wr, SPACE_CONTENT, &f->hash))
		return 0;
	if (size <= BLOB_WHOLE_MAX)
		return packer_add(w->packer, OBJ_BLOB, &f->hash, data, size, e);
	chunklist_begin(&w->scratch, false);
	r = chunk_memory(w->packer, data, size, &w->scratch, e);
	return r ? r
		 : packer_add(w->packer, OBJ_CHUNKS, &f->hash, w->scratch.data,
			   w->scratch.len, e);
}

int ingest_settle(struct ingest_worker *w, struct error *e)
{
	struct sha256_job job[WAITING_MAX];
	int r = 0;

	for (size_t i = 0; i < w->nwaiting; i++)
		job[i] = (struct sha256_job){ w->held.data + w->waiting[i].off,
			(size_t)w->waiting[i].file->size,
			&w->waiting[i].file->hash };
	sha256_many(job, w->nwaiting);
	for (size_t i = 0; i < w->nwaiting && !r; i++)
		r = put_small(w, w->waiting[i].file, job[i].data, e);
	w->nwaiting = 0;
	buf_clear(&w->held);
	return r;
}

int ingest_settle_full(struct ingest_worker *w, struct error *e)
{
	return w->nwaiting == WAITING_MAX || w->held.len >= WAITING_BYTES
		       ? ingest_settle(w, e)
		       : 0;
}

int ingest_hold(struct ingest_worker *w, struct cut_file *f,
	chunker_read_fn read, void *ctx, struct error *e)
{
	size_t off = w->held.len;
	uint8_t *data = buf_grow(&w->held, (size_t)f->size);
	int r = data ? read(ctx, data, (size_t)f->size, 0, e) : error_nomem(e);

	if (r)
		w->held.len = off;
	else
		w->waiting[w->nwaiting++] = (struct waiting){ f, off };
	return r;
}

static int small_file(struct ingest_worker *w, struct cut_file *f,
	struct error *e)
{
	bool claimed = f->flags & CUT_CLAIMED;
	size_t size = (size_t)f->size, slack = slack_len(w->in->cut, f);
	size_t off = w->held.len;
	uint8_t *data = buf_grow(&w->held, size + slack);
	int r;

	if (!data)
		return error_nomem(e);
	r = read_file(w, f, data, size + slack, 0, claimed, e);
	if (!r && slack)
		r = put_slack(w, f, data + size, slack, e);
	if (r)
		return r;
	w->waiting[w->nwaiting++] = (struct waiting){ f, off };
	return ingest_settle_full(w, e);
}

struct file_reader {
	struct ingest_worker *w;
	const struct cut_file *f;
};

static int read_for_chunks(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct file_reader *fr = ctx;

	return read_file(fr->w, fr->f, buf, len, off, false, e);
}

static int queue_large(struct ingest_worker *w, struct cut_file *f,
	struct error *e)
{
	struct large_file *l = calloc(1, sizeof(*l));

	if (!l)
		return error_nomem(e);
	l->file = f;
	l->segments = div_ceil(f->size, CDC_SEGMENT);
	l->list = calloc(l->segments, sizeof(*l->list));
	if (!l->list) {
		free(l);
		return error_nomem(e);
	}
	pthread_mutex_lock(&w->in->lock);
	l->next = w->in->large;
	w->in->large = l;
	pthread_mutex_unlock(&w->in->lock);
	return 0;
}

static int large_file(struct ingest_worker *w, struct cut_file *f,
	struct error *e)
{
	bool claimed = f->flags & CUT_CLAIMED;
	size_t slack = slack_len(w->in->cut, f);
	int r = 0;

	buf_clear(&w->data);
	if (!buf_room(&w->data, WINDOW))
		return error_nomem(e);
	sha256_start(w->sha);
	for (uint64_t at = 0; at < f->size && !r;) {
		size_t n = (size_t)u64_min(WINDOW, f->size - at);

		r = read_file(w, f, w->data.data, n, at, claimed, e);
		if (!r)
			sha256_add(w->sha, w->data.data, n);
		at += n;
		if (!r)
			r = progress_check(w->in->args->progress, e);
	}
	sha256_finish(w->sha, &f->hash);
	if (!r && slack) {
		r = read_file(w, f, w->data.data, slack, f->size, claimed, e);
		if (!r)
			r = put_slack(w, f, w->data.data, slack, e);
	}
	if (r)
		return r;
	f->flags |= CUT_HASHED;
	return writer_claim(w->in->args->writer, SPACE_CONTENT, &f->hash)
		       ? queue_large(w, f, e)
		       : 0;
}

int ingest_file(struct ingest_worker *w, struct cut_file *f, struct error *e)
{
	return f->size <= INGEST_WHOLE ? small_file(w, f, e)
				     : large_file(w, f, e);
}

/* All segments of a large file are stored: its list of chunks is too. A file
 * of one segment lists its chunks itself. */
static int finish_large(struct ingest_worker *w, struct large_file *l,
	struct error *e)
{
	AUTO_BUF list = BUF_INIT;

	chunklist_begin(&list, true);
	for (uint64_t i = 0; i < l->segments; i++)
		chunklist_add(&list, &l->list[i].id, l->list[i].len);
	return list.oom ? error_nomem(e)
			: packer_add(w->packer, OBJ_CHUNKS, &l->file->hash,
				  list.data, list.len, e);
}

int ingest_help(struct ingest_worker *w, struct error *e)
{
	struct ingest *in = w->in;
	struct large_file *l, **p;
	struct file_reader fr = { .w = w };
	uint64_t i, off, n;
	bool last, failed;
	int r;

	pthread_mutex_lock(&in->lock);
	for (l = in->large; l && l->taken == l->segments; l = l->next)
		;
	if (!l) {
		pthread_mutex_unlock(&in->lock);
		return 0;
	}
	i = l->taken++;
	pthread_mutex_unlock(&in->lock);

	fr.f = l->file;
	off = i * CDC_SEGMENT;
	n = u64_min(CDC_SEGMENT, l->file->size - off);
	chunklist_begin(&w->scratch, false);
	r = chunk_stream(w->packer, read_for_chunks, &fr, off,
		n, &w->data, &w->scratch, e);
	if (!r && l->segments == 1)
		r = packer_add(w->packer, OBJ_CHUNKS, &l->file->hash,
			w->scratch.data, w->scratch.len, e);
	else if (!r)
		r = packer_put_record(w->packer, OBJ_SEGMENT, w->scratch.data,
			w->scratch.len, &l->list[i].id, e);
	l->list[i].len = (uint32_t)n;

	pthread_mutex_lock(&in->lock);
	l->failed |= r != 0;
	failed = l->failed;
	last = ++l->done == l->segments;
	if (last) {
		for (p = &in->large; *p != l; p = &(*p)->next)
			;
		*p = l->next;
	}
	pthread_mutex_unlock(&in->lock);
	if (last) {
		if (!failed && l->segments > 1)
			r = finish_large(w, l, e);
		free(l->list);
		free(l);
	}
	return r ? r : 1;
}
