/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything that is kept hangs: refs and their logs, and what servers
 * have pinned. */
#ifndef STRATA_OPS_ROOTS_H
#define STRATA_OPS_ROOTS_H

#include "base/vec.h"
#include "library/library.h"

/* Entries of a ref's log keep their commits this long, as git's do. */
#define REFLOG_KEEP (INT64_C(90) * 86400)

struct root {
	struct oid id;
	char *ref;    /* "refs/heads/x"; of a log: "logs/refs/heads/x" */
	bool log;
	bool pin;     /* "pins/...": the commit, without its history */
};

struct root_damage {
	char *where, *what;
};

struct roots {
	VEC(struct root) items;
	/* What does not parse: which file, what about it. */
	VEC(struct root_damage) damaged;
};
void roots_release(struct roots *r);
#define AUTO_ROOTS __attribute__((cleanup(roots_release))) struct roots

/* Reads all of them; pins last, for who is about to remove something (the
 * library must be writable). Damaged ones are listed, not an error. */
int roots_read_pinned(struct library *l, int64_t now, struct roots *out,
	struct error *e);
/* Without pins. */
int roots_read(struct library *l, int64_t now, struct roots *out,
	struct error *e);
/* The same now as then? */
bool roots_equal(const struct roots *a, const struct roots *b);

#endif
