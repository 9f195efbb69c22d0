/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the mount, for FUSE's low-level interface. */
#ifndef STRATA_SERVE_MOUNT_FUSE_H
#define STRATA_SERVE_MOUNT_FUSE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

/* The session's user data is a struct nodes *. */
extern const struct fuse_lowlevel_ops mount_fuse_ops;

#endif
