/* SPDX-License-Identifier: Apache-2.0 */
/* A private copy-on-write disk of a commit, gone when it is closed. */
#ifndef STRATA_SERVE_SCRATCH_H
#define STRATA_SERVE_SCRATCH_H

#include "library/library.h"
#include "ops/progress.h"
#include "library/pin.h"
#include "serve/nbd_server.h"
#include "serve/private_dir.h"

struct scratch_args {
	const struct oid *commit;
	int disk;   /* -1: the only one */
	bool local; /* the backing is an exported raw file, no server */
	bool keep;  /* leave the folder, whatever happens */
	const struct progress *progress;
};

struct scratch {
	struct private_dir dir;
	char *overlay; /* qcow2 */
	char *base;    /* raw, with local; else NULL */
	bool keep;
	struct pins *pins; /* gc leaves the base alone */
	struct nbd_server server;
};

/* NOTFOUND, ARG, IO, CANCELLED. */
int scratch_open(struct library *l, const struct scratch_args *a,
	struct scratch *out, struct error *e);
/* Ends the server and removes the folder with all that a command left in it
 * (one level). */
void scratch_close(struct scratch *s);
#define AUTO_SCRATCH __attribute__((cleanup(scratch_close))) struct scratch

#endif
