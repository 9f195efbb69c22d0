/* SPDX-License-Identifier: Apache-2.0 */
/* Exporting a whole machine: all disks of an image as one appliance. */
#ifndef STRATA_OPS_EXPORT_OVA_H
#define STRATA_OPS_EXPORT_OVA_H

#include "base/finding.h"
#include "library/library.h"
#include "ops/progress.h"
#include "os/sink.h"

struct export_ova_args {
	const struct image *image;
	int disk; /* only this one; -1: all */
	struct sink *out;
	const char *name; /* of the file: "web.ova" */
	const struct finding_sink *findings; /* or NULL */
	const struct progress *progress;
};

/* Where the commit kept an OVF of as many disks, that is what describes the
 * machine; where it kept one that does not fit a finding says so, and the
 * machine is a plain one. UNSUPPORTED (over 15 disks, a pipe), NOTFOUND,
 * DAMAGED, IO, NOMEM. */
int export_ova(struct library *l, const struct export_ova_args *a,
	struct error *e);

#endif
