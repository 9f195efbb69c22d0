/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as a qcow2 file that is made while it is read: nothing is written
 * anywhere. */
#ifndef STRATA_SERVE_QCOW2_IMAGE_H
#define STRATA_SERVE_QCOW2_IMAGE_H

#include "os/source.h"

/* The file's bytes as a source. Its size follows from the disk's alone: every
 * cluster of the disk has its place, those that are holes are not allocated,
 * and their places are zero extents. disk is shared. LIMIT where the disk is
 * over 2 PiB (the L1 table would be over qemu's limit). Thread-safe. */
int qcow2_image(struct source *disk, struct source **out, struct error *e);

#endif
