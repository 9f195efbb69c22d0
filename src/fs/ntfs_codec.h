/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders that NTFS volumes need. None reads outside in or writes
 * outside out, whatever the bytes are. */
#ifndef STRATA_FS_NTFS_CODEC_H
#define STRATA_FS_NTFS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* LZNT1 ([MS-XCA] 2.5): chunks of up to 4096 bytes. The input may end early
 * (at a zero header or its end): the rest of out is zeros. False: corrupt. */
bool lznt1_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size);

/* XPRESS with Huffman codes ([MS-XCA] 2.1), one chunk of at most 64 KiB; all of
 * out is filled. False: corrupt. */
bool xpress_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size);

/* LZX as in WIM archives, one chunk of at most 32 KiB; all of out is filled.
 * False: corrupt. */
bool lzx_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size);

#endif
