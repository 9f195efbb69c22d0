/* SPDX-License-Identifier: Apache-2.0 */
/* MBR and the chain of extended partitions, numbered as Linux does.
 *
 *	offset  0  boot code
 *	      440  le32 disk signature
 *	      446  4 entries: status, CHS, type at 4, CHS, le32 first, le32 count
 *	      510  55 aa
 *
 * Offsets in an extended boot record (EBR): the data partition counts from
 * that EBR, the link to the next EBR from the start of the extended partition.
 */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/endian.h"
#include "base/limits.h"
#include "part/part_private.h"

#define MBR_SIGNATURE 440
#define MBR_ENTRIES 446
#define MBR_MAGIC 510
#define MBR_ENTRY_SIZE 16

struct mbr_entry {
	uint8_t status, type;
	uint32_t first, count;
};

static struct mbr_entry entry(const uint8_t *sector, unsigned i)
{
	const uint8_t *p = sector + MBR_ENTRIES + MBR_ENTRY_SIZE * i;

	return (struct mbr_entry){
		.status = p[0],
		.type = p[4],
		.first = get_le32(p + 8),
		.count = get_le32(p + 12),
	};
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool is_bsd(uint8_t type)
{
	return type == 0xa5 || type == 0xa6 || type == 0xa9;
}

/* A boot sector of FAT, exFAT or NTFS ends in 55 aa too, and the text in its
 * boot code would read as entries. */
bool mbr_is_boot_sector(const struct part_reader *r)
{
	const uint8_t *s = r->first;
	uint16_t sector = get_le16(s + 11);

	if (memcmp(s + 3, "NTFS    ", 8) == 0 ||
		memcmp(s + 3, "EXFAT   ", 8) == 0 ||
		memcmp(s + 3, "ReFS\0\0\0\0", 8) == 0)
		return true;
	/* FAT's parameter block: jump, sector and cluster size, reserved
	 * sectors, number of tables, media byte, and some size. */
	return (s[0] == 0xeb || s[0] == 0xe9) && sector >= 512 &&
	       sector <= 4096 && is_pow2(sector) && is_pow2(s[13]) &&
	       get_le16(s + 14) && s[16] >= 1 && s[16] <= 2 && s[21] >= 0xf0 &&
	       (get_le16(s + 19) || get_le32(s + 32)) &&
	       (get_le16(s + 22) || get_le32(s + 36));
}

bool mbr_is(const struct part_reader *r)
{
	const uint8_t *s = r->first;

	if (s[MBR_MAGIC] != 0x55 || s[MBR_MAGIC + 1] != 0xaa)
		return false;
	/* Linux and blkid: any other status byte means that this is code. */
	for (unsigned i = 0; i < 4; i++)
		if (entry(s, i).status & 0x7f)
			return false;
	return true;
}

bool mbr_has_type(const struct part_reader *r, uint8_t type)
{
	for (unsigned i = 0; i < 4; i++)
		if (entry(r->first, i).type == type)
			return true;
	return false;
}

unsigned mbr_used_but(const struct part_reader *r, uint8_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = entry(r->first, i);

		n += x.count && (!type || x.type != type);
	}
	return n;
}

bool mbr_is_bsd_disk(const struct part_reader *r)
{
	bool bsd = false;

	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = entry(r->first, i);

		if (!x.count)
			continue;
		if (bsd || x.first || !is_bsd(x.type))
			return false;
		bsd = true;
	}
	return bsd;
}

/* Does something that is known start at off? */
static bool known_start(struct part_reader *r, uint64_t off, bool extended)
{
	static const struct {
		uint16_t at;
		uint8_t len;
		const char *magic;
	} magics[] = {
		{ 0x438, 2, "\x53\xef" }, /* ext2/3/4 */
		{ 0, 4, "XFSB" },
		{ 3, 8, "NTFS    " },
		{ 3, 8, "EXFAT   " },
		{ 0x36, 3, "FAT" },
		{ 0x52, 5, "FAT32" },
		{ 0, 6, "LUKS\xba\xbe" },
		{ 0x200, 8, "LABELONE" },
		{ 0, 8, "LABELONE" },
		{ 4096 - 10, 10, "SWAPSPACE2" },
	};
	uint8_t b[4096];
	uint8_t btrfs[8];

	if (!range_inside(off, sizeof(b), r->disk->size) ||
		!part_read(r, b, sizeof(b), off))
		return false;
	if (extended)
		return b[MBR_MAGIC] == 0x55 && b[MBR_MAGIC + 1] == 0xaa;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (!memcmp(b + magics[i].at, magics[i].magic, magics[i].len))
			return true;
	return range_inside(off, 0x10048, r->disk->size) &&
	       part_read(r, btrfs, sizeof(btrfs), off + 0x10040) &&
	       !memcmp(btrfs, "_BHRfS_M", 8);
}

/* An MBR does not say its sector size, and a disk that was made with another
 * one may come as a plain file. The size under which more partitions start
 * with something known, the disk's own where nothing tells. */
