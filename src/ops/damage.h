/* SPDX-License-Identifier: Apache-2.0 */
/* What is damaged, and which commits and paths that touches. */
#ifndef STRATA_OPS_DAMAGE_H
#define STRATA_OPS_DAMAGE_H

#include "ops/roots.h"
#include "store/census.h"

/* Kept of each item; more are counted. */
#define DAMAGE_PATHS 200
#define DAMAGE_COMMITS 1000
/* Items kept: each names a frame, a file of the library, a lost object. */
#define DAMAGE_ITEMS 10000
/* Objects that are known to be damaged (48 bytes each). */
#define DAMAGE_OBJECTS (1u << 20)

struct damage_item {
	char *what;  /* "frame checksum is wrong" */
	char *where; /* "packs/1f...pack at offset 4711" */
	VEC(struct oid) commits;
	VEC(char *) paths; /* "p2:/etc/passwd", "disk 0 at offset 4096" */
	VEC(char *) refs;
	uint64_t ncommits, npaths;
	struct oid last; /* commit that was added last */
};

struct damage {
	VEC(struct damage_item) items;
	uint64_t nitems; /* those not kept, too */
	struct damage_object {
		struct oid id;
		uint32_t item; /* + 1; 0: free slot */
		uint8_t space;
	} *objects;
	size_t nobjects, cap;
};

void damage_release(struct damage *d);
#define AUTO_DAMAGE __attribute__((cleanup(damage_release))) struct damage

/* A new item; *out_item is its number. NOMEM. */
int damage_add(struct damage *d, const char *where, const char *what,
	size_t *out_item, struct error *e);
/* The item is to blame for this object. The first one blamed stays. */
int damage_blame(struct damage *d, size_t item, enum object_space space,
	const struct oid *id, struct error *e);
bool damage_has(const struct damage *d, enum object_space space,
	const struct oid *id);

/* Finds the commits among those marked, the paths and the refs that stand on
 * what is damaged. */
int damage_trace(struct damage *d, struct library *l, struct census *c,
	const uint64_t *marked, const struct roots *roots, struct error *e);

#endif
