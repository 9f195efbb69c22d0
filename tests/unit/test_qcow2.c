/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: a valid image from our own writer, then one field damaged at a time;
 * and random disks through every kind of image and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "disk/disk.h"
#include "disk/qcow2.h"
#include "disk/qcow2_layout.h"
#include "disk/spool.h"
#include "disk/table.h"

/* A small disk as a qcow2 in memory: 4 KiB clusters; cluster 0 header, 1
 * refcounts, 2 refcount table, 3 L1, 4 L2, 5 ... data. */
#define CLUSTER 4096
#define L1 (3 * CLUSTER)
#define L2 (4 * CLUSTER)
#define DISK_SIZE (64 * CLUSTER)

static uint8_t *image;
static size_t image_len;

static void into(struct spool *s, struct error *e)
{
	AUTO_SOURCE src = NULL;

	assert_int_equal(spool_source(s, "image", &src, e), 0);
	image_len = (size_t)src->size;
	free(image);
	image = malloc(image_len);
	assert_int_equal(source_pread(src, image, image_len, 0, e), 0);
}

static void make_image(const char *compression)
{
	AUTO_SPOOL s = NULL;
	AUTO_SOURCE d = NULL;
	struct error e = { 0 };
	uint8_t *disk = calloc(1, DISK_SIZE);

	for (size_t i = 0; i < 10 * CLUSTER; i++)
		disk[i] = (uint8_t)(compression ? i % 7 + 1 : i * 31 + i / 256);
	assert_int_equal(source_memory_owned(disk, DISK_SIZE, &d, &e), 0);
	assert_int_equal(spool_new(&s, &e), 0);
	qcow2_test_cluster_bits = 12;
	assert_int_equal(
		disk_qcow2.writer->write(
			&(struct disk_write_args){ .disk = d,
				.out = spool_sink(s),
				.compress = compression != NULL,
				.compression = compression },
			&e),
		0);
	qcow2_test_cluster_bits = 0;
	into(s, &e);
}

static int found;
static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	found = (int)f->id + 1;
}

static int open_and_read(const uint8_t *bytes, size_t len, struct error *e)
{
	struct finding_sink sink = { on_finding, NULL };
	AUTO_SOURCE file = NULL;
	AUTO_SOURCE d = NULL;
	struct disk_info info;
	static uint8_t buf[DISK_SIZE];
	int r = source_memory(bytes, len, &file, e);

	if (!r)
		r = disk_qcow2.open(
			&(struct disk_open_args){ .file = file,
				.findings = &sink },
			&d, &info, e);
	if (!r)
		r = source_pread(d, buf,
			(size_t)u64_min(sizeof(buf), d->size), 0, e);
	return r;
}

struct row {
	size_t off;
	unsigned len;  /* bytes, big endian */
	uint64_t value;
	int want;      /* code; or a finding's id + 1 */
	const char *field;
};

