/* SPDX-License-Identifier: Apache-2.0 */
/* What is listed of a walk comes back as the walk had it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/tree.h"
#include "ops/listing.h"

static uint32_t x = 1;

static uint32_t any(uint32_t n)
{
	x = x * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)x * n >> 32);
}

/* --- a reader that makes everything up from a node's id --- */

static int fake_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	(void)fs;
	buf_printf(out, "to/%llu", (unsigned long long)id);
	if (id % 5 == 0)
		return error_set(e, ERR_CORRUPT, "no");
	if (id % 5 == 1)
		return error_nomem(e);
	if (id % 5 == 2)
		buf_zero(out, LIMIT_SYMLINK);
	if (id % 5 == 3)
		buf_clear(out);
	return 0;
}

static int fake_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	char value[XATTR_INLINE_MAX + 1] = { 0 };
	int r = 0;

	(void)fs;
	if (id % 11 == 0)
		return error_nomem(e);
	if (id % 11 == 1)
		return 0;
	snprintf(value, sizeof(value), "label %u", (unsigned)(id % 7));
	r = fn(ctx, "security.b", value, strlen(value));
	if (!r)
		r = fn(ctx, "security.a", value, id % 11 == 2
						      ? sizeof(value)
						      : XATTR_INLINE_MAX);
	return r ? r
	       : id % 11 == 3 ? error_set(e, ERR_CORRUPT, "damaged")
			      : 0;
}

static int fake_streams(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
	struct error *e)
{
	(void)fs;
	(void)e;
	return id % 13 ? 0 : fn(ctx, (const uint8_t *)"s", 1, id);
}

static const struct fs_ops fake_ops = { .name = "fake",
	.readlink = fake_readlink,
	.xattrs = fake_xattrs,
	.streams = fake_streams };

/* --- a walk --- */

#define EVENTS 20000
static struct seen {
	enum listing_event event;
	struct walk_item it;
	char path[4096];
	size_t name_off;
} seen[EVENTS];
static size_t nseen;

static uint64_t odd_number(void)
{
	uint64_t v = (uint64_t)any(UINT32_MAX) << 32 | any(UINT32_MAX);

	return any(3) ? any(1000) : v >> any(64);
}

static void make_node(struct fs_node *n, enum fs_type type)
{
	static struct fs_node before;

	*n = before;
	n->type = type;
	n->id = any(4) ? before.id + any(3) : odd_number();
	n->size = odd_number();
	n->mtime = any(4) ? before.mtime + any(9) - 4 : (int64_t)odd_number();
	n->mtime_ns = any(2) ? 0 : any(1000000000);
	if (!any(5)) {
		n->mode = any(010000);
		n->uid = (uint32_t)odd_number();
		n->gid = (uint32_t)odd_number();
		n->nlink = (uint32_t)odd_number();
		n->rdev_major = any(300);
		n->rdev_minor = (uint32_t)odd_number();
		n->flags = any(8);
	}
	before = *n;
}

static struct seen *add(struct listing *l, enum listing_event event,
	const char *path, size_t name_off, unsigned depth, enum fs_type type,
	const struct fs_node *node)
{
	struct seen *s = &seen[nseen++];

	s->event = event;
	snprintf(s->path, sizeof(s->path), "%s", path);
	s->name_off = name_off;
	s->it.path = *s->path ? s->path : "/";
	s->it.name = (const uint8_t *)s->path + name_off;
	s->it.name_len = strlen(path) - name_off;
	s->it.depth = depth;
	if (node)
		s->it.node = *node;
	else
		make_node(&s->it.node, type);
	listing_add(l, event, &s->it);
	return s;
}

