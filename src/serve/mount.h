/* SPDX-License-Identifier: Apache-2.0 */
/* Showing what is stored as files of the host, through FUSE. Read-only. */
#ifndef STRATA_SERVE_MOUNT_H
#define STRATA_SERVE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include "serve/nodes.h"

struct mount_args {
	const char *library; /* folder */
	const char *dir;     /* where; an empty folder */
	const char *label;   /* shown by df and mount: "REV" */
	enum nodes_root what;
	struct oid commit; /* not for NODES_ALL */
	int disk;
	const char *volume; /* NULL: the merged view */
	uint64_t cache;	    /* bytes of decoded frames; 0: by the memory */
	bool foreground;
	bool with_caller; /* in the background: it ends when the caller does */
	bool allow_other; /* other users too, as the files' modes say */
};

/* Mounts, and serves until it is unmounted: in the background (it returns in
 * the caller when the mount is ready) or, with foreground, before it returns.
 * UNSUPPORTED (built without FUSE, no /dev/fuse), ARG (not a folder), EXISTS
 * (not empty, or a mount already), NOTFOUND, DAMAGED, IO. A dead mount of ours
 * at dir (its server was killed) is removed first. */
int mount_run(const struct mount_args *a, struct error *e);

/* Unmounts one of ours. lazy: also while it is in use. ARG where there is no
 * mount of strata at dir; BUSY; IO. */
int mount_end(const char *dir, bool lazy, struct error *e);

#endif
