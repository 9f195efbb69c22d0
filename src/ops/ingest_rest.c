/* SPDX-License-Identifier: Apache-2.0 */
/* The files that no sweep over a disk brought: those whose content the reader
 * gives (inline, compressed), and those that lost their claim. */
#include "ops/ingest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ops/ingest_file.h"

struct rest {
	struct ingest in;
	const struct survey *survey;
	const struct finding_sink *findings;
	pthread_mutex_t lock;
	size_t next, done; /* index in cut.files */
	int code;
	struct error error;
};

struct rest_thread {
	struct rest *r;
	pthread_t id;
	bool started;
	struct fs **fs; /* one a volume, opened when needed */
};

struct fs_reader {
	struct fs *fs;
	uint64_t id;
	const struct progress *progress; /* one file may take minutes */
};

static int read_fs(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct fs_reader *f = ctx;
	int r = progress_check(f->progress, e);

	return r ? r : f->fs->ops->pread(f->fs, f->id, buf, len, off, e);
}

struct held_reader {
	const struct cut *cut;
	const struct cut_file *file;
};

static int read_held(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct held_reader *h = ctx;

	(void)e;
	memcpy(buf, h->cut->held.data + h->file->first_extent + off, len);
	return 0;
}

static size_t volume_of(const struct cut *c, size_t file)
{
	size_t v = 0;

	while (v + 1 < c->volumes.len && c->volumes.items[v + 1].first <= file)
		v++;
	/* volumes without files share their first with the next one */
	while (!c->volumes.items[v].n ||
		file < c->volumes.items[v].first)
		v--;
	return v;
}

/* The file whose extents f has too, and that is read for both. */
static const struct cut_file *twin(const struct cut *c,
	const struct cut_file *f)
{
	const struct cut_file *o = &c->files.items[f->same_as];

	return o != f && o->same_as == f->same_as ? o : NULL;
}

static void copy_twins(struct cut *c)
{
	for (size_t i = 0; i < c->files.len; i++) {
		struct cut_file *f = &c->files.items[i];
		const struct cut_file *o = twin(c, f);

		if (f->state != CUT_PLAIN || f->flags & CUT_HASHED || !o ||
			!(o->flags & CUT_HASHED))
			continue;
		f->hash = o->hash;
		f->flags |= CUT_HASHED;
	}
}

static int rest_one(struct rest_thread *t, struct ingest_worker *w,
	size_t index, struct error *e)
{
	struct rest *rs = t->r;
	struct cut *c = rs->in.cut;
	struct cut_file *f = &c->files.items[index];
	struct fs_reader fr = { .id = f->id,
		.progress = rs->in.args->progress };
	struct error err = { 0 };
	size_t v;
	int r;

	if (f->flags & CUT_HASHED || f->state == CUT_OPAQUE)
		return 0;
	if (f->state == CUT_PLAIN) /* a clone gets its twin's hash later */
		return twin(c, f) ? 0 : ingest_file(w, f, e);
	if (f->flags & CUT_HELD) {
		struct held_reader h = { c, f };

		r = ingest_hold(w, f, read_held, &h, e);
		return r ? r : ingest_settle_full(w, e);
	}
	v = volume_of(c, index);
	if (!t->fs[v]) {
		r = survey_open_fs(&rs->survey->volumes.items[v], NULL,
			&t->fs[v], &err);
		if (r == ERR_NOMEM)
			return error_nomem(e);
		if (r) { /* it opened before */
			f->state = CUT_OPAQUE;
			return 0;
		}
	}
	fr.fs = t->fs[v];
	if (f->size <= INGEST_WHOLE) {
		r = ingest_hold(w, f, read_fs, &fr, &err);
		if (!r)
			return ingest_settle_full(w, e);
	} else {
		r = store_blob_stream(rs->in.args->writer, w->packer, read_fs,
			&fr, f->size, !(f->flags & CUT_ENCODED), &f->hash,
			&err);
		if (!r)
			f->flags |= CUT_HASHED;
	}
	if (!r)
		return 0;
	if (r == ERR_CORRUPT || r == ERR_UNSUPPORTED || r == ERR_LIMIT ||
		r == ERR_RANGE) {
		f->state = CUT_OPAQUE;
		pthread_mutex_lock(&rs->lock);
		c->volumes.items[v].partial = true;
		finding_report(rs->findings, FINDING_FILE_UNREADABLE,
			err.has_offset ? err.offset : FINDING_NO_OFFSET,
			rs->survey->volumes.items[v].name, "inode %llu: %s",
			(unsigned long long)f->id, err.msg);
		pthread_mutex_unlock(&rs->lock);
		return 0;
	}
	*e = err;
	return r;
}

