/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: SHA-256 for identity, XXH3 for checksums and the disk digest. */
#ifndef STRATA_CODEC_DIGEST_H
#define STRATA_CODEC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/zero.h"

/* The id of an object: SHA-256 of its content. */
struct oid {
	uint8_t b[32];
};
_Static_assert(sizeof(struct oid) == 32, "an id is 32 bytes");

#define OID_HEX 64

static inline int oid_cmp(const struct oid *a, const struct oid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool oid_equal(const struct oid *a, const struct oid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool oid_is_zero(const struct oid *id)
{
	uint64_t w[4];

	memcpy(w, id->b, sizeof(w));
	return !(w[0] | w[1] | w[2] | w[3]);
}

/* hex holds 65 bytes. Returns hex. */
char *oid_hex(const struct oid *id, char hex[OID_HEX + 1]);
/* Exactly 64 hex digits; false otherwise. */
bool oid_parse(const char *hex, struct oid *out);

/* n bytes as 2n lower-case hex digits and a NUL. */
char *hex_encode(const void *data, size_t n, char *out);
/* 2n hex digits to n bytes; false where one is not a digit. */
bool hex_decode(const char *hex, size_t n, uint8_t *out);

/* SHA-256 of the empty string: the blob that is never stored. */
extern const struct oid oid_empty;

void sha256(const void *data, size_t len, struct oid *out);
/* Of several buffers: two at a time, where the processor can, take two thirds
 * of the time that they take in turn. */
struct sha256_job {
	const void *data;
	size_t len;
	struct oid *out;
};
void sha256_many(const struct sha256_job *jobs, size_t n);

/* In pieces. Heap-allocated, reusable: sha256_start begins anew. NULL when out
 * of memory. One thread at a time. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *h); /* NULL is fine */
void sha256_start(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *data, size_t len);
void sha256_add_zeros(struct sha256 *h, uint64_t len);
void sha256_finish(struct sha256 *h, struct oid *out);

/* Checksum of frames and index files (XXH3-64, seed 0). */
uint64_t checksum64(const void *data, size_t len);
/* The same in pieces; heap-allocated, NULL when out of memory. */
struct checksum64;
struct checksum64 *checksum64_new(void);
void checksum64_free(struct checksum64 *c); /* NULL is fine */
void checksum64_add(struct checksum64 *c, const void *data, size_t len);
uint64_t checksum64_finish(const struct checksum64 *c);

/* The disk digest: the same for the same virtual disk whatever container or
 * layout carried it, at memory speed, zero blocks for free, in any order.
 *
 * The disk is cut into blocks of 4096 bytes (the last may be shorter). sum is
 * the sum modulo 2^128 of XXH3-128(block, seed = block number) over all blocks
 * that are not all zeros. The digest is XXH3-128 of the 16 bytes of sum (low
 * half first, little endian) and the 8 bytes of the disk's size.
 *
 * Being a sum, it follows a change: subtract the old block, add the new.
 */
#define DISK_DIGEST_BLOCK 4096
struct disk_digest {
	uint64_t lo, hi;
};

/* Adds the blocks of data, which stands at disk offset off (a multiple of the
 * block size); only the last may be short. Zero blocks add nothing. */
void disk_digest_add(struct disk_digest *d, const void *data, size_t len,
	uint64_t off);
void disk_digest_sub(struct disk_digest *d, const void *data, size_t len,
	uint64_t off);
void disk_digest_merge(struct disk_digest *d, const struct disk_digest *other);
/* The final 16 bytes, in the order in which they are printed. */
void disk_digest_final(const struct disk_digest *d, uint64_t size,
	uint8_t out[16]);

#endif
