/* SPDX-License-Identifier: Apache-2.0 */
/* What the walk over a file system holds at a time: a chain of folders, each
 * full of long names, as a hostile image makes it of a few shared blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/limits.h"
#include "survey/survey.h"

/* Folder 1 is the root. Folder d holds `below` folders, numbered from d * 10,
 * while d is below `folders`, and `files` files. */
static struct shape {
	uint64_t files, folders;
	unsigned below;
	size_t name_len;
} shape;

#define FILE_ID (UINT64_C(1) << 40)

static int maze_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	(void)fs;
	(void)e;
	*out = (struct fs_node){ .id = id,
		.nlink = 1,
		.mode = 0755,
		.type = id < FILE_ID ? FS_DIR : FS_FILE };
	return 0;
}

static int maze_readdir(struct fs *fs, uint64_t id, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	char name[256];
	int r = 0;

	(void)fs;
	(void)e;
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < shape.below && id < shape.folders && !r; i++) {
		snprintf(name, sizeof(name), "dir%u", i);
		r = fn(ctx, (uint8_t *)name, 4,
			shape.below == 1 ? id + 1 : id * 10 + i);
	}
	memset(name, 'n', sizeof(name));
	for (uint64_t i = 0; i < shape.files && !r; i++) {
		char no[21];

		snprintf(no, sizeof(no), "%020llu", (unsigned long long)i);
		memcpy(name, no, 20);
		r = fn(ctx, (uint8_t *)name, shape.name_len, FILE_ID + i);
	}
	return r;
}

static const struct fs_ops maze_ops = {
	.name = "maze",
	.stat = maze_stat,
	.readdir = maze_readdir,
};

struct tally {
	uint64_t files, folders;
	unsigned limits;
};

static int on_enter(void *ctx, const struct walk_item *it)
{
	((struct tally *)ctx)->folders++;
	(void)it;
	return 0;
}

static int on_entry(void *ctx, const struct walk_item *it)
{
	((struct tally *)ctx)->files++;
	(void)it;
	return 0;
}

static void on_finding(void *ctx, const struct finding *f)
{
	assert_int_equal(f->id, FINDING_FILE_LIMIT);
	((struct tally *)ctx)->limits++;
}

static struct tally walk(struct shape s)
{
	struct tally t = { 0 };
	struct finding_sink sink = { on_finding, &t };
	struct walk_visitor v = { .enter = on_enter, .entry = on_entry,
		.ctx = &t };
	struct fs fs = { .ops = &maze_ops, .root = 1 };
	struct error e = { 0 };

	shape = s;
	assert_int_equal(survey_walk(&fs, &sink, &v, &e), 0);
	return t;
}

/* Names of one folder that just fit, and one more. */
static void test_one(void **state)
{
	const uint64_t fits = LIMIT_WALK_NAMES / (240 + 16);
	struct tally t = walk((struct shape){ fits, 1, 0, 240 });

	(void)state;
	assert_int_equal(t.files, fits);
	assert_int_equal(t.limits, 0);
	t = walk((struct shape){ fits + 1, 1, 0, 240 });
	assert_int_equal(t.files, fits);
	assert_int_equal(t.limits, 1);
}

/* 5,000 folders one in the other: all of them together hold the limit, the
 * rest is told and left out, and the walk ends. */
static void test_chain(void **state)
{
	const uint64_t each = 4000 * (240 + 16) + 4 + 16;
	struct tally t = walk((struct shape){ 4000, 5000, 1, 240 });

	(void)state;
	assert_in_range(t.files, LIMIT_WALK_NAMES / each * 4000,
		(LIMIT_WALK_NAMES / each + 1) * 4000);
	/* a few more have room for the next folder's short name only */
	assert_in_range(t.folders, LIMIT_WALK_NAMES / each,
		LIMIT_WALK_NAMES / each + 20);
	assert_in_range(t.limits, 1, 20);
}

/* Folders side by side, each near the limit: what one held is free for the
 * next. */
static void test_siblings(void **state)
{
	const uint64_t files = LIMIT_WALK_NAMES / (240 + 16) / 5 * 2;
	struct tally t = walk((struct shape){ files, 2, 4, 240 });

	(void)state;
	assert_int_equal(t.files, 5 * files);
	assert_int_equal(t.folders, 5);
	assert_int_equal(t.limits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_siblings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
