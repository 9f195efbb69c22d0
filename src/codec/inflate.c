/* SPDX-License-Identifier: Apache-2.0 */
/* libdeflate where it is there, which decodes whole blocks in less than half the
 * time that zlib takes; zlib has the last word on what libdeflate refuses: it
 * also knows how far it got. */
#include "codec/inflate.h"

#include <stdlib.h>
#include <zlib.h>
#ifdef STRATA_LIBDEFLATE
#include <libdeflate.h>
#endif

struct inflater {
#ifdef STRATA_LIBDEFLATE
	struct libdeflate_decompressor *d;
#endif
	z_stream z[2]; /* by kind; made when first needed */
	bool ready[2];
};

int inflater_new(struct inflater **out, struct error *e)
{
	struct inflater *x = calloc(1, sizeof(*x));

	if (!x)
		return error_nomem(e);
#ifdef STRATA_LIBDEFLATE
	x->d = libdeflate_alloc_decompressor();
	if (!x->d) {
		free(x);
		return error_nomem(e);
	}
#endif
	*out = x;
	return 0;
}

void inflater_free(struct inflater *x)
{
	if (!x)
		return;
#ifdef STRATA_LIBDEFLATE
	libdeflate_free_decompressor(x->d);
#endif
	for (int i = 0; i < 2; i++)
		if (x->ready[i])
			inflateEnd(&x->z[i]);
	free(x);
}

static enum inflate_result by_zlib(struct inflater *x, enum inflate_kind kind,
	const void *in, size_t in_len, void *out, size_t max, size_t *out_len,
	const char **out_why)
{
	z_stream *z = &x->z[kind];
	uint8_t none;
	int r;

	if (!x->ready[kind])
		x->ready[kind] = inflateInit2(z, kind == INFLATE_RAW ? -15
								     : 15) == Z_OK;
	else
		inflateReset(z);
	*out_len = 0;
	*out_why = "out of memory";
	if (!x->ready[kind])
		return INFLATE_BAD;
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)in_len;
	z->next_out = max ? out : &none;
	z->avail_out = (uInt)max;
	r = inflate(z, Z_FINISH);
	*out_len = max - z->avail_out;
	if (r == Z_STREAM_END)
		return INFLATE_END;
	if (!z->avail_out && (r == Z_OK || r == Z_BUF_ERROR)) {
		/* Nothing may be left but the end itself. */
		z->next_out = &none;
		z->avail_out = 1;
		r = inflate(z, Z_FINISH);
		if (!z->avail_out)
			return INFLATE_FULL;
		if (r == Z_STREAM_END)
			return INFLATE_END;
	}
	*out_why = r == Z_DATA_ERROR && z->msg ? z->msg : "it is cut off";
	return INFLATE_BAD;
}

enum inflate_result inflate_block(struct inflater *x, enum inflate_kind kind,
	const void *in, size_t in_len, void *out, size_t max, size_t *out_len,
	const char **out_why)
{
	const char *why;
	enum inflate_result r;

#ifdef STRATA_LIBDEFLATE
	if ((kind == INFLATE_RAW
			    ? libdeflate_deflate_decompress_ex(x->d, in, in_len,
				      out, max, NULL, out_len)
			    : libdeflate_zlib_decompress_ex(x->d, in, in_len,
				      out, max, NULL, out_len)) ==
		LIBDEFLATE_SUCCESS)
		return INFLATE_END;
#endif
	r = by_zlib(x, kind, in, in_len, out, max, out_len, &why);
	if (r == INFLATE_BAD && out_why)
		*out_why = why;
	return r;
}
