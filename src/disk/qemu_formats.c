/* SPDX-License-Identifier: Apache-2.0 */
/* The formats that go through qemu: told by their own magic, refused where
 * they name another file, since qemu is to open nothing but the image. */
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/endian.h"
#include "base/limits.h"
#include "disk/qemu.h"
#include "disk/table.h"

static bool at(struct source *file, uint64_t off, const char *magic, size_t n)
{
	char b[64];

	return n <= sizeof(b) && !source_pread(file, b, n, off, NULL) &&
	       !memcmp(b, magic, n);
}

static int open_as(const struct disk_open_args *a, const char *driver,
	const char *detail, struct source **out, struct disk_info *info,
	struct error *e)
{
	if (a->snapshot)
		return error_set(e, ERR_NOTFOUND,
			"snapshot '%s': not read from %s images", a->snapshot,
			driver);
	snprintf(info->format, sizeof(info->format), "%s", driver);
	snprintf(info->detail, sizeof(info->detail), "%s, through qemu",
		detail);
	return qemu_open(a->file, driver, out, e);
}

/* The same for a format that stores clusters as they are, and whose holes qemu
 * tells: a table that names the same cluster everywhere is no reason to read
 * without end. */
static int open_plain(const struct disk_open_args *a, const char *driver,
	const char *detail, struct source **out, struct disk_info *info,
	struct error *e)
{
	AUTO_SOURCE disk = NULL;
	uint64_t max;
	int r = open_as(a, driver, detail, &disk, info, e);

	if (r)
		return r;
	if (!u64_mul(a->file->size, LIMIT_PLAIN_FACTOR, &max))
		max = UINT64_MAX;
	return source_budget(disk, u64_max(max, LIMIT_PLAIN_FREE), out, e);
}

static int has_backing(const char *what, struct error *e)
{
	return error_set(e, ERR_UNSUPPORTED,
		"%s: the image has a backing file, which is not read for this "
		"format; flatten it with qemu-img convert",
		what);
}

/* --- QED (docs/interop/qed_spec.txt) --- */

static enum disk_verdict qed_probe(struct source *file)
{
	return at(file, 0, "QED\0", 4) ? DISK_YES : DISK_NO;
}

static int qed_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	uint8_t h[64];
	uint64_t features;
	int r = source_pread(a->file, h, sizeof(h), 0, e);

	if (r)
		return error_at(e, ERR_CORRUPT, 0, "qed: the header is cut off");
	features = get_le64(h + 16);
	if (features & ~UINT64_C(7))
		return error_at(e, ERR_UNSUPPORTED, 16,
			"qed: unknown features 0x%llx",
			(unsigned long long)features);
	if (features & 1)
		return has_backing("qed", e);
	if (features & 2)
		finding_report(a->findings, FINDING_DISK_DIRTY, 16,
			"need check bit", "the image was not closed");
	return open_plain(a, "qed", "QEMU enhanced disk", out, info, e);
}

/* --- qcow, version 1 --- */

static enum disk_verdict qcow_probe(struct source *file)
{
	return at(file, 0, "QFI\xfb\0\0\0\1", 8) ? DISK_YES : DISK_NO;
}

static int qcow_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	uint8_t h[48];

	if (source_pread(a->file, h, sizeof(h), 0, e))
		return error_at(e, ERR_CORRUPT, 0,
			"qcow: the header is cut off");
	if (get_be64(h + 8))
		return has_backing("qcow", e);
	if (get_be32(h + 36))
		return error_at(e, ERR_UNSUPPORTED, 36,
			"qcow: the image is encrypted; decrypt it first, with "
			"qemu-img convert");
	return open_as(a, "qcow", "version 1", out, info, e);
}

/* --- Parallels --- */

static enum disk_verdict parallels_probe(struct source *file)
{
	return at(file, 0, "WithoutFreeSpace\2\0\0\0", 20) ||
			       at(file, 0, "WithouFreSpacExt\2\0\0\0", 20)
		       ? DISK_YES
		       : DISK_NO;
}

static int parallels_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	return open_plain(a, "parallels", "version 2", out, info, e);
}

/* --- cloop --- */

static enum disk_verdict cloop_probe(struct source *file)
{
	return at(file, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 37)
		       ? DISK_YES
		       : DISK_NO;
}

static int cloop_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	return open_as(a, "cloop", "version 2", out, info, e);
}

/* --- Bochs --- */

static enum disk_verdict bochs_probe(struct source *file)
{
	return at(file, 0, "Bochs Virtual HD Image", 23) &&
			       at(file, 32, "Redolog", 8) &&
			       at(file, 48, "Growing", 8)
		       ? DISK_YES
		       : DISK_NO;
}

static int bochs_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	return open_as(a, "bochs", "growing", out, info, e);
}

#define ROW(format)                                                            \
	const struct disk_ops disk_##format = { .name = #format,               \
		.probe = format##_probe,                                       \
		.open = format##_open }
ROW(qed);
ROW(qcow);
ROW(parallels);
ROW(cloop);
ROW(bochs);
