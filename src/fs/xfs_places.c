/* SPDX-License-Identifier: Apache-2.0 */
/* Places that the log of XFS names, each with a count: a hash table. */
#include "fs/xfs_log.h"

#include <stdlib.h>
#include <string.h>
#include "base/limits.h"

static struct xfs_place *slot_of(const struct xfs_places *p, uint64_t blkno,
	uint32_t len)
{
	uint64_t h = (blkno ^ (uint64_t)len << 48) *
		     UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 20) & (p->cap - 1);

	while (p->table[i].len &&
		(p->table[i].blkno != blkno || p->table[i].len != len))
		i = (i + 1) & (p->cap - 1);
	return &p->table[i];
}

static bool grow(struct xfs_places *p)
{
	struct xfs_places n = { .n = p->n, .cap = p->cap ? p->cap * 2 : 256 };

	n.table = calloc(n.cap, sizeof(*n.table));
	if (!n.table)
		return false;
	for (size_t i = 0; i < p->cap; i++)
		if (p->table[i].len)
			*slot_of(&n, p->table[i].blkno, p->table[i].len) =
				p->table[i];
	free(p->table);
	*p = n;
	return true;
}

int xfs_places_add(struct xfs_places *p, uint64_t blkno, uint32_t len,
	struct error *e)
{
	struct xfs_place *s;

	if (p->n * 2 >= p->cap && !grow(p))
		return error_nomem(e);
	s = slot_of(p, blkno, len);
	if (!s->len) {
		if (p->n >= LIMIT_XFS_PLACES)
			return error_set(e, ERR_LIMIT, "xfs: the log changes "
				"more than %u places", LIMIT_XFS_PLACES);
		p->n++;
		*s = (struct xfs_place){ .blkno = blkno, .len = len };
	}
	s->count++;
	return 0;
}

void xfs_places_take(struct xfs_places *p, uint64_t blkno, uint32_t len)
{
	struct xfs_place *s = p->cap ? slot_of(p, blkno, len) : NULL;

	if (s && s->count)
		s->count--;
}

uint32_t xfs_places_count(const struct xfs_places *p, uint64_t blkno,
	uint32_t len)
{
	return p->cap ? slot_of(p, blkno, len)->count : 0;
}

void xfs_places_release(struct xfs_places *p)
{
	free(p->table);
	memset(p, 0, sizeof(*p));
}
