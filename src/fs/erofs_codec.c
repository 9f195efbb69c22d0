/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: the four compressions. A file's extent may be only the beginning of
 * what a stream holds (a duplicate of another's), so that all of them decode
 * up to a length and look no further. */
#include "fs/erofs.h"

#include <lz4.h>
#include "base/checked.h"
#include "base/limits.h"

/* Linux gives a window of up to 1 MiB; what a larger extent could use. */
#define ZSTD_WINDOW_LOG 23

static bool lz4(const uint8_t *in, size_t in_len, uint8_t *out, size_t len)
{
	return LZ4_decompress_safe_partial((const char *)in, (char *)out,
		       (int)in_len, (int)len, (int)len) == (int)len;
}

/* MicroLZMA: raw LZMA whose first byte, always zero, holds the properties. */
static int microlzma(struct erofs_codec *c, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t len, struct error *e)
{
	lzma_stream *s = &c->lzma;
	lzma_ret r;

	if (!c->has_lzma)
		*s = (lzma_stream)LZMA_STREAM_INIT;
	c->has_lzma = true;
	/* A window larger than what is decoded is of no use. */
	r = lzma_microlzma_decoder(s, in_len, len, false,
		(uint32_t)u64_max(len, 4096));
	if (r == LZMA_OK) {
		s->next_in = in;
		s->avail_in = in_len;
		s->next_out = out;
		s->avail_out = len;
		r = lzma_code(s, LZMA_RUN);
	}
	if (r == LZMA_MEM_ERROR)
		return error_nomem(e);
	return s->avail_out || (r != LZMA_OK && r != LZMA_STREAM_END);
}

static int deflate_raw(struct erofs_codec *c, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t len, struct error *e)
{
	int r;

	if (!c->has_z && inflateInit2(&c->z, -MAX_WBITS) != Z_OK)
		return error_nomem(e);
	c->has_z = true;
	inflateReset(&c->z);
	c->z.next_in = (Bytef *)(uintptr_t)in;
	c->z.avail_in = (uInt)in_len;
	c->z.next_out = out;
	c->z.avail_out = (uInt)len;
	r = inflate(&c->z, Z_SYNC_FLUSH);
	if (r == Z_MEM_ERROR)
		return error_nomem(e);
	return c->z.avail_out != 0;
}

static int zstd(struct erofs_codec *c, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t len, struct error *e)
{
	ZSTD_inBuffer ib = { in, in_len, 0 };
	ZSTD_outBuffer ob = { out, len, 0 };

	if (!c->zstd) {
		c->zstd = ZSTD_createDCtx();
		if (!c->zstd ||
			ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd,
				ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
			return error_nomem(e);
	}
	ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
	/* Each turn takes or gives something, or is the last. */
	while (ob.pos < len) {
		size_t was_in = ib.pos, was_out = ob.pos;
		size_t r = ZSTD_decompressStream(c->zstd, &ob, &ib);

		if (ZSTD_isError(r) || !r ||
			(ib.pos == was_in && ob.pos == was_out))
			break;
	}
	return ob.pos < len;
}

int erofs_decode(struct erofs_codec *c, unsigned method, const uint8_t *in,
	size_t in_len, uint8_t *out, size_t len, struct error *e)
{
	int r;

	switch (method) {
	case EROFS_LZ4:
		r = !lz4(in, in_len, out, len);
		break;
	case EROFS_LZMA:
		r = microlzma(c, in, in_len, out, len, e);
		break;
	case EROFS_DEFLATE:
		r = deflate_raw(c, in, in_len, out, len, e);
		break;
	case EROFS_ZSTD:
		r = zstd(c, in, in_len, out, len, e);
		break;
	default:
		return error_set(e, ERR_UNSUPPORTED,
			"erofs: compression of unknown kind %u", method);
	}
	return r > 0 ? error_set(e, ERR_CORRUPT,
			       "compressed block cannot be decoded")
		     : r;
}

void erofs_codec_release(struct erofs_codec *c)
{
	ZSTD_freeDCtx(c->zstd);
	if (c->has_z)
		inflateEnd(&c->z);
	if (c->has_lzma)
		lzma_end(&c->lzma);
}
