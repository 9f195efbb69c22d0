/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree keeps of a node's extended attributes and named streams. */
#ifndef STRATA_OPS_ATTRS_H
#define STRATA_OPS_ATTRS_H

#include "base/cursor.h"
#include "base/vec.h"
#include "codec/digest.h"
#include "fs/fs.h"
#include "store/store.h"

struct attr_pair {
	char *name;
	struct buf value;
	bool is_blob;
	struct oid id;
	uint64_t size;
};

/* Room that is used again for each node. */
struct attrs {
	struct fs *fs; /* borrowed */
	/* borrowed; long values and streams become blobs. NULL: see below */
	struct writer *writer;
	struct packer *blobs;

	VEC(struct attr_pair) pairs;
	size_t bytes;
	bool wants_store;
	struct buf list;
	struct error *e;
};

void attrs_release(struct attrs *a);

/* *out: the list as entries have it, borrowed until the next call; empty where
 * there are none. Damaged ones are left out. 1: there is something to be
 * stored, and no writer. NOMEM, IO. */
int attrs_read(struct attrs *a, const struct fs_node *n, struct view *out,
	struct error *e);

#endif
