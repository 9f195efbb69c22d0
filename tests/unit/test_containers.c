/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK, VHD, VHDX and VDI as our writers make them, then damaged field by
 * field: what the reader must say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/disk.h"
#include "disk/vhd_format.h"
#include "disk/vhdx.h"
#include "disk/vmdk_desc.h"

#define DISK (5 * MIB + 512)

/* --- a sink into memory --- */

struct mem_sink {
	struct sink s;
	struct buf b;
};

static int mem_pwrite(struct sink *s, const void *p, size_t len, uint64_t off,
	struct error *e)
{
	struct buf *b = &((struct mem_sink *)s)->b;

	(void)e;
	if (off + len > b->len)
		buf_zero(b, (size_t)(off + len) - b->len);
	memcpy(b->data + off, p, len);
	return 0;
}

static int mem_truncate(struct sink *s, uint64_t size, struct error *e)
{
	struct buf *b = &((struct mem_sink *)s)->b;

	(void)e;
	if (size > b->len)
		buf_zero(b, (size_t)size - b->len);
	b->len = (size_t)size;
	return 0;
}

static const struct sink_ops mem_ops = { .pwrite = mem_pwrite,
	.truncate = mem_truncate };

static struct source *test_disk(void)
{
	uint8_t *p = calloc(1, DISK);
	struct source *s;

	/* Text that repeats and numbers that do not. */
	for (uint64_t at = 0; at < 200000; at += 8)
		put_le64(p + 70000 + at, at * UINT64_C(0x9e3779b97f4a7c15));
	memset(p + 3 * MIB + 5, 'x', 9000);
	memset(p + DISK - 100, 'e', 100);
	assert_int_equal(source_memory_owned(p, DISK, &s, NULL), 0);
	return s;
}

static void make(const char *format, struct buf *out)
{
	struct mem_sink m = { .s = { .ops = &mem_ops, .seekable = true } };
	AUTO_SOURCE d = test_disk();
	struct disk_write_args a = { .disk = d,
		.out = &m.s,
		.id = (const uint8_t *)"0123456789abcdef",
		.name = "t.vmdk" };
	struct error e = { 0 };

	assert_int_equal(disk_by_name(format)->writer->write(&a, &e), 0);
	assert_false(m.b.oom);
	*out = m.b;
}

/* --- rows --- */

enum mend { NONE, VHD_FOOTER, VHD_FOOTERS, VHD_HEADER, VHDX_HEADERS, VHDX_REGIONS };

struct row {
	const char *format, *what;
	int64_t off; /* negative: from the end */
	const char *bytes;
	size_t len;
	int want;             /* a code, or 0 */
	const char *finding;  /* a name, or NULL */
	enum mend mend;
	int64_t also;         /* the same bytes here too, 0: no */
};

#define B(s) s, sizeof(s) - 1

