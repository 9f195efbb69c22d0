/* SPDX-License-Identifier: Apache-2.0 */
/* FAT: recognition, opening, what a node is. */
#include "fs/fat.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/table.h"

/* The boot sector. */
struct fat_boot_disk {
	uint8_t jump[3];
	uint8_t oem[8];
	le16 sector;
	uint8_t cluster_sectors;
	le16 reserved;
	uint8_t nfats;
	le16 root_entries, total16;
	uint8_t media;
	le16 fat16_sectors, track, heads;
	le32 hidden, total32;
	union {
		struct {
			uint8_t drive, state, signature;
			le32 serial;
			uint8_t label[11], type[8];
		} v16;
		struct {
			le32 fat_sectors;
			le16 flags, version;
			le32 root_cluster;
			le16 info_sector, backup_sector;
			uint8_t reserved[12], drive, state, signature;
			le32 serial;
			uint8_t label[11], type[8];
		} v32;
	};
	uint8_t code[420];
	uint8_t magic[2];
};
_Static_assert(sizeof(struct fat_boot_disk) == 512, "fatgen103 p. 9");
_Static_assert(offsetof(struct fat_boot_disk, v32.type) == 82, "fatgen103");

/* Volume ID and state lie at one of two places. */
struct fat_tail {
	uint8_t state, signature;
	uint32_t serial;
};

static struct fat_tail tail(const struct fat_boot_disk *b, unsigned bits)
{
	return bits == 32 ? (struct fat_tail){ b->v32.state, b->v32.signature,
				    le32_get(b->v32.serial) }
			  : (struct fat_tail){ b->v16.state, b->v16.signature,
				    le32_get(b->v16.serial) };
}

static bool has_magic(const struct fat_boot_disk *b)
{
	return (b->magic[0] == 0x55 && b->magic[1] == 0xaa) ||
	       !memcmp(b->v16.type, "FAT", 3) || !memcmp(b->v32.type, "FAT", 3);
}

/* NO, without error: not a FAT boot sector. CORRUPT: one whose numbers
 * contradict each other. The order and the bounds are those of Linux. */
static int read_geometry(const struct fat_boot_disk *b, struct fat_geometry *g,
	bool *is_fat, struct error *e)
{
	uint32_t sector = le16_get(b->sector), total = le16_get(b->total16);
	uint32_t fat_sectors = le16_get(b->fat16_sectors);
	uint64_t reserved = le16_get(b->reserved), data;
	uint64_t root_sectors, entries;

	*is_fat = false;
	*g = (struct fat_geometry){ .sector = sector, .nfats = b->nfats };
	if (!has_magic(b) || sector < 512 || sector > 4096 ||
		!is_pow2(sector) || !is_pow2(b->cluster_sectors) || !reserved ||
		!b->nfats || (b->media < 0xf8 && b->media != 0xf0))
		return 0;
	if (!total)
		total = le32_get(b->total32);
	if (!fat_sectors) {
		fat_sectors = le32_get(b->v32.fat_sectors);
		g->bits = 32;
	}
	if (!fat_sectors || !total)
		return 0;
	*is_fat = true;
	g->cluster = sector * b->cluster_sectors;
	g->size = (uint64_t)total * sector;
	g->fat_off = reserved * sector;
	g->fat_len = (uint64_t)fat_sectors * sector;
	g->root_len = g->bits == 32 ? 0 : (uint64_t)le16_get(b->root_entries) * 32;
	root_sectors = div_ceil(g->root_len, sector);
	data = reserved + (uint64_t)g->nfats * fat_sectors; /* below 2^41 */
	g->root_off = data * sector;
	data += root_sectors;
	g->data_off = data * sector;
	if (data >= total)
		return error_at(e, ERR_CORRUPT, 11,
			"FAT boot sector: its tables end at sector %" PRIu64
			" of %" PRIu32,
			data, total);
	entries = (total - data) / b->cluster_sectors;
	if (!g->bits)
		g->bits = entries > 4084 ? 16 : 12;
	/* The table may be too short for all of them. */
	entries = u64_min(entries, g->fat_len * 8 / g->bits - 2);
	if (g->fat_len * 8 / g->bits < 3 || !entries ||
		entries > (g->bits == 12   ? 0xff4u
			   : g->bits == 16 ? 0xfff4u
					   : 0x0ffffff4u))
		return error_at(e, ERR_CORRUPT, 11,
			"FAT boot sector: %" PRIu64 " clusters with %u bits",
			entries, g->bits);
	g->clusters = (uint32_t)entries;
	if (g->bits == 32) {
		unsigned flags = le16_get(b->v32.flags);

		if (le16_get(b->v32.version))
			return error_at(e, ERR_UNSUPPORTED, 42,
				"FAT32 version %#x",
				(unsigned)le16_get(b->v32.version));
		g->root_cluster = le32_get(b->v32.root_cluster) & 0x0fffffff;
		/* Bit 7: the tables are no mirrors, one is in use. */
		if (flags & 0x80)
			g->active_fat = flags & 0xf;
		if (g->active_fat >= g->nfats)
			return error_at(e, ERR_CORRUPT, 40,
				"FAT boot sector: table %" PRIu32
				" of %" PRIu32 " is the active one",
				g->active_fat, g->nfats);
		if (!fat_is_cluster(g, g->root_cluster))
			return error_at(e, ERR_CORRUPT, 44,
				"FAT boot sector: the root directory starts at "
				"cluster %" PRIu32 " of %" PRIu32,
				g->root_cluster, g->clusters);
	} else if (!g->root_len) {
		return error_at(e, ERR_CORRUPT, 17,
			"FAT boot sector: no room for a root directory");
	}
	g->dirty = tail(b, g->bits).state & 1;
	return 0;
}

