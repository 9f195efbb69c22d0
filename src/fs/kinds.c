/* SPDX-License-Identifier: Apache-2.0 */
/* File systems and other contents of a volume that are recognised and named
 * but not read: they are kept as blocks. Type, uuid and label are what blkid
 * prints. LVM2 and MD members are the volume layer's. */
#include "fs/kinds.h"

#include <stdlib.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fs/label.h"
#include "fs/table.h"

const uint8_t *kind_head(const struct kind_probe *p, size_t off, size_t len)
{
	return range_inside(off, len, p->head_len) ? p->head + off : NULL;
}

bool kind_read(struct kind_probe *p, void *buf, size_t len, uint64_t off)
{
	if (!range_inside(off, len, p->src->size))
		return false;
	if (!source_pread(p->src, buf, len, off, p->e))
		return true;
	p->failed = true;
	return false;
}

void kind_type(struct fs_info *out, const char *type)
{
	snprintf(out->type, sizeof(out->type), "%s", type);
}

/* A count of blocks to bytes; 0 (not known) where it cannot be. */
void kind_size(struct fs_info *out, uint64_t blocks, uint64_t block_size)
{
	if (!u64_mul(blocks, block_size, &out->size))
		out->size = 0;
	out->block_size = (uint32_t)block_size;
}

/* --- encryption --- */

/* LUKS1 and LUKS2 on-disk format specifications: the binary header; where
 * the first header of LUKS2 is damaged, a copy lies at one of these. */
static bool kind_luks(struct kind_probe *p, struct fs_info *out)
{
	static const uint64_t copies[] = { 0x4000, 0x8000, 0x10000, 0x20000,
		0x40000, 0x80000, 0x100000, 0x200000, 0x400000 };
	uint8_t copy[512];
	const uint8_t *h = kind_head(p, 0, 512);
	uint16_t version;

	if (!h)
		return false;
	if (memcmp(h, "LUKS\xba\xbe", 6) != 0) {
		size_t i = 0;

		for (; i < ARRAY_LEN(copies); i++)
			if (kind_read(p, copy, sizeof(copy), copies[i]) &&
				!memcmp(copy, "SKUL\xba\xbe", 6) &&
				get_be16(copy + 6) == 2 &&
				get_be64(copy + 256) == copies[i])
				break;
		if (i == ARRAY_LEN(copies))
			return false;
		h = copy;
	}
	version = get_be16(h + 6);
	if (version != 1 && version != 2)
		return false;
	kind_type(out, "crypto_LUKS");
	fs_label_bytes(h + 168, 36, out->uuid, sizeof(out->uuid));
	if (version == 2)
		fs_label_bytes(h + 24, 48, out->label, sizeof(out->label));
	out->size = p->src->size;
	return true;
}

/* As documented by the dislocker and libbde projects: a boot sector whose OEM
 * name says so, and the metadata block that it points to. */
static bool kind_bitlocker(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 512);
	uint8_t meta[8];
	uint64_t off;

	if (!h)
		return false;
	if (!memcmp(h, "\xeb\x52\x90-FVE-FS-", 11)) {
		if (!u64_mul(get_le64(h + 56),
			    (uint64_t)get_le16(h + 11) * h[13], &off))
			return false;
	} else if (!memcmp(h, "\xeb\x58\x90-FVE-FS-", 11)) {
		off = get_le64(h + 176);
	} else if (!memcmp(h, "\xeb\x58\x90MSWIN4.1", 11)) {
		off = get_le64(h + 440);
	} else {
		return false;
	}
	if (!off || !kind_read(p, meta, sizeof(meta), off) ||
		memcmp(meta, "-FVE-FS-", 8) != 0)
		return false;
	kind_type(out, "BitLocker");
	out->size = p->src->size;
	return true;
}

/* --- swap --- */

/* Linux include/linux/swap.h: the magic ends the first page, whatever its
 * size; the header proper is at 1024. */
