/* SPDX-License-Identifier: Apache-2.0 */
/* XFS superblocks: the first one, its copies at the start of every other
 * allocation group, and the geometry that all else rests on. */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"

#define SECTOR_MIN 512u
#define SECTOR_MAX 32768u
#define BLOCK_MIN 512u
#define INODE_MIN 256u
/* XFS_MIN_AG_BLOCKS: what mkfs and the kernel accept at the least. */
#define AG_BLOCKS_MIN 64u
/* Copies that are looked at for one that knows the root inode (mkfs writes it
 * into the last and the middle one, growfs into all). */
#define BACKUPS_MAX 64u

uint32_t xfs_crc(const uint8_t *data, size_t len, size_t crc_at)
{
	static const uint8_t zero[4];
	uint32_t r = crc32c_update(UINT32_MAX, data, crc_at);

	r = crc32c_update(r, zero, 4);
	return ~crc32c_update(r, data + crc_at + 4, len - crc_at - 4);
}

bool xfs_crc_ok(const uint8_t *data, size_t len, size_t crc_at)
{
	return xfs_crc(data, len, crc_at) == get_le32(data + crc_at);
}

uint32_t xfs_ag_blocks(const struct xfs_geo *g, uint32_t agno)
{
	if (agno + 1 < g->agcount)
		return g->agblocks;
	/* parse() checked that the last one has from 1 to agblocks */
	return (uint32_t)(g->dblocks -
			  (uint64_t)g->agblocks * (g->agcount - 1));
}

bool xfs_ag_offset(const struct xfs_geo *g, uint64_t agno, uint64_t agbno,
	uint64_t *out)
{
	if (agno >= g->agcount || agbno >= xfs_ag_blocks(g, (uint32_t)agno))
		return false;
	*out = (agno * g->agblocks + agbno) << g->blocklog;
	return true;
}

bool xfs_fsb_offset(const struct xfs_geo *g, uint64_t fsb, uint64_t count,
	uint64_t *out)
{
	uint64_t agno = fsb >> g->agblklog;
	uint64_t agbno = fsb & ((UINT64_C(1) << g->agblklog) - 1);

	return xfs_ag_offset(g, agno, agbno, out) &&
	       count <= xfs_ag_blocks(g, (uint32_t)agno) - agbno;
}

static unsigned log2_ceil(uint64_t v)
{
	unsigned n = 0;

	while (n < 63 && UINT64_C(1) << n < v)
		n++;
	return n;
}

static bool size_ok(uint32_t v, unsigned log, uint32_t min, uint32_t max)
{
	return v >= min && v <= max && log < 32 && v == UINT32_C(1) << log;
}

static bool ino_ok(const struct xfs_geo *g, uint64_t ino)
{
	uint64_t off;

	return xfs_fsb_offset(g, ino >> g->inopblog, 1, &off);
}

/* Which features it has; UNSUPPORTED where one is unknown. */
static int features(const struct xfs_dsb *d, uint64_t at, struct xfs_geo *g,
	struct error *e)
{
	uint16_t version = be16_get(d->version);
	/* An old kernel wrote the second word at a wrong place on 64 bits. */
	uint32_t f2 = be32_get(d->features2) | be32_get(d->bad_features2);
	unsigned number = version & XFS_VERSION_MASK;

	if (number < 4 || number > 5)
		return error_at(e, ERR_UNSUPPORTED, at,
			"xfs: version %u is not read", number);
	g->v5 = number == 5;
	g->logv2 = version & XFS_VERSION_LOGV2;
	if (g->v5) {
		g->incompat = be32_get(d->incompat);
		g->ftype = g->incompat & XFS_INCOMPAT_FTYPE;
		g->needs_repair = g->incompat & XFS_INCOMPAT_NEEDSREPAIR;
		g->log_incompat = be32_get(d->log_incompat);
		if (g->incompat & ~(uint32_t)XFS_INCOMPAT_KNOWN)
			return error_at(e, ERR_UNSUPPORTED, at,
				"xfs: unknown incompatible features %#x",
				g->incompat & ~(uint32_t)XFS_INCOMPAT_KNOWN);
		return 0;
	}
	if (!(version & XFS_VERSION_MOREBITS))
		f2 = 0;
	g->ftype = f2 & XFS_FEATURES2_FTYPE;
	if (!(version & XFS_VERSION_DIRV2) || version & ~XFS_VERSION_KNOWN ||
		f2 & ~(uint32_t)XFS_FEATURES2_KNOWN)
		return error_at(e, ERR_UNSUPPORTED, at,
			"xfs: version 4 features %#x, %#x are not read",
			version, f2);
	return 0;
}

static int bad(struct error *e, uint64_t at, const char *field, uint64_t value)
{
	return error_at(e, ERR_CORRUPT, at,
		"xfs: superblock: %s is %" PRIu64, field, value);
}

