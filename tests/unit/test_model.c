/* SPDX-License-Identifier: Apache-2.0 */
/* Trees, layouts, images and commits: random round trips, canonical form, and
 * what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/checked.h"
#include "model/commit.h"
#include "model/image.h"
#include "model/layout.h"
#include "model/tree.h"

/* A store of records in memory. */
struct rec {
	struct oid id;
	uint8_t *data;
	size_t len;
};
static VEC(struct rec) recs;

static int put(void *ctx, const void *data, size_t len, struct oid *out,
	struct error *e)
{
	struct rec r = { .data = malloc(len), .len = len };

	(void)ctx;
	(void)e;
	memcpy(r.data, data, len);
	sha256(data, len, &r.id);
	*out = r.id;
	for (size_t i = recs.len; i > 0 && i + 64 > recs.len; i--)
		if (oid_equal(&recs.items[i - 1].id, &r.id)) {
			free(r.data);
			return 0;
		}
	assert_true(vec_push(&recs, r));
	return 0;
}

static int get(void *ctx, const struct oid *id, struct buf *out,
	struct error *e)
{
	(void)ctx;
	for (size_t i = recs.len; i > 0; i--)
		if (oid_equal(&recs.items[i - 1].id, id)) {
			buf_add(out, recs.items[i - 1].data,
				recs.items[i - 1].len);
			return 0;
		}
	return error_set(e, ERR_NOTFOUND, "no such record");
}

static int drop_recs(void **state)
{
	(void)state;
	for (size_t i = 0; i < recs.len; i++)
		free(recs.items[i].data);
	vec_release(&recs);
	return 0;
}

static struct entry make_entry(unsigned i, char name[32])
{
	struct entry x = { .name = (const uint8_t *)name,
		.mode = i % 07777,
		.uid = i,
		.gid = UINT32_MAX - i,
		.mtime = (int64_t)i * 1000003 - 50000000,
		.mtime_ns = i % 1000000000,
		.nlink = 1 };

	snprintf(name, 32, "n%08u", i * 7);
	x.name_len = strlen(name);
	x.type = 1 + i % 7;
	memset(x.id.b, (int)i, 32);
	if (x.type == ENTRY_FILE)
		x.size = (uint64_t)i << 20;
	if (x.type == ENTRY_SYMLINK)
		x.target = (struct view){ (const uint8_t *)"../x", 4 };
	if (x.type == ENTRY_CHAR || x.type == ENTRY_BLOCK)
		x.rdev_major = i % 4096, x.rdev_minor = i;
	if (x.type != ENTRY_DIR && i % 5 == 0)
		x.link_group = (uint64_t)i << 33 | 1, x.nlink = 2 + i % 9;
	return x;
}

static void build(unsigned n, unsigned skip, struct oid *out)
{
	struct tree_builder b;
	struct error e;
	char name[32];

	tree_builder_init(&b, put, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct entry x = make_entry(i, name);

		if (i != skip)
			assert_int_equal(tree_builder_add(&b, &x, &e), 0);
	}
	assert_int_equal(tree_builder_finish(&b, out, &e), 0);
	tree_builder_release(&b);
}

