/* SPDX-License-Identifier: Apache-2.0 */
/* Which files' extents are cut out of which disk. */
#include "ops/cut.h"

#include <stdlib.h>
#include <string.h>

static int by_disk(const void *a, const void *b, void *ctx)
{
	const struct cut_extent *x = (const struct cut_extent *)ctx +
				     ((const struct cut_item *)a)->extent;
	const struct cut_extent *y = (const struct cut_extent *)ctx +
				     ((const struct cut_item *)b)->extent;

	if (x->disk != y->disk)
		return x->disk < y->disk ? -1 : 1;
	if (x->disk_off != y->disk_off)
		return x->disk_off < y->disk_off ? -1 : 1;
	/* Of equal extents the first file's comes first: the same on every
	 * machine. */
	return (((const struct cut_item *)a)->file >
		       ((const struct cut_item *)b)->file) -
	       (((const struct cut_item *)a)->file <
		       ((const struct cut_item *)b)->file);
}

static bool same_extents(const struct cut *c, const struct cut_file *a,
	const struct cut_file *b)
{
	return a->size == b->size && a->nextents == b->nextents &&
	       !memcmp(&c->extents.items[a->first_extent],
		       &c->extents.items[b->first_extent],
		       a->nextents * sizeof(struct cut_extent));
}

/* Two files may claim the same bytes: clones share extents, and on a damaged
 * disk anything may. The first in order keeps its claim, later ones are read
 * and stored but cut nothing out. Whatever is chosen is exact, since a claim
 * only says that a file's bytes are the disk's. */
static void settle_claims(struct cut *c)
{
	uint64_t end = 0;
	uint32_t disk = UINT32_MAX, owner = 0;
	size_t n = 0;

	for (size_t i = 0; i < c->items.len; i++) {
		const struct cut_item *it = &c->items.items[i];
		const struct cut_extent *x = &c->extents.items[it->extent];
		struct cut_file *f = &c->files.items[it->file];

		if (x->disk != disk) {
			disk = x->disk;
			end = 0;
		}
		if (x->disk_off < end) {
			struct cut_file *o = &c->files.items[owner];

			f->flags &= (uint8_t)~CUT_CLAIMED;
			if (it->file != owner && f->same_as == it->file &&
				o->same_as == owner && same_extents(c, f, o))
				f->same_as = owner;
		}
		if (x->disk_off + x->len > end) {
			end = x->disk_off + x->len;
			owner = it->file;
		}
	}
	for (size_t i = 0; i < c->items.len; i++)
		if (c->files.items[c->items.items[i].file].flags & CUT_CLAIMED)
			c->items.items[n++] = c->items.items[i];
	c->items.len = n;
}

int cut_claim(struct cut *c, size_t ndisks, struct error *e)
{
	size_t at = 0;

	if (!vec_reserve(&c->items, c->extents.len + 1))
		return error_nomem(e);
	for (size_t i = 0; i < c->files.len; i++) {
		struct cut_file *f = &c->files.items[i];

		f->same_as = (uint32_t)i;
		f->first_item = UINT32_MAX;
		if (f->state != CUT_PLAIN || !f->nextents)
			continue;
		f->flags |= CUT_CLAIMED;
		for (uint32_t k = 0; k < f->nextents; k++)
			c->items.items[c->items.len++] = (struct cut_item){
				f->first_extent + k, (uint32_t)i };
	}
	if (c->items.len)
		qsort_r(c->items.items, c->items.len, sizeof(struct cut_item),
			by_disk, c->extents.items);
	settle_claims(c);
	for (size_t i = 0; i < c->items.len; i++) {
		struct cut_file *f = &c->files.items[c->items.items[i].file];

		if (f->first_item == UINT32_MAX)
			f->first_item = (uint32_t)i;
	}
	for (uint32_t d = 0; d < ndisks; d++) {
		struct cut_disk cd = { .first = at };

		while (at < c->items.len &&
			c->extents.items[c->items.items[at].extent].disk == d)
			at++;
		cd.n = at - cd.first;
		if (!vec_push(&c->disks, cd))
			return error_nomem(e);
	}
	return 0;
}
