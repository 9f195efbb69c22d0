/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed files: what each library makes, then damaged field by field, cut
 * off at every length, and swollen: bombs end in LIMIT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bzlib.h>
#include <cmocka.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/wrap.h"

#define PLAIN 150000u

static uint8_t plain[PLAIN];

static void fill(void)
{
	for (uint32_t i = 0; i < PLAIN; i++)
		plain[i] = i < 40000 ? (uint8_t)(i * i >> 7)
			   : i < 90000 ? 0
				       : (uint8_t)"some text "[i % 10];
}

static void pack_deflate(const void *p, size_t n, int window, struct buf *out)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8,
				 Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.avail_out = (uInt)deflateBound(&z, n);
	z.next_out = buf_room(out, z.avail_out);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	deflateEnd(&z);
}

static void pack_gzip(const void *p, size_t n, struct buf *out)
{
	pack_deflate(p, n, 15 + 16, out);
}

static void pack_xz(const void *p, size_t n, struct buf *out)
{
	size_t room = lzma_stream_buffer_bound(n), at = 0;

	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, p, n,
				 buf_room(out, room), &at, room), LZMA_OK);
	out->len += at;
}

static void pack_zstd(const void *p, size_t n, struct buf *out)
{
	size_t room = ZSTD_compressBound(n), k;
	ZSTD_CCtx *c = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	k = ZSTD_compress2(c, buf_room(out, room), room, p, n);
	assert_false(ZSTD_isError(k));
	out->len += k;
	ZSTD_freeCCtx(c);
}

static void pack_bzip2(const void *p, size_t n, struct buf *out)
{
	unsigned room = (unsigned)(n + n / 100 + 700);

	assert_int_equal(BZ2_bzBuffToBuffCompress(
				 (char *)buf_room(out, room), &room,
				 (char *)(uintptr_t)p, (unsigned)n, 1, 0, 0),
		BZ_OK);
	out->len += room;
}

/* One member, "d.raw", its directory entry and the end: at len - 22 - 51 - 22
 * and so on from the end. */
#define ZIP_NAME "d.raw"
#define ZIP_LOCAL (30 + 5)
#define ZIP_ENTRY (-22 - 46 - 5)
#define ZIP_END (-22)

static void pack_zip_as(const void *p, size_t n, bool stored, struct buf *out)
{
	AUTO_BUF packed = BUF_INIT;
	uint32_t crc = (uint32_t)crc32(0, p, (uInt)n);
	size_t dir;

	if (stored)
		buf_add(&packed, p, n);
	else
		pack_deflate(p, n, -15, &packed);
	for (int entry = 0; entry < 2; entry++) {
		if (entry)
			dir = out->len;
		buf_add(out, entry ? "PK\1\2" : "PK\3\4", 4);
		if (entry)
			buf_le16(out, 20);
		buf_le16(out, 20);
		buf_le16(out, 0);
		buf_le16(out, stored ? 0 : 8);
		buf_le32(out, 0);
		buf_le32(out, crc);
		buf_le32(out, (uint32_t)packed.len);
		buf_le32(out, (uint32_t)n);
		buf_le16(out, 5);
		buf_le16(out, 0);
		if (entry)
			buf_zero(out, 2 + 2 + 2 + 4 + 4);
		buf_addstr(out, ZIP_NAME);
		if (!entry)
			buf_add(out, packed.data, packed.len);
	}
	buf_add(out, "PK\5\6\0\0\0\0\1\0\1\0", 12);
	buf_le32(out, 51);
	buf_le32(out, (uint32_t)dir);
	buf_le16(out, 0);
}

static void pack_zip(const void *p, size_t n, struct buf *out)
{
	pack_zip_as(p, n, false, out);
}

static void pack_stored(const void *p, size_t n, struct buf *out)
{
	pack_zip_as(p, n, true, out);
}

