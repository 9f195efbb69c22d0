/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table of disk containers, one per format's file. */
#ifndef STRATA_DISK_TABLE_H
#define STRATA_DISK_TABLE_H

#include "disk/disk.h"

extern const struct disk_ops disk_qcow2;
/* Through qemu. */
extern const struct disk_ops disk_qed, disk_qcow, disk_parallels,
	disk_cloop, disk_bochs;
/* What is known by its magic, and refused. */
extern const struct disk_ops disk_foreign;
extern const struct disk_ops disk_raw;

#endif
