/* SPDX-License-Identifier: Apache-2.0 */
/* Apple disk images (UDIF). Apple documents none of it; as qemu's block/dmg.c
 * and images by hdiutil show, the file is
 *
 *	packed runs of the disk | XML property list | trailer of 512 bytes
 *
 * and the list holds, as base64 in <data> of the array "blkx", a table of runs
 * for each partition. */
#ifndef STRATA_DISK_DMG_H
#define STRATA_DISK_DMG_H

#include "base/buf.h"
#include "disk/disk.h"

extern const struct disk_ops disk_dmg;

/* --- between dmg*.c --- */

/* Calls fn with each table of the property list in the window. CORRUPT, LIMIT,
 * NOMEM, IO, and what fn returns. */
int dmg_plist(struct source *xml,
	int (*fn)(void *ctx, const struct buf *table, struct error *e),
	void *ctx, struct error *e);

#endif