static const struct kind {
	const char *name, *probe;
	void (*pack)(const void *p, size_t n, struct buf *out);
} kinds[] = {
	{ "gzip", "gzip", pack_gzip },
	{ "xz", "xz", pack_xz },
	{ "zstd", "zstd", pack_zstd },
	{ "bzip2", "bzip2", pack_bzip2 },
	{ "zip", "zip", pack_zip },
	{ "stored", "zip", pack_stored },
};

static int unwrap(const struct buf *b, uint64_t max, uint64_t max_data,
	struct source **out, struct wrap_info *info, struct error *e)
{
	AUTO_SOURCE file = NULL;

	assert_int_equal(source_memory(b->data, b->len, &file, e), 0);
	return wrap_unwrap(&(struct wrap_args){ .file = file,
				   .max = max,
				   .max_data = max_data },
		out, info, e);
}

static void test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO_BUF b = BUF_INIT;
		AUTO_SOURCE s = NULL;
		struct wrap_info info;
		struct error e = { 0 };
		static uint8_t back[PLAIN];

		kinds[i].pack(plain, PLAIN, &b);
		if (unwrap(&b, 0, 0, &s, &info, &e))
			fail_msg("%s: %s", kinds[i].name, e.msg);
		assert_string_equal(info.kinds, kinds[i].probe);
		assert_int_equal(s->size, PLAIN);
		assert_int_equal(source_pread(s, back, PLAIN, 0, &e), 0);
		assert_memory_equal(back, plain, PLAIN);
	}
}

/* At every length: whole only where nothing is missing. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO_BUF b = BUF_INIT;
		size_t len, step;

		kinds[i].pack(plain, 70000, &b);
		len = b.len;
		step = len / 150 + 1;
		for (size_t n = 10; n < len; n += len - n > 40 && n > 40 ? step : 1) {
			AUTO_SOURCE s = NULL;
			struct wrap_info info;
			struct error e = { 0 };

			b.len = n;
			if (unwrap(&b, 0, 0, &s, &info, &e) != ERR_CORRUPT)
				fail_msg("%s cut at %zu of %zu: %s",
					kinds[i].name, n, len, e.msg);
		}
	}
}

/* Far more than it should, in zeros and in bytes that take room. */
static void test_bombs(void **state)
{
	static uint8_t zeros[4 * MIB], text[4 * MIB];

	(void)state;
	memset(text, 'b', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO_BUF z = BUF_INIT;
		AUTO_BUF t = BUF_INIT;
		AUTO_SOURCE s = NULL;
		struct wrap_info info;
		struct error e = { 0 };
		bool stored = !strcmp(kinds[i].name, "stored");

		kinds[i].pack(zeros, sizeof(zeros), &z);
		kinds[i].pack(text, sizeof(text), &t);
		assert_int_equal(unwrap(&z, sizeof(zeros), 1, &s, &info, &e),
			0);
		assert_int_equal(s->size, sizeof(zeros));
		source_unref(steal_ptr(s));
		if (stored)
			continue; /* a window of the file itself */
		if (unwrap(&z, sizeof(zeros) - 1, 0, &s, &info, &e) !=
				ERR_LIMIT ||
			!*e.msg)
			fail_msg("%s: zeros", kinds[i].name);
		if (unwrap(&t, sizeof(text), sizeof(text) - 1, &s, &info,
			    &e) != ERR_LIMIT ||
			!strstr(e.msg, "not zeros"))
			fail_msg("%s: text: %s", kinds[i].name, e.msg);
	}
}