static bool kind_swap(struct kind_probe *p, struct fs_info *out)
{
	/* TuxOnIce keeps the magic of swap and puts its own at the front. */
	const uint8_t *toi = kind_head(p, 0, 8);
	bool frozen = toi && !memcmp(toi, "\xed\xc3\x02\xe9\x98\x56\xe5\x0c", 8);

	for (size_t page = 4096; page <= 65536; page *= 2) {
		const uint8_t *m = kind_head(p, page - 10, 10);
		const uint8_t *h = kind_head(p, 1024, 64);
		uint32_t version, last;
		bool v1, suspended;

		if (!m)
			return false;
		v1 = !memcmp(m, "SWAPSPACE2", 10);
		suspended = !memcmp(m, "S1SUSPEND", 9) ||
			    !memcmp(m, "S2SUSPEND", 9) ||
			    !memcmp(m, "ULSUSPEND", 9) ||
			    !memcmp(m, "LINHIB0001", 10) || frozen;
		if (!v1 && memcmp(m, "SWAP-SPACE", 10) != 0 && !suspended)
			continue;
		if (!v1 && !suspended) {
			kind_type(out, "swap");
			out->size = p->src->size;
			out->block_size = (uint32_t)page;
			return true;
		}
		version = get_le32(h);
		last = get_le32(h + 4);
		if (version != 1) {
			version = get_be32(h);
			last = get_be32(h + 4);
		}
		if (version != 1)
			continue;
		kind_type(out, suspended ? "swsuspend" : "swap");
		fs_uuid_print(h + 12, out->uuid);
		fs_label_bytes(h + 28, 16, out->label, sizeof(out->label));
		kind_size(out, (uint64_t)last + 1, page);
		return true;
	}
	return false;
}

/* --- Linux --- */

static bool kind_f2fs(struct kind_probe *p, struct fs_info *out)
{
	/* struct f2fs_super_block; the second copy is one block on */
	for (size_t at = 1024; at <= 4096 + 1024; at += 4096) {
		const uint8_t *h = kind_head(p, at, 124 + 1024);

		if (!h || get_le32(h) != 0xf2f52010 || get_le32(h + 16) < 9 ||
			get_le32(h + 16) > 16)
			continue;
		kind_type(out, "f2fs");
		fs_uuid_print(h + 108, out->uuid);
		fs_label_utf16(h + 124, 512, false, out->label,
			sizeof(out->label));
		kind_size(out, get_le64(h + 36),
			UINT64_C(1) << get_le32(h + 16));
		return true;
	}
	return false;
}

static bool kind_jfs(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 32768, 184);
	unsigned l2b, l2p;

	/* Linux fs/jfs/jfs_superblock.h */
	if (!h || memcmp(h, "JFS1", 4) != 0)
		return false;
	l2b = get_le16(h + 20);
	l2p = get_le16(h + 28);
	if (l2b > 16 || l2p > 16 || get_le32(h + 16) != 1u << l2b ||
		get_le32(h + 24) != 1u << l2p || l2b < l2p ||
		l2b - l2p != get_le16(h + 22))
		return false;
	kind_type(out, "jfs");
	fs_uuid_print(h + 136, out->uuid);
	fs_label_bytes(h + 152, 16, out->label, sizeof(out->label));
	kind_size(out, get_le64(h + 8), 1u << l2p);
	out->block_size = 1u << l2b;
	return true;
}

static bool kind_reiserfs(struct kind_probe *p, struct fs_info *out)
{
	/* Linux fs/reiserfs/reiserfs.h: 3.5 had it at 8 KiB, without a uuid */
	static const size_t places[] = { 65536, 8192 };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const uint8_t *h = kind_head(p, places[i], 204);
		uint32_t bs;

		if (!h)
			continue;
		if (!memcmp(h, "ReIsEr4", 7)) {
			kind_type(out, "reiser4");
			fs_uuid_print(h + 20, out->uuid);
			fs_label_bytes(h + 36, 16, out->label,
				sizeof(out->label));
			out->size = p->src->size;
			return true;
		}
		bs = get_le16(h + 44);
		if ((memcmp(h + 52, "ReIsErFs", 8) != 0 &&
			    memcmp(h + 52, "ReIsEr2Fs", 9) != 0 &&
			    memcmp(h + 52, "ReIsEr3Fs", 9) != 0) ||
			!is_pow2(bs) || bs < 512)
			continue;
		/* a superblock that lies in the journal is a logged copy of
		 * another file system's */
		if (places[i] / bs > get_le32(h + 12))
			continue;
		kind_type(out, "reiserfs");
		if (h[52 + 6] == '2' || h[52 + 6] == '3') {
			fs_uuid_print(h + 84, out->uuid);
			fs_label_bytes(h + 100, 16, out->label,
				sizeof(out->label));
		}
		kind_size(out, get_le32(h), bs);
		return true;
	}
	return false;
}

