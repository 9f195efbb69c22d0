/* SPDX-License-Identifier: Apache-2.0 */
/* The content of files and named streams: plain, sparse, compressed. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "fs/ntfs_codec.h"

int ntfs_data_attr(struct ntfs *n, struct ntfs_inode *ino, unsigned stream,
	struct ntfs_attr **out, struct error *e)
{
	unsigned at = 0;
	int r;

	if (!stream)
		return ntfs_attr_find(n, ino, NTFS_AT_DATA, "", out, e);
	for (size_t i = 0; i < ino->attrs.len; i++) {
		struct ntfs_attr *a = &ino->attrs.items[i];

		if (a->type != NTFS_AT_DATA || !a->name_len || a->lowest_vcn)
			continue;
		if (++at != stream)
			continue;
		r = ntfs_attr_load(n, ino, a, e);
		if (r)
			return r;
		*out = a;
		return 1;
	}
	return 0;
}

bool ntfs_stream_known(const struct ntfs *n, const struct ntfs_attr *a)
{
	const struct ntfs_nonresident *x = (const void *)a->raw;
	unsigned method = le16_get(x->h.flags) & NTFS_ATTR_COMPRESSION;

	if (!x->h.nonresident)
		return true;
	return !method || (method == 1 && x->unit_shift < 22 &&
		(uint64_t)n->cluster_size << x->unit_shift <= LIMIT_NTFS_UNIT);
}

/* An inode and the stream of it that an id means, opened. */
static int content_open(struct ntfs *n, uint64_t id, struct ntfs_inode **out,
	struct error *e)
{
	unsigned no = ntfs_id_stream(id);
	struct ntfs_inode *ino;
	struct ntfs_attr *a;
	int r = ntfs_inode_get(n, id, &ino, e);

	if (r)
		return r;
	if (ino->has_stream && ino->stream_no == no) {
		*out = ino;
		return 0;
	}
	ntfs_stream_release(&ino->stream);
	ino->has_stream = false;
	ino->wof.on = false;
	r = ntfs_data_attr(n, ino, no, &a, e);
	if (r == 1) {
		r = ntfs_stream_known(n, a)
			    ? ntfs_stream_open(n, ino, a, &ino->stream, e)
			    : error_set(e, ERR_UNSUPPORTED, "MFT record %u: "
				      "compressed by an unknown method",
				      ino->no);
	} else if (!r && no) {
		r = error_set(e, ERR_NOTFOUND, "MFT record %u has no stream %u",
			ino->no, no);
	}
	if (!r && !no && ino->stream.size)
		r = ntfs_content_check(n, ino, e);
	if (!r && !no && ino->stream.size)
		r = ntfs_wof_open(n, ino, e);
	if (r) {
		ntfs_inode_put(n, ino);
		return r;
	}
	ino->has_stream = true;
	ino->stream_no = no;
	*out = ino;
	return 0;
}

/* Extents on their way out: neighbours become one. */
struct emit {
	struct fs_extent x;
	bool have;
	fs_extent_fn fn;
	void *ctx;
};

static int emit_flush(struct emit *m)
{
	if (!m->have)
		return 0;
	m->have = false;
	return m->fn(m->ctx, &m->x);
}

static int emit(struct emit *m, enum fs_extent_kind kind, uint64_t file_off,
	uint64_t len, uint64_t dev_off, uint64_t dev_len)
{
	int r;

	if (!len)
		return 0;
	if (m->have && m->x.kind == kind && kind != FS_EXTENT_ENCODED &&
		m->x.file_off + m->x.len == file_off &&
		m->x.dev_off + m->x.dev_len == dev_off) {
		m->x.len += len;
		m->x.dev_len += dev_len;
		return 0;
	}
	r = emit_flush(m);
	if (r)
		return r;
	m->have = true;
	m->x = (struct fs_extent){ .file_off = file_off,
		.len = len,
		.dev_off = dev_off,
		.dev_len = dev_len,
		.kind = kind };
	return 0;
}

