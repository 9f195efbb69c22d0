/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate in zlib's wrapping (RFC 1950) of whole blocks: the grains of VMDK
 * streams. The bytes depend on the library and its version, not on threads or on
 * what went before. (qcow2 wants windows of 4 KiB, which libdeflate has not: see
 * disk/qcow2_zip.) */
#ifndef STRATA_CODEC_DEFLATE_H
#define STRATA_CODEC_DEFLATE_H

#include <stddef.h>
#include "base/cleanup.h"
#include "base/error.h"

struct deflater;

/* For any number of threads at once: keeps a compressor for each. NOMEM. */
int deflater_new(struct deflater **out, struct error *e);
void deflater_free(struct deflater *d); /* NULL is fine */
DEFINE_CLEANUP_PTR(deflater, struct deflater, deflater_free)
#define AUTO_DEFLATER CLEANUP(cleanup_deflater) struct deflater *

/* Bytes that any len bytes fit in. */
size_t deflate_bound(size_t len);
/* room: at least deflate_bound(len). NOMEM. */
int deflate_block(struct deflater *d, const void *in, size_t len, void *out,
	size_t room, size_t *out_len, struct error *e);

#endif
