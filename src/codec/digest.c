/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>
#include "base/endian.h"

const struct oid oid_empty = { { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
	0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4,
	0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8,
	0x55 } };

bool oid_is_zero(const struct oid *id)
{
	return is_zero(id->b, sizeof(id->b));
}

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

/* Fetched once: EVP_sha256() looks the provider up anew at every use. */
static EVP_MD *sha256_md;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (!sha256_md) /* no provider has it: nothing can work */
		abort();
}

struct sha256 {
	EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *h = malloc(sizeof(*h));

	pthread_once(&sha256_once, fetch);
	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || !EVP_DigestInit_ex2(h->ctx, sha256_md, NULL)) {
		sha256_free(h);
		return NULL;
	}
	return h;
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_start(struct sha256 *h)
{
	EVP_DigestInit_ex2(h->ctx, NULL, NULL);
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
	EVP_DigestUpdate(h->ctx, data, len);
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
	EVP_DigestFinal_ex(h->ctx, out->b, NULL);
}

void sha256(const void *data, size_t len, struct oid *out)
{
	static _Thread_local EVP_MD_CTX *ctx;

	pthread_once(&sha256_once, fetch);
	/* A context per thread: creating one costs more than a small hash. It
	 * is not freed when a thread ends; threads are few and long-lived. */
	if (!ctx)
		ctx = EVP_MD_CTX_new();
	if (!ctx || !EVP_DigestInit_ex2(ctx, sha256_md, NULL) ||
		!EVP_DigestUpdate(ctx, data, len) ||
		!EVP_DigestFinal_ex(ctx, out->b, NULL))
		abort(); /* out of memory for 400 bytes */
}

uint64_t checksum64(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

static XXH128_hash_t block_hash(const uint8_t *p, size_t n, uint64_t off)
{
	return XXH3_128bits_withSeed(p, n, off / DISK_DIGEST_BLOCK);
}

void disk_digest_add(struct disk_digest *d, const void *data, size_t len,
	uint64_t off)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = len < DISK_DIGEST_BLOCK ? len : DISK_DIGEST_BLOCK;

		if (!is_zero(p, n)) {
			XXH128_hash_t h = block_hash(p, n, off);

			d->lo += h.low64;
			d->hi += h.high64 + (d->lo < h.low64);
		}
		p += n;
		off += n;
		len -= n;
	}
}

void disk_digest_sub(struct disk_digest *d, const void *data, size_t len,
	uint64_t off)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = len < DISK_DIGEST_BLOCK ? len : DISK_DIGEST_BLOCK;

		if (!is_zero(p, n)) {
			XXH128_hash_t h = block_hash(p, n, off);

			d->hi -= h.high64 + (d->lo < h.low64);
			d->lo -= h.low64;
		}
		p += n;
		off += n;
		len -= n;
	}
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
