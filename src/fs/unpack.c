/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/unpack.h"

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <zstd.h>
#include "base/limits.h"
#include "codec/inflate.h"
#include "codec/lzo.h"

/* A dictionary larger than the block (1 MiB) is of no use; what xz asks for
 * beyond it is a hostile header. */
#define XZ_MEMORY (80 * MIB)

struct unpack {
	int kind;
	ZSTD_DCtx *zstd;
	struct inflater *inflater;
};

int unpack_new(int kind, struct unpack **out, struct error *e)
{
	struct unpack *u;

	if (kind < UNPACK_ZLIB || kind > UNPACK_ZSTD)
		return error_set(e, ERR_UNSUPPORTED,
			"compression of unknown kind %d", kind);
	u = calloc(1, sizeof(*u));
	if (!u)
		return error_nomem(e);
	u->kind = kind;
	if (kind == UNPACK_ZSTD)
		u->zstd = ZSTD_createDCtx();
	if ((kind == UNPACK_ZSTD && !u->zstd) ||
		(kind == UNPACK_ZLIB && inflater_new(&u->inflater, e))) {
		unpack_free(u);
		return error_nomem(e);
	}
	*out = u;
	return 0;
}

void unpack_free(struct unpack *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->zstd);
	inflater_free(u->inflater);
	free(u);
}

static bool lzma_alone(const void *in, size_t in_len, void *out, size_t *n)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r;

	if (lzma_alone_decoder(&s, XZ_MEMORY) != LZMA_OK)
		return false;
	s.next_in = in;
	s.avail_in = in_len;
	s.next_out = out;
	s.avail_out = *n;
	r = lzma_code(&s, LZMA_FINISH);
	*n = s.total_out;
	lzma_end(&s);
	/* the size may be left open, and then there is no end mark either */
	return r == LZMA_STREAM_END || (r == LZMA_OK && !s.avail_in) ||
	       (r == LZMA_BUF_ERROR && *n);
}

int unpack_block(struct unpack *u, const void *in, size_t in_len, void *out,
	size_t max, size_t *out_len, struct error *e)
{
	size_t n = max;
	bool ok = false;

	switch (u->kind) {
	case UNPACK_ZLIB:
		ok = inflate_block(u->inflater, INFLATE_ZLIB, in, in_len, out,
			     max, &n, NULL) == INFLATE_END;
		break;
	case UNPACK_LZMA:
		ok = lzma_alone(in, in_len, out, &n);
		break;
	case UNPACK_LZO:
		ok = !lzo1x_decode(in, in_len, out, max, &n, NULL);
		break;
	case UNPACK_XZ: {
		uint64_t memory = XZ_MEMORY;
		size_t in_pos = 0, out_pos = 0;

		ok = lzma_stream_buffer_decode(&memory, 0, NULL, in, &in_pos,
			     in_len, out, &out_pos, max) == LZMA_OK;
		n = out_pos;
		break;
	}
	case UNPACK_LZ4: {
		int got = LZ4_decompress_safe(in, out, (int)in_len, (int)max);

		ok = got >= 0;
		n = ok ? (size_t)got : 0;
		break;
	}
	case UNPACK_ZSTD:
		n = ZSTD_decompressDCtx(u->zstd, out, max, in, in_len);
		ok = !ZSTD_isError(n);
		break;
	}
	if (!ok)
		return error_set(e, ERR_CORRUPT,
			"compressed block cannot be decoded");
	*out_len = n;
	return 0;
}
