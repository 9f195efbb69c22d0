/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: recognised and named, kept as blocks.
 * Sources: ECMA-167 (3rd edition) parts 2 and 3; OSTA UDF 2.60, 2.1 and 2.2. */
#include "fs/kinds.h"

#include <ctype.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fs/label.h"

#define VRS 32768
#define VRS_SECTORS 64
/* Descriptors of the main sequence looked at; real ones have about six. */
#define DESCRIPTORS 32

enum { TAG_PRIMARY = 1, TAG_ANCHOR = 2, TAG_LOGICAL = 6, TAG_END = 8 };

bool kind_udf_vrs(struct source *src)
{
	uint8_t b[6];
	uint64_t step = 2048;

	for (int i = 0; i < VRS_SECTORS; i++) {
		uint64_t off = VRS + (uint64_t)i * step;

		if (!range_inside(off, sizeof(b), src->size) ||
			source_pread(src, b, sizeof(b), off, NULL))
			return false;
		if (!memcmp(b + 1, "NSR02", 5) || !memcmp(b + 1, "NSR03", 5))
			return true;
		if (memcmp(b + 1, "BEA01", 5) && memcmp(b + 1, "BOOT2", 5) &&
			memcmp(b + 1, "CD001", 5) && memcmp(b + 1, "CDW02", 5) &&
			memcmp(b + 1, "TEA01", 5)) {
			/* a disk with blocks of 4096 bytes leaves gaps */
			if (i != 1 || step != 2048)
				return false;
			step = 4096;
			i = 0;
		}
	}
	return false;
}

/* A dstring: the last byte is its length, the first how it is encoded. */
static void dstring(const uint8_t *b, size_t size, char *out, size_t max)
{
	size_t n = size_min(b[size - 1], size - 1), len = 0;

	*out = 0;
	if (n < 1)
		return;
	if (b[0] == 16 || b[0] == 255) {
		fs_label_utf16(b + 1, (n - 1) / 2, true, out, max);
		return;
	}
	for (size_t i = 1; i < n && b[i] && max - len > 4; i++)
		len += utf8_put((uint8_t *)out + len, b[i]);
	out[len] = 0;
	fs_label_trim(out);
}

/* As blkid makes it: the first 16 characters of the volume set's name, those
 * that are not hexadecimal digits as their numbers. */
static void udf_uuid(const char *set, char out[40])
{
	const uint8_t *s = (const uint8_t *)set;
	size_t hex = 0;

	if (strlen(set) < 8)
		return;
	while (hex < 16 && isxdigit(s[hex]))
		hex++;
	if (hex >= 16)
		snprintf(out, 40, "%.16s", set);
	else if (hex >= 8)
		snprintf(out, 40, "%.8s%02x%02x%02x%02x", set, s[8],
			s[8] ? s[9] : 0, s[8] && s[9] ? s[10] : 0,
			s[8] && s[9] && s[10] ? s[11] : 0);
	else
		snprintf(out, 40, "%02x%02x%02x%02x%02x%02x%02x%02x", s[0],
			s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
	for (char *p = out; *p; p++)
		*p = (char)tolower((uint8_t)*p);
}

static void sequence(struct kind_probe *p, const uint8_t *anchor, uint32_t bs,
	struct fs_info *out)
{
	uint64_t at = (uint64_t)get_le32(anchor + 20) * bs;
	uint32_t n = get_le32(anchor + 16) / bs;

	for (uint32_t i = 0; i < n && i < DESCRIPTORS; i++, at += bs) {
		uint8_t b[256];
		char set[256];

		if (!kind_read(p, b, sizeof(b), at))
			return;
		switch (get_le16(b)) {
		case TAG_PRIMARY:
			dstring(b + 72, 128, set, sizeof(set));
			udf_uuid(set, out->uuid);
			break;
		case TAG_LOGICAL:
			dstring(b + 84, 128, out->label, sizeof(out->label));
			out->block_size = get_le32(b + 212);
			break;
		case TAG_END:
			return;
		}
	}
}

bool kind_udf(struct kind_probe *p, struct fs_info *out)
{
	if (!kind_udf_vrs(p->src))
		return false;
	/* the anchor is block 256, whatever the size of a block */
	for (uint32_t bs = 512; bs <= 32768; bs *= 2) {
		uint8_t b[24];

		if (!kind_read(p, b, sizeof(b), (uint64_t)bs * 256) ||
			get_le16(b) != TAG_ANCHOR || get_le32(b + 12) != 256)
			continue;
		snprintf(out->type, sizeof(out->type), "udf");
		out->size = p->src->size;
		out->block_size = bs;
		sequence(p, b, bs, out);
		return true;
	}
	return false;
}