static bool kind_bcache(struct kind_probe *p, struct fs_info *out)
{
	static const uint8_t bcache[16] = { 0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a,
		0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81 };
	static const uint8_t bcachefs[16] = { 0xc6, 0x85, 0x73, 0xf6, 0x66,
		0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7,
		0xef };
	const uint8_t *h = kind_head(p, 4096, 208);

	/* Linux drivers/md/bcache/bcache_ondisk.h and fs/bcachefs: the same
	 * start; the superblock knows its own sector */
	if (!h || get_le64(h + 8) != 8)
		return false;
	if (!memcmp(h + 24, bcache, 16)) {
		kind_type(out, "bcache");
		fs_uuid_print(h + 40, out->uuid);
	} else if (!memcmp(h + 24, bcachefs, 16)) {
		kind_type(out, "bcachefs");
		fs_uuid_print(h + 56, out->uuid);
		fs_uuid_print(h + 40, out->dev_uuid);
	} else {
		return false;
	}
	fs_label_bytes(h + 72, 32, out->label, sizeof(out->label));
	out->size = p->src->size;
	return true;
}

/* The fields of the three versions, in either byte order. */
struct minix_super {
	uint64_t inodes, zones, imap, zmap, first, bs;
	unsigned log;
};

static bool minix_fields(const uint8_t *h, bool big, struct minix_super *m)
{
#define GET16(at) (big ? get_be16(h + (at)) : get_le16(h + (at)))
#define GET32(at) (big ? get_be32(h + (at)) : get_le32(h + (at)))
	bool v2 = false;

	if (GET16(24) == 0x4d5a) { /* version 3 */
		*m = (struct minix_super){ GET32(0), GET32(20), GET16(6),
			GET16(8), GET16(10), GET16(28), GET16(12) };
		return true;
	}
	switch (GET16(16)) {
	case 0x2468:
	case 0x2478:
		v2 = true;
		break;
	case 0x137f:
	case 0x138f:
		break;
	default:
		return false;
	}
	*m = (struct minix_super){ GET16(0), v2 ? GET32(20) : GET16(2),
		GET16(4), GET16(6), GET16(8), 1024, GET16(10) };
	return !(GET16(18) & ~3);
#undef GET16
#undef GET32
}

static bool kind_minix(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 1024, 1024);
	struct minix_super m;

	/* Linux include/uapi/linux/minix_fs.h. 16 bits of magic are few: the
	 * bitmaps must be large enough for what they map. */
	if (!h || get_le16(h + 56) == 0xef53 ||
		(!minix_fields(h, false, &m) && !minix_fields(h, true, &m)))
		return false;
	if (!m.inodes || m.zones <= m.first || !m.imap || !m.zmap || m.log ||
		!is_pow2(m.bs) || m.bs < 1024 || m.bs > 65536 ||
		m.imap * m.bs * 8 < m.inodes + 1 ||
		m.zmap * m.bs * 8 < m.zones - m.first + 1 ||
		m.first < 2 + m.imap + m.zmap)
		return false;
	kind_type(out, "minix");
	kind_size(out, m.zones, m.bs);
	return true;
}

/* --- BSD, VMware, Apple --- */

static bool kind_ufs(struct kind_probe *p, struct fs_info *out)
{
	static const uint64_t places[] = { 8192, 65536, 262144, 0 };
	static const uint32_t magics[] = { 0x19540119, 0x00011954, 0x00195612,
		0x00095014, 0x00612195, 0x05231994 };
	uint8_t h[1380];

	/* FreeBSD sys/ufs/ffs/fs.h: struct fs is 1376 bytes */
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		uint32_t le, be, id0, id1, bs;
		size_t m = 0;
		bool big;

		if (!kind_read(p, h, sizeof(h), places[i]))
			continue;
		le = get_le32(h + 1372);
		be = get_be32(h + 1372);
		while (m < ARRAY_LEN(magics) && le != magics[m] &&
			be != magics[m])
			m++;
		if (m == ARRAY_LEN(magics))
			continue;
		big = be == magics[m];
		bs = big ? get_be32(h + 48) : get_le32(h + 48);
		id0 = big ? get_be32(h + 144) : get_le32(h + 144);
		id1 = big ? get_be32(h + 148) : get_le32(h + 148);
		kind_type(out, "ufs");
		if (id0 || id1)
			snprintf(out->uuid, sizeof(out->uuid), "%08x%08x", id0,
				id1);
		if (m == 0) /* UFS2 */
			fs_label_bytes(h + 680, 32, out->label,
				sizeof(out->label));
		out->size = p->src->size;
		out->block_size = is_pow2(bs) && bs <= LIMIT_FS_BLOCK ? bs : 0;
		return true;
	}
	return false;
}

