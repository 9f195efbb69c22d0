/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed files around a disk image: gzip, xz, zstd, bzip2, lz4, lzma, lzip,
 * and a zip or tar with one disk in it. What is packed goes to a temporary file
 * without a name before the format is probed. */
#ifndef STRATA_DISK_WRAP_H
#define STRATA_DISK_WRAP_H

#include "base/finding.h"
#include "os/source.h"

struct wrap_args {
	struct source *file;                 /* borrowed */
	const struct finding_sink *findings; /* borrowed; or NULL */
	/* Bytes that may come out; 0: LIMIT_UNWRAP_FREE, or the file's size
	 * times LIMIT_UNWRAP_FACTOR where that is more. */
	uint64_t max;
	/* Of these, bytes in blocks that are not all zeros; 0: by
	 * LIMIT_UNWRAP_DATA_FREE and LIMIT_UNWRAP_DATA_FACTOR. */
	uint64_t max_data;
	/* Bytes of the file done; non-zero cancels. May be NULL. */
	int (*progress)(void *ctx, uint64_t done);
	void *progress_ctx;
};

struct wrap_info {
	char kinds[64];  /* "" = not wrapped, "gzip", "zip gzip": outer first */
	char name[256];  /* of the member of an archive, for messages; else "" */
};

/* What it is by its first bytes: "gzip", "xz", "zstd", "bzip2", "lz4", "lzma",
 * "lzip", "zip", "tar", or NULL. A tar with an OVF in it is an appliance, none
 * of these. */
const char *wrap_probe(struct source *file);

/* Takes all wrappers off, at most LIMIT_UNWRAP_DEPTH; the limits hold for each,
 * by the size of the outermost. A file that has none
 * comes back itself (a new reference). Holes are kept: blocks of zeros take
 * no room. CORRUPT (bad data, wrong checksum, cut off), LIMIT (a bomb, too much
 * memory, too deep), UNSUPPORTED (an archive with several disks, or a password),
 * CANCELLED, NOMEM, IO. */
int wrap_unwrap(const struct wrap_args *args, struct source **out,
	struct wrap_info *info, struct error *e);

#endif
