/* SPDX-License-Identifier: Apache-2.0 */
/* GPT (UEFI 2.10 section 5.3): two headers with checksums, in sectors of any
 * usual size, whatever the size of the source's own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "base/utf.h"
#include "part/part_private.h"

/* Table 5-5. */
struct gpt_header_disk {
	uint8_t signature[8];
	le32 revision, header_size, header_crc, reserved;
	le64 my_lba, alternate_lba, first_usable, last_usable;
	uint8_t guid[16];
	le64 entries_lba;
	le32 count, entry_size, entries_crc;
};
_Static_assert(sizeof(struct gpt_header_disk) == 92, "UEFI 2.10 table 5-5");

/* Table 5-6. */
struct gpt_entry_disk {
	uint8_t type[16], guid[16];
	le64 first, last, attributes;
	uint8_t name[72];
};
_Static_assert(sizeof(struct gpt_entry_disk) == 128, "UEFI 2.10 table 5-6");

struct gpt {
	uint32_t sector; /* bytes */
	uint64_t lba, alternate, first_usable, last_usable;
	uint64_t entries_off;
	uint8_t guid[16];
	uint32_t count, entry_size, entries_crc;
	uint8_t *entries; /* count * entry_size bytes */
};

enum gpt_state { GPT_ABSENT, GPT_BAD, GPT_GOOD };

static uint32_t crc(const void *p, size_t n)
{
	return (uint32_t)crc32(0, p, (uInt)n);
}

static void format_guid(const uint8_t *g, bool upper, char out[40])
{
	snprintf(out, 40,
		upper ? "%08" PRIX32 "-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X"
		      : "%08" PRIx32 "-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		get_le32(g), get_le16(g + 4), get_le16(g + 6), g[8], g[9],
		g[10], g[11], g[12], g[13], g[14], g[15]);
}

/* One copy. why says what is wrong with a bad one. Returns 0 or NOMEM. */
static int read_copy(struct part_reader *r, uint32_t sector, uint64_t lba,
	struct gpt *out, enum gpt_state *state, char *why, size_t why_size)
{
	AUTO_FREE uint8_t *buf = NULL;
	AUTO_FREE uint8_t *entries = NULL;
	const struct gpt_header_disk *h;
	struct gpt g = { .sector = sector, .lba = lba };
	uint64_t off, entries_lba, bytes;
	uint32_t size;

	*state = GPT_ABSENT;
	if (!u64_mul(lba, sector, &off) ||
		!range_inside(off, sector, r->disk->size))
		return 0;
	buf = malloc(sector);
	if (!buf)
		return error_nomem(r->e);
	if (!part_read(r, buf, sector, off))
		return 0;
	h = (const void *)buf;
	if (memcmp(h->signature, "EFI PART", 8) != 0)
		return 0;
	*state = GPT_BAD;
	out->alternate = le64_get(h->alternate_lba); /* a hint, if it is bad */
#define BAD(...) (snprintf(why, why_size, __VA_ARGS__), 0)
	if (le32_get(h->revision) >> 16 != 1)
		return BAD("revision %#" PRIx32, le32_get(h->revision));
	size = le32_get(h->header_size);
	if (size < sizeof(*h) || size > sector)
		return BAD("header size %" PRIu32, size);
	g.entries_crc = le32_get(h->header_crc);
	memset(buf + offsetof(struct gpt_header_disk, header_crc), 0, 4);
	if (crc(buf, size) != g.entries_crc)
		return BAD("header checksum");
	if (le64_get(h->my_lba) != lba)
		return BAD("header at sector %" PRIu64 " says it is at %" PRIu64,
			lba, le64_get(h->my_lba));
	g.alternate = le64_get(h->alternate_lba);
	g.first_usable = le64_get(h->first_usable);
	g.last_usable = le64_get(h->last_usable);
	memcpy(g.guid, h->guid, 16);
	entries_lba = le64_get(h->entries_lba);
	g.count = le32_get(h->count);
	g.entry_size = le32_get(h->entry_size);
	g.entries_crc = le32_get(h->entries_crc);
	if (g.entry_size < sizeof(struct gpt_entry_disk) ||
		g.entry_size > 4096 || !is_pow2(g.entry_size))
		return BAD("entry size %" PRIu32, g.entry_size);
	if (g.count > LIMIT_PARTITIONS)
		return BAD("%" PRIu32 " entries, more than %d", g.count,
			LIMIT_PARTITIONS);
	bytes = (uint64_t)g.count * g.entry_size; /* at most 16 MiB */
	if (!u64_mul(entries_lba, sector, &g.entries_off) ||
		!range_inside(g.entries_off, bytes, r->disk->size))
		return BAD("entries at sector %" PRIu64 " are outside the disk",
			entries_lba);
	entries = malloc(bytes ? bytes : 1);
	if (!entries)
		return error_nomem(r->e);
	if (!part_read(r, entries, bytes, g.entries_off))
		return BAD("entries cannot be read");
	if (crc(entries, bytes) != g.entries_crc)
		return BAD("checksum of the entries");
#undef BAD
	g.entries = steal_ptr(entries);
	*out = g;
	*state = GPT_GOOD;
	return 0;
}

