/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that are known by their magic and not read: to take one for a
 * raw disk would store it and show nothing of what is in it. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/compiler.h"
#include "base/limits.h"
#include "disk/table.h"

#define M(s) s, sizeof(s) - 1

/* All at the first byte; four bytes are the least that is taken for a magic. */
static const struct kind {
	const char *magic;
	size_t len;
	const char *what, *advice;
} all[] = {
	{ M("EVF\x09\x0d\x0a\xff\0"), "an EWF image (E01)",
		"make a raw image of it, with ewfexport" },
	{ M("EVF2\x0d\x0a\x81\0"), "an EWF image (Ex01)",
		"make a raw image of it, with ewfexport" },
	{ M("LVF\x09\x0d\x0a\xff\0"), "a logical EWF image (L01)",
		"it holds files, no disk" },
	{ M("AFF10\r\n\0"), "an AFF image", "make a raw image of it, with "
		"affconvert -r" },
	{ M("VMA\0"), "a backup of Proxmox VE (VMA)", "unpack it, with vma "
		"extract" },
	{ M("7z\xbc\xaf\x27\x1c"), "a 7-Zip archive", "unpack it first" },
	{ M("Rar!\x1a\x07"), "a RAR archive", "unpack it first" },
	{ M("MSWIM\0\0\0"), "a Windows imaging file (WIM)",
		"it holds files, no disk" },
	{ M("\x3a\xff\x26\xed\1\0"), "a sparse image of Android",
		"make a raw image of it, with simg2img" },
	{ M("partclone-image"), "an image of partclone", "restore it, with "
		"partclone.restore" },
	{ M("\0ntfsclone-image"), "an image of ntfsclone", "restore it, with "
		"ntfsclone --restore-image" },
	{ M("\xce\x24\xb9\xa2\x20\0\0\0"), "an Acronis backup",
		"convert it with Acronis's own tools" },
	{ M("IsZ!"), "an ISZ image", "unpack it first" },
	{ M("DAA\0\0\0\0\0"), "a DAA image", "unpack it first" },
	{ M("CISO\0\0\x20\0"), "a CISO image", "unpack it first" },
	{ M("encrcdsa"), "an encrypted DMG", "decrypt it, with hdiutil "
		"convert" },
	{ M("sprs\0\0\0\3"), "a sparse image of macOS",
		"convert it, with hdiutil convert" },
	{ M("XFSM"), "a dump of XFS's metadata (xfs_metadump)",
		"restore it, with xfs_mdrestore" },
	{ M("XMD2"), "a dump of XFS's metadata (xfs_metadump)",
		"restore it, with xfs_mdrestore" },
	{ M("\x10\xb7\x2b\x7f""Ext2 Image "), "an image of e2image",
		"make a raw image of it, with e2image -r" },
	{ M("PaRtImAgE-VoLuMe"), "an image of partimage", "restore it, with "
		"partimage" },
	{ M("FsA0"), "an archive of fsarchiver",
		"restore it, with fsarchiver restfs" },
	{ M("\x89LZO\0\x0d\x0a\x1a\x0a"), "an lzop file", "unpack it first" },
	{ M("LRZI\0"), "an lrzip file", "unpack it first" },
	/* ECMA-130, 14: what each sector begins with */
	{ M("\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"),
		"an image of a CD's raw sectors (2352 bytes each)",
		"make an ISO image of it, with bchunk or iat" },
	{ M("btrfs-stream\0"), "a stream of btrfs send",
		"receive it into a file system" },
	{ M("\x02\x21\x4c\x18"), "a legacy lz4 file", "unpack it first" },
	{ M("Bochs Virtual HD Image\0"), "a Bochs image of a kind other than "
		"\"growing\"", "commit it to its base, with bximage" },
};

/* Text that describes a machine or a disk, somewhere near its start. */
static const struct kind texts[] = {
	{ M("<Parallels_disk_image"), "the description of a Parallels disk",
		"name the .hds file beside it" },
	{ M("<VirtualBox "), "the description of a VirtualBox machine",
		"name its disks" },
	{ M("<domain "), "the description of a libvirt machine",
		"name its disks" },
	{ M("virtualHW.version"), "the description of a VMware machine (VMX)",
		"name its disks" },
};

#define TEXT_MAX (1 * MIB)
#define TEXT_START (16 * KIB)

static const struct kind *find_text(struct source *file)
{
	AUTO_FREE char *b = NULL;
	size_t n = (size_t)u64_min(TEXT_START, file->size);

	if (file->size > TEXT_MAX || !(b = calloc(1, n + 1)) ||
		source_pread(file, b, n, 0, NULL) || memchr(b, 0, n))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strstr(b, texts[i].magic))
			return &texts[i];
	return NULL;
}

static const struct kind *find(struct source *file)
{
	char b[64];
	size_t n = (size_t)u64_min(sizeof(b), file->size);

	if (source_pread(file, b, n, 0, NULL))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (n >= all[i].len && !memcmp(b, all[i].magic, all[i].len))
			return &all[i];
	return find_text(file);
}

static enum disk_verdict foreign_probe(struct source *file)
{
	return find(file) ? DISK_YES : DISK_NO;
}

static int foreign_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	const struct kind *k = find(args->file);

	(void)out;
	(void)info;
	return k ? error_set(e, ERR_UNSUPPORTED,
			   "the file is %s, which is not read; %s (or, if it "
			   "is the disk itself, name --format raw)",
			   k->what, k->advice)
		 : error_set(e, ERR_CORRUPT, "no format that is known");
}

const struct disk_ops disk_foreign = {
	.name = "not-read",
	.probe = foreign_probe,
	.open = foreign_open,
};
