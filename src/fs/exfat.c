/* SPDX-License-Identifier: Apache-2.0 */
/* exFAT: recognition, opening, content, free space. */
#include "fs/exfat.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/table.h"

/* Section 3.1. */
struct exfat_boot_disk {
	uint8_t jump[3];
	uint8_t name[8];
	uint8_t zero[53];
	le64 partition_off, volume_sectors;
	le32 fat_off, fat_sectors, heap_off, clusters, root_cluster, serial;
	le16 revision, flags;
	uint8_t sector_shift, cluster_shift, nfats, drive, percent;
	uint8_t reserved[7];
	uint8_t code[390];
	uint8_t magic[2];
};
_Static_assert(sizeof(struct exfat_boot_disk) == 512, "exFAT 3.1");

#define FLAG_ACTIVE_FAT 1
#define FLAG_DIRTY 2

static bool has_magic(const struct exfat_boot_disk *b)
{
	return !memcmp(b->name, "EXFAT   ", 8) && b->magic[0] == 0x55 &&
	       b->magic[1] == 0xaa;
}

static int read_geometry(const struct exfat_boot_disk *b, uint64_t at,
	struct fat_geometry *g, struct error *e)
{
	unsigned shift = b->sector_shift, flags = le16_get(b->flags);
	uint64_t sectors = le64_get(b->volume_sectors), heap_end;
	uint64_t fat_end, heap = le32_get(b->heap_off);

	*g = (struct fat_geometry){ .bits = 32, .exfat = true };
	if (shift < 9 || shift > 12 || b->cluster_shift > 25 - shift)
		return error_at(e, ERR_CORRUPT, at + 108,
			"exFAT boot sector: sectors of 2^%u, clusters of 2^%u "
			"sectors",
			shift, (unsigned)b->cluster_shift);
	if (le16_get(b->revision) >> 8 != 1)
		return error_at(e, ERR_UNSUPPORTED, at + 104,
			"exFAT revision %#x", (unsigned)le16_get(b->revision));
	if (b->nfats < 1 || b->nfats > 2 ||
		(flags & FLAG_ACTIVE_FAT && b->nfats < 2))
		return error_at(e, ERR_CORRUPT, at + 110,
			"exFAT boot sector: %u FATs, flags %#x",
			(unsigned)b->nfats, flags);
	g->sector = 1u << shift;
	g->cluster = g->sector << b->cluster_shift;
	g->nfats = b->nfats;
	g->active_fat = flags & FLAG_ACTIVE_FAT;
	g->fat_off = (uint64_t)le32_get(b->fat_off) << shift;
	g->fat_len = (uint64_t)le32_get(b->fat_sectors) << shift;
	g->data_off = heap << shift;
	g->root_off = g->data_off;
	g->clusters = le32_get(b->clusters);
	g->root_cluster = le32_get(b->root_cluster);
	g->dirty = flags & FLAG_DIRTY;
	fat_end = le32_get(b->fat_off) +
		  (uint64_t)b->nfats * le32_get(b->fat_sectors);
	heap_end = heap + ((uint64_t)g->clusters << b->cluster_shift);
	if (!u64_shl(sectors, shift, &g->size) || fat_end > heap ||
		heap_end > sectors || le32_get(b->fat_off) < 1)
		return error_at(e, ERR_CORRUPT, at + 72,
			"exFAT boot sector: FATs to sector %" PRIu64
			", clusters from %" PRIu64 " to %" PRIu64
			" of %" PRIu64,
			fat_end, heap, heap_end, sectors);
	if (!g->clusters || g->clusters > 0xfffffff5 ||
		g->fat_len / 4 < (uint64_t)g->clusters + 2 ||
		!fat_is_cluster(g, g->root_cluster))
		return error_at(e, ERR_CORRUPT, at + 84,
			"exFAT boot sector: %" PRIu32 " clusters, the root in "
			"%" PRIu32 ", a FAT of %" PRIu64 " bytes",
			g->clusters, g->root_cluster, g->fat_len);
	return 0;
}

/* Section 3.4: over eleven sectors, without the flags and the percentage that
 * change in use. */
static int check_sum(struct source *src, uint64_t at, uint32_t sector,
	struct error *e)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)src, (void)at, (void)sector, (void)e;
	return 0;
