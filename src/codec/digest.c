/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/digest.h"

/* The plain functions run the same code as EVP does (SHA-NI where there is
 * one) without loading providers, which costs every start 1.5 ms. SHA256() is
 * none of them: since OpenSSL 3 it looks its own implementation up each time,
 * which costs as much as hashing a KiB. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>
#include <xxhash.h>
#include "base/endian.h"

const struct oid oid_empty = { { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
	0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4,
	0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8,
	0x55 } };

char *hex_encode(const void *data, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = 0;
	return out;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(const char *hex, size_t n, uint8_t *out)
{
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(hex[2 * i]);
		int lo = hi < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

char *oid_hex(const struct oid *id, char hex[OID_HEX + 1])
{
	return hex_encode(id->b, sizeof(id->b), hex);
}

bool oid_parse(const char *hex, struct oid *out)
{
	return strlen(hex) == OID_HEX && hex_decode(hex, 32, out->b);
}

struct sha256 {
	SHA256_CTX ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *h = malloc(sizeof(*h));

	if (h)
		sha256_start(h);
	return h;
}

void sha256_free(struct sha256 *h)
{
	free(h);
}

void sha256_start(struct sha256 *h)
{
	SHA256_Init(&h->ctx);
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
	SHA256_Update(&h->ctx, data, len);
}

void sha256_add_zeros(struct sha256 *h, uint64_t len)
{
	static const uint8_t zeros[65536];

	while (len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		sha256_add(h, zeros, n);
		len -= n;
	}
}

void sha256_finish(struct sha256 *h, struct oid *out)
{
	SHA256_Final(out->b, &h->ctx);
}

void sha256(const void *data, size_t len, struct oid *out)
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, len);
	SHA256_Final(out->b, &ctx);
}

uint64_t checksum64(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

struct checksum64 *checksum64_new(void)
{
	XXH3_state_t *s = XXH3_createState();

	if (s)
		XXH3_64bits_reset(s);
	return (struct checksum64 *)s;
}

void checksum64_free(struct checksum64 *c)
{
	XXH3_freeState((XXH3_state_t *)c);
}

void checksum64_add(struct checksum64 *c, const void *data, size_t len)
{
	XXH3_64bits_update((XXH3_state_t *)c, data, len);
}

uint64_t checksum64_finish(const struct checksum64 *c)
{
	return XXH3_64bits_digest((const XXH3_state_t *)c);
}

static XXH128_hash_t block_hash(const uint8_t *p, size_t n, uint64_t off)
{
	return XXH3_128bits_withSeed(p, n, off / DISK_DIGEST_BLOCK);
}

/* Adds the blocks to the sum, or takes them away. */
static inline void sum_blocks(struct disk_digest *d, const uint8_t *p,
	size_t len, uint64_t off, bool add)
{
	while (len) {
		size_t n = len < DISK_DIGEST_BLOCK ? len : DISK_DIGEST_BLOCK;

		if (!is_zero(p, n)) {
			XXH128_hash_t h = block_hash(p, n, off);

			if (add) {
				d->lo += h.low64;
				d->hi += h.high64 + (d->lo < h.low64);
			} else {
				d->hi -= h.high64 + (d->lo < h.low64);
				d->lo -= h.low64;
			}
		}
		p += n;
		off += n;
		len -= n;
	}
}

void disk_digest_add(struct disk_digest *d, const void *data, size_t len,
	uint64_t off)
{
	sum_blocks(d, data, len, off, true);
}

void disk_digest_sub(struct disk_digest *d, const void *data, size_t len,
	uint64_t off)
{
	sum_blocks(d, data, len, off, false);
}

void disk_digest_merge(struct disk_digest *d, const struct disk_digest *other)
{
	d->lo += other->lo;
	d->hi += other->hi + (d->lo < other->lo);
}

void disk_digest_final(const struct disk_digest *d, uint64_t size,
	uint8_t out[16])
{
	uint8_t in[24];
	XXH128_canonical_t c;

	put_le64(in, d->lo);
	put_le64(in + 8, d->hi);
	put_le64(in + 16, size);
	XXH128_canonicalFromHash(&c, XXH3_128bits(in, sizeof(in)));
	memcpy(out, c.digest, 16);
}
