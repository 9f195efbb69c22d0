/* SPDX-License-Identifier: Apache-2.0 */
/* Private folders for what is gone with the process: overlays, sockets. Each
 * is locked as long as its maker or a program that it started lives; a folder
 * whose lock nobody holds was left by a killed one, and the next process of
 * the same user removes it. */
#ifndef STRATA_SERVE_PRIVATE_DIR_H
#define STRATA_SERVE_PRIVATE_DIR_H

#include <stdbool.h>
#include "base/error.h"

enum private_kind {
	PRIVATE_DISKS,	/* large: in $TMPDIR, else /var/tmp */
	PRIVATE_SOCKET, /* a short path: in $XDG_RUNTIME_DIR, else /tmp */
	PRIVATE_KEPT,	/* as DISKS, but nobody removes it but the user */
};

struct private_dir {
	char *path; /* NULL: none */
	int lock;
};

/* Makes one; what killed processes left is removed first. IO, NOMEM. */
int private_dir_make(enum private_kind kind, struct private_dir *out,
	struct error *e);
/* Removes it, with files, empty folders and mounts of ours in it, and frees
 * what d owns. */
void private_dir_remove(struct private_dir *d);
/* Only frees: the folder stays, and its lock with the programs that were
 * started. */
void private_dir_leave(struct private_dir *d);
/* Removes those of processes that are gone. */
void private_dir_sweep(void);

#endif
