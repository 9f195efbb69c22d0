/* SPDX-License-Identifier: Apache-2.0 */
/* The superblock of ext2/3/4 and its copies. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"

/* What this reader knows: all that libext2fs knows, which excludes the
 * compression of e2compr and Lustre's dirdata. */
#define KNOWN_INCOMPAT                                                         \
	((uint32_t)(EXT_INCOMPAT_FILETYPE | EXT_INCOMPAT_RECOVER |             \
		    EXT_INCOMPAT_META_BG | EXT_INCOMPAT_EXTENTS |              \
		    EXT_INCOMPAT_64BIT | EXT_INCOMPAT_MMP |                    \
		    EXT_INCOMPAT_FLEX_BG | EXT_INCOMPAT_EA_INODE |             \
		    EXT_INCOMPAT_CSUM_SEED | EXT_INCOMPAT_LARGEDIR |           \
		    EXT_INCOMPAT_INLINE_DATA | EXT_INCOMPAT_ENCRYPT |          \
		    EXT_INCOMPAT_CASEFOLD))

/* Of ext3: what is beyond makes it ext4 (as libblkid has it). */
#define EXT3_INCOMPAT                                                          \
	((uint32_t)(EXT_INCOMPAT_FILETYPE | EXT_INCOMPAT_RECOVER |             \
		    EXT_INCOMPAT_META_BG))
#define EXT3_RO                                                                \
	((uint32_t)(EXT_RO_SPARSE_SUPER | EXT_RO_LARGE_FILE | EXT_RO_BTREE_DIR))

static int bad(struct error *e, uint64_t off, const char *field, uint64_t v)
{
	return error_at(e, ERR_CORRUPT, off,
		"ext superblock: %s is %" PRIu64 ", which cannot be", field, v);
}

static int check_geometry(const struct ext_super *sb, uint64_t off,
	struct ext_geometry *g, struct error *e)
{
	uint32_t log_bs = le32_get(sb->log_block_size);
	uint32_t log_cs = le32_get(sb->log_cluster_size);
	uint32_t cpg = le32_get(sb->clusters_per_group);
	uint64_t bits, per_block, groups;

	if (log_bs > 6)
		return bad(e, off, "s_log_block_size", log_bs);
	g->block_size = 1024u << log_bs;
	bits = (uint64_t)g->block_size * 8;
	g->first_block = le32_get(sb->first_data_block);
	if (g->first_block > 1)
		return bad(e, off, "s_first_data_block", g->first_block);
	g->blocks = le32_get(sb->blocks_count_lo);
	if (g->incompat & EXT_INCOMPAT_64BIT)
		g->blocks |= (uint64_t)le32_get(sb->blocks_count_hi) << 32;
	if (g->blocks <= g->first_block ||
		!u64_mul(g->blocks, g->block_size, &g->bytes) ||
		g->bytes > LIMIT_DISK_SIZE)
		return bad(e, off, "s_blocks_count", g->blocks);
	if (log_cs < log_bs || log_cs > 20 ||
		(log_cs != log_bs && !(g->ro_compat & EXT_RO_BIGALLOC)))
		return bad(e, off, "s_log_cluster_size", log_cs);
	g->cluster_blocks = 1u << (log_cs - log_bs);
	g->blocks_per_group = le32_get(sb->blocks_per_group);
	if (!g->blocks_per_group || !cpg || cpg > bits ||
		(uint64_t)cpg << (log_cs - log_bs) != g->blocks_per_group)
		return bad(e, off, "s_blocks_per_group", g->blocks_per_group);
	g->inode_size = EXT_INODE_OLD_SIZE;
	g->first_ino = EXT_INO_FIRST_OLD;
	if (le32_get(sb->rev_level) > 0) {
		g->inode_size = le16_get(sb->inode_size);
		g->first_ino = le32_get(sb->first_ino);
	}
	if (!is_pow2(g->inode_size) || g->inode_size < EXT_INODE_OLD_SIZE ||
		g->inode_size > g->block_size)
		return bad(e, off, "s_inode_size", g->inode_size);
	if (g->first_ino < EXT_INO_FIRST_OLD)
		return bad(e, off, "s_first_ino", g->first_ino);
	g->inodes_per_group = le32_get(sb->inodes_per_group);
	per_block = g->block_size / g->inode_size;
	if (g->inodes_per_group < per_block || g->inodes_per_group > bits)
		return bad(e, off, "s_inodes_per_group", g->inodes_per_group);
	groups = div_ceil(g->blocks - g->first_block, g->blocks_per_group);
	if (groups > LIMIT_EXT_GROUPS)
		return error_at(e, ERR_LIMIT, off,
			"ext superblock: %" PRIu64 " block groups, more than %u",
			groups, LIMIT_EXT_GROUPS);
	g->groups = (uint32_t)groups;
	g->inodes = le32_get(sb->inodes_count);
	if ((uint64_t)g->inodes != groups * g->inodes_per_group)
		return bad(e, off, "s_inodes_count", g->inodes);
	if (g->incompat & EXT_INCOMPAT_64BIT) {
		uint16_t d = le16_get(sb->desc_size);

		if (d < 64 || d > 1024 || !is_pow2(d))
			return bad(e, off, "s_desc_size", d);
	}
	return 0;
}