#else
	uint8_t buf[4096];
	uint32_t sum = 0;
	int r;

	for (uint32_t k = 0; k < 11; k++) {
		r = source_pread(src, buf, sector, at + k * sector, e);
		if (r)
			return r;
		for (uint32_t i = 0; i < sector; i++)
			if (k || (i != 106 && i != 107 && i != 112))
				sum = (sum << 31 | sum >> 1) + buf[i];
	}
	r = source_pread(src, buf, 4, at + 11 * sector, e);
	if (!r && get_le32(buf) != sum)
		r = error_at(e, ERR_CORRUPT, at + 11 * sector,
			"exFAT boot checksum is %#" PRIx32 ", not %#" PRIx32,
			get_le32(buf), sum);
	return r;
#endif
}

static int read_boot(struct source *src, uint64_t at, struct exfat_boot_disk *b,
	struct fat_geometry *g, struct error *e)
{
	int r = source_pread(src, b, sizeof(*b), at, e);

	if (r)
		return r;
	if (!has_magic(b))
		return error_at(e, ERR_CORRUPT, at, "not an exFAT boot sector");
	r = read_geometry(b, at, g, e);
	if (!r && at && at != 12 * (uint64_t)g->sector)
		r = error_at(e, ERR_CORRUPT, at, "not an exFAT boot sector");
	return r ? r : check_sum(src, at, g->sector, e);
}

static void release(struct exfat *x)
{
	free(x->fat.window);
	source_unref(x->fat.cache);
	source_unref(x->fat.dev);
	free(x);
}
DEFINE_CLEANUP_PTR(exfat, struct exfat, release)

/* *is_exfat also where it is damaged. */
static int make(struct source *src, const struct finding_sink *findings,
	struct exfat **out, bool *is_exfat, struct error *e)
{
	CLEANUP(cleanup_exfat) struct exfat *x = NULL;
	struct exfat_boot_disk b;
	struct error first;
	int r;

	*is_exfat = false;
	if (src->size < sizeof(b))
		return error_set(e, ERR_CORRUPT, "too small for exFAT");
	x = calloc(1, sizeof(*x));
	if (!x)
		return error_nomem(e);
	if (findings)
		x->fat.findings = *findings;
	memset(&b, 0, sizeof(b));
	r = read_boot(src, 0, &b, &x->fat.g, &first);
	*is_exfat = has_magic(&b);
	for (unsigned shift = 9; r && shift <= 12; shift++) {
		if (read_boot(src, UINT64_C(12) << shift, &b, &x->fat.g, NULL))
			continue;
		*is_exfat = true;
		finding_report(findings, FINDING_FS_BACKUP_SUPER, 0, NULL, "%s",
			first.msg);
		r = 0;
	}
	if (r) {
		if (e)
			*e = first;
		return r;
	}
	x->fat.dev = source_ref(src);
	x->fat.window = malloc(FAT_WINDOW);
	if (!x->fat.window)
		return error_nomem(e);
	r = source_cache(src, 4096, 1 * MIB, &x->fat.cache, e);
	if (r)
		return r;
	x->fat.fs.info = (struct fs_info){ .type = "exfat",
		.devices = 1,
		.size = x->fat.g.size,
		.block_size = x->fat.g.cluster };
	snprintf(x->fat.fs.info.uuid, sizeof(x->fat.fs.info.uuid), "%04X-%04X",
		(unsigned)(le32_get(b.serial) >> 16),
		(unsigned)(le32_get(b.serial) & 0xffff));
	r = exfat_read_root(x, x->fat.g.active_fat, x->fat.fs.info.label,
		sizeof(x->fat.fs.info.label), e);
	if (r)
		return r;
	*out = steal_ptr(x);
	return 0;
}

static enum fs_verdict exfat_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	CLEANUP(cleanup_exfat) struct exfat *x = NULL;
	bool is_exfat;

	if (make(src, NULL, &x, &is_exfat, e)) {
		if (!is_exfat)
			return FS_NO;
		memcpy(out->type, "exfat", 6);
		return FS_UNSURE;
	}
	*out = x->fat.fs.info;
	return FS_YES;
}

static int exfat_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_exfat) struct exfat *x = NULL;
	bool is_exfat;
	int r;

	r = make(args->devs[0], args->findings, &x, &is_exfat, e);
	if (r)
		return r;
	x->fat.fs.ops = &fs_exfat;
	x->fat.fs.root = EXFAT_ROOT_ID;
	if (x->fat.g.size > x->fat.dev->size)
		finding_report(&x->fat.findings, FINDING_FS_TRUNCATED,
			FINDING_NO_OFFSET, NULL,
			"%" PRIu64 " bytes in a volume of %" PRIu64,
			x->fat.g.size, x->fat.dev->size);
	if (x->fat.g.dirty)
		finding_report(&x->fat.findings, FINDING_FS_DIRTY, 106, NULL,
			"the dirty bit is set");
	*out = &steal_ptr(x)->fat.fs;
	return 0;
}

