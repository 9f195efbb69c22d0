/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: metadata blocks and the tables that are made of them. */
#include "fs/squashfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

void sqfs_meta_release(struct sqfs *f)
{
	for (size_t i = 0; i < SQFS_SLOTS; i++)
		free(f->slots[i].data);
}

static int load(struct sqfs *f, struct sqfs_slot *s, uint64_t block,
	struct error *e)
{
	uint8_t head[2], packed[SQFS_META];
	uint16_t h;
	size_t n, got;
	int r;

	s->block = UINT64_MAX;
	if (!s->data)
		s->data = malloc(SQFS_META);
	if (!s->data)
		return error_nomem(e);
	r = source_pread(f->meta, head, 2, block, e);
	if (r)
		return r;
	h = get_le16(head);
	n = h & 0x7fff;
	if (!n || n > SQFS_META)
		return error_at(e, ERR_CORRUPT, block,
			"squashfs: metadata block of %zu bytes", n);
	if (h & 0x8000) {
		r = source_pread(f->meta, s->data, n, block + 2, e);
		got = n;
	} else {
		r = source_pread(f->meta, packed, n, block + 2, e);
		if (!r)
			r = unpack_block(f->unpack, packed, n, s->data,
				SQFS_META, &got, e);
		if (r == ERR_CORRUPT)
			return error_at(e, ERR_CORRUPT, block,
				"squashfs: metadata block at %" PRIu64
				" cannot be decoded", block);
	}
	if (r)
		return r;
	s->len = (uint32_t)got;
	s->next = block + 2 + n;
	s->block = block;
	return 0;
}

int sqfs_meta_read(struct sqfs *f, struct sqfs_at *at, void *buf, size_t n,
	struct error *e)
{
	uint8_t *dst = buf;

	while (n) {
		struct sqfs_slot *s = &f->slots[(at->block *
				UINT64_C(0x9e3779b97f4a7c15)) >> 56];
		size_t k;

		_Static_assert(SQFS_SLOTS == 256, "8 bits of the hash");
		if (s->block != at->block) {
			int r = load(f, s, at->block, e);

			if (r)
				return r;
		}
		if (at->off >= s->len) {
			/* only a whole block has one behind it */
			if (at->off > s->len || s->len != SQFS_META)
				return error_at(e, ERR_CORRUPT, at->block,
					"squashfs: metadata ends early");
			at->block = s->next;
			at->off = 0;
			continue;
		}
		k = size_min(n, s->len - at->off);
		if (dst) {
			memcpy(dst, s->data + at->off, k);
			dst += k;
		}
		at->off += (uint32_t)k;
		n -= k;
	}
	return 0;
}

int sqfs_table_read(struct sqfs *f, uint64_t table, uint64_t index,
	size_t entry_size, void *out, struct error *e)
{
	uint64_t per = SQFS_META / entry_size, off;
	uint8_t p[8];
	struct sqfs_at at;
	int r;

	if (!u64_add(table, index / per * 8, &off))
		return error_set(e, ERR_CORRUPT, "squashfs: table is outside");
	r = source_pread(f->meta, p, 8, off, e);
	if (r)
		return r;
	at.block = get_le64(p);
	at.off = (uint32_t)(index % per * entry_size);
	return sqfs_meta_read(f, &at, out, entry_size, e);
}
