/* SPDX-License-Identifier: Apache-2.0 */
/* FAT by field: a small FAT12 written here, one row a field, and what must
 * come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fs/fat.h"
#include "fs/table.h"
#include "fslist.h"

#define SECTORS 100u
#define FAT_AT 512u
#define ROOT_AT (3 * 512u)
#define DATA_AT (4 * 512u) /* cluster 2 */

static uint8_t disk[SECTORS * 512];
static void set_fat(uint32_t c, unsigned v)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t *p = disk + FAT_AT + 512 * copy + c * 3 / 2;

		if (c & 1) {
			p[0] = (uint8_t)((p[0] & 0xf) | v << 4);
			p[1] = (uint8_t)(v >> 4);
		} else {
			p[0] = (uint8_t)v;
			p[1] = (uint8_t)((p[1] & 0xf0) | v >> 8);
		}
	}
}

static uint8_t *put(unsigned at, const char *name, uint8_t attr, uint16_t start,
	uint32_t size)
{
	uint8_t *p = disk + at;

	memset(p, 0, 32);
	memcpy(p, name, 11);
	p[11] = attr;
	put_le16(p + 22, 0x6000); /* 12:00:00 */
	put_le16(p + 24, 0x5a21); /* 2025-01-01 */
	put_le16(p + 26, start);
	put_le32(p + 28, size);
	return p;
}

/* One long entry (up to 13 ASCII characters) for the short name behind it. */
static void put_long(unsigned at, const char *name, const char *shrt)
{
	static const uint8_t place[13] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22,
		24, 28, 30 };
	uint8_t *p = disk + at, sum = 0;
	size_t n = strlen(name);

	memset(p, 0xff, 32);
	p[0] = 0x41;
	p[11] = 0x0f;
	p[12] = 0;
	put_le16(p + 26, 0);
	for (size_t i = 0; i <= n && i < 13; i++)
		put_le16(p + place[i], (uint8_t)name[i]);
	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + (uint8_t)shrt[i]);
	p[13] = sum;
}

static void make(void)
{
	memset(disk, 0, sizeof(disk));
	memcpy(disk, "\xeb\x3c\x90mkfs.fat", 11);
	put_le16(disk + 11, 512);
	disk[13] = 1;
	put_le16(disk + 14, 1);
	disk[16] = 2;
	put_le16(disk + 17, 16);
	put_le16(disk + 19, SECTORS);
	disk[21] = 0xf8;
	put_le16(disk + 22, 1);
	disk[38] = 0x29;
	put_le32(disk + 39, 0x1234abcd);
	memcpy(disk + 43, "BOOT LABEL FAT12   ", 19);
	put_le16(disk + 510, 0xaa55);
	set_fat(0, 0xff8);
	set_fat(1, 0xfff);
	put(ROOT_AT, "A       TXT", 0x20, 2, 1200); /* 2, 5, 3 */
	set_fat(2, 5);
	set_fat(5, 3);
	set_fat(3, 0xfff);
	put(ROOT_AT + 32, "DIR        ", 0x10, 10, 0);
	set_fat(10, 11);
	set_fat(11, 0xfff);
	put(DATA_AT + 8 * 512, ".          ", 0x10, 10, 0);
	put(DATA_AT + 8 * 512 + 32, "..         ", 0x10, 0, 0);
	for (unsigned i = 2; i < 16; i++)
		put(DATA_AT + 8 * 512 + 32 * i, "\xe5       X  ", 0x20, 0, 0);
	put(DATA_AT + 9 * 512, "INNER      ", 0x21, 20, 512);
	set_fat(20, 0xfff);
	for (unsigned i = 0; i < 96 * 512; i++)
		if (i / 512 != 8 && i / 512 != 9)
			disk[DATA_AT + i] = (uint8_t)(i / 512 + 2);
}

/* Extents: CLUSTER+COUNT. */
static int on_extent(void *ctx, const struct fs_extent *x)
{
	char text[64];

	(void)ctx;
	snprintf(text, sizeof(text),
		" %d+%d", (int)(x->dev_off - DATA_AT) / 512 + 2,
		(int)x->len / 512);
	list_add(text);
	return 0;
}

static int list(size_t size)
{
	return fs_list(&(struct fs_listing){ .ops = &fs_fat,
			       .extent = on_extent,
			       .mtime = 1735732800 },
		disk, size);
}

static void test_sound(void **state)
{
	AUTO_SOURCE src = NULL;
	struct fs_info info = { 0 };
	struct error e;

	(void)state;
	make();
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, "A.TXT:1200 2+1 5+1 3+1;DIR:0;INNER:512 20+1;");
	for (int i = 0; i < FINDING_COUNT; i++)
		assert_int_equal(seen[i], 0);
	assert_int_equal(source_memory(disk, sizeof(disk), &src, &e), 0);
	assert_int_equal(fs_fat.probe(src, &info, &e), FS_YES);
	assert_string_equal(info.uuid, "1234-ABCD");
	/* what only the boot sector says is none, as with blkid */
	assert_string_equal(info.label, "");
	source_unref(src);
	src = NULL;
	put(ROOT_AT + 32 * 2, "NO NAME    ", 0x08, 0, 0);
	assert_int_equal(source_memory(disk, sizeof(disk), &src, &e), 0);
	assert_int_equal(fs_fat.probe(src, &info, &e), FS_YES);
	assert_string_equal(info.label, "NO NAME");
	assert_string_equal(info.type, "vfat");
}

