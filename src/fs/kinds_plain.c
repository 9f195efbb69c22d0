/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that a magic tells, and whose uuid and label are fields at fixed
 * places: one row each. A check looks at what the magic alone leaves open, and
 * fills in what is not plain bytes. Fields as in the Linux headers named, or
 * as util-linux documents them. */
#include "fs/kinds.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fs/label.h"

struct plain_kind {
	const char *type;
	const char *magic;
	uint8_t len;
	uint32_t at;	   /* of the magic, from the volume's start */
	uint32_t uuid_at;  /* of 16 bytes; 0: none */
	uint32_t label_at; /* 0: none */
	uint8_t label_len;
	bool (*check)(const struct kind_probe *p, struct fs_info *out);
};

/* Linux cramfs_fs.h: the name is the last 16 bytes of the superblock. */
static bool cramfs(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 76);

	if (!h || memcmp(h + 16, "Compressed ROMFS", 16) != 0)
		return false;
	out->block_size = 4096;
	out->size = h[0] == 0x45 ? get_le32(h + 4) : get_be32(h + 4);
	return true;
}

static bool romfs(const struct kind_probe *p, struct fs_info *out)
{
	/* Linux romfs_fs.h: the full size, big-endian, behind the magic */
	const uint8_t *h = kind_head(p, 0, 16);

	if (!h)
		return false;
	out->size = get_be32(h + 8);
	out->block_size = 1024;
	return true;
}

/* Linux gfs2_ondisk.h: the superblock at 64 KiB; formats tell 1 from 2. */
static bool gfs(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 65536, 272);
	uint32_t format, multi, bs;

	if (!h)
		return false;
	format = get_be32(h + 24);
	multi = get_be32(h + 28);
	bs = get_be32(h + 36);
	if (format == 1309 && multi == 1401)
		kind_type(out, "gfs");
	else if (format >= 1800 && format < 1900 && multi >= 1900 &&
		 multi < 2000)
		kind_type(out, "gfs2");
	else
		return false;
	if (is_pow2(bs) && bs <= LIMIT_FS_BLOCK)
		out->block_size = bs;
	return true;
}

/* Linux fs/ocfs2/ocfs2_fs.h: the superblock is in the third block, whose size
 * it says itself; the magic is sought for each size. */
static bool ocfs2(const struct kind_probe *p, struct fs_info *out)
{
	for (unsigned bits = 9; bits <= 12; bits++) {
		const uint8_t *h = kind_head(p, (size_t)2 << bits, 352);

		if (!h || memcmp(h, "OCFSV2", 6) != 0 ||
			get_le32(h + 248) != bits)
			continue;
		fs_label_bytes(h + 272, 64, out->label, sizeof(out->label));
		fs_uuid_print(h + 336, out->uuid);
		out->block_size = 1u << bits;
		return true;
	}
	return false;
}

static bool ocfs1(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *label = kind_head(p, 8192 + 512, 132);

	if (!label)
		return false;
	fs_label_bytes(label + 48, size_min(get_le16(label + 112), 64),
		out->label, sizeof(out->label));
	fs_uuid_print(label + 114, out->uuid);
	return true;
}

/* OS/2's HPFS: superblock at 8 KiB, spare one behind it; volume id and label
 * are in the boot sector. */
static bool hpfs(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *spare = kind_head(p, 8192 + 512, 4);
	const uint8_t *boot = kind_head(p, 0, 512);

	if (!spare || memcmp(spare, "\x49\x18\x91\xf9", 4) != 0)
		return false;
	if (!memcmp(boot + 510, "\x55\xaa", 2) &&
		!memcmp(boot + 54, "HPFS", 4) && boot[38] == 0x28) {
		fs_label_bytes(boot + 43, 11, out->label, sizeof(out->label));
		snprintf(out->uuid, sizeof(out->uuid), "%02X%02X-%02X%02X",
			boot[42], boot[41], boot[40], boot[39]);
	}
	out->block_size = 512;
	return true;
}

/* Linux drivers/mtd/ubi/ubi-media.h: the erase counter header; its id is the
 * sequence number of the image. */
static bool ubi(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 64);

	if (!h || get_be32(h + 60) != (uint32_t)~crc32(0, h, 60))
		return false;
	snprintf(out->uuid, sizeof(out->uuid), "%" PRIu32, get_be32(h + 24));
	return true;
}

static bool ubifs(const struct kind_probe *p, struct fs_info *out)
{
	/* ubifs-media.h: node type 6 is the superblock */
	const uint8_t *h = kind_head(p, 0, 128);

	(void)out;
	return h && h[20] == 6;
}

/* The pool superblock of the mpool project, with a CRC-32C. */
static bool mpool(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 66);

	(void)out;
	return h && get_le32(h + 62) == crc32c(h, 62);
}

/* 32 hexadecimal digits with hyphens put between them. */
static void hex_uuid(const uint8_t in[32], char out[40])
{
	for (int i = 0; i < 32; i++)
		if (!isxdigit(in[i]))
			return;
	snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", (const char *)in,
		(const char *)in + 8, (const char *)in + 12,
		(const char *)in + 16, (const char *)in + 20);
}

/* Stratis design document, "static header": a sector with a CRC-32C, twice.
 * As with blkid, the uuid is the device's and not the pool's. */
static bool stratis(const struct kind_probe *p, struct fs_info *out)
{
	static const size_t places[] = { 512, 512 * 9 };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const uint8_t *h = kind_head(p, places[i], 512);

		if (!h || get_le32(h) != crc32c(h + 4, 508))
			continue;
		hex_uuid(h + 64, out->uuid);
		return true;
	}
	return false;
}

