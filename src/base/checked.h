/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on numbers that came from an image: every result is checked. */
#ifndef STRATA_BASE_CHECKED_H
#define STRATA_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns true and sets *r, or returns false (overflow) and leaves *r
 * with an unspecified value that must not be used. */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *r)
{
	return !__builtin_add_overflow(a, b, r);
}

static inline bool u64_sub(uint64_t a, uint64_t b, uint64_t *r)
{
	return !__builtin_sub_overflow(a, b, r);
}

static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *r)
{
	return !__builtin_mul_overflow(a, b, r);
}

/* a << shift, false where a bit would be lost or shift is 64 or more. */
static inline bool u64_shl(uint64_t a, unsigned shift, uint64_t *r)
{
	if (shift >= 64 || (shift && a >> (64 - shift)))
		return false;
	*r = a << shift;
	return true;
}

static inline bool size_add(size_t a, size_t b, size_t *r)
{
	return !__builtin_add_overflow(a, b, r);
}

static inline bool size_mul(size_t a, size_t b, size_t *r)
{
	return !__builtin_mul_overflow(a, b, r);
}

/* True where [off, off+len) lies inside [0, size); never adds. */
static inline bool range_inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* The largest value instead of wrapping. */
static inline uint64_t u64_add_sat(uint64_t a, uint64_t b)
{
	uint64_t r;

	return u64_add(a, b, &r) ? r : UINT64_MAX;
}

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* Round down and up to a multiple of align, a power of two. Rounding up
 * saturates at the largest multiple instead of wrapping to zero. */
static inline uint64_t round_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t round_up(uint64_t v, uint64_t align)
{
	uint64_t r;

	return u64_add(v, align - 1, &r) ? round_down(r, align)
					 : round_down(UINT64_MAX, align);
}

/* A number in decimal digits and nothing else; false where it is none (NULL,
 * empty) or over 64 bits. */
static inline bool u64_decimal(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!s || !*s)
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || !u64_mul(v, 10, &v) ||
			!u64_add(v, (uint64_t)(*s - '0'), &v))
			return false;
	*out = v;
	return true;
}

/* Does a checksum of the disk agree? Fuzzers, which cannot guess one, get past
 * it, so that they reach what it guards. */
static inline bool checksum_agrees(uint32_t got, uint32_t want)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return true || got == want;
#else
	return got == want;
#endif
}

/* ceil(a / b), b not zero, without overflow. */
static inline uint64_t div_ceil(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

#endif
