/* SPDX-License-Identifier: Apache-2.0 */
/* Exporting: from a commit back to disk files. */
#ifndef STRATA_OPS_EXPORT_H
#define STRATA_OPS_EXPORT_H

#include "disk/disk.h"
#include "library/library.h"
#include "ops/progress.h"

struct export_args {
	const struct oid *commit;
	int disk;	       /* which one; -1: the only one, or for an
				* appliance all of them */
	const char *path;      /* file, or "-" for stdout */
	const char *branch;    /* that named the commit, or NULL: remembered */
	const char *format;    /* NULL: by the ending, else raw */
	bool compress;
	const char *compression;
	/* Set where the library could not note it: a commit of an overlay over
	 * the file will want to be told the base. May be NULL. */
	bool *out_unnoted;
	const struct finding_sink *findings; /* or NULL */
	bool forget; /* it is gone soon: not to be remembered as a base */
	bool sync; /* flush to the medium before the name appears */
	const struct progress *progress;
};

/* Writes one disk, or with format "ova" the whole machine (export_ova.h). The
 * file appears under its name when it is whole, and the library remembers a
 * disk (library/record.h) as the base of overlays. ARG
 * (unknown format, several disks and none named, cannot stream), NOTFOUND (no
 * such disk), DAMAGED, IO. */
int ops_export(struct library *l, const struct export_args *a,
	struct error *e);

/* The disk that want (-1: the only one) says. ARG, NOTFOUND. */
int export_choose_disk(const struct image *im, int want,
	const struct image_disk **out, struct error *e);

#endif
