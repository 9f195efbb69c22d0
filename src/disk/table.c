/* SPDX-License-Identifier: Apache-2.0 */
/* The table of disk containers. */
#include "disk/disk.h"

#include <string.h>
#include <strings.h>
#include "disk/dmg.h"
#include "disk/ova.h"
#include "disk/table.h"
#include "disk/vdi.h"
#include "disk/vhd.h"
#include "disk/vhdx.h"
#include "disk/vmdk.h"

/* Formats whose magic stands at a fixed place come first, then those that are
 * told by a footer, then raw. */
const struct disk_ops *const disk_table[] = {
	&disk_qcow2,
	&disk_qed,
	&disk_qcow,
	&disk_parallels,
	&disk_cloop,
	&disk_bochs,
	&disk_vmdk,
	&disk_vmdk_stream,
	&disk_vdi,
	&disk_ova,
	&disk_vhdx,
	&disk_vhd,
	&disk_vhd_fixed,
	&disk_dmg,
	&disk_foreign,
	&disk_raw,
	NULL,
};

const struct disk_ops *disk_by_name(const char *name)
{
	for (size_t i = 0; disk_table[i]; i++)
		if (!strcmp(disk_table[i]->name, name))
			return disk_table[i];
	return NULL;
}

const struct disk_ops *disk_by_suffix(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; disk_table[i]; i++) {
		const char *const *s = disk_table[i]->suffixes;

		for (; disk_table[i]->writer && s && *s; s++) {
			size_t n = strlen(*s);

			if (len > n && !strcasecmp(path + len - n, *s))
				return disk_table[i];
		}
	}
	return NULL;
}

const struct disk_ops *disk_probe(struct source *file)
{
	for (size_t i = 0; disk_table[i]; i++)
		if (disk_table[i]->probe &&
			disk_table[i]->probe(file) == DISK_YES)
			return disk_table[i];
	return &disk_raw;
}
