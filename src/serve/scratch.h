/* SPDX-License-Identifier: Apache-2.0 */
/* A private copy-on-write disk of a commit, gone when it is closed. */
#ifndef STRATA_SERVE_SCRATCH_H
#define STRATA_SERVE_SCRATCH_H

#include "library/library.h"
#include "ops/progress.h"
#include "serve/nbd_server.h"
#include "store/lease.h"

struct scratch_args {
	const struct oid *commit;
	int disk;   /* -1: the only one */
	bool local; /* the backing is an exported raw file, no server */
	bool keep;  /* leave the folder, whatever happens */
	const struct progress *progress;
};

struct scratch {
	char *dir;     /* in $TMPDIR, else /var/tmp */
	char *overlay; /* qcow2 */
	char *base;    /* raw, with local; else NULL */
	bool keep;
	struct lease *lease; /* gc leaves the base alone */
	struct nbd_server server;
};

/* NOTFOUND, ARG, IO, CANCELLED. */
int scratch_open(struct library *l, const struct scratch_args *a,
	struct scratch *out, struct error *e);
/* Ends the server and removes the folder with all that a command left in it
 * (one level). */
void scratch_close(struct scratch *s);
#define AUTO_SCRATCH __attribute__((cleanup(scratch_close))) struct scratch

/* Makes a private folder; to be freed. NULL: see e. */
char *scratch_folder(struct error *e);
/* Removes a folder of files. */
void scratch_remove(const char *dir);

#endif
