/* SPDX-License-Identifier: Apache-2.0 */
/* What is served without a server: qcow2 files made on the fly, read back by
 * the reader; the text of boot sets; reading ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/disk.h"
#include "disk/table.h"
#include "serve/bootset.h"
#include "serve/prefetch.h"
#include "serve/qcow2_image.h"
#include "scratch.h"

/* A disk of this size with 70,000 bytes at "at", zero extents elsewhere. */
static struct source *sparse(uint64_t size, uint64_t at, uint64_t len)
{
	struct source *data = NULL, *all = NULL;
	uint8_t *p = malloc(len ? len : 1);
	struct source_segment seg[3];

	for (uint64_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + 1);
	assert_int_equal(source_memory_owned(p, len, &data, NULL), 0);
	seg[0] = (struct source_segment){ NULL, 0, at };
	seg[1] = (struct source_segment){ data, 0, len };
	seg[2] = (struct source_segment){ NULL, 0, size - at - len };
	assert_int_equal(source_concat(seg, 3, &all, NULL), 0);
	source_unref(data);
	return all;
}

static void qcow2_reads_back(void **state)
{
	static const struct {
		uint64_t size, at, len;
	} rows[] = { { 512, 0, 512 }, { 65536, 100, 1000 },
		{ 65537 + 511, 65536, 512 }, { 1 << 20, 65535, 2 },
		{ GIB, 512 * MIB - 5, 70000 }, { 5 * GIB, 2 * GIB - 7, 70000 },
		{ 3 * TIB, 3 * TIB - 70000, 70000 },
		{ 2048 * TIB, TIB + 12345, 99999 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_SOURCE disk =
			sparse(rows[i].size, rows[i].at, rows[i].len);
		AUTO_SOURCE file = NULL;
		AUTO_SOURCE back = NULL;
		struct disk_info info = { 0 };
		struct error e = { 0 };
		uint64_t from = rows[i].at > 5000 ? rows[i].at - 5000 : 0;
		uint64_t n = u64_min(rows[i].size - from, rows[i].len + 10000);
		AUTO_FREE uint8_t *a = malloc(n), *b = malloc(n);
		uint64_t off, end;

		assert_int_equal(qcow2_image(disk, &file, &e), 0);
		assert_int_equal(disk_by_name("qcow2")->open(
					 &(struct disk_open_args){ .file = file },
					 &back, &info, &e),
			0);
		assert_int_equal(back->size, round_up(rows[i].size, 512));
		assert_int_equal(source_pread(disk, a, n, from, &e), 0);
		assert_int_equal(source_pread(back, b, n, from, &e), 0);
		assert_memory_equal(a, b, n);
		/* Nothing else is allocated; looking for it reads every L2
		 * table. */
		if (rows[i].size > 8 * GIB)
			continue;
		assert_int_equal(source_next_data(back, 0, back->size, UINT64_MAX,
					 &off, &end, &e),
			0);
		assert_true(off / 65536 == rows[i].at / 65536);
		assert_true(end <= u64_min(back->size,
					   round_up(rows[i].at + rows[i].len,
						   65536)));
		assert_int_equal(source_next_data(back, end, back->size, MIB,
					 &off, &end, &e),
			0);
		assert_true(off == back->size);
	}
}

static void qcow2_refuses(void **state)
{
	AUTO_SOURCE disk = NULL;
	AUTO_SOURCE file = NULL;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(source_zero(2048 * TIB + 512, &disk, &e), 0);
	assert_int_equal(qcow2_image(disk, &file, &e), ERR_LIMIT);
}

static void bootset_text(void **state)
{
	static const struct {
		const char *text;
		int code;
		size_t n;
	} rows[] = {
		{ "strata boot set 1\n", 0, 0 },
		{ "strata boot set 1\n0 65536\n131072 1\n", 0, 2 },
		{ "strata boot set 1\n999999 1\n", 0, 1 },
		{ "", ERR_CORRUPT, 0 },
		{ "strata boot set 2\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n0", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n0 1", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n0 0\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n-1 5\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n 1 5\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n1000000 1\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n999999 2\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n18446744073709551615 1\n", ERR_CORRUPT, 0 },
		{ "strata boot set 1\n99999999999999999999999 1\n", ERR_CORRUPT,
			0 },
		{ "strata boot set 1\n1 18446744073709551615\n", ERR_CORRUPT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		boot_ranges v = { 0 };
		struct error e = { 0 };

		assert_int_equal(boot_ranges_parse(rows[i].text,
					 strlen(rows[i].text), 1000000, &v, &e),
			rows[i].code);
		if (!rows[i].code)
			assert_int_equal(v.len, rows[i].n);
		vec_release(&v);
	}
}

/* What is recorded by one server is known to the next: only what was read, in
 * blocks of 4 KiB, neighbours as one whatever the order. */
static void bootset_knows(void **state)
{
	static const struct {
		uint64_t off, len;
		bool known;
	} rows[] = {
		{ 0, 512, false },
		{ 4096, 4096, true },
		{ 5000, 100, true },
		{ 4096, 4097, false },
		{ 4095, 2, false },
		{ 100 * KIB, 64 * KIB, true }, /* read in two parts */
		{ 100 * KIB, 64 * KIB + 1, false },
		{ 3 * TIB, 2 * MIB, true },
		{ 3 * TIB + 2 * MIB, 1, false },
		{ 4 * TIB - 1, 1, false },
	};
	struct library l = { .path = dir };
	struct oid id = { { 1 } };
	struct bootset *b = bootset_open(&l, &id, 0, 4 * TIB, BOOTSET_AUTO, 60);

	(void)state;
	assert_non_null(b);
	assert_false(bootset_note(b, NULL, NULL, 0, 4096, 10));
	assert_false(bootset_note(b, NULL, NULL, 0, 132 * KIB, 32 * KIB));
	assert_false(bootset_note(b, NULL, NULL, 0, 100 * KIB, 32 * KIB));
	usleep(1100000); /* a start takes a second at least */
	assert_false(bootset_note(b, NULL, NULL, 0, 3 * TIB, 2 * MIB));
	bootset_close(b);
	b = bootset_open(&l, &id, 0, 4 * TIB, BOOTSET_AUTO, 60);
	assert_non_null(b);
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			assert_int_equal(bootset_note(b, NULL, NULL, 0,
						 rows[i].off, rows[i].len),
				rows[i].known);
	bootset_close(b);
}

/* A source that counts what is read of it. */
struct counted {
	struct source s;
	_Atomic uint64_t bytes, highest;
};

static int count_read(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct counted *c = (struct counted *)s;

	(void)e;
	memset(buf, 1, len);
	c->bytes += len;
	if (off + len > c->highest)
		c->highest = off + len;
	return 0;
}

static void no_close(struct source *s)
{
	(void)s;
}

static const struct source_ops count_ops = {
	.name = "counted",
	.pread = count_read,
	.close = no_close,
};

static uint64_t settle(struct counted *c)
{
	uint64_t last = c->bytes;

	for (int quiet = 0; quiet < 20;) {
		usleep(5000);
		quiet = c->bytes == last ? quiet + 1 : 0;
		last = c->bytes;
	}
	return last;
}

static void reads_ahead(void **state)
{
	struct counted c = { 0 };
	struct prefetch *p = NULL;
	struct readahead *ra;
	struct error e = { 0 };

	(void)state;
	source_init(&c.s, &count_ops, 64 * MIB);
	assert_int_equal(prefetch_start(2, &p, &e), 0);
	ra = readahead_new(p, &c.s, 4 * MIB);
	assert_non_null(ra);
	/* Here and there: nothing. */
	for (uint64_t i = 0; i < 50; i++)
		readahead_note(ra, (i * 7919 * 4096) % (60 * MIB), 4096);
	(void)settle(&c);
	c.bytes = c.highest = 0;
	/* Forwards: ahead of it, but not further than the window. */
	for (uint64_t off = 0; off < 16 * MIB; off += 64 * KIB) {
		readahead_note(ra, off, 64 * KIB);
		usleep(500); /* the queue is bounded */
	}
	assert_true(settle(&c) > 8 * MIB);
	assert_true(c.highest > 16 * MIB && c.highest <= 21 * MIB);
	/* To the end, and not past it. */
	for (uint64_t off = 16 * MIB; off < 64 * MIB; off += 256 * KIB) {
		readahead_note(ra, off, 256 * KIB);
		usleep(500);
	}
	(void)settle(&c);
	assert_true(c.highest <= 64 * MIB);
	/* What is asked for by name, clipped. */
	c.bytes = 0;
	prefetch_add(p, &c.s, 63 * MIB, 10 * MIB, false);
	assert_int_equal(settle(&c), MIB);
	readahead_free(ra);
	prefetch_stop(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qcow2_reads_back),
		cmocka_unit_test(qcow2_refuses),
		cmocka_unit_test(bootset_text),
		cmocka_unit_test_setup_teardown(bootset_knows, scratch_make,
			scratch_remove),
		cmocka_unit_test(reads_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