static void check_tree(unsigned n, const struct oid *id)
{
	struct tree_iter it;
	struct entry got;
	struct error e = { 0 };
	char name[32];
	unsigned i = 0;
	int r;

	assert_int_equal(tree_iter_open(&it, get, NULL, id, &e), 0);
	while ((r = tree_iter_next(&it, &got, &e)) == 1) {
		struct entry x = make_entry(i++, name);

		assert_int_equal(got.name_len, x.name_len);
		assert_memory_equal(got.name, x.name, x.name_len);
		assert_int_equal(got.type, x.type);
		assert_int_equal(got.mode, x.mode);
		assert_int_equal(got.uid, x.uid);
		assert_int_equal(got.gid, x.gid);
		assert_int_equal(got.mtime, x.mtime);
		assert_int_equal(got.link_group, x.link_group);
		assert_int_equal(got.nlink, x.nlink);
		assert_int_equal(got.rdev_minor, x.rdev_minor);
	}
	assert_int_equal(r, 0);
	assert_int_equal(i, n);
	tree_iter_release(&it);
	for (i = 0; i < n; i += 1 + n / 50) {
		struct entry x = make_entry(i, name);
		AUTO_BUF data = BUF_INIT;

		assert_int_equal(tree_lookup(get, NULL, id, x.name, x.name_len,
			&got, &data, &e), 0);
		assert_int_equal(got.uid, x.uid);
		assert_int_equal(tree_lookup(get, NULL, id, "n", 1, &got,
			&data, &e), ERR_NOTFOUND);
		assert_int_equal(tree_lookup(get, NULL, id, "zz", 2, &got,
			&data, &e), ERR_NOTFOUND);
	}
}

static void test_tree(void **state)
{
	static const unsigned sizes[] = { 0, 1, 2, 100, 1000, 20000 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		struct oid a, b;

		build(sizes[k], UINT32_MAX, &a);
		check_tree(sizes[k], &a);
		build(sizes[k], UINT32_MAX, &b);
		assert_true(oid_equal(&a, &b));
	}
}

/* One entry less in a large folder writes few records. */
static void test_tree_shares(void **state)
{
	struct oid a, b;
	size_t before, after;

	(void)state;
	build(20000, UINT32_MAX, &a);
	before = recs.len;
	assert_true(before > 20);
	build(20000, 10000, &b);
	/* put() only looks at the last records: count those that are new */
	after = 0;
	for (size_t i = before; i < recs.len; i++) {
		bool known = false;

		for (size_t k = 0; k < before && !known; k++)
			known = oid_equal(&recs.items[i].id, &recs.items[k].id);
		after += !known;
	}
	assert_true(after <= 4);
}

static void test_tree_order(void **state)
{
	struct tree_builder b;
	struct error e;
	struct entry x = { .name = (const uint8_t *)"b", .name_len = 1,
		.type = ENTRY_FIFO };

	(void)state;
	tree_builder_init(&b, put, NULL);
	assert_int_equal(tree_builder_add(&b, &x, &e), 0);
	assert_int_equal(tree_builder_add(&b, &x, &e), ERR_ARG);
	x.name = (const uint8_t *)"a";
	assert_int_equal(tree_builder_add(&b, &x, &e), ERR_ARG);
	tree_builder_release(&b);
}

