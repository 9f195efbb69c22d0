/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/raw_cut.h"

#include "base/checked.h"
#include "codec/cdc.h"

/* Chunks that are hashed together. */
#define CUT_AT_ONCE 16

/* Cuts a run of the skeleton where its content says so, in the way in which
 * files are chunked: free space is full of what once were files, and some of
 * them live on, here or in another image. */
static int raw_run(struct packer *p, const uint8_t *data, size_t len,
	raw_cut_fn fn, void *ctx, struct error *e)
{
	int r = 0;

	while (len && !r) {
		struct sha256_job job[CUT_AT_ONCE];
		struct oid id[CUT_AT_ONCE];
		size_t n = 0;

		for (; len && n < CUT_AT_ONCE; n++) {
			size_t m = cdc_cut(data, len);

			job[n] = (struct sha256_job){ data, m, &id[n] };
			data += m;
			len -= m;
		}
		sha256_many(job, n);
		for (size_t i = 0; i < n && !r; i++) {
			r = packer_put_known(p, job[i].data, job[i].len,
				&id[i], e);
			if (!r)
				r = fn(ctx, false, job[i].len, &id[i], e);
		}
	}
	return r;
}

int raw_cut(struct packer *p, const uint8_t *data, size_t len, uint64_t off,
	raw_cut_fn fn, void *ctx, struct error *e)
{
	size_t at = 0;
	int r = 0;

	while (at < len && !r) {
		size_t start = at, n;
		bool zero = true;

		/* a run of blocks that are zeros, or of blocks that are not */
		for (; at < len; at += n) {
			bool z;

			n = size_min(RAW_BLOCK -
					     (size_t)((off + at) % RAW_BLOCK),
				len - at);
			z = is_zero(data + at, n);
			if (at == start)
				zero = z;
			else if (z != zero)
				break;
		}
		r = zero ? fn(ctx, true, at - start, NULL, e)
			 : raw_run(p, data + start, at - start, fn, ctx, e);
	}
	return r;
}
