/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the mount, for FUSE's low-level interface. */
#ifndef STRATA_SERVE_MOUNT_FUSE_H
#define STRATA_SERVE_MOUNT_FUSE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include "serve/nodes.h"

/* The session's user data is a struct nodes *. */
extern const struct fuse_lowlevel_ops mount_fuse_ops;

/* Listings under way of folders that the kernel does not open: it asks for the
 * next part by the folder and a cookie. A bounded number is kept; one that was
 * dropped is begun anew. NULL: no memory. */
struct listings *listings_new(void);
void listings_free(struct nodes *t, struct listings *l);

#endif
