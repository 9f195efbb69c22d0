/* SPDX-License-Identifier: Apache-2.0 */
/* Two folders in lockstep, by name; records that both have are passed over
 * without being read. */
#ifndef STRATA_CHANGE_DIRPAIR_H
#define STRATA_CHANGE_DIRPAIR_H

#include "model/tree.h"

struct dirpair_side {
	record_get_fn get;
	void *ctx;
	VEC(struct tree_frame) frames;
	bool have; /* entry, or first and child, are the next */
	bool is_index;
	struct entry entry;
	struct view first;
	struct oid child;
	unsigned level; /* of the record that the next stands in */
};

struct dirpair {
	struct dirpair_side side[2];
	bool skip; /* equal records are passed over */
};

/* NULL: that side has no such folder. skip: leave out records that both
 * folders have. Release also after a failure. CORRUPT, or as get says. */
int dirpair_open(struct dirpair *d, record_get_fn get_a, void *ctx_a,
	const struct oid *a, record_get_fn get_b, void *ctx_b,
	const struct oid *b, bool skip, struct error *e);
/* 1: the next name; an entry that a side does not have is NULL there. Valid
 * until the next call. 0: no more; < 0. */
int dirpair_next(struct dirpair *d, const struct entry **out_a,
	const struct entry **out_b, struct error *e);
void dirpair_release(struct dirpair *d);

/* By the bytes of the names. */
int name_order(const void *a, size_t an, const void *b, size_t bn);

#endif