/* Fields to geometry. NOTFOUND: no magic. CORRUPT, UNSUPPORTED. */
static int parse(const struct xfs_dsb *d, uint64_t at, struct xfs_geo *g,
	struct error *e)
{
	uint64_t bytes, rest;

	memset(g, 0, sizeof(*g));
	if (be32_get(d->magic) != XFS_SB_MAGIC)
		return error_at(e, ERR_NOTFOUND, at, "xfs: no superblock");
	g->blocksize = be32_get(d->blocksize);
	g->blocklog = d->blocklog;
	g->sectsize = be16_get(d->sectsize);
	g->inodesize = be16_get(d->inodesize);
	g->inodelog = d->inodelog;
	g->inopblog = d->inopblog;
	g->agblocks = be32_get(d->agblocks);
	g->agcount = be32_get(d->agcount);
	g->agblklog = d->agblklog;
	g->dblocks = be64_get(d->dblocks);
	g->logstart = be64_get(d->logstart);
	g->logblocks = be32_get(d->logblocks);
	memcpy(g->uuid, d->uuid, 16);
	memcpy(g->label, d->fname, 12);
	if (!size_ok(g->blocksize, g->blocklog, BLOCK_MIN, LIMIT_FS_BLOCK))
		return bad(e, at, "blocksize", g->blocksize);
	if (!size_ok(g->sectsize, d->sectlog, SECTOR_MIN, SECTOR_MAX))
		return bad(e, at, "sectsize", g->sectsize);
	if (!u64_mul(g->dblocks, g->blocksize, &bytes) ||
		bytes > LIMIT_DISK_SIZE || !g->dblocks)
		return bad(e, at, "dblocks", g->dblocks);
	g->size = bytes;
	if (features(d, at, g, e))
		return ERR_UNSUPPORTED;
	if (!size_ok(g->inodesize, g->inodelog, INODE_MIN, XFS_MAX_INODE) ||
		g->inodesize > g->blocksize || (g->v5 && g->inodesize < 512))
		return bad(e, at, "inodesize", g->inodesize);
	if (g->inopblog != g->blocklog - g->inodelog)
		return bad(e, at, "inopblog", g->inopblog);
	if (g->agblocks < AG_BLOCKS_MIN)
		return bad(e, at, "agblocks", g->agblocks);
	if (g->agblklog > 31 || g->agblklog != log2_ceil(g->agblocks))
		return bad(e, at, "agblklog", g->agblklog);
	if (!g->agcount ||
		!u64_sub(g->dblocks,
			(uint64_t)g->agblocks * (g->agcount - 1), &rest) ||
		!rest || rest > g->agblocks)
		return bad(e, at, "agcount", g->agcount);
	if (d->dirblklog > 16 || g->blocklog + d->dirblklog > 16)
		return bad(e, at, "dirblklog", d->dirblklog);
	g->dirblksize = UINT32_C(1) << (g->blocklog + d->dirblklog);
	/* The copies keep what mkfs wrote at first. */
	if (d->inprogress && !at)
		return bad(e, at, "inprogress (mkfs did not finish)",
			d->inprogress);
	if (g->logstart &&
		!xfs_fsb_offset(g, g->logstart, g->logblocks, &bytes))
		return bad(e, at, "logstart", g->logstart);
	memcpy(g->meta_uuid,
		g->v5 && g->incompat & XFS_INCOMPAT_META_UUID ? d->meta_uuid
							      : d->uuid,
		16);
	g->rootino = be64_get(d->rootino);
	g->hidden[0] = be64_get(d->uquotino);
	g->hidden[1] = be64_get(d->gquotino);
	g->hidden[2] = g->v5 ? be64_get(d->pquotino) : XFS_NULL_INO;
	g->hidden[3] = be64_get(d->rbmino);
	g->hidden[4] = be64_get(d->rsumino);
	if (!ino_ok(g, g->rootino))
		return bad(e, at, "rootino", g->rootino);
	return 0;
}

/* One superblock, with its checksum. As parse(), and IO, RANGE. */
static int read_one(struct source *src, uint64_t at, struct xfs_geo *g,
	bool *crc_ok, struct error *e)
{
	uint8_t buf[SECTOR_MAX];
	int r;

	*crc_ok = false;
	r = source_pread(src, buf, SECTOR_MIN, at, e);
	if (r)
		return r;
	r = parse((const struct xfs_dsb *)buf, at, g, e);
	if (r && r != ERR_UNSUPPORTED)
		return r;
	if (!g->v5)
		*crc_ok = true;
	else if (!source_pread(src, buf, g->sectsize, at, NULL))
		*crc_ok = xfs_crc_ok(buf, g->sectsize, XFS_DSB_CRC_AT);
	return r;
}

/* --- backups --- */

/* A copy in the AG layout that has so many blocks of that size in an AG, as
 * read_one(); the one that knows the root inode is preferred. */
