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
#include "base/utf.h"
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
	assert_string_equal(error_untagged(&e, "disk"), "disk x: magic is 7");
	assert_string_equal(error_untagged(&e, "disk x"), "magic is 7");
	error_set(&e, ERR_CORRUPT, "udf: no tag");
	error_prefix(&e, "udf: the root");
	assert_string_equal(e.msg, "udf: the root: no tag");
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

static void test_utf(void **state)
{
	/* a, u-umlaut, euro, U+1F600, a lone high, b, a lone low */
	static const uint8_t in[] = { 'a', 0, 0xfc, 0, 0xac, 0x20, 0x3d, 0xd8,
		0x00, 0xde, 0x00, 0xd8, 'b', 0, 0x00, 0xdc };
	uint8_t out[64];
	char field[8];
	size_t lone;

	(void)state;
	assert_int_equal(utf16_to_utf8(in, 8, false, UTF_LONE_KEEP, out,
				 sizeof(out), &lone), 17);
	assert_memory_equal(out, "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"
		"\xed\xa0\x80" "b\xed\xb0\x80", 17);
	assert_int_equal(lone, 2);
	utf16_to_utf8(in, 8, false, UTF_LONE_REPLACE, out, sizeof(out), NULL);
	assert_memory_equal(out + 10, "\xef\xbf\xbd" "b\xef\xbf\xbd", 7);
	/* whole characters only */
	assert_int_equal(utf16_to_utf8(in, 8, false, UTF_LONE_KEEP, out, 5,
				 NULL), 3);
	utf16_field(in, 8, false, field, sizeof(field));
	assert_string_equal(field, "a\xc3\xbc\xe2\x82\xac");
	utf16_field((const uint8_t *)"\0x\0y\0\0\0z", 4, true, field,
		sizeof(field));
	assert_string_equal(field, "xy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checked),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_vec),
		cmocka_unit_test(test_utf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
