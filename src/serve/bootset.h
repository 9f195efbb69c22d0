/* SPDX-License-Identifier: Apache-2.0 */
/* The boot set of a disk: which parts a guest read while it started, in that
 * order. Recorded once, kept below the library's cache/boot folder (derived,
 * may be deleted), read ahead the next time. */
#ifndef STRATA_SERVE_BOOTSET_H
#define STRATA_SERVE_BOOTSET_H

#include "library/boot_ranges.h"
#include "os/source.h"
#include "serve/prefetch.h"

enum bootset_mode {
	BOOTSET_OFF,
	BOOTSET_AUTO,	/* use it; record it where there is none */
	BOOTSET_RECORD, /* record it anew */
};

struct bootset;

/* seconds: how long a start takes, from the first read on. The library is
 * borrowed. NULL where there is nothing to do (or no memory). */
struct bootset *bootset_open(struct library *l, const struct oid *image,
	unsigned disk, uint64_t disk_size, enum bootset_mode mode,
	unsigned seconds);
/* Saves what was recorded, if it looks like a start: at least 1 MiB in small
 * parts over at least a second, and at most 512 MiB. */
void bootset_close(struct bootset *b); /* NULL is fine */

/* A client reads this. At the first read what is known is asked for from p, at
 * most budget bytes. True where all of it is known: what follows on the disk is
 * then no better guess than the boot set is. Any thread. */
bool bootset_note(struct bootset *b, struct prefetch *p, struct source *src,
	uint64_t budget, uint64_t off, uint64_t len);

#endif
