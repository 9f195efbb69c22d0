/* SPDX-License-Identifier: Apache-2.0 */
/* A gzip-compressed file of an appliance, unpacked. */
#ifndef STRATA_DISK_OVA_GZIP_H
#define STRATA_DISK_OVA_GZIP_H

#include "os/source.h"

/* Unpacks to an unnamed temporary file ($TMPDIR, else /var/tmp), blocks of
 * zeros as holes. capacity: what the disk may hold (0: unknown). LIMIT where
 * far more comes out than that, or than 200 times what goes in; CORRUPT. */
int ova_gunzip(struct source *packed, const char *name, uint64_t capacity,
	struct source **out, struct error *e);

#endif
