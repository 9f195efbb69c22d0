/* SPDX-License-Identifier: Apache-2.0 */
/* LZO1X, the compression of btrfs and squashfs volumes: decoding only. */
#ifndef STRATA_CODEC_LZO_H
#define STRATA_CODEC_LZO_H

#include <stddef.h>
#include "base/error.h"

/* Decodes one stream, which must end with its end mark at the end of in. At
 * most max bytes go to out; *out_len tells how many. CORRUPT, with the offset
 * in the input: cut off, a match before the begin of the output, more than max
 * bytes, bytes behind the end mark. Reads and writes nothing outside of what
 * it is given, keeps no state, needs no memory. */
int lzo1x_decode(const void *in, size_t in_len, void *out, size_t max,
	size_t *out_len, struct error *e);

#endif
