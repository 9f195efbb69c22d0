/* SPDX-License-Identifier: Apache-2.0 */
/* exFAT, read-only. Chains and content are those of FAT (fat_chain.c).
 *
 *	exfat.c      recognition, opening, content, free space
 *	exfat_dir.c  directories: sets of entries with a checksum
 *
 * Specification: Microsoft "exFAT file system specification" 1.00; section
 * numbers are from there.
 */
#ifndef STRATA_FS_EXFAT_H
#define STRATA_FS_EXFAT_H

#include "fs/fat.h"

/* An id is the byte offset of a file's first entry, with bit 1 set where the
 * directory that holds it is contiguous: an entry set may go on in the next
 * cluster, and that says which it is. */
#define EXFAT_ROOT_ID 1
#define EXFAT_ID_CONTIGUOUS 2

struct exfat {
	struct fat fat; /* first: the chains */
	uint32_t bitmap_start;
	uint64_t bitmap_len;
};

/* A file's set of entries, checked. */
struct exfat_file {
	uint64_t size, valid; /* valid <= size */
	uint32_t start;
	uint16_t attr;
	bool contiguous; /* its clusters follow each other; the FAT is not asked */
	uint32_t mtime;
	uint8_t mtime_10ms, mtime_zone;
	uint8_t name_units;
	uint8_t name[2 * 255];
};

int exfat_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
/* NOTFOUND where no file's entries start there, CORRUPT. */
int exfat_file(struct exfat *x, uint64_t id, struct exfat_file *out,
	struct error *e);
/* Label and allocation bitmap, from the root directory. active: the bitmap of
 * the second FAT. */
int exfat_read_root(struct exfat *x, bool active, char *label, size_t label_size,
	struct error *e);

#endif
