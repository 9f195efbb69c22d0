/* SPDX-License-Identifier: Apache-2.0 */
/* FAT12, FAT16 and FAT32 with long names, read-only.
 *
 *	fat.c        recognition, opening, what a node is
 *	fat_chain.c  the allocation table: chains, content, free space
 *	fat_dir.c    directories and names
 *
 * Specification: Microsoft "FAT: General Overview of On-Disk Format" 1.03
 * (fatgen103, ECMA-107 for FAT12/16); where it is silent, as Linux does.
 */
#ifndef STRATA_FS_FAT_H
#define STRATA_FS_FAT_H

#include "base/endian.h"
#include "fs/fs.h"

#define FAT_ROOT_ID 1 /* entries' ids are multiples of 32 */
#define FAT_WINDOW 65536

enum fat_attr {
	FAT_ATTR_RO = 0x01,
	FAT_ATTR_VOLUME = 0x08,
	FAT_ATTR_DIR = 0x10,
	FAT_ATTR_LONG = 0x0f,
	FAT_ATTR_LONG_MASK = 0x3f,
};

/* A short entry. */
struct fat_entry_disk {
	uint8_t name[11];
	uint8_t attr;
	uint8_t lcase; /* 0x08: base in lower case, 0x10: extension */
	uint8_t ctime_tenth;
	le16 ctime, cdate, adate, start_high, mtime, mdate, start_low;
	le32 size;
};
_Static_assert(sizeof(struct fat_entry_disk) == 32, "fatgen103 p. 23");

/* A piece of a long name. */
struct fat_long_disk {
	uint8_t ord; /* 1.., the last (which comes first) with 0x40 */
	uint8_t name1[10];
	uint8_t attr, type, checksum;
	uint8_t name2[12];
	le16 start;
	uint8_t name3[4];
};
_Static_assert(sizeof(struct fat_long_disk) == 32, "fatgen103 p. 28");

/* What the boot sector says, checked. All in bytes of the volume. */
struct fat_geometry {
	unsigned bits; /* of a table entry: 12, 16, 32 */
	bool exfat;    /* all 32 bits count */
	uint32_t sector, cluster;
	uint32_t nfats, active_fat;
	uint64_t fat_off, fat_len; /* the first table; the others follow */
	uint64_t root_off, root_len; /* the fixed root of FAT12/16 */
	uint32_t root_cluster;       /* of FAT32 */
	uint64_t data_off;
	uint32_t clusters; /* numbered 2 .. clusters + 1 */
	uint64_t size;
	bool dirty;
};

/* Where a walk along a chain stands, with every step-th cluster remembered,
 * so that reading a file piece by piece does not walk from its start. */
struct fat_cursor {
	uint64_t id; /* 0: none */
	uint32_t start;
	uint32_t index, cluster; /* the index-th cluster of the chain */
	uint32_t step, marks_len;
	uint32_t marks[128]; /* the cluster at index step * i */
};

struct fat {
	struct fs fs;
	struct source *dev;   /* for content */
	struct source *cache; /* for metadata */
	struct finding_sink findings;
	struct fat_geometry g;
	uint8_t *window; /* FAT_WINDOW bytes of the table */
	uint64_t window_off;
	size_t window_len;
	bool fat_reported;
	struct fat_cursor cursor;
};

/* --- fat_chain.c --- */

#define FAT_END UINT32_MAX

static inline bool fat_is_cluster(const struct fat_geometry *g, uint32_t c)
{
	return c >= 2 && c - 2 < g->clusters;
}

static inline uint64_t fat_cluster_off(const struct fat_geometry *g, uint32_t c)
{
	return g->data_off + (uint64_t)(c - 2) * g->cluster;
}

/* The raw entry of a cluster (or of 0 and 1). IO, RANGE. */
int fat_get(struct fat *f, uint32_t cluster, uint32_t *out, struct error *e);
/* The next cluster of a chain, or FAT_END. CORRUPT where the entry is free,
 * bad or outside; IO. */
int fat_next(struct fat *f, uint32_t cluster, uint32_t *out, struct error *e);
/* Extents and content of size bytes that start at a cluster. */
int fat_extents(struct fat *f, uint32_t start, uint64_t size, fs_extent_fn fn,
	void *ctx, struct error *e);
int fat_pread(struct fat *f, uint64_t id, uint32_t start, void *buf, size_t len,
	uint64_t off, struct error *e);
int fat_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e);
/* Reports copies of the table that differ. */
void fat_compare_copies(struct fat *f);

/* --- fat_dir.c --- */

int fat_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
/* How many clusters a directory's chain has before it ends, loops or breaks
 * (CORRUPT; *out_clusters is set all the same). NOMEM, LIMIT. */
int fat_chain_length(struct fat *f, uint32_t start, uint64_t *out_clusters,
	struct error *e);
/* The label in the root directory, if there is one: 11 bytes. */
bool fat_find_label(struct fat *f, uint8_t out[11]);
/* Bytes of code page 437 as UTF-8, at most 3 * n; returns the length. */
size_t fat_cp437(const uint8_t *in, size_t n, bool lower, uint8_t *out);

/* --- fat.c --- */

uint32_t fat_entry_start(const struct fat *f, const struct fat_entry_disk *d);
/* The entry with this id; NOTFOUND where it is none of a file or folder. */
int fat_entry(struct fat *f, uint64_t id, struct fat_entry_disk *out,
	struct error *e);
/* Local time, taken as UTC, as Linux computes it also for dates that are
 * none. */
int64_t fat_time(uint16_t date, uint16_t time);

#endif
