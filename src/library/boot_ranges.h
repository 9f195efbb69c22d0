/* SPDX-License-Identifier: Apache-2.0 */
/* The boot set of a disk as it is kept below the library's cache/boot folder:
 * which parts a guest read while it started, in that order. Derived; may be
 * deleted. serve/bootset records it, repack puts those parts together. */
#ifndef STRATA_LIBRARY_BOOT_RANGES_H
#define STRATA_LIBRARY_BOOT_RANGES_H

#include "base/vec.h"
#include "library/library.h"

/* Parts are told by blocks of this size. */
#define BOOT_BLOCK (4u * 1024)
/* Above this it is a copy and not a start. A Debian server reads 75 MiB, a
 * Windows 400. */
#define BOOT_BLOCKS_MAX (512u * 1024 * 1024 / BOOT_BLOCK)
#define BOOT_RANGES_HEAD "strata boot set 1\n"

struct boot_range {
	uint64_t off, len;
};
typedef VEC(struct boot_range) boot_ranges;

/* The text: the head, then lines of offset and length. CORRUPT where it is
 * none, or does not fit a disk of this size; NOMEM. */
int boot_ranges_parse(const char *text, size_t len, uint64_t disk_size,
	boot_ranges *out, struct error *e);

/* Where it is kept. To be freed; NULL: no memory. */
char *boot_ranges_path(struct library *l, const struct oid *image,
	unsigned disk);
/* False where there is none, or it is damaged (and *out is empty). */
bool boot_ranges_load(struct library *l, const struct oid *image,
	unsigned disk, uint64_t disk_size, boot_ranges *out);

#endif