static void test_layout(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 511, LAYOUT_SPAN,
		LAYOUT_SPAN + 1, LAYOUT_SPAN * 256, LAYOUT_SPAN * 256 + 5,
		UINT64_C(3) << 40, (UINT64_C(1) << 62) };
	unsigned seed = 7;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
		for (int round = 0; round < 20; round++) {
			struct layout_builder b;
			struct layout_reader rd;
			layout_extents got = { 0 };
			VEC(struct layout_extent) want = { 0 };
			struct error e = { 0 };
			struct oid root;
			uint64_t at = 0;
			size_t i = 0;

			assert_int_equal(layout_builder_init(&b, sizes[k], put,
				NULL, &e), 0);
			while (at < sizes[k]) {
				struct layout_extent x = { .off = at,
					.kind = (unsigned)rand_r(&seed) % 3 };
				uint64_t left = sizes[k] - at;
				unsigned shift = (unsigned)rand_r(&seed) % 40;

				x.len = 1 + ((uint64_t)rand_r(&seed)
						    << shift >> 16);
				if (want.len > 300 || x.len > left)
					x.len = left;
				if (x.len > LAYOUT_SPAN * 64)
					x.kind = LAYOUT_ZERO;
				if (x.kind) {
					memset(x.id.b, rand_r(&seed), 32);
					x.id.b[0] |= 1;
					x.id_off = (unsigned)rand_r(&seed);
				}
				assert_int_equal(layout_builder_add(&b, x.kind,
					x.len, &x.id, x.id_off, &e), 0);
				assert_true(vec_push(&want, x));
				at += x.len;
			}
			assert_int_equal(layout_builder_add(&b, LAYOUT_ZERO, 1,
				NULL, 0, &e), ERR_ARG);
			assert_int_equal(layout_builder_finish(&b, &root, &e),
				0);
			layout_builder_release(&b);
			assert_int_equal(layout_reader_init(&rd, &root,
				sizes[k], get, NULL, &e), 0);
			for (at = 0; at < sizes[k];) {
				uint64_t skip, end;
				struct oid id;

				assert_int_equal(layout_reader_leaf(&rd,
					at / LAYOUT_SPAN, &id, &skip, &e), 0);
				if (skip) {
					got.len = 0;
					end = u64_min(sizes[k],
						(at / LAYOUT_SPAN + skip) *
							LAYOUT_SPAN);
					assert_true(vec_push(&got,
						(struct layout_extent){
							.off = at,
							.len = end - at }));
				} else {
					AUTO_BUF rec = BUF_INIT;

					assert_int_equal(get(NULL, &id, &rec,
						&e), 0);
					assert_int_equal(layout_leaf_decode(
						rec.data, rec.len, at,
						sizes[k], &got, &e), 0);
				}
				for (size_t g = 0; g < got.len; g++) {
					struct layout_extent x = got.items[g];

					assert_int_equal(x.off, at);
					while (x.len) {
						struct layout_extent *w =
							&want.items[i];
						uint64_t in = x.off - w->off;
						uint64_t n = u64_min(x.len,
							w->len - in);

						assert_int_equal(x.kind,
							w->kind);
						if (x.kind) {
							assert_memory_equal(
								x.id.b, w->id.b,
								32);
							assert_int_equal(
								x.id_off,
								w->id_off + in);
						}
						x.off += n;
						x.id_off += n;
						x.len -= n;
						if (in + n == w->len)
							i++;
					}
					at = x.off;
				}
			}
			assert_int_equal(at, sizes[k]);
			layout_reader_release(&rd);
			vec_release(&got);
			vec_release(&want);
			drop_recs(NULL);
		}
}

static void test_layout_incomplete(void **state)
{
	struct layout_builder b;
	struct error e;
	struct oid root;

	(void)state;
	assert_int_equal(layout_builder_init(&b, 1000, put, NULL, &e), 0);
	assert_int_equal(layout_builder_add(&b, LAYOUT_ZERO, 999, NULL, 0, &e),
		0);
	assert_int_equal(layout_builder_finish(&b, &root, &e), ERR_CORRUPT);
	layout_builder_release(&b);
}

