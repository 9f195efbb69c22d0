/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate (RFC 1951, RFC 1950) of blocks whose size is known and small: the
 * clusters of qcow2, the grains of VMDK, the blocks of file systems. (Streams
 * of any length are zlib's.) */
#ifndef STRATA_CODEC_INFLATE_H
#define STRATA_CODEC_INFLATE_H

#include <stddef.h>
#include "base/cleanup.h"
#include "base/error.h"

enum inflate_kind { INFLATE_RAW, INFLATE_ZLIB };

enum inflate_result {
	INFLATE_BAD = -1, /* damaged or cut off */
	INFLATE_END,      /* the stream ended; with INFLATE_ZLIB its sum is right */
	INFLATE_FULL,     /* max bytes came out, and more would */
};

struct inflater;

/* For one thread at a time. NOMEM. */
int inflater_new(struct inflater **out, struct error *e);
void inflater_free(struct inflater *x); /* NULL is fine */
DEFINE_CLEANUP_PTR(inflater, struct inflater, inflater_free)
#define AUTO_INFLATER CLEANUP(cleanup_inflater) struct inflater *

/* Unpacks at most max bytes (below 4 GiB, as is in_len); *out_len tells how
 * many, also where it is BAD: max, where only its end is missing. What follows the stream's end in the input is not
 * looked at. *out_why: words for BAD, static. May be NULL. */
enum inflate_result inflate_block(struct inflater *x, enum inflate_kind kind,
	const void *in, size_t in_len, void *out, size_t max, size_t *out_len,
	const char **out_why);

#endif