static bool drbdmanage(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 65536);

	if (!h || h[43] != '\n')
		return false;
	for (int i = 11; i < 43; i++)
		if (!isxdigit(h[i]))
			return false;
	snprintf(out->uuid, sizeof(out->uuid), "%.32s", (const char *)h + 11);
	return true;
}

/* LVM1 (struct pv_disk): the id is 32 characters, printed in groups. */
static bool lvm1(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 172);
	const char *id;

	if (!h || get_le16(h + 2) < 1 || get_le16(h + 2) > 2)
		return false;
	for (int i = 0; i < 32; i++)
		if (!isalnum(h[44 + i]))
			return false;
	id = (const char *)h + 44;
	snprintf(out->uuid, sizeof(out->uuid),
		"%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", id, id + 6, id + 10,
		id + 14, id + 18, id + 22, id + 26);
	return true;
}

/* Linux drivers/md/dm-snap-persistent.c, struct disk_header */
static bool snapshot_cow(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 16);

	(void)out;
	return h && get_le32(h + 4) <= 1 && is_pow2(get_le32(h + 12));
}

/* Linux dm-verity and dm-integrity superblocks */
static bool verity(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 512);

	(void)out;
	return h && get_le32(h + 8) == 1;
}

static bool integrity(const struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 512);

	(void)out;
	return h && h[8] != 0;
}

static const struct plain_kind plain[] = {
	{ "ceph_bluestore", "bluestore block device", 22, .at = 0 },
	{ "drbdmanage_control_volume", "$DRBDmgr=q", 10, .check = drbdmanage },
	{ "drbdproxy_datalog", "DRBDdlh*", 8, .uuid_at = 16 },
	{ "vdo", "dmvdo001", 8, .uuid_at = 40 },
	{ "stratis", "!Stra0tis\x86\xff\x02^\x41rh", 16, 512 + 4,
		.check = stratis },
	{ "stratis", "!Stra0tis\x86\xff\x02^\x41rh", 16, 512 * 9 + 4,
		.check = stratis },
	{ "mpool", "mpoolDev", 8, .uuid_at = 40, .label_at = 8,
		.label_len = 32, .check = mpool },
	{ "DM_verity_hash", "verity\0\0", 8, .uuid_at = 16, .check = verity },
	{ "DM_integrity", "integrt\0", 8, .check = integrity },
	{ "DM_snapshot_cow", "SnAp", 4, .check = snapshot_cow },
	{ "LVM1_member", "HM", 2, .check = lvm1 },
	{ "oracleasm", "ORCLDISK", 8, 32, .label_at = 40, .label_len = 24 },
	{ "ReFS", "\0\0\0ReFS\0", 8, .at = 0 },
	{ "hpfs", "\x49\xe8\x95\xf9", 4, 8192, .check = hpfs },
	{ "nss", "SPB5", 4, 4096, .uuid_at = 4096 + 348 },
	{ "ubi", "UBI#", 4, .check = ubi },
	{ "ubifs", "\x31\x18\x10\x06", 4, .uuid_at = 108, .check = ubifs },
	{ "zonefs", "SFOZ", 4, .uuid_at = 40, .label_at = 8, .label_len = 32 },
	{ "cramfs", "\x45\x3d\xcd\x28", 4, .label_at = 48, .label_len = 16,
		.check = cramfs },
	{ "cramfs", "\x28\xcd\x3d\x45", 4, .label_at = 48, .label_len = 16,
		.check = cramfs },
	{ "romfs", "-rom1fs-", 8, .label_at = 16, .label_len = 16,
		.check = romfs },
	{ "exfs", "EXFS", 4, .uuid_at = 32, .label_at = 108, .label_len = 12 },
	{ "bfs", "\xce\xfa\xad\x1b", 4, .at = 0 },
	{ "vxfs", "\xf5\xfc\x01\xa5", 4, 1024 },
	{ "vxfs", "\xa5\x01\xfc\xf5", 4, 8192 },
	{ "xenix", "\x2b\x55\x44", 3, 2048, .label_at = 1024 + 632,
		.label_len = 6 },
	{ "xenix", "\x44\x55\x2b", 3, 2048, .label_at = 1024 + 632,
		.label_len = 6 },
	{ "ocfs", "OracleCFS", 9, 8192, .check = ocfs1 },
	{ "ocfs2", "OCFSV2", 6, 1024, .check = ocfs2 },
	{ "ocfs2", "OCFSV2", 6, 2048, .check = ocfs2 },
	{ "ocfs2", "OCFSV2", 6, 4096, .check = ocfs2 },
	{ "ocfs2", "OCFSV2", 6, 8192, .check = ocfs2 },
	{ "gfs2", "\x01\x16\x19\x70", 4, 65536, .uuid_at = 65536 + 256,
		.label_at = 65536 + 160, .label_len = 64, .check = gfs },
};

bool kind_plain(struct kind_probe *p, struct fs_info *out)
{
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		const struct plain_kind *k = &plain[i];
		const uint8_t *b = kind_head(p, k->at, k->len);

		if (!b || memcmp(b, k->magic, k->len) != 0)
			continue;
		memset(out, 0, sizeof(*out));
		out->devices = 1;
		out->size = p->src->size;
		kind_type(out, k->type);
		if (k->uuid_at && (b = kind_head(p, k->uuid_at, 16)))
			fs_uuid_print(b, out->uuid);
		if (k->label_at &&
			(b = kind_head(p, k->label_at, k->label_len)))
			fs_label_bytes(b, k->label_len, out->label,
				sizeof(out->label));
		if (!k->check || k->check(p, out))
			return true;
	}
	return false;
}