/* Clusters [vcn, vcn+len) at lcn hold plain bytes: data up to the initialized
 * size, then zeros; nothing behind the last cluster of the file. */
static int emit_plain(const struct ntfs *n, const struct ntfs_stream *s,
	struct emit *m, uint64_t vcn, uint64_t lcn, uint64_t len)
{
	uint64_t a = vcn << n->cluster_shift, dev = lcn << n->cluster_shift;
	uint64_t b = u64_min(a + (len << n->cluster_shift),
		round_up(s->size, n->cluster_size));
	uint64_t init = s->init == s->size ? b : s->init;
	uint64_t mid = u64_max(a, u64_min(b, init));
	int r;

	if (b <= a)
		return 0;
	r = emit(m, FS_EXTENT_DATA, a, mid - a, dev, mid - a);
	return r ? r
		 : emit(m, FS_EXTENT_UNWRITTEN, mid, b - mid, dev + mid - a,
			   b - mid);
}

/* The clusters that a compression unit has on disk. */
static uint64_t unit_clusters(const struct ntfs_stream *s, size_t i,
	uint64_t vcn, uint64_t end, size_t *out_runs)
{
	uint64_t have = 0;

	*out_runs = 0;
	for (; i < s->runs.len && s->runs.items[i].vcn < end; i++) {
		const struct ntfs_run *run = &s->runs.items[i];

		if (run->lcn == NTFS_HOLE)
			continue;
		have += u64_min(end, run->vcn + run->len) -
			u64_max(vcn, run->vcn);
		(*out_runs)++;
	}
	return have;
}

/* A compressed unit in [vcn, end) whose pieces start in run i: each piece
 * stands for as many file bytes as it has, the last for the rest. */
static int emit_unit(const struct ntfs *n, const struct ntfs_stream *s,
	struct emit *m, size_t i, uint64_t vcn, uint64_t end, size_t pieces)
{
	uint64_t at = vcn << n->cluster_shift;
	uint64_t left = u64_min(end << n->cluster_shift, s->size) - at;
	int r = 0;

	for (; !r && pieces && left; i++) {
		const struct ntfs_run *run = &s->runs.items[i];
		uint64_t a = u64_max(vcn, run->vcn), len, file;

		if (run->lcn == NTFS_HOLE)
			continue;
		len = (u64_min(end, run->vcn + run->len) - a)
		      << n->cluster_shift;
		pieces--;
		file = pieces ? u64_min(len, left) : left;
		r = emit(m, FS_EXTENT_ENCODED, at, file,
			(run->lcn + (a - run->vcn)) << n->cluster_shift, len);
		at += file;
		left -= file;
	}
	return r;
}

static int extents_compressed(const struct ntfs *n, const struct ntfs_stream *s,
	struct emit *m)
{
	const uint64_t unit = UINT64_C(1) << s->unit_shift;
	const uint64_t end = div_ceil(s->size, n->cluster_size);
	uint64_t vcn = 0;
	size_t i = 0;
	int r = 0;

	/* vcn grows by at least a unit each time. */
	while (!r && vcn < end) {
		uint64_t stop = vcn + unit;
		size_t pieces;

		while (i < s->runs.len &&
			s->runs.items[i].vcn + s->runs.items[i].len <= vcn)
			i++;
		if (i == s->runs.len)
			break;
		if (s->runs.items[i].lcn == NTFS_HOLE &&
			s->runs.items[i].vcn + s->runs.items[i].len >= stop) {
			vcn = round_down(s->runs.items[i].vcn +
						 s->runs.items[i].len, unit);
			continue;
		}
		if (unit_clusters(s, i, vcn, stop, &pieces) == unit) {
			for (size_t k = i; !r && k < s->runs.len &&
				s->runs.items[k].vcn < stop; k++) {
				const struct ntfs_run *run = &s->runs.items[k];
				uint64_t a = u64_max(vcn, run->vcn);

				r = emit_plain(n, s, m, a,
					run->lcn + (a - run->vcn),
					u64_min(stop, run->vcn + run->len) - a);
			}
		} else {
			r = emit_unit(n, s, m, i, vcn, stop, pieces);
		}
		vcn = stop;
	}
	return r;
}