/* Inside each other: the size of the outermost sets the limit for all. */
static void test_nested(void **state)
{
	AUTO_BUF inner = BUF_INIT;
	AUTO_BUF outer = BUF_INIT;
	AUTO_SOURCE s = NULL;
	struct wrap_info info;
	struct error e = { 0 };
	uint8_t *zeros = calloc(1, 8 * MIB);

	(void)state;
	pack_gzip(zeros, 8 * MIB, &inner);
	pack_xz(inner.data, inner.len, &outer);
	free(zeros);
	assert_int_equal(unwrap(&outer, 0, 0, &s, &info, &e), 0);
	assert_string_equal(info.kinds, "xz gzip");
	assert_int_equal(s->size, 8 * MIB);
	source_unref(steal_ptr(s));
	assert_int_equal(unwrap(&outer, MIB, 0, &s, &info, &e), ERR_LIMIT);
	for (int i = 0; i < 3; i++) {
		AUTO_BUF b = BUF_INIT;

		pack_gzip(outer.data, outer.len, &b);
		buf_clear(&outer);
		buf_add(&outer, b.data, b.len);
	}
	assert_int_equal(unwrap(&outer, 0, 0, &s, &info, &e), ERR_LIMIT);
}

#define B(s) s, sizeof(s) - 1

/* want: a code; 1: it is not taken for a compressed file any more; 0: it is
 * read all the same. */
