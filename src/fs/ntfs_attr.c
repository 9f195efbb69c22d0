/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: their records, their runs, their stored bytes. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

bool ntfs_name_is(const uint8_t *name, size_t units, const char *ascii)
{
	size_t len = strlen(ascii);

	if (units != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[2 * i] != (uint8_t)ascii[i] || name[2 * i + 1])
			return false;
	return true;
}

int ntfs_attr_next(const uint8_t *rec, uint32_t used, uint32_t no, uint32_t *at,
	struct ntfs_attr *out, struct error *e)
{
	const struct ntfs_attr_header *h;
	uint32_t left, len, head, name_off;

	if (*at > used || used - *at < 4)
		return error_set(e, ERR_CORRUPT,
			"MFT record %u: attributes have no end", no);
	left = used - *at;
	if (get_le32(rec + *at) == NTFS_AT_END)
		return 0;
	h = (const void *)(rec + *at);
	if (left < sizeof(struct ntfs_resident))
		goto bad;
	len = le32_get(h->len);
	head = h->nonresident ? sizeof(struct ntfs_nonresident)
			      : sizeof(struct ntfs_resident);
	name_off = le16_get(h->name_off);
	if (len < head || len % 8 || len > left || h->nonresident > 1 ||
		(h->name_len && (name_off < head ||
			!range_inside(name_off, 2u * h->name_len, len))))
		goto bad;
	*out = (struct ntfs_attr){
		.type = le32_get(h->type),
		.name_len = h->name_len,
		.name = rec + *at + (h->name_len ? name_off : 0),
		.rec = no,
		.instance = le16_get(h->instance),
		.raw = rec + *at,
		.raw_len = len,
	};
	if (h->nonresident) {
		const struct ntfs_nonresident *x = (const void *)h;

		out->lowest_vcn = le64_get(x->lowest_vcn);
		if (le16_get(x->runs_off) < head ||
			le16_get(x->runs_off) > len)
			goto bad;
	} else {
		const struct ntfs_resident *x = (const void *)h;

		if (!range_inside(le16_get(x->value_off),
			    le32_get(x->value_len), len) ||
			(le16_get(x->value_off) < head &&
				le32_get(x->value_len)))
			goto bad;
	}
	*at += len;
	return 1;
bad:
	return error_set(e, ERR_CORRUPT,
		"MFT record %u: the attribute at %u (type 0x%x) is bad", no,
		*at, get_le32(rec + *at));
}

int ntfs_attr_find(struct ntfs *n, struct ntfs_inode *ino, uint32_t type,
	const char *name, struct ntfs_attr **out, struct error *e)
{
	for (size_t i = 0; i < ino->attrs.len; i++) {
		struct ntfs_attr *a = &ino->attrs.items[i];
		int r;

		if (a->type != type || a->lowest_vcn ||
			!ntfs_name_is(a->name, a->name_len, name))
			continue;
		r = ntfs_attr_load(n, ino, a, e);
		if (r)
			return r;
		*out = a;
		return 1;
	}
	return 0;
}

int ntfs_attr_value(const struct ntfs_attr *a, struct view *out,
	struct error *e)
{
	const struct ntfs_resident *x = (const void *)a->raw;

	if (x->h.nonresident)
		return error_set(e, ERR_CORRUPT, "MFT record %u: attribute "
			"type 0x%x is not resident", a->rec, a->type);
	*out = (struct view){ a->raw + le16_get(x->value_off),
		le32_get(x->value_len) };
	return 0;
}

/* A signed little-endian integer of 1 to 8 bytes. */
static int64_t get_signed(const uint8_t *p, unsigned n)
{
	uint64_t v = p[n - 1] & 0x80 ? UINT64_MAX : 0;

	while (n--)
		v = v << 8 | p[n];
	return (int64_t)v;
}

static uint64_t runs_end(const struct ntfs_stream *s)
{
	const struct ntfs_run *last;

	if (!s->runs.len)
		return 0;
	last = vec_last(&s->runs);
	return last->vcn + last->len;
}

