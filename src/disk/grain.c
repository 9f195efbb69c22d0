/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a disk block by block for writers. */
#include "disk/grain.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/pipeline.h"

struct run {
	const struct grain_writer *w;
	uint64_t at, size;
};

struct slot {
	struct grain g;
	bool empty;
};

static int run_next(void *ctx, void *slot, struct error *e)
{
	struct run *g = ctx;
	const struct disk_write_args *a = g->w->args;
	struct slot *s = slot;
	uint64_t off, end;
	int r;

	if (a->progress && a->progress(a->progress_ctx, g->at))
		return error_set(e, ERR_CANCELLED, "cancelled");
	r = source_next_data(a->disk, g->at, g->size, g->w->block_size, &off,
		&end, e);
	if (r || off >= g->size)
		return r;
	if (!s->g.data && !(s->g.data = malloc(g->w->block_size)))
		return error_nomem(e);
	if (g->w->pack_room && !s->g.packed &&
		!(s->g.packed = malloc(g->w->pack_room)))
		return error_nomem(e);
	s->g.index = off / g->w->block_size;
	if (!u64_mul(s->g.index + 1, g->w->block_size, &g->at))
		g->at = g->size;
	g->at = u64_min(g->at, g->size);
	return 1;
}

static int run_work(void *ctx, void *slot, struct error *e)
{
	struct run *g = ctx;
	struct slot *s = slot;
	size_t bs = g->w->block_size, n;
	uint64_t off = s->g.index * bs;
	int r;

	n = (size_t)u64_min(bs, g->size - off);
	r = source_pread(g->w->args->disk, s->g.data, n, off, e);
	if (r)
		return r;
	memset(s->g.data + n, 0, bs - n);
	s->empty = is_zero(s->g.data, n);
	return s->empty || !g->w->pack ? 0 : g->w->pack(g->w->ctx, &s->g, e);
}

static int run_emit(void *ctx, void *slot, struct error *e)
{
	struct run *g = ctx;
	struct slot *s = slot;

	return s->empty ? 0 : g->w->put(g->w->ctx, &s->g, e);
}

static void run_drop(void *slot)
{
	struct slot *s = slot;

	free(s->g.data);
	free(s->g.packed);
}

int grain_run(const struct grain_writer *w, struct error *e)
{
	struct run g = { .w = w, .size = w->args->disk->size };
	struct pipeline p = {
		.slot_size = sizeof(struct slot),
		.next = run_next,
		.work = run_work,
		.emit = run_emit,
		.drop = run_drop,
		.ctx = &g,
	};
	int r = pipeline_run(&p, e);

	if (!r && w->args->progress)
		w->args->progress(w->args->progress_ctx, g.size);
	return r;
}

int grain_put_sparse(struct sink *out, const uint8_t *data, size_t len,
	uint64_t off, struct error *e)
{
	size_t run = 0;

	if (out->keeps_old)
		return sink_pwrite(out, data, len, off, e);
	for (size_t at = 0; at < len;) {
		size_t n = size_min(4096, len - at);

		if (is_zero(data + at, n)) {
			int r = sink_pwrite(out, data + run, at - run,
				off + run, e);

			if (r)
				return r;
			run = at + n;
		}
		at += n;
	}
	return sink_pwrite(out, data + run, len - run, off + run, e);
}

void derive_uuid(const uint8_t *id, const char *label, uint8_t out[16])
{
	/* FNV-1a, twice, with different starts: ids need to differ and to
	 * repeat, not to resist anybody. */
	uint64_t h[2] = { UINT64_C(0xcbf29ce484222325),
		UINT64_C(0x84222325cbf29ce4) };

	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 16; i++)
			h[k] = (h[k] ^ (id ? id[i] : 0)) *
			       UINT64_C(0x100000001b3);
		for (const char *p = label; *p; p++)
			h[k] = (h[k] ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
		h[k] ^= h[k] >> 29;
		put_le64(out + 8 * k, h[k]);
	}
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}
