/* SPDX-License-Identifier: Apache-2.0 */
/* raw: the bytes of the disk and nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/disk.h"
#include "disk/pipeline.h"
#include "disk/table.h"

static enum disk_verdict raw_probe(struct source *file ATTR_UNUSED)
{
	return DISK_YES;
}

static int raw_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	if (args->snapshot)
		return error_set(e, ERR_NOTFOUND,
			"snapshot '%s': a raw image has no snapshots",
			args->snapshot);
	if (args->file->size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT, "the disk is over 2^62 bytes");
	snprintf(info->format, sizeof(info->format), "raw");
	*out = source_ref(args->file);
	return 0;
}

/* --- writing --- */

/* Bytes of one job: large enough that a read or write costs more than its
 * system call, small enough for the second-level cache. */
#define RAW_JOB (1 * MIB)
/* Zeros are told by blocks of the size in which file systems keep holes. */
#define RAW_BLOCK (4 * KIB)

struct raw_job {
	uint64_t off;
	size_t len;
	uint8_t *buf;
};

struct raw_write {
	const struct disk_write_args *a;
	uint64_t at; /* next byte of the disk to look at */
};

static int raw_next(void *ctx, void *slot, struct error *e)
{
	struct raw_write *w = ctx;
	struct raw_job *j = slot;
	struct source *d = w->a->disk;
	uint64_t off, end;
	int r;

	if (w->a->progress && w->a->progress(w->a->progress_ctx, w->at))
		return error_set(e, ERR_CANCELLED, "cancelled");
	if (w->a->out->keeps_old) {
		off = w->at;
		end = u64_min(off + RAW_JOB, d->size);
	} else {
		r = source_next_data(d, w->at, d->size, RAW_JOB, &off, &end, e);
		if (r)
			return r;
	}
	if (off == end)
		return 0;
	/* Jobs end on the grid, whatever small holes are on the way: a job for
	 * each run of data would be mostly waiting for others. */
	end = u64_min(d->size, round_down(off, RAW_JOB) + RAW_JOB);
	if (!j->buf && !(j->buf = malloc(RAW_JOB)))
		return error_nomem(e);
	j->off = off;
	j->len = (size_t)(end - off);
	w->at = end;
	return 1;
}

/* Writes the runs of blocks that are not zero. */
static int raw_put(struct raw_write *w, const struct raw_job *j,
	struct error *e)
{
	size_t at = 0, run = 0;

	if (w->a->out->keeps_old)
		return sink_pwrite(w->a->out, j->buf, j->len, j->off, e);
	while (at < j->len) {
		size_t n = RAW_BLOCK - (size_t)((j->off + at) % RAW_BLOCK);

		n = size_min(n, j->len - at);
		if (is_zero(j->buf + at, n)) {
			int r = sink_pwrite(w->a->out, j->buf + run, at - run,
				j->off + run, e);

			if (r)
				return r;
			run = at + n;
		}
		at += n;
	}
	return sink_pwrite(w->a->out, j->buf + run, at - run, j->off + run, e);
}

static int raw_work(void *ctx, void *slot, struct error *e)
{
	struct raw_write *w = ctx;
	struct raw_job *j = slot;

	return source_pread(w->a->disk, j->buf, j->len, j->off, e);
}

static int raw_emit(void *ctx, void *slot, struct error *e)
{
	return raw_put(ctx, slot, e);
}

static void raw_drop(void *slot)
{
	free(((struct raw_job *)slot)->buf);
}

static int raw_write(const struct disk_write_args *args, struct error *e)
{
	struct raw_write w = { .a = args };
	struct pipeline p = {
		.slot_size = sizeof(struct raw_job),
		.next = raw_next,
		.work = raw_work,
		.emit = raw_emit,
		.drop = raw_drop,
		.ctx = &w,
		.depth = 12,
	};
	int r;

	/* First: a device that is too small is told before, not after. */
	r = args->out->seekable ? sink_truncate(args->out, args->disk->size, e)
				: 0;
	if (!r)
		r = pipeline_run(&p, e);
	if (!r)
		r = sink_truncate(args->out, args->disk->size, e);
	if (!r && args->progress)
		args->progress(args->progress_ctx, args->disk->size);
	return r;
}

static const struct disk_writer raw_writer = {
	.name = "raw",
	.streams = true,
	.write = raw_write,
};

static const char *const raw_suffixes[] = { ".raw", ".img", ".dd", NULL };

const struct disk_ops disk_raw = {
	.name = "raw",
	.suffixes = raw_suffixes,
	.probe = raw_probe,
	.open = raw_open,
	.writer = &raw_writer,
};
