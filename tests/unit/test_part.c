/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables by field: valid bytes from a writer of our own, one row a
 * field: what is changed and what must come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>
#include "base/endian.h"
#include "base/limits.h"
#include "part/part.h"

#define SECTORS 1024u
#define DISK (SECTORS * 512u)

static uint8_t disk[DISK];
static unsigned seen[FINDING_COUNT];

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	seen[f->id]++;
}

static struct part_table scan_size(size_t size)
{
	struct finding_sink sink = { on_finding, NULL };
	AUTO_SOURCE s = NULL;
	struct part_table t;
	struct error e;

	memset(seen, 0, sizeof(seen));
	assert_int_equal(source_memory(disk, size, &s, &e), 0);
	assert_int_equal(part_table_read(s, &sink, &t, &e), 0);
	for (size_t i = 0; i < t.len; i++) {
		assert_true(t.items[i].len > 0);
		assert_true(t.items[i].off < size);
		assert_true(t.items[i].len <= size - t.items[i].off);
	}
	return t;
}

static struct part_table scan(void)
{
	return scan_size(sizeof(disk));
}

static void mbr_entry(uint8_t *sector, unsigned i, uint8_t type, uint32_t first,
	uint32_t count)
{
	uint8_t *p = sector + 446 + 16 * i;

	memset(p, 0, 16);
	p[4] = type;
	put_le32(p + 8, first);
	put_le32(p + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

/* Two entries; both copies with correct checksums. */
static void gpt_seal(void)
{
	static const uint64_t at[] = { 1, SECTORS - 1 };

	memcpy(disk + (SECTORS - 33) * 512, disk + 1024, 32 * 512);
	for (int i = 0; i < 2; i++) {
		uint8_t *h = disk + at[i] * 512;

		put_le32(h + 88, (uint32_t)crc32(0, disk + 1024, 32 * 512));
		put_le32(h + 16, 0);
		put_le32(h + 16, (uint32_t)crc32(0, h, 92));
	}
}

static void gpt_make(void)
{
	memset(disk, 0, sizeof(disk));
	mbr_entry(disk, 0, 0xee, 1, SECTORS - 1);
	for (int i = 0; i < 2; i++) {
		uint8_t *h = disk + (i ? SECTORS - 1 : 1) * 512;

		memcpy(h, "EFI PART\0\0\1\0\x5c\0\0\0", 16);
		put_le64(h + 24, i ? SECTORS - 1 : 1);
		put_le64(h + 32, i ? 1 : SECTORS - 1);
		put_le64(h + 40, 34);
		put_le64(h + 48, SECTORS - 34);
		memset(h + 56, 0xab, 16);
		put_le64(h + 72, i ? SECTORS - 33 : 2);
		put_le32(h + 80, 128);
		put_le32(h + 84, 128);
	}
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *x = disk + 1024 + 128 * i;

		memset(x, 0x11, 16);
		memset(x + 16, 0x20 + (int)i, 16);
		put_le64(x + 32, 40 + 100 * i);
		put_le64(x + 40, 40 + 100 * i + 49);
		memcpy(x + 56, "n\0a\0\xac\x20", 6);
	}
	gpt_seal();
}

static void test_gpt_sound(void **state)
{
	struct part_table t;

	(void)state;
	gpt_make();
	t = scan();
	assert_int_equal(t.scheme, PART_GPT);
	assert_int_equal(t.len, 2);
	assert_int_equal(t.items[1].off, 140 * 512);
	assert_int_equal(t.items[1].len, 50 * 512);
	assert_string_equal(t.items[0].name, "na\xe2\x82\xac");
	assert_string_equal(t.items[0].type,
		"11111111-1111-1111-1111-111111111111");
	assert_string_equal(t.uuid, "abababab-abab-abab-abab-abababababab");
	for (int i = 0; i < FINDING_COUNT; i++)
		assert_int_equal(seen[i], 0);
	part_table_release(&t);
}

/* One field of one entry, with correct checksums. */
static void test_gpt_entries(void **state)
{
	static const struct {
		uint64_t first, last;
		size_t want;  /* partitions in all */
		uint64_t len; /* of the first, sectors */
		bool finding;
	} rows[] = {
		{ 40, 89, 2, 50, false },
		{ UINT64_C(1) << 53, (UINT64_C(1) << 54) - 1, 1, 0, true },
		{ 1000, 100, 1, 0, true },
		{ 90, 89, 1, 0, true },
		{ 0, UINT64_MAX, 1, 0, true },
		{ UINT64_MAX, UINT64_MAX, 1, 0, true },
		{ UINT64_C(1) << 55, UINT64_C(1) << 55, 1, 0, true },
		{ (UINT64_C(1) << 55) + 40, (UINT64_C(1) << 55) + 89, 1, 0,
			true },
		{ 40, UINT64_MAX - 1, 2, SECTORS - 40, true },
		{ SECTORS, SECTORS + 10, 1, 0, true },
		{ SECTORS - 40, SECTORS + 10, 2, 40, true },
		{ 2, 33, 2, 32, true }, /* over the table itself */
		{ 40, 40, 2, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct part_table t;

		gpt_make();
		put_le64(disk + 1024 + 32, rows[i].first);
		put_le64(disk + 1024 + 40, rows[i].last);
		gpt_seal();
		t = scan();
		assert_int_equal(t.len, rows[i].want);
		assert_int_equal(t.items[t.len - 1].number, 2);
		if (t.len == 2)
			assert_int_equal(t.items[0].len, rows[i].len * 512);
		assert_int_equal(seen[FINDING_PART_ENTRY_BAD] > 0,
			rows[i].finding);
		part_table_release(&t);
	}
}

/* One field of both headers, resealed: both copies are bad (or still good). */
static void test_gpt_header(void **state)
{
	static const struct {
		unsigned at, len;
		uint64_t value;
		bool good;
	} rows[] = {
		{ 8, 4, 0x20000, false },     /* revision */
		{ 8, 4, 0x10001, true },
		{ 12, 4, 91, false },         /* header size */
		{ 12, 4, 513, false },
		{ 12, 4, UINT32_MAX, false },
		{ 24, 8, 7, false },          /* my LBA */
		{ 72, 8, UINT64_MAX, false }, /* entries */
		{ 72, 8, SECTORS, false },
		{ 72, 8, (UINT64_C(1) << 55) + 2, false },
		{ 80, 4, UINT32_MAX, false }, /* count */
		{ 80, 4, LIMIT_PARTITIONS + 1, false },
		{ 84, 4, 0, false },          /* entry size */
		{ 84, 4, 127, false },
		{ 84, 4, 192, false },
		{ 84, 4, 0x80000000, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct part_table t;

		gpt_make();
		for (int k = 0; k < 2; k++) {
			uint8_t *f = disk + (k ? SECTORS - 1 : 1) * 512 +
				     rows[i].at;

			if (rows[i].len == 4)
				put_le32(f, (uint32_t)rows[i].value);
			else
				put_le64(f, rows[i].value);
		}
		gpt_seal();
		t = scan();
		assert_int_equal(t.scheme, PART_GPT);
		assert_int_equal(t.len, rows[i].good ? 2 : 0);
		assert_int_equal(seen[FINDING_PART_TABLE_DAMAGED],
			!rows[i].good);
		part_table_release(&t);
	}
}

static void test_gpt_copies(void **state)
{
	struct part_table t;

	(void)state;
	/* any byte of the first header, then the second */
	for (unsigned at = 0; at < 92; at++) {
		gpt_make();
		disk[512 + at] ^= 0x40;
		t = scan();
		assert_int_equal(t.len, 2);
		assert_int_equal(seen[FINDING_PART_BACKUP], 1);
		part_table_release(&t);
		gpt_make();
		disk[(SECTORS - 1) * 512 + at] ^= 0x40;
		t = scan();
		assert_int_equal(t.len, 2);
		assert_int_equal(seen[FINDING_PART_BACKUP], 1);
		part_table_release(&t);
	}
	/* two valid copies that differ */
	gpt_make();
	disk[(SECTORS - 1) * 512 + 56] ^= 1;
	put_le32(disk + (SECTORS - 1) * 512 + 16, 0);
	put_le32(disk + (SECTORS - 1) * 512 + 16,
		(uint32_t)crc32(0, disk + (SECTORS - 1) * 512, 92));
	t = scan();
	assert_int_equal(t.len, 2);
	assert_int_equal(seen[FINDING_PART_BACKUP], 1);
	part_table_release(&t);
	/* an MBR with a partition of its own, and a GPT nobody announces */
	gpt_make();
	mbr_entry(disk, 0, 0x83, 200, 10);
	t = scan();
	assert_int_equal(t.scheme, PART_MBR);
	assert_int_equal(t.len, 1);
	part_table_release(&t);
	/* no MBR at all */
	gpt_make();
	memset(disk, 0, 512);
	t = scan();
	assert_int_equal(t.scheme, PART_GPT);
	assert_int_equal(t.len, 2);
	assert_int_equal(seen[FINDING_PART_TABLE_DAMAGED], 1);
	part_table_release(&t);
	/* overlaps */
	gpt_make();
	put_le64(disk + 1024 + 40, 150);
	gpt_seal();
	t = scan();
	assert_int_equal(t.len, 2);
	assert_int_equal(seen[FINDING_PART_OVERLAP], 1);
	part_table_release(&t);
	/* every length of disk */
	gpt_make();
	for (size_t n = 0; n < sizeof(disk); n += 211) {
		t = scan_size(n);
		part_table_release(&t);
	}
}

static void ebr(uint32_t lba, uint8_t type, uint32_t first, uint32_t count,
	uint32_t next, uint32_t next_count)
{
	mbr_entry(disk + lba * 512, 0, type, first, count);
	mbr_entry(disk + lba * 512, 1, next_count ? 0x05 : 0, next, next_count);
}

static void mbr_make(void)
{
	memset(disk, 0, sizeof(disk));
	put_le32(disk + 440, 0x1a2b3c4d);
	mbr_entry(disk, 0, 0x83, 10, 50);
	mbr_entry(disk, 1, 0x05, 100, 500);
	ebr(100, 0x83, 1, 20, 100, 50);
	ebr(200, 0x82, 2, 30, 300, 50);
	ebr(400, 0x8e, 3, 40, 0, 0);
}

static void test_mbr(void **state)
{
	struct part_table t;

	(void)state;
	mbr_make();
	t = scan();
	assert_int_equal(t.scheme, PART_MBR);
	assert_int_equal(t.len, 5);
	assert_true(t.items[1].is_container);
	assert_int_equal(t.items[2].number, 5);
	assert_int_equal(t.items[2].off, 101 * 512);
	assert_int_equal(t.items[3].off, 202 * 512);
	assert_int_equal(t.items[4].off, 403 * 512);
	assert_string_equal(t.items[4].uuid, "1a2b3c4d-07");
	assert_string_equal(t.items[4].type, "0x8e");
	for (int i = 0; i < FINDING_COUNT; i++)
		assert_int_equal(seen[i], 0);
	part_table_release(&t);
}

static void test_mbr_damage(void **state)
{
	struct part_table t;

	(void)state;
	/* a chain that comes back: to the first, to itself, to the MBR */
	for (uint32_t k = 0; k < 3; k++) {
		mbr_make();
		ebr(400, 0x8e, 3, 40, k == 2 ? (uint32_t)-100 : k * 300, 50);
		t = scan();
		assert_int_equal(t.len, 5);
		assert_int_equal(seen[FINDING_PART_LOOP],
			k < 2); /* 2^32 - 100 + 100 does not wrap to 0 */
		part_table_release(&t);
	}
	mbr_make();
	mbr_entry(disk, 1, 0x05, 0, 500); /* the MBR as its own extended */
	t = scan();
	assert_int_equal(seen[FINDING_PART_LOOP], 1);
	part_table_release(&t);
	mbr_make(); /* a link without its signature */
	disk[200 * 512 + 510] = 0;
	t = scan();
	assert_int_equal(t.len, 3);
	assert_int_equal(seen[FINDING_PART_TABLE_DAMAGED], 1);
	part_table_release(&t);
	mbr_make(); /* start outside, end outside */
	mbr_entry(disk, 0, 0x83, UINT32_MAX, UINT32_MAX);
	mbr_entry(disk, 2, 0x83, SECTORS - 1, UINT32_MAX);
	t = scan();
	assert_int_equal(t.len, 5);
	assert_int_equal(t.items[1].number, 3);
	assert_int_equal(t.items[1].len, 512);
	assert_int_equal(seen[FINDING_PART_ENTRY_BAD], 2);
	part_table_release(&t);
	mbr_make(); /* boot code, not entries */
	disk[446] = 0x33;
	t = scan();
	assert_int_equal(t.scheme, PART_NONE);
	part_table_release(&t);
	mbr_make(); /* a boot sector of NTFS */
	memcpy(disk + 3, "NTFS    ", 8);
	t = scan();
	assert_int_equal(t.scheme, PART_NONE);
	part_table_release(&t);
	mbr_make(); /* the protective entry alone, and no GPT */
	mbr_entry(disk, 0, 0xee, 1, SECTORS - 1);
	t = scan();
	assert_int_equal(t.scheme, PART_GPT);
	assert_int_equal(t.len, 0);
	assert_int_equal(seen[FINDING_PART_TABLE_DAMAGED], 1);
	part_table_release(&t);
	mbr_make(); /* a partition inside another */
	mbr_entry(disk, 2, 0xef, 20, 10);
	t = scan();
	assert_int_equal(t.len, 6);
	assert_int_equal(seen[FINDING_PART_NESTED], 1);
	part_table_release(&t);
	/* a chain as long as the disk: capped */
	memset(disk, 0, sizeof(disk));
	mbr_entry(disk, 0, 0x0f, 1, SECTORS - 1);
	for (uint32_t i = 1; i < SECTORS - 1; i++)
		ebr(i, 0x83, 0, 1, i, 1);
	t = scan();
	assert_true(t.len <= LIMIT_EXTENDED_CHAIN + 1);
	assert_int_equal(seen[FINDING_PART_TABLE_DAMAGED], 1);
	part_table_release(&t);
}

static void test_read_errors(void **state)
{
	struct finding_sink sink = { on_finding, NULL };
	AUTO_SOURCE m = NULL;
	AUTO_SOURCE first = NULL;
	AUTO_SOURCE second = NULL;
	struct part_table t;
	struct error e;

	(void)state;
	gpt_make();
	assert_int_equal(source_memory(disk, sizeof(disk), &m, &e), 0);
	assert_int_equal(source_faulty(m, 0, 1, &first, &e), 0);
	assert_int_equal(part_table_read(first, &sink, &t, &e), ERR_IO);
	assert_int_equal(source_faulty(m, 600, 1, &second, &e), 0);
	memset(seen, 0, sizeof(seen));
	assert_int_equal(part_table_read(second, &sink, &t, &e), 0);
	assert_int_equal(t.len, 2);
	assert_true(seen[FINDING_READ_ERROR] > 0);
	assert_int_equal(seen[FINDING_PART_BACKUP], 1);
	part_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpt_sound),
		cmocka_unit_test(test_gpt_entries),
		cmocka_unit_test(test_gpt_header),
		cmocka_unit_test(test_gpt_copies),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_mbr_damage),
		cmocka_unit_test(test_read_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
