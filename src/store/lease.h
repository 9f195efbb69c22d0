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

/* The names of the leases that are held, by anybody (16 bytes each); those of
 * dead processes are removed on the way. */
struct lease_names {
	uint8_t (*ids)[16];
	size_t len;
};
int lease_list(struct backend *be, struct lease_names *out, struct error *e);
void lease_names_release(struct lease_names *n);

/* A list of condemned objects: keys of 33 bytes (space, id), sorted, and the
 * leases that were held when it was published. Only gc, which holds its lock,
 * makes and removes one. The file (strata-library(5)) is a header, the keys,
 * the leases. A writer that finds a damaged list takes every object as
 * condemned. */
#define CONDEMNED_KEY 33
void condemned_key(enum object_space space, const struct oid *id,
	uint8_t out[CONDEMNED_KEY]);
#define CONDEMNED_MAGIC "STRATACL"
struct condemned_header {
	uint8_t magic[8];
	le64 keys, leases;
	le32 flags; /* 1: which leases were held is not known yet */
	le32 zero;
	le64 checksum; /* of the 32 bytes before and of what follows */
};
_Static_assert(sizeof(struct condemned_header) == 40, "condemned header");

struct condemned {
	struct backend *be;
	char name[64];
	const uint8_t *data; /* NULL: there is none */
	size_t len;
	const uint8_t *keys;
	uint64_t nkeys;
	struct lease_names held; /* borrowed from data */
	bool held_unknown;
};
/* The list that is published, if any. One that is damaged, and any second
 * one, is removed: nothing was taken on its account that gc does not find
 * again. */
int condemned_open(struct backend *be, struct condemned *out,
	struct error *e);
void condemned_close(struct condemned *c);
bool condemned_has(const struct condemned *c, enum object_space space,
	const struct oid *id);

/* Publishes a list; name "" makes a new one. The keys come one by one from
 * next, in order (1: a key, 0: there are no more). held NULL: not known yet.
 * Memory: 64 KiB. */
typedef int (*condemned_next_fn)(void *ctx, uint8_t key[CONDEMNED_KEY]);
int condemned_publish(struct backend *be, condemned_next_fn next, void *ctx,
	const struct lease_names *held, char name[64], struct error *e);
/* The keys of a list that is published, as a next; at begins as 0. */
struct condemned_keys {
	const struct condemned *list;
	uint64_t at;
};
int condemned_next(void *keys, uint8_t key[CONDEMNED_KEY]);
int condemned_remove(struct backend *be, const char *name, struct error *e);

#endif
