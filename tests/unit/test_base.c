/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/finding.h"
#include "base/vec.h"

static void test_checked(void **state)
{
	uint64_t r;

	(void)state;
	assert_true(u64_add(1, 2, &r) && r == 3);
	assert_false(u64_add(UINT64_MAX, 1, &r));
	assert_false(u64_mul(UINT64_C(1) << 33, UINT64_C(1) << 31, &r));
	assert_false(u64_shl(1, 64, &r));
	assert_false(u64_shl(3, 63, &r));
	assert_true(u64_shl(1, 63, &r) && r == UINT64_C(1) << 63);
	assert_true(range_inside(0, 0, 0));
	assert_false(range_inside(UINT64_MAX, 2, 10));
	assert_false(range_inside(5, UINT64_MAX, 10));
	assert_true(range_inside(5, 5, 10));
	assert_int_equal(round_up(UINT64_MAX, 4096), UINT64_MAX - 4095);
	assert_int_equal(div_ceil(UINT64_MAX, 2), UINT64_C(1) << 63);
}

static void test_varint(void **state)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384,
		UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
	AUTO_BUF b = BUF_INIT;
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		buf_varint(&b, values[i]);
	c = cursor_make(b.data, b.len);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		assert_int_equal(cur_varint(&c), values[i]);
	assert_false(c.bad);
	assert_int_equal(c.left, 0);
	cur_u8(&c);
	assert_true(c.bad);
	/* not the shortest form, too long, cut off */
	c = cursor_make("\x80\x00", 2);
	cur_varint(&c);
	assert_true(c.bad);
	c = cursor_make("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
	cur_varint(&c);
	assert_true(c.bad);
	c = cursor_make("\x80", 1);
	cur_varint(&c);
	assert_true(c.bad);
}

static void test_error(void **state)
{
	struct error e = { 0 };

	(void)state;
	assert_int_equal(error_at(&e, ERR_CORRUPT, 512, "magic is %d", 7),
		ERR_CORRUPT);
	assert_true(e.has_offset && e.offset == 512);
	error_prefix(&e, "disk %s", "x");
	assert_string_equal(e.msg, "disk x: magic is 7");
	assert_string_equal(error_code_name(ERR_DAMAGED), "damaged");
	assert_int_equal(error_set(NULL, ERR_ARG, "x"), ERR_ARG);
}

static void test_vec(void **state)
{
	VEC(int) v = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(vec_push(&v, i));
	assert_int_equal(v.len, 1000);
	assert_int_equal(v.items[999], 999);
	vec_release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checked),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_vec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
