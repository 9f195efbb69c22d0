/* SPDX-License-Identifier: Apache-2.0 */
/* The table of containers, the pipeline, is_zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/zero.h"
#include "disk/disk.h"
#include "disk/pipeline.h"

static void test_table(void **state)
{
	AUTO_SOURCE m = NULL;
	struct error e;

	(void)state;
	assert_null(disk_by_name("nothing"));
	assert_string_equal(disk_by_name("raw")->name, "raw");
	assert_string_equal(disk_by_suffix("a/b.IMG")->name, "raw");
	assert_null(disk_by_suffix(".raw"));
	assert_null(disk_by_suffix("x.txt"));
	assert_int_equal(source_memory("x", 1, &m, &e), 0);
	assert_string_equal(disk_probe(m)->name, "raw");
	for (size_t i = 0; disk_table[i]; i++) {
		assert_ptr_equal(disk_by_name(disk_table[i]->name),
			disk_table[i]);
		assert_non_null(disk_table[i]->open);
	}
}

static void test_zero(void **state)
{
	uint8_t b[100];

	(void)state;
	for (size_t n = 0; n <= sizeof(b); n++) {
		memset(b, 0, sizeof(b));
		if (n < sizeof(b))
			b[n] = 1;
		assert_true(is_zero(b, n));
		for (size_t i = 0; i < n; i++) {
			b[i] = 1;
			assert_false(is_zero(b, n));
			b[i] = 0;
		}
	}
}

struct count {
	int n, emitted, fail_work, fail_emit;
	_Atomic int worked;
};

static int count_next(void *ctx, void *slot, struct error *e)
{
	struct count *c = ctx;

	(void)e;
	if (c->n == 1000)
		return 0;
	*(int *)slot = c->n++;
	return 1;
}

static int count_work(void *ctx, void *slot, struct error *e)
{
	struct count *c = ctx;

	if (*(int *)slot == c->fail_work)
		return error_set(e, ERR_CORRUPT, "job %d", *(int *)slot);
	if (*(int *)slot % 37 == 0)
		usleep(300);
	c->worked++;
	return 0;
}

static int count_emit(void *ctx, void *slot, struct error *e)
{
	struct count *c = ctx;

	if (*(int *)slot == c->fail_emit)
		return error_set(e, ERR_IO, "emit");
	if (*(int *)slot != c->emitted)
		abort();
	c->emitted++;
	return 0;
}

static void test_pipeline(void **state)
{
	struct error e;

	(void)state;
	for (unsigned threads = 1; threads <= 16; threads *= 4) {
		struct count c = { .fail_work = -1, .fail_emit = -1 };
		struct pipeline p = { sizeof(int), count_next, count_work,
			count_emit, NULL, &c, threads };

		assert_int_equal(pipeline_run(&p, &e), 0);
		assert_int_equal(c.emitted, 1000);
		c = (struct count){ .fail_work = 500, .fail_emit = -1 };
		assert_int_equal(pipeline_run(&p, &e), ERR_CORRUPT);
		assert_string_equal(e.msg, "job 500");
		assert_true(c.emitted <= 500);
		c = (struct count){ .fail_work = -1, .fail_emit = 7 };
		assert_int_equal(pipeline_run(&p, &e), ERR_IO);
		assert_int_equal(c.emitted, 7);
		assert_true(c.worked < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_pipeline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
