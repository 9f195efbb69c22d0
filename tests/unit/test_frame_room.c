/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of frames: pieces do not overlap, come back, and run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/limits.h"
#include "store/frame_room.h"

#define PIECES 256
#define BUDGET (16 * MIB)

struct piece {
	uint8_t *p;
	size_t size;
	uint8_t fill;
};

static void check(const struct piece *x)
{
	for (size_t i = 0; i < x->size; i += 4096)
		assert_int_equal(x->p[i], x->fill);
	assert_int_equal(x->p[x->size - 1], x->fill);
}

/* Each piece is filled when it is got and looked at when it is given back:
 * another one in the same place would show. */
static void test_random(void **state)
{
	struct piece x[PIECES] = { 0 };
	struct frame_room m = { 0 };
	unsigned got = 0, full = 0;

	(void)state;
	srand(7);
	for (int i = 0; i < 3000; i++) {
		struct piece *one = &x[rand() % PIECES];

		if (one->p) {
			check(one);
			assert_true(frame_room_put(&m, one->p, one->size));
			one->p = NULL;
			continue;
		}
		one->size = FRAME_ROOM_LEAST + (size_t)(rand() % (2 * 1024)) * 1021;
		one->p = frame_room_get(&m, one->size, BUDGET);
		if (!one->p) {
			full++;
			continue;
		}
		got++;
		one->fill = (uint8_t)rand();
		memset(one->p, one->fill, one->size);
	}
	/* Where tools watch the heap there is no map at all. */
	assert_true(!m.map || (got > 500 && full > 100));
	for (int i = 0; i < PIECES; i++)
		if (x[i].p)
			check(&x[i]);
	frame_room_release(&m);
}

static void test_first_fit(void **state)
{
	struct frame_room m = { 0 };
	uint8_t *a = frame_room_get(&m, MIB, BUDGET), *b, *c;
	uint8_t heap[1];

	(void)state;
	if (!a)
		skip();
	assert_int_equal((uintptr_t)a % (2 * MIB), 0);
	b = frame_room_get(&m, MIB, BUDGET);
	c = frame_room_get(&m, MIB + 1, BUDGET);
	assert_true(a < b && b < c);
	assert_false(frame_room_put(&m, heap, MIB));
	assert_true(frame_room_put(&m, a, MIB));
	assert_true(frame_room_put(&m, b, MIB));
	/* The lowest place that is large enough. */
	assert_ptr_equal(frame_room_get(&m, 2 * MIB, BUDGET), a);
	assert_ptr_not_equal(frame_room_get(&m, MIB, BUDGET), b);
	assert_null(frame_room_get(&m, 1 * GIB, BUDGET));
	frame_room_release(&m);
	assert_false(frame_room_put(&m, c, MIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_first_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