static const struct row rows[] = {
	{ 0, 4, 0, ERR_CORRUPT, "magic" },
	{ 4, 4, 4, ERR_UNSUPPORTED, "version" },
	{ 8, 8, 1, ERR_CORRUPT, "backing_file_offset inside the header" },
	{ 8, 8, 1 << 20, ERR_CORRUPT, "backing_file_offset outside" },
	{ 20, 4, 8, ERR_CORRUPT, "cluster_bits small" },
	{ 20, 4, 22, ERR_CORRUPT, "cluster_bits large" },
	{ 20, 4, UINT32_MAX, ERR_CORRUPT, "cluster_bits huge" },
	{ 24, 8, UINT64_MAX, ERR_LIMIT, "size over the cap" },
	{ 24, 8, UINT64_C(1) << 50, ERR_LIMIT, "size over the L1 cap" },
	{ 24, 8, UINT64_C(1) << 30, ERR_CORRUPT, "size over the L1 table" },
	{ 32, 4, 1, ERR_UNSUPPORTED, "AES" },
	{ 32, 4, 2, ERR_UNSUPPORTED, "LUKS" },
	{ 32, 4, 3, ERR_UNSUPPORTED, "crypt_method" },
	{ 36, 4, 0, ERR_CORRUPT, "l1_size" },
	{ 40, 8, L1 + 8, ERR_CORRUPT, "l1_table_offset unaligned" },
	{ 40, 8, UINT64_C(1) << 40, ERR_CORRUPT, "l1_table_offset outside" },
	{ 40, 8, UINT64_MAX - 4095, ERR_CORRUPT, "l1_table_offset at the end" },
	{ 40, 8, 0, ERR_CORRUPT, "l1_table_offset in the header" },
	{ 48, 8, UINT64_C(1) << 40, FINDING_DISK_DAMAGED + 1, "refcounts" },
	{ 56, 4, 0, FINDING_DISK_DAMAGED + 1, "refcount_table_clusters" },
	{ 72, 8, 1, FINDING_DISK_DIRTY + 1, "dirty" },
	{ 72, 8, 2, FINDING_DISK_DAMAGED + 1, "corrupt" },
	{ 72, 8, 4, ERR_CORRUPT, "data file without a name" },
	{ 72, 8, 8, ERR_CORRUPT, "compression bit alone" },
	{ 72, 8, 16, ERR_CORRUPT, "subclusters of 128 bytes" },
	{ 72, 8, 32, ERR_UNSUPPORTED, "unknown feature" },
	{ 72, 8, UINT64_C(1) << 63, ERR_UNSUPPORTED, "unknown feature" },
	{ 80, 8, UINT64_MAX, 0, "compatible features" },
	{ 88, 8, UINT64_MAX, 0, "autoclear features" },
	{ 96, 4, 7, FINDING_DISK_DAMAGED + 1, "refcount_order" },
	{ 100, 4, 103, ERR_CORRUPT, "header_length small" },
	{ 100, 4, 96, ERR_CORRUPT, "header_length small" },
	{ 100, 4, 8192, ERR_CORRUPT, "header_length large" },
	{ 104, 1, 1, ERR_CORRUPT, "compression_type without its bit" },
	{ 112, 8, UINT64_C(0x12345678ffffffff), ERR_CORRUPT, "extension" },
	{ 112, 8, UINT64_C(0x1234567800000010), 0, "unknown extension" },
	{ 112, 8, UINT64_C(0xe2792aca00000080), ERR_CORRUPT, "format's name" },
	{ L1, 8, (UINT64_C(1) << 63) | (L2 + 512), ERR_CORRUPT, "L2 unaligned" },
	{ L1, 8, UINT64_C(1) << 50, ERR_CORRUPT, "L2 outside" },
	{ L1, 8, L1, ERR_CORRUPT, "L2 over L1" },
	{ L1, 8, 0, 0, "no L2 table" },
	{ L2, 8, (UINT64_C(1) << 63) | 5 * CLUSTER | 512, ERR_CORRUPT,
		"cluster unaligned" },
	{ L2, 8, UINT64_C(1) << 50, ERR_CORRUPT, "cluster outside" },
	{ L2, 8, (UINT64_C(1) << 62) | (UINT64_C(1) << 40), ERR_CORRUPT,
		"compressed cluster outside" },
	{ L2, 8, (UINT64_C(1) << 62) | 8192, ERR_CORRUPT,
		"compressed cluster of rubbish" },
	{ L2, 8, 1, 0, "zero cluster" },
	{ L2, 8, 0, 0, "no cluster" },
};

static void put(uint8_t *p, unsigned len, uint64_t v)
{
	while (len--) {
		p[len] = (uint8_t)v;
		v >>= 8;
	}
}

static void test_fields(void **state)
{
	struct error e = { 0 };

	(void)state;
	make_image(NULL);
	found = 0;
	assert_int_equal(open_and_read(image, image_len, &e), 0);
	assert_int_equal(found, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *w = &rows[i];
		uint8_t *bad = malloc(image_len);
		int r;

		memcpy(bad, image, image_len);
		put(bad + w->off, w->len, w->value);
		found = 0;
		e = (struct error){ 0 };
		r = open_and_read(bad, image_len, &e);
		if (r != (w->want < 0 ? w->want : 0) ||
			(w->want >= 0 && found != w->want))
			fail_msg("%s: %d (%s), finding %d", w->field, r, e.msg,
				found - 1);
		if (r && !*e.msg)
			fail_msg("%s: no message", w->field);
		if (r == ERR_CORRUPT && !e.has_offset)
			fail_msg("%s: no offset", w->field);
		free(bad);
	}
}

static void test_cut(void **state)
{
	struct error e;

	(void)state;
	for (int z = 0; z < 3; z++) {
		make_image(z == 0 ? NULL : z == 1 ? "zlib" : "zstd");
		/* At every length: an error or a whole disk, never more. */
		for (size_t n = 0; n < image_len; n += 97) {
			uint8_t *cut = malloc(n ? n : 1);

			memcpy(cut, image, n);
			open_and_read(cut, n, &e);
			free(cut);
		}
		assert_int_equal(open_and_read(image, 5 * CLUSTER - 1, &e),
			ERR_CORRUPT);
		assert_int_equal(open_and_read(image, 71, &e), ERR_CORRUPT);
	}
}

static void test_v2_zero(void **state)
{
	struct error e;

	(void)state;
	make_image(NULL);
	put(image + 4, 4, 2);
	assert_int_equal(open_and_read(image, image_len, &e), 0);
	put(image + L2, 8, 1);
	assert_int_equal(open_and_read(image, image_len, &e), ERR_CORRUPT);
}

static void test_feature_name(void **state)
{
	struct error e;

	(void)state;
	make_image(NULL);
	put(image + 72, 8, 1 << 7);
	put(image + 112, 8, UINT64_C(0x6803f85700000030));
	image[121] = 7;
	memcpy(image + 122, "teleporting clusters", 21);
	assert_int_equal(open_and_read(image, image_len, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "teleporting clusters"));
}

