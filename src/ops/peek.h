/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into disks that are not imported: the same view of files that a
 * stored image gives, straight through the file-system readers. Nothing is
 * stored and nothing is read that is not asked for. */
#ifndef STRATA_OPS_PEEK_H
#define STRATA_OPS_PEEK_H

#include "base/finding.h"
#include "view/files.h"

struct peek_args {
	struct source *const *disks; /* references are taken */
	size_t ndisks;
	const struct finding_sink *findings; /* borrowed until the view goes */
	bool xattrs; /* extended attributes are wanted (a read a file) */
	int disk;	    /* as view_open */
	const char *volume; /* as view_open */
};

/* Surveys the disks. *out_image (may be NULL) gets a copy of what was found;
 * layouts and digests are not known. *out is NULL (and 0 returned) where no
 * volume's files can be read and args do not name one. Ids in the view's
 * entries are handles, not content. NOTFOUND, NOMEM, IO. One thread. */
int peek_open(const struct peek_args *a, struct image *out_image,
	struct view_files **out, struct error *e);

/* For a view that peek_open gave: sets a file's id to the SHA-256 of its
 * content, ENTRY_OPAQUE where it cannot be read. Costs a read of the file. */
int peek_hash(struct view_files *v, struct entry *x, struct error *e);

#endif