/* Of n pieces in len bytes of a stream, the one that ends at part gets its
 * share of a file of size bytes. */
static uint64_t share(uint64_t size, uint64_t part, uint64_t len)
{
	return (uint64_t)((unsigned __int128)size * part / len);
}

/* What a filter compressed: where each chunk lies says a table on the disk, so
 * that each run just stands for its share of the file. */
static int extents_wof(const struct ntfs *n, const struct ntfs_inode *ino,
	struct emit *m)
{
	const struct ntfs_stream *s = &ino->stream;
	uint64_t size = ino->wof.size;
	int r = 0;

	for (size_t i = 0; !r && i < s->runs.len; i++) {
		const struct ntfs_run *run = &s->runs.items[i];
		uint64_t a = run->vcn << n->cluster_shift, b, at;

		if (run->lcn == NTFS_HOLE || a >= s->size)
			continue;
		b = u64_min(a + (run->len << n->cluster_shift), s->size);
		at = share(size, a, s->size);
		r = emit(m, FS_EXTENT_ENCODED, at, share(size, b, s->size) - at,
			run->lcn << n->cluster_shift, b - a);
	}
	return r;
}

int ntfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct emit m = { .fn = fn, .ctx = ctx };
	struct ntfs_inode *ino;
	const struct ntfs_stream *s;
	int r = content_open(n, id, &ino, e);

	if (r)
		return r;
	s = &ino->stream;
	if (s->resident) {
		r = emit(&m, FS_EXTENT_INLINE, 0,
			ino->wof.on ? ino->wof.size : s->size, 0, 0);
	} else if (ino->wof.on) {
		r = extents_wof(n, ino, &m);
	} else if (s->unit_shift) {
		r = extents_compressed(n, s, &m);
	} else {
		for (size_t i = 0; !r && i < s->runs.len; i++) {
			const struct ntfs_run *run = &s->runs.items[i];

			if (run->lcn != NTFS_HOLE)
				r = emit_plain(n, s, &m, run->vcn, run->lcn,
					run->len);
		}
	}
	if (!r)
		r = emit_flush(&m);
	ntfs_inode_put(n, ino);
	return r;
}

bool ntfs_unit_kept(const struct ntfs *n, uint64_t id, uint64_t no)
{
	return n->unit_id == id && n->unit_no == no;
}

bool ntfs_unit_room(struct ntfs *n, size_t size)
{
	uint8_t *p;

	n->unit_no = UINT64_MAX;
	if (n->unit_cap >= size)
		return true;
	p = realloc(n->unit, size);
	if (!p)
		return false;
	n->unit = p;
	n->unit_cap = size;
	return true;
}

