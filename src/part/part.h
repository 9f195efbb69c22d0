/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables: MBR with extended chains and BSD labels, GPT, hybrids;
 * BSD, Apple, Sun, SGI, Amiga and Atari ones. */
#ifndef STRATA_PART_PART_H
#define STRATA_PART_PART_H

#include "base/error.h"
#include "base/finding.h"
#include "os/source.h"

enum part_scheme {
	PART_NONE,  /* no table: the disk may be one file system */
	PART_MBR,
	PART_GPT,
	PART_APPLE, /* recognised, entries listed */
	PART_BSD,   /* recognised, entries listed */
	PART_SUN,   /* the same */
	PART_SGI,   /* the same */
	PART_AMIGA, /* the same */
	PART_ATARI, /* the same */
	PART_DASD,  /* recognised */
};

struct partition {
	uint32_t number;      /* as Linux numbers it: 1.., logical from 5 */
	uint64_t off, len;    /* bytes, inside the disk (clipped with a finding
			       * where the disk is truncated) */
	char type[40];        /* GPT: type GUID in upper case; MBR: "0x83" */
	char uuid[40];        /* PARTUUID as blkid prints it, "" = none */
	char name[36 * 3 + 1]; /* GPT name in UTF-8 */
	uint64_t attributes;  /* GPT attribute bits; MBR: 0x80 = active */
	bool is_container;    /* holds others: an extended partition, the entry
			       * for the whole disk of a Sun or SGI label */
};

struct part_table {
	enum part_scheme scheme;
	uint32_t sector_size; /* the one the table was found with */
	char uuid[40];        /* disk GUID, or MBR signature ("1a2b3c4d") */
	struct partition *items; /* by number */
	size_t len;
};

/* Reads the partition table. A disk without one is PART_NONE and 0. What is
 * damaged is a finding and left out; the call fails only for NOMEM, or IO on
 * the first sectors. An entry that overflows, ends before it starts or starts
 * outside the disk is left out with a finding.
 * Sources: UEFI 2.10 section 5; the MBR as util-linux and Linux read it. */
int part_table_read(struct source *disk, const struct finding_sink *findings,
	struct part_table *out, struct error *e);
void part_table_release(struct part_table *t);

const char *part_scheme_name(enum part_scheme s); /* "none", "mbr", "gpt" ... */

#endif
