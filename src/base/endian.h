/* SPDX-License-Identifier: Apache-2.0 */
/* Integers as they stand on disk: byte-array structs, so that one that was
 * not converted does not compile, and none needs alignment. */
#ifndef STRATA_BASE_ENDIAN_H
#define STRATA_BASE_ENDIAN_H

#include <stdint.h>
#include <string.h>

typedef struct { uint8_t b[2]; } le16;
typedef struct { uint8_t b[4]; } le32;
typedef struct { uint8_t b[8]; } le64;
typedef struct { uint8_t b[2]; } be16;
typedef struct { uint8_t b[4]; } be32;
typedef struct { uint8_t b[8]; } be64;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ||
		       __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
	"mixed-endian machines are not supported");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define STRATA_LE(bits, v) (v)
#define STRATA_BE(bits, v) __builtin_bswap##bits(v)
#else
#define STRATA_LE(bits, v) __builtin_bswap##bits(v)
#define STRATA_BE(bits, v) (v)
#endif

#define STRATA_ENDIAN(bits)                                                    \
	static inline uint##bits##_t get_le##bits(const void *p)               \
	{                                                                      \
		uint##bits##_t v;                                              \
		memcpy(&v, p, sizeof(v));                                      \
		return STRATA_LE(bits, v);                                     \
	}                                                                      \
	static inline uint##bits##_t get_be##bits(const void *p)               \
	{                                                                      \
		uint##bits##_t v;                                              \
		memcpy(&v, p, sizeof(v));                                      \
		return STRATA_BE(bits, v);                                     \
	}                                                                      \
	static inline void put_le##bits(void *p, uint##bits##_t v)             \
	{                                                                      \
		v = STRATA_LE(bits, v);                                        \
		memcpy(p, &v, sizeof(v));                                      \
	}                                                                      \
	static inline void put_be##bits(void *p, uint##bits##_t v)             \
	{                                                                      \
		v = STRATA_BE(bits, v);                                        \
		memcpy(p, &v, sizeof(v));                                      \
	}                                                                      \
	static inline uint##bits##_t le##bits##_get(le##bits v)                \
	{                                                                      \
		return get_le##bits(v.b);                                      \
	}                                                                      \
	static inline uint##bits##_t be##bits##_get(be##bits v)                \
	{                                                                      \
		return get_be##bits(v.b);                                      \
	}                                                                      \
	static inline le##bits le##bits##_make(uint##bits##_t v)               \
	{                                                                      \
		le##bits r;                                                    \
		put_le##bits(r.b, v);                                          \
		return r;                                                      \
	}                                                                      \
	static inline be##bits be##bits##_make(uint##bits##_t v)               \
	{                                                                      \
		be##bits r;                                                    \
		put_be##bits(r.b, v);                                          \
		return r;                                                      \
	}

STRATA_ENDIAN(16)
STRATA_ENDIAN(32)
STRATA_ENDIAN(64)
#undef STRATA_ENDIAN

#endif
