/* SPDX-License-Identifier: Apache-2.0 */
/* Content-defined chunking of large blobs: a cut depends on the bytes before
 * it and not on their place, so that an insertion changes few chunks. */
#ifndef STRATA_CODEC_CDC_H
#define STRATA_CODEC_CDC_H

#include <stddef.h>
#include <stdint.h>

/* These are part of the format: other values give other chunks (still valid,
 * but they do not deduplicate with what is there). */
#define CDC_MIN (8 * 1024)
#define CDC_AVG (16 * 1024) /* from here on a cut is easy; the mean is 23 KiB */
#define CDC_MAX (64 * 1024)
/* A blob is chunked in segments of this size, each by itself, so that many
 * cores can work on one file and its list of chunks stays small. */
#define CDC_SEGMENT (32 * 1024 * 1024)

/* Length of the first chunk of data, where len bytes are left in the segment.
 * At most CDC_MAX; len itself where it is at most CDC_MIN. When more of the
 * segment follows than is in memory, len must be at least CDC_MAX. */
size_t cdc_cut(const uint8_t *data, size_t len);

#endif
