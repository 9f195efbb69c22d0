/* SPDX-License-Identifier: Apache-2.0 */
/* A source over a table of blocks. */
#include "disk/blockmap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* Tables are read in blocks of 64 KiB, of which 4 MiB are kept: the tables of
 * 64 GiB of VMDK grains, of 2 TiB of VHD blocks. */
#define META_BLOCK 65536
#define META_BUDGET (4 * MIB)
/* Pieces looked at for one extent: with 64 KiB grains, 256 MiB. */
#define RUN_PIECES 4096
#define RUN_BYTES (64 * GIB)

/* The piece at off that starts at off (PACKED: as it is), grown over the
 * pieces behind it that continue it, to at least want bytes or RUN_PIECES. */
static int lookup_run(struct blockmap *m, uint64_t off, uint64_t want,
	struct piece *out, struct error *e)
{
	struct piece p = { 0 };
	uint64_t skip;
	int r = m->ops->lookup(m, off, &p, e);

	if (r)
		return r;
	p.len = u64_min(p.len, m->s.size - p.off);
	if (p.kind == PIECE_PACKED) {
		*out = p;
		return 0;
	}
	skip = off - p.off;
	p.off = off;
	p.len -= skip;
	p.src_off += skip;
	for (int i = 0; i < RUN_PIECES && p.len < want; i++) {
		struct piece q = { 0 };
		uint64_t at = p.off + p.len;

		if (at >= m->s.size)
			break;
		/* A table that cannot be read further on is told when its
		 * turn comes. */
		if (m->ops->lookup(m, at, &q, NULL) || q.kind != p.kind ||
			q.off != at)
			break;
		if (p.kind == PIECE_DATA &&
			(q.src != p.src || q.src_off != p.src_off + p.len))
			break;
		p.len += u64_min(q.len, m->s.size - at);
	}
	*out = p;
	return 0;
}

