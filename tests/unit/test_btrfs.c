/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: what needs no image: checksums, ids, decoders, the map of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "fs/btrfs.h"

static void test_checksums(void **state)
{
	/* of "abc", as sha256sum and "b2sum -l 256" print it; the first two
	 * are the well-known 0x364b3fb7 and 0x44bc2cf5ad770999 */
	static const struct {
		unsigned type;
		const char *hex;
	} rows[] = {
		{ BTRFS_CSUM_CRC32C, "b73f4b36" },
		{ BTRFS_CSUM_XXHASH, "990977adf52cbc44" },
		{ BTRFS_CSUM_SHA256, "ba7816bf8f01cfea414140de5dae2223"
				     "b00361a396177a9cb410ff61f20015ad" },
		{ BTRFS_CSUM_BLAKE2, "bddd813c634239723171ef3fee98579b"
				     "94964e3bb1cb3e427262c8c068d52319" },
	};
	uint8_t out[BTRFS_CSUM_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char hex[65];

		assert_true(btrfs_csum(rows[i].type, "abc", 3, out));
		for (int k = 0; k < 32; k++)
			snprintf(hex + 2 * k, 3, "%02x", out[k]);
		assert_memory_equal(hex, rows[i].hex, strlen(rows[i].hex));
	}
	/* over the edge of BLAKE2's blocks: b2sum -l 256 of 129 times "a" */
	{
		uint8_t a[129];
		static const uint8_t want[4] = { 0x2f, 0x64, 0x74, 0x4a };

		memset(a, 'a', sizeof(a));
		assert_true(btrfs_csum(BTRFS_CSUM_BLAKE2, a, sizeof(a), out));
		assert_memory_equal(out, want, 4);
		assert_true(btrfs_csum(BTRFS_CSUM_BLAKE2, a, 128, out));
		assert_memory_equal(out, ((uint8_t[]){ 0xae, 0x2a, 0xa4, 0x85 }), 4);
	}
	assert_false(btrfs_csum(4, "abc", 3, out));
}

static void test_ids(void **state)
{
	uint64_t id;

	(void)state;
	assert_true(btrfs_id_pack(5, 256, &id));
	assert_int_equal(id, UINT64_C(5) << 40 | 256);
	assert_true(btrfs_id_pack(BTRFS_ID_SUBVOL_MAX, BTRFS_ID_STUB - 1, &id));
	assert_false(btrfs_id_pack(BTRFS_ID_SUBVOL_MAX + 1, 256, &id));
	assert_false(btrfs_id_pack(5, BTRFS_ID_STUB, &id));
	assert_false(btrfs_id_pack(5, UINT64_MAX, &id));
}

/* Every profile: where the bytes of one chunk are, and that no two of them
 * share a place on a device. */
static void test_map(void **state)
{
	static const struct {
		uint64_t type;
		uint32_t stripes, sub, copies;
		/* of logical 5 stripes and 100 bytes into the chunk */
		uint32_t dev;
		uint64_t row;
		bool ok;
	} rows[] = {
		{ 0, 1, 0, 1, 0, 5, true },
		{ 0, 2, 0, 1, 0, 0, false },
		{ BTRFS_BG_DUP, 2, 0, 2, 0, 5, true },
		{ BTRFS_BG_RAID1, 2, 0, 2, 0, 5, true },
		{ BTRFS_BG_RAID1, 3, 0, 2, 0, 0, false },
		{ BTRFS_BG_RAID1C3, 3, 0, 3, 0, 5, true },
		{ BTRFS_BG_RAID1C4, 4, 0, 4, 0, 5, true },
		{ BTRFS_BG_RAID0, 3, 0, 1, 2, 1, true },
		{ BTRFS_BG_RAID10, 4, 2, 2, 2, 2, true },
		{ BTRFS_BG_RAID10, 5, 2, 2, 0, 0, false },
		{ BTRFS_BG_RAID10, 4, 0, 2, 0, 0, false },
		{ BTRFS_BG_RAID5, 3, 0, 1, 0, 2, true },
		{ BTRFS_BG_RAID5, 1, 0, 1, 0, 0, false },
		{ BTRFS_BG_RAID6, 4, 0, 1, 3, 2, true },
		{ BTRFS_BG_RAID6, 2, 0, 1, 0, 0, false },
		{ BTRFS_BG_RAID0 | BTRFS_BG_DUP, 2, 0, 1, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct btrfs b = { 0 };
		struct btrfs_stripe s[5];
		struct btrfs_chunk c = { .logical = 1 << 20,
			.len = 12 << 16,
			.stripe_len = 1 << 16,
			.type = rows[i].type,
			.nstripes = rows[i].stripes,
			.sub = rows[i].sub };
		struct btrfs_piece m;
		struct error e;
		uint64_t data;
		uint32_t copies;

		for (uint32_t k = 0; k < 5; k++)
			s[k] = (struct btrfs_stripe){ k, UINT64_C(1) << 30 };
		b.chunks.items = &c;
		b.chunks.len = 1;
		b.stripes.items = s;
		b.stripes.len = 5;
		assert_int_equal(btrfs_chunk_shape(&c, &data, &copies),
			rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_int_equal(btrfs_map(&b, (1 << 20) + (5 << 16) + 100,
					 1000, &m, &e),
			0);
		assert_int_equal(m.len, 1000);
		assert_int_equal(m.ncopies, rows[i].copies);
		for (uint32_t k = 0; k < m.ncopies; k++) {
			assert_int_equal(m.copy[k].dev, rows[i].dev + k);
			assert_int_equal(m.copy[k].off,
				(UINT64_C(1) << 30) + (rows[i].row << 16) +
					100);
		}
		/* cut at the stripe's end, at the chunk's, and outside */
		assert_int_equal(
			btrfs_map(&b, (1 << 20) + 100, 1 << 20, &m, &e), 0);
		assert_int_equal(m.len,
			data == 1 && !(c.type & BTRFS_BG_RAID5)
				? (12 << 16) - 100
				: (1 << 16) - 100);
		assert_int_equal(btrfs_map(&b, (1 << 20) - 1, 1, &m, &e),
			ERR_CORRUPT);
		assert_int_equal(btrfs_map(&b, (1 << 20) + (12 << 16), 1, &m, &e),
			ERR_CORRUPT);
	}
}

static void test_decode(void **state)
{
	struct btrfs_codec c = { 0 };
	uint8_t out[64];
	struct error e;

	(void)state;
	memset(out, 0xee, sizeof(out));
	assert_int_equal(btrfs_decode(&c, BTRFS_COMPRESS_NONE, 4096,
				 (const uint8_t *)"ab", 2, out, 4, &e),
		0);
	assert_memory_equal(out, "ab\0\0\xee", 5);
	for (uint8_t m = BTRFS_COMPRESS_ZLIB; m <= BTRFS_COMPRESS_ZSTD; m++) {
		assert_int_equal(btrfs_decode(&c, m, 4096, out, 0, out, 4, &e),
			ERR_CORRUPT);
		assert_int_equal(
			btrfs_decode(&c, m, 4096, (const uint8_t *)"\1\2\3\4\5", 5,
				out, 4, &e),
			ERR_CORRUPT);
	}
	assert_int_equal(btrfs_decode(&c, 4, 4096, out, 1, out, 4, &e),
		ERR_UNSUPPORTED);
	btrfs_codec_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
