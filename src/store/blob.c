/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs, whole or chunked. */
#include <string.h>
#include "base/checked.h"
#include "store/chunklist.h"
#include "store/store_internal.h"

struct read_whole {
	void *buf;
	size_t len;
	uint64_t off;
	bool padded; /* what is behind the end of the blob is zeros */
	/* where it is chunked: the list */
	struct buf list;
};

/* Cuts the read to the size of the blob, or refuses it. */
static int pad(struct read_whole *w, uint64_t size, struct error *e)
{
	size_t n;

	if (range_inside(w->off, w->len, size))
		return 0;
	if (!w->padded)
		return error_at(e, ERR_RANGE, w->off,
			"read past the end of a blob");
	n = w->off < size ? (size_t)(size - w->off) : 0;
	memset((uint8_t *)w->buf + n, 0, w->len - n);
	w->len = n;
	w->off = u64_min(w->off, size);
	return 0;
}

static int read_part(void *ctx, const struct located *at, const uint8_t *data,
	struct error *e)
{
	struct read_whole *w = ctx;

	if (at->kind == OBJ_BLOB) {
		if (pad(w, at->len, e))
			return ERR_RANGE;
		memcpy(w->buf, data + w->off, w->len);
		return 0;
	}
	buf_add(&w->list, data, at->len);
	return w->list.oom ? error_nomem(e) : 1;
}

static int list_check(const struct buf *l, struct error *e)
{
	if (l->len < CHUNKLIST_HEAD || (l->len - CHUNKLIST_HEAD) % CHUNKLIST_ENTRY ||
		l->data[0] > 1)
		return error_set(e, ERR_DAMAGED,
			"library: a list of chunks is damaged");
	return 0;
}

static int read_chunk(struct store *s, const uint8_t *entry, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	struct read_whole w = { .buf = buf, .len = len, .off = off };
	struct oid id;
	int r;

	memcpy(id.b, entry, 32);
	r = store_with_object(s, SPACE_CONTENT, &id, read_part, &w, e);
	if (r == 1)
		r = error_set(e, ERR_DAMAGED, "library: a chunk is a list");
	if (r == ERR_RANGE)
		r = error_set(e, ERR_DAMAGED,
			"library: a chunk is shorter than its list says");
	buf_release(&w.list);
	return r;
}

/* Reads from a list of chunks; at is where the list's first byte stands. */
static int read_list(struct store *s, const uint8_t *entries, size_t n,
	uint64_t at, uint8_t *buf, size_t len, uint64_t off, struct error *e)
{
	int r;

	for (size_t i = 0; i < n && len; i++) {
		uint64_t clen = get_le32(entries + CHUNKLIST_ENTRY * i + 32);

		if (off < at + clen) {
			size_t take = (size_t)u64_min(at + clen - off, len);

			r = read_chunk(s, entries + CHUNKLIST_ENTRY * i, buf, take,
				off - at, e);
			if (r)
				return r;
			buf += take;
			off += take;
			len -= take;
		}
		at += clen;
	}
	return len ? error_set(e, ERR_DAMAGED,
			     "library: a list of chunks is too short")
		   : 0;
}

static int get_segment(struct store *s, const uint8_t *entry, struct buf *out,
	struct error *e)
{
	struct oid id;
	int r;

	memcpy(id.b, entry, 32);
	r = store_get_record(s, OBJ_SEGMENT, &id, out, e);
	if (!r)
		r = list_check(out, e);
	if (!r && out->data[0] != 0)
		r = error_set(e, ERR_DAMAGED, "library: a segment of segments");
	return r;
}

/* The length that all segments but the last have. */
static uint64_t segment_len(const struct buf *l)
{
	return l->len > CHUNKLIST_HEAD ? get_le32(l->data + CHUNKLIST_HEAD + 32) : 1;
}