static bool slot_get(struct blockmap *m, const struct piece *p, uint64_t in,
	uint8_t *dst, size_t n)
{
	bool found = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < ARRAY_LEN(m->slots) && !found; i++) {
		struct blockmap_slot *s = &m->slots[i];

		if (s->len == p->len && s->off == p->off) {
			memcpy(dst, s->data + in, n);
			s->stamp = ++m->clock;
			found = true;
		}
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

static void slot_put(struct blockmap *m, const struct piece *p, uint8_t *data)
{
	struct blockmap_slot *old = &m->slots[0];

	pthread_mutex_lock(&m->lock);
	for (size_t i = 1; i < ARRAY_LEN(m->slots); i++)
		if (m->slots[i].stamp < old->stamp)
			old = &m->slots[i];
	free(old->data);
	*old = (struct blockmap_slot){ .off = p->off,
		.stamp = ++m->clock,
		.len = (size_t)p->len,
		.data = data };
	pthread_mutex_unlock(&m->lock);
}

static int read_packed(struct blockmap *m, const struct piece *p, uint64_t in,
	uint8_t *dst, size_t n, struct error *e)
{
	uint8_t *data;
	int r;

	if (!in && n == p->len)
		return m->ops->unpack(m, p, dst, e);
	if (slot_get(m, p, in, dst, n))
		return 0;
	data = malloc((size_t)p->len);
	if (!data)
		return error_nomem(e);
	r = m->ops->unpack(m, p, data, e);
	if (r) {
		free(data);
		return r;
	}
	memcpy(dst, data + in, n);
	slot_put(m, p, data);
	return 0;
}

int read_padded(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	size_t n = off >= s->size ? 0 : (size_t)u64_min(len, s->size - off);

	memset((uint8_t *)buf + n, 0, len - n);
	return n ? source_pread(s, buf, n, off, e) : 0;
}

static int map_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct blockmap *m = (struct blockmap *)s;
	uint8_t *dst = buf;

	while (len) {
		struct piece p;
		uint64_t in;
		size_t n;
		int r = lookup_run(m, off, len, &p, e);

		if (r)
			return r;
		in = off - p.off;
		n = (size_t)u64_min(len, p.len - in);
		if (p.kind == PIECE_DATA)
			r = read_padded(p.src, dst, n, p.src_off + in, e);
		else if (p.kind == PIECE_PACKED)
			r = read_packed(m, &p, in, dst, n, e);
		else if (p.kind == PIECE_PARENT && m->parent)
			r = source_pread(m->parent, dst, n, off, e);
		else
			memset(dst, 0, n);
		if (r)
			return r;
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int map_extent(struct source *s, uint64_t off, struct source_extent *out,
	struct error *e)
{
	struct blockmap *m = (struct blockmap *)s;
	struct source_extent x = { 0 };
	struct piece p;
	int r = lookup_run(m, off, RUN_BYTES, &p, e);

	if (r)
		return r;
	*out = (struct source_extent){ .off = p.off,
		.len = p.len,
		.kind = SOURCE_DATA };
	switch (p.kind) {
	case PIECE_PACKED:
		break;
	case PIECE_ZERO:
		out->kind = SOURCE_ZERO;
		break;
	case PIECE_PARENT:
		if (!m->parent) {
			out->kind = SOURCE_ZERO;
			break;
		}
		r = source_extent_at(m->parent, off, &x, e);
		if (r)
			return r;
		out->len = u64_min(p.len, x.len);
		out->kind = x.kind;
		out->layer = x.layer + 1;
		break;
	case PIECE_DATA:
		if (p.src_off >= p.src->size) {
			out->kind = SOURCE_ZERO;
			break;
		}
		r = source_extent_at(p.src, p.src_off, &x, e);
		if (r)
			return r;
		out->len = u64_min(p.len, x.len);
		out->kind = x.kind;
		break;
	}
	return 0;
}

static void map_will_need(struct source *s, uint64_t off, uint64_t len)
{
	struct blockmap *m = (struct blockmap *)s;

	for (int i = 0; len && i < 64; i++) {
		struct piece p;
		uint64_t n;

		if (lookup_run(m, off, len, &p, NULL))
			return;
		n = u64_min(len, p.len - (off - p.off));
		if (p.kind == PIECE_DATA || p.kind == PIECE_PACKED)
			source_will_need(p.src, p.src_off, n);
		else if (p.kind == PIECE_PARENT && m->parent)
			source_will_need(m->parent, off, n);
		off += n;
		len -= n;
	}
}

static void map_close(struct source *s)
{
	struct blockmap *m = (struct blockmap *)s;

	if (m->ops->release)
		m->ops->release(m);
	for (size_t i = 0; i < ARRAY_LEN(m->slots); i++)
		free(m->slots[i].data);
	source_unref(m->file);
	source_unref(m->meta);
	source_unref(m->parent);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct source_ops map_ops = {
	.name = "disk",
	.pread = map_pread,
	.extent = map_extent,
	.will_need = map_will_need,
	.close = map_close,
};

int blockmap_init(struct blockmap *m, const struct blockmap_ops *ops,
	struct source *file, uint64_t size, struct error *e)
{
	int r;

	source_init(&m->s, &map_ops, size);
	m->ops = ops;
	m->file = source_ref(file);
	pthread_mutex_init(&m->lock, NULL);
	r = size > LIMIT_DISK_SIZE
		    ? error_set(e, ERR_LIMIT,
			      "%s: a disk of %" PRIu64 " bytes", ops->name, size)
		    : source_cache(file, META_BLOCK, META_BUDGET, &m->meta, e);
	if (r)
		source_unref(&m->s);
	return r;
}

int blockmap_set_parent(struct blockmap *m, struct source *parent,
	struct error *e)
{
	int r = 0;

	if (parent->size == m->s.size) {
		m->parent = parent;
		return 0;
	}
	r = source_resize(parent, m->s.size, &m->parent, e);
	source_unref(parent);
	return r;
}

int blockmap_bits(struct blockmap *m, uint64_t at, uint64_t i, uint64_t max,
	bool high_first, bool *out_set, uint64_t *out_run, struct error *e)
{
	uint8_t b[512];
	uint64_t first = i % 8, run = 0;
	size_t n = (size_t)u64_min(sizeof(b), div_ceil(first + max, 8));
	unsigned flip = high_first ? 7 : 0;
	int r = read_padded(m->meta, b, n, at + i / 8, e);

	if (r)
		return r;
	*out_set = b[0] >> (first ^ flip) & 1;
	for (uint64_t k = first; run < max && k < n * 8; k++, run++)
		if ((b[k / 8] >> ((k % 8) ^ flip) & 1) != *out_set)
			break;
	*out_run = run;
	return 0;
}

uint64_t blockmap_hole(struct blockmap *m, uint64_t off)
{
	struct source_extent x;

	if (off >= m->file->size || source_extent_at(m->file, off, &x, NULL) ||
		x.kind != SOURCE_ZERO)
		return 0;
	return x.len;
}

void tally_add(struct tally *t, uint64_t src_off, uint64_t len)
{
	uint64_t n = src_off < t->file_size
			     ? u64_min(len, t->file_size - src_off)
			     : 0;

	if (!u64_add(t->inside, n, &t->inside))
		t->inside = UINT64_MAX;
	if (n < len && !t->outside++)
		t->first_at = src_off;
}

int tally_end(const struct tally *t, const char *what,
	const struct finding_sink *findings, struct error *e)
{
	if (t->inside > t->file_size)
		return error_set(e, ERR_CORRUPT,
			"%s: its blocks need %" PRIu64
			" bytes, the file has %" PRIu64
			": some are mapped more than once",
			what, t->inside, t->file_size);
	if (t->outside)
		finding_report(findings, FINDING_DISK_TRUNCATED, t->first_at,
			what,
			"%" PRIu64 " blocks reach past the end of the file of "
			"%" PRIu64 " bytes, the first at offset %" PRIu64,
			t->outside, t->file_size, t->first_at);
	return 0;
}

void windows_path_to_host(char *s)
{
	size_t skip = 0;

	for (char *p = s; *p; p++)
		if (*p == '\\')
			*p = '/';
	while (s[skip] == '.' && s[skip + 1] == '/')
		skip += 2;
	memmove(s, s + skip, strlen(s + skip) + 1);
}