static void make_walk(struct listing *l)
{
	struct seen *stack[64];
	unsigned depth = 0;

	nseen = 0;
	stack[depth++] = add(l, LISTING_ENTER, "", 0, 0, FS_DIR, NULL);
	while (depth) {
		const struct seen *dir = stack[depth - 1];
		bool close = nseen + depth + 1 >= EVENTS || !any(6);
		char path[4096];
		int at;

		if (close) {
			add(l, LISTING_LEAVE, dir->path, dir->name_off,
				--depth, FS_DIR, &dir->it.node);
			if (!depth && nseen + 10 < EVENTS) { /* not yet */
				nseen--;
				l->data.len--;
				depth = 1;
			}
			continue;
		}
		at = snprintf(path, sizeof(path), "%s/", dir->path);
		snprintf(path + at, sizeof(path) - (size_t)at, "%.*s%u",
			(int)any(50), "a name that is as long as it is, but "
			"not always the whole", any(1000));
		if (!any(4) && depth < ARRAY_LEN(stack)) {
			stack[depth] = add(l, LISTING_ENTER, path, (size_t)at,
				depth, FS_DIR, NULL);
			depth++;
		} else {
			static const enum fs_type types[] = { FS_FILE, FS_FILE,
				FS_SYMLINK, FS_CHAR, FS_BLOCK, FS_FIFO,
				FS_SOCKET };

			add(l, LISTING_ENTRY, path, (size_t)at, depth,
				types[any(ARRAY_LEN(types))], NULL);
		}
	}
}

/* --- what must come back --- */

static unsigned asked, told;

static void check_more(struct fs *fs, const struct listing_item *it)
{
	const struct fs_node *n = &it->item.node;
	struct attrs a = { .fs = fs };
	AUTO_BUF target = BUF_INIT;
	struct view v = { 0 };
	bool ask = false, link = n->type == FS_SYMLINK;
	int r = link ? fake_readlink(fs, n->id, &target, NULL) : 0;

	ask |= r == ERR_NOMEM;
	ask |= attrs_read(&a, n, &v, NULL) != 0;
	assert_int_equal(it->ask, ask);
	asked += ask;
	if (!ask && link) {
		bool no = r || target.len > LIMIT_SYMLINK;

		assert_int_equal(it->no_target, no);
		assert_int_equal(it->target.len, no ? 0 : target.len);
		if (it->target.len)
			assert_memory_equal(it->target.data, target.data,
				target.len);
	}
	if (!ask) {
		told += v.len != 0;
		assert_int_equal(it->attrs.len, v.len);
		if (v.len)
			assert_memory_equal(it->attrs.data, v.data, v.len);
	}
	attrs_release(&a);
}

static void test_back(void **state)
{
	struct fs fs = { .ops = &fake_ops };
	struct listing l;
	struct listing_reader r;
	struct listing_item it;

	(void)state;
	for (int turn = 0; turn < 5; turn++) {
		listing_init(&l, &fs, SIZE_MAX);
		make_walk(&l);
		listing_end(&l);
		assert_false(l.lost);
		listing_reader_init(&r, &l);
		for (size_t i = 0; i < nseen; i++) {
			const struct seen *s = &seen[i];
			const struct fs_node *a = &s->it.node;
			const struct fs_node *b = &it.item.node;

			assert_int_equal(listing_next(&r, &it, NULL), 1);
			assert_int_equal(it.event, s->event);
			assert_string_equal(it.item.path, s->it.path);
			assert_int_equal(it.item.name_len, s->it.name_len);
			assert_memory_equal(it.item.name, s->it.name,
				s->it.name_len);
			assert_int_equal(it.item.depth, s->it.depth);
			assert_int_equal(a->type, b->type);
			assert_int_equal(a->id, b->id);
			assert_int_equal(a->size, b->size);
			assert_int_equal(a->mtime, b->mtime);
			assert_int_equal(a->mtime_ns, b->mtime_ns);
			assert_int_equal(a->mode, b->mode);
			assert_int_equal(a->uid, b->uid);
			assert_int_equal(a->gid, b->gid);
			assert_int_equal(a->nlink, b->nlink);
			assert_int_equal(a->rdev_major, b->rdev_major);
			assert_int_equal(a->rdev_minor, b->rdev_minor);
			assert_int_equal(a->flags, b->flags);
			check_more(&fs, &it);
		}
		assert_int_equal(listing_next(&r, &it, NULL), 0);
		listing_reader_release(&r);
		listing_release(&l);
	}
	assert_true(asked > 1000);
	assert_true(told > 1000);
}

/* What does not fit is not kept at all. */
static void test_bound(void **state)
{
	struct fs fs = { .ops = &fake_ops };
	struct listing l;

	(void)state;
	listing_init(&l, &fs, 10000);
	make_walk(&l);
	assert_true(l.lost);
	assert_null(l.data.data);
	listing_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
