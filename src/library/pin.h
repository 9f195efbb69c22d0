/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: commits that a process serves. gc keeps them, whatever happens to the
 * refs, and takes everything else: a server may run for months.
 *
 * In the library's folder (strata-library(5)) pins/ID is a lock that the
 * process holds, and pins/ID.COMMIT an empty file for each commit. Where nobody
 * holds the lock the process is gone, and gc removes its files. */
#ifndef STRATA_LIBRARY_PIN_H
#define STRATA_LIBRARY_PIN_H

#include "library/library.h"

struct pins;

/* The library is borrowed. IO (it cannot be written: then there is no gc
 * either), NOMEM. */
int pins_open(struct library *l, struct pins **out, struct error *e);
/* Ends all pins. NULL is fine. */
void pins_close(struct pins *p);
/* After a fork, in the process that does not serve: frees, and ends nothing. */
void pins_leave(struct pins *p);

/* Counted. NOTFOUND where the commit is not there (any more): gc was faster.
 * p NULL: only looks whether it is there. IO, NOMEM. Any thread. */
int pins_add(struct library *l, struct pins *p, const struct oid *commit,
	struct error *e);
void pins_drop(struct pins *p, const struct oid *commit); /* NULL is fine */

/* Calls fn for each commit that is pinned by a living process, removing what
 * dead ones left. IO, NOMEM, or what fn gives. */
typedef int (*pins_fn)(void *ctx, const char *name, const struct oid *commit);
int pins_list(struct library *l, pins_fn fn, void *ctx, struct error *e);

#endif
