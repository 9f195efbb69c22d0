/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual Hard Disk images (VPC). */
#ifndef STRATA_DISK_VHD_H
#define STRATA_DISK_VHD_H

#include "disk/disk.h"

extern const struct disk_ops disk_vhd;
/* "vhd-fixed": the same reader, another writer. */
extern const struct disk_ops disk_vhd_fixed;
extern const struct disk_writer vhd_writer, vhd_fixed_writer;

#endif
