/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a container may name: only those that the user allowed. This is
 * the one place where a name found inside an image can lead to an open. */
#ifndef STRATA_DISK_RESOLVE_H
#define STRATA_DISK_RESOLVE_H

#include "disk/disk.h"

struct disk_allow {
	const char *image; /* path of the image that names others; borrowed */
	/* What the user allowed: files, or folders with all that is below
	 * (through no symbolic link). Borrowed. */
	const char *const *paths;
	size_t n;
	const struct finding_sink *findings; /* borrowed; or NULL */
	unsigned depth; /* how many images named each other; start with 0 */
	uint64_t *bytes; /* the sizes of what was opened are added; or NULL */
};

/* The function for struct disk_resolver, with a struct disk_allow as ctx. A
 * name is relative to the image's folder, as in qemu; "file:" before it is cut
 * off; names with another protocol ("json:", "nbd:", "http:") are refused.
 * A name that is not allowed is not looked at, on the host, in any way.
 * A parent (purpose "parent": what is known by an id) that is named by an
 * absolute path, of Windows too, may stand beside the image instead.
 * format "" (not recorded) is told by content, which is safe here in so far
 * as that file, too, only gets what is allowed. What it opens may name
 * further files, up to LIMIT_BACKING_DEPTH. UNSUPPORTED (not allowed), LIMIT,
 * NOTFOUND, and all that opening gives. */
int disk_allow_open(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e);

#endif
