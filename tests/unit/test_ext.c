/* SPDX-License-Identifier: Apache-2.0 */
/* ext: what the shell tests cannot reach. Images are the fuzz corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>
#include "base/limits.h"
#include "fs/ext_fast.h"
#include "fs/ext_replay.h"
#include "fs/table.h"
#include "fuzz/fuzz.h"

static uint8_t *slurp(const char *name, size_t *out_len)
{
	char path[1024];
	uint8_t *p;
	long n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", EXT_CORPUS, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = malloc((size_t)n);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	fclose(f);
	*out_len = (size_t)n;
	return p;
}

static const char *const images[] = { "plain", "ext2", "inline", "bigalloc",
	"meta_bg", "csum", "dirty_csum", "ea_inode", "blocks4k", "fast" };

struct tally {
	struct fs *fs;
	uint64_t ids[64];
	size_t n, extents, xattrs;
};

static int on_entry(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct tally *t = ctx;
	struct error e;
	struct fs_node n;

	(void)name;
	assert_true(len > 0);
	/* A callback may use the handle, all but its cursor of this call. */
	assert_int_equal(t->fs->ops->stat(t->fs, id, &n, &e), 0);
	assert_true(t->n < 64);
	t->ids[t->n++] = id;
	return 0;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct tally *t = ctx;

	(void)x;
	t->extents++;
	return 0;
}

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct tally *t = ctx;

	(void)name;
	(void)value;
	(void)len;
	t->xattrs++;
	return 0;
}

/* A sum over everything that is listed. */
static uint64_t walk(struct source *src)
{
	struct error e = { 0 };
	struct tally t = { 0 };
	uint64_t sum = 0;

	assert_int_equal(
		fs_ext.open(&(struct fs_open_args){ &src, 1, NULL }, &t.fs, &e),
		0);
	t.ids[t.n++] = t.fs->root;
	for (size_t i = 0; i < t.n; i++) {
		struct fs_node n;
		uint8_t buf[4096];

		assert_int_equal(fs_ext.stat(t.fs, t.ids[i], &n, &e), 0);
		sum = sum * 31 + n.size + n.mode + n.id + (uint64_t)n.mtime;
		fs_ext.xattrs(t.fs, t.ids[i], on_xattr, &t, &e);
		if (n.type == FS_DIR)
			fs_ext.readdir(t.fs, t.ids[i], on_entry, &t, &e);
		if (n.type != FS_FILE)
			continue;
		fs_ext.extents(t.fs, t.ids[i], on_extent, &t, &e);
		for (uint64_t at = 0; at < n.size; at += sizeof(buf)) {
			size_t len = n.size - at < sizeof(buf)
					     ? (size_t)(n.size - at)
					     : sizeof(buf);

			assert_int_equal(
				fs_ext.pread(t.fs, n.id, buf, len, at, &e), 0);
			for (size_t k = 0; k < len; k++)
				sum = sum * 31 + buf[k];
		}
		assert_int_equal(fs_ext.pread(t.fs, n.id, buf, 1, n.size, &e),
			ERR_RANGE);
	}
	assert_true(t.n > 10 && t.extents > 3 && t.xattrs > 0);
	fs_ext.close(t.fs);
	return sum * 31 + t.extents * 7 + t.xattrs;
}

struct job {
	struct source *src;
	uint64_t sum;
};

static void *walk_thread(void *arg)
{
	struct job *j = arg;

	j->sum = walk(j->src);
	for (int i = 0; i < 20; i++)
		if (walk(j->src) != j->sum)
			j->sum = 0;
	return NULL;
}

/* Several handles on one source in several threads. */
static void test_threads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		size_t len;
		uint8_t *data = slurp(images[i], &len);
		struct source *src = fuzz_source(data, len);
		struct job jobs[4];
		pthread_t threads[4];

		for (int k = 0; k < 4; k++) {
			jobs[k].src = src;
			pthread_create(&threads[k], NULL, walk_thread,
				&jobs[k]);
		}
		for (int k = 0; k < 4; k++) {
			pthread_join(threads[k], NULL);
			assert_int_equal(jobs[k].sum, jobs[0].sum);
		}
		assert_true(jobs[0].sum != 0);
		source_unref(src);
		free(data);
	}
}

/* One byte changed, sampled over each image: no crash, no end of work. */
static void test_bytes(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		size_t len;
		uint8_t *data = slurp(images[i], &len);

		for (int k = 0; k < 400; k++) {
			size_t at = 16 + (size_t)rand_r(&seed) % (len - 16);
			uint8_t keep = data[at];

			data[at] ^= (uint8_t)(1 + rand_r(&seed) % 255);
			fuzz_fs(&fs_ext, data, len);
			data[at] = keep;
		}
		free(data);
	}
}