static bool run_push(struct ntfs_stream *s, uint64_t vcn, uint64_t lcn,
	uint64_t len)
{
	struct ntfs_run *last = s->runs.len ? vec_last(&s->runs) : NULL;

	if (last && (lcn == NTFS_HOLE ? last->lcn == NTFS_HOLE
				      : last->lcn != NTFS_HOLE &&
					last->lcn + last->len == lcn)) {
		last->len += len;
		return true;
	}
	return vec_push(&s->runs, (struct ntfs_run){ vcn, lcn, len });
}

int ntfs_runs_add(const struct ntfs *n, const struct ntfs_attr *a,
	struct ntfs_stream *s, struct error *e)
{
	const struct ntfs_nonresident *x = (const void *)a->raw;
	/* VCNs whose byte offsets fit a signed 64-bit integer. */
	const uint64_t max = (uint64_t)INT64_MAX >> n->cluster_shift;
	uint64_t vcn = le64_get(x->lowest_vcn), lcn = 0, past;
	struct cursor c;

	if (!x->h.nonresident || vcn != runs_end(s))
		return error_set(e, ERR_CORRUPT, "MFT record %u: a piece of "
			"attribute type 0x%x starts at cluster %llu, not %llu",
			a->rec, a->type, (unsigned long long)vcn,
			(unsigned long long)runs_end(s));
	c = cursor_make(a->raw + le16_get(x->runs_off),
		a->raw_len - le16_get(x->runs_off));
	for (;;) {
		uint8_t head = cur_u8(&c);
		unsigned nlen = head & 15, noff = head >> 4;
		const uint8_t *p;
		int64_t len;

		if (!head || c.bad)
			break;
		p = cur_bytes(&c, nlen + noff);
		if (!p || !nlen || nlen > 8 || noff > 8)
			goto bad;
		len = get_signed(p, nlen);
		if (len <= 0 || (uint64_t)len > max || vcn > max - (uint64_t)len)
			goto bad;
		if (noff)
			lcn += (uint64_t)get_signed(p + nlen, noff);
		if (noff && !range_inside(lcn, (uint64_t)len, n->clusters))
			return error_set(e, ERR_CORRUPT, "MFT record %u: "
				"clusters %llu+%lld of attribute type 0x%x are "
				"outside the volume", a->rec,
				(unsigned long long)lcn, (long long)len,
				a->type);
		if (s->runs.len >= LIMIT_FILE_EXTENTS)
			return error_set(e, ERR_LIMIT,
				"MFT record %u: more than %zu runs", a->rec,
				s->runs.len);
		if (!run_push(s, vcn, noff ? lcn : NTFS_HOLE, (uint64_t)len))
			return error_nomem(e);
		vcn += (uint64_t)len;
	}
	past = le64_get(x->highest_vcn) + 1;
	/* An empty one says -1, or by some writers 0. */
	if (past != vcn && !(vcn == 0 && past == 1))
		goto bad;
	return 0;
bad:
	return error_set(e, ERR_CORRUPT,
		"MFT record %u: the runs of attribute type 0x%x are bad",
		a->rec, a->type);
}

int ntfs_stream_head(const struct ntfs *n, const struct ntfs_attr *a,
	struct ntfs_stream *s, struct error *e)
{
	const struct ntfs_nonresident *x = (const void *)a->raw;
	uint16_t flags = le16_get(x->h.flags);
	struct view v = { NULL, 0 };
	uint64_t dummy;
	int r;

	s->encrypted = flags & NTFS_ATTR_ENCRYPTED;
	if (!x->h.nonresident) {
		r = ntfs_attr_value(a, &v, e);
		if (r)
			return r;
		s->resident = true;
		s->value = v.data;
		s->size = s->init = v.len;
		return 0;
	}
	s->size = le64_get(x->size);
	s->init = u64_min(le64_get(x->initialized), s->size);
	if (s->size > INT64_MAX)
		return error_set(e, ERR_CORRUPT,
			"MFT record %u: size %llu of attribute type 0x%x",
			a->rec, (unsigned long long)s->size, a->type);
	if ((flags & NTFS_ATTR_COMPRESSION) && x->unit_shift) {
		if (!u64_shl(n->cluster_size, x->unit_shift, &dummy) ||
			dummy > LIMIT_NTFS_UNIT)
			return error_set(e, ERR_LIMIT, "MFT record %u: "
				"compression unit of 2^%u clusters", a->rec,
				x->unit_shift);
		s->unit_shift = x->unit_shift;
	}
	return 0;
}