static void set_info(const struct fat_boot_disk *b, const struct fat_geometry *g,
	struct fs_info *out)
{
	struct fat_tail t = tail(b, g->bits);

	*out = (struct fs_info){ .devices = 1,
		.size = g->size,
		.block_size = g->cluster };
	memcpy(out->type, "vfat", 5);
	if ((t.signature == 0x28 || t.signature == 0x29) && t.serial)
		snprintf(out->uuid, sizeof(out->uuid), "%04X-%04X",
			(unsigned)(t.serial >> 16),
			(unsigned)(t.serial & 0xffff));
}

/* Only the root directory's label counts, as with blkid, udev, Windows and
 * fatlabel: the one in the boot sector stays behind when that is erased. */
static void set_label(struct fat *f, struct fs_info *out)
{
	uint8_t label[11];
	size_t n = sizeof(label);

	if (!fat_find_label(f, label))
		return;
	if (label[0] == 0x05)
		label[0] = 0xe5;
	for (size_t i = 0; i < n; i++)
		if (label[i] < ' ')
			n = i;
	while (n && label[n - 1] == ' ')
		n--;
	out->label[fat_cp437(label, n, false, (uint8_t *)out->label)] = 0;
}

static void release(struct fat *f)
{
	free(f->window);
	source_unref(f->cache);
	source_unref(f->dev);
	free(f);
}
DEFINE_CLEANUP_PTR(fat, struct fat, release)

static int make(struct source *src, const struct finding_sink *findings,
	struct fat **out, bool *is_fat, struct error *e)
{
	CLEANUP(cleanup_fat) struct fat *f = NULL;
	struct fat_boot_disk b;
	int r;

	*is_fat = false;
	if (src->size < sizeof(b))
		return error_set(e, ERR_CORRUPT, "too small for FAT");
	r = source_pread(src, &b, sizeof(b), 0, e);
	if (r)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem(e);
	r = read_geometry(&b, &f->g, is_fat, e);
	if (r)
		return r;
	if (!*is_fat)
		return error_at(e, ERR_CORRUPT, 0, "not a FAT boot sector");
	if (findings)
		f->findings = *findings;
	f->dev = source_ref(src);
	f->window = malloc(FAT_WINDOW);
	if (!f->window)
		return error_nomem(e);
	r = source_cache(src, 4096, 1 * MIB, &f->cache, e);
	if (r)
		return r;
	set_info(&b, &f->g, &f->fs.info);
	set_label(f, &f->fs.info);
	*out = steal_ptr(f);
	return 0;
}

static enum fs_verdict fat_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	CLEANUP(cleanup_fat) struct fat *f = NULL;
	bool is_fat;

	if (make(src, NULL, &f, &is_fat, e)) {
		if (!is_fat)
			return FS_NO;
		memcpy(out->type, "vfat", 5);
		return FS_UNSURE;
	}
	*out = f->fs.info;
	return FS_YES;
}

static int fat_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_fat) struct fat *f = NULL;
	uint32_t clean = 0;
	bool is_fat;
	int r;

	r = make(args->devs[0], args->findings, &f, &is_fat, e);
	if (r)
		return r;
	f->fs.ops = &fs_fat;
	f->fs.root = FAT_ROOT_ID;
	if (f->g.size > f->dev->size)
		finding_report(&f->findings, FINDING_FS_TRUNCATED,
			FINDING_NO_OFFSET, NULL,
			"%" PRIu64 " bytes in a volume of %" PRIu64, f->g.size,
			f->dev->size);
	/* The second entry of the table has bits for "cleanly unmounted" and
	 * "no read errors" (fatgen103 p. 17). */
	if (f->g.bits != 12 && !fat_get(f, 1, &clean, NULL) &&
		!(clean & (f->g.bits == 16 ? 0x8000 : 0x08000000)))
		f->g.dirty = true;
	if (f->g.dirty)
		finding_report(&f->findings, FINDING_FS_DIRTY,
			f->g.bits == 32 ? 65 : 37, NULL,
			"the dirty bit is set");
	fat_compare_copies(f);
	*out = &steal_ptr(f)->fs;
	return 0;
}

