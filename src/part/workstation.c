/* SPDX-License-Identifier: Apache-2.0 */
/* Sun's disk label (SPARC) and SGI's volume header (IRIX): one sector with a
 * checksum, numbers big-endian, partitions counted from 1 as Linux does. The
 * entry for the whole disk is a container: the others are in it.
 * Sources: Linux block/partitions/sun.c and sgi.c. */
#include <inttypes.h>
#include <stdio.h>
#include "base/checked.h"
#include "base/endian.h"
#include "part/part_private.h"

#define SECTOR 512

#define SUN_PARTS 8
#define SUN_VTOC 128  /* version, name, count, then tag and flag of each */
#define SUN_TAGS 142
#define SUN_SANITY 188
#define SUN_HEADS 436
#define SUN_SECTORS 438
#define SUN_ENTRIES 444
#define SUN_MAGIC 508
#define SUN_TAG_WHOLE 5

int sun_read(struct part_reader *r, bool *out_found)
{
	const uint8_t *s = r->first;
	uint32_t cylinder = (uint32_t)get_be16(s + SUN_HEADS) *
			    get_be16(s + SUN_SECTORS);
	uint32_t count = get_be16(s + 140);
	uint16_t sum = 0;
	bool vtoc;

	*out_found = false;
	if (get_be16(s + SUN_MAGIC) != 0xdabe)
		return 0;
	for (int i = 0; i < SECTOR; i += 2)
		sum ^= get_be16(s + i);
	if (sum) {
		finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
			SUN_MAGIC + 2, NULL,
			"the checksum of a Sun disk label is wrong");
		return 0;
	}
	*out_found = true;
	r->out->scheme = PART_SUN;
	r->out->sector_size = SECTOR;
	/* Labels of before the table of tags have zeros in its place. */
	vtoc = get_be32(s + SUN_SANITY) == 0x600ddeee &&
	       get_be32(s + SUN_VTOC) == 1 && count <= SUN_PARTS;
	if (!vtoc || !count)
		count = SUN_PARTS;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *x = s + SUN_ENTRIES + 8 * i;
		struct partition p = { .number = i + 1 };
		uint16_t tag = vtoc ? get_be16(s + SUN_TAGS + 4 * i) : 0;
		int rc;

		if (!get_be32(x + 4))
			continue;
		snprintf(p.type, sizeof(p.type), "0x%02x", tag);
		p.is_container = tag == SUN_TAG_WHOLE;
		if (vtoc)
			p.attributes = get_be16(s + SUN_TAGS + 4 * i + 2);
		/* a cylinder number and its size fit in 64 bits */
		rc = part_add(r, &p, (uint64_t)get_be32(x) * cylinder,
			get_be32(x + 4), SECTOR, SUN_ENTRIES + 8 * i);
		if (rc)
			return rc;
	}
	return 0;
}

#define SGI_MAGIC 0x0be5a941
#define SGI_ENTRIES 312
#define SGI_PARTS 16
#define SGI_TYPE_WHOLE 6

int sgi_read(struct part_reader *r, bool *out_found)
{
	const uint8_t *s = r->first;
	uint32_t sum = 0;

	*out_found = false;
	if (get_be32(s) != SGI_MAGIC)
		return 0;
	for (int i = 0; i < SECTOR; i += 4)
		sum += get_be32(s + i);
	if (sum) {
		finding_report(r->findings, FINDING_PART_TABLE_DAMAGED, 504,
			NULL, "the checksum of an SGI volume header is wrong");
		return 0;
	}
	*out_found = true;
	r->out->scheme = PART_SGI;
	r->out->sector_size = SECTOR;
	for (uint32_t i = 0; i < SGI_PARTS; i++) {
		const uint8_t *x = s + SGI_ENTRIES + 12 * i;
		uint32_t blocks = get_be32(x), type = get_be32(x + 8);
		struct partition p = { .number = i + 1 };
		int rc;

		if (!blocks)
			continue;
		snprintf(p.type, sizeof(p.type), "0x%02" PRIx32, type);
		p.is_container = type == SGI_TYPE_WHOLE;
		rc = part_add(r, &p, get_be32(x + 4), blocks, SECTOR,
			SGI_ENTRIES + 12 * i);
		if (rc)
			return rc;
	}
	return 0;
}
