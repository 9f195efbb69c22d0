/* SPDX-License-Identifier: Apache-2.0 */
/* LVM2 metadata by field: a physical volume written here with a text of our
 * own, and what must come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/endian.h"
#include "base/limits.h"
#include "volume/volume.h"

#define PV_SIZE (8u << 20)
#define MDA 4096u
#define MDA_SIZE (1024u * 1024 - MDA)

static uint8_t pv[2][PV_SIZE];
static unsigned seen[FINDING_COUNT];
static char listing[8192];

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	seen[f->id]++;
}

static uint32_t crc(const void *p, size_t n)
{
	return (uint32_t)crc32(0xf597a6cf ^ UINT32_MAX, p, (uInt)n) ^ UINT32_MAX;
}

static void seal(uint8_t *d)
{
	put_le32(d + 512 + 16, crc(d + 512 + 20, 492));
	put_le32(d + MDA, crc(d + MDA + 4, 508));
}

/* off: of the text in its area; it goes round at the end. */
static void make(int which, const char *text, uint64_t off)
{
	uint8_t *d = pv[which], *l = d + 512;
	size_t n = strlen(text) + 1;

	memset(d, 0, 1 << 20);
	memset(d + (1 << 20), which + 1, PV_SIZE - (1 << 20));
	memcpy(l, "LABELONE", 8);
	put_le64(l + 8, 1);
	put_le32(l + 20, 32);
	memcpy(l + 24, "LVM2 001", 8);
	memset(l + 32, which ? 'B' : 'A', 32);
	put_le64(l + 64, PV_SIZE);
	put_le64(l + 72, 1 << 20);
	put_le64(l + 104, MDA);
	put_le64(l + 112, MDA_SIZE);
	memcpy(d + MDA + 4, " LVM2 x[5A%r0N*>", 16);
	put_le32(d + MDA + 20, 1);
	put_le64(d + MDA + 24, MDA);
	put_le64(d + MDA + 32, MDA_SIZE);
	put_le64(d + MDA + 40, off);
	put_le64(d + MDA + 48, n);
	put_le32(d + MDA + 56, crc(text, n));
	for (size_t i = 0; i < n; i++)
		d[MDA + (off + i < MDA_SIZE ? off + i
					    : off + i - MDA_SIZE + 512)] =
			(uint8_t)text[i];
	seal(d);
}

static int scan(int n)
{
	struct finding_sink sink = { on_finding, NULL };
	AUTO_SOURCE a = NULL;
	AUTO_SOURCE b = NULL;
	struct volume_set set;
	struct error e;
	struct volume_member m[2];

	memset(seen, 0, sizeof(seen));
	*listing = 0;
	assert_int_equal(source_memory(pv[0], PV_SIZE, &a, &e), 0);
	assert_int_equal(source_memory(pv[1], PV_SIZE, &b, &e), 0);
	m[0] = (struct volume_member){ a, "a" };
	m[1] = (struct volume_member){ b, "b" };
	assert_int_equal(volume_scan(m, (size_t)n, &sink, &set, &e), 0);
	for (size_t i = 0; i < set.len; i++) {
		const struct logical_volume *v = &set.items[i];
		size_t at = strlen(listing);
		AUTO_SOURCE s = NULL;

		at += (size_t)snprintf(listing + at, sizeof(listing) - at,
			"%s %s %uK", v->name, v->kind,
			(unsigned)(v->size / 1024));
		if (!v->readable)
			assert_int_equal(volume_source(v, m, (size_t)n, &s, &e),
				ERR_UNSUPPORTED);
		else
			assert_int_equal(volume_source(v, m, (size_t)n, &s, &e),
				0);
		if (s)
			assert_int_equal(s->size, v->size);
		for (size_t k = 0; k < v->nsegments && k < 4; k++)
			at += (size_t)snprintf(listing + at,
				sizeof(listing) - at, " %d:%uK+%uK",
				(int)v->segments[k].member,
				(unsigned)(v->segments[k].off / 1024),
				(unsigned)(v->segments[k].len / 1024));
		snprintf(listing + at, sizeof(listing) - at, ";");
	}
	volume_set_release(&set);
	return 0;
}

#define PV(name, id, start, count)                                             \
	name " {\nid = \"" id "\"\npe_start = " start "\npe_count = " count "\n}\n"
