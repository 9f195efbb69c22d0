/* SPDX-License-Identifier: Apache-2.0 */
/* Which member of an archive is the disk: the only one, or the only one that
 * is named like a disk image. */
#ifndef STRATA_DISK_WRAP_PICK_H
#define STRATA_DISK_WRAP_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/finding.h"

struct wrap_pick {
	char name[256];  /* of the choice, printable */
	char other[256]; /* of one that would do as well */
	unsigned images, others;
};

/* A member, in any order; name is bytes. True: it is the choice now, in place
 * of any before. Folders, empty files and what macOS keeps beside each file
 * are none. */
bool wrap_pick_offer(struct wrap_pick *p, const uint8_t *name, size_t len,
	uint64_t size);

/* After all: UNSUPPORTED where there are several disks, or none that is named
 * like one among several files; CORRUPT where there are no files. Others that
 * were passed over are a finding. kind: "zip", "tar". */
int wrap_pick_end(const struct wrap_pick *p, const char *kind,
	const struct finding_sink *findings, struct error *e);

/* Is it the name of a disk image, compressed or not? */
bool wrap_is_image_name(const uint8_t *name, size_t len);

#endif