static int read_backup(struct source *src, uint32_t agblocks,
	uint32_t blocksize, struct xfs_geo *g, uint64_t *out_at)
{
	uint64_t step = (uint64_t)agblocks * blocksize, count;
	int r = ERR_NOTFOUND;

	if (agblocks < AG_BLOCKS_MIN || src->size <= step)
		return ERR_NOTFOUND;
	count = div_ceil(src->size, step);
	for (uint64_t i = 1; i < u64_min(count, BACKUPS_MAX); i++) {
		/* the last, the middle one, then all from the first on */
		uint64_t ag = i == 1 ? count - 1 : i == 2 ? count / 2 : i - 2;
		bool crc_ok;

		if (!ag)
			continue;
		r = read_one(src, ag * step, g, &crc_ok, NULL);
		if ((r && r != ERR_UNSUPPORTED) || !crc_ok ||
			g->agblocks != agblocks || g->blocksize != blocksize) {
			r = ERR_NOTFOUND;
			continue;
		}
		*out_at = ag * step;
		return r;
	}
	return r;
}

/* Are there AG headers behind a first sector that is damaged? Their length
 * field tells the size of an AG. */
static bool find_ag_headers(struct source *src, uint32_t *out_agblocks)
{
	for (uint32_t s = SECTOR_MIN; s <= SECTOR_MAX; s *= 2) {
		struct xfs_dagf agf;
		struct xfs_dagi agi;

		if (!source_pread(src, &agf, sizeof(agf), s, NULL) &&
			be32_get(agf.magic) == XFS_AGF_MAGIC &&
			!be32_get(agf.seqno) &&
			!source_pread(src, &agi, sizeof(agi), 2 * s, NULL) &&
			be32_get(agi.magic) == XFS_AGI_MAGIC) {
			*out_agblocks = be32_get(agf.length);
			return true;
		}
	}
	return false;
}

static int find_backup(struct source *src, struct xfs_geo *g,
	uint64_t *out_at, bool *is_xfs)
{
	uint32_t sizes[2] = { 0 };
	struct xfs_dsb d;
	int r = ERR_NOTFOUND;

	if (!source_pread(src, &d, sizeof(d), 0, NULL) &&
		be32_get(d.magic) == XFS_SB_MAGIC) {
		sizes[0] = be32_get(d.agblocks);
		*is_xfs = true;
	}
	if (find_ag_headers(src, &sizes[1]))
		*is_xfs = true;
	for (int i = 0; i < 2; i++)
		for (uint32_t b = BLOCK_MIN; b <= LIMIT_FS_BLOCK; b *= 2) {
			r = read_backup(src, sizes[i], b, g, out_at);
			if (r != ERR_NOTFOUND)
				return r;
		}
	return r;
}

int xfs_super_read(struct source *src, struct xfs_geo *out,
	struct xfs_super_state *st, struct error *e)
{
	struct xfs_geo copy;
	bool crc_ok, is_xfs = false;
	uint64_t at = 0;
	int r, rb;

	memset(st, 0, sizeof(*st));
	r = read_one(src, 0, out, &crc_ok, &st->first);
	if (crc_ok && (!r || r == ERR_UNSUPPORTED)) {
		if (r && e)
			*e = st->first;
		return r;
	}
	if (!r)
		error_at(&st->first, ERR_CORRUPT, 0,
			"xfs: superblock: the checksum is wrong");
	rb = find_backup(src, &copy, &at, &is_xfs);
	if (!rb) {
		*out = copy;
		st->backup = true;
		st->at = at;
		return 0;
	}
	if (!r) {
		st->bad_crc = true;
		return 0;
	}
	if (r == ERR_NOTFOUND && is_xfs)
		r = error_set(&st->first, ERR_CORRUPT,
			"xfs: the first superblock is damaged and no copy "
			"was found");
	if (e)
		*e = st->first;
	return r == ERR_RANGE ? ERR_NOTFOUND : r;
}

/* --- probing --- */

static void uuid_text(const uint8_t u[16], char out[40])
{
	char *p = out;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += snprintf(p, 3, "%02x", u[i]);
	}
}

void xfs_fill_info(const struct xfs_geo *g, struct fs_info *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->type, sizeof(out->type), "xfs");
	uuid_text(g->uuid, out->uuid);
	snprintf(out->label, sizeof(out->label), "%s", g->label);
	out->devices = 1;
	out->size = g->size;
	out->block_size = g->blocksize;
}

enum fs_verdict xfs_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct xfs_super_state st;
	struct xfs_geo g;
	int r = xfs_super_read(src, &g, &st, e);

	if (r == ERR_NOTFOUND)
		return FS_NO;
	if (!r || r == ERR_UNSUPPORTED || r == ERR_CORRUPT)
		xfs_fill_info(&g, out);
	return r && r != ERR_UNSUPPORTED ? FS_UNSURE : FS_YES;
}