static const struct row {
	const char *kind, *what;
	int off; /* negative: from the end */
	const char *bytes;
	size_t len;
	int want;
} rows[] = {
	{ "gzip", "magic", 0, B("\x1e"), 1 },
	{ "gzip", "method", 2, B("\x07"), 1 },
	{ "gzip", "reserved flag", 3, B("\x20"), 1 },
	{ "gzip", "a name without end", 3, B("\x08"), ERR_CORRUPT },
	{ "gzip", "a header checksum", 3, B("\x02"), ERR_CORRUPT },
	{ "gzip", "time, level, system", 4, B("\1\2\3\4\5\6"), 0 },
	{ "gzip", "block type 3", 10, B("\x07"), ERR_CORRUPT },
	{ "gzip", "data", 300, B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "gzip", "checksum", -8, B("XXXX"), ERR_CORRUPT },
	{ "gzip", "size", -4, B("XXXX"), ERR_CORRUPT },
	{ "xz", "magic", 1, B("8"), 1 },
	{ "xz", "flags", 6, B("\x01"), ERR_CORRUPT },
	{ "xz", "check of a kind unknown", 7, B("\x02"), ERR_CORRUPT },
	{ "xz", "header checksum", 8, B("X"), ERR_CORRUPT },
	{ "xz", "block header size", 12, B("\xff"), ERR_CORRUPT },
	{ "xz", "block flags", 13, B("\x3c"), ERR_CORRUPT },
	{ "xz", "data", 300, B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "xz", "index", -20, B("XX"), ERR_CORRUPT },
	{ "xz", "footer's checksum", -12, B("X"), ERR_CORRUPT },
	{ "xz", "footer's size of the index", -8, B("X"), ERR_CORRUPT },
	{ "xz", "footer's flags", -4, B("X"), ERR_CORRUPT },
	{ "xz", "footer's magic", -2, B("XZ"), ERR_CORRUPT },
	{ "zstd", "magic", 0, B("X"), 1 },
	{ "zstd", "reserved bit", 4, B("\x6c"), ERR_CORRUPT },
	{ "zstd", "a dictionary", 4, B("\x67"), ERR_CORRUPT },
	{ "zstd", "block of the reserved kind", 9, B("\x07"), ERR_CORRUPT },
	{ "zstd", "data", 300, B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "zstd", "checksum", -4, B("XXXX"), ERR_CORRUPT },
	{ "bzip2", "magic", 2, B("x"), 1 },
	{ "bzip2", "block size 0", 3, B("0"), 1 },
	{ "bzip2", "block magic", 5, B("X"), 1 },
	{ "bzip2", "block checksum", 10, B("XXXX"), ERR_CORRUPT },
	{ "bzip2", "origin", 14, B("\xff\xff\xff"), ERR_CORRUPT },
	{ "bzip2", "data", 300, B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "bzip2", "end", -5, B("XXXXX"), ERR_CORRUPT },
	{ "zip", "magic", 0, B("X"), 1 },
	{ "zip", "no end", ZIP_END, B("X"), ERR_CORRUPT },
	{ "zip", "volume", ZIP_END + 4, B("\1"), ERR_UNSUPPORTED },
	{ "zip", "no entries", ZIP_END + 10, B("\0"), ERR_CORRUPT },
	{ "zip", "more entries", ZIP_END + 10, B("\2"), ERR_CORRUPT },
	{ "zip", "entries of the 64-bit end, which is not there", ZIP_END + 10,
		B("\xff\xff"), ERR_CORRUPT },
	{ "zip", "directory outside", ZIP_END + 19, B("\x7f"), ERR_CORRUPT },
	{ "zip", "directory's size", ZIP_END + 15, B("\x7f"), ERR_CORRUPT },
	{ "zip", "comment past the end", ZIP_END + 20, B("\x01"), ERR_CORRUPT },
	{ "zip", "entry's signature", ZIP_ENTRY, B("X"), ERR_CORRUPT },
	{ "zip", "password", ZIP_ENTRY + 8, B("\1"), ERR_UNSUPPORTED },
	{ "zip", "strong encryption", ZIP_ENTRY + 8, B("\x40"),
		ERR_UNSUPPORTED },
	{ "zip", "method", ZIP_ENTRY + 10, B("\x63"), ERR_UNSUPPORTED },
	{ "zip", "stored, of two sizes", ZIP_ENTRY + 10, B("\0"), ERR_CORRUPT },
	{ "zip", "checksum", ZIP_ENTRY + 16, B("XXXX"), ERR_CORRUPT },
	{ "zip", "packed size past the end", ZIP_ENTRY + 23, B("\x7f"),
		ERR_CORRUPT },
	{ "zip", "packed size small", ZIP_ENTRY + 20, B("\1\0"), ERR_CORRUPT },
	{ "zip", "size smaller", ZIP_ENTRY + 24, B("\1\0"), ERR_CORRUPT },
	{ "zip", "size larger", ZIP_ENTRY + 26, B("\x7f"), ERR_CORRUPT },
	{ "zip", "a size in 64 bits that is not there", ZIP_ENTRY + 24,
		B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "zip", "name past the directory", ZIP_ENTRY + 29, B("\x7f"),
		ERR_CORRUPT },
	{ "zip", "member outside", ZIP_ENTRY + 45, B("\x7f"), ERR_CORRUPT },
	{ "zip", "member in the middle", ZIP_ENTRY + 42, B("\5"), ERR_CORRUPT },
	{ "zip", "local name past the end", 27, B("\xff"), ERR_CORRUPT },
	{ "zip", "data", ZIP_LOCAL + 200, B("\xff\xff\xff\xff"), ERR_CORRUPT },
	{ "zip", "name with control characters", ZIP_ENTRY + 46, B("\1\2"), 0 },
	{ "zip", "a folder", ZIP_ENTRY + 50, B("/"), ERR_CORRUPT },
	{ "stored", "packed size", ZIP_ENTRY + 20, B("\1"), ERR_CORRUPT },
	{ "stored", "local extra past the end", 29, B("\xff"), ERR_CORRUPT },
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *w = &rows[i];
		AUTO_BUF b = BUF_INIT;
		AUTO_SOURCE s = NULL;
		struct wrap_info info;
		struct error e = { 0 };
		int r;

		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			if (!strcmp(kinds[k].name, w->kind))
				kinds[k].pack(plain, PLAIN, &b);
		memcpy(w->off < 0 ? b.data + b.len + w->off : b.data + w->off,
			w->bytes, w->len);
		r = unwrap(&b, 0, 0, &s, &info, &e);
		if (w->want == 1 ? r || *info.kinds
				 : r != w->want || (!r && s->size != PLAIN))
			fail_msg("%s: %s: %s (%s)", w->kind, w->what,
				error_code_name(r), r ? e.msg : info.kinds);
		if (r && !*e.msg)
			fail_msg("%s: %s: no message", w->kind, w->what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_fields),
	};

	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
