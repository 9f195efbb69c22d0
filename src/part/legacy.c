/* SPDX-License-Identifier: Apache-2.0 */
/* Apple partition maps (Inside Macintosh: Devices, chapter 3) and BSD labels
 * (FreeBSD sys/disklabel.h): recognised and listed. */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "part/part_private.h"

/* A fixed text field: until NUL or full; what is not printable becomes '?'. */
static void text(const uint8_t *in, size_t n, char *out, size_t size)
{
	size_t i = 0;

	for (; i < n && i + 1 < size && in[i]; i++)
		out[i] = in[i] >= ' ' && in[i] < 0x7f ? (char)in[i] : '?';
	out[i] = 0;
}

int apple_read(struct part_reader *r, bool *out_found)
{
	uint32_t size = get_be16(r->first + 2);
	uint32_t count = 1;
	int rc;

	*out_found = false;
	if (r->first[0] != 'E' || r->first[1] != 'R' || size < 512 ||
		size > 4096 || !is_pow2(size))
		return 0;
	for (uint32_t i = 1; i <= count; i++) {
		uint64_t at = (uint64_t)i * size;
		struct partition p = { .number = i };
		uint8_t b[512];

		if (!part_read(r, b, sizeof(b), at) || b[0] != 'P' ||
			b[1] != 'M') {
			if (i > 1)
				finding_report(r->findings,
					FINDING_PART_TABLE_DAMAGED, at, NULL,
					"no map entry %" PRIu32 " of %" PRIu32,
					i, count);
			break;
		}
		if (i == 1) {
			*out_found = true;
			r->out->scheme = PART_APPLE;
			r->out->sector_size = size;
			finding_report(r->findings, FINDING_PART_KIND, 0, NULL,
				"an Apple partition map");
			count = get_be32(b + 4);
			if (count > LIMIT_PARTITIONS) {
				finding_report(r->findings,
					FINDING_PART_TABLE_DAMAGED, at + 4,
					NULL, "%" PRIu32 " map entries", count);
				count = LIMIT_PARTITIONS;
			}
		}
		text(b + 16, 32, p.name, sizeof(p.name));
		text(b + 48, 32, p.type, sizeof(p.type));
		if (!strcmp(p.type, "Apple_Free") ||
			!strcmp(p.type, "Apple_Void") ||
			!strcmp(p.type, "Apple_Scratch"))
			continue;
		rc = part_add(r, &p, get_be32(b + 8), get_be32(b + 12), size,
			at);
		if (rc)
			return rc;
	}
	return 0;
}

#define BSD_MAGIC 0x82564557
#define BSD_MAX_PARTITIONS 22
#define BSD_HEADER 148

/* The label at off, into b. Its checksum is not asked: parted writes labels
 * whose checksum does not hold, and Linux does not look either. */
static bool bsd_label(struct part_reader *r, uint64_t off,
	uint8_t b[BSD_HEADER + 16 * BSD_MAX_PARTITIONS], uint16_t *out_n)
{
	uint16_t n;

	if (!range_inside(off, BSD_HEADER + 16 * BSD_MAX_PARTITIONS,
		    r->disk->size) ||
		!part_read(r, b, BSD_HEADER + 16 * BSD_MAX_PARTITIONS, off) ||
		get_le32(b) != BSD_MAGIC || get_le32(b + 132) != BSD_MAGIC)
		return false;
	n = get_le16(b + 138);
	if (!n || n > BSD_MAX_PARTITIONS)
		return false;
	*out_n = n;
	return true;
}

/* What is no partition: c, the whole of what is divided; an empty one; one that
 * is marked unused, where another is not. bsdlabel -w makes a single one, a, and
 * leaves it unused; newfs does not mind, and FreeBSD lists it. */
static bool bsd_skip(const uint8_t *b, unsigned i, uint16_t n)
{
	const uint8_t *x = b + BSD_HEADER + 16 * i;

	if (!get_le32(x) || x[12])
		return !get_le32(x);
	for (unsigned k = 0; k < n; k++)
		if (b[BSD_HEADER + 16 * k + 12])
			return true;
	return i == 2;
}

int bsd_read(struct part_reader *r, bool *out_found)
{
	uint8_t b[BSD_HEADER + 16 * BSD_MAX_PARTITIONS];
	uint64_t at = 512;
	uint32_t size;
	uint16_t n;
	int rc;

	*out_found = bsd_label(r, at, b, &n);
	if (!*out_found) {
		at = 64; /* alpha and others: in the first sector */
		*out_found = bsd_label(r, at, b, &n);
	}
	if (!*out_found)
		return 0;
	size = get_le32(b + 40);
	if (size < 512 || size > 4096 || !is_pow2(size))
		size = 512;
	r->out->scheme = PART_BSD;
	r->out->sector_size = size;
	finding_report(r->findings, FINDING_PART_KIND, at, NULL,
		"a BSD disk label");
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *x = b + BSD_HEADER + 16 * i;
		struct partition p = { .number = i + 1 };

		if (bsd_skip(b, i, n))
			continue;
		snprintf(p.type, sizeof(p.type), "bsd:%u", x[12]);
		p.name[0] = (char)('a' + i);
		rc = part_add(r, &p, get_le32(x + 4), get_le32(x), size,
			at + BSD_HEADER + 16 * i);
		if (rc)
			return rc;
	}
	return 0;
}

int bsd_read_nested(struct part_reader *r, uint8_t type, uint64_t first,
	uint64_t count, uint32_t sector_size, uint32_t *number)
{
	uint8_t b[BSD_HEADER + 16 * BSD_MAX_PARTITIONS];
	uint64_t at, base = 0;
	uint16_t n;

	if (!u64_mul(first, sector_size, &at) || !u64_add(at, 512, &at) ||
		!bsd_label(r, at, b, &n))
		return 0;
	/* FreeBSD counts from the start of its partition where c, the whole of
	 * it, is at 0; the others count from the start of the disk. */
	if (type == 0xa5 && n > 2 && !get_le32(b + BSD_HEADER + 2 * 16 + 4))
		base = first;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *x = b + BSD_HEADER + 16 * i;
		uint64_t len = get_le32(x), start = base + get_le32(x + 4);
		struct partition p = { .number = *number };
		int rc;

		if (bsd_skip(b, i, n) || (start == first && len == count))
			continue;
		if (start < first || !range_inside(start - first, len, count)) {
			finding_report(r->findings, FINDING_PART_ENTRY_BAD,
				at + BSD_HEADER + 16 * i, NULL,
				"partition %c of a BSD label is outside the "
				"partition that it divides; left out",
				'a' + (int)i);
			continue;
		}
		snprintf(p.type, sizeof(p.type), "bsd:%u", x[12]);
		p.name[0] = (char)('a' + i);
		rc = part_add(r, &p, start, len, sector_size,
			at + BSD_HEADER + 16 * i);
		if (rc)
			return rc;
		++*number;
	}
	return 0;
}
