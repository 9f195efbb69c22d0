/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects a writer brings: of many threads that meet the same content,
 * the one that claims it first stores it.
 *
 * What is claimed and not yet in a closed pack stands in hash sets. What is in
 * a closed pack is found by the pack's index, which waits as "pending/NAME"
 * until the writer finishes. So memory follows the objects of one open pack,
 * whatever the number of all: the indexes are mapped, 48 bytes an object that
 * the kernel may drop.
 */
#ifndef STRATA_STORE_CLAIMS_H
#define STRATA_STORE_CLAIMS_H

#include "base/buf.h"
#include "base/error.h"
#include "store/object.h"

struct claims;
struct store;

/* NOMEM. */
int claims_new(struct store *s, struct claims **out, struct error *e);
/* Removes the indexes that wait, too. NULL is allowed. */
void claims_free(struct claims *c);

/* True: nobody had claimed it, and now the caller has. By any thread. */
bool claims_add(struct claims *c, enum object_space space,
	const struct oid *id);
bool claims_have(struct claims *c, enum object_space space,
	const struct oid *id);

/* A pack was closed: keeps its index, and forgets the claims that it lists.
 * One thread at a time; others may add and ask meanwhile. IO, NOMEM. */
int claims_retire(struct claims *c, const uint8_t pack_id[16],
	const struct buf *index, struct error *e);
/* Has any pack been retired? */
bool claims_retired(const struct claims *c);
/* Makes the indexes of all retired packs visible at once, as one. IO. */
int claims_publish(struct claims *c, struct error *e);

#endif
