/* SPDX-License-Identifier: Apache-2.0 */
/* Commits as people read them, and as JSON. */
#ifndef STRATA_CLI_TEXT_H
#define STRATA_CLI_TEXT_H

#include "base/buf.h"
#include "base/vec.h"
#include "cli/cli.h"

/* Branches and tags by the commit that they name. */
struct decoration {
	VEC(struct decoration_name {
		struct oid id;
		char *name; /* "web", "tag: v1" */
	}) names; /* sorted by id */
};
/* Are names of commits shown? As in git: on a terminal, or with --decorate. All
 * refs are read for it. */
bool decoration_wanted(const struct cli *c);
int decoration_load(struct cli *c, struct decoration *out);
void decoration_release(struct decoration *d);

/* "Sun Nov 22 00:47:48 2026 +0000", as git; out holds 64 bytes. */
char *text_date(int64_t seconds, char out[64]);
/* names may be NULL. */
void text_oneline(struct buf *out, const struct cli *c, const struct oid *id,
	const struct commit *cm, const struct decoration *names);
void text_commit(struct buf *out, const struct cli *c, const struct oid *id,
	const struct commit *cm, const struct decoration *names);

struct json;
/* id, parents, author, date, message, image, annotations. */
void json_commit(struct json *j, const struct oid *id,
	const struct commit *cm);

#endif
