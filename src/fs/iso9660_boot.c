/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: the El Torito boot catalog, told as findings (notes): what a
 * firmware would start is part of no file's metadata, and often no file. */
#include "fs/iso9660.h"

#include <inttypes.h>
#include "base/checked.h"

#define ENTRY 32
/* One block of the catalog: more entries than any writer makes. */
#define ENTRIES (ISO_SECTOR / ENTRY)

static const char *platform(uint8_t id)
{
	switch (id) {
	case 0: return "x86 BIOS";
	case 1: return "PowerPC";
	case 2: return "Mac";
	case 0xef: return "UEFI";
	default: return "unknown platform";
	}
}

static const char *emulation(uint8_t media)
{
	static const char *const names[] = { "no emulation", "1.2 MB floppy",
		"1.44 MB floppy", "2.88 MB floppy", "hard disk" };

	return (media & 15) < ARRAY_LEN(names) ? names[media & 15]
					       : "unknown emulation";
}

void iso_boot_report(struct source *src, const struct finding_sink *findings,
	uint64_t catalog_lba)
{
	uint64_t off = catalog_lba * ISO_SECTOR;
	uint8_t b[ISO_SECTOR], plat;
	uint16_t sum = 0;
	bool last = false;

	if (!range_inside(off, sizeof(b), src->size) ||
		source_pread(src, b, sizeof(b), off, NULL)) {
		finding_report(findings, FINDING_FS_DAMAGED, off, NULL,
			"iso9660: the boot catalog cannot be read");
		return;
	}
	for (int i = 0; i < ENTRY; i += 2)
		sum = (uint16_t)(sum + get_le16(b + i));
	if (b[0] != 1 || get_le16(b + 30) != 0xaa55 || sum) {
		finding_report(findings, FINDING_FS_DAMAGED, off, NULL,
			"iso9660: the boot catalog's first entry is damaged");
		return;
	}
	plat = b[1];
	for (unsigned i = 1; i < ENTRIES; i++) {
		const uint8_t *p = b + (size_t)i * ENTRY;

		if (p[0] == 0x90 || p[0] == 0x91) { /* section header */
			if (last)
				return;
			plat = p[1];
			last = p[0] == 0x91;
			continue;
		}
		if (p[0] == 0x44) /* extension of an entry */
			continue;
		if (p[0] != 0x88 && (p[0] != 0 || !get_le32(p + 8)))
			return;
		finding_report(findings, FINDING_BOOT_ENTRY,
			off + (uint64_t)i * ENTRY, NULL,
			"El Torito: %s, %s, %sbootable, %u sectors of 512 "
			"bytes at byte %" PRIu64,
			platform(plat), emulation(p[1]),
			p[0] == 0x88 ? "" : "not ", get_le16(p + 6),
			(uint64_t)get_le32(p + 8) * ISO_SECTOR);
	}
}