/* One field of the boot sector. */
static void test_boot(void **state)
{
	static const struct {
		unsigned at, len;
		uint32_t value;
		enum fs_verdict want;
	} rows[] = {
		{ 11, 2, 0, FS_NO },
		{ 11, 2, 256, FS_NO },
		{ 11, 2, 513, FS_NO },
		{ 11, 2, 8192, FS_NO },
		{ 13, 1, 0, FS_NO },
		{ 13, 1, 3, FS_NO },
		{ 13, 1, 128, FS_UNSURE }, /* no cluster left */
		{ 14, 2, 0, FS_NO },
		{ 14, 2, 98, FS_UNSURE },  /* tables behind the end */
		{ 14, 2, 0xffff, FS_UNSURE },
		{ 16, 1, 0, FS_NO },
		{ 16, 1, 255, FS_UNSURE },
		{ 17, 2, 0, FS_UNSURE },
		{ 17, 2, 0xffff, FS_UNSURE },
		{ 19, 2, 0, FS_NO },
		{ 19, 2, 3, FS_UNSURE },
		{ 21, 1, 0x12, FS_NO },
		{ 21, 1, 0xf0, FS_YES },
		{ 22, 2, 0, FS_NO },
		{ 22, 2, 0xffff, FS_UNSURE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_SOURCE src = NULL;
		struct fs_info info = { 0 };
		struct error e = { 0 };

		make();
		for (unsigned k = 0; k < rows[i].len; k++)
			disk[rows[i].at + k] = (uint8_t)(rows[i].value >> 8 * k);
		if (rows[i].at == 22 && !rows[i].value)
			memset(disk + 36, 0, 4); /* nor FAT32's */
		assert_int_equal(source_memory(disk, sizeof(disk), &src, &e), 0);
		assert_int_equal(fs_fat.probe(src, &info, &e), rows[i].want);
		assert_int_equal(list(sizeof(disk)),
			rows[i].want == FS_YES ? 0 : ERR_CORRUPT);
	}
}

/* One entry of the table, or of a directory. */
static void test_chains(void **state)
{
	static const struct {
		uint32_t cluster;
		unsigned value;
		const char *want;
		enum finding_id finding;
	} rows[] = {
		/* ends early, free, bad, outside */
		{ 2, 0xfff, "A.TXT:1200!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		{ 5, 0, "A.TXT:1200 2+1!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		{ 5, 0xff7, "A.TXT:1200 2+1!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		{ 5, 98, "A.TXT:1200 2+1!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		{ 5, 1, "A.TXT:1200 2+1!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		/* to itself, to the start */
		{ 2, 2, "A.TXT:1200!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		{ 5, 2, "A.TXT:1200 2+1 5+1!;DIR:0;INNER:512 20+1;",
			FINDING_FILE_DAMAGED },
		/* of a directory: each entry once */
		{ 11, 11, "A.TXT:1200 2+1 5+1 3+1;DIR:0;INNER:512 20+1;",
			FINDING_DIR_DAMAGED },
		{ 11, 10, "A.TXT:1200 2+1 5+1 3+1;DIR:0;INNER:512 20+1;",
			FINDING_DIR_DAMAGED },
		{ 10, 0, "A.TXT:1200 2+1 5+1 3+1;DIR:0;",
			FINDING_DIR_DAMAGED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make();
		set_fat(rows[i].cluster, rows[i].value);
		/* no end mark, so that the chain's end is what ends it */
		for (unsigned k = 1; k < 16; k++)
			put(DATA_AT + 9 * 512 + 32 * k, "\xe5       X  ", 0x20,
				0, 0);
		assert_int_equal(list(sizeof(disk)), 0);
		assert_string_equal(listing, rows[i].want);
		assert_int_equal(seen[rows[i].finding], 1);
	}
}

static void test_entries(void **state)
{
	(void)state;
	make(); /* size over the chain, over the file system, start outside */
	put(ROOT_AT, "A       TXT", 0x20, 2, 1537);
	put(ROOT_AT + 64, "B       TXT", 0x20, 2, UINT32_MAX);
	put(ROOT_AT + 96, "C       TXT", 0x20, 0, 1);
	put(ROOT_AT + 128, "D       TXT", 0x20, 98, 1);
	put(ROOT_AT + 160, "E       TXT", 0x20, 2, 0);
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, "A.TXT:1537 2+1 5+1!;DIR:0;B.TXT:4294967295!;"
				     "C.TXT:1!;D.TXT:1!;E.TXT:0;INNER:512 20+1;");
	assert_int_equal(seen[FINDING_FILE_DAMAGED], 4);
	make(); /* nothing behind the end mark; deleted; a label */
	put(ROOT_AT, "\xe5       TXT", 0x20, 2, 1);
	put(ROOT_AT + 32, "THE LABEL  ", 0x08, 0, 0);
	put(ROOT_AT + 64, "B       TXT", 0x20, 2, 1);
	put(ROOT_AT + 128, "C       TXT", 0x20, 2, 1);
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, "B.TXT:1 2+1;");
	make(); /* 0x05 stands for 0xe5; case bits; code page 437 */
	put(ROOT_AT, "\x05" "BC     TXT", 0x20, 2, 1);
	put(ROOT_AT + 32, "READ\x8e" "E  TXT", 0x20, 2, 1)[12] = 0x08;
	put(ROOT_AT + 64, "READ\x8e" "E  TXT", 0x20, 2, 1)[12] = 0x10;
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, "\xcf\x83" "BC.TXT:1 2+1;"
		"read\xc3\xa4" "e.TXT:1 2+1;READ\xc3\x84" "E.txt:1 2+1;");
	make(); /* a directory that holds itself */
	put(DATA_AT + 9 * 512, "SELF       ", 0x10, 10, 0);
	assert_int_equal(list(sizeof(disk)), 0);
	make(); /* names that are none */
	put(ROOT_AT, "A/B     TXT", 0x20, 2, 1);
	put(ROOT_AT + 32, "        TXT", 0x20, 2, 1);
	put(ROOT_AT + 64, "A\x01      TXT", 0x20, 2, 1);
	assert_int_equal(list(sizeof(disk)), 0);
	assert_string_equal(listing, "");
	assert_int_equal(seen[FINDING_NAME_BAD], 3);
}

static void test_long_names(void **state)
{
	static const char shrt[] = "LONGNA~1TXT";
	static const struct {
		const char *name;
		unsigned at, value; /* a byte of the long entry that is changed */
		const char *want;
		unsigned bad;
	} rows[] = {
		{ "Long name", 0, 0x41, "Long name:1 2+1;", 0 },
		{ "thirteen char", 0, 0x41, "thirteen char:1 2+1;", 0 },
		{ "Long name", 13, 0x77, "LONGNA~1.TXT:1 2+1;", 0 }, /* checksum */
		{ "Long name", 0, 0x42, "LONGNA~1.TXT:1 2+1;", 0 },  /* one missing */
		{ "Long name", 0, 0x01, "LONGNA~1.TXT:1 2+1;", 0 },  /* no first */
		{ "Long name", 0, 0x40, "LONGNA~1.TXT:1 2+1;", 0 },
		{ "Long name", 0, 0x7f, "LONGNA~1.TXT:1 2+1;", 0 },
		{ "Long name", 0, 0xe5, "LONGNA~1.TXT:1 2+1;", 0 },
		{ "a/b", 0, 0x41, "LONGNA~1.TXT:1 2+1;", 1 },
		{ "..", 0, 0x41, "LONGNA~1.TXT:1 2+1;", 1 },
		{ "", 0, 0x41, "LONGNA~1.TXT:1 2+1;", 0 },
		{ "x", 2, 0xd8, "\xed\xa1\xb8:1 2+1;", 0 }, /* lone surrogate */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make();
		memset(disk + ROOT_AT, 0, 512);
		put_long(ROOT_AT, rows[i].name, shrt);
		disk[ROOT_AT + rows[i].at] = (uint8_t)rows[i].value;
		put(ROOT_AT + 32, shrt, 0x20, 2, 1);
		assert_int_equal(list(sizeof(disk)), 0);
		assert_string_equal(listing, rows[i].want);
		assert_int_equal(seen[FINDING_NAME_BAD], rows[i].bad);
	}
}

static void test_time(void **state)
{
	(void)state;
	/* by "date -u -d ... +%s" */
	assert_int_equal(fat_time(0x0021, 0), 315532800);       /* 1980-01-01 */
	assert_int_equal(fat_time(0x285d, 0xbf7d), 951868798);  /* 2000-02-29 */
	assert_int_equal(fat_time(0x5a21, 0x6000), 1735732800); /* 2025-01-01 */
	assert_int_equal(fat_time(0xf05c, 0), 4107456000);      /* 2100-02-28 */
	assert_int_equal(fat_time(0xf061, 0), 4107542400);      /* 2100-03-01 */
	assert_int_equal(fat_time(0xff9f, 0xbf7d), 4354819198); /* 2107-12-31 */
	assert_int_equal(fat_time(0, 0), 315532800);
}

static void test_cut(void **state)
{
	(void)state;
	make();
	for (size_t n = 0; n < sizeof(disk); n += 97)
		(void)!list(n);
	assert_int_equal(list(DATA_AT + 12 * 512), 0);
	assert_string_equal(listing, "A.TXT:1200 2+1 5+1 3+1;DIR:0;INNER:512!;");
	assert_int_equal(seen[FINDING_FS_TRUNCATED], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
