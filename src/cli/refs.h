/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands branch and tag have in common. */
#ifndef STRATA_CLI_REFS_H
#define STRATA_CLI_REFS_H

#include "cli/cli.h"

struct ref_words {
	const char *prefix; /* REFS_HEADS */
	const char *one;    /* "branch": in messages, and the schema */
	const char *many;   /* "branches": the key in JSON */
};

/* All, or those that match one of the operands. */
int refs_list(struct cli *c, const struct ref_words *w);
/* NAME [REV]. A branch that exists is moved only with force. */
int refs_create(struct cli *c, const struct ref_words *w, bool force);
/* NAME...: none where one is not there. */
int refs_delete(struct cli *c, const struct ref_words *w);
/* OLD NEW. */
int refs_rename(struct cli *c, const struct ref_words *w, bool force);

#endif
