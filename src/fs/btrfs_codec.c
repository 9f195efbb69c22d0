/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: decoding of compressed extents. */
#include "fs/btrfs.h"

#include <zstd.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "codec/inflate.h"
#include "codec/lzo.h"

void btrfs_codec_release(struct btrfs_codec *c)
{
	ZSTD_freeDCtx(c->zstd);
	inflater_free(c->inflate);
}

static int decode_zlib(struct btrfs_codec *c, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t out_len, size_t *got, struct error *e)
{
	int r = c->inflate ? 0 : inflater_new(&c->inflate, e);

	if (r)
		return r;
	/* All that is wanted may be there though the end is not. */
	return inflate_block(c->inflate, INFLATE_ZLIB, in, in_len, out, out_len,
		       got, NULL) != INFLATE_BAD || *got == out_len
		       ? 0
		       : error_set(e, ERR_CORRUPT, "btrfs: bad zlib data");
}

static int decode_zstd(struct btrfs_codec *c, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t out_len, size_t *got, struct error *e)
{
	ZSTD_DCtx *d = c->zstd;
	ZSTD_inBuffer i = { in, in_len, 0 };
	ZSTD_outBuffer o = { out, out_len, 0 };
	int code = 0;

	if (!d && !(d = c->zstd = ZSTD_createDCtx()))
		return error_nomem(e);
	ZSTD_DCtx_reset(d, ZSTD_reset_session_only);
	/* btrfs writes windows of at most 128 KiB; with some margin */
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 20);
	for (;;) {
		size_t was_i = i.pos, was_o = o.pos;
		size_t rc = ZSTD_decompressStream(d, &o, &i);

		if (ZSTD_isError(rc)) {
			code = error_set(e, ERR_CORRUPT,
				"btrfs: bad zstd data: %s",
				ZSTD_getErrorName(rc));
			break;
		}
		/* the frame's end, or all that is wanted */
		if (rc == 0 || o.pos == o.size)
			break;
		if (i.pos == was_i && o.pos == was_o) {
			code = error_set(e, ERR_CORRUPT,
				"btrfs: zstd data is cut off");
			break;
		}
	}
	*got = o.pos;
	return code;
}

/* le32 length of all, then segments: le32 length, LZO1X data that gives at
 * most one sector. A segment's length never straddles a sector: up to three
 * bytes before the end of one are left unused. */
static int decode_lzo(uint32_t sector, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t out_len, size_t *got, struct error *e)
{
	struct cursor c = cursor_make(in, in_len);
	size_t total = cur_le32(&c), at = 0;

	if (c.bad || total > in_len || total < 4)
		return error_set(e, ERR_CORRUPT,
			"btrfs: lzo data of %zu bytes in %zu", total, in_len);
	c.left = total - 4;
	while (c.left && at < out_len) {
		size_t used = total - c.left, in_sector = used % sector;
		struct view seg;
		size_t n;

		if (sector - in_sector < 4) {
			if (c.left <= sector - in_sector)
				break;
			cur_skip(&c, sector - in_sector);
		}
		if (c.left < 4)
			break;
		n = cur_le32(&c);
		seg = cur_view(&c, n);
		if (c.bad || !seg.len)
			return error_set(e, ERR_CORRUPT,
				"btrfs: lzo segment of %zu bytes", n);
		if (lzo1x_decode(seg.data, seg.len, out + at,
			    size_min(sector, out_len - at), &n, e))
			return error_prefix(e, "btrfs: bad lzo data");
		at += n;
		if (n < sector)
			break;
	}
	*got = at;
	return 0;
}

int btrfs_decode(struct btrfs_codec *c, uint8_t method, uint32_t sectorsize,
	const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
	struct error *e)
{
	size_t got = 0;
	int rc;

	switch (method) {
	case BTRFS_COMPRESS_NONE:
		got = size_min(in_len, out_len);
		memcpy(out, in, got);
		rc = 0;
		break;
	case BTRFS_COMPRESS_ZLIB:
		rc = decode_zlib(c, in, in_len, out, out_len, &got, e);
		break;
	case BTRFS_COMPRESS_LZO:
		rc = decode_lzo(sectorsize, in, in_len, out, out_len, &got, e);
		break;
	case BTRFS_COMPRESS_ZSTD:
		rc = decode_zstd(c, in, in_len, out, out_len, &got, e);
		break;
	default:
		return error_set(e, ERR_UNSUPPORTED,
			"btrfs: unknown compression %u", method);
	}
	if (!rc)
		memset(out + got, 0, out_len - got);
	return rc;
}