#define ID_A "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA"
#define ID_B "BBBBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBBBB"
#define PVS                                                                    \
	"physical_volumes {\n" PV("pv0", ID_A, "2048", "100")                  \
		PV("pv1", ID_B, "2048", "100") "}\n"
#define VG(seqno, pvs, lvs)                                                    \
	"# a comment\nvg {\nid = \"vgid\"\nseqno = " seqno                     \
	"\nextent_size = 128\n" pvs "logical_volumes {\n" lvs "}\n}\n"        \
	"contents = \"Text Format Volume Group\"\nversion = 1\n"
#define VISIBLE "status = [\"READ\", \"WRITE\", \"VISIBLE\"]\n"
#define LV(name, segments)                                                     \
	name " {\nid = \"lvid\"\n" VISIBLE segments "}\n"
#define SEG(n, start, count, rest)                                             \
	"segment" n " {\nstart_extent = " start "\nextent_count = " count      \
	"\n" rest "}\n"
#define LINEAR(stripes)                                                        \
	"type = \"striped\"\nstripe_count = 1\nstripes = [" stripes "]\n"

static void test_text(void **state)
{
	static const struct {
		const char *text, *want;
		enum finding_id finding; /* FINDING_COUNT: none at all */
	} rows[] = {
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 3")))),
			"vg/lv linear 256K 0:1216K+256K;", FINDING_COUNT },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 3"))
			SEG("2", "4", "2", LINEAR("\"pv1\", 0"))
			SEG("3", "6", "2", LINEAR("\"pv1\", 2")))),
			"vg/lv linear 512K 0:1216K+256K 1:1024K+256K;",
			FINDING_COUNT },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			"type = \"striped\"\nstripe_count = 2\nstripe_size = 128\n"
			"stripes = [\"pv0\", 0, \"pv1\", 8]\n"))),
			"vg/lv striped 256K 0:1024K+64K 1:1536K+64K 0:1088K+64K "
			"1:1600K+64K;", FINDING_COUNT },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", "type = \"zero\"\n"))),
			"vg/lv zero 256K -1:0K+256K;", FINDING_COUNT },
		/* kinds that are kept; parts that are not shown */
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			"type = \"raid1\"\ndevice_count = 2\nraids = [\"lv_rmeta_0\", "
			"\"lv_rimage_0\"]\n"))
			"lv_rimage_0 {\nstatus = [\"READ\", \"WRITE\"]\n"
			SEG("1", "0", "4", LINEAR("\"pv0\", 1")) "}\n"),
			"vg/lv raid1 256K;", FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("pool", SEG("1", "0", "4",
			"type = \"thin-pool\"\nmetadata = \"a\"\npool = \"b\"\n"))
			LV("thin", SEG("1", "0", "40", "type = \"thin\"\n"
			"thin_pool = \"pool\"\n"))),
			"vg/pool thin-pool 256K;vg/thin thin 2560K;",
			FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("c", SEG("1", "0", "4", "type = \"cache\"\n"))),
			"vg/c cache 256K;", FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("m", SEG("1", "0", "4", "type = \"mirror\"\n"))),
			"vg/m mirror 256K;", FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("m", SEG("1", "0", "4", "type = \"error\"\n"))),
			"vg/m error 256K;", FINDING_VOLUME_KEPT },
		/* while pvmove runs; an area that is a volume itself */
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pvmove0\", 0"))
			SEG("2", "4", "4", LINEAR("\"pv0\", 0")))
			"pvmove0 {\nstatus = [\"READ\", \"PVMOVE\", \"LOCKED\"]\n"
			SEG("1", "0", "4", "type = \"mirror\"\nmirror_count = 2\n"
			"mirrors = [\"pv0\", 3, \"pv1\", 0]\n") "}\n"),
			"vg/lv pvmove 512K;", FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"in\", 0")))
			"in {\nstatus = [\"READ\"]\n"
			SEG("1", "0", "4", LINEAR("\"pv0\", 0")) "}\n"),
			"vg/lv linear 256K;", FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("w", SEG("1", "0", "4", "type = \"writecache\"\n"))
			LV("v", SEG("1", "0", "4", "type = \"vdo\"\n"))
			LV("i", SEG("1", "0", "4", "type = \"integrity\"\n"))),
			"vg/w writecache 256K;vg/v vdo 256K;vg/i integrity 256K;",
			FINDING_VOLUME_KEPT },
		/* a snapshot is kept, its origin is read; merging: neither */
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 3")))
			LV("snap", SEG("1", "0", "2", LINEAR("\"pv0\", 7")))
			"snapshot0 {\nstatus = [\"READ\"]\n" SEG("1", "0", "4",
			"type = \"snapshot\"\nchunk_size = 8\norigin = \"lv\"\n"
			"cow_store = \"snap\"\n") "}\n"),
			"vg/lv linear 256K 0:1216K+256K;vg/snap snapshot 128K;",
			FINDING_VOLUME_KEPT },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 3")))
			LV("snap", SEG("1", "0", "2", LINEAR("\"pv0\", 7")))
			"snapshot0 {\nstatus = [\"READ\"]\n" SEG("1", "0", "4",
			"type = \"snapshot\"\norigin = \"lv\"\n"
			"merging_store = \"snap\"\n") "}\n"),
			"vg/lv merging 256K;vg/snap snapshot 128K;",
			FINDING_VOLUME_KEPT },
		/* contradictions */
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 97")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			LINEAR("\"pv0\", 18446744073709551615")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", -1")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "18446744073709551615",
			LINEAR("\"pv0\", 0")))),
			"vg/lv linear 0K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv9\", 0")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\"")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4", LINEAR("")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "1", "4", LINEAR("\"pv0\", 0")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", "")), "vg/lv linear 0K;",
			FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			"type = \"striped\"\nstripe_count = 3\nstripe_size = 128\n"
			"stripes = [\"pv0\", 0, \"pv1\", 8, \"pv0\", 9]\n"))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			"type = \"striped\"\nstripe_count = 2\nstripe_size = 0\n"
			"stripes = [\"pv0\", 0, \"pv1\", 8]\n"))),
			"vg/lv striped 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("lv", SEG("1", "0", "4",
			"type = \"striped\"\nstripe_count = 2\nstripe_size = 7\n"
			"stripes = [\"pv0\", 0, \"pv1\", 8]\n"))),
			"vg/lv striped 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", PVS, LV("../lv", SEG("1", "0", "4", LINEAR("\"pv0\", 0")))),
			"", FINDING_VOLUME_DAMAGED },
		{ VG("1", "physical_volumes {\n" PV("pv0", ID_A, "99999999", "100")
			"}\n", LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 0")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", "physical_volumes {\n" PV("pv0", ID_A,
			"18446744073709551615", "100") "}\n",
			LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 0")))),
			"vg/lv linear 256K;", FINDING_VOLUME_DAMAGED },
		{ VG("1", "physical_volumes {\n" PV("pv0",
			"CCCCCC-CCCC-CCCC-CCCC-CCCC-CCCC-CCCCCC", "2048", "100")
			"}\n", LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 0")))),
			"vg/lv linear 256K;", FINDING_VOLUME_INCOMPLETE },
		/* grammar */
		{ "vg {", "", FINDING_VOLUME_DAMAGED },
		{ "}", "", FINDING_VOLUME_DAMAGED },
		{ "vg = ", "", FINDING_VOLUME_DAMAGED },
		{ "vg = \"x", "", FINDING_VOLUME_DAMAGED },
		{ "vg = \"x\\\"", "", FINDING_VOLUME_DAMAGED },
		{ "vg = [ 1, ", "", FINDING_VOLUME_DAMAGED },
		{ "vg = [ 1 2 ]", "", FINDING_VOLUME_DAMAGED },
		{ "vg = 99999999999999999999", "", FINDING_VOLUME_DAMAGED },
		{ "= 1", "", FINDING_VOLUME_DAMAGED },
		{ "", "", FINDING_VOLUME_DAMAGED },
		{ "a{b{c{d{e{f{g{h{i{j{k{l{m{n{o{p{q{r{}}}}}}}}}}}}}}}}}}", "",
			FINDING_VOLUME_DAMAGED },
		{ "vg { id = \"x\" }", "", FINDING_VOLUME_DAMAGED },
		{ "vg { id = \"x\" seqno = 1 }", "", FINDING_VOLUME_DAMAGED },
		{ "vg { id = \"x\" seqno = 1 extent_size = 0 }", "",
			FINDING_VOLUME_DAMAGED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int round = 0; round < 2; round++) {
			size_t n = strlen(rows[i].text) + 1;
			/* at the start of the ring, and around its end */
			uint64_t off = round && n > 1 ? MDA_SIZE - n / 2 : 512;

			make(0, rows[i].text, off);
			make(1, rows[i].text, 512);
			scan(2);
			assert_string_equal(listing, rows[i].want);
			for (int k = 0; k < FINDING_COUNT; k++)
				if (k == (int)rows[i].finding)
					assert_true(seen[k] > 0);
				else
					assert_int_equal(seen[k], 0);
		}
}

#define GOOD VG("5", PVS, LV("lv", SEG("1", "0", "4", LINEAR("\"pv0\", 3"))))
#define GOOD_LIST "vg/lv linear 256K 0:1216K+256K;"

/* One field of the label or of the area's header, with new checksums; the
 * other member's copy is good. */
static void test_headers(void **state)
{
	static const struct {
		unsigned at, len;
		uint64_t value;
		bool good; /* the first member alone gives the volume */
	} rows[] = {
		{ 512 + 8, 8, 0, false },              /* sector */
		{ 512 + 20, 4, 31, false },            /* where the header is */
		{ 512 + 20, 4, 513, false },
		{ 512 + 20, 4, UINT32_MAX, false },
		{ 512 + 32, 1, 0xff, false },          /* id */
		{ 512 + 104, 8, UINT64_MAX, false },   /* area */
		{ 512 + 104, 8, PV_SIZE, false },
		{ 512 + 112, 8, 512, false },
		{ MDA + 4, 1, 'x', false },
		{ MDA + 20, 4, 2, false },
		{ MDA + 24, 8, 0, false },
		{ MDA + 32, 8, MDA_SIZE + 1, false },
		{ MDA + 32, 8, UINT64_MAX, false },
		{ MDA + 40, 8, 511, false },           /* text */
		{ MDA + 40, 8, MDA_SIZE, false },
		{ MDA + 40, 8, UINT64_MAX, false },
		{ MDA + 48, 8, MDA_SIZE, false },
		{ MDA + 48, 8, UINT64_MAX, false },
		{ MDA + 56, 4, 0, false },             /* its checksum */
		{ MDA + 60, 4, 0, true },
		{ MDA + 64, 4, 77, true },             /* the next version */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make(0, GOOD, 512);
		for (unsigned k = 0; k < rows[i].len; k++)
			pv[0][rows[i].at + k] = (uint8_t)(rows[i].value >> 8 * k);
		seal(pv[0]);
		scan(1);
		if (!rows[i].good) {
			assert_string_equal(listing, "");
			assert_true(seen[FINDING_VOLUME_DAMAGED] > 0);
		}
		assert_int_equal(!*listing, !rows[i].good);
	}
	make(0, GOOD, 512); /* an area that is ignored on purpose */
	pv[0][MDA + 60] = 1;
	seal(pv[0]);
	make(1, GOOD, 512);
	scan(2);
	assert_string_equal(listing, GOOD_LIST);
	assert_int_equal(seen[FINDING_VOLUME_DAMAGED], 0);
	make(0, GOOD, 512); /* without a new checksum */
	pv[0][512 + 70] ^= 1;
	scan(1);
	assert_string_equal(listing, "");
	/* lists of areas that do not end */
	make(0, GOOD, 512);
	for (unsigned i = 72; i < 512; i += 8)
		put_le64(pv[0] + 512 + i, 1 << 20);
	seal(pv[0]);
	scan(1);
	assert_int_equal(seen[FINDING_VOLUME_DAMAGED], 1);
}

static void test_copies(void **state)
{
	static const char old[] = VG("4", PVS,
		LV("old", SEG("1", "0", "4", LINEAR("\"pv0\", 3"))));

	(void)state;
	for (int k = 0; k < 2; k++) { /* the newer counts, wherever it is */
		make(k, GOOD, 512);
		make(!k, old, 512);
		scan(2);
		assert_string_equal(listing, GOOD_LIST);
		assert_int_equal(seen[FINDING_VOLUME_DAMAGED], 1);
	}
	make(0, GOOD, 512); /* the same member twice */
	make(1, GOOD, 512);
	memset(pv[1] + 512 + 32, 'A', 32);
	seal(pv[1]);
	scan(2);
	assert_string_equal(listing, GOOD_LIST);
	assert_int_equal(seen[FINDING_VOLUME_DAMAGED], 1);
	assert_int_equal(seen[FINDING_VOLUME_INCOMPLETE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
