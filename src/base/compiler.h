/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes used everywhere, and functions that must not be used. */
#ifndef STRATA_BASE_COMPILER_H
#define STRATA_BASE_COMPILER_H

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_MUST_CHECK __attribute__((warn_unused_result))
#define ATTR_UNUSED __attribute__((unused))
#define ATTR_COLD __attribute__((cold))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Functions whose bounds nobody checks do not compile (the headers come
 * first, since the names are macros from here on). */
#include <stdio.h>
#include <string.h>
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#define STRATA_BANNED(fn) sorry_##fn##_is_a_banned_function
#define strcpy(d, s) STRATA_BANNED(strcpy)
#define strcat(d, s) STRATA_BANNED(strcat)
#define strncpy(d, s, n) STRATA_BANNED(strncpy)
#define strncat(d, s, n) STRATA_BANNED(strncat)
#define sprintf(...) STRATA_BANNED(sprintf)
#define vsprintf(d, f, a) STRATA_BANNED(vsprintf)

#endif
