/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the view: which volume is the root, and what is mounted where. */
#ifndef STRATA_VIEW_MOUNTS_H
#define STRATA_VIEW_MOUNTS_H

#include "view/files.h"

/* Sets up v->mounts for the merged view of the volumes that begin on disk (-1:
 * of all). */
int view_mount_all(struct view_files *v, int disk, struct error *e);
/* The volume that Windows calls C: the one that it is installed on. NOTFOUND
 * where there is none. */
int view_mount_windows(struct view_files *v, int disk, struct error *e);
/* Makes the part prefix of a volume the mount at path; NOTFOUND where there is
 * no such folder. With replace_root it becomes mounts[0]. */
int view_mount_add(struct view_files *v, const char *path, size_t volume,
	const char *prefix, bool replace_root, struct error *e);
/* Mounts the partitions that are known by their type, beside the root, where
 * nothing is mounted yet; said: fstab has that path. */
int view_mount_discovered(struct view_files *v,
	bool (*said)(const void *ctx, const char *path), const void *ctx,
	struct error *e);
/* Is it a root by its partition's type? */
bool view_is_root_type(const struct image_volume *v);
/* Frees what a mount holds. */
void view_mount_drop(struct view_mount *m);
void view_mounts_clear(struct view_files *v);
/* Does the volume begin on this disk? */
bool view_on_disk(const struct image_volume *v, int disk);

void view_decoder_free(struct view_decoder *d);

#endif
