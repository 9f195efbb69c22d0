/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: files compressed block by block ("zisofs"), versions 1 and 2.
 * Source: libisofs, doc/zisofs_format.txt and doc/zisofs2_format.txt: a
 * header, pointers to the blocks (one more than there are blocks), blocks as
 * zlib streams; one of no length is all zeros. */
#include "fs/iso9660.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/limits.h"

/* log2 of the largest block: mkzftree writes 15 to 17, zisofs2 up to 20. */
#define SHIFT_MAX 20
#define SHIFT_MIN 12

bool iso_zisofs_check(struct iso *f, struct iso_file *x)
{
	static const uint8_t magic1[8] = { 0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb,
		0xd6, 0x07 };
	static const uint8_t magic2[8] = { 0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b,
		0x95, 0xa0 };
	uint64_t blocks, table, pointer = x->zf_version == 1 ? 4 : 8;
	uint8_t h[24];
	size_t need = x->zf_version == 1 ? 16 : 24;

	if (x->zf_shift < SHIFT_MIN || x->zf_shift > SHIFT_MAX ||
		x->zf_header < need || x->stored < need ||
		iso_raw_pread(f, h, need, 0, NULL))
		return false;
	if (x->zf_version == 1) {
		if (memcmp(h, magic1, 8) != 0 ||
			get_le32(h + 8) != x->node.size ||
			4u * h[12] != x->zf_header || h[13] != x->zf_shift)
			return false;
	} else {
		if (memcmp(h, magic2, 8) != 0 || h[8] != 0 ||
			4u * h[9] != x->zf_header || h[10] != 1 ||
			h[11] != x->zf_shift ||
			get_le64(h + 12) != x->node.size)
			return false;
	}
	blocks = div_ceil(x->node.size, UINT64_C(1) << x->zf_shift);
	return u64_mul(blocks + 1, pointer, &table) &&
	       u64_add(table, x->zf_header, &table) && table <= x->stored;
}

static int decode(struct iso *f, uint64_t index, size_t want, struct error *e)
{
	const struct iso_file *x = &f->file;
	size_t width = x->zf_version == 1 ? 4 : 8;
	uint64_t at = x->zf_header + index * width, from, to;
	uint8_t p[16];
	AUTO_BUF in = BUF_INIT;
	uLongf got = want;
	int r = iso_raw_pread(f, p, 2 * width, at, e);

	if (r)
		return r;
	from = width == 4 ? get_le32(p) : get_le64(p);
	to = width == 4 ? get_le32(p + 4) : get_le64(p + 8);
	f->zf_id = UINT64_MAX;
	buf_clear(&f->zf_block);
	if (!buf_grow(&f->zf_block, want))
		return error_nomem(e);
	/* deflate does not grow a block by more than a thousandth */
	if (to < from || to > x->stored || to - from > 2 * want + 1024)
		return error_at(e, ERR_CORRUPT, x->id,
			"iso9660: compressed block %" PRIu64
			" lies at %" PRIu64 " to %" PRIu64 " of %" PRIu64,
			index, from, to, x->stored);
	if (to == from) {
		memset(f->zf_block.data, 0, want);
	} else {
		if (!buf_grow(&in, (size_t)(to - from)))
			return error_nomem(e);
		r = iso_raw_pread(f, in.data, in.len, from, e);
		if (r)
			return r;
		if (uncompress(f->zf_block.data, &got, in.data, in.len) !=
				Z_OK ||
			got != want)
			return error_at(e, ERR_CORRUPT, x->id,
				"iso9660: compressed block %" PRIu64
				" cannot be decoded", index);
	}
	f->zf_id = x->id;
	f->zf_index = index;
	return 0;
}

int iso_zisofs_pread(struct iso *f, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	const struct iso_file *x = &f->file;
	uint64_t size = UINT64_C(1) << x->zf_shift;
	uint8_t *dst = buf;

	while (len) {
		uint64_t index = off >> x->zf_shift, in = off & (size - 1);
		size_t have = (size_t)u64_min(size,
			x->node.size - (index << x->zf_shift));
		size_t n = size_min(len, have - (size_t)in);

		if (f->zf_id != x->id || f->zf_index != index) {
			int r = decode(f, index, have, e);

			if (r)
				return r;
		}
		memcpy(dst, f->zf_block.data + in, n);
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}