/* Read errors anywhere: codes, no crash; the neighbours can be read. */
static void test_read_errors(void **state)
{
	size_t len;
	uint8_t *data = slurp("plain", &len);
	struct source *src = fuzz_source(data, len);

	(void)state;
	for (uint64_t at = 0; at < 64 * KIB; at += 512) {
		struct source *bad = NULL;
		struct error e = { 0 };
		struct tally t = { 0 };
		struct fs_info info;

		assert_int_equal(source_faulty(src, at, 512, &bad, &e), 0);
		fs_ext.probe(bad, &info, &e);
		if (!fs_ext.open(&(struct fs_open_args){ &bad, 1, NULL }, &t.fs,
			    &e)) {
			struct fs_node n;

			for (uint64_t id = 1; id < 70; id++)
				if (!fs_ext.stat(t.fs, id, &n, &e) &&
					n.type == FS_FILE)
					fs_ext.extents(t.fs, id, on_extent, &t,
						&e);
			fs_ext.close(t.fs);
		} else {
			assert_true(e.code != 0 && *e.msg);
		}
		source_unref(bad);
	}
	source_unref(src);
	free(data);
}

static void test_replay_source(void **state)
{
	static uint8_t disk[16 * 1024], buf[16 * 1024];
	struct source *base = NULL, *view = NULL;
	struct replay_map map = { 0 };
	struct replay *r = NULL;
	struct source_extent x;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(disk); i++)
		disk[i] = (uint8_t)(i / 1024 + 1);
	memset(disk + 9 * 1024, 0, 4);
	assert_int_equal(source_memory(disk, sizeof(disk), &base, &e), 0);
	assert_int_equal(replay_map_add(&map, 2, 8, false, &e), 0);
	assert_int_equal(replay_map_add(&map, 2, 10, false, &e), 0);
	assert_int_equal(replay_map_add(&map, 3, 9, true, &e), 0);
	assert_int_equal(replay_map_add(&map, 99, 9, true, &e), 0);
	assert_int_equal(replay_source(base, &map, 1024, &view, &r, &e), 0);
	assert_int_equal(source_pread(view, buf, sizeof(buf), 0, &e), 0);
	assert_int_equal(buf[2047], 2);
	assert_int_equal(buf[2048], 11); /* the later one counts */
	assert_int_equal(buf[3071], 11);
	assert_memory_equal(buf + 3072, "\xc0\x3b\x39\x98\x0a", 5);
	assert_int_equal(buf[4096], 5);
	assert_int_equal(source_pread(view, buf, 4, 3074, &e), 0);
	assert_memory_equal(buf, "\x39\x98\x0a\x0a", 4);
	assert_int_equal(source_extent_at(view, 100, &x, &e), 0);
	assert_int_equal(x.len, 2048 - 100);
	for (uint64_t i = 0; i < 5000; i++)
		assert_int_equal(replay_map_add(&map, i * 977, i, false, &e), 0);
	assert_int_equal(map.len, 5003);
	replay_map_release(&map);
	source_unref(view);
	source_unref(base);
}

/* Records laid over each other, against one block after the other. */
static void test_paint(void **state)
{
	unsigned seed = 11;

	(void)state;
	for (size_t n = 0; n < 200; n++) {
		struct fast_ranges list = { 0 };
		struct fast_range recs[200];
		uint64_t want[256] = { 0 }, end = 0;
		bool told[256] = { false };

		for (size_t i = 0; i < n; i++) {
			uint64_t at = (uint64_t)rand_r(&seed) % 256;
			uint64_t len = 1 + (uint64_t)rand_r(&seed) % 40;
			uint64_t p = rand_r(&seed) % 3 ? 1000 * (i + 1) : 0;

			len = len < 256 - at ? len : 256 - at;
			recs[i] = (struct fast_range){ at, len, p, false };
			for (uint64_t b = at; b < at + len; b++) {
				want[b] = p ? p + (b - at) : 0;
				told[b] = true;
			}
		}
		assert_true(ext_fast_paint(recs, n, &list));
		assert_true(list.len <= 2 * n);
		for (size_t i = 0; i < list.len; i++) {
			const struct fast_range *r = &list.items[i];

			assert_true(r->len && r->lblk >= end);
			end = r->lblk + r->len;
			assert_true(end <= 256);
			for (uint64_t b = r->lblk; b < end; b++) {
				assert_true(told[b]);
				told[b] = false;
				assert_int_equal(want[b],
					r->pblk ? r->pblk + (b - r->lblk) : 0);
			}
		}
		for (size_t b = 0; b < 256; b++)
			assert_false(told[b]);
		vec_release(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_source),
		cmocka_unit_test(test_paint),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_read_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
