/* SPDX-License-Identifier: Apache-2.0 */
/* From a file system and the hashes of its files to a tree in the store. */
#ifndef STRATA_OPS_TREEBUILD_H
#define STRATA_OPS_TREEBUILD_H

#include "model/image.h"
#include "ops/cut.h"
#include "store/store.h"

/* Goes again through the files of volume number index (they are hashed by now),
 * as they were listed or by another walk, writes its trees, and fills in out->root, files, has_tree, subvolumes. A volume that
 * cannot be read is left without a tree. */
int tree_build(struct writer *w, struct packer *records, struct packer *blobs,
	const struct survey *s, size_t index, struct cut *cut,
	const struct progress *progress, struct image_volume *out,
	struct error *e);

#endif
