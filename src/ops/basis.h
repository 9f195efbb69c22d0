/* SPDX-License-Identifier: Apache-2.0 */
/* Which commit a disk file stands on, told without opening any other file. */
#ifndef STRATA_OPS_BASIS_H
#define STRATA_OPS_BASIS_H

#include "library/record.h"
#include "os/source.h"

struct basis {
	/* The file is an overlay, and what it does not hold is the base's.
	 * Else it is a disk that stands alone, to be imported whole. */
	bool overlay;
	struct oid base;
	int disk;	   /* of the base; -1: the only one */
	struct oid parent; /* of a commit: base, or what was made of it last */
	char *branch;	   /* where that should go, or NULL */
	char *backing;	   /* as the header names it, "" where none */
	struct record record; /* of the file; path NULL: there is none */
};
void basis_release(struct basis *b);
#define AUTO_BASIS __attribute__((cleanup(basis_release))) struct basis

struct basis_args {
	const char *path;	    /* of the file */
	struct source *file;	    /* the same; borrowed */
	const struct revision *base; /* as the user says; NULL: find out */
};

/* By the record of an instance, of an earlier commit or of an export; else by
 * the name of the backing: a file that the library exported and that is as it
 * was, or an export of its server that is named by the commit's full id.
 * UNSUPPORTED: the base is not known, or was altered; the message says what to
 * do. NOTFOUND (the base is not in the library), CORRUPT, IO. */
int basis_find(struct library *l, const struct basis_args *a,
	struct basis *out, struct error *e);

/* Remembers that commit was made from the file, so that the next one can go
 * on from there. */
int basis_committed(struct library *l, const char *path,
	const struct basis *b, const struct oid *commit, const char *branch,
	struct error *e);

#endif
