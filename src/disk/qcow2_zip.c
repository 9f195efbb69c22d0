/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2 writer: compressed clusters, packed one behind the other, those that
 * do not shrink as plain ones. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/pipeline.h"
#include "disk/qcow2_layout.h"

/* What qemu's reader takes: raw deflate in a window of 4 KiB. */
#define ZLIB_WINDOW (-12)
#define ZSTD_LEVEL 3

struct job {
	uint64_t off, len;
	uint8_t *in, *out;
	/* Bytes of each cluster: 0 for zeros, the cluster's size for plain. */
	uint32_t size[QCOW2_JOB_CLUSTERS];
	z_stream z;
	bool z_ready;
	ZSTD_CCtx *zstd;
};

struct zip {
	struct qcow2_layout *y;
	uint64_t at;
	/* The cluster that has room at its end: first free byte, 0 = none. */
	uint64_t part;
};

static int zip_next(void *ctx, void *slot, struct error *e)
{
	struct zip *w = ctx;
	struct qcow2_layout *y = w->y;
	struct job *j = slot;
	uint64_t max = u64_max(QCOW2_JOB, y->cluster);
	int r;

	if (y->a->progress && y->a->progress(y->a->progress_ctx,
				      u64_min(w->at, y->a->disk->size)))
		return error_set(e, ERR_CANCELLED, "cancelled");
	r = qcow2_next_data(y, w->at, max, &j->off, &j->len, e);
	if (r || !j->len)
		return r;
	if (!j->in) {
		j->in = malloc(max);
		j->out = malloc(max);
		if (!j->in || !j->out)
			return error_nomem(e);
	}
	w->at = j->off + j->len;
	return 1;
}

/* The size, or 0 where it does not shrink. */
static int zlib_cluster(struct job *j, const uint8_t *in, size_t len,
	uint8_t *out, uint32_t *size, struct error *e)
{
	if (!j->z_ready) {
		if (deflateInit2(&j->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			    ZLIB_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK)
			return error_nomem(e);
		j->z_ready = true;
	} else {
		deflateReset(&j->z);
	}
	j->z.next_in = (Bytef *)(uintptr_t)in;
	j->z.avail_in = (uInt)len;
	j->z.next_out = out;
	j->z.avail_out = (uInt)len - 1;
	*size = deflate(&j->z, Z_FINISH) == Z_STREAM_END
			? (uint32_t)(len - 1 - j->z.avail_out)
			: 0;
	return 0;
}

static int zstd_cluster(struct job *j, const uint8_t *in, size_t len,
	uint8_t *out, uint32_t *size, struct error *e)
{
	size_t n;

	if (!j->zstd && !(j->zstd = ZSTD_createCCtx()))
		return error_nomem(e);
	n = ZSTD_compressCCtx(j->zstd, out, len - 1, in, len, ZSTD_LEVEL);
	*size = ZSTD_isError(n) ? 0 : (uint32_t)n;
	return 0;
}

static int zip_work(void *ctx, void *slot, struct error *e)
{
	struct qcow2_layout *y = ((struct zip *)ctx)->y;
	struct job *j = slot;
	size_t have = (size_t)u64_min(j->len, y->a->disk->size - j->off);
	int r = source_pread(y->a->disk, j->in, have, j->off, e);

	if (r)
		return r;
	memset(j->in + have, 0, j->len - have);
	for (size_t i = 0; i < j->len / y->cluster; i++) {
		uint8_t *in = j->in + i * y->cluster;
		uint8_t *out = j->out + i * y->cluster;

		j->size[i] = 0;
		if (is_zero(in, y->cluster))
			continue;
		r = y->zstd ? zstd_cluster(j, in, y->cluster, out, &j->size[i],
				      e)
			    : zlib_cluster(j, in, y->cluster, out, &j->size[i],
				      e);
		if (r)
			return r;
		if (!j->size[i])
			j->size[i] = (uint32_t)y->cluster;
	}
	return 0;
}

/* Where size bytes go: behind the last ones, over the end of their cluster if
 * the next is free and no refcount block; else to a new cluster. */
static uint64_t pack(struct zip *w, uint32_t size)
{
	struct qcow2_layout *y = w->y;
	uint64_t end = round_up(w->part, y->cluster), at;

	if (w->part && size > end - w->part &&
		(end / y->cluster != y->next || y->next % y->region == 0))
		w->part = 0;
	if (!w->part) {
		w->part = qcow2_alloc(y, &y->next) * y->cluster;
		end = w->part + y->cluster;
	} else if (size > end - w->part) {
		y->next++;
		end += y->cluster;
	}
	at = w->part;
	w->part += size;
	if (w->part == end)
		w->part = 0;
	return at;
}

static int put_cluster(struct zip *w, uint64_t disk, const struct job *j,
	size_t i, struct error *e)
{
	struct qcow2_layout *y = w->y;
	unsigned x = 62 - (y->cluster_bits - 8);
	uint32_t size = j->size[i];
	uint64_t at, entry;
	int r = 0;

	if (size == y->cluster) {
		at = qcow2_alloc(y, &y->next) * y->cluster;
		/* The refcounts of a region that is left are written. */
		if (w->part / y->cluster / y->region !=
			at / y->cluster / y->region)
			w->part = 0;
		entry = at | QCOW2_COPIED;
	} else {
		at = pack(w, size);
		entry = QCOW2_COMPRESSED_FLAG | at |
			((at & 511) + size - 1) / 512 << x;
	}
	for (uint64_t c = at / y->cluster; c <= (at + size - 1) / y->cluster;
		c++) {
		r = qcow2_count(y, c, e);
		if (r)
			return r;
	}
	r = sink_pwrite(y->out,
		(size == y->cluster ? j->in : j->out) + i * y->cluster, size,
		at, e);
	return r ? r : qcow2_set_entry(y, disk, entry, e);
}

static int zip_emit(void *ctx, void *slot, struct error *e)
{
	struct zip *w = ctx;
	struct job *j = slot;

	for (size_t i = 0; i < j->len / w->y->cluster; i++) {
		int r = j->size[i] ? put_cluster(w,
					     j->off / w->y->cluster + i, j, i,
					     e)
				   : 0;

		if (r)
			return r;
	}
	return 0;
}

static void zip_drop(void *slot)
{
	struct job *j = slot;

	if (j->z_ready)
		deflateEnd(&j->z);
	ZSTD_freeCCtx(j->zstd);
	free(j->in);
	free(j->out);
}

int qcow2_write_zip(struct qcow2_layout *y, struct error *e)
{
	struct zip w = { .y = y };
	struct pipeline p = {
		.slot_size = sizeof(struct job),
		.next = zip_next,
		.work = zip_work,
		.emit = zip_emit,
		.drop = zip_drop,
		.ctx = &w,
	};

	return pipeline_run(&p, e);
}
