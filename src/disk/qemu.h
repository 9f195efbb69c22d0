/* SPDX-License-Identifier: Apache-2.0 */
/* Formats that qemu's block layer reads for us, in a process of its own. */
#ifndef STRATA_DISK_QEMU_H
#define STRATA_DISK_QEMU_H

#include "os/source.h"

/* The virtual disk in file, which is of the format that qemu calls driver,
 * through qemu-nbd: with the format and the one file given, no backing file,
 * limits on memory, processor and files, and a socket that nobody else can
 * reach. The process ends with the source. The driver must be one that opens
 * no other file because of what stands in the image. UNSUPPORTED (built
 * without libnbd, no qemu-nbd), CORRUPT (qemu refuses it; its words follow),
 * NOMEM, IO. */
int qemu_open(struct source *file, const char *driver, struct source **out,
	struct error *e);

#endif
