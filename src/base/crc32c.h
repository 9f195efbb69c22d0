/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as XFS, btrfs, ext4 and iSCSI use it. */
#ifndef STRATA_BASE_CRC32C_H
#define STRATA_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Feeds len bytes into a running register; no inversion before or after.
 * Safe from many threads. About 30 GB/s with SSE 4.2, 1.5 GB/s without. */
uint32_t crc32c_update(uint32_t reg, const void *data, size_t len);

/* The checksum of one buffer: register all ones, result inverted.
 * crc32c("123456789") is 0xe3069283 (RFC 3720, B.4 has more vectors). */
static inline uint32_t crc32c(const void *data, size_t len)
{
	return ~crc32c_update(UINT32_MAX, data, len);
}

#endif
