/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/chunker.h"

#include <string.h>
#include "base/checked.h"

#define WINDOW (2u * 1024 * 1024)
_Static_assert(WINDOW >= 2 * CDC_MAX, "a window holds more than one chunk");

/* Chunks that are hashed together. */
#define CUT_AT_ONCE 16

static int put_chunk(struct packer *p, const uint8_t *data, size_t n,
	const struct oid *id, struct buf *list, struct error *e)
{
	chunklist_add(list, id, (uint32_t)n);
	return list->oom ? error_nomem(e) : packer_put_known(p, data, n, id, e);
}

/* Cuts and stores some chunks (len > 0), which are hashed together. whole: nothing
 * follows the len bytes; else the last chunk begins CDC_MAX before their end,
 * at least. */
static int put_chunks(struct packer *p, const uint8_t *data, size_t len,
	bool whole, struct buf *list, size_t *out_len, struct error *e)
{
	struct sha256_job job[CUT_AT_ONCE];
	struct oid id[CUT_AT_ONCE];
	size_t n = 0, at = 0;
	int r = 0;

	do {
		size_t m = cdc_cut(data + at, len - at);

		job[n] = (struct sha256_job){ data + at, m, &id[n] };
		at += m;
		n++;
	} while (at < len && n < CUT_AT_ONCE &&
		(whole || len - at >= CDC_MAX));
	sha256_many(job, n);
	for (size_t i = 0; i < n && !r; i++)
		r = put_chunk(p, job[i].data, job[i].len, &id[i], list, e);
	*out_len = at;
	return r;
}

int chunk_memory(struct packer *p, const uint8_t *data, size_t len,
	struct buf *list, struct error *e)
{
	while (len) {
		size_t n;
		int r = put_chunks(p, data, len, true, list, &n, e);

		if (r)
			return r;
		data += n;
		len -= n;
	}
	return 0;
}

int chunk_stream(struct packer *p, chunker_read_fn read, void *ctx,
	uint64_t off, uint64_t len, struct buf *scratch, struct buf *list,
	struct error *e)
{
	size_t have = 0, used = 0;
	int r;

	buf_clear(scratch);
	if (!buf_room(scratch, WINDOW))
		return error_nomem(e);
	while (len || used < have) {
		if (len && have - used < CDC_MAX) {
			size_t n;

			memmove(scratch->data, scratch->data + used,
				have - used);
			have -= used;
			used = 0;
			n = (size_t)u64_min(WINDOW - have, len);
			r = read(ctx, scratch->data + have, n, off, e);
			if (r)
				return r;
			have += n;
			off += n;
			len -= n;
		}
		{
			size_t n;

			r = put_chunks(p, scratch->data + used, have - used,
				!len, list, &n, e);
			if (r)
				return r;
			used += n;
		}
	}
	return 0;
}

static int put_segments(struct packer *p, chunker_read_fn read, void *ctx,
	uint64_t size, struct buf *scratch, struct buf *list, struct error *e)
{
	AUTO_BUF seg = BUF_INIT;
	int r = 0;

	if (size <= CDC_SEGMENT) {
		chunklist_begin(list, false);
		return chunk_stream(p, read, ctx, 0, size, scratch, list, e);
	}
	chunklist_begin(list, true);
	for (uint64_t at = 0; at < size && !r; at += CDC_SEGMENT) {
		uint64_t n = u64_min(CDC_SEGMENT, size - at);
		struct oid id;

		chunklist_begin(&seg, false);
		r = chunk_stream(p, read, ctx, at, n, scratch, &seg, e);
		if (!r && seg.oom)
			r = error_nomem(e);
		if (!r)
			r = packer_put_record(p, OBJ_SEGMENT, seg.data,
				seg.len, &id, e);
		if (!r)
			chunklist_add(list, &id, (uint32_t)n);
	}
	return r;
}

int store_blob_stream(struct writer *w, struct packer *p, chunker_read_fn read,
	void *ctx, uint64_t size, bool store, struct oid *out,
	struct error *e)
{
	AUTO_BUF buf = BUF_INIT, list = BUF_INIT;
	struct sha256 *h;
	int r = 0;

	if (!buf_room(&buf, (size_t)u64_min(size, WINDOW) + 1))
		return error_nomem(e);
	if (size <= BLOB_WHOLE_MAX) {
		r = read(ctx, buf.data, (size_t)size, 0, e);
		if (r)
			return r;
		if (store)
			return packer_put_blob(p, buf.data, (size_t)size, out,
				e);
		sha256(buf.data, (size_t)size, out);
		return 0;
	}
	h = sha256_new();
	if (!h)
		return error_nomem(e);
	sha256_start(h);
	for (uint64_t at = 0; at < size && !r;) {
		size_t n = (size_t)u64_min(size - at, WINDOW);

		r = read(ctx, buf.data, n, at, e);
		if (!r)
			sha256_add(h, buf.data, n);
		at += n;
	}
	sha256_finish(h, out);
	sha256_free(h);
	if (r || !store || !writer_claim(w, SPACE_CONTENT, out))
		return r;
	r = put_segments(p, read, ctx, size, &buf, &list, e);
	if (!r && list.oom)
		r = error_nomem(e);
	return r ? r
		 : packer_add(p, OBJ_CHUNKS, out, list.data, list.len, e);
}
