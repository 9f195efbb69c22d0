/* SPDX-License-Identifier: Apache-2.0 */
/* Commits: an image, its parents, who, when, why. A text, so that a person can
 * read one; see strata-objects(5):
 *
 *	commit 1
 *	image HEX
 *	parent HEX		(any number)
 *	author NAME <MAIL>
 *	date SECONDS
 *	annotation KEY=VALUE	(any number; %, newline as %XX)
 *
 *	MESSAGE
 */
#ifndef STRATA_MODEL_COMMIT_H
#define STRATA_MODEL_COMMIT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "codec/digest.h"

struct annotation {
	char *key, *value;
};

struct commit {
	struct oid image;
	VEC(struct oid) parents;
	char *author;
	int64_t date; /* seconds since 1970, UTC */
	VEC(struct annotation) annotations; /* sorted by key */
	char *message; /* without a trailing newline */
};

void commit_release(struct commit *c);
#define AUTO_COMMIT __attribute__((cleanup(commit_release))) struct commit

/* Adds or replaces; keeps the order. ARG for a key that is empty or holds '='
 * or a control character. */
int commit_annotate(struct commit *c, const char *key, const char *value,
	struct error *e);
/* NULL where there is none. */
const char *commit_annotation(const struct commit *c, const char *key);

int commit_encode(const struct commit *c, struct buf *out, struct error *e);
int commit_decode(const void *data, size_t len, struct commit *out,
	struct error *e);

#endif
