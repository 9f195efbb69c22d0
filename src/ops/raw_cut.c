/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/raw_cut.h"

#include "base/checked.h"
#include "codec/cdc.h"

/* Cuts a run of the skeleton where its content says so, in the way in which
 * files are chunked: free space is full of what once were files, and some of
 * them live on, here or in another image. */
static int raw_run(struct packer *p, const uint8_t *data, size_t len,
	raw_cut_fn fn, void *ctx, struct error *e)
{
	int r = 0;

	while (len && !r) {
		size_t n[2] = { cdc_cut(data, len), 0 };
		struct oid id[2];

		if (len > n[0]) { /* two are hashed in the time of one */
			n[1] = cdc_cut(data + n[0], len - n[0]);
			sha256_two(data, n[0], data + n[0], n[1], &id[0],
				&id[1]);
		} else {
			sha256(data, n[0], &id[0]);
		}
		for (int i = 0; i < 2 && n[i] && !r; i++) {
			r = packer_put_known(p, data, n[i], &id[i], e);
			if (!r)
				r = fn(ctx, false, n[i], &id[i], e);
			data += n[i];
			len -= n[i];
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