int ntfs_stream_open(struct ntfs *n, struct ntfs_inode *ino,
	struct ntfs_attr *first, struct ntfs_stream *out, struct error *e)
{
	struct ntfs_stream s = { 0 };
	size_t i = (size_t)(first - ino->attrs.items);
	int r;

	r = ntfs_stream_head(n, first, &s, e);
	if (r || s.resident) {
		*out = s;
		return r;
	}
	r = ntfs_runs_add(n, first, &s, e);
	/* Pieces stand in the list by type, name and first cluster. */
	for (i++; !r && i < ino->attrs.len; i++) {
		struct ntfs_attr *a = &ino->attrs.items[i];

		if (a->type != first->type || !a->lowest_vcn ||
			a->name_len != first->name_len ||
			memcmp(a->name, first->name,
				(size_t)2 * a->name_len) != 0)
			continue;
		r = ntfs_attr_load(n, ino, a, e);
		if (!r)
			r = ntfs_runs_add(n, a, &s, e);
	}
	if (!r && s.size > runs_end(&s) << n->cluster_shift)
		r = error_set(e, ERR_CORRUPT, "MFT record %u: %llu bytes in "
			"%llu clusters of attribute type 0x%x", ino->no,
			(unsigned long long)s.size,
			(unsigned long long)runs_end(&s), first->type);
	if (r) {
		ntfs_stream_release(&s);
		return r;
	}
	*out = s;
	return 0;
}

void ntfs_stream_release(struct ntfs_stream *s)
{
	vec_release(&s->runs);
	*s = (struct ntfs_stream){ 0 };
}

size_t ntfs_run_find(const struct ntfs_stream *s, uint64_t vcn)
{
	size_t lo = 0, hi = s->runs.len;

	/* The first run that ends behind vcn. */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->runs.items[mid].vcn + s->runs.items[mid].len <= vcn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int ntfs_stream_read(struct ntfs *n, const struct ntfs_stream *s,
	struct source *src, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	uint8_t *p = buf;
	uint64_t live;
	size_t i;

	if (!range_inside(off, len, s->size))
		return error_set(e, ERR_RANGE,
			"%zu bytes at %llu of an attribute of %llu", len,
			(unsigned long long)off, (unsigned long long)s->size);
	if (s->resident) {
		if (len)
			memcpy(buf, s->value + off, len);
		return 0;
	}
	live = off < s->init ? u64_min(len, s->init - off) : 0;
	memset(p + live, 0, len - live);
	len = (size_t)live;
	if (!len)
		return 0;
	for (i = ntfs_run_find(s, off >> n->cluster_shift); len; i++) {
		const struct ntfs_run *run = &s->runs.items[i];
		uint64_t in, have;
		size_t k;
		int r;

		if (i >= s->runs.len)
			return error_set(e, ERR_CORRUPT,
				"offset %llu has no cluster",
				(unsigned long long)off);
		in = off - (run->vcn << n->cluster_shift);
		have = (run->len << n->cluster_shift) - in;
		k = (size_t)u64_min(len, have);
		if (run->lcn == NTFS_HOLE) {
			memset(p, 0, k);
		} else {
			r = source_pread(src, p, k,
				(run->lcn << n->cluster_shift) + in, e);
			if (r)
				return r;
		}
		p += k;
		off += k;
		len -= k;
	}
	return 0;
}

int ntfs_attr_read(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_attr *a,
	size_t max, struct buf *out, struct error *e)
{
	struct ntfs_stream s = { 0 };
	uint8_t *p;
	int r = ntfs_stream_open(n, ino, a, &s, e);

	if (r)
		return r;
	if (s.size > max)
		r = error_set(e, ERR_LIMIT,
			"MFT record %u: attribute type 0x%x has %llu bytes",
			ino->no, a->type, (unsigned long long)s.size);
	else if (s.unit_shift)
		r = error_set(e, ERR_UNSUPPORTED,
			"MFT record %u: attribute type 0x%x is compressed",
			ino->no, a->type);
	else if (!(p = buf_grow(out, (size_t)s.size)) && s.size)
		r = error_nomem(e);
	else if (s.size)
		r = ntfs_stream_read(n, &s, n->meta, p, (size_t)s.size, 0, e);
	ntfs_stream_release(&s);
	return r;
}