static void exfat_close(struct fs *fs)
{
	release((struct exfat *)fs);
}

/* Section 7.4.10: the zone is in quarters of an hour where bit 7 is set; else
 * local time, taken as UTC. */
static void set_time(const struct exfat_file *f, struct fs_node *n)
{
	n->mtime = fat_time((uint16_t)(f->mtime >> 16),
		(uint16_t)(f->mtime & 0xffff));
	if (f->mtime_10ms < 200) {
		n->mtime += f->mtime_10ms / 100;
		n->mtime_ns = f->mtime_10ms % 100 * UINT32_C(10000000);
	}
	if (f->mtime_zone & 0x80) {
		int zone = f->mtime_zone & 0x7f;

		n->mtime -= (zone >= 64 ? zone - 128 : zone) * 900;
	}
}

static int exfat_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct fs_node n = { .id = id, .nlink = 1, .mode = 0755, .type = FS_DIR };
	struct exfat_file f;
	int r;

	if (id != EXFAT_ROOT_ID) {
		r = exfat_file((struct exfat *)fs, id, &f, e);
		if (r)
			return r;
		set_time(&f, &n);
		if (!(f.attr & FAT_ATTR_DIR)) {
			n.type = FS_FILE;
			n.size = f.size;
			if (f.attr & FAT_ATTR_RO)
				n.mode = 0555;
		}
	}
	*out = n;
	return 0;
}

/* What is behind the valid length reads as zeros, whatever is there. */
struct split {
	uint64_t valid, size;
	fs_extent_fn fn;
	void *ctx;
};

static int split_extent(void *ctx, const struct fs_extent *x)
{
	const struct split *s = ctx;
	struct fs_extent a = *x;
	uint64_t data = s->valid > x->file_off ? s->valid - x->file_off : 0;
	int r;

	if (s->valid == s->size || data >= x->len)
		return s->fn(s->ctx, x);
	if (data) {
		a.len = a.dev_len = data;
		r = s->fn(s->ctx, &a);
		if (r)
			return r;
	}
	a.file_off += data;
	a.dev_off = x->dev_off + data;
	a.len = a.dev_len = x->len - data;
	a.kind = FS_EXTENT_UNWRITTEN;
	return s->fn(s->ctx, &a);
}

/* The place of a contiguous file; want bytes of it. */
static int contiguous(const struct exfat *x, const struct exfat_file *f,
	uint64_t want, uint64_t *out_off, struct error *e)
{
	const struct fat_geometry *g = &x->fat.g;

	if (!fat_is_cluster(g, f->start) ||
		div_ceil(f->size, g->cluster) > g->clusters - (f->start - 2))
		return error_set(e, ERR_CORRUPT,
			"%" PRIu64 " bytes from cluster %" PRIu32
			" end outside the %" PRIu32 " clusters",
			f->size, f->start, g->clusters);
	*out_off = fat_cluster_off(g, f->start);
	if (!range_inside(*out_off, want, x->fat.dev->size))
		return error_at(e, ERR_CORRUPT, *out_off,
			"cluster %" PRIu32 " and those behind it are outside "
			"the volume",
			f->start);
	return 0;
}

static int file_of(struct exfat *x, uint64_t id, struct exfat_file *out,
	struct error *e)
{
	int r;

	if (id == EXFAT_ROOT_ID)
		return error_set(e, ERR_ARG, "the root directory is no file");
	r = exfat_file(x, id, out, e);
	if (!r && (out->attr & FAT_ATTR_DIR))
		r = error_set(e, ERR_ARG, "exFAT entry %" PRIu64 " is no file",
			id);
	return r;
}

static int extents(struct exfat *x, const struct exfat_file *f, struct split *s,
	struct error *e)
{
	struct fs_extent all = { .kind = FS_EXTENT_DATA };
	uint64_t cluster = x->fat.g.cluster;
	int r;

	if (!f->size)
		return 0;
	if (!f->contiguous)
		return fat_extents(&x->fat, f->start, f->size, split_extent, s,
			e);
	r = contiguous(x, f, f->size, &all.dev_off, e);
	if (r)
		return r;
	all.len = div_ceil(f->size, cluster) * cluster;
	if (!range_inside(all.dev_off, all.len, x->fat.dev->size))
		all.len = f->size;
	all.dev_len = all.len;
	return split_extent(s, &all);
}