int ext_super_read(struct source *src, uint64_t off, struct ext_geometry *out,
	struct error *e)
{
	struct ext_geometry g;
	struct ext_super *sb = &g.super;
	uint32_t unknown;
	int r;

	memset(&g, 0, sizeof(g));
	r = source_pread(src, sb, sizeof(*sb), off, e);
	if (r)
		return r;
	if (le16_get(sb->magic) != EXT_MAGIC)
		return error_at(e, ERR_CORRUPT, off + 0x38,
			"no ext superblock: s_magic is %#x",
			le16_get(sb->magic));
	if (le32_get(sb->rev_level) > 0) {
		g.compat = le32_get(sb->feature_compat);
		g.incompat = le32_get(sb->feature_incompat);
		g.ro_compat = le32_get(sb->feature_ro_compat);
	}
	if (g.ro_compat & EXT_RO_METADATA_CSUM) {
		uint32_t want = le32_get(sb->checksum);

		if (sb->checksum_type != 1)
			return bad(e, off, "s_checksum_type",
				sb->checksum_type);
		if (crc32c_update(UINT32_MAX, sb,
			    offsetof(struct ext_super, checksum)) != want)
			return error_at(e, ERR_CORRUPT, off + 0x3fc,
				"ext superblock: its checksum is wrong");
		g.csum_seed = g.incompat & EXT_INCOMPAT_CSUM_SEED
				      ? le32_get(sb->checksum_seed)
				      : crc32c_update(UINT32_MAX, sb->uuid,
						sizeof(sb->uuid));
	}
	if (g.incompat & EXT_INCOMPAT_JOURNAL_DEV)
		return error_at(e, ERR_UNSUPPORTED, off,
			"it is an external journal of ext3 or ext4");
	unknown = g.incompat & ~KNOWN_INCOMPAT;
	if (unknown)
		return error_at(e, ERR_UNSUPPORTED, off + 0x60,
			"ext superblock: unknown incompatible features %#x",
			unknown);
	r = check_geometry(sb, off, &g, e);
	if (r)
		return r;
	*out = g;
	return 0;
}

/* Copies are at the start of groups 1, 3, 5, 7, 9 and more; mke2fs makes
 * groups of 8 x block size blocks (65528 for 64 KiB). Group 1 of each block
 * size, then group 3, with 4 KiB first, as nearly all are. */
bool ext_super_backup(const struct source *src, unsigned n, uint64_t *out_off,
	uint32_t *out_group, uint32_t *out_block_size)
{
	static const uint32_t sizes[] = { 4096, 1024, 2048, 65536, 8192, 16384,
		32768 };
	static const uint32_t groups[] = { 1, 3, 5 };
	uint32_t bs, per_group;

	(void)src;
	if (n >= ARRAY_LEN(sizes) * ARRAY_LEN(groups))
		return false;
	bs = sizes[n % ARRAY_LEN(sizes)];
	*out_group = groups[n / ARRAY_LEN(sizes)];
	*out_block_size = bs;
	per_group = bs == 65536 ? 65528 : bs * 8;
	*out_off = (uint64_t)*out_group * per_group * bs + (bs == 1024 ? bs : 0);
	return true;
}

int ext_super_read_backup(struct source *src, unsigned n,
	struct ext_geometry *out, struct error *e)
{
	uint64_t off;
	uint32_t group, bs;
	int r;

	if (!ext_super_backup(src, n, &off, &group, &bs))
		return error_set(e, ERR_NOTFOUND, "no more copies");
	r = ext_super_read(src, off, out, e);
	if (r)
		return r;
	/* A superblock of a file system inside a file, or of one that was
	 * here before, is not a copy. */
	if (out->block_size != bs ||
		le16_get(out->super.block_group_nr) != group ||
		off != (out->first_block +
			       (uint64_t)group * out->blocks_per_group) *
				bs)
		return error_at(e, ERR_CORRUPT, off,
			"ext superblock: not a copy of group %u", group);
	out->super_blk = off / bs;
	return 0;
}