static void fat_close(struct fs *fs)
{
	release((struct fat *)fs);
}

uint32_t fat_entry_start(const struct fat *f, const struct fat_entry_disk *d)
{
	uint32_t start = le16_get(d->start_low);

	if (f->g.bits == 32)
		start |= (uint32_t)le16_get(d->start_high) << 16;
	return start;
}

int fat_entry(struct fat *f, uint64_t id, struct fat_entry_disk *out,
	struct error *e)
{
	int r;

	if (id % sizeof(*out) || id < f->g.root_off)
		return error_set(e, ERR_NOTFOUND, "no FAT entry %" PRIu64, id);
	r = source_pread(f->cache, out, sizeof(*out), id, e);
	if (r == ERR_RANGE)
		r = ERR_NOTFOUND;
	if (r)
		return r;
	if (!out->name[0] || out->name[0] == 0xe5 ||
		(out->attr & FAT_ATTR_VOLUME))
		return error_at(e, ERR_NOTFOUND, id,
			"no FAT entry in use at %" PRIu64, id);
	return 0;
}

int64_t fat_time(uint16_t date, uint16_t time)
{
	static const uint16_t days[16] = { 0, 0, 31, 59, 90, 120, 151, 181, 212,
		243, 273, 304, 334, 0, 0, 0 };
	int64_t year = date >> 9, month = date >> 5 & 0xf, day = date & 0x1f;
	int64_t leap = (year + 3) / 4;

	if (!month)
		month = 1;
	if (!day)
		day = 1;
	if (year > 120) /* 2100 is no leap year */
		leap--;
	if (year % 4 == 0 && year != 120 && month > 2)
		leap++;
	return (time & 0x1f) * 2 + (time >> 5 & 0x3f) * 60 +
	       (time >> 11) * 3600 +
	       (year * 365 + leap + days[month] + day - 1 + 3652) * 86400;
}

static int fat_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct fat *f = (struct fat *)fs;
	struct fs_node n = { .id = id, .nlink = 1, .mode = 0755, .type = FS_DIR };
	struct fat_entry_disk d;
	int r;

	if (id != FAT_ROOT_ID) {
		r = fat_entry(f, id, &d, e);
		if (r)
			return r;
		n.mtime = fat_time(le16_get(d.mdate), le16_get(d.mtime));
		if (!(d.attr & FAT_ATTR_DIR)) {
			n.type = FS_FILE;
			n.size = le32_get(d.size);
			/* Folders keep it: Windows uses the bit for itself. */
			if (d.attr & FAT_ATTR_RO)
				n.mode = 0555;
		}
	}
	*out = n;
	return 0;
}

static int file_entry(struct fat *f, uint64_t id, struct fat_entry_disk *d,
	struct error *e)
{
	int r;

	if (id == FAT_ROOT_ID)
		return error_set(e, ERR_ARG, "the root directory is no file");
	r = fat_entry(f, id, d, e);
	if (!r && (d->attr & FAT_ATTR_DIR))
		r = error_set(e, ERR_ARG, "FAT entry %" PRIu64 " is no file",
			id);
	return r;
}

static int fat_file_extents(struct fs *fs, uint64_t id, fs_extent_fn fn,
	void *ctx, struct error *e)
{
	struct fat *f = (struct fat *)fs;
	struct fat_entry_disk d;
	struct error err = { 0 };
	int r;

	r = file_entry(f, id, &d, e);
	if (r)
		return r;
	r = fat_extents(f, fat_entry_start(f, &d), le32_get(d.size), fn, ctx,
		&err);
	if (r && err.code) {
		finding_report(&f->findings, FINDING_FILE_DAMAGED, id, NULL,
			"%s", err.msg);
		if (e)
			*e = err;
	}
	return r;
}

static int fat_file_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct fat *f = (struct fat *)fs;
	struct fat_entry_disk d;
	int r;

	r = file_entry(f, id, &d, e);
	if (r)
		return r;
	if (!range_inside(off, len, le32_get(d.size)))
		return fs_outside(e, len, off, le32_get(d.size));
	return fat_pread(f, id, fat_entry_start(f, &d), buf, len, off, e);
}

static int fat_readlink(struct fs *fs ATTR_UNUSED, uint64_t id,
	struct buf *out ATTR_UNUSED, struct error *e)
{
	return error_set(e, ERR_ARG, "FAT entry %" PRIu64 " is no symlink", id);
}

const struct fs_ops fs_fat = {
	.name = "fat",
	.probe = fat_probe,
	.open = fat_open,
	.close = fat_close,
	.stat = fat_stat,
	.readdir = fat_readdir,
	.readlink = fat_readlink,
	.extents = fat_file_extents,
	.pread = fat_file_pread,
	.free_space = fat_free_space,
};
