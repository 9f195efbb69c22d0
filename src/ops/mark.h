/* SPDX-License-Identifier: Apache-2.0 */
/* What can be reached: commits, images, trees, layouts, lists of chunks,
 * blobs. One bit an index entry, and a stack that is bounded. */
#ifndef STRATA_OPS_MARK_H
#define STRATA_OPS_MARK_H

#include "library/library.h"
#include "ops/progress.h"
#include "store/census.h"

struct mark;

/* Told of an object that is not there (NOTFOUND), cannot be read or makes no
 * sense. 0: go on without it. */
typedef int (*mark_problem_fn)(void *ctx, enum object_space space,
	const struct oid *id, const struct error *why, struct error *e);

/* The census must be younger than the refs that give the roots. problem NULL:
 * any problem is an error (DAMAGED). */
int mark_open(struct library *l, struct census *c, mark_problem_fn problem,
	void *ctx, const struct progress *progress, struct mark **out,
	struct error *e);
void mark_close(struct mark *m);
DEFINE_CLEANUP_PTR(mark, struct mark, mark_close)

/* Marks a commit and what it needs, with its history or without. */
int mark_commit(struct mark *m, const struct oid *id, bool history,
	struct error *e);
/* The volumes that have encoded files may lack those files' contents, unless
 * another needs them: they come last. To be called after all commits. */
int mark_finish(struct mark *m, struct error *e);
/* Marks an object and what is there of what it needs: the rest of an import
 * that was cut short. After mark_finish. */
int mark_loose(struct mark *m, uint64_t pos, struct error *e);

/* A bit for each position that was reached. */
const uint64_t *mark_bits(const struct mark *m);

/* Calls fn for what a record or a list of chunks refers to directly. path
 * components of tree entries go with it (NULL, 0 elsewhere). CORRUPT. */
struct mark_ref {
	enum object_space space;
	struct oid id;
	const uint8_t *name; /* of a tree entry, borrowed */
	size_t name_len;
	const char *volume;  /* of an image's volume */
	int disk;	     /* of an image's disk, else -1 */
	bool encoded;	     /* below a volume with encoded files */
	bool parent;	     /* a commit's parent */
};
typedef int (*mark_ref_fn)(void *ctx, const struct mark_ref *ref);
int mark_refs(enum object_kind kind, const struct buf *data, mark_ref_fn fn,
	void *ctx, struct error *e);

#endif
