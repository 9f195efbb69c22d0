/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: the four kinds of checksum. */
#include "fs/btrfs.h"

#include <xxhash.h>
#include "base/crc32c.h"
#include "codec/digest.h"

bool btrfs_fuzz_no_csum;

/* BLAKE2b with a digest of 32 bytes and no key (RFC 7693), which libcrypto
 * 3.0 offers with 64 bytes only; the length is part of the parameters, so that
 * cutting the longer one does not give it. */
static const uint64_t blake_iv[8] = {
	UINT64_C(0x6a09e667f3bcc908),
	UINT64_C(0xbb67ae8584caa73b),
	UINT64_C(0x3c6ef372fe94f82b),
	UINT64_C(0xa54ff53a5f1d36f1),
	UINT64_C(0x510e527fade682d1),
	UINT64_C(0x9b05688c2b3e6c1f),
	UINT64_C(0x1f83d9abfb41bd6b),
	UINT64_C(0x5be0cd19137e2179),
};

static const uint8_t blake_sigma[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static inline uint64_t ror64(uint64_t v, unsigned n)
{
	return v >> n | v << (64 - n);
}

static inline void blake_g(uint64_t v[16], int a, int b, int c, int d,
	uint64_t x, uint64_t y)
{
	v[a] += v[b] + x;
	v[d] = ror64(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = ror64(v[b] ^ v[c], 24);
	v[a] += v[b] + y;
	v[d] = ror64(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = ror64(v[b] ^ v[c], 63);
}

static void blake_block(uint64_t h[8], const uint8_t *p, uint64_t count,
	bool last)
{
	uint64_t v[16], m[16];

	for (int i = 0; i < 8; i++) {
		v[i] = h[i];
		v[i + 8] = blake_iv[i];
	}
	v[12] ^= count; /* inputs here are far below 2^64 bytes */
	if (last)
		v[14] = ~v[14];
	for (int i = 0; i < 16; i++)
		m[i] = get_le64(p + 8 * i);
	for (int r = 0; r < 12; r++) {
		const uint8_t *s = blake_sigma[r % 10];

		blake_g(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
		blake_g(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
		blake_g(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
		blake_g(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
		blake_g(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
		blake_g(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
		blake_g(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
		blake_g(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (int i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}

static void blake2b_256(const uint8_t *p, size_t len, uint8_t out[32])
{
	uint64_t h[8], count = 0;
	uint8_t tail[128] = { 0 };

	memcpy(h, blake_iv, sizeof(h));
	h[0] ^= UINT64_C(0x01010000) ^ 32; /* depth 1, fanout 1, 32 bytes */
	for (; len > 128; p += 128, len -= 128) {
		count += 128;
		blake_block(h, p, count, false);
	}
	memcpy(tail, p, len);
	blake_block(h, tail, count + len, true);
	for (int i = 0; i < 4; i++)
		put_le64(out + 8 * i, h[i]);
}

bool btrfs_csum(unsigned type, const void *data, size_t len,
	uint8_t out[BTRFS_CSUM_MAX])
{
	struct oid id;

	memset(out, 0, BTRFS_CSUM_MAX);
	switch (type) {
	case BTRFS_CSUM_CRC32C:
		put_le32(out, crc32c(data, len));
		return true;
	case BTRFS_CSUM_XXHASH:
		put_le64(out, XXH64(data, len, 0));
		return true;
	case BTRFS_CSUM_SHA256:
		sha256(data, len, &id);
		memcpy(out, id.b, sizeof(id.b));
		return true;
	case BTRFS_CSUM_BLAKE2:
		blake2b_256(data, len, out);
		return true;
	}
	return false;
}

bool btrfs_csum_ok(unsigned type, const uint8_t *block, size_t len)
{
	static const uint8_t sizes[] = { 4, 8, 32, 32 };
	uint8_t want[BTRFS_CSUM_MAX];

	if (btrfs_fuzz_no_csum)
		return true;
	return btrfs_csum(type, block + BTRFS_CSUM_MAX, len - BTRFS_CSUM_MAX,
		       want) &&
	       memcmp(want, block, sizes[type]) == 0;
}
