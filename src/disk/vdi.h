/* SPDX-License-Identifier: Apache-2.0 */
/* VirtualBox disk images. */
#ifndef STRATA_DISK_VDI_H
#define STRATA_DISK_VDI_H

#include "disk/disk.h"

extern const struct disk_ops disk_vdi;
extern const struct disk_writer vdi_writer;

#endif