static const struct row rows[] = {
	/* VMDK: the header (all little endian, sectors) */
	{ "vmdk", "magic", 0, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk", "version 9", 4, B("\x09"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vmdk", "unknown flag", 10, B("\x04"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vmdk", "capacity 2^63", 19, B("\x80"), ERR_LIMIT, 0, 0, 0 },
	{ "vmdk", "capacity beyond the directory", 17, B("\x01"), ERR_CORRUPT, 0,
		0, 0 },
	{ "vmdk", "grain not a power of 2", 20, B("\x81"), ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk", "grain 0", 20, B("\0"), ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk", "grain 2^60", 20, B("\0\0\0\0\0\0\0\x10"), ERR_LIMIT, 0, 0,
		0 },
	{ "vmdk", "descriptor outside", 28, B("\xff\xff\xff"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vmdk", "descriptor huge", 38, B("\xff\xff"), ERR_LIMIT, 0, 0, 0 },
	{ "vmdk", "table entries 0", 44, B("\0\0"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vmdk", "table entries 2^31", 47, B("\x80"), ERR_UNSUPPORTED, 0, 0,
		0 },
	{ "vmdk", "directory outside: the second one", 56, B("\0\0\0\x7f"), 0,
		"disk-damaged", 0, 0 },
	{ "vmdk", "both directories outside", 56, B("\0\0\0\x7f"), ERR_CORRUPT,
		0, 0, 48 },
	{ "vmdk", "in use", 72, B("\x01"), 0, "disk-dirty", 0, 0 },
	{ "vmdk", "newlines mangled", 75, B("\n"), ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk", "table outside", 26 * 512, B("\0\0\xff\xff"), 0,
		"disk-truncated", 0, 0 },
	{ "vmdk", "grain outside", 27 * 512 + 4, B("\0\0\xff\xff"), 0,
		"disk-truncated", 0, 0 },
	{ "vmdk", "CID", 512 + 36, B("zz"), ERR_CORRUPT, 0, 0, 0 },
	/* streams */
	{ "vmdk-stream", "algorithm 7", 77, B("\x07"), ERR_UNSUPPORTED, 0, 0,
		-1024 + 77 },
	{ "vmdk-stream", "footer's magic", -1024, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk-stream", "footer's marker", -1536 + 12, B("\x02"), ERR_CORRUPT,
		0, 0, 0 },
	{ "vmdk-stream", "end marker", -512 + 8, B("\x01"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vmdk-stream", "footer's capacity", -1024 + 12, B("\x07"), ERR_CORRUPT,
		0, 0, 0 },
	{ "vmdk-stream", "footer's directory", -1024 + 56, B("\0\0\0\x7f"),
		ERR_CORRUPT, 0, 0, 0 },
	{ "vmdk-stream", "footer points to a footer", -1024 + 56,
		B("\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_CORRUPT, 0, 0, 0 },
	/* VDI */
	{ "vdi", "signature", 64, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vdi", "version 2", 70, B("\x02"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "differencing", 76, B("\x04"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "type 9", 76, B("\x09"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "table outside", 0x154, B("\0\0\0\x7f"), ERR_CORRUPT, 0, 0, 0 },
	{ "vdi", "table not aligned", 0x154, B("\x01"), ERR_CORRUPT, 0, 0, 0 },
	{ "vdi", "data over the table", 0x158, B("\0\0\0"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vdi", "sector size", 0x168, B("\0\x10"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "disk larger than its blocks", 0x173, B("\x7f"), ERR_CORRUPT, 0,
		0, 0 },
	{ "vdi", "block size 3", 0x178, B("\x03\0\0"), ERR_UNSUPPORTED, 0, 0,
		0 },
	{ "vdi", "block extra", 0x17c, B("\x01"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "too few blocks", 0x180, B("\x02"), ERR_CORRUPT, 0, 0, 0 },
	{ "vdi", "parent", 0x1a8, B("\x01"), ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vdi", "block outside", 512, B("\x77"), 0, "disk-truncated", 0, 0 },
	{ "vdi", "all blocks the same", 512,
		B("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		ERR_CORRUPT, 0, 0, 0 },
	/* VHD: big endian; the copies at both ends */
	{ "vhd", "footer's checksum: the copy", -512 + 64, B("X"), 0,
		"disk-damaged", 0, 0 },
	{ "vhd", "both checksums", 64, B("X"), ERR_CORRUPT, 0, 0, -512 + 64 },
	{ "vhd", "version 2", 12, B("\0\x02"), ERR_UNSUPPORTED, 0, VHD_FOOTERS,
		-512 + 12 },
	{ "vhd", "header outside", 16, B("\x7f"), ERR_CORRUPT, 0, VHD_FOOTERS,
		-512 + 16 },
	{ "vhd", "size over the table", 50, B("\x7f"), ERR_CORRUPT, 0,
		VHD_FOOTERS, -512 + 50 },
	{ "vhd", "geometry counts", 28, B("qemu"), 0, "disk-note", VHD_FOOTERS,
		-512 + 28 },
	{ "vhd", "type 9", 63, B("\x09"), ERR_UNSUPPORTED, 0, VHD_FOOTERS,
		-512 + 63 },
	{ "vhd", "saved state", 84, B("\x01"), 0, "disk-dirty", VHD_FOOTERS,
		-512 + 84 },
	{ "vhd", "differencing without a parent", 63, B("\x04"), ERR_CORRUPT, 0,
		VHD_FOOTERS, -512 + 63 },
	{ "vhd", "header's cookie", 512, B("X"), ERR_CORRUPT, 0, VHD_HEADER, 0 },
	{ "vhd", "header's checksum", 512 + 40, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhd", "table outside", 512 + 16, B("\x7f"), ERR_CORRUPT, 0,
		VHD_HEADER, 0 },
	{ "vhd", "header's version", 512 + 24, B("\x7f"), ERR_UNSUPPORTED, 0,
		VHD_HEADER, 0 },
	{ "vhd", "too few entries", 512 + 31, B("\x01"), ERR_CORRUPT, 0,
		VHD_HEADER, 0 },
	{ "vhd", "block size 0", 512 + 32, B("\0\0\0\0"), ERR_CORRUPT, 0,
		VHD_HEADER, 0 },
	{ "vhd", "block size 2^31", 512 + 32, B("\x80\0\0\0"), ERR_LIMIT, 0,
		VHD_HEADER, 0 },
	{ "vhd", "block outside", 1536, B("\x7f"), 0, "disk-truncated", 0, 0 },
	{ "vhd-fixed", "footer's checksum", -512 + 64, B("X"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vhd-fixed", "cookie", -512, B("X"), ERR_CORRUPT, 0, VHD_FOOTER, 0 },
	{ "vhd-fixed", "version 2", -512 + 12, B("\0\x02"), ERR_UNSUPPORTED, 0,
		VHD_FOOTER, 0 },
	{ "vhd-fixed", "type 0", -512 + 63, B("\0"), ERR_UNSUPPORTED, 0,
		VHD_FOOTER, 0 },
	{ "vhd-fixed", "dynamic without a header", -512 + 63, B("\x03"),
		ERR_CORRUPT, 0, VHD_FOOTER, 0 },
	{ "vhd-fixed", "size over the file", -512 + 52, B("\1"), 0,
		"disk-truncated", VHD_FOOTER, 0 },
	{ "vhd-fixed", "size 2^63", -512 + 48, B("\x80"), ERR_LIMIT, 0,
		VHD_FOOTER, 0 },
	{ "vhd-fixed", "size 0", -512 + 48, B("\0\0\0\0\0\0\0\0"), 0, 0,
		VHD_FOOTER, 0 },
	/* VHDX */
	{ "vhdx", "signature", 0, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "one header", 131072 + 100, B("X"), 0, "disk-damaged", 0, 0 },
	{ "vhdx", "both headers", 131072 + 100, B("X"), ERR_CORRUPT, 0, 0,
		65536 + 100 },
	{ "vhdx", "two headers, one number", 131072 + 8,
		B("\x01\0\0\0\0\0\0\0X"), ERR_CORRUPT, 0, VHDX_HEADERS, 0 },
	{ "vhdx", "version 2", 131072 + 66, B("\x02"), ERR_UNSUPPORTED, 0,
		VHDX_HEADERS, 0 },
	{ "vhdx", "log without entries", 131072 + 48, B("L"), 0, "disk-damaged",
		VHDX_HEADERS, 0 },
	{ "vhdx", "one region table", 196608 + 40, B("X"), 0, "disk-damaged", 0,
		0 },
	{ "vhdx", "both region tables", 196608 + 40, B("X"), ERR_CORRUPT, 0, 0,
		262144 + 40 },
	{ "vhdx", "region count", 196608 + 8, B("\xff\xff"), ERR_CORRUPT, 0,
		VHDX_REGIONS, 262144 + 8 },
	{ "vhdx", "unknown region, required", 196608 + 16, B("X"),
		ERR_UNSUPPORTED, 0, VHDX_REGIONS, 0 },
	{ "vhdx", "region outside", 196608 + 37, B("\x7f"), ERR_CORRUPT, 0,
		VHDX_REGIONS, 0 },
	{ "vhdx", "region not aligned", 196608 + 32, B("\x01"), ERR_CORRUPT, 0,
		VHDX_REGIONS, 0 },
	{ "vhdx", "no block table", 196608 + 40, B("\0\0\0\0"), ERR_CORRUPT, 0,
		VHDX_REGIONS, 0 },
	{ "vhdx", "metadata's signature", 2097152, B("X"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "unknown item, required", 2097152 + 32, B("X"),
		ERR_UNSUPPORTED, 0, 0, 0 },
	{ "vhdx", "item outside", 2097152 + 51, B("\x7f"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "item's length", 2097152 + 52, B("\x07"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "an item twice", 2097152 + 64,
		B(VHDX_GUID_FILE_PARAMETERS), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "block size 3", 2162688, B("\x03"), ERR_CORRUPT, 0, 0, 0 },
	{ "vhdx", "unknown feature", 2162688 + 4, B("\x08"), ERR_UNSUPPORTED, 0,
		0, 0 },
	{ "vhdx", "parent without locator", 2162688 + 4, B("\x02"), ERR_CORRUPT,
		0, 0, 0 },
	{ "vhdx", "size not in sectors", 2162688 + 8, B("\x01"), ERR_CORRUPT, 0,
		0, 0 },
	{ "vhdx", "size over the table", 2162688 + 13, B("\x01"), ERR_CORRUPT, 0,
		0, 0 },
	{ "vhdx", "size over 64 TiB", 2162688 + 14, B("\x01"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vhdx", "sector size 1024", 2162688 + 33, B("\x04"), ERR_CORRUPT, 0, 0,
		0 },
	{ "vhdx", "block outside", 3145728 + 4, B("\x01"), 0, "disk-truncated", 0,
		0 },
	{ "vhdx", "block over the header", 3145728, B("\x06\0\0"), ERR_CORRUPT, 0,
		0, 0 },
};

struct seen {
	char names[20][40];
	size_t n;
};

static void on_finding(void *ctx, const struct finding *f)
{
	struct seen *s = ctx;

	if (s->n < 20)
		snprintf(s->names[s->n++], 40, "%s", finding_name(f->id));
}

static void mend(struct buf *b, enum mend m)
{
	uint8_t *d = b->data;

	if (m == VHD_FOOTER) {
		put_be32(d + b->len - 448, VHD_FOOTER_SUM(d + b->len - 512));
	} else if (m == VHD_FOOTERS) {
		put_be32(d + 64, VHD_FOOTER_SUM(d));
		put_be32(d + b->len - 448, VHD_FOOTER_SUM(d + b->len - 512));
	} else if (m == VHD_HEADER) {
		put_be32(d + 512 + 36, VHD_HEADER_SUM(d + 512));
	} else if (m == VHDX_HEADERS) {
		put_le32(d + 65536 + 4, vhdx_checksum(d + 65536, 4096));
		put_le32(d + 131072 + 4, vhdx_checksum(d + 131072, 4096));
	} else if (m == VHDX_REGIONS) {
		put_le32(d + 196608 + 4, vhdx_checksum(d + 196608, 65536));
		put_le32(d + 262144 + 4, vhdx_checksum(d + 262144, 65536));
	}
}

static int open_bytes(const char *format, const struct buf *b,
	struct source **out, struct seen *seen, struct error *e)
{
	struct finding_sink sink = { on_finding, seen };
	struct disk_info info = { 0 };
	AUTO_SOURCE file = NULL;
	struct disk_open_args a = { .findings = &sink };

	assert_int_equal(source_memory(b->data, b->len, &file, e), 0);
	a.file = file;
	return disk_by_name(format)->open(&a, out, &info, e);
}

static void one(const struct row *w, const struct buf *good)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_SOURCE d = NULL;
	struct error e = { 0 };
	struct seen seen = { 0 };
	bool found = !w->finding;
	int r;

	buf_add(&b, good->data, good->len);
	memcpy(b.data + (w->off < 0 ? (int64_t)b.len + w->off : w->off),
		w->bytes, w->len);
	if (w->also)
		memcpy(b.data + (w->also < 0 ? (int64_t)b.len + w->also
					     : w->also),
			w->bytes, w->len);
	mend(&b, w->mend);
	r = open_bytes(w->format, &b, &d, &seen, &e);
	for (size_t i = 0; i < seen.n; i++)
		found |= w->finding && !strcmp(seen.names[i], w->finding);
	if (r != w->want || !found || (r && (e.code != r || !*e.msg)))
		fail_msg("%s: %s: %s (%s), finding %s", w->format, w->what,
			error_code_name(r), r ? e.msg : "",
			seen.n ? seen.names[0] : "none");
	if (!r) { /* what it says can be read, whatever it is */
		uint8_t buf[4096];

		for (uint64_t at = 0; at + 4096 <= d->size && at < 8 * MIB;
			at += 4096)
			(void)!source_pread(d, buf, sizeof(buf), at, &e);
	}
}

static void test_fields(void **state)
{
	const char *format = "";
	AUTO_BUF good = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(format, rows[i].format) != 0) {
			AUTO_SOURCE d = NULL;
			AUTO_SOURCE want = test_disk();
			struct seen seen = { 0 };
			struct error e = { 0 };
			uint8_t *x = malloc(DISK), *y = malloc(DISK);

			format = rows[i].format;
			buf_release(&good);
			make(format, &good);
			/* undamaged: no finding, the same bytes */
			assert_int_equal(open_bytes(format, &good, &d, &seen,
						 &e), 0);
			assert_int_equal(seen.n, 0);
			assert_int_equal(d->size, DISK);
			assert_int_equal(source_pread(d, x, DISK, 0, &e), 0);
			assert_int_equal(source_pread(want, y, DISK, 0, &e), 0);
			assert_memory_equal(x, y, DISK);
			free(x);
			free(y);
		}
		one(&rows[i], &good);
	}
}

/* Damage inside a stream's grains is told when they are read. */
static void test_grains(void **state)
{
	static const struct {
		const char *what;
		uint64_t off;
		const char *bytes;
		size_t len;
		int want;
	} cases[] = {
		{ "marker's sector", 65536, B("\x01"), ERR_CORRUPT },
		{ "size 0", 65536 + 8, B("\0\0\0\0"), ERR_CORRUPT },
		{ "size 2^31", 65536 + 11, B("\x80"), ERR_CORRUPT },
		{ "data", 65536 + 12, B("XXXX"), ERR_CORRUPT },
		{ "checksum of the data", 65536 + 100, B("XXXX"), ERR_CORRUPT },
		/* two stored blocks, 65535 + 2 bytes: over a grain of 64 KiB */
		{ "bomb", 0, B(""), ERR_LIMIT },
	};
	AUTO_BUF good = BUF_INIT;

	(void)state;
	make("vmdk-stream", &good);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF b = BUF_INIT;
		AUTO_SOURCE d = NULL;
		struct seen seen = { 0 };
		struct error e = { 0 };
		uint8_t *buf = malloc(MIB);

		buf_add(&b, good.data, good.len);
		memcpy(b.data + cases[i].off, cases[i].bytes, cases[i].len);
		if (!strcmp(cases[i].what, "bomb")) {
			uint8_t *p = b.data + 65536 + 8;

			put_le32(p, 2 + 5 + 65535 + 5 + 2 + 4);
			memcpy(p + 4, "\x78\x01\x00\xff\xff\x00\x00", 7);
			memset(p + 11, 'b', 65535);
			memcpy(p + 11 + 65535, "\x01\x02\x00\xfd\xff" "bb", 7);
		}
		assert_int_equal(open_bytes("vmdk-stream", &b, &d, &seen, &e),
			0);
		for (int half = 0; half < 2; half++) {
			int r = source_pread(d, buf, half ? 100 : MIB,
				64 * KIB + (half ? 77 : 0), &e);

			if (r != cases[i].want)
				fail_msg("%s: %s (%s)", cases[i].what,
					error_code_name(r), r ? e.msg : "");
		}
		free(buf);
	}
}

static void test_descriptor(void **state)
{
	static const struct {
		const char *text;
		int want;
		size_t extents;
	} cases[] = {
		{ "# Disk DescriptorFile\r\nversion=1\r\nCID=12ab\r\n"
		  "parentCID=ffffffff\r\nRW 10 SPARSE \"a b.vmdk\"\r\n", 0, 1 },
		{ "RW 1 FLAT \"x\" 5\nRDONLY 1 VMFS \"y\"\nRW 7 ZERO\n", 0, 3 },
		{ "RW x FLAT \"x\"", ERR_CORRUPT, 0 },
		{ "RW 99999999999999999999 FLAT \"x\"", ERR_CORRUPT, 0 },
		{ "RW 9223372036854775807 FLAT \"x\"", ERR_CORRUPT, 0 },
		{ "RW 1 FLAT \"x", ERR_CORRUPT, 0 },
		{ "RW 1 FLAT x 0", ERR_CORRUPT, 0 },
		{ "RW 1 FLAT \"\" 0", ERR_CORRUPT, 0 },
		{ "RW 1 FLAT \"x\" -1", ERR_CORRUPT, 0 },
		{ "RW 1 VMFSRDM \"x\"", ERR_UNSUPPORTED, 0 },
		{ "NOACCESS 1 FLAT \"x\" 0", ERR_UNSUPPORTED, 0 },
		{ "CID=zz", ERR_CORRUPT, 0 },
		{ "CID=123456789", ERR_CORRUPT, 0 },
		{ "parentFileNameHint=\"x", ERR_CORRUPT, 0 },
		{ "RWX 1\nRW\n\n  \nnothing here\n=\n", 0, 0 },
		{ "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vmdk_desc d = { 0 };
		struct error e = { 0 };
		int r = vmdk_desc_parse((const uint8_t *)cases[i].text,
			strlen(cases[i].text), &d, &e);

		if (r != cases[i].want || (!r && d.extents.len != cases[i].extents))
			fail_msg("%s: %d (%s)", cases[i].text, r, e.msg);
		if (!i) {
			assert_int_equal(d.cid, 0x12ab);
			assert_int_equal(d.parent_cid, VMDK_NO_CID);
			assert_string_equal(d.extents.items[0].name, "a b.vmdk");
		}
		vmdk_desc_release(&d);
	}
}

/* Sizes that a format cannot hold are refused before anything is read. */
static void test_too_large(void **state)
{
	static const struct {
		const char *format;
		uint64_t size;
	} cases[] = { { "vhd", 2041 * GIB }, { "vhdx", 65 * TIB },
		{ "vmdk", 300 * TIB }, { "vdi", 600 * TIB } };
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mem_sink m = { .s = { .ops = &mem_ops } };
		AUTO_SOURCE z = NULL;
		struct disk_write_args a = { .out = &m.s };

		assert_int_equal(source_zero(cases[i].size, &z, &e), 0);
		a.disk = z;
		assert_int_equal(disk_by_name(cases[i].format)
					 ->writer->write(&a, &e),
			ERR_UNSUPPORTED);
		buf_release(&m.b);
	}
}

/* 4096-byte sectors go through VHDX; cancelling and read errors come back. */
static void test_writers(void **state)
{
	static const char *const formats[] = { "vmdk", "vmdk-stream", "vhd",
		"vhd-fixed", "vhdx", "vdi", "ova" };
	AUTO_SOURCE d = test_disk();
	AUTO_SOURCE bad = NULL;
	AUTO_SOURCE even = NULL;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(source_faulty(d, 3 * MIB, 4096, &bad, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct mem_sink m = { .s = { .ops = &mem_ops,
					      .seekable = true } };
		struct disk_write_args a = { .disk = bad, .out = &m.s };

		assert_int_equal(disk_by_name(formats[i])->writer->write(&a,
					 &e), ERR_IO);
		buf_release(&m.b);
	}
	assert_int_equal(source_window(d, 0, 5 * MIB, &even, &e), 0);
	even->sector_size = 4096;
	{
		struct mem_sink m = { .s = { .ops = &mem_ops,
					      .seekable = true } };
		struct disk_write_args a = { .disk = even, .out = &m.s };
		AUTO_SOURCE back = NULL;
		struct seen seen = { 0 };

		assert_int_equal(disk_by_name("vhdx")->writer->write(&a, &e),
			0);
		assert_int_equal(open_bytes("vhdx", &m.b, &back, &seen, &e), 0);
		assert_int_equal(back->sector_size, 4096);
		assert_int_equal(back->size, 5 * MIB);
		source_unref(steal_ptr(back));
		buf_release(&m.b);
	}
}

/* --- extents that only ESX writes --- */

static void make_cowd(uint8_t *b)
{
	memcpy(b, "COWD", 4);
	put_le32(b + 4, 1);
	put_le32(b + 8, 3);
	put_le32(b + 12, 8192);
	put_le32(b + 16, 1);
	put_le32(b + 20, 4);
	put_le32(b + 24, 2);
	put_le32(b + 28, 40);
	put_le32(b + 4 * 512, 5);
	put_le32(b + 5 * 512, 38);
	put_le32(b + 5 * 512 + 8, 39);
	memset(b + 38 * 512, 'c', 1024);
}

static void make_sesparse(uint8_t *b)
{
	static const uint64_t h[] = { 0xcafebabe, 0x200000001, 65536, 8, 64, 0, 0,
		0, 0, 0, 1, 1, 2, 1, 3, 1, 4, 1, 5, 128, 133, 1, 134, 1, 136,
		64 };

	for (size_t i = 0; i < ARRAY_LEN(h); i++)
		put_le64(b + 8 * i, h[i]);
	put_le64(b + 512, 0xcafecafe);
	put_le64(b + 4 * 512, UINT64_C(0x1000000000000001));
	put_le64(b + 69 * 512, UINT64_C(3) << 60);
	put_le64(b + 69 * 512 + 8, UINT64_C(2) << 60);
	put_le64(b + 69 * 512 + 16, UINT64_C(3) << 60 | UINT64_C(1) << 48);
	memset(b + 136 * 512, 's', 8192);
}

static void test_esx(void **state)
{
	static const struct {
		bool se;
		const char *what;
		size_t off;
		const char *bytes;
		size_t len;
		int want;
		const char *finding;
	} cases[] = {
		{ false, "", 0, B("C"), 0, NULL },
		{ false, "magic", 0, B("X"), ERR_CORRUPT, NULL },
		{ false, "version", 4, B("\x09"), ERR_UNSUPPORTED, NULL },
		{ false, "grain 3", 16, B("\x03"), ERR_CORRUPT, NULL },
		{ false, "grain 0", 16, B("\0"), ERR_CORRUPT, NULL },
		{ false, "grain 2^31", 16, B("\0\0\0\x80"), ERR_LIMIT, NULL },
		{ false, "directory outside", 22, B("\xff"), ERR_CORRUPT, NULL },
		{ false, "directory small", 24, B("\0"), ERR_CORRUPT, NULL },
		{ false, "size over the directory", 15, B("\x7f"), ERR_CORRUPT,
			NULL },
		{ false, "table outside", 4 * 512 + 2, B("\xff"), 0, "disk-truncated" },
		{ false, "grain outside", 5 * 512 + 2, B("\xff"), 0, "disk-truncated" },
		{ true, "", 0, B("\xbe"), 0, NULL },
		{ true, "magic", 0, B("X"), ERR_CORRUPT, NULL },
		{ true, "version", 12, B("\x09"), ERR_UNSUPPORTED, NULL },
		{ true, "flags", 40, B("\x01"), ERR_UNSUPPORTED, NULL },
		{ true, "grain", 24, B("\x07"), ERR_UNSUPPORTED, NULL },
		{ true, "table size", 32, B("\x21"), ERR_UNSUPPORTED, NULL },
		{ true, "volatile header outside", 87, B("\x7f"), ERR_CORRUPT, NULL },
		{ true, "volatile header's magic", 512, B("X"), ERR_CORRUPT, NULL },
		{ true, "journal", 512 + 24, B("\1"), ERR_UNSUPPORTED, NULL },
		{ true, "directory outside", 133, B("\x7f"), ERR_CORRUPT, NULL },
		{ true, "tables outside", 150, B("\x7f"), ERR_CORRUPT, NULL },
		{ true, "grains outside", 198, B("\x7f"), ERR_CORRUPT, NULL },
		{ true, "size 2^63", 23, B("\x80"), ERR_LIMIT, NULL },
		{ true, "directory entry", 4 * 512 + 7, B("\x70"), ERR_CORRUPT,
			NULL },
		{ true, "table entry", 69 * 512 + 7, B("\x70"), ERR_CORRUPT,
			NULL },
		{ true, "grain far off", 69 * 512 + 2, B("\xff"), 0, "disk-truncated" },
	};
	uint8_t *bytes = malloc(256 * 512);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = { .data = bytes };
		AUTO_SOURCE d = NULL;
		struct seen seen = { 0 };
		struct error e = { 0 };
		bool found = !cases[i].finding;
		uint8_t x[4096];
		int r;

		memset(bytes, 0, 256 * 512);
		b.len = cases[i].se ? 200 * 512 : 40 * 512;
		(cases[i].se ? make_sesparse : make_cowd)(bytes);
		memcpy(bytes + cases[i].off, cases[i].bytes, cases[i].len);
		r = open_bytes("vmdk", &b, &d, &seen, &e);
		if (!r)
			r = source_pread(d, x, sizeof(x), 0, &e);
		for (size_t k = 0; k < seen.n; k++)
			found |= cases[i].finding &&
				 !strcmp(seen.names[k], cases[i].finding);
		if (r != cases[i].want || !found || (r && !*e.msg))
			fail_msg("%s, %s: %s (%s), finding %s",
				cases[i].se ? "seSparse" : "COWD",
				cases[i].what, error_code_name(r),
				r ? e.msg : "",
				seen.n ? seen.names[0] : "none");
		if (!*cases[i].what)
			assert_int_equal(x[0], cases[i].se ? 's' : 'c');
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_grains),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_esx),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
