/* SPDX-License-Identifier: Apache-2.0 */
/* BeFS, NILFS2, System V: kinds whose superblock has to be read more closely,
 * and is kept as blocks. */
#include "fs/kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "fs/label.h"

/* --- BeFS: Giampaolo, "Practical File System Design", chapter 4 --- */

struct befs_order {
	bool big;
};

static uint16_t befs16(const struct befs_order *o, const uint8_t *b)
{
	return o->big ? get_be16(b) : get_le16(b);
}

static uint32_t befs32(const struct befs_order *o, const uint8_t *b)
{
	return o->big ? get_be32(b) : get_le32(b);
}

static uint64_t befs64(const struct befs_order *o, const uint8_t *b)
{
	return o->big ? get_be64(b) : get_le64(b);
}

#define BEFS_INODE 0x3bbe0ad9
#define BEFS_SMALL_DATA 232 /* where an inode's small attributes begin */

/* The volume's id is an attribute of the root folder, "be:volume_id", which
 * lies in its inode. Bounded by the inode's bytes: each step is forwards. */
static void befs_id(struct kind_probe *p, const struct befs_order *o,
	const uint8_t *sb, unsigned shift, unsigned ag_shift,
	struct fs_info *out)
{
	uint8_t inode[4096];
	uint64_t group, at;
	size_t len = (size_t)1 << shift, pos = BEFS_SMALL_DATA;

	if (len > sizeof(inode))
		len = sizeof(inode);
	if (!u64_shl(befs32(o, sb + 116), ag_shift, &group) ||
		!u64_add(group, befs16(o, sb + 120), &group) ||
		!u64_shl(group, shift, &at) || !kind_read(p, inode, len, at) ||
		befs32(o, inode) != BEFS_INODE)
		return;
	while (pos + 8 <= len) {
		size_t name = befs16(o, inode + pos + 4);
		size_t data = befs16(o, inode + pos + 6);

		if (!name || name + data + 4 + 8 > len - pos)
			return;
		if (data == 8 && name == 12 &&
			!memcmp(inode + pos + 8, "be:volume_id", 12)) {
			snprintf(out->uuid, sizeof(out->uuid), "%016" PRIx64,
				befs64(o, inode + pos + 8 + name + 3));
			return;
		}
		pos += 8 + name + 3 + data + 1;
	}
}

bool kind_befs(struct kind_probe *p, struct fs_info *out)
{
	static const size_t places[] = { 512, 0 };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const uint8_t *h = kind_head(p, places[i], 132);
		struct befs_order o = { false };
		uint32_t bs, shift, ag_shift;

		if (!h)
			continue;
		if (get_be32(h + 32) == 0x42465331)
			o.big = true;
		else if (get_le32(h + 32) != 0x42465331)
			continue;
		bs = befs32(&o, h + 40);
		shift = befs32(&o, h + 44);
		ag_shift = befs32(&o, h + 76);
		if (befs32(&o, h + 68) != 0xdd121031 ||
			befs32(&o, h + 112) != 0x15b6830e || shift < 10 ||
			shift > 13 || bs != 1u << shift || ag_shift > 31)
			continue;
		kind_type(out, "befs");
		fs_label_bytes(h, 32, out->label, sizeof(out->label));
		kind_size(out, befs64(&o, h + 48), bs);
		befs_id(p, &o, h, shift, ag_shift, out);
		return true;
	}
	return false;
}

/* --- NILFS2: Linux include/uapi/linux/nilfs2_ondisk.h --- */

#define NILFS_SB 1024

/* The checksum is CRC-32 from a seed of its own, without the inversions that
 * zlib makes, over the superblock with the field itself as zeros. */
static bool nilfs_valid(const uint8_t *b)
{
	static const uint8_t zero[4];
	size_t len = get_le16(b + 8);
	uLong crc = ~get_le32(b + 12) & UINT32_MAX;

	if (get_le16(b + 6) != 0x3434 || len < 20 || len > NILFS_SB)
		return false;
	crc = crc32(crc, b, 16);
	crc = crc32(crc, zero, 4);
	crc = crc32(crc, b + 20, (uInt)(len - 20));
	return (~crc & UINT32_MAX) == get_le32(b + 16);
}

bool kind_nilfs2(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 1024, NILFS_SB);
	uint8_t copy[NILFS_SB];
	bool first, second = false;
	uint64_t sectors = p->src->size / 512;

	/* cheap before the second copy, eight sectors from the end, is read:
	 * its magic at least must be in one of them */
	first = h && nilfs_valid(h);
	if (sectors > 8 && kind_read(p, copy, sizeof(copy), (sectors - 8) * 512))
		second = nilfs_valid(copy);
	if (!first && !second)
		return false;
	if (!first || (second && get_le64(copy + 56) > get_le64(h + 56)))
		h = copy;
	kind_type(out, "nilfs2");
	fs_uuid_print(h + 152, out->uuid);
	fs_label_bytes(h + 168, 80, out->label, sizeof(out->label));
	out->size = get_le64(h + 32);
	if (get_le32(h + 20) <= 6)
		out->block_size = 1024u << get_le32(h + 20);
	return true;
}

/* --- System V: Linux include/linux/sysv_fs.h --- */

bool kind_sysv(struct kind_probe *p, struct fs_info *out)
{
	static const size_t blocks[] = { 0, 9, 15, 18 };

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		const uint8_t *h = kind_head(p, blocks[i] * 1024 + 512, 512);

		if (!h || (get_le32(h + 504) != 0xfd187e20 &&
				  get_be32(h + 504) != 0xfd187e20))
			continue;
		kind_type(out, "sysv");
		fs_label_bytes(h + 440, 6, out->label, sizeof(out->label));
		out->size = p->src->size;
		return true;
	}
	return false;
}
