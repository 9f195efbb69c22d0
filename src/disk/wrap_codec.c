/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of wrap.c, each behind the same three functions. */
#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/pipeline.h"
#include "disk/wrap_int.h"

static int corrupt(const char *what, const char *why, struct error *e)
{
	return error_set(e, ERR_CORRUPT, "%s: %s", what, why);
}

/* --- gzip and raw deflate --- */

struct z_state {
	z_stream z;
	bool gzip, between; /* between two gzip members */
};

static int z_open(void **out, bool gzip, struct error *e)
{
	struct z_state *s = calloc(1, sizeof(*s));

	if (!s || inflateInit2(&s->z, gzip ? 15 + 16 : -15) != Z_OK) {
		free(s);
		return error_nomem(e);
	}
	s->gzip = gzip;
	*out = s;
	return 0;
}

static int gzip_open(void **out, struct error *e)
{
	return z_open(out, true, e);
}

static int deflate_open(void **out, struct error *e)
{
	return z_open(out, false, e);
}

static int z_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct z_state *s = state;
	int r;

	if (s->between) {
		/* What is not a further member is padding, as for gzip(1). */
		if (!b->in_len || b->in[0] != 0x1f)
			return 1;
		inflateReset(&s->z);
		s->between = false;
	}
	s->z.next_in = (Bytef *)(uintptr_t)b->in;
	s->z.avail_in = (uInt)b->in_len;
	s->z.next_out = b->out;
	s->z.avail_out = (uInt)b->out_len;
	r = inflate(&s->z, Z_NO_FLUSH);
	b->in = s->z.next_in;
	b->in_len = s->z.avail_in;
	b->out = s->z.next_out;
	b->out_len = s->z.avail_out;
	if (r == Z_STREAM_END) {
		if (!s->gzip)
			return 1;
		s->between = true;
		return 0;
	}
	if (r == Z_MEM_ERROR)
		return error_nomem(e);
	if (r != Z_OK && r != Z_BUF_ERROR)
		return corrupt(s->gzip ? "gzip" : "deflate",
			s->z.msg ? s->z.msg : "bad data", e);
	return 0;
}

static void z_close(void *state)
{
	inflateEnd(&((struct z_state *)state)->z);
	free(state);
}

const struct wrap_codec wrap_gzip = { "gzip", gzip_open, z_step, z_close };
const struct wrap_codec wrap_deflate = { "deflate", deflate_open, z_step,
	z_close };

/* --- xz --- */

static int xz_open(void **out, struct error *e)
{
	lzma_stream *s = calloc(1, sizeof(*s));
	lzma_mt mt = {
		.flags = LZMA_CONCATENATED,
		.threads = pipeline_threads(),
		.memlimit_threading = LIMIT_UNWRAP_MEMORY / 2,
		.memlimit_stop = LIMIT_UNWRAP_MEMORY,
	};

	if (!s || lzma_stream_decoder_mt(s, &mt) != LZMA_OK) {
		free(s);
		return error_nomem(e);
	}
	*out = s;
	return 0;
}

static int xz_step(void *state, struct wrap_buf *b, struct error *e)
{
	lzma_stream *s = state;
	lzma_ret r;

	s->next_in = b->in;
	s->avail_in = b->in_len;
	s->next_out = b->out;
	s->avail_out = b->out_len;
	r = lzma_code(s, b->in_ends ? LZMA_FINISH : LZMA_RUN);
	b->in = s->next_in;
	b->in_len = s->avail_in;
	b->out = s->next_out;
	b->out_len = s->avail_out;
	switch (r) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_STREAM_END:
		return 1;
	case LZMA_MEM_ERROR:
		return error_nomem(e);
	case LZMA_MEMLIMIT_ERROR:
		return error_set(e, ERR_LIMIT,
			"xz: unpacking takes over 160 MiB of memory");
	case LZMA_OPTIONS_ERROR:
	case LZMA_UNSUPPORTED_CHECK:
		return error_set(e, ERR_UNSUPPORTED,
			"xz: the file uses options that are not known");
	default:
		return corrupt("xz", "bad data", e);
	}
}

static void xz_close(void *state)
{
	lzma_end(state);
	free(state);
}

const struct wrap_codec wrap_xz = { "xz", xz_open, xz_step, xz_close };

/* --- zstd --- */

struct zstd_state {
	ZSTD_DStream *d;
	bool inside; /* of a frame */
};

static int zstd_open(void **out, struct error *e)
{
	struct zstd_state *s = calloc(1, sizeof(*s));

	if (!s || !(s->d = ZSTD_createDStream())) {
		free(s);
		return error_nomem(e);
	}
	ZSTD_DCtx_setParameter(s->d, ZSTD_d_windowLogMax, 27);
	*out = s;
	return 0;
}

static int zstd_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct zstd_state *s = state;
	ZSTD_inBuffer in = { b->in, b->in_len, 0 };
	ZSTD_outBuffer out = { b->out, b->out_len, 0 };
	size_t r;

	if (!b->in_len && !s->inside)
		return 1;
	r = ZSTD_decompressStream(s->d, &out, &in);
	if (ZSTD_isError(r)) {
		if (ZSTD_getErrorCode(r) ==
			ZSTD_error_frameParameter_windowTooLarge)
			return error_set(e, ERR_LIMIT,
				"zstd: unpacking takes over 128 MiB of memory");
		return corrupt("zstd", ZSTD_getErrorName(r), e);
	}
	s->inside = r != 0;
	b->in += in.pos;
	b->in_len -= in.pos;
	b->out += out.pos;
	b->out_len -= out.pos;
	return 0;
}

static void zstd_close(void *state)
{
	ZSTD_freeDStream(((struct zstd_state *)state)->d);
	free(state);
}

const struct wrap_codec wrap_zstd = { "zstd", zstd_open, zstd_step,
	zstd_close };

/* --- bzip2 --- */

struct bz_state {
	bz_stream z;
	bool open; /* false between two streams */
};

static int bz_open(void **out, struct error *e)
{
	struct bz_state *s = calloc(1, sizeof(*s));

	if (!s || BZ2_bzDecompressInit(&s->z, 0, 0) != BZ_OK) {
		free(s);
		return error_nomem(e);
	}
	s->open = true;
	*out = s;
	return 0;
}

static int bz_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct bz_state *s = state;
	int r;

	if (!s->open) {
		if (!b->in_len || b->in[0] != 'B')
			return 1;
		memset(&s->z, 0, sizeof(s->z));
		if (BZ2_bzDecompressInit(&s->z, 0, 0) != BZ_OK)
			return error_nomem(e);
		s->open = true;
	}
	s->z.next_in = (char *)(uintptr_t)b->in;
	s->z.avail_in = (unsigned)b->in_len;
	s->z.next_out = (char *)b->out;
	s->z.avail_out = (unsigned)b->out_len;
	r = BZ2_bzDecompress(&s->z);
	b->in += b->in_len - s->z.avail_in;
	b->in_len = s->z.avail_in;
	b->out += b->out_len - s->z.avail_out;
	b->out_len = s->z.avail_out;
	if (r == BZ_STREAM_END) {
		BZ2_bzDecompressEnd(&s->z);
		s->open = false;
		return 0;
	}
	if (r == BZ_MEM_ERROR)
		return error_nomem(e);
	return r == BZ_OK ? 0 : corrupt("bzip2", "bad data", e);
}

static void bz_close(void *state)
{
	struct bz_state *s = state;

	if (s->open)
		BZ2_bzDecompressEnd(&s->z);
	free(s);
}

const struct wrap_codec wrap_bzip2 = { "bzip2", bz_open, bz_step, bz_close };
