/* SPDX-License-Identifier: Apache-2.0 */
/* VMware disks. */
#ifndef STRATA_DISK_VMDK_H
#define STRATA_DISK_VMDK_H

#include "disk/disk.h"

extern const struct disk_ops disk_vmdk;
/* "vmdk-stream": the same reader; the writer makes streamOptimized files. */
extern const struct disk_ops disk_vmdk_stream;
extern const struct disk_writer vmdk_writer, vmdk_stream_writer;

/* --- between vmdk*.c --- */

struct vmdk_sparse_info {
	uint64_t desc_offset, desc_size; /* of the embedded descriptor, bytes;
					  * size 0: none */
	bool elsewhere; /* only an embedded descriptor, no data of its own */
	char kind[24];  /* "sparse", "stream-optimized", "COWD", "seSparse" */
};

/* Is this the start of a sparse extent of any kind? */
bool vmdk_is_sparse(struct source *file);
/* A sparse extent as a source of its capacity; with delta what is not in it
 * comes from the parent (blockmap_set_parent). With info->elsewhere *out is
 * NULL. CORRUPT, UNSUPPORTED, LIMIT, NOMEM, IO. */
int vmdk_sparse_open(struct source *file, bool delta,
	const struct finding_sink *findings, struct source **out,
	struct vmdk_sparse_info *info, struct error *e);
/* Only what the header says. */
int vmdk_sparse_info(struct source *file, struct vmdk_sparse_info *info,
	struct error *e);

#endif
