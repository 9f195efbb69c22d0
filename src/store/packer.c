/* SPDX-License-Identifier: Apache-2.0 */
/* Gathering objects in frames: the bytes of many small ones are compressed
 * together. */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/frame.h"
#include "store/store_internal.h"

/* Of a frame's table; over 7,000 objects. */
#define TABLE_ROOM (32u * 1024)

struct packer {
	struct writer *w;
	size_t frame_size;
	ZSTD_CCtx *cctx;
	/* Room for the table, then the objects. The table ends where they
	 * begin, so that the frame is one piece and nothing is copied. */
	struct buf bytes;
	size_t table_len;
	struct buf stored;
	VEC(struct frame_item) pending;
};

int packer_open(struct writer *w, struct packer **out, struct error *e)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return error_nomem(e);
	p->w = w;
	p->frame_size = writer_get_options(w)->frame_size;
	p->cctx = ZSTD_createCCtx();
	if (!p->cctx) {
		free(p);
		return error_nomem(e);
	}
	*out = p;
	return 0;
}

int packer_open_records(struct writer *w, struct packer **out, struct error *e)
{
	int r = packer_open(w, out, e);

	if (!r)
		(*out)->frame_size = size_min(
			RECORD_FRAME, writer_get_options(w)->frame_size);
	return r;
}

void packer_close(struct packer *p)
{
	if (!p)
		return;
	if (p->pending.len) /* claimed by nobody else, and lost */
		writer_lost(p->w);
	ZSTD_freeCCtx(p->cctx);
	buf_release(&p->bytes);
	buf_release(&p->stored);
	vec_release(&p->pending);
	free(p);
}

static uint32_t objects_len(const struct packer *p)
{
	return (uint32_t)(p->bytes.len ? p->bytes.len - TABLE_ROOM : 0);
}

/* Bytes of an object's entry in the table. */
static size_t entry_len(uint32_t len_kind)
{
	return len_kind >> 24 == OBJ_CHUNKS ? 36 : 4;
}

int packer_flush(struct packer *p, struct error *e)
{
	size_t table = p->table_len;
	uint32_t raw_len = (uint32_t)table + objects_len(p);
	uint8_t *raw, *at;
	int r;

	if (!p->pending.len)
		return 0;
	if (p->bytes.oom)
		return error_nomem(e);
	raw = at = p->bytes.data + TABLE_ROOM - table;
	put_le32(at, (uint32_t)p->pending.len);
	at += 4;
	for (size_t i = 0; i < p->pending.len; i++) {
		const struct frame_item *t = &p->pending.items[i];

		put_le32(at, t->len_kind);
		if (entry_len(t->len_kind) > 4)
			memcpy(at + 4, t->id.b, 32);
		at += entry_len(t->len_kind);
	}
	r = frame_encode(p->cctx, writer_get_options(p->w)->level, raw, raw_len,
		&p->stored, e);
	if (!r)
		r = writer_append_frame(p->w, &p->stored, raw_len,
			p->pending.items, p->pending.len, (uint32_t)table, e);
	if (r)
		return r;
	p->pending.len = 0;
	buf_clear(&p->bytes);
	return 0;
}

int packer_add(struct packer *p, enum object_kind kind, const struct oid *id,
	const void *data, size_t len, struct error *e)
{
	uint32_t len_kind = (uint32_t)len | (uint32_t)kind << 24;
	int r;

	if (len > OBJECT_MAX)
		return error_set(e, ERR_LIMIT, "an object of %zu bytes", len);
	if (p->pending.len &&
		(objects_len(p) + len > p->frame_size + p->frame_size / 4 ||
			p->table_len + entry_len(len_kind) > TABLE_ROOM)) {
		r = packer_flush(p, e);
		if (r)
			return r;
	}
	if (!p->pending.len) {
		buf_zero(&p->bytes, TABLE_ROOM);
		p->table_len = 4;
	}
	if (!vec_push(&p->pending, (struct frame_item){.id = *id,
					   .len_kind = len_kind,
					   .off = objects_len(p)}))
		return error_nomem(e);
	p->table_len += entry_len(len_kind);
	buf_add(&p->bytes, data, len);
	if (p->bytes.oom)
		return error_nomem(e);
	writer_count(p->w, kind, len);
	return objects_len(p) >= p->frame_size ? packer_flush(p, e) : 0;
}

int packer_put_record(struct packer *p, enum object_kind kind, const void *data,
	size_t len, struct oid *out, struct error *e)
{
	sha256(data, len, out);
	return writer_claim(p->w, SPACE_RECORD, out)
		       ? packer_add(p, kind, out, data, len, e)
		       : 0;
}

int packer_put_known(struct packer *p, const void *data, size_t len,
	const struct oid *id, struct error *e)
{
	return len && writer_claim(p->w, SPACE_CONTENT, id)
		       ? packer_add(p, OBJ_BLOB, id, data, len, e)
		       : 0;
}

int packer_put_blob(struct packer *p, const void *data, size_t len,
	struct oid *out, struct error *e)
{
	sha256(data, len, out);
	return packer_put_known(p, data, len, out, e);
}
