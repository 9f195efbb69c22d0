/* SPDX-License-Identifier: Apache-2.0 */
/* Home computers' and mainframes' tables: Amiga's rigid disk block, Atari's
 * root sector (AHDI, with its chains, and ICD), numbers big-endian, partitions
 * counted as Linux counts them; volume labels of IBM's DASD, which are named
 * only.
 * Sources: Linux block/partitions/amiga.c, atari.c, ibm.c; affs_hardblocks.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "part/part_private.h"

#define SECTOR 512

/* --- Amiga --- */

#define RDB_SEARCH 16 /* blocks from the start */

/* Blocks sum up to zero over as many longs as they say. */
static bool amiga_sum(const uint8_t b[SECTOR])
{
	uint32_t n = get_be32(b + 4), sum = 0;

	if (!n || n > SECTOR / 4)
		return false;
	for (uint32_t i = 0; i < n; i++)
		sum += get_be32(b + 4 * i);
	return !sum;
}

/* Four bytes as text: "DOS1" for "DOS" and 1. */
static void dos_type(const uint8_t *b, char *out, size_t size)
{
	char c[5];

	for (int i = 0; i < 4; i++)
		c[i] = (char)(b[i] >= ' ' && b[i] < 0x7f ? b[i]
			      : b[i] < 10		 ? '0' + b[i]
							 : '?');
	c[4] = 0;
	snprintf(out, size, "%s", c);
}

static int amiga_entry(struct part_reader *r, const uint8_t b[SECTOR],
	uint64_t at, uint32_t number, uint32_t block)
{
	struct partition p = { .number = number };
	uint64_t cylinder, first, count;
	uint32_t low = get_be32(b + 164), high = get_be32(b + 168);
	size_t n = size_min(b[36], 31);

	if (high < low || !u64_mul(get_be32(b + 140), get_be32(b + 148),
				  &cylinder) ||
		!u64_mul(cylinder, (uint64_t)high - low + 1, &count) ||
		!u64_mul(cylinder, low, &first)) {
		finding_report(r->findings, FINDING_PART_ENTRY_BAD, at, NULL,
			"cylinders %" PRIu32 " to %" PRIu32 "; left out", low,
			high);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		p.name[i] = (char)(b[37 + i] >= ' ' && b[37 + i] < 0x7f
					   ? b[37 + i]
					   : '?');
	dos_type(b + 192, p.type, sizeof(p.type));
	return part_add(r, &p, first, count, block, at);
}

int amiga_read(struct part_reader *r, bool *out_found)
{
	uint8_t b[SECTOR];
	uint64_t at = 0, visited[128];
	uint32_t block, next, i = 0;

	*out_found = false;
	for (; i < RDB_SEARCH; i++) {
		at = (uint64_t)i * SECTOR;
		if (!part_read(r, b, sizeof(b), at))
			return 0;
		if (memcmp(b, "RDSK", 4) != 0)
			continue;
		if (amiga_sum(b))
			break;
		/* Windows overwrites four bytes here, of block 0. */
		memset(b + 0xdc, 0, 4);
		if (amiga_sum(b))
			break;
	}
	block = get_be32(b + 16);
	if (i == RDB_SEARCH || block < SECTOR || block > 65536 ||
		!is_pow2(block))
		return 0;
	*out_found = true;
	r->out->scheme = PART_AMIGA;
	r->out->sector_size = block;
	finding_report(r->findings, FINDING_PART_KIND, at, NULL,
		"an Amiga rigid disk block");
	next = get_be32(b + 28);
	/* A block is visited once, and at most so many are. */
	for (uint32_t k = 0; next != UINT32_MAX && next; k++) {
		int rc;

		at = (uint64_t)next * block;
		if (k == ARRAY_LEN(visited))
			return 0;
		for (uint32_t j = 0; j < k; j++)
			if (visited[j] == at) {
				finding_report(r->findings, FINDING_PART_LOOP,
					at, NULL,
					"the list comes back to block %" PRIu32,
					next);
				return 0;
			}
		visited[k] = at;
		if (!part_read(r, b, sizeof(b), at) ||
			memcmp(b, "PART", 4) != 0 || !amiga_sum(b)) {
			finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
				at, NULL, "no partition block at block %" PRIu32,
				next);
			return 0;
		}
		rc = amiga_entry(r, b, at, k + 1, block);
		if (rc)
			return rc;
		next = get_be32(b + 16);
	}
	return 0;
}

/* --- Atari --- */

#define ATARI_ICD 0x156
#define ATARI_SIZE 0x1c2
#define ATARI_ENTRIES 0x1c6

struct atari {
	uint8_t flag;
	char id[4];
	uint32_t first, count;
};

static struct atari atari_entry(const uint8_t *b, size_t at)
{
	struct atari x = { .flag = b[at],
		.first = get_be32(b + at + 4),
		.count = get_be32(b + at + 8) };

	memcpy(x.id, b + at + 1, 3);
	return x;
}

static bool atari_known(const struct atari *x)
{
	static const char *const ids[] = { "GEM", "BGM", "XGM", "LNX", "SWP",
		"RAW", "MIX", "MNX", "UNX", "F32" };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (!strcmp(x->id, ids[i]))
			return true;
	return false;
}

