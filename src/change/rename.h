/* SPDX-License-Identifier: Apache-2.0 */
/* Inside diff: changes held back until renames are known. */
#ifndef STRATA_CHANGE_RENAME_H
#define STRATA_CHANGE_RENAME_H

#include "base/vec.h"
#include "change/diff.h"

struct pending {
	size_t path, old, new; /* offsets in data; SIZE_MAX: none */
	uint32_t path_len;
	uint32_t changed;
	uint32_t old_mount, new_mount;
	uint32_t from; /* renamed: index of the deleted one */
	uint8_t status;
	bool gone; /* deleted, and found again under another name */
	bool dir;
	struct oid id;
};

struct renames {
	struct buf data;
	VEC(struct pending) items;
	bool local_ids; /* the ids of folders say nothing */
	bool passing;	/* there were too many: they are passed on */
	diff_fn fn;
	void *ctx;
};

/* Takes a change; may pass on all that were held back. */
int renames_add(struct renames *r, const struct diff_change *c,
	struct error *e);
/* Finds the renames and passes everything on. */
int renames_finish(struct renames *r, struct error *e);
void renames_release(struct renames *r);

#endif