/* The same L2 table twice. */
static void test_shared_l2(void **state)
{
	struct error e;

	(void)state;
	make_image(NULL);
	put(image + 24, 8, 512 * 2 * CLUSTER);
	put(image + 36, 4, 2);
	memcpy(image + L1 + 8, image + L1, 8);
	assert_int_equal(open_and_read(image, image_len, &e), ERR_CORRUPT);
}

/* A compressed cluster whose data would go on far behind its end gives one
 * cluster and no more, as with qemu; all of them the same one is a table that is
 * read as it stands. */
static void test_bomb(void **state)
{
	static const char *const how[] = { "zlib", "zstd" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		AUTO_SOURCE file = NULL;
		AUTO_SOURCE d = NULL;
		struct disk_info info;
		struct error e = { 0 };
		uint64_t entry = 0;
		uint8_t *back = malloc(CLUSTER), *zeros;
		uint8_t packed[4096];
		size_t n;
		int r;

		make_image(how[i]);
		for (int k = 0; k < 512 && !(entry >> 62 & 1); k++)
			entry = get_be64(image + L2 + 8 * k);
		assert_true(entry >> 62 & 1);
		zeros = malloc(MIB);
		memset(zeros, 'z', MIB);
		if (i) {
			n = ZSTD_compress(packed, sizeof(packed), zeros, MIB, 1);
		} else {
			z_stream z = { .next_in = zeros,
				.avail_in = MIB,
				.next_out = packed,
				.avail_out = sizeof(packed) };

			deflateInit2(&z, 9, Z_DEFLATED, -12, 8, 0);
			assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
			n = z.total_out;
			deflateEnd(&z);
		}
		/* at the file's end, in as many sectors as it takes */
		image = realloc(image, image_len + 8192);
		image_len = round_up(image_len, 512);
		memset(image + image_len, 0, 4096);
		memcpy(image + image_len, packed, n);
		for (int k = 0; k < 100; k++)
			put(image + L2 + 8 * (unsigned)k, 8,
				UINT64_C(1) << 62 |
					(uint64_t)((n + 511) / 512 - 1)
						<< (62 - (12 - 8)) |
					image_len);
		image_len += 4096;
		assert_int_equal(source_memory(image, image_len, &file, &e), 0);
		assert_int_equal(disk_qcow2.open(&(struct disk_open_args){
							 .file = file },
					 &d, &info, &e), 0);
		r = source_pread(d, back, CLUSTER, CLUSTER, &e);
		if (i) { /* a frame says how large it is */
			assert_int_equal(r, ERR_CORRUPT);
		} else {
			assert_int_equal(r, 0);
			assert_memory_equal(back, zeros, CLUSTER);
		}
		free(zeros);
		free(back);
	}
}

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		size_t size = rnd(4) ? rnd(3000) * 512 : rnd(1500000);
		uint8_t *disk = calloc(1, size + 1), *back;
		AUTO_SPOOL s = NULL;
		AUTO_SOURCE d = NULL;
		AUTO_SOURCE f = NULL;
		AUTO_SOURCE b = NULL;
		struct error e = { 0 };
		struct disk_info info;

		for (int k = (int)rnd(30); k > 0 && size; k--) {
			size_t off = rnd((uint32_t)size);
			size_t n = rnd((uint32_t)size_min(size - off, 90000) + 1);

			for (size_t j = 0; j < n; j++)
				disk[off + j] = (uint8_t)(k & 1 ? rnd(256)
								: (uint32_t)k);
		}
		assert_int_equal(source_memory(disk, size, &d, &e), 0);
		assert_int_equal(spool_new(&s, &e), 0);
		qcow2_test_cluster_bits = 9 + rnd(13);
		if (disk_qcow2.writer->write(
			    &(struct disk_write_args){ .disk = d,
				    .out = spool_sink(s),
				    .compress = i % 3 != 0,
				    .compression = i % 3 == 1 ? "zlib" : NULL },
			    &e))
			fail_msg("%d: write: %s", i, e.msg);
		assert_int_equal(spool_source(s, "image", &f, &e), 0);
		if (disk_qcow2.open(&(struct disk_open_args){ .file = f }, &b,
			    &info, &e))
			fail_msg("%d: open: %s", i, e.msg);
		assert_int_equal(b->size, round_up(size, 512));
		back = malloc(size + 1);
		if (source_pread(b, back, size, 0, &e))
			fail_msg("%d: read: %s", i, e.msg);
		assert_memory_equal(back, disk, size);
		free(back);
		free(disk);
	}
	qcow2_test_cluster_bits = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_v2_zero),
		cmocka_unit_test(test_feature_name),
		cmocka_unit_test(test_shared_l2),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_round_trip),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	free(image);
	return r;
}
