/* SPDX-License-Identifier: Apache-2.0 */
/* The table of file-system readers. */
#include "fs/fs.h"

#include <inttypes.h>
#include <string.h>
#include "fs/table.h"

const struct fs_ops *const fs_table[] = {
	&fs_xfs,
	&fs_ext,
	&fs_ntfs,
	/* before ISO 9660: a volume that is both is this one's to decide */
	&fs_udf,
	&fs_iso9660,
	&fs_squashfs,
	&fs_erofs,
	&fs_kinds,
	/* last: a stale copy of its superblock may lie inside another's */
	&fs_btrfs,
	&fs_exfat,
	&fs_fat,
	/* what is in place on a member of a mirror comes first */
	&fs_kinds_raid,
	NULL,
};

int fs_outside(struct error *e, size_t len, uint64_t off, uint64_t size)
{
	return error_at(e, ERR_RANGE, off,
		"read of %zu bytes at %" PRIu64 " of a file of %" PRIu64, len,
		off, size);
}

enum fs_verdict fs_probe(struct source *src, const struct fs_ops **out_ops,
	struct fs_info *out_info, struct error *e)
{
	enum fs_verdict best = FS_NO;

	for (size_t i = 0; fs_table[i]; i++) {
		struct fs_info info;
		struct error err = { 0 };
		enum fs_verdict v;

		memset(&info, 0, sizeof(info));
		info.devices = 1;
		v = fs_table[i]->probe(src, &info, &err);
		if (v == FS_NO || (v == FS_UNSURE && best == FS_UNSURE))
			continue;
		*out_ops = fs_table[i];
		*out_info = info;
		if (e)
			*e = err;
		if (v == FS_YES)
			return FS_YES;
		best = v;
	}
	return best;
}