static int atari_add(struct part_reader *r, const struct atari *x,
	uint64_t base, uint32_t number, uint64_t at)
{
	struct partition p = { .number = number, .attributes = x->flag & 0x80 };

	memcpy(p.type, x->id, 4);
	return part_add(r, &p, base + x->first, x->count, SECTOR, at);
}

/* A chain of sectors with one partition and a link each. Links count from the
 * start of the extended partition, and never lead back: bounded by number. */
static int atari_chain(struct part_reader *r, uint32_t start, uint32_t *number)
{
	uint64_t cur = start;

	for (unsigned steps = 0; steps < LIMIT_EXTENDED_CHAIN; steps++) {
		uint8_t b[SECTOR];
		struct atari x;
		uint64_t next = 0;

		if (!part_read(r, b, sizeof(b), cur * SECTOR)) {
			finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
				cur * SECTOR, NULL,
				"an extended partition leads outside the disk");
			return 0;
		}
		for (unsigned i = 0; i < 4; i++) {
			size_t at = ATARI_ENTRIES + 12 * i;
			int rc;

			x = atari_entry(b, at);
			if (!(x.flag & 1))
				continue;
			if (!strcmp(x.id, "XGM")) {
				next = (uint64_t)start + x.first;
				break;
			}
			rc = atari_add(r, &x, cur, (*number)++,
				cur * SECTOR + at);
			if (rc)
				return rc;
		}
		if (!next)
			return 0;
		if (next <= cur) {
			finding_report(r->findings, FINDING_PART_LOOP,
				cur * SECTOR, NULL,
				"the chain goes back to sector %" PRIu64, next);
			return 0;
		}
		cur = next;
	}
	return 0;
}

int atari_read(struct part_reader *r, bool *out_found)
{
	const uint8_t *s = r->first;
	uint64_t sectors = get_be32(s + ATARI_SIZE);
	uint32_t number = 1;
	bool any = false, chain = false;

	*out_found = false;
	/* No magic: a size that is the disk's or less, and every entry that is
	 * in use of a kind that is known, inside of it. */
	if (!sectors || sectors > r->disk->size / SECTOR)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		struct atari x = atari_entry(s, ATARI_ENTRIES + 12 * i);

		if (!(x.flag & 1))
			continue;
		if (!atari_known(&x) || !x.first || !x.count ||
			!range_inside(x.first, x.count, sectors))
			return 0;
		any = true;
	}
	if (!any)
		return 0;
	*out_found = true;
	r->out->scheme = PART_ATARI;
	r->out->sector_size = SECTOR;
	finding_report(r->findings, FINDING_PART_KIND, 0, NULL,
		"an Atari root sector");
	for (unsigned i = 0; i < 4; i++) {
		struct atari x = atari_entry(s, ATARI_ENTRIES + 12 * i);
		uint32_t before = number;
		int rc = 0;

		if (!(x.flag & 1)) {
			number++; /* Linux counts these, too */
			continue;
		}
		if (!strcmp(x.id, "XGM")) {
			chain = true;
			rc = atari_chain(r, x.first, &number);
		} else {
			rc = atari_add(r, &x, 0, number++,
				ATARI_ENTRIES + 12 * i);
		}
		if (rc)
			return rc;
		number += number == before;
	}
	/* ICD's eight more, which exclude chains. */
	for (unsigned i = 0; i < 8 && !chain; i++) {
		struct atari x = atari_entry(s, ATARI_ICD + 12 * i);
		int rc;

		if (!i && !atari_known(&x))
			break;
		if ((x.flag & 1) && atari_known(&x)) {
			rc = atari_add(r, &x, 0, number, ATARI_ICD + 12 * i);
			if (rc)
				return rc;
		}
		number++;
	}
	return 0;
}

/* --- IBM --- */

/* "VOL1", "LNX1", "CMS1" in EBCDIC, in the third block. */
int dasd_read(struct part_reader *r, bool *out_found)
{
	static const struct {
		const char *magic, *what;
	} kinds[] = { { "\xe5\xd6\xd3\xf1", "CDL" },
		{ "\xd3\xd5\xe7\xf1", "LDL" }, { "\xc3\xd4\xe2\xf1", "CMS" } };

	*out_found = false;
	for (uint32_t block = 4096; block >= SECTOR; block /= 2) {
		uint8_t b[8];

		if (!part_read(r, b, sizeof(b), 2 * (uint64_t)block))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			/* CDL has it twice: as the key, and as the label. */
			if (memcmp(b, kinds[i].magic, 4) != 0 ||
				(!i && memcmp(b + 4, kinds[i].magic, 4) != 0))
				continue;
			*out_found = true;
			r->out->scheme = PART_DASD;
			r->out->sector_size = block;
			finding_report(r->findings, FINDING_PART_KIND,
				2 * (uint64_t)block, NULL,
				"a DASD volume label (%s), whose partitions "
				"are not listed",
				kinds[i].what);
			return 0;
		}
	}
	return 0;
}
