/* SPDX-License-Identifier: Apache-2.0 */
/* Sources made of pieces of other sources: window, resize, concat. All are a
 * list of segments, found by binary search. */
#include "os/source.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

struct map_piece {
	struct source *src; /* NULL: zeros */
	uint64_t src_off;
	uint64_t off; /* in this source */
	uint64_t len;
};

struct map_source {
	struct source s;
	size_t n;
	struct map_piece pieces[];
};

static const struct map_piece *find(const struct map_source *m, uint64_t off)
{
	size_t lo = 0, hi = m->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->pieces[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	return &m->pieces[lo];
}

static int map_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct map_source *m = (struct map_source *)s;
	const struct map_piece *p = find(m, off);
	uint8_t *dst = buf;

	for (; len; p++) {
		uint64_t in = off - p->off;
		size_t n = (size_t)u64_min(len, p->len - in);
		int r = 0;

		if (!p->src)
			memset(dst, 0, n);
		else
			r = source_pread(p->src, dst, n, p->src_off + in, e);
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
	const struct map_piece *p = find((struct map_source *)s, off);
	uint64_t in = off - p->off;
	int r;

	if (!p->src) {
		*out = (struct source_extent){ .off = p->off,
			.len = p->len,
			.kind = SOURCE_ZERO };
		return 0;
	}
	r = source_extent_at(p->src, p->src_off + in, out, e);
	if (r)
		return r;
	out->off = off;
	out->len = u64_min(out->len, p->len - in);
	return 0;
}

static void map_will_need(struct source *s, uint64_t off, uint64_t len)
{
	const struct map_piece *p = find((struct map_source *)s, off);

	for (; len; p++) {
		uint64_t in = off - p->off, n = u64_min(len, p->len - in);

		if (p->src)
			source_will_need(p->src, p->src_off + in, n);
		off += n;
		len -= n;
	}
}

static void map_close(struct source *s)
{
	struct map_source *m = (struct map_source *)s;

	for (size_t i = 0; i < m->n; i++)
		source_unref(m->pieces[i].src);
	free(m);
}

static const struct source_ops map_ops = {
	.name = "volume",
	.pread = map_pread,
	.extent = map_extent,
	.will_need = map_will_need,
	.close = map_close,
};

int source_concat(const struct source_segment *seg, size_t n,
	struct source **out, struct error *e)
{
	struct map_source *m;
	uint64_t size = 0;
	size_t bytes;

	if (!size_mul(n ? n : 1, sizeof(m->pieces[0]), &bytes) ||
		!size_add(bytes, sizeof(*m), &bytes))
		return error_nomem(e);
	for (size_t i = 0; i < n; i++) {
		if (seg[i].src &&
			!range_inside(seg[i].off, seg[i].len, seg[i].src->size))
			return error_at(e, ERR_RANGE, seg[i].off,
				"segment %zu is outside its source", i);
		if (!u64_add(size, seg[i].len, &size) ||
			size > LIMIT_DISK_SIZE)
			return error_set(e, ERR_LIMIT,
				"the segments add up to more than 2^62 bytes");
	}
	m = calloc(1, bytes);
	if (!m)
		return error_nomem(e);
	source_init(&m->s, &map_ops, size);
	size = 0;
	for (size_t i = 0; i < n; i++) {
		if (!seg[i].len)
			continue;
		m->pieces[m->n++] = (struct map_piece){
			.src = seg[i].src ? source_ref(seg[i].src) : NULL,
			.src_off = seg[i].off,
			.off = size,
			.len = seg[i].len,
		};
		size += seg[i].len;
		if (seg[i].src && seg[i].src->sector_size > m->s.sector_size)
			m->s.sector_size = seg[i].src->sector_size;
	}
	*out = &m->s;
	return 0;
}

int source_window(struct source *base, uint64_t off, uint64_t len,
	struct source **out, struct error *e)
{
	struct source_segment seg = { base, off, len };

	return source_concat(&seg, 1, out, e);
}

int source_resize(struct source *base, uint64_t size, struct source **out,
	struct error *e)
{
	struct source_segment seg[2] = {
		{ base, 0, u64_min(base->size, size) },
		{ NULL, 0, size > base->size ? size - base->size : 0 },
	};

	return source_concat(seg, 2, out, e);
}
