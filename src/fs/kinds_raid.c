/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the last sectors of a device: members of firmware RAID, DRBD,
 * and what else is told by little. Asked last: what can be read of the
 * device's front (a mirror's member is in place) is worth more than its name.
 * Places and magics as the dmraid and mdadm projects document them. */
#include "fs/kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fs/label.h"
#include "fs/table.h"

struct tail_kind {
	const char *type;
	const char *magic;
	uint8_t len;
	uint16_t sectors; /* from the end, 512 bytes each */
	uint16_t at;	  /* of the magic in that sector */
	bool (*check)(const uint8_t b[512]);
};

static bool adaptec(const uint8_t b[512])
{
	return !memcmp(b + 256, "DPTM", 4);
}

/* The sum of the first 64 words is 0 or 1. */
static bool jmicron(const uint8_t b[512])
{
	uint16_t sum = 0;

	for (int i = 0; i < 128; i += 2)
		sum = (uint16_t)(sum + get_le16(b + i));
	return sum <= 1;
}

/* The words before the checksum and it give 0. */
static bool silicon(const uint8_t b[512])
{
	uint16_t sum = 0;

	for (int i = 0; i < 0x140; i += 2)
		sum = (uint16_t)(sum + get_le16(b + i));
	return b[0x116] < 8 && !sum;
}

static bool via(const uint8_t b[512])
{
	uint8_t sum = 0;

	for (int i = 0; i < 50; i++)
		sum = (uint8_t)(sum + b[i]);
	return b[2] <= 2 && sum == b[50];
}

#define PROMISE(n)                                                            \
	{                                                                     \
		"promise_fasttrack_raid_member", "Promise Technology, Inc.", 24, n \
	}
static const struct tail_kind tails[] = {
	{ "isw_raid_member", "Intel Raid ISM Cfg Sig. ", 24, 2 },
	{ "lsi_mega_raid_member", "$XIDE$", 6, 1 },
	{ "via_raid_member", "\x55\xaa", 2, 1, .check = via },
	{ "silicon_medley_raid_member", "\0\0\0\x2f", 4, 1, 0x60, silicon },
	{ "nvidia_raid_member", "NVIDIA", 6, 2 },
	PROMISE(63), PROMISE(255), PROMISE(256), PROMISE(16), PROMISE(399),
	PROMISE(591), PROMISE(675), PROMISE(735), PROMISE(911), PROMISE(974),
	PROMISE(991), PROMISE(951), PROMISE(3087),
	{ "hpt45x_raid_member", "\xf3\x16\x78\x5a", 4, 11 },
	{ "hpt45x_raid_member", "\xfd\x16\x78\x5a", 4, 11 },
	{ "adaptec_raid_member", "\x37\xfc\x4d\x1e", 4, 1, .check = adaptec },
	{ "jmicron_raid_member", "JM", 2, 1, .check = jmicron },
};

static bool tail(struct kind_probe *p, uint64_t sectors, struct fs_info *out)
{
	uint64_t held = UINT64_MAX; /* the sector that b holds */
	uint8_t b[512];

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		const struct tail_kind *k = &tails[i];

		if (k->sectors > sectors)
			continue;
		if (held != k->sectors &&
			!kind_read(p, b, sizeof(b),
				(sectors - k->sectors) * 512)) {
			held = UINT64_MAX;
			continue;
		}
		held = k->sectors;
		if (memcmp(b + k->at, k->magic, k->len) != 0 ||
			(k->check && !k->check(b)))
			continue;
		kind_type(out, k->type);
		return true;
	}
	return false;
}

/* SNIA Common RAID Disk Data Format, the anchor header: in the last sector, or
 * where Adaptec's controllers have it. The id is 24 bytes, mostly text. */
