/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2 writer: plain clusters, and the entry point. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/pipeline.h"
#include "disk/qcow2_layout.h"
#include "disk/spool.h"

/* As in raw.c. */
#define BLOCK (4 * KIB)

struct job {
	uint64_t off;  /* of the disk, a multiple of a cluster */
	uint64_t len;  /* whole clusters */
	uint64_t host; /* where they go, in one piece */
	uint8_t *buf;
	bool zero[QCOW2_JOB_CLUSTERS]; /* by cluster */
};

struct plain {
	struct qcow2_layout *y;
	uint64_t at; /* of the disk */
};

static int plain_next(void *ctx, void *slot, struct error *e)
{
	struct plain *w = ctx;
	struct qcow2_layout *y = w->y;
	struct job *j = slot;
	uint64_t room;
	int r;

	if (y->a->progress && y->a->progress(y->a->progress_ctx,
				      u64_min(w->at, y->a->disk->size)))
		return error_set(e, ERR_CANCELLED, "cancelled");
	r = qcow2_next_data(y, w->at, u64_max(QCOW2_JOB, y->cluster), &j->off,
		&j->len, e);
	if (r || !j->len)
		return r;
	if (!j->buf && !(j->buf = malloc(u64_max(QCOW2_JOB, y->cluster))))
		return error_nomem(e);
	j->host = qcow2_alloc(y, &y->next) * y->cluster;
	/* In one piece: up to the next refcount block. */
	room = (y->region - j->host / y->cluster % y->region) * y->cluster;
	j->len = u64_min(j->len, room);
	y->next += j->len / y->cluster - 1;
	w->at = j->off + j->len;
	return 1;
}

/* Writes the blocks that are not zero; a device and a stream get all. */
static int put_sparse(struct qcow2_layout *y, const struct job *j,
	struct error *e)
{
	size_t run = 0, block = (size_t)u64_min(BLOCK, y->cluster);

	if (y->out->keeps_old)
		return sink_pwrite(y->out, j->buf, j->len, j->host, e);
	for (size_t at = 0; at < j->len; at += block) {
		int r;

		if (!j->zero[at / y->cluster] && !is_zero(j->buf + at, block))
			continue;
		r = sink_pwrite(y->out, j->buf + run, at - run, j->host + run,
			e);
		if (r)
			return r;
		run = at + block;
	}
	return sink_pwrite(y->out, j->buf + run, j->len - run, j->host + run,
		e);
}

static int plain_work(void *ctx, void *slot, struct error *e)
{
	struct qcow2_layout *y = ((struct plain *)ctx)->y;
	struct job *j = slot;
	size_t have = (size_t)u64_min(j->len, y->a->disk->size - j->off);
	int r = source_pread(y->a->disk, j->buf, have, j->off, e);

	if (r)
		return r;
	memset(j->buf + have, 0, j->len - have);
	if (!y->seekable)
		return 0;
	for (size_t i = 0; i < j->len / y->cluster; i++)
		j->zero[i] = is_zero(j->buf + i * y->cluster, y->cluster);
	return 0;
}

/* Writes in order, while others read: writers of one file wait for each other
 * in the kernel. */
static int plain_emit(void *ctx, void *slot, struct error *e)
{
	struct qcow2_layout *y = ((struct plain *)ctx)->y;
	struct job *j = slot;
	uint64_t host = j->host / y->cluster, disk = j->off / y->cluster;
	int r;

	if (!y->seekable) {
		r = qcow2_count(y, host, e);
		return r ? r
			 : sink_pwrite(y->out, j->buf, j->len, j->host, e);
	}
	r = put_sparse(y, j, e);
	if (r)
		return r;
	for (uint64_t i = 0; i < j->len / y->cluster; i++) {
		/* Zeros are left unallocated; their place is a hole. */
		if (j->zero[i])
			continue;
		r = qcow2_count(y, host + i, e);
		if (!r)
			r = qcow2_set_entry(y, disk + i,
				(host + i) * y->cluster | QCOW2_COPIED, e);
		if (r)
			return r;
	}
	return 0;
}

static void plain_drop(void *slot)
{
	free(((struct job *)slot)->buf);
}

int qcow2_write_plain(struct qcow2_layout *y, struct error *e)
{
	struct plain w = { .y = y };
	struct pipeline p = {
		.slot_size = sizeof(struct job),
		.next = plain_next,
		.work = plain_work,
		.emit = plain_emit,
		.drop = plain_drop,
		.ctx = &w,
		.depth = 12,
	};

	return pipeline_run(&p, e);
}

static int write_to(const struct disk_write_args *a, struct sink *out,
	bool zstd, struct error *e)
{
	struct qcow2_layout y;
	int r = qcow2_layout_init(&y, a, out, e);

	y.zstd = zstd;
	if (!r)
		r = qcow2_write_front(&y, e);
	if (!r)
		r = a->compress ? qcow2_write_zip(&y, e)
				: qcow2_write_plain(&y, e);
	if (!r)
		r = qcow2_write_rest(&y, e);
	qcow2_layout_release(&y);
	return r;
}

static int write_qcow2(const struct disk_write_args *a, struct error *e)
{
	const char *how = a->compression ? a->compression : "zstd";
	bool zstd = a->compress && !strcmp(how, "zstd");
	int r;

	if (strcmp(how, "zstd") && strcmp(how, "zlib"))
		return error_set(e, ERR_ARG,
			"qcow2: no compression '%s': zstd or zlib", how);
	if (a->compress && !a->out->seekable) {
		/* The header and the tables come first, and what is in them
		 * is known when all is compressed. */
		AUTO_SPOOL spool = NULL;

		r = spool_new(&spool, e);
		if (!r)
			r = write_to(a, spool_sink(spool), zstd, e);
		if (!r)
			r = spool_copy(spool, a->out, e);
	} else {
		r = write_to(a, a->out, zstd, e);
	}
	if (!r && a->progress)
		a->progress(a->progress_ctx, a->disk->size);
	return r;
}

const struct disk_writer qcow2_writer = {
	.name = "qcow2",
	.streams = true,
	.write = write_qcow2,
};