static void vmfs_uuid(const uint8_t u[16], char out[40])
{
	snprintf(out, 40,
		"%02x%02x%02x%02x-%02x%02x%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x",
		u[3], u[2], u[1], u[0], u[7], u[6], u[5], u[4], u[9], u[8],
		u[10], u[11], u[12], u[13], u[14], u[15]);
}

static bool kind_vmfs(struct kind_probe *p, struct fs_info *out)
{
	uint8_t h[157], id[35];
	bool member, fs;

	/* the open-vmfs project's description: what makes it a member of a
	 * datastore at 1 MiB, the file system's header at 2 MiB. blkid names
	 * the outer one where both are there. */
	member = kind_read(p, h, sizeof(h), 1 * MIB) &&
		 get_le32(h) == 0xc001d00d;
	if (member) {
		vmfs_uuid(h + 130, out->dev_uuid);
		/* the group's, as text */
		if (kind_read(p, id, sizeof(id), 1 * MIB + 512 + 20))
			fs_label_bytes(id, sizeof(id), out->uuid,
				sizeof(out->uuid));
	}
	fs = kind_read(p, h, sizeof(h), 2 * MIB) && get_le32(h) == 0x2fabf15e;
	if (fs && !member) {
		vmfs_uuid(h + 9, out->uuid);
		fs_label_bytes(h + 29, 128, out->label, sizeof(out->label));
	}
	if (!member && !fs)
		return false;
	kind_type(out, member ? "VMFS_volume_member" : "VMFS");
	out->size = p->src->size;
	return true;
}

static bool kind_apfs(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 0, 88);
	uint32_t bs;

	/* Apple File System Reference, nx_superblock_t */
	if (!h || memcmp(h + 32, "NXSB", 4) != 0 || get_le16(h + 24) != 1 ||
		get_le32(h + 28) != 0)
		return false;
	bs = get_le32(h + 36);
	if (!is_pow2(bs) || bs < 4096 || bs > 65536)
		return false;
	kind_type(out, "apfs");
	fs_uuid_print(h + 72, out->uuid);
	kind_size(out, get_le64(h + 40), bs);
	return true;
}

static const struct {
	bool (*probe)(struct kind_probe *p, struct fs_info *out);
} kinds[] = {
	{ kind_luks },
	{ kind_bitlocker },
	{ kind_bcache },
	{ kind_f2fs },
	{ kind_jfs },
	{ kind_reiserfs },
	{ kind_apfs },
	{ kind_vmfs },
	{ kind_zfs },
	{ kind_hfs },
	{ kind_ufs },
	{ kind_swap },
	{ kind_nilfs2 },
	{ kind_befs },
	{ kind_plain },
	{ kind_sysv },
	{ kind_minix },
};

static enum fs_verdict kinds_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct kind_probe p = { .src = src, .e = e };
	AUTO_FREE uint8_t *head = NULL;

	p.head_len = (size_t)u64_min(src->size, KIND_HEAD);
	head = calloc(1, p.head_len ? p.head_len : 1);
	if (!head) {
		error_nomem(e);
		return FS_UNSURE;
	}
	if (source_pread(src, head, p.head_len, 0, e)) {
		/* bad sectors: see what the rest says */
		p.failed = true;
		for (size_t at = 0; at < p.head_len; at += 512)
			(void)!source_pread(src, head + at,
				size_min(512, p.head_len - at), at, NULL);
	}
	p.head = head;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].probe(&p, out))
			return FS_YES;
	return p.failed ? FS_UNSURE : FS_NO;
}

const struct fs_ops fs_kinds = {
	.name = "kept",
	.probe = kinds_probe,
};
