/* SPDX-License-Identifier: Apache-2.0 */
/* The description of a machine out of an appliance that was imported, for one
 * that is written: hardware, networks, products, the sections of vendors stay
 * as they were, byte for byte; the files and the disks are replaced. */
#ifndef STRATA_DISK_OVA_KEEP_H
#define STRATA_DISK_OVA_KEEP_H

#include <stdint.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

struct ovf_keep;

/* text: an OVF, copied. ndisks: how many disks will be written; they are taken
 * to be the OVF's, in its order. UNSUPPORTED where the OVF describes another
 * number of disks or is not in UTF-8, CORRUPT (no OVF), LIMIT, NOMEM. */
int ovf_keep_new(const char *text, size_t len, size_t ndisks,
	struct ovf_keep **out, struct error *e);
void ovf_keep_free(struct ovf_keep *k); /* NULL is fine */
DEFINE_CLEANUP_PTR(ovf_keep, struct ovf_keep, ovf_keep_free)
#define AUTO_OVF_KEEP CLEANUP(cleanup_ovf_keep) struct ovf_keep *

/* Appends the OVF whose disk i is the file "NAME-disk<i + 1>.vmdk". What named
 * other files of the old appliance (an ISO image, NVRAM) is left out, since
 * these are not kept. name needs no escapes. */
void ovf_keep_text(const struct ovf_keep *k, const char *name,
	const uint64_t *capacities, const uint64_t *file_sizes, struct buf *b);

/* The value of an attribute or the text of an element, with escapes. */
void ovf_escape(struct buf *b, const char *s);

#define OVF_FORMAT_STREAM \
	"http://www.vmware.com/interfaces/specifications/" \
	"vmdk.html#streamOptimized"

#endif