static void test_commit(void **state)
{
	struct commit c = { .date = -5 }, d;
	struct error e = { 0 };
	AUTO_BUF a = BUF_INIT, b = BUF_INIT;

	(void)state;
	c.author = strdup("A <a@b>\n%");
	c.message = strdup("two\n\nlines: 100 %");
	memset(c.image.b, 7, 32);
	assert_true(vec_push(&c.parents, c.image));
	assert_int_equal(commit_annotate(&c, "z", "1\n2", &e), 0);
	assert_int_equal(commit_annotate(&c, "a", "%41", &e), 0);
	assert_int_equal(commit_annotate(&c, "z", "3=4", &e), 0);
	assert_int_equal(commit_annotate(&c, "", "x", &e), ERR_ARG);
	assert_int_equal(commit_annotate(&c, "a=b", "x", &e), ERR_ARG);
	assert_int_equal(commit_encode(&c, &a, &e), 0);
	assert_int_equal(commit_decode(a.data, a.len, &d, &e), 0);
	assert_string_equal(d.author, c.author);
	assert_string_equal(d.message, c.message);
	assert_int_equal(d.date, -5);
	assert_string_equal(commit_annotation(&d, "z"), "3=4");
	assert_string_equal(commit_annotation(&d, "a"), "%41");
	assert_int_equal(commit_encode(&d, &b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	commit_release(&d);
	/* every cut is refused */
	for (size_t n = 0; n < a.len; n++) {
		int r = commit_decode(a.data, n, &d, &e);

		if (!r) { /* a cut inside the message leaves a shorter one */
			assert_true(n > 0 && a.data[n - 1] == '\n');
			commit_release(&d);
		}
	}
	assert_int_equal(commit_decode("commit 2\n", 9, &d, &e),
		ERR_UNSUPPORTED);
	commit_release(&c);
}

static void test_image(void **state)
{
	struct image im = { 0 }, back;
	struct image_volume v = { 0 };
	struct error e = { 0 };
	AUTO_BUF a = BUF_INIT, b = BUF_INIT;

	(void)state;
	assert_true(vec_push(&im.disks, (struct image_disk){
		.size = 1 << 20, .sector_size = 512, .has_sha256 = true,
		.part_scheme = strdup("gpt"), .part_uuid = strdup("") }));
	v.name = strdup("p1");
	v.fs = strdup("ext4");
	v.has_tree = v.has_encoded = true;
	v.files = 12345678901;
	buf_add(&v.root, "root", 4);
	assert_true(vec_push(&v.segments,
		(struct image_segment){ UINT32_MAX, 1, 2 }));
	assert_true(vec_push(&im.volumes, v));
	assert_int_equal(image_encode(&im, &a, &e), 0);
	assert_int_equal(image_decode(a.data, a.len, &back, &e), 0);
	assert_string_equal(image_volume(&back, "p1")->fs, "ext4");
	assert_int_equal(back.volumes.items[0].segments.items[0].disk,
		UINT32_MAX);
	assert_int_equal(back.volumes.items[0].files, 12345678901);
	assert_int_equal(image_encode(&back, &b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	image_release(&back);
	for (size_t n = 0; n < a.len; n++)
		assert_int_not_equal(image_decode(a.data, n, &back, &e), 0);
	image_release(&im);
}

/* The digest is the same however the disk is cut, and follows a change. */
static void test_disk_digest(void **state)
{
	static uint8_t data[10 * DISK_DIGEST_BLOCK + 100];
	struct disk_digest all = { 0 }, parts = { 0 };
	uint8_t a[16], b[16];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 7);
	memset(data + 3 * DISK_DIGEST_BLOCK, 0, 2 * DISK_DIGEST_BLOCK);
	disk_digest_add(&all, data, sizeof(data), 0);
	disk_digest_add(&parts, data + 5 * DISK_DIGEST_BLOCK,
		sizeof(data) - 5 * DISK_DIGEST_BLOCK, 5 * DISK_DIGEST_BLOCK);
	disk_digest_add(&parts, data, 3 * DISK_DIGEST_BLOCK, 0);
	disk_digest_final(&all, sizeof(data), a);
	disk_digest_final(&parts, sizeof(data), b);
	assert_memory_equal(a, b, 16);
	disk_digest_final(&all, sizeof(data) + 1, b);
	assert_memory_not_equal(a, b, 16);
	disk_digest_sub(&parts, data + DISK_DIGEST_BLOCK, DISK_DIGEST_BLOCK,
		DISK_DIGEST_BLOCK);
	data[DISK_DIGEST_BLOCK + 9] ^= 1;
	disk_digest_add(&parts, data + DISK_DIGEST_BLOCK, DISK_DIGEST_BLOCK,
		DISK_DIGEST_BLOCK);
	all = (struct disk_digest){ 0 };
	disk_digest_add(&all, data, sizeof(data), 0);
	assert_int_equal(all.lo, parts.lo);
	assert_int_equal(all.hi, parts.hi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_tree, drop_recs),
		cmocka_unit_test_teardown(test_tree_shares, drop_recs),
		cmocka_unit_test_teardown(test_tree_order, drop_recs),
		cmocka_unit_test_teardown(test_layout, drop_recs),
		cmocka_unit_test(test_layout_incomplete),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_disk_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
