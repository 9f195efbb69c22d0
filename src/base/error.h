/* SPDX-License-Identifier: Apache-2.0 */
/* The first of the two error channels: why a call failed. (The second, what
 * is odd about an image that is read all the same, is finding.h.) */
#ifndef STRATA_BASE_ERROR_H
#define STRATA_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/compiler.h"

/* Codes are for deciding, messages are for people. Functions return 0 or one
 * of these (negative). */
enum error_code {
	ERR_RANGE = -1,       /* outside the source */
	ERR_CORRUPT = -2,     /* the input contradicts itself or its format */
	ERR_UNSUPPORTED = -3, /* valid or unknown, but not something we read */
	ERR_LIMIT = -4,       /* one of our caps (base/limits.h) was reached */
	ERR_NOMEM = -5,
	ERR_IO = -6,       /* the operating system said no; see err */
	ERR_NOTFOUND = -7, /* the thing named does not exist */
	ERR_EXISTS = -8,
	ERR_BUSY = -9,      /* locked by somebody else */
	ERR_CONFLICT = -10, /* a ref moved; a merge conflicts */
	ERR_ARG = -11,      /* the caller's argument is wrong */
	ERR_CANCELLED = -12,
	ERR_DAMAGED = -13, /* the library itself is damaged */
};

#define ERROR_MSG_MAX 1024

/* Caller-owned, no resources: no release needed. Valid after a failed call
 * only. A NULL struct error * is accepted everywhere. */
struct error {
	int code;        /* enum error_code, 0 = none */
	int err;         /* errno, 0 = none */
	bool has_offset; /* offset is set */
	uint64_t offset; /* byte offset in the source where it happened */
	char msg[ERROR_MSG_MAX];
};

/* Set the error and return code, so that "return error_set(e, ...)" works.
 * The message: what, then why, no newline, no full stop. */
int error_set(struct error *e, int code, const char *fmt, ...) ATTR_PRINTF(3, 4)
	ATTR_COLD;
/* The same with the byte offset where it happened. */
int error_at(struct error *e, int code, uint64_t offset, const char *fmt, ...)
	ATTR_PRINTF(4, 5) ATTR_COLD;
/* From errno: the code is NOTFOUND for ENOENT, EXISTS for EEXIST, NOMEM for
 * ENOMEM, else IO; ": strerror" is appended. Keeps errno. */
int error_errno(struct error *e, const char *fmt, ...) ATTR_PRINTF(2, 3)
	ATTR_COLD;
int error_nomem(struct error *e) ATTR_COLD;
/* The message without "TAG: " in front, for who names the module himself;
 * borrowed from e. */
const char *error_untagged(const struct error *e, const char *tag);
/* Put "PREFIX: " before the message of an error that is set; returns its code.
 * Where the prefix begins with "TAG: ", the message loses that one. */
int error_prefix(struct error *e, const char *fmt, ...) ATTR_PRINTF(2, 3)
	ATTR_COLD;

/* The code's name in lower case ("corrupt"), for JSON and tests. */
const char *error_code_name(int code);

#endif