/* Decodes a unit into n->unit, which keeps it for the next call. */
static int unit_read(struct ntfs *n, const struct ntfs_stream *s, uint64_t id,
	uint64_t no, struct error *e)
{
	const uint64_t unit = UINT64_C(1) << s->unit_shift;
	const size_t size = (size_t)unit << n->cluster_shift;
	const uint64_t vcn = no << s->unit_shift, end = vcn + unit;
	AUTO_FREE uint8_t *packed = NULL;
	size_t first = ntfs_run_find(s, vcn), pieces, got = 0;
	uint64_t have = unit_clusters(s, first, vcn, end, &pieces);
	uint8_t *into;

	if (ntfs_unit_kept(n, id, no))
		return 0;
	if (!ntfs_unit_room(n, size))
		return error_nomem(e);
	into = n->unit;
	if (have < unit) {
		packed = malloc((size_t)(have << n->cluster_shift) + 1);
		if (!packed)
			return error_nomem(e);
		into = packed;
	}
	for (size_t i = first; i < s->runs.len && s->runs.items[i].vcn < end;
		i++) {
		const struct ntfs_run *run = &s->runs.items[i];
		uint64_t a = u64_max(vcn, run->vcn), len;
		int r;

		if (run->lcn == NTFS_HOLE)
			continue;
		len = (u64_min(end, run->vcn + run->len) - a)
		      << n->cluster_shift;
		r = source_pread(n->src, into + got, (size_t)len,
			(run->lcn + (a - run->vcn)) << n->cluster_shift, e);
		if (r)
			return r;
		got += (size_t)len;
	}
	if (have < unit && !lznt1_decode(packed, got, n->unit, size))
		return error_set(e, ERR_CORRUPT,
			"compressed unit %llu of MFT record %llu is corrupt",
			(unsigned long long)no,
			(unsigned long long)ntfs_id_rec(id));
	n->unit_id = id;
	n->unit_no = no;
	return 0;
}

static int pread_compressed(struct ntfs *n, const struct ntfs_stream *s,
	uint64_t id, uint8_t *p, size_t len, uint64_t off, struct error *e)
{
	const unsigned shift = s->unit_shift + n->cluster_shift;
	const size_t size = (size_t)1 << shift;

	while (len && off < s->init) {
		size_t in = (size_t)(off & (size - 1));
		size_t k = (size_t)u64_min(size_min(len, size - in),
			s->init - off);
		int r = unit_read(n, s, id, off >> shift, e);

		if (r)
			return r;
		memcpy(p, n->unit + in, k);
		p += k;
		off += k;
		len -= k;
	}
	memset(p, 0, len);
	return 0;
}

int ntfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct ntfs_inode *ino;
	const struct ntfs_stream *s;
	int r = content_open(n, id, &ino, e);

	if (r)
		return r;
	s = &ino->stream;
	if (ino->wof.on)
		r = ntfs_wof_pread(n, ino, id, buf, len, off, e);
	else if (s->unit_shift && range_inside(off, len, s->size))
		r = pread_compressed(n, s, id, buf, len, off, e);
	else
		r = ntfs_stream_read(n, s, n->src, buf, len, off, e);
	ntfs_inode_put(n, ino);
	return r;
}

int ntfs_streams(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct ntfs_inode *ino;
	struct ntfs_wof w;
	unsigned no = 0;
	bool wof;
	int r = ntfs_inode_get(n, id, &ino, e);

	if (r)
		return r;
	wof = ntfs_wof_info(n, ino, &w, NULL) == 1;
	for (size_t i = 0; !r && i < ino->attrs.len; i++) {
		const struct ntfs_attr *a = &ino->attrs.items[i];
		uint8_t name[3 * 256];
		size_t len;

		if (a->type != NTFS_AT_DATA || !a->name_len || a->lowest_vcn)
			continue;
		if (++no > 0xffff) {
			r = error_set(e, ERR_LIMIT,
				"MFT record %u has more than %u streams",
				ino->no, no - 1);
			break;
		}
		if (wof && ntfs_name_is(a->name, a->name_len, NTFS_WOF_STREAM))
			continue;
		len = utf16_to_utf8(a->name, a->name_len, false, UTF_LONE_KEEP,
			name, sizeof(name), NULL);
		if (memchr(name, 0, len) || memchr(name, '/', len)) {
			finding_report(n->findings, FINDING_NAME_BAD,
				FINDING_NO_OFFSET, "",
				"a stream of MFT record %u", ino->no);
			continue;
		}
		r = fn(ctx, name, len,
			ntfs_id(ino->no, ntfs_id_seq(id), no));
	}
	ntfs_inode_put(n, ino);
	return r;
}
