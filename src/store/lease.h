/* SPDX-License-Identifier: Apache-2.0 */
/* How gc and writers keep out of each other's way.
 *
 * A writer may find that the store knows an object already, and rest a commit
 * on it, while gc finds that no commit uses it. So gc removes in two steps:
 * it publishes the list of what it condemns, and removes later, when every
 * writer that began before the list has ended, what is still not used. A
 * writer takes its lease first and reads the lists then: either gc sees the
 * lease, or the writer sees the list and takes condemned objects as unknown.
 */
#ifndef STRATA_STORE_LEASE_H
#define STRATA_STORE_LEASE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "store/backend.h"
#include "store/object.h"

struct lease;

/* A writer's lease: a lock that the process holds. IO, NOMEM. */
int lease_take(struct backend *be, struct lease **out, struct error *e);
void lease_release(struct lease *l); /* NULL is fine */
/* Was it on a list that was published before the lease was taken? */
bool lease_condemned(const struct lease *l, enum object_space space,
	const struct oid *id);

/* How many leases are held, by anybody; those of dead processes are removed
 * on the way. */
int lease_count(struct backend *be, unsigned *out, struct error *e);

/* A list of condemned objects: keys of 33 bytes (space, id), sorted. */
#define CONDEMNED_KEY 33
int condemned_publish(struct backend *be, const void *keys, size_t n,
	char name[64], struct error *e);
int condemned_remove_all(struct backend *be, struct error *e);

#endif