/* Files that one thread takes at once: neighbours share blocks of metadata,
 * which each thread reads for itself. */
#define TAKE_FILES 256
#define TAKE_BYTES (1u * 1024 * 1024)

/* With the lock held. */
static void take(struct rest *rs, size_t *out_from, size_t *out_to)
{
	const struct cut *c = rs->in.cut;
	uint64_t bytes = 0;
	size_t i = rs->next;

	*out_from = i;
	for (; i < c->files.len && i - *out_from < TAKE_FILES &&
		bytes < TAKE_BYTES; i++)
		if (!(c->files.items[i].flags & CUT_HASHED))
			bytes += u64_min(c->files.items[i].size, TAKE_BYTES);
	rs->next = *out_to = i;
}

static void *run_rest(void *arg)
{
	struct rest_thread *t = arg;
	struct rest *rs = t->r;
	struct ingest_worker w;
	struct error e = { 0 };
	int r = ingest_worker_init(&w, &rs->in, &e);

	while (!r) {
		size_t i, end;
		const struct progress *p = rs->in.args->progress;

		pthread_mutex_lock(&rs->lock);
		take(rs, &i, &end);
		if (rs->code)
			i = end;
		if (p && p->update && i < end && i / 1024 != end / 1024)
			p->update(p->ctx, "decode", i, rs->in.cut->files.len);
		pthread_mutex_unlock(&rs->lock);
		if (i == end)
			break;
		for (; i < end && !r; i++)
			r = rest_one(t, &w, i, &e);
		if (!r)
			r = ingest_settle(&w, &e);
		while (!r && (r = ingest_help(&w, &e)) > 0)
			r = 0;
		if (!r)
			r = progress_check(p, &e);
	}
	while (!r && (r = ingest_help(&w, &e)) > 0)
		r = 0;
	if (!r)
		r = ingest_worker_finish(&w, &e);
	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; w.gains && !r && i < rs->in.args->ndisks; i++)
		r = digest_acc_merge(&rs->in.args->gains[i], &w.gains[i], &e);
	pthread_mutex_unlock(&rs->lock);
	ingest_worker_release(&w);
	if (r) {
		pthread_mutex_lock(&rs->lock);
		if (!rs->code) {
			rs->code = r;
			rs->error = e;
		}
		pthread_mutex_unlock(&rs->lock);
	}
	return NULL;
}

static bool anything_left(const struct cut *c)
{
	for (size_t i = 0; i < c->files.len; i++)
		if (!(c->files.items[i].flags & CUT_HASHED) &&
			c->files.items[i].state != CUT_OPAQUE)
			return true;
	return false;
}

int ingest_rest(const struct ingest_args *a, const struct survey *s,
	const struct finding_sink *findings, struct error *e)
{
	unsigned n = a->threads ? a->threads : ingest_threads();
	struct rest rs = { .in = { .args = a,
				   .cut = a->cut,
				   .disk = SIZE_MAX,
				   .src = a->ndisks ? a->disks[0] : NULL },
		.survey = s,
		.findings = findings };
	struct rest_thread *t;

	if (!anything_left(a->cut))
		return 0;
	t = calloc(n, sizeof(*t));
	if (!t)
		return error_nomem(e);
	pthread_mutex_init(&rs.lock, NULL);
	pthread_mutex_init(&rs.in.lock, NULL);
	for (unsigned i = 0; i < n; i++) {
		t[i].r = &rs;
		t[i].fs = calloc(s->volumes.len + 1, sizeof(struct fs *));
		if (!t[i].fs)
			rs.code = error_nomem(&rs.error);
	}
	for (unsigned i = 1; i < n && !rs.code; i++)
		t[i].started =
			!pthread_create(&t[i].id, NULL, run_rest, &t[i]);
	if (!rs.code)
		run_rest(&t[0]);
	for (unsigned i = 0; i < n; i++) {
		if (t[i].started)
			pthread_join(t[i].id, NULL);
		for (size_t v = 0; t[i].fs && v < s->volumes.len; v++)
			if (t[i].fs[v])
				t[i].fs[v]->ops->close(t[i].fs[v]);
		free(t[i].fs);
	}
	free(t);
	copy_twins(a->cut);
	ingest_release(&rs.in);
	pthread_mutex_destroy(&rs.lock);
	pthread_mutex_destroy(&rs.in.lock);
	if (rs.code && e)
		*e = rs.error;
	return rs.code;
}