static bool ddf(struct kind_probe *p, uint64_t sectors, struct fs_info *out)
{
	static const unsigned places[] = { 1, 257 };

	for (size_t i = 0; i < ARRAY_LEN(places) && places[i] <= sectors; i++) {
		uint8_t b[512], first[4];
		uint64_t lba;

		if (!kind_read(p, b, sizeof(b), (sectors - places[i]) * 512))
			continue;
		if (get_be32(b) == 0xde11de11)
			lba = get_be64(b + 96);
		else if (get_le32(b) == 0xde11de11)
			lba = get_le64(b + 96);
		else
			continue;
		if (lba && (lba >= sectors ||
				   !kind_read(p, first, 4, lba * 512) ||
				   memcmp(first, b, 4) != 0))
			continue;
		kind_type(out, "ddf_raid_member");
		fs_label_bytes(b + 8, 24, out->uuid, sizeof(out->uuid));
		return true;
	}
	return false;
}

/* DRBD's metadata (drbdmeta.c of drbd-utils), 4 KiB from the end. */
static bool drbd(struct kind_probe *p, struct fs_info *out)
{
	uint8_t b[128];
	uint64_t id;

	if (p->src->size < 4096 ||
		!kind_read(p, b, sizeof(b), p->src->size - 4096))
		return false;
	switch (get_be32(b + 60)) {
	case 0x83740267 + 4: /* 8 */
	case 0x83740267 + 5: /* 8.4, not closed */
		id = get_be64(b + 40);
		break;
	case 0x83740267 + 6: /* 9 */
		id = get_be64(b + 48);
		break;
	default:
		return false;
	}
	kind_type(out, "drbd");
	snprintf(out->uuid, sizeof(out->uuid), "%" PRIx64, id);
	return true;
}

/* HighPoint's 37x controllers have theirs in the tenth sector. */
static bool hpt37x(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *b = kind_head(p, 4608 + 32, 4);

	if (!b || (get_le32(b) != 0x5a7816f0 && get_le32(b) != 0x5a7816fd))
		return false;
	kind_type(out, "hpt37x_raid_member");
	return true;
}

/* An XFS log on a device of its own: the header of a log record in one of the
 * first sectors (Linux fs/xfs/libxfs/xfs_log_format.h). */
#define XLOG_SOUGHT (256 * KIB)
#define XLOG_PIECE (32 * KIB)

/* A damaged file system, whose own log may stand as near. */
static bool xfs_group(const struct kind_probe *p)
{
	const uint8_t *b = kind_head(p, 0, 8192);

	for (size_t sector = 512; b && sector <= 4096; sector *= 2)
		if (!memcmp(b + sector, "XAGF", 4))
			return true;
	return b && !memcmp(b, "XFSB", 4);
}

static bool xfs_log(struct kind_probe *p, struct fs_info *out)
{
	AUTO_FREE uint8_t *b = NULL;

	if (p->src->size < XLOG_SOUGHT || xfs_group(p))
		return false;
	b = malloc(XLOG_PIECE);
	if (!b)
		return false;
	for (uint64_t at = 0; at < XLOG_SOUGHT; at += XLOG_PIECE) {
		if (!kind_read(p, b, XLOG_PIECE, at))
			return false;
		for (const uint8_t *h = b; h < b + XLOG_PIECE; h += 512) {
			uint32_t version = get_be32(h + 8);
			uint32_t len = get_be32(h + 12);

			if (get_be32(h) != 0xfeedbabe || version < 1 ||
				version > 3 || !len || len > INT32_MAX ||
				get_be32(h + 300) < 1 || get_be32(h + 300) > 3)
				continue;
			kind_type(out, "xfs_external_log");
			fs_uuid_print(h + 304, out->dev_uuid);
			return true;
		}
	}
	return false;
}

static enum fs_verdict raid_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct kind_probe p = { .src = src, .e = e };
	uint8_t head[8192];
	uint64_t sectors = src->size / 512;

	if (src->size < 64 * KIB) /* as blkid: too small for any of them */
		return FS_NO;
	if (!kind_read(&p, head, sizeof(head), 0))
		return FS_UNSURE;
	p.head = head;
	p.head_len = sizeof(head);
	out->size = src->size;
	if (ddf(&p, sectors, out) || tail(&p, sectors, out) ||
		hpt37x(&p, out) || drbd(&p, out) || xfs_log(&p, out))
		return FS_YES;
	return p.failed ? FS_UNSURE : FS_NO;
}

const struct fs_ops fs_kinds_raid = {
	.name = "kept",
	.probe = raid_probe,
};
