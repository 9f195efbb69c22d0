/* SPDX-License-Identifier: Apache-2.0 */
/* One block to another: the decompressors of read-only file systems. */
#ifndef STRATA_FS_UNPACK_H
#define STRATA_FS_UNPACK_H

#include <stddef.h>
#include "base/cleanup.h"
#include "base/error.h"

/* The numbers are those of squashfs. */
enum unpack_kind {
	UNPACK_ZLIB = 1,
	UNPACK_LZMA = 2, /* the old .lzma form */
	UNPACK_LZO = 3,
	UNPACK_XZ = 4,
	UNPACK_LZ4 = 5,
	UNPACK_ZSTD = 6,
};

struct unpack;

/* UNSUPPORTED for an unknown kind; NOMEM. Not for two threads at once. */
int unpack_new(int kind, struct unpack **out, struct error *e);
void unpack_free(struct unpack *u);
/* Decodes all of in to at most max bytes; *out_len how many. CORRUPT where it
 * cannot, or would be longer. Memory is bounded by 80 MiB (xz). */
int unpack_block(struct unpack *u, const void *in, size_t in_len, void *out,
	size_t max, size_t *out_len, struct error *e);

#endif