static int read_segments(struct store *s, const struct buf *l, uint8_t *buf,
	size_t len, uint64_t off, struct error *e)
{
	size_t n = (l->len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY;
	uint64_t seg = segment_len(l);
	int r = 0;

	while (len && !r) {
		AUTO_BUF list = BUF_INIT;
		uint64_t i = seg ? off / seg : n;
		size_t take;

		if (i >= n)
			return error_set(e, ERR_DAMAGED,
				"library: a list of segments is too short");
		take = (size_t)u64_min(seg - off % seg, len);
		r = get_segment(s,
			l->data + CHUNKLIST_HEAD + CHUNKLIST_ENTRY * i, &list,
			e);
		if (!r)
			r = read_list(s, list.data + CHUNKLIST_HEAD,
				(list.len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY,
				i * seg, buf, take, off, e);
		buf += take;
		off += take;
		len -= take;
	}
	return r;
}

static int read_blob(struct store *s, const struct oid *id,
	struct read_whole *w, struct error *e)
{
	int r;

	if (oid_equal(id, &oid_empty))
		return w->len || w->off ? pad(w, 0, e) : 0;
	r = store_with_object(s, SPACE_CONTENT, id, read_part, w, e);
	if (r != 1)
		return r;
	r = list_check(&w->list, e);
	if (!r)
		r = pad(w, get_le64(w->list.data + 1), e);
	if (r)
		return r;
	if (w->list.data[0])
		return read_segments(s, &w->list, w->buf, w->len, w->off, e);
	return read_list(s, w->list.data + CHUNKLIST_HEAD,
		(w->list.len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY, 0, w->buf,
		w->len, w->off, e);
}

int store_read_blob(struct store *s, const struct oid *id, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	struct read_whole w = { .buf = buf, .len = len, .off = off };
	int r = read_blob(s, id, &w, e);

	buf_release(&w.list);
	return r;
}

int store_read_padded(struct store *s, const struct oid *id, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	struct read_whole w = {
		.buf = buf, .len = len, .off = off, .padded = true
	};
	int r = read_blob(s, id, &w, e);

	buf_release(&w.list);
	return r;
}

static unsigned warm_entries(struct store *s, struct snapshot *sn,
	const uint8_t *entries, size_t n, uint64_t at, size_t len, uint64_t off)
{
	unsigned done = 0;

	for (size_t i = 0; i < n && at < off + len; i++) {
		uint64_t clen = get_le32(entries + CHUNKLIST_ENTRY * i + 32);
		struct located l;
		struct oid id;

		memcpy(id.b, entries + CHUNKLIST_ENTRY * i, 32);
		if (off < at + clen &&
			snapshot_find(sn, SPACE_CONTENT, &id, &l))
			done |= store_frame_warm(s, &l);
		at += clen;
	}
	return done;
}

/* The first segment of the range only: what follows is another 32 MiB. */
static unsigned warm_list(struct store *s, struct snapshot *sn,
	const struct oid *id, size_t len, uint64_t off)
{
	AUTO_BUF list = BUF_INIT, part = BUF_INIT;
	const struct buf *l = &list;
	enum object_kind kind;
	uint64_t at = 0;

	if (store_get(s, SPACE_CONTENT, id, &kind, &list, NULL) ||
		list_check(&list, NULL))
		return 0;
	if (list.data[0]) {
		uint64_t seg = segment_len(&list), i = seg ? off / seg : 0;

		if (i >= (list.len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY ||
			get_segment(s, list.data + CHUNKLIST_HEAD +
					       CHUNKLIST_ENTRY * i, &part, NULL))
			return 0;
		at = i * seg;
		l = &part;
	}
	return warm_entries(s, sn, l->data + CHUNKLIST_HEAD,
		(l->len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY, at, len, off);
}

unsigned store_warm_blob(struct store *s, const struct oid *id, size_t len,
	uint64_t off)
{
	struct snapshot *sn = store_snapshot(s);
	struct located at;
	unsigned done = 0;

	if (snapshot_find(sn, SPACE_CONTENT, id, &at)) {
		done = store_frame_warm(s, &at);
		if (at.kind != OBJ_BLOB && off <= UINT64_MAX - len)
			done |= warm_list(s, sn, id, len, off);
	}
	snapshot_unref(s, sn);
	return done;
}

int store_blob_size(struct store *s, const struct oid *id, uint64_t *out,
	struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	enum object_kind kind;
	struct object_info info;
	int r;

	if (oid_equal(id, &oid_empty)) {
		*out = 0;
		return 0;
	}
	r = store_stat(s, SPACE_CONTENT, id, &info, e);
	if (r)
		return r;
	if (info.kind == OBJ_BLOB) {
		*out = info.len;
		return 0;
	}
	r = store_get(s, SPACE_CONTENT, id, &kind, &b, e);
	if (!r)
		r = list_check(&b, e);
	if (!r)
		*out = get_le64(b.data + 1);
	return r;
}

static int parts_of(const uint8_t *entries, size_t n, enum object_space space,
	store_part_fn fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		struct oid id;

		memcpy(id.b, entries + CHUNKLIST_ENTRY * i, 32);
		r = fn(ctx, space, &id, get_le32(entries + CHUNKLIST_ENTRY * i + 32));
	}
	return r;
}

int store_blob_parts(struct store *s, const struct oid *id, store_part_fn fn,
	void *ctx, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	enum object_kind kind;
	size_t n;
	int r;

	if (oid_equal(id, &oid_empty))
		return 0;
	r = store_get(s, SPACE_CONTENT, id, &kind, &b, e);
	if (r || kind == OBJ_BLOB)
		return r;
	r = list_check(&b, e);
	if (r)
		return r;
	n = (b.len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY;
	if (b.data[0] == 0)
		return parts_of(b.data + CHUNKLIST_HEAD, n, SPACE_CONTENT, fn, ctx);
	for (size_t i = 0; i < n && !r; i++) {
		const uint8_t *entry = b.data + CHUNKLIST_HEAD + CHUNKLIST_ENTRY * i;
		AUTO_BUF list = BUF_INIT;

		r = parts_of(entry, 1, SPACE_RECORD, fn, ctx);
		if (!r)
			r = get_segment(s, entry, &list, e);
		if (!r)
			r = parts_of(list.data + CHUNKLIST_HEAD,
				(list.len - CHUNKLIST_HEAD) / CHUNKLIST_ENTRY,
				SPACE_CONTENT, fn, ctx);
	}
	return r;
}
