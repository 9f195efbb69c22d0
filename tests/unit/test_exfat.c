/* SPDX-License-Identifier: Apache-2.0 */
/* exFAT by field: a small one written here, one row a field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/endian.h"
#include "fs/exfat.h"
#include "fs/table.h"
#include "fslist.h"

#define CLUSTERS 100u
#define SECTORS (25 + CLUSTERS)
#define FAT_AT (24 * 512u)
#define CLUSTER(c) ((25 + (c) - 2) * 512u)

static uint8_t disk[SECTORS * 512];
static void seal_boot(void)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 11 * 512; i++)
		if (i != 106 && i != 107 && i != 112)
			sum = (sum << 31 | sum >> 1) + disk[i];
	for (unsigned i = 0; i < 128; i++)
		put_le32(disk + 11 * 512 + 4 * i, sum);
}

static void seal_set(unsigned at)
{
	uint16_t s = 0;

	for (unsigned i = 0; i < 32 * (disk[at + 1] + 1u); i++)
		if (i != 2 && i != 3)
			s = (uint16_t)((s << 15 | s >> 1) + disk[at + i]);
	put_le16(disk + at + 2, s);
}

static void put_fat(uint32_t c, uint32_t v)
{
	put_le32(disk + FAT_AT + 4 * c, v);
}

static void put_file(unsigned at, char name, uint16_t attr, uint8_t flags,
	uint32_t start, uint64_t valid, uint64_t size)
{
	uint8_t *p = disk + at;

	memset(p, 0, 96);
	p[0] = 0x85;
	p[1] = 2;
	put_le16(p + 4, attr);
	put_le32(p + 12, 0x5a216000); /* 2025-01-01 12:00:00 */
	p[32] = 0xc0;
	p[33] = flags;
	p[35] = 1;
	put_le64(p + 40, valid);
	put_le32(p + 52, start);
	put_le64(p + 56, size);
	p[64] = 0xc1;
	p[66] = (uint8_t)name;
	seal_set(at);
}

#define A CLUSTER(4)	    /* chained */
#define B (CLUSTER(4) + 96) /* contiguous */
#define D (CLUSTER(4) + 192)

static void make(void)
{
	memset(disk, 0, sizeof(disk));
	memcpy(disk, "\xeb\x76\x90" "EXFAT   ", 11);
	put_le64(disk + 72, SECTORS);
	put_le32(disk + 80, 24);
	put_le32(disk + 84, 1);
	put_le32(disk + 88, 25);
	put_le32(disk + 92, CLUSTERS);
	put_le32(disk + 96, 4);
	put_le32(disk + 100, 0x12345678);
	put_le16(disk + 104, 0x100);
	disk[108] = 9;
	disk[110] = 1;
	put_le16(disk + 510, 0xaa55);
	seal_boot();
	for (uint32_t c = 2; c < CLUSTERS + 2; c++)
		memset(disk + CLUSTER(c), (int)c, c == 2 || c == 4 || c == 50
							? 0 : 512);
	memset(disk + CLUSTER(4), 0, 512);
	memset(disk + CLUSTER(50), 0, 512);
	put_fat(0, 0xfffffff8);
	put_fat(1, UINT32_MAX);
	put_fat(2, UINT32_MAX);
	put_fat(3, UINT32_MAX);
	put_fat(4, 5);
	put_fat(5, UINT32_MAX);
	memset(disk + CLUSTER(5), 0, 512);
	put_file(A, 'A', 0x20, 1, 10, 1200, 1200);
	put_fat(10, 12);
	put_fat(12, 11);
	put_fat(11, UINT32_MAX);
	put_file(B, 'B', 0x20, 3, 20, 600, 1400);
	put_file(D, 'D', 0x10, 3, 50, 512, 512);
	put_file(CLUSTER(50), 'I', 0x21, 3, 60, 10, 10);
	/* a set that goes on in the next cluster of the directory */
	for (unsigned i = 9; i < 14; i++)
		disk[CLUSTER(4) + 32 * i] = 0x05;
	put_file(CLUSTER(4) + 14 * 32, 'S', 0x20, 1, 0, 0, 0);
}

