/* SPDX-License-Identifier: Apache-2.0 */
/* Copying files of a stored image to the host. */
#ifndef STRATA_OPS_COPYOUT_H
#define STRATA_OPS_COPYOUT_H

#include "ops/progress.h"
#include "view/files.h"

struct copy_args {
	/* Not as it was in the image: owner, mode (but for the x bits),
	 * mtime, attributes. */
	bool plain;
	/* Something that was left out, or not wholly copied; the copy goes on.
	 * path: in the image. NULL: nobody wants to know. */
	void (*problem)(void *ctx, const char *path, const struct error *e);
	void *ctx;
	const struct progress *progress;
};

struct copy_result {
	uint64_t files, bytes;
	uint64_t problems;
	bool all_tried; /* a failure is only of what was left out */
	uint64_t xattrs_left_out; /* the host's file system has no such */
};

/* Copies a node and all below it to name in the folder dir_fd (borrowed); NULL
 * (for a folder): what is in it goes into dir_fd itself. Folders that exist
 * are merged into, other things that exist replaced.
 *
 * Never leaves dir_fd: every name is one component, created anew or opened
 * without following symlinks, in a folder that is held open.
 *
 * Files with several names stay one file; symlinks, devices, FIFOs and sockets
 * are made (devices need root: else a problem); runs of zeros are left as
 * holes; the owner is set when root. Returns 0; the code of the first problem;
 * EXISTS (a folder in place of a file or the reverse), IO, NOMEM, CANCELLED. */
int ops_copy_out(struct view_files *v, const struct view_node *from,
	int dir_fd, const char *name, const struct copy_args *a,
	struct copy_result *out, struct error *e);

#endif
