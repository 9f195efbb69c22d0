/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table of file-system readers, one per reader's file. */
#ifndef STRATA_FS_TABLE_H
#define STRATA_FS_TABLE_H

#include "fs/fs.h"

extern const struct fs_ops fs_ext;
extern const struct fs_ops fs_btrfs;
extern const struct fs_ops fs_xfs;
extern const struct fs_ops fs_kinds;
extern const struct fs_ops fs_kinds_raid;
extern const struct fs_ops fs_ntfs;
extern const struct fs_ops fs_exfat;
extern const struct fs_ops fs_fat;
extern const struct fs_ops fs_erofs;
extern const struct fs_ops fs_iso9660;
extern const struct fs_ops fs_squashfs;
extern const struct fs_ops fs_udf;

#endif
