/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON as it is made: lists of a million files need no tree in memory.
 * (jansson, which reads JSON elsewhere, can only dump what it holds.) */
#ifndef STRATA_CLI_JSON_H
#define STRATA_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "codec/digest.h"

struct json {
	FILE *f;  /* what is being made */
	FILE *to; /* where it goes when it is whole */
	unsigned depth;
	uint64_t first; /* bit per depth: nothing there yet */
	bool have_key;
};

/* Starts the one object with its "schema": "strata/NAME/1". It goes to f when
 * it is whole: of a command that fails nothing is printed. Until then it is
 * held, in memory up to 4 MiB, then in a file without a name. One at a time. */
void json_start(struct json *j, FILE *f, const char *schema);
void json_end(struct json *j); /* closes it, with a newline, and prints it */

/* A value's key, inside an object; NULL inside an array. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

/* Text in UTF-8; other bytes as {"bytes": "<base64>"}. */
void json_bytes(struct json *j, const char *key, const void *p, size_t len);
void json_str(struct json *j, const char *key, const char *s); /* NULL: null */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_real(struct json *j, const char *key, double v);
void json_null(struct json *j, const char *key);
void json_oid(struct json *j, const char *key, const struct oid *id);
void json_time(struct json *j, const char *key, int64_t seconds);
void json_time_ns(struct json *j, const char *key, int64_t seconds,
	uint32_t ns);

struct image;
struct cli_findings;
/* The volumes that begin on a disk (UINT32_MAX: those on no disk). */
void json_volumes(struct json *j, const struct image *im, uint32_t disk);
/* "findings": [...], and "findings_total" where some were not kept. */
void json_findings(struct json *j, const struct cli_findings *f);

#endif
