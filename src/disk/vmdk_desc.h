/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK descriptors: the text that says what a disk is made of. */
#ifndef STRATA_DISK_VMDK_DESC_H
#define STRATA_DISK_VMDK_DESC_H

#include "base/error.h"
#include "base/vec.h"

#define VMDK_NO_CID 0xffffffffu

enum vmdk_extent_type {
	VMDK_FLAT,   /* FLAT, VMFS */
	VMDK_SPARSE, /* SPARSE, VMFSSPARSE, SESPARSE: told by the file itself */
	VMDK_ZERO,
};

struct vmdk_extent {
	enum vmdk_extent_type type;
	uint64_t sectors;
	uint64_t offset; /* in sectors, of FLAT in its file */
	const char *name; /* borrowed from the descriptor; "" for ZERO */
};

struct vmdk_desc {
	uint32_t cid, parent_cid; /* VMDK_NO_CID: none */
	const char *create_type;  /* borrowed from text; "" if not there */
	const char *parent_hint;
	VEC(struct vmdk_extent) extents;
	char *text; /* owned; cut into strings */
};

/* Parses len bytes (at most LIMIT_VMDK_DESC). Lines that are not known are
 * skipped. CORRUPT (the message names the line), UNSUPPORTED (an extent of a
 * kind that is not read: raw device mappings), LIMIT, NOMEM. */
int vmdk_desc_parse(const uint8_t *text, size_t len, struct vmdk_desc *out,
	struct error *e);
void vmdk_desc_release(struct vmdk_desc *d);

#endif
