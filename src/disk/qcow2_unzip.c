/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: compressed clusters ("Compressed Clusters Descriptor"). Decoders are
 * pooled, so that as many threads as there are decode at once; the last
 * clusters are kept for reads smaller than a cluster. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "codec/inflate.h"
#include "disk/qcow2_int.h"

/* Clusters kept: at most 16, and at most this many bytes. */
#define KEEP_MAX 16
#define KEEP_BYTES (8 * MIB)

struct decoder {
	struct decoder *next;
	struct inflater *inflater;
	ZSTD_DCtx *zstd;
	uint8_t *in;
	size_t in_size;
};

struct kept {
	_Atomic uint32_t refs;
	uint64_t host;
	uint64_t used;
	uint8_t data[];
};

struct qcow2_unzip {
	struct source *file;
	enum qcow2_compression how;
	size_t cluster;
	pthread_mutex_t lock;
	struct decoder *idle;
	uint64_t tick;
	unsigned nkeep;
	struct kept *keep[KEEP_MAX];
};

int qcow2_unzip_new(struct source *file, enum qcow2_compression how,
	uint32_t cluster_bits, struct qcow2_unzip **out, struct error *e)
{
	struct qcow2_unzip *u = calloc(1, sizeof(*u));

	if (!u)
		return error_nomem(e);
	u->file = source_ref(file);
	u->how = how;
	u->cluster = (size_t)1 << cluster_bits;
	u->nkeep = (unsigned)u64_min(KEEP_MAX, KEEP_BYTES / u->cluster);
	pthread_mutex_init(&u->lock, NULL);
	*out = u;
	return 0;
}

static void decoder_free(struct decoder *d)
{
	inflater_free(d->inflater);
	ZSTD_freeDCtx(d->zstd);
	free(d->in);
	free(d);
}

static void kept_unref(struct kept *k)
{
	if (k && atomic_fetch_sub(&k->refs, 1) == 1)
		free(k);
}

void qcow2_unzip_free(struct qcow2_unzip *u)
{
	if (!u)
		return;
	while (u->idle) {
		struct decoder *d = u->idle;

		u->idle = d->next;
		decoder_free(d);
	}
	for (unsigned i = 0; i < u->nkeep; i++)
		kept_unref(u->keep[i]);
	pthread_mutex_destroy(&u->lock);
	source_unref(u->file);
	free(u);
}

static struct decoder *decoder_get(struct qcow2_unzip *u)
{
	struct decoder *d;

	pthread_mutex_lock(&u->lock);
	d = u->idle;
	if (d)
		u->idle = d->next;
	pthread_mutex_unlock(&u->lock);
	return d ? d : calloc(1, sizeof(*d));
}

static void decoder_put(struct qcow2_unzip *u, struct decoder *d)
{
	pthread_mutex_lock(&u->lock);
	d->next = u->idle;
	u->idle = d;
	pthread_mutex_unlock(&u->lock);
}

static int bad_data(const struct qcow2_run *run, const char *what,
	struct error *e)
{
	return error_at(e, ERR_CORRUPT, run->host,
		"qcow2: the compressed cluster of disk offset %" PRIu64
		" does not decode: %s",
		run->start, what);
}

/* Raw deflate. qemu writes windows of 4 KiB; a larger one is read too, and as
 * qemu does, one that would go on behind the cluster's end. */
static int inflate_cluster(struct qcow2_unzip *u, struct decoder *d,
	const struct qcow2_run *run, uint8_t *out, struct error *e)
{
	const char *why;
	size_t n;
	int r = d->inflater ? 0 : inflater_new(&d->inflater, e);

	if (r)
		return r;
	if (inflate_block(d->inflater, INFLATE_RAW, d->in, run->csize, out,
		    u->cluster, &n, &why) == INFLATE_BAD && n < u->cluster)
		return bad_data(run, why, e);
	return n == u->cluster
		       ? 0
		       : bad_data(run, "it is shorter than a cluster", e);
}

/* One frame; what follows it, up to the next sector, is not ours. */
static int zstd_cluster(struct qcow2_unzip *u, struct decoder *d,
	const struct qcow2_run *run, uint8_t *out, struct error *e)
{
	size_t n = ZSTD_findFrameCompressedSize(d->in, run->csize);

	if (!d->zstd && !(d->zstd = ZSTD_createDCtx()))
		return error_nomem(e);
	if (ZSTD_isError(n))
		return bad_data(run, ZSTD_getErrorName(n), e);
	n = ZSTD_decompressDCtx(d->zstd, out, u->cluster, d->in, n);
	if (ZSTD_isError(n))
		return bad_data(run, ZSTD_getErrorName(n), e);
	return n == u->cluster
		       ? 0
		       : bad_data(run, "it is shorter than a cluster", e);
}

static int decode(struct qcow2_unzip *u, const struct qcow2_run *run,
	uint8_t *out, struct error *e)
{
	struct decoder *d = decoder_get(u);
	int r = 0;

	if (!d)
		return error_nomem(e);
	if (d->in_size < run->csize) {
		free(d->in);
		d->in_size = size_min(run->csize * 2, u->cluster * 2 + 512);
		if (d->in_size < run->csize)
			d->in_size = run->csize;
		d->in = malloc(d->in_size);
		if (!d->in) {
			d->in_size = 0;
			r = error_nomem(e);
		}
	}
	if (!r)
		r = source_pread(u->file, d->in, run->csize, run->host, e);
	if (!r)
		r = u->how == QCOW2_ZSTD ? zstd_cluster(u, d, run, out, e)
					 : inflate_cluster(u, d, run, out, e);
	decoder_put(u, d);
	return r;
}

static struct kept *kept_find(struct qcow2_unzip *u, uint64_t host)
{
	struct kept *k = NULL;

	pthread_mutex_lock(&u->lock);
	for (unsigned i = 0; i < u->nkeep; i++)
		if (u->keep[i] && u->keep[i]->host == host) {
			k = u->keep[i];
			k->used = ++u->tick;
			atomic_fetch_add(&k->refs, 1);
			break;
		}
	pthread_mutex_unlock(&u->lock);
	return k;
}

/* Takes over one reference of k. */
static void kept_add(struct qcow2_unzip *u, struct kept *k)
{
	struct kept **oldest = &u->keep[0];
	struct kept *old;

	pthread_mutex_lock(&u->lock);
	for (unsigned i = 0; i < u->nkeep; i++) {
		if (!u->keep[i]) {
			oldest = &u->keep[i];
			break;
		}
		if (u->keep[i]->used < (*oldest)->used)
			oldest = &u->keep[i];
	}
	old = *oldest;
	k->used = ++u->tick;
	*oldest = k;
	pthread_mutex_unlock(&u->lock);
	kept_unref(old);
}

int qcow2_unzip_read(struct qcow2_unzip *u, const struct qcow2_run *run,
	void *buf, size_t len, size_t skip, struct error *e)
{
	struct kept *k;
	int r;

	if (len == u->cluster)
		return decode(u, run, buf, e);
	k = kept_find(u, run->host);
	if (!k) {
		k = malloc(sizeof(*k) + u->cluster);
		if (!k)
			return error_nomem(e);
		atomic_init(&k->refs, 2);
		k->host = run->host;
		r = decode(u, run, k->data, e);
		if (r) {
			free(k);
			return r;
		}
		kept_add(u, k);
	}
	memcpy(buf, k->data + skip, len);
	kept_unref(k);
	return 0;
}