static int add_entries(struct part_reader *r, const struct gpt *g)
{
	static const uint8_t unused[16];

	for (uint32_t i = 0; i < g->count; i++) {
		size_t at = (size_t)i * g->entry_size;
		const struct gpt_entry_disk *x =
			(const void *)(g->entries + at);
		struct partition p = { .number = i + 1 };
		uint64_t first = le64_get(x->first), last = le64_get(x->last);
		char where[16];
		int rc;

		if (!memcmp(x->type, unused, 16))
			continue;
		snprintf(where, sizeof(where), "p%" PRIu32, i + 1);
		if (last < first || last == UINT64_MAX) {
			finding_report(r->findings, FINDING_PART_ENTRY_BAD,
				g->entries_off + at, where,
				"ends at sector %" PRIu64
				", before its start at %" PRIu64 "; left out",
				last, first);
			continue;
		}
		if (first < g->first_usable || last > g->last_usable)
			finding_report(r->findings, FINDING_PART_ENTRY_BAD,
				g->entries_off + at, where,
				"sectors %" PRIu64 " to %" PRIu64
				" are outside the usable %" PRIu64
				" to %" PRIu64,
				first, last, g->first_usable, g->last_usable);
		format_guid(x->type, true, p.type);
		format_guid(x->guid, false, p.uuid);
		utf16_field(x->name, 36, false, p.name, sizeof(p.name));
		p.attributes = le64_get(x->attributes);
		rc = part_add(r, &p, first, last - first + 1, g->sector,
			g->entries_off + at);
		if (rc)
			return rc;
	}
	return 0;
}

static void backup_finding(struct part_reader *r, uint64_t off, const char *what,
	const char *why)
{
	finding_report(r->findings, FINDING_PART_BACKUP, off, NULL, "%s: %s",
		what, why);
}

static bool same(const struct gpt *a, const struct gpt *b)
{
	return !memcmp(a->guid, b->guid, 16) && a->count == b->count &&
	       a->entry_size == b->entry_size &&
	       a->entries_crc == b->entries_crc &&
	       a->first_usable == b->first_usable &&
	       a->last_usable == b->last_usable;
}

/* The primary is good: say what the backup is like. */
static int check_backup(struct part_reader *r, const struct gpt *g)
{
	struct gpt backup = { 0 };
	enum gpt_state state;
	char why[128] = "";
	uint64_t off;
	int rc;

	if (!u64_mul(g->alternate, g->sector, &off) ||
		!range_inside(off, g->sector, r->disk->size)) {
		finding_report(r->findings, FINDING_PART_BACKUP,
			FINDING_NO_OFFSET, NULL,
			"the backup at sector %" PRIu64 " is outside the disk",
			g->alternate);
		return 0;
	}
	rc = read_copy(r, g->sector, g->alternate, &backup, &state, why,
		sizeof(why));
	if (rc)
		return rc;
	if (state == GPT_ABSENT)
		backup_finding(r, off, "backup", "there is none");
	else if (state == GPT_BAD)
		backup_finding(r, off, "backup", why);
	else if (!same(g, &backup))
		backup_finding(r, off, "backup", "differs from the primary");
	free(backup.entries);
	return 0;
}

/* A good primary, else a good backup; the sizes in
 * turn. *seen: a primary header was there, in whatever state. */
static int find(struct part_reader *r, bool protective, struct gpt *out,
	bool *found, bool *seen)
{
	const uint32_t sizes[] = { r->disk->sector_size, 512, 4096, 2048, 1024 };
	char why[128] = "no header in the second sector", tmp[128];
	uint64_t bad_at = 512, hint = 0;
	enum gpt_state state;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (i && sizes[i] == sizes[0])
			continue;
		rc = read_copy(r, sizes[i], 1, out, &state, tmp, sizeof(tmp));
		if (rc)
			return rc;
		if (state == GPT_BAD && !*seen) {
			*seen = true;
			hint = out->alternate;
			bad_at = sizes[i];
			memcpy(why, tmp, sizeof(why));
		}
		if (state == GPT_GOOD) {
			*found = *seen = true;
			return check_backup(r, out);
		}
	}
	if (!protective && !*seen)
		return 0;
	/* In the last sector; where the disk was made larger since, where the
	 * damaged primary says. */
	for (size_t k = 0; k < 2 * ARRAY_LEN(sizes); k++) {
		size_t i = k % ARRAY_LEN(sizes);
		uint64_t last = r->disk->size / sizes[i];

		if ((i && sizes[i] == sizes[0]) || last < 2)
			continue;
		if (k >= ARRAY_LEN(sizes) && hint < 2)
			break;
		rc = read_copy(r, sizes[i],
			k < ARRAY_LEN(sizes) ? last - 1 : hint, out, &state,
			tmp, sizeof(tmp));
		if (rc)
			return rc;
		if (state != GPT_GOOD)
			continue;
		*found = true;
		backup_finding(r, bad_at, "primary", why);
		return 0;
	}
	finding_report(r->findings, FINDING_PART_TABLE_DAMAGED, bad_at, NULL,
		"neither copy of the GPT is valid: %s", why);
	return 0;
}

int gpt_read(struct part_reader *r, bool protective, bool *out_found)
{
	struct gpt g = { 0 };
	bool found = false, seen = false;
	int rc;

	rc = find(r, protective, &g, &found, &seen);
	/* A damaged header that no MBR announces says nothing: what else the
	 * disk may be is for the others. */
	*out_found = found || protective;
	if (rc || !*out_found) {
		free(g.entries);
		return rc;
	}
	r->out->scheme = PART_GPT;
	if (found) {
		r->out->sector_size = g.sector;
		format_guid(g.guid, false, r->out->uuid);
		if (!protective)
			finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
				0, NULL,
				"no protective MBR before the GPT; the GPT is "
				"used");
		else if (mbr_used_but(r, MBR_TYPE_GPT))
			finding_report(r->findings, FINDING_PART_HYBRID, 0,
				NULL, "%u entries beside the protective one",
				mbr_used_but(r, MBR_TYPE_GPT));
		rc = add_entries(r, &g);
	}
	free(g.entries);
	return rc;
}
