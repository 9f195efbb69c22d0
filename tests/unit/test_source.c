/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/limits.h"
#include "os/source.h"

static void test_memory_and_window(void **state)
{
	AUTO_SOURCE m = NULL;
	AUTO_SOURCE w = NULL;
	struct error e;
	char buf[8] = { 0 };

	(void)state;
	assert_int_equal(source_memory("0123456789", 10, &m, &e), 0);
	assert_int_equal(source_window(m, 2, 5, &w, &e), 0);
	assert_int_equal(source_pread(w, buf, 5, 0, &e), 0);
	assert_string_equal(buf, "23456");
	assert_int_equal(source_pread(w, buf, 5, 1, &e), ERR_RANGE);
	assert_int_equal(source_pread(w, buf, 1, UINT64_MAX, &e), ERR_RANGE);
	assert_int_equal(source_pread(w, buf, 0, 5, &e), 0);
	assert_int_equal(source_window(m, 6, 5, &m, &e), ERR_RANGE);
}

static void test_overlay(void **state)
{
	AUTO_SOURCE z = NULL;
	AUTO_SOURCE o = NULL;
	struct source_extent x;
	uint64_t from, to;
	struct error e;
	uint8_t buf[3];

	(void)state;
	assert_int_equal(source_zero(1 * GIB + 100, &z, &e), 0);
	assert_int_equal(source_overlay(z, &o, &e), 0);
	assert_int_equal(source_overlay_write(o, "abc", 3, 4095, &e), 0);
	assert_int_equal(source_overlay_write(o, "z", 1, GIB + 99, &e), 0);
	assert_int_equal(source_overlay_write(o, "zz", 2, GIB + 99, &e),
		ERR_RANGE);
	assert_int_equal(source_pread(o, buf, 3, 4095, &e), 0);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(source_extent_at(o, 8192, &x, &e), 0);
	assert_int_equal(x.kind, SOURCE_ZERO);
	assert_int_equal(x.off + x.len, GIB);
	assert_int_equal(source_next_data(o, 0, o->size, GIB, &from, &to, &e), 0);
	assert_int_equal(from, 0);
	assert_int_equal(to, 8192);
	assert_int_equal(
		source_next_data(o, 8192, o->size, GIB, &from, &to, &e), 0);
	assert_int_equal(from, GIB);
	assert_int_equal(to, GIB + 100);
	/* many blocks: the table grows and keeps all */
	for (uint64_t i = 0; i < 5000; i++)
		assert_int_equal(
			source_overlay_write(o, &i, 8, i * 65536, &e), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		uint64_t v;

		assert_int_equal(source_pread(o, &v, 8, i * 65536, &e), 0);
		assert_int_equal(v, i);
	}
}

static void test_file_holes(void **state)
{
	char path[] = "/tmp/strata-source.XXXXXX";
	AUTO_SOURCE s = NULL;
	struct source_extent x;
	struct error e;
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(pwrite(fd, "x", 1, 512 * 1024), 1);
	assert_int_equal(source_file_fd(fd, "test", &s, &e), 0);
	assert_int_equal(s->size, 1 << 20);
	assert_int_equal(source_extent_at(s, 0, &x, &e), 0);
	if (x.kind == SOURCE_ZERO) { /* the file system knows holes */
		assert_int_equal(x.len, 512 * 1024);
		assert_int_equal(source_extent_at(s, 512 * 1024, &x, &e), 0);
		assert_int_equal(x.kind, SOURCE_DATA);
		assert_int_equal(source_extent_at(s, 700000, &x, &e), 0);
		assert_int_equal(x.off, 700000);
		assert_int_equal(x.off + x.len, 1 << 20);
	}
	assert_int_equal(source_extent_at(s, 1 << 20, &x, &e), ERR_RANGE);
}

static void test_cache(void **state)
{
	AUTO_SOURCE m = NULL;
	AUTO_SOURCE bad = NULL;
	AUTO_SOURCE c = NULL;
	static uint8_t data[100001], buf[100001];
	struct error e;
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(source_memory(data, sizeof(data), &m, &e), 0);
	assert_int_equal(source_faulty(m, 50000, 1, &bad, &e), 0);
	assert_int_equal(source_cache(bad, 4096, 16384, &c, &e), 0);
	for (int i = 0; i < 20000; i++) {
		size_t off = (size_t)rand_r(&seed) % sizeof(data);
		size_t len = (size_t)rand_r(&seed) % 20000;
		int r;

		if (len > sizeof(data) - off)
			len = sizeof(data) - off;
		r = source_pread(c, buf, len, off, &e);
		if (off <= 50000 && 50000 < off + len) {
			assert_int_equal(r, ERR_IO);
			continue;
		}
		assert_int_equal(r, 0);
		assert_memory_equal(buf, data + off, len);
	}
}

static void test_concat(void **state)
{
	AUTO_SOURCE m = NULL;
	AUTO_SOURCE c = NULL;
	struct error e;
	char buf[16] = { 0 };
	struct source_extent x;

	(void)state;
	assert_int_equal(source_memory("abcdef", 6, &m, &e), 0);
	struct source_segment seg[] = { { m, 3, 3 }, { NULL, 0, 2 },
		{ m, 0, 0 }, { m, 0, 3 } };
	assert_int_equal(source_concat(seg, 4, &c, &e), 0);
	assert_int_equal(c->size, 8);
	assert_int_equal(source_pread(c, buf, 8, 0, &e), 0);
	assert_memory_equal(buf, "def\0\0abc", 8);
	assert_int_equal(source_extent_at(c, 4, &x, &e), 0);
	assert_int_equal(x.kind, SOURCE_ZERO);
	assert_int_equal(x.len, 1);
	seg[1].len = LIMIT_DISK_SIZE;
	assert_int_equal(source_concat(seg, 4, &c, &e), ERR_LIMIT);
}

static void test_budget(void **state)
{
	struct source *zeros, *s;
	struct source_extent x;
	struct error e = { 0 };
	uint8_t buf[100];

	(void)state;
	assert_int_equal(source_zero(1000, &zeros, &e), 0);
	assert_int_equal(source_budget(zeros, 250, &s, &e), 0);
	source_unref(zeros);
	assert_int_equal(source_extent_at(s, 0, &x, &e), 0);
	assert_int_equal(x.kind, SOURCE_ZERO);
	/* the same bytes again and again count */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(source_pread(s, buf, 100, 500, &e), 0);
	assert_int_equal(source_pread(s, buf, 100, 500, &e), ERR_LIMIT);
	assert_true(e.has_offset);
	assert_int_equal(e.offset, 500);
	source_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_and_window),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_file_holes),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_concat),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
