/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of wrap.c, each behind the same three functions. */
#include <bzlib.h>
#include <lz4frame.h>
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
	bool further;       /* this is not the first */
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
		s->further = true;
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
	/* No header of a member: padding too, which begins like one. */
	if (r == Z_DATA_ERROR && s->further && s->z.total_in <= 3 &&
		!s->z.total_out)
		return 1;
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

/* --- xz, lzma, lzip --- */

struct lz_state {
	lzma_stream z; /* first */
	const char *what;
	bool between; /* between two streams of an .xz */
	bool further; /* this is not the first */
};

static int xz_start(lzma_stream *z)
{
	lzma_mt mt = {
		.threads = pipeline_threads(),
		.memlimit_threading = LIMIT_UNWRAP_MEMORY / 2,
		.memlimit_stop = LIMIT_UNWRAP_MEMORY,
	};

	return (int)lzma_stream_decoder_mt(z, &mt);
}

static int alone_start(lzma_stream *z)
{
	return (int)lzma_alone_decoder(z, LIMIT_UNWRAP_MEMORY);
}

static int lz_open(void **out, const char *what, int (*start)(lzma_stream *),
	struct error *e)
{
	struct lz_state *s = calloc(1, sizeof(*s));

	if (!s || start(&s->z) != LZMA_OK) {
		free(s);
		return error_nomem(e);
	}
	s->what = what;
	*out = s;
	return 0;
}

static int xz_open(void **out, struct error *e)
{
	return lz_open(out, "xz", xz_start, e);
}

static int alone_open(void **out, struct error *e)
{
	return lz_open(out, "lzma", alone_start, e);
}

static lzma_ret lz_code(struct lz_state *s, struct wrap_buf *b)
{
	lzma_ret r;

	s->z.next_in = b->in;
	s->z.avail_in = b->in_len;
	s->z.next_out = b->out;
	s->z.avail_out = b->out_len;
	r = lzma_code(&s->z, b->in_ends ? LZMA_FINISH : LZMA_RUN);
	b->in = s->z.next_in;
	b->in_len = s->z.avail_in;
	b->out = s->z.next_out;
	b->out_len = s->z.avail_out;
	return r;
}

#define LZ_OTHER 2

static int lz_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct lz_state *s = state;

	switch (lz_code(s, b)) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_STREAM_END:
		return 1;
	case LZMA_MEM_ERROR:
		return error_nomem(e);
	case LZMA_MEMLIMIT_ERROR:
		return error_set(e, ERR_LIMIT,
			"%s: unpacking takes over 160 MiB of memory", s->what);
	case LZMA_OPTIONS_ERROR:
	case LZMA_UNSUPPORTED_CHECK:
		return error_set(e, ERR_UNSUPPORTED,
			"%s: the file uses options that are not known",
			s->what);
	case LZMA_FORMAT_ERROR:
		/* Behind a whole stream: something else, which is ignored. */
		return s->further ? LZ_OTHER
				  : corrupt(s->what, "not in this format", e);
	default:
		return corrupt(s->what, "bad data", e);
	}
}

/* Streams one behind the other, zeros between them (The .xz File Format,
 * section 2.2), and anything behind them all. */
static int xz_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct lz_state *s = state;
	int r;

	if (s->between) {
		while (b->in_len && !*b->in) {
			b->in++;
			b->in_len--;
		}
		if (!b->in_len)
			return b->in_ends ? 1 : 0;
		if (*b->in != 0xfd)
			return 1;
		if (xz_start(&s->z) != LZMA_OK)
			return error_nomem(e);
		s->between = false;
		s->further = true;
	}
	r = lz_step(state, b, e);
	s->between = r == 1;
	return r == 1 ? 0 : r == LZ_OTHER ? 1 : r;
}

static void lz_close(void *state)
{
	lzma_end(&((struct lz_state *)state)->z);
	free(state);
}

const struct wrap_codec wrap_xz = { "xz", xz_open, xz_step, lz_close };
const struct wrap_codec wrap_lzma = { "lzma", alone_open, lz_step, lz_close };

#if LZMA_VERSION >= UINT32_C(50040002)
static int lzip_start(lzma_stream *z)
{
	return (int)lzma_lzip_decoder(z, LIMIT_UNWRAP_MEMORY, LZMA_CONCATENATED);
}

static int lzip_open(void **out, struct error *e)
{
	return lz_open(out, "lzip", lzip_start, e);
}
#else
static int lzip_open(void **out, struct error *e)
{
	(void)out;
	return error_set(e, ERR_UNSUPPORTED,
		"lzip: this was built with a liblzma that does not read it");
}
#endif

const struct wrap_codec wrap_lzip = { "lzip", lzip_open, lz_step, lz_close };

/* --- lz4 (lz4_Frame_format.md) --- */

struct lz4_state {
	LZ4F_dctx *d;
	bool inside; /* of a frame */
	bool further;
};

static int lz4_open(void **out, struct error *e)
{
	struct lz4_state *s = calloc(1, sizeof(*s));

	if (!s || LZ4F_isError(LZ4F_createDecompressionContext(&s->d,
			  LZ4F_VERSION))) {
		free(s);
		return error_nomem(e);
	}
	*out = s;
	return 0;
}

static int lz4_step(void *state, struct wrap_buf *b, struct error *e)
{
	struct lz4_state *s = state;
	size_t in = b->in_len, out = b->out_len, r;

	if (!b->in_len && !s->inside)
		return 1;
	r = LZ4F_decompress(s->d, b->out, &out, b->in, &in, NULL);
	if (LZ4F_isError(r)) {
		if (s->further &&
			!strcmp(LZ4F_getErrorName(r),
				"ERROR_frameType_unknown"))
			return 1;
		return corrupt("lz4", LZ4F_getErrorName(r), e);
	}
	s->inside = r != 0;
	s->further |= !r;
	b->in += in;
	b->in_len -= in;
	b->out += out;
	b->out_len -= out;
	return 0;
}

static void lz4_close(void *state)
{
	LZ4F_freeDecompressionContext(((struct lz4_state *)state)->d);
	free(state);
}

const struct wrap_codec wrap_lz4 = { "lz4", lz4_open, lz4_step, lz4_close };

/* --- zstd --- */

struct zstd_state {
	ZSTD_DStream *d;
	bool inside; /* of a frame */
	bool further; /* this is not the first */
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
		/* Behind a whole frame: something else, which is ignored. */
		if (ZSTD_getErrorCode(r) == ZSTD_error_prefix_unknown &&
			s->further)
			return 1;
		return corrupt("zstd", ZSTD_getErrorName(r), e);
	}
	s->inside = r != 0;
	s->further |= !r;
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