/* Extents: OFFSET+LENGTH, u: unwritten. */
static int on_extent(void *ctx, const struct fs_extent *x)
{
	char text[64];

	(void)ctx;
	snprintf(text, sizeof(text),
		" %s%d+%d", x->kind == FS_EXTENT_UNWRITTEN ? "u" : "",
		(int)(x->dev_off - CLUSTER(2)), (int)x->len);
	list_add(text);
	return 0;
}

static int list(size_t size)
{
	return fs_list(&(struct fs_listing){ .ops = &fs_exfat,
			       .extent = on_extent,
			       .mtime = 1735732800 },
		disk, size);
}

#define TXT_A "A:1200 4096+512 5120+512 4608+512;"
#define TXT_B "B:1400 9216+600 u9816+936;"
#define TXT_I "I:10 29696+512;"

static void test_sound(void **state)
{
	(void)state;
	make();
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, TXT_A TXT_B "D:0;S:0;" TXT_I);
	for (int i = 0; i < FINDING_COUNT; i++)
		assert_int_equal(seen[i], 0);
}

static void test_boot(void **state)
{
	static const struct {
		unsigned at, len;
		uint64_t value;
		bool good;
	} rows[] = {
		{ 3, 1, 'e', false },
		{ 64, 8, 77, true },             /* where the partition is */
		{ 72, 8, SECTORS - 1, false },
		{ 72, 8, UINT64_MAX, false },
		{ 80, 4, 0, false },
		{ 80, 4, UINT32_MAX, false },
		{ 84, 4, 0, false },
		{ 84, 4, 2, false },
		{ 84, 4, UINT32_MAX, false },
		{ 88, 4, 24, false },
		{ 88, 4, UINT32_MAX, false },
		{ 92, 4, 0, false },
		{ 92, 4, CLUSTERS + 1, false },
		{ 92, 4, UINT32_MAX, false },
		{ 96, 4, 1, false },
		{ 96, 4, CLUSTERS + 2, false },
		{ 104, 2, 0x200, false },
		{ 104, 2, 0x101, true },
		{ 106, 2, 1, false },            /* the second FAT, of one */
		{ 108, 1, 8, false },
		{ 108, 1, 13, false },
		{ 108, 1, 255, false },
		{ 109, 1, 17, false },
		{ 109, 1, 255, false },
		{ 110, 1, 0, false },
		{ 110, 1, 3, false },
		{ 510, 1, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make();
		for (unsigned k = 0; k < rows[i].len; k++)
			disk[rows[i].at + k] = (uint8_t)(rows[i].value >> 8 * k);
		seal_boot();
		assert_int_equal(list(sizeof(disk)) == 0, rows[i].good);
	}
	make(); /* one bit, and the checksum not made anew: the copy */
	memcpy(disk + 12 * 512, disk, 12 * 512);
	disk[200] ^= 1;
	assert_int_equal(list(sizeof(disk)), 0);
	assert_int_equal(seen[FINDING_FS_BACKUP_SUPER], 1);
	disk[12 * 512 + 200] ^= 1;
	assert_int_equal(list(sizeof(disk)), ERR_CORRUPT);
	make();
	disk[106] |= 2;
	assert_int_equal(list(sizeof(disk)), 0);
	assert_int_equal(seen[FINDING_FS_DIRTY], 1);
}

/* One field of the set of A, B or D, with a new checksum. */
static void test_sets(void **state)
{
	static const struct {
		unsigned at, len;
		uint64_t value;
		const char *want;
		enum finding_id finding;
	} rows[] = {
		{ A, 1, 0x05, TXT_B "D:0;S:0;" TXT_I, FINDING_COUNT },
		{ A + 1, 1, 1, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 1, 1, 3, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 1, 1, 255, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 32, 1, 0x40, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 35, 1, 0, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 35, 1, 16, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 40, 8, 1201, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 64, 1, 0xc0, TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		{ A + 66, 1, '/', TXT_B "D:0;S:0;" TXT_I, FINDING_NAME_BAD },
		{ A + 66, 1, '.', TXT_B "D:0;S:0;" TXT_I, FINDING_NAME_BAD },
		{ A + 66, 1, 0, TXT_B "D:0;S:0;" TXT_I, FINDING_NAME_BAD },
		{ A + 52, 4, 0, "A:1200!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ A + 52, 4, CLUSTERS + 2, "A:1200!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ A + 56, 8, 1537, "A:1537 4096+512 5120+512!;" TXT_B
			"D:0;S:0;" TXT_I, FINDING_FILE_DAMAGED },
		{ A + 56, 8, UINT64_MAX, "A:4294967295!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ B + 52, 4, 100, TXT_A "B:1400!;D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ B + 52, 4, 99, TXT_A "B:1400 49664+600 u50264+936;D:0;S:0;"
			TXT_I, FINDING_COUNT },
		{ B + 40, 8, 0, TXT_A "B:1400 u9216+1536;D:0;S:0;" TXT_I,
			FINDING_COUNT },
		{ B + 40, 8, 1400, TXT_A "B:1400 9216+1536;D:0;S:0;" TXT_I,
			FINDING_COUNT },
		{ D + 52, 4, CLUSTERS + 2, TXT_A TXT_B "D:0;S:0;",
			FINDING_DIR_DAMAGED },
		{ D + 52, 4, 4, TXT_A TXT_B "D:0;S:0;" TXT_A TXT_B "D:0;"
			TXT_A TXT_B "D:0;" TXT_A TXT_B "D:0;", FINDING_COUNT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned set = rows[i].at >= D ? D : rows[i].at >= B ? B : A;

		make();
		for (unsigned k = 0; k < rows[i].len; k++)
			disk[rows[i].at + k] = (uint8_t)(rows[i].value >> 8 * k);
		if (disk[set + 1] < 19)
			seal_set(set);
		assert_int_equal(list(sizeof(disk)), 0);
		if (i + 1 < ARRAY_LEN(rows)) /* that one holds itself */
			assert_string_equal(listing, rows[i].want);
		if (rows[i].finding < FINDING_COUNT)
			assert_true(seen[rows[i].finding] > 0);
	}
	make(); /* the checksum itself */
	disk[A + 2] ^= 1;
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, TXT_B "D:0;S:0;" TXT_I);
	assert_int_equal(seen[FINDING_DIR_DAMAGED], 1);
}

static void test_chains(void **state)
{
	static const struct {
		uint32_t cluster, value;
		const char *want;
		enum finding_id finding;
	} rows[] = {
		{ 12, 10, "A:1200 4096+512 5120+512!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ 12, 0xfffffff7, "A:1200 4096+512!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ 12, 0, "A:1200 4096+512!;" TXT_B "D:0;S:0;" TXT_I,
			FINDING_FILE_DAMAGED },
		{ 20, 0, TXT_A TXT_B "D:0;S:0;" TXT_I, FINDING_COUNT },
		{ 5, 4, TXT_A TXT_B "D:0;S:0;" TXT_I, FINDING_DIR_DAMAGED },
		/* S goes on in the cluster that is not there */
		{ 4, 0, TXT_A TXT_B "D:0;" TXT_I, FINDING_DIR_DAMAGED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make();
		put_fat(rows[i].cluster, rows[i].value);
		assert_int_equal(list(sizeof(disk)), 0);
		assert_string_equal(listing, rows[i].want);
		if (rows[i].finding < FINDING_COUNT)
			assert_true(seen[rows[i].finding] > 0);
	}
	make();
	for (size_t n = 0; n < sizeof(disk); n += 101)
		(void)!list(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
