/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the Windows overlay filter compresses ("Compact OS", compact.exe
 * /exe): the content is a hole of the file's size, a reparse point says how it
 * is compressed, and a named stream holds it. Windows shows neither of these,
 * and so do we. [MS-FSCC] 2.1.2.1; WOF_EXTERNAL_INFO and
 * FILE_PROVIDER_EXTERNAL_INFO_V1 of the Windows SDK. The stream is a table of
 * where each chunk but the first begins, counted from its own end, and the
 * chunks: as a resource of a WIM archive. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/ntfs_codec.h"

enum { PROVIDER_WIM = 1, PROVIDER_FILE = 2 };

static int named_stream(struct ntfs *n, struct ntfs_inode *ino,
	struct ntfs_attr **out, struct error *e)
{
	return ntfs_attr_find(n, ino, NTFS_AT_DATA, NTFS_WOF_STREAM, out, e);
}

int ntfs_wof_info(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_wof *out,
	struct error *e)
{
	/* XPRESS4K, LZX, XPRESS8K, XPRESS16K */
	static const uint8_t shifts[] = { 12, 15, 13, 14 };
	AUTO_BUF b = BUF_INIT;
	struct ntfs_standard st;
	struct ntfs_attr *a;
	struct cursor c;
	uint32_t tag = 0, version, provider, method;
	const char *why;
	int r = ntfs_standard(n, ino, &st, e);

	if (r || !(le32_get(st.attributes) & NTFS_FILE_REPARSE))
		return r;
	r = ntfs_reparse_read(n, ino, &b, &tag, e);
	if (r <= 0 || tag != (uint32_t)NTFS_TAG_WOF)
		return r < 0 ? r : 0;
	c = cursor_make(b.data, b.len);
	cur_skip(&c, sizeof(struct ntfs_reparse));
	version = cur_le32(&c);
	provider = cur_le32(&c);
	why = "in a way that is not known";
	if (c.bad || version != 1)
		goto unsupported;
	if (provider == PROVIDER_WIM) {
		why = "in a WIM archive";
		goto unsupported;
	}
	version = cur_le32(&c);
	method = cur_le32(&c);
	if (c.bad || provider != PROVIDER_FILE || version != 1 ||
		method >= ARRAY_LEN(shifts))
		goto unsupported;
	r = named_stream(n, ino, &a, e);
	if (r < 0)
		return r;
	why = "in a stream that is missing";
	if (!r)
		goto unsupported;
	*out = (struct ntfs_wof){ .on = true,
		.lzx = method == 1,
		.chunk_shift = shifts[method] };
	return 1;
unsupported:
	return error_set(e, ERR_UNSUPPORTED, "MFT record %u: the content is "
		"compressed by the overlay filter, %s", ino->no, why);
}

int ntfs_wof_open(struct ntfs *n, struct ntfs_inode *ino, struct error *e)
{
	struct ntfs_wof w = { 0 };
	struct ntfs_stream s = { 0 };
	struct ntfs_attr *a;
	uint64_t table;
	int r = ntfs_wof_info(n, ino, &w, e);

	if (r <= 0)
		return r;
	w.size = ino->stream.size;
	r = named_stream(n, ino, &a, e);
	if (r == 1)
		r = ntfs_stream_open(n, ino, a, &s, e);
	if (r)
		return r;
	w.entry = w.size > UINT32_MAX ? 8 : 4;
	w.chunks = div_ceil(w.size, UINT64_C(1) << w.chunk_shift);
	if (s.unit_shift || !u64_mul(w.chunks - 1, w.entry, &table) ||
		table >= s.size) {
		r = error_set(e, ERR_CORRUPT, "MFT record %u: %llu bytes "
			"compressed to %llu, by two means or without room for "
			"a table", ino->no, (unsigned long long)w.size,
			(unsigned long long)s.size);
		ntfs_stream_release(&s);
		return r;
	}
	ntfs_stream_release(&ino->stream);
	ino->stream = s;
	ino->wof = w;
	return 0;
}

/* Where a chunk ends, behind the table. */
static int chunk_end(struct ntfs *n, const struct ntfs_inode *ino, uint64_t no,
	uint64_t *out, struct error *e)
{
	const struct ntfs_wof *w = &ino->wof;
	const struct ntfs_stream *s = &ino->stream;
	uint8_t b[8];
	int r;

	if (no + 1 == w->chunks) {
		*out = s->size - (w->chunks - 1) * w->entry;
		return 0;
	}
	r = ntfs_stream_read(n, s, n->meta, b, w->entry, no * w->entry, e);
	if (!r)
		*out = w->entry == 8 ? get_le64(b) : get_le32(b);
	return r;
}

/* Decodes a chunk of size bytes into n->unit, which keeps it. */
static int chunk_read(struct ntfs *n, const struct ntfs_inode *ino, uint64_t id,
	uint64_t no, size_t size, struct error *e)
{
	const struct ntfs_wof *w = &ino->wof;
	const uint64_t table = (w->chunks - 1) * w->entry;
	AUTO_FREE uint8_t *packed = NULL;
	uint64_t from = 0, end = 0;
	bool ok = true;
	int r = 0;

	if (ntfs_unit_kept(n, id, no))
		return 0;
	if (!ntfs_unit_room(n, size))
		return error_nomem(e);
	if (no)
		r = chunk_end(n, ino, no - 1, &from, e);
	if (!r)
		r = chunk_end(n, ino, no, &end, e);
	if (r)
		return r;
	/* one that did not shrink stands there as it is */
	if (from >= end || end - from > size ||
		!range_inside(from, end - from, ino->stream.size - table))
		return error_set(e, ERR_CORRUPT, "MFT record %u: chunk %llu of "
			"the compressed content is from %llu to %llu", ino->no,
			(unsigned long long)no, (unsigned long long)from,
			(unsigned long long)end);
	packed = malloc((size_t)(end - from));
	if (!packed)
		return error_nomem(e);
	r = ntfs_stream_read(n, &ino->stream, n->src, packed,
		(size_t)(end - from), table + from, e);
	if (r)
		return r;
	if (end - from == size)
		memcpy(n->unit, packed, size);
	else if (w->lzx)
		ok = lzx_decode(packed, (size_t)(end - from), n->unit, size);
	else
		ok = xpress_decode(packed, (size_t)(end - from), n->unit, size);
	if (!ok)
		return error_set(e, ERR_CORRUPT, "MFT record %u: chunk %llu of "
			"the compressed content cannot be decoded", ino->no,
			(unsigned long long)no);
	n->unit_id = id;
	n->unit_no = no;
	return 0;
}

int ntfs_wof_pread(struct ntfs *n, const struct ntfs_inode *ino, uint64_t id,
	uint8_t *p, size_t len, uint64_t off, struct error *e)
{
	const struct ntfs_wof *w = &ino->wof;
	const uint64_t chunk = UINT64_C(1) << w->chunk_shift;

	if (!range_inside(off, len, w->size))
		return error_set(e, ERR_RANGE, "MFT record %u: read behind the "
			"end of the content", ino->no);
	while (len) {
		uint64_t no = off >> w->chunk_shift, in = off & (chunk - 1);
		size_t size = (size_t)u64_min(chunk, w->size - (off - in));
		size_t k = size_min(len, size - (size_t)in);
		int r = chunk_read(n, ino, id, no, size, e);

		if (r)
			return r;
		memcpy(p, n->unit + in, k);
		p += k;
		off += k;
		len -= k;
	}
	return 0;
}
