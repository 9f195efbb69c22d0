/* SPDX-License-Identifier: Apache-2.0 */
/* Which partition table a disk has, and what every entry must keep. */
#include "part/part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "part/part_private.h"

bool part_read(struct part_reader *r, void *buf, size_t len, uint64_t off)
{
	struct error e = { 0 };

	if (!range_inside(off, len, r->disk->size))
		return false;
	if (!source_pread(r->disk, buf, len, off, &e))
		return true;
	finding_report(r->findings, FINDING_READ_ERROR, off, "partition table",
		"%s", e.msg);
	return false;
}

int part_add(struct part_reader *r, struct partition *p, uint64_t first_lba,
	uint64_t sectors, uint32_t sector_size, uint64_t at)
{
	uint64_t size = r->disk->size;
	char where[16];

	snprintf(where, sizeof(where), "p%" PRIu32, p->number);
	if (r->items.len >= LIMIT_PARTITIONS)
		return error_at(r->e, ERR_LIMIT, at,
			"partition table: more than %d partitions",
			LIMIT_PARTITIONS);
	if (!sectors || !u64_mul(first_lba, sector_size, &p->off) ||
		p->off >= size) {
		finding_report(r->findings, FINDING_PART_ENTRY_BAD, at, where,
			"%" PRIu64 " sectors from sector %" PRIu64
			" of %" PRIu32 " bytes start outside the %" PRIu64
			" bytes of the disk; left out",
			sectors, first_lba, sector_size, size);
		return 0;
	}
	if (!u64_mul(sectors, sector_size, &p->len) ||
		p->len > size - p->off) {
		p->len = size - p->off;
		finding_report(r->findings, FINDING_PART_ENTRY_BAD, at, where,
			"%" PRIu64 " sectors from sector %" PRIu64
			" of %" PRIu32 " bytes end outside the %" PRIu64
			" bytes of the disk; cut to %" PRIu64 " bytes",
			sectors, first_lba, sector_size, size, p->len);
	}
	return vec_push(&r->items, *p) ? 0 : error_nomem(r->e);
}

static int by_number(const void *a, const void *b)
{
	const struct partition *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int by_place(const void *a, const void *b)
{
	const struct partition *x = *(struct partition *const *)a;
	const struct partition *y = *(struct partition *const *)b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	if (x->len != y->len) /* the outer one first */
		return x->len > y->len ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Reports overlaps: each partition against the one before it that reaches
 * farthest, which finds every partition that overlaps an earlier one. */
static int check_overlaps(struct part_reader *r)
{
	AUTO_FREE const struct partition **p = NULL;
	const struct partition *far = NULL;
	size_t n = 0;

	p = calloc(r->items.len + 1, sizeof(*p));
	if (!p)
		return error_nomem(r->e);
	for (size_t i = 0; i < r->items.len; i++)
		if (!r->items.items[i].is_container)
			p[n++] = &r->items.items[i];
	qsort(p, n, sizeof(*p), by_place);
	for (size_t i = 0; i < n; i++) {
		char where[16];
		bool inside;

		if (!far || p[i]->off >= far->off + far->len) {
			far = p[i];
			continue;
		}
		inside = p[i]->off + p[i]->len <= far->off + far->len &&
			 p[i]->len < far->len;
		snprintf(where, sizeof(where), "p%" PRIu32, p[i]->number);
		finding_report(r->findings,
			inside ? FINDING_PART_NESTED : FINDING_PART_OVERLAP,
			p[i]->off, where, "%s partition %" PRIu32,
			inside ? "lies inside" : "overlaps", far->number);
		if (p[i]->off + p[i]->len > far->off + far->len)
			far = p[i];
	}
	return 0;
}

static int find_table(struct part_reader *r)
{
	/* Without a magic in the first sector, or any. */
	static int (*const others[])(struct part_reader *r, bool *found) = {
		amiga_read, atari_read, dasd_read };
	bool mbr = mbr_is(r), found = false;
	bool protective = mbr && mbr_has_type(r, MBR_TYPE_GPT);
	int rc = 0;

	if (mbr_is_boot_sector(r))
		return 0;
	rc = sun_read(r, &found);
	if (!rc && !found)
		rc = sgi_read(r, &found);
	if (rc || found)
		return rc;
	/* As Linux decides: a GPT counts where the MBR announces it; an MBR
	 * with entries of its own and no announcement is the table. */
	if (protective || !mbr || !mbr_used_but(r, 0)) {
		rc = gpt_read(r, protective, &found);
		if (rc || found)
			return rc;
	}
	if (mbr && mbr_used_but(r, 0)) {
		if (mbr_is_bsd_disk(r)) {
			rc = bsd_read(r, &found);
			if (rc || found)
				return rc;
		}
		return mbr_read(r);
	}
	rc = apple_read(r, &found);
	if (!rc && !found)
		rc = bsd_read(r, &found);
	if (!rc && !found && mbr)
		return mbr_read(r);
	for (size_t i = 0; i < ARRAY_LEN(others) && !rc && !found; i++)
		rc = others[i](r, &found);
	return rc;
}

int part_table_read(struct source *disk, const struct finding_sink *findings,
	struct part_table *out, struct error *e)
{
	struct part_table t = { .sector_size = disk->sector_size };
	struct part_reader r = {
		.disk = disk,
		.findings = findings,
		.out = &t,
		.e = e,
	};
	int rc;

	if (disk->size < sizeof(r.first)) {
		*out = t;
		return 0;
	}
	rc = source_pread(disk, r.first, sizeof(r.first), 0, e);
	if (rc)
		return rc;
	rc = find_table(&r);
	if (!rc)
		rc = check_overlaps(&r);
	if (rc == ERR_LIMIT) {
		finding_report(findings, FINDING_PART_TABLE_DAMAGED, 0, NULL,
			"more than %d partitions; the rest is left out",
			LIMIT_PARTITIONS);
		rc = 0;
	}
	if (rc) {
		vec_release(&r.items);
		return rc;
	}
	if (r.items.len)
		qsort(r.items.items, r.items.len, sizeof(*r.items.items),
			by_number);
	t.items = r.items.items;
	t.len = r.items.len;
	*out = t;
	return 0;
}

void part_table_release(struct part_table *t)
{
	free(t->items);
	t->items = NULL;
	t->len = 0;
}

const char *part_scheme_name(enum part_scheme s)
{
	static const char *const names[] = {
		[PART_NONE] = "none",
		[PART_MBR] = "mbr",
		[PART_GPT] = "gpt",
		[PART_APPLE] = "apple",
		[PART_BSD] = "bsd",
		[PART_SUN] = "sun",
		[PART_SGI] = "sgi",
		[PART_AMIGA] = "amiga",
		[PART_ATARI] = "atari",
		[PART_DASD] = "dasd",
	};

	return (size_t)s < ARRAY_LEN(names) ? names[s] : "unknown";
}
