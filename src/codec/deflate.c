/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/deflate.h"

#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/compiler.h"
#ifdef STRATA_LIBDEFLATE
#include <libdeflate.h>
#endif

/* Tools write such files at zlib's default, 6; so do we. */
#define LEVEL 6
#define KEEP 16 /* more threads than that make one anew each time */

#ifdef STRATA_LIBDEFLATE

struct deflater {
	pthread_mutex_t lock;
	struct libdeflate_compressor *idle[KEEP];
	unsigned n;
};

int deflater_new(struct deflater **out, struct error *e)
{
	struct deflater *d = calloc(1, sizeof(*d));

	if (!d)
		return error_nomem(e);
	pthread_mutex_init(&d->lock, NULL);
	*out = d;
	return 0;
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	while (d->n)
		libdeflate_free_compressor(d->idle[--d->n]);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

size_t deflate_bound(size_t len)
{
	return libdeflate_zlib_compress_bound(NULL, len);
}

int deflate_block(struct deflater *d, const void *in, size_t len, void *out,
	size_t room, size_t *out_len, struct error *e)
{
	struct libdeflate_compressor *c = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->n)
		c = d->idle[--d->n];
	pthread_mutex_unlock(&d->lock);
	if (!c && !(c = libdeflate_alloc_compressor(LEVEL)))
		return error_nomem(e);
	*out_len = libdeflate_zlib_compress(c, in, len, out, room);
	pthread_mutex_lock(&d->lock);
	if (d->n < KEEP) {
		d->idle[d->n++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	libdeflate_free_compressor(c);
	return *out_len ? 0 : error_set(e, ERR_ARG, "deflate: too little room");
}

#else

struct deflater {
	char unused;
};

int deflater_new(struct deflater **out, struct error *e)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : error_nomem(e);
}

void deflater_free(struct deflater *d)
{
	free(d);
}

size_t deflate_bound(size_t len)
{
	return compressBound(len);
}

int deflate_block(struct deflater *d ATTR_UNUSED, const void *in, size_t len,
	void *out, size_t room, size_t *out_len, struct error *e)
{
	uLongf n = room;

	if (compress2(out, &n, in, len, LEVEL) != Z_OK)
		return error_nomem(e);
	*out_len = n;
	return 0;
}

#endif