static uint32_t sector_size(struct part_reader *r)
{
	static const uint32_t sizes[] = { 512, 4096, 2048, 1024 };
	uint32_t best = r->disk->sector_size;
	unsigned best_score = 0;

	for (size_t k = 0; k <= ARRAY_LEN(sizes); k++) {
		uint32_t size = k ? sizes[k - 1] : r->disk->sector_size;
		unsigned score = 0;

		for (unsigned i = 0; i < 4; i++) {
			struct mbr_entry x = entry(r->first, i);

			if (x.count && x.first &&
				known_start(r, (uint64_t)x.first * size,
					is_extended(x.type)))
				score++;
		}
		if (score > best_score) {
			best = size;
			best_score = score;
		}
	}
	return best;
}

static int add(struct part_reader *r, const struct mbr_entry *x,
	uint32_t number, uint64_t first, uint32_t size, uint64_t at)
{
	struct partition p = { .number = number };

	snprintf(p.type, sizeof(p.type), "0x%02x", x->type);
	if (*r->out->uuid)
		snprintf(p.uuid, sizeof(p.uuid), "%.8s-%02x", r->out->uuid,
			number);
	p.attributes = x->status;
	p.is_container = is_extended(x->type) && number <= 4;
	return part_add(r, &p, first, x->count, size, at);
}

struct chain {
	uint64_t visited[LIMIT_EXTENDED_CHAIN];
	size_t len;
	uint32_t number; /* of the next logical partition */
};

/* Bounded by the visited set: each step adds a sector that was not in it, and
 * it holds at most LIMIT_EXTENDED_CHAIN. */
static int read_chain(struct part_reader *r, struct chain *c, uint64_t start,
	uint64_t count, uint32_t size)
{
	uint64_t cur = start;

	for (;;) {
		uint8_t b[512];
		uint64_t next = 0, at;
		int rc;

		for (size_t i = 0; i < c->len; i++) {
			if (c->visited[i] != cur)
				continue;
			finding_report(r->findings, FINDING_PART_LOOP,
				cur * size, NULL,
				"the chain comes back to sector %" PRIu64, cur);
			return 0;
		}
		if (c->len == LIMIT_EXTENDED_CHAIN) {
			finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
				cur * size, NULL,
				"more than %d links in the extended chain; the "
				"rest is left out",
				LIMIT_EXTENDED_CHAIN);
			return 0;
		}
		c->visited[c->len++] = cur;
		at = cur * size; /* below 2^33 * 4096 */
		if (!part_read(r, b, sizeof(b), at) || b[MBR_MAGIC] != 0x55 ||
			b[MBR_MAGIC + 1] != 0xaa) {
			finding_report(r->findings, FINDING_PART_TABLE_DAMAGED,
				at, NULL,
				"no extended boot record at sector %" PRIu64,
				cur);
			return 0;
		}
		for (unsigned i = 0; i < 4; i++) {
			struct mbr_entry x = entry(b, i);
			uint64_t first = cur + x.first;

			if (!x.count || is_extended(x.type))
				continue;
			/* Linux: the last two are often garbage, and count
			 * only where they stay inside. */
			if (i >= 2 && (first < start ||
					      !range_inside(first - start,
						      x.count, count)))
				continue;
			rc = add(r, &x, c->number, first, size,
				at + MBR_ENTRIES + MBR_ENTRY_SIZE * i);
			if (rc)
				return rc;
			c->number++;
		}
		for (unsigned i = 0; i < 4 && !next; i++) {
			struct mbr_entry x = entry(b, i);

			if (x.count && is_extended(x.type))
				next = start + x.first;
		}
		if (!next)
			return 0;
		if (next - start >= count)
			finding_report(r->findings, FINDING_PART_ENTRY_BAD, at,
				NULL,
				"the next extended boot record, sector %" PRIu64
				", is outside the extended partition",
				next);
		cur = next;
	}
}

int mbr_read(struct part_reader *r)
{
	struct chain chain = { .number = 5, .visited = { 0 }, .len = 1 };
	uint32_t size = sector_size(r);
	uint32_t id = get_le32(r->first + MBR_SIGNATURE);
	int rc;

	r->out->scheme = PART_MBR;
	r->out->sector_size = size;
	if (id)
		snprintf(r->out->uuid, sizeof(r->out->uuid), "%08" PRIx32, id);
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = entry(r->first, i);
		uint64_t at = MBR_ENTRIES + MBR_ENTRY_SIZE * i;

		if (!x.count)
			continue;
		rc = add(r, &x, i + 1, x.first, size, at);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = entry(r->first, i);

		if (!x.count || !is_extended(x.type))
			continue;
		rc = read_chain(r, &chain, x.first, x.count, size);
		if (rc)
			return rc;
	}
	/* Those in BSD labels come behind the logical ones. */
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_entry x = entry(r->first, i);

		if (!x.count || !x.first || !is_bsd(x.type))
			continue;
		rc = bsd_read_nested(r, x.type, x.first, x.count, size,
			&chain.number);
		if (rc)
			return rc;
	}
	return 0;
}