static int exfat_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct exfat *x = (struct exfat *)fs;
	struct exfat_file f;
	struct error err = { 0 };
	int r;

	r = file_of(x, id, &f, e);
	if (r)
		return r;
	r = extents(x, &f, &(struct split){ f.valid, f.size, fn, ctx }, &err);
	if (r && err.code) {
		finding_report(&x->fat.findings, FINDING_FILE_DAMAGED, id, NULL,
			"%s", err.msg);
		if (e)
			*e = err;
	}
	return r;
}

static int exfat_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct exfat *x = (struct exfat *)fs;
	struct exfat_file f;
	uint64_t at;
	size_t n;
	int r;

	r = file_of(x, id, &f, e);
	if (r)
		return r;
	if (!range_inside(off, len, f.size))
		return fs_outside(e, len, off, f.size);
	n = off < f.valid ? (size_t)u64_min(len, f.valid - off) : 0;
	memset((uint8_t *)buf + n, 0, len - n);
	if (!n)
		return 0;
	if (!f.contiguous)
		return fat_pread(&x->fat, id, f.start, buf, n, off, e);
	r = contiguous(x, &f, off + n, &at, e);
	return r ? r : source_pread(x->fat.dev, buf, n, at + off, e);
}

/* Section 7.1: one bit a cluster, set where it is in use. */
struct bitmap {
	struct exfat *x;
	fs_range_fn fn;
	void *ctx;
	uint64_t run; /* the first free cluster of a run, 0: none */
	struct error *e;
};

static int flush(struct bitmap *m, uint64_t cluster)
{
	const struct fat_geometry *g = &m->x->fat.g;
	uint64_t off, len, size = m->x->fat.dev->size;

	if (!m->run)
		return 0;
	off = fat_cluster_off(g, (uint32_t)m->run);
	len = (cluster - m->run) * g->cluster;
	m->run = 0;
	return off < size ? m->fn(m->ctx, 0, off, u64_min(len, size - off)) : 0;
}

static int bitmap_extent(void *ctx, const struct fs_extent *ext)
{
	struct bitmap *m = ctx;
	uint64_t first = ext->file_off * 8 + 2, at = 0;
	uint64_t end = (uint64_t)m->x->fat.g.clusters + 2;
	uint8_t buf[4096];
	int r;

	while (at < ext->len && first < end) {
		size_t n = (size_t)u64_min(sizeof(buf), ext->len - at);

		r = source_pread(m->x->fat.dev, buf, n, ext->dev_off + at, m->e);
		if (r)
			return r;
		for (size_t i = 0; i < n * 8 && first < end; i++, first++) {
			if (!(buf[i / 8] & 1 << i % 8)) {
				if (!m->run)
					m->run = first;
				continue;
			}
			r = flush(m, first);
			if (r)
				return r;
		}
		at += n;
	}
	return 0;
}

static int exfat_free_space(struct fs *fs, fs_range_fn fn, void *ctx,
	struct error *e)
{
	struct exfat *x = (struct exfat *)fs;
	struct bitmap m = { .x = x, .fn = fn, .ctx = ctx, .e = e };
	uint64_t need = div_ceil(x->fat.g.clusters, 8);
	int r;

	if (x->bitmap_len < need)
		return error_set(e, ERR_CORRUPT,
			"an allocation bitmap of %" PRIu64 " bytes for %" PRIu32
			" clusters",
			x->bitmap_len, x->fat.g.clusters);
	r = fat_extents(&x->fat, x->bitmap_start, need, bitmap_extent, &m, e);
	return r ? r : flush(&m, (uint64_t)x->fat.g.clusters + 2);
}

static int exfat_readlink(struct fs *fs ATTR_UNUSED, uint64_t id,
	struct buf *out ATTR_UNUSED, struct error *e)
{
	return error_set(e, ERR_ARG, "exFAT entry %" PRIu64 " is no symlink",
		id);
}

const struct fs_ops fs_exfat = {
	.name = "exfat",
	.probe = exfat_probe,
	.open = exfat_open,
	.close = exfat_close,
	.stat = exfat_stat,
	.readdir = exfat_readdir,
	.readlink = exfat_readlink,
	.extents = exfat_extents,
	.pread = exfat_pread,
	.free_space = exfat_free_space,
};