/* A label is bytes; what is not UTF-8 becomes '?'. */
static void put_label(const uint8_t *p, size_t max, char *out)
{
	size_t i = 0;

	while (i < max && p[i]) {
		size_t n = p[i] < 0x80	  ? 1
			   : p[i] >= 0xf0 ? (p[i] < 0xf5 ? 4 : 0)
			   : p[i] >= 0xe0 ? 3
			   : p[i] >= 0xc2 ? 2
					  : 0;
		bool ok = n && n <= max - i;

		for (size_t k = 1; ok && k < n; k++)
			ok = (p[i + k] & 0xc0) == 0x80;
		if (ok && n == 3)
			ok = !(p[i] == 0xe0 && p[i + 1] < 0xa0) &&
			     !(p[i] == 0xed && p[i + 1] > 0x9f);
		if (ok && n == 4)
			ok = !(p[i] == 0xf0 && p[i + 1] < 0x90) &&
			     !(p[i] == 0xf4 && p[i + 1] > 0x8f);
		if (!ok) {
			*out++ = '?';
			i++;
			continue;
		}
		memcpy(out, p + i, n);
		out += n;
		i += n;
	}
	*out = 0;
}

void ext_super_info(const struct ext_super *sb, uint64_t bytes,
	uint32_t block_size, struct fs_info *out)
{
	bool dynamic = le32_get(sb->rev_level) > 0;
	uint32_t compat = dynamic ? le32_get(sb->feature_compat) : 0;
	uint32_t incompat = dynamic ? le32_get(sb->feature_incompat) : 0;
	uint32_t ro = dynamic ? le32_get(sb->feature_ro_compat) : 0;
	static const uint8_t none[16];
	const uint8_t *u = sb->uuid;
	const char *type = "ext2";

	if (incompat & EXT_INCOMPAT_JOURNAL_DEV)
		type = "jbd";
	else if ((incompat & ~EXT3_INCOMPAT) || (ro & ~EXT3_RO))
		type = "ext4";
	else if (compat & EXT_COMPAT_HAS_JOURNAL)
		type = "ext3";
	memset(out, 0, sizeof(*out));
	snprintf(out->type, sizeof(out->type), "%s", type);
	if (memcmp(u, none, sizeof(none)) != 0)
		snprintf(out->uuid, sizeof(out->uuid),
			"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
			"%02x%02x%02x%02x%02x%02x",
			u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
			u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	put_label(sb->volume_name, sizeof(sb->volume_name), out->label);
	out->devices = 1;
	out->size = bytes;
	out->block_size = block_size;
}

enum fs_verdict ext_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct ext_geometry g;
	struct ext_super sb;
	bool magic;
	int r, code;

	code = ext_super_read(src, EXT_SUPER_OFFSET, &g, e);
	if (!code) {
		ext_super_info(&g.super, g.bytes, g.block_size, out);
		return FS_YES;
	}
	if (source_pread(src, &sb, sizeof(sb), EXT_SUPER_OFFSET, NULL)) {
		if (src->size < EXT_SUPER_OFFSET + EXT_SUPER_SIZE)
			return FS_NO;
		magic = false;
	} else {
		magic = le16_get(sb.magic) == EXT_MAGIC;
		/* Valid, but not to be read: it is known what it is. */
		if (magic && code == ERR_UNSUPPORTED) {
			ext_super_info(&sb, 0, 0, out);
			return FS_YES;
		}
	}
	for (unsigned n = 0;; n++) {
		r = ext_super_read_backup(src, n, &g, NULL);
		if (r == ERR_NOTFOUND)
			break;
		if (r)
			continue;
		ext_super_info(&g.super, g.bytes, g.block_size, out);
		/* A copy without its first superblock may be left over from a
		 * file system that was replaced. */
		if (magic)
			return FS_YES;
		error_at(e, ERR_CORRUPT, EXT_SUPER_OFFSET,
			"no ext superblock, but a copy of one at byte %" PRIu64,
			g.super_blk * g.block_size);
		return FS_UNSURE;
	}
	if (!magic || code == ERR_RANGE)
		return code == ERR_IO ? FS_UNSURE : FS_NO;
	ext_super_info(&sb, 0, 0, out);
	return FS_UNSURE;
}
