/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "model/layout.h"
#include "ops/ingest.h"
#include "view/view.h"

/* A piece of work: one leaf's worth of the disk, so that threads do not read
 * the same frames. */
#define PIECE LAYOUT_SPAN
#define WINDOW (1u << 20)
_Static_assert(WINDOW % DISK_DIGEST_BLOCK == 0, "windows hold whole blocks");

struct check {
	struct source *src;
	const struct progress *progress;
	pthread_mutex_t lock;
	uint64_t at;
	struct disk_digest sum;
	int code;
	struct error error;
};

static int check_piece(struct source *src, uint64_t off, uint64_t end,
	uint8_t *buf, struct disk_digest *d, struct error *e)
{
	while (off < end) {
		struct source_extent x;
		uint64_t to;
		int r = source_extent_at(src, off, &x, e);

		if (r)
			return r;
		if (x.kind == SOURCE_ZERO && off % DISK_DIGEST_BLOCK == 0) {
			/* whole blocks of zeros are free */
			to = round_down(off + x.len, DISK_DIGEST_BLOCK);
			if (off + x.len >= end)
				to = end;
			if (to > off) {
				off = u64_min(to, end);
				continue;
			}
		}
		to = u64_min(off + WINDOW, end);
		r = source_pread(src, buf, (size_t)(to - off), off, e);
		if (r)
			return r;
		disk_digest_add(d, buf, (size_t)(to - off), off);
		off = to;
	}
	return 0;
}

static void *run(void *arg)
{
	struct check *c = arg;
	struct disk_digest d = { 0 };
	struct error e = { 0 };
	uint8_t *buf = malloc(WINDOW);
	int r = buf ? 0 : error_nomem(&e);

	while (!r) {
		uint64_t off;

		pthread_mutex_lock(&c->lock);
		off = c->code ? c->src->size : c->at;
		c->at = u64_min(off + PIECE, c->src->size);
		if (off < c->src->size && c->progress && c->progress->update)
			c->progress->update(c->progress->ctx, "verify", off,
				c->src->size);
		pthread_mutex_unlock(&c->lock);
		if (off >= c->src->size)
			break;
		r = progress_check(c->progress, &e);
		if (!r)
			r = check_piece(c->src, off,
				u64_min(off + PIECE, c->src->size), buf, &d,
				&e);
	}
	free(buf);
	pthread_mutex_lock(&c->lock);
	disk_digest_merge(&c->sum, &d);
	if (r && !c->code) {
		c->code = r;
		c->error = e;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int digest_source(struct source *src, const struct progress *progress,
	uint8_t out[16], struct error *e)
{
	struct check c = { .src = src, .progress = progress };
	unsigned n = ingest_threads();
	pthread_t t[16];
	bool started[16] = { 0 };

	pthread_mutex_init(&c.lock, NULL);
	for (unsigned i = 1; i < n; i++)
		started[i] = !pthread_create(&t[i], NULL, run, &c);
	run(&c);
	for (unsigned i = 1; i < n; i++)
		if (started[i])
			pthread_join(t[i], NULL);
	pthread_mutex_destroy(&c.lock);
	if (c.code && e)
		*e = c.error;
	disk_digest_final(&c.sum, src->size, out);
	return c.code;
}

int verify_disks(struct library *l, const struct image *im,
	const struct progress *progress, struct error *e)
{
	for (size_t i = 0; i < im->disks.len; i++) {
		const struct image_disk *d = &im->disks.items[i];
		AUTO_SOURCE src = NULL;
		char want[DIGEST_TEXT], have[DIGEST_TEXT];
		uint8_t digest[16];
		int r = view_disk(l, d, &src, e);

		if (!r)
			r = digest_source(src, progress, digest, e);
		if (r)
			return r;
		if (memcmp(digest, d->digest, 16) != 0)
			return error_set(e, ERR_DAMAGED,
				"library: disk %zu rebuilds to %s, not to %s",
				i, digest_text(digest, have),
				digest_text(d->digest, want));
	}
	return 0;
}
