/* SPDX-License-Identifier: Apache-2.0 */
/* A disk seen through its journal. */
#include "fs/ext_replay.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/ext.h"

#define ESCAPED (UINT64_C(1) << 63)
#define EMPTY UINT64_MAX

static size_t slot_of(const struct replay_map *m, uint64_t blk)
{
	size_t i = (size_t)((blk * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
		   (m->cap - 1);

	while (m->table[i].blk != EMPTY && m->table[i].blk != blk)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static bool grow(struct replay_map *m)
{
	struct replay_map n = { .len = m->len };

	n.cap = m->cap ? m->cap * 2 : 256;
	n.table = malloc(n.cap * sizeof(*n.table));
	if (!n.table)
		return false;
	for (size_t i = 0; i < n.cap; i++)
		n.table[i].blk = EMPTY;
	for (size_t i = 0; i < m->cap; i++)
		if (m->table[i].blk != EMPTY)
			n.table[slot_of(&n, m->table[i].blk)] = m->table[i];
	free(m->table);
	*m = n;
	return true;
}

int replay_map_add(struct replay_map *m, uint64_t blk, uint64_t at,
	bool escaped, struct error *e)
{
	size_t i;

	if (m->len >= LIMIT_EXT_REPLAY)
		return error_set(e, ERR_LIMIT,
			"the journal holds more than %u blocks",
			LIMIT_EXT_REPLAY);
	if (m->len * 2 >= m->cap && !grow(m))
		return error_nomem(e);
	i = slot_of(m, blk);
	if (m->table[i].blk == EMPTY)
		m->len++;
	m->table[i].blk = blk;
	m->table[i].at = at | (escaped ? ESCAPED : 0);
	return 0;
}

void replay_map_release(struct replay_map *m)
{
	free(m->table);
	memset(m, 0, sizeof(*m));
}

struct replay {
	struct source s;
	struct source *base;
	uint32_t block_size;
	size_t len;
	struct replay_entry list[]; /* sorted by blk */
};

/* The first entry at or after blk. */
static size_t find(const struct replay *r, uint64_t blk)
{
	size_t lo = 0, hi = r->len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->list[mid].blk < blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t ext_replay_next(const struct replay *r, uint64_t blk)
{
	size_t i = find(r, blk);

	return i < r->len ? r->list[i].blk : UINT64_MAX;
}

/* Bytes [off, off+len) of one replaced block. */
static int read_replaced(struct replay *r, const struct replay_entry *x,
	uint8_t *p, size_t len, uint64_t in, struct error *e)
{
	uint64_t from = (x->at & ~ESCAPED) * r->block_size + in;
	uint8_t magic[4];
	int rc = source_pread(r->base, p, len, from, e);

	if (rc || !(x->at & ESCAPED))
		return rc;
	/* A block that begins like a journal's own was written with zeros
	 * there. */
	put_be32(magic, JBD_MAGIC);
	for (uint64_t i = in; i < 4 && i - in < len; i++)
		p[i - in] = magic[i];
	return 0;
}

static int replay_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct replay *r = (struct replay *)s;
	uint8_t *p = buf;
	size_t i = find(r, off / r->block_size);
	uint64_t end = off + len;

	while (off < end) {
		uint64_t at = i < r->len ? r->list[i].blk * r->block_size
					 : UINT64_MAX;
		uint64_t to;
		int rc;

		if (at > off) {
			to = u64_min(at, end);
			rc = source_pread(r->base, p, (size_t)(to - off), off,
				e);
		} else {
			to = u64_min(at + r->block_size, end);
			rc = read_replaced(r, &r->list[i], p,
				(size_t)(to - off), off - at, e);
			i++;
		}
		if (rc)
			return rc;
		p += to - off;
		off = to;
	}
	return 0;
}

static int replay_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct replay *r = (struct replay *)s;
	uint64_t blk = off / r->block_size;
	size_t i = find(r, blk);
	uint64_t at = i < r->len ? r->list[i].blk * r->block_size : UINT64_MAX;
	int rc;

	if (at <= off) {
		*out = (struct source_extent){ .off = at,
			.len = u64_min(r->block_size, s->size - at),
			.kind = SOURCE_DATA };
		return 0;
	}
	rc = source_extent_at(r->base, off, out, e);
	if (!rc && at - out->off < out->len)
		out->len = at - out->off;
	return rc;
}

static void replay_close(struct source *s)
{
	source_unref(((struct replay *)s)->base);
	free(s);
}

static const struct source_ops replay_ops = {
	.name = "journal replay",
	.pread = replay_pread,
	.extent = replay_extent,
	.close = replay_close,
};

static int by_blk(const void *a, const void *b)
{
	const struct replay_entry *x = a, *y = b;

	return (x->blk > y->blk) - (x->blk < y->blk);
}

int replay_source(struct source *base, const struct replay_map *m,
	uint32_t block_size, struct source **out, struct replay **out_replay,
	struct error *e)
{
	struct replay *r = calloc(1, sizeof(*r) + m->len * sizeof(r->list[0]));

	if (!r)
		return error_nomem(e);
	source_init(&r->s, &replay_ops, base->size);
	r->s.sector_size = base->sector_size;
	r->base = source_ref(base);
	r->block_size = block_size;
	for (size_t i = 0; i < m->cap; i++)
		if (m->table[i].blk != EMPTY &&
			m->table[i].blk < base->size / block_size)
			r->list[r->len++] = m->table[i];
	qsort(r->list, r->len, sizeof(r->list[0]), by_blk);
	*out = &r->s;
	*out_replay = r;
	return 0;
}
