/* SPDX-License-Identifier: Apache-2.0 */
/* Appliances damaged field by field: tar headers, OVF, manifest; and the text of
 * a machine that is described again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/ova.h"
#include "disk/ova_keep.h"

/* A disk of 64 KiB, raw, as the appliance's only one. */
#define DISK 65536u

#define OVF(files, disks)                                                      \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Envelope "              \
	"xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" "                   \
	"xmlns:o=\"http://schemas.dmtf.org/ovf/envelope/1\"><References>"     \
	files "</References><DiskSection>" disks                              \
	"</DiskSection><VirtualSystem o:id=\"x\"/></Envelope>"
#define FILE1 "<File o:id=\"f1\" o:href=\"d.img\" o:size=\"65536\"/>"
#define DISK1 "<Disk o:diskId=\"k1\" o:fileRef=\"f1\" o:capacity=\"65536\"/>"

static void put_member(struct buf *b, const char *name, const void *p, size_t n)
{
	uint8_t h[512];

	ova_tar_header(h, name, n, 0);
	buf_add(b, h, sizeof(h));
	buf_add(b, p, n);
	buf_zero(b, (size_t)(round_up(n, 512) - n));
}

static void hex_digest(const void *p, size_t n, char out[65])
{
	uint8_t sum[32];

	assert_true(EVP_Digest(p, n, sum, NULL, EVP_sha256(), NULL));
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* manifest: NULL for a right one, "" for none. */
static void make(const char *ovf, const char *manifest, struct buf *out)
{
	uint8_t *disk = calloc(1, DISK);
	AUTO_BUF mf = BUF_INIT;
	char sum[65];

	memset(disk + 1000, 'd', 3000);
	hex_digest(ovf, strlen(ovf), sum);
	buf_printf(&mf, "SHA256(m.ovf)= %s\n", sum);
	hex_digest(disk, DISK, sum);
	buf_printf(&mf, "SHA256(d.img)= %s\r\n", sum);
	put_member(out, "m.ovf", ovf, strlen(ovf));
	if (!manifest)
		put_member(out, "m.mf", mf.data, mf.len);
	else if (*manifest)
		put_member(out, "m.mf", manifest, strlen(manifest));
	put_member(out, "d.img", disk, DISK);
	buf_zero(out, 1024);
	free(disk);
}

struct seen {
	unsigned n;
};

static void on_finding(void *ctx, const struct finding *f)
{
	(void)f;
	((struct seen *)ctx)->n++;
}

/* Everything that can be done with it: the first error. */
static int use(const struct buf *b, struct seen *seen, struct error *e)
{
	struct finding_sink sink = { on_finding, seen };
	AUTO_SOURCE file = NULL;
	AUTO_OVA o = NULL;
	int r;

	assert_int_equal(source_memory(b->data, b->len, &file, e), 0);
	r = ova_open(&(struct ova_args){ .file = file, .findings = &sink }, &o,
		e);
	if (!r)
		r = ova_verify(o, NULL, NULL, e);
	for (size_t i = 0; !r && i < ova_disk_count(o); i++) {
		struct disk_info info = { 0 };
		AUTO_SOURCE d = NULL;

		r = ova_disk_open(o, i, &d, &info, e);
		if (!r && d->size >= DISK) {
			uint8_t x = 0;

			assert_int_equal(source_pread(d, &x, 1, 1000, e), 0);
		}
	}
	return r;
}

static void test_whole(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct seen seen = { 0 };
	struct error e = { 0 };

	(void)state;
	make(OVF(FILE1, DISK1), NULL, &b);
	if (use(&b, &seen, &e) || seen.n)
		fail_msg("%s, %u findings", e.msg, seen.n);
}

/* The code, and part of the message (NULL: any). */
static void expect(const char *row, int r, const struct error *e, int want,
	const char *says)
{
	if (r != want || (says && !strstr(e->msg, says)))
		fail_msg("%s: %s (%s)", row, error_code_name(r), r ? e->msg : "");
}

#define B(s) s, sizeof(s) - 1

static void test_tar(void **state)
{
	/* In the header of the first member (0) or of the disk (1). */
	static const struct {
		const char *what;
		int member, off;
		const char *bytes;
		size_t len;
		bool mend;
		int want;
		const char *says;
	} rows[] = {
		{ "checksum", 0, 148, B("9"), false, ERR_CORRUPT, "checksum" },
		{ "name", 0, 0, B("n"), false, ERR_CORRUPT, "checksum" },
		{ "another name", 1, 0, B("e"), true, ERR_CORRUPT, "d.img" },
		{ "absolute", 1, 0, B("/x\0"), true, ERR_CORRUPT, "'/x'" },
		{ "..", 1, 0, B("../d.img\0"), true, ERR_CORRUPT, "'../d.img'" },
		{ ".. in the middle", 1, 0, B("a/../d.img\0"), true,
			ERR_CORRUPT, "'a/../d.img'" },
		{ "backslash", 1, 0, B("..\\x\0"), true, ERR_CORRUPT, "..\\x" },
		{ "control character", 1, 0, B("d\n"), true, ERR_CORRUPT,
			"control" },
		{ "prefix", 1, 345, B("/etc"), true, ERR_CORRUPT, "absolute" },
		{ "twice", 1, 0, B("m.ovf\0"), true, ERR_CORRUPT, "twice" },
		{ "hard link", 1, 156, B("1"), true, ERR_CORRUPT, "is a link" },
		{ "link", 1, 156, B("2"), true, ERR_CORRUPT, "is a link" },
		{ "device", 1, 156, B("3"), true, ERR_CORRUPT, "not a file" },
		{ "fifo", 1, 156, B("6"), true, ERR_CORRUPT, "not a file" },
		{ "GNU sparse", 1, 156, B("S"), true, ERR_CORRUPT,
			"sparse file" },
		{ "size with letters", 1, 124, B("00x"), true, ERR_CORRUPT,
			"size" },
		{ "size past the end", 1, 124, B("00007"), true, ERR_CORRUPT,
			"past the end" },
		{ "size of 2^95", 1, 124, B("\x80\x7f\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff"), true, ERR_CORRUPT, "size" },
		{ "size of 2^64 - 1", 1, 124, B("\x80\0\0\0\xff\xff\xff\xff"
			"\xff\xff\xff\xff"), true, ERR_CORRUPT, "past the end" },
		{ "size below zero", 1, 124, B("\xff"), true, ERR_CORRUPT,
			"size" },
		{ "smaller: what follows is no header", 1, 124,
			B("00000002000"), true, ERR_CORRUPT, "checksum" },
		{ "long name without text", 1, 156, B("L"), true, ERR_CORRUPT,
			"missing" },
		{ "pax header of zeros", 1, 156, B("x"), true, ERR_CORRUPT,
			"missing" },
		{ "a global pax header", 1, 156, B("g"), true, ERR_CORRUPT,
			"missing" },
		{ "mode, owner, time", 1, 100, B("9999999"), true, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF b = BUF_INIT;
		struct seen seen = { 0 };
		struct error e = { 0 };
		uint8_t *h;
		uint32_t sum = 0;
		int r;

		make(OVF(FILE1, DISK1), "", &b);
		h = rows[i].member ? b.data + b.len - 1024 - DISK - 512
				   : b.data;
		memcpy(h + rows[i].off, rows[i].bytes, rows[i].len);
		if (rows[i].mend) {
			memset(h + 148, ' ', 8);
			for (int k = 0; k < 512; k++)
				sum += h[k];
			snprintf((char *)h + 148, 8, "%06o", sum);
		}
		r = use(&b, &seen, &e);
		expect(rows[i].what, r, &e, rows[i].want, rows[i].says);
	}
}

static void test_ovf(void **state)
{
	static const struct {
		const char *what, *text;
		int want;
	} rows[] = {
		{ "no XML", "x", ERR_CORRUPT },
		{ "cut off", "<Envelope><References>", ERR_CORRUPT },
		{ "another root", "<Envelopes/>", ERR_CORRUPT },
		{ "a document type", "<!DOCTYPE Envelope><Envelope/>",
			ERR_CORRUPT },
		{ "entities", "<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b "
			"\"&a;&a;\">]><Envelope>&b;</Envelope>", ERR_CORRUPT },
		{ "an unknown entity", "<Envelope>&x;</Envelope>", ERR_CORRUPT },
		{ "a file without id", OVF("<File o:href=\"d.img\"/>", DISK1),
			ERR_CORRUPT },
		{ "a file without href", OVF("<File o:id=\"f1\"/>", DISK1),
			ERR_CORRUPT },
		{ "a disk without id", OVF(FILE1, "<Disk o:fileRef=\"f1\"/>"),
			ERR_CORRUPT },
		{ "a file that is not listed", OVF("", DISK1), ERR_CORRUPT },
		{ "empty href", OVF("<File o:id=\"f1\" o:href=\"\"/>", DISK1),
			ERR_CORRUPT },
		{ "href ..", OVF("<File o:id=\"f1\" o:href=\"..\"/>", DISK1),
			ERR_CORRUPT },
		{ "href /etc/passwd", OVF("<File o:id=\"f1\" "
			"o:href=\"/etc/passwd\"/>", DISK1), ERR_CORRUPT },
		{ "href http:", OVF("<File o:id=\"f1\" o:href=\"http://h/x\"/>",
			DISK1), ERR_CORRUPT },
		{ "href of a file that is not there", OVF("<File o:id=\"f1\" "
			"o:href=\"e.img\"/>", DISK1), ERR_CORRUPT },
		{ "compressed with bzip2", OVF("<File o:id=\"f1\" "
			"o:href=\"d.img\" o:compression=\"bzip2\"/>", DISK1),
			ERR_UNSUPPORTED },
		{ "gzip that is none", OVF("<File o:id=\"f1\" "
			"o:href=\"d.img\" o:compression=\"gzip\"/>", DISK1),
			ERR_CORRUPT },
		{ "chunks that are not there", OVF("<File o:id=\"f1\" "
			"o:href=\"e.img\" o:size=\"65536\" o:chunkSize=\"100\"/>",
			DISK1), ERR_CORRUPT },
		{ "a million chunks", OVF("<File o:id=\"f1\" o:href=\"e.img\" "
			"o:size=\"1000000\" o:chunkSize=\"1\"/>", DISK1),
			ERR_LIMIT },
		{ "2^64 bytes in chunks", OVF("<File o:id=\"f1\" "
			"o:href=\"e.img\" o:size=\"18446744073709551615\" "
			"o:chunkSize=\"18446744073709551615\"/>", DISK1),
			ERR_CORRUPT },
		{ "a size over 2^64", OVF("<File o:id=\"f1\" o:href=\"d.img\" "
			"o:size=\"99999999999999999999\"/>", DISK1), 0 },
		{ "a difference", OVF(FILE1, "<Disk o:diskId=\"k\" "
			"o:fileRef=\"f1\" o:parentRef=\"k0\"/>"),
			ERR_UNSUPPORTED },
		{ "a capacity over 2^64", OVF(FILE1, "<Disk o:diskId=\"k\" "
			"o:fileRef=\"f1\" o:capacity=\"18446744073709551615\" "
			"o:capacityAllocationUnits=\"byte * 2^60\"/>"), 0 },
		{ "units of 2^99", OVF(FILE1, "<Disk o:diskId=\"k\" "
			"o:fileRef=\"f1\" o:capacity=\"1\" "
			"o:capacityAllocationUnits=\"byte * 2^99\"/>"), 0 },
		{ "a property for a capacity", OVF(FILE1, "<Disk o:diskId=\"k\" "
			"o:fileRef=\"f1\" o:capacity=\"${size}\"/>"), 0 },
		{ "a disk without a file", OVF(FILE1, DISK1 "<Disk "
			"o:diskId=\"k\" o:capacity=\"9\" "
			"o:capacityAllocationUnits=\"byte * 2^20\"/>"), 0 },
		{ "no disks", OVF(FILE1, ""), 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF b = BUF_INIT;
		struct seen seen = { 0 };
		struct error e = { 0 };
		int r;

		make(rows[i].text, "", &b);
		r = use(&b, &seen, &e);
		if (r != rows[i].want || (r && !*e.msg))
			fail_msg("%s: %s (%s)", rows[i].what,
				error_code_name(r), r ? e.msg : "");
	}
}

/* Deep, and long. */
static void test_ovf_limits(void **state)
{
	struct error e = { 0 };

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		AUTO_BUF t = BUF_INIT;
		struct ovf o = { 0 };
		struct ovf_keep *k = NULL;

		buf_addstr(&t, "<Envelope><References><File o:id=\"a\" "
			       "o:href=\"b\" xmlns:o=\"o\"/>");
		if (kind == 3)
			buf_zero(&t, LIMIT_OVF);
		for (unsigned i = 0; i < 110000; i++) {
			if (kind == 0)
				buf_addstr(&t, "<a>");
			else if (kind == 1)
				buf_addstr(&t, "<a/>");
			else if (kind == 2)
				buf_addstr(&t, "<Disk diskId=\"d\"/>");
			if (kind == 2 && i > 2000)
				break;
		}
		assert_int_equal(ovf_parse((char *)t.data, t.len, &o, &e),
			ERR_LIMIT);
		assert_int_equal(ovf_keep_new((char *)t.data, t.len, 1, &k, &e),
			kind == 2 ? ERR_CORRUPT : ERR_LIMIT);
	}
}

static void test_manifest(void **state)
{
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	static const struct {
		const char *text;
		int want;
		const char *says;
	} rows[] = {
		{ "SHA256(d.img)= " SUM "\n", ERR_CORRUPT, "'d.img'" },
		{ "SHA256(m.ovf)= " SUM "\n", ERR_CORRUPT, "'m.ovf'" },
		{ "SHA256(e.img)= " SUM "\n", ERR_CORRUPT, "'e.img'" },
		{ "SHA256(../d.img)= " SUM "\n", ERR_CORRUPT, "'../d.img'" },
		{ "SHA256(/etc/passwd)= " SUM "\n", ERR_CORRUPT, "passwd" },
		{ "SHA256(http://h/)= " SUM "\n", ERR_CORRUPT, "http" },
		{ "SHA256()= " SUM "\n", ERR_CORRUPT, "''" },
		{ "SHA256(d.img)= " SUM "0\n\nSHA1(x", ERR_CORRUPT, "line 3" },
		{ "SHA256(d.img)= 0123\n", ERR_CORRUPT, "damaged digest" },
		{ "SHA256(d.img)= xy\n", ERR_CORRUPT, "damaged digest" },
		{ "SHA256(d.img)\n", ERR_CORRUPT, "line 1" },
		{ "SHA256)d.img(= " SUM "\n", ERR_CORRUPT, "line 1" },
		{ "MD5(d.img)= 0123\n", ERR_UNSUPPORTED, "MD5" },
		{ "\xff\xfe\n", ERR_CORRUPT, "line 1" },
		{ "\n  \n", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF b = BUF_INIT;
		struct seen seen = { 0 };
		struct error e = { 0 };
		int r;

		make(OVF(FILE1, DISK1), rows[i].text, &b);
		r = use(&b, &seen, &e);
		expect(rows[i].text, r, &e, rows[i].want, rows[i].says);
	}
}

static void test_keep(void **state)
{
	static const struct {
		const char *text;
		size_t disks;
		int want;
		const char *gives; /* with disks of 512 bytes in files of 7 */
	} rows[] = {
		{ "<E/>", 0, ERR_CORRUPT, NULL },
		{ "<Envelope/>", 0, ERR_UNSUPPORTED, NULL },
		{ "<Envelope>", 1, ERR_CORRUPT, NULL },
		{ OVF(FILE1, DISK1), 2, ERR_UNSUPPORTED, NULL },
		{ OVF(FILE1, DISK1 DISK1), 1, ERR_UNSUPPORTED, NULL },
		{ OVF("", DISK1), 1, ERR_UNSUPPORTED, NULL },
		{ OVF(FILE1, "<Disk/>"), 1, ERR_CORRUPT, NULL },
		{ "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><Envelope/>",
			0, ERR_UNSUPPORTED, NULL },
		{ "<!DOCTYPE x><Envelope/>", 0, ERR_CORRUPT, NULL },
		{ "<Envelope><References><File x:href=\"a\" "
		  "xmlns:x=\"u\"/></References><References/></Envelope>", 0,
			ERR_CORRUPT, NULL },
		{ "<e:Envelope xmlns:e=\"u\"> <e:References><e:File "
		  "e:href=\"a\" e:id=\"b\"/><x/></e:References><S>"
		  "<e:Disk d='1' e:diskId='&quot;&#10;' e:capacity='3'><x "
		  "v='ovf:/file/b'/></e:Disk></S><y><z>ovf:/file/b</z>"
		  "<z>ovf:/disk/b</z></y><w fileRef='b'/></e:Envelope> \n\n",
			1, 0,
			"<e:Envelope xmlns:e=\"u\"> <e:References>\n    <e:File "
			"e:href=\"n-disk1.vmdk\" e:id=\"file1\" e:size=\"7\"/>"
			"\n  </e:References><S><e:Disk d=\"1\" "
			"e:diskId=\"&quot;&#10;\" e:capacity=\"512\" "
			"e:capacityAllocationUnits=\"byte\" "
			"e:fileRef=\"file1\" e:format=\"" OVF_FORMAT_STREAM
			"\"/></S><y><z>ovf:/disk/b</z></y></e:Envelope>\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static const uint64_t capacity[] = { 512, 512 }, size[] = { 7, 7 };
		AUTO_OVF_KEEP k = NULL;
		AUTO_BUF b = BUF_INIT;
		struct error e = { 0 };
		int r = ovf_keep_new(rows[i].text, strlen(rows[i].text),
			rows[i].disks, &k, &e);

		if (r != rows[i].want || (r && !*e.msg))
			fail_msg("%s: %s (%s)", rows[i].text,
				error_code_name(r), r ? e.msg : "");
		if (r)
			continue;
		ovf_keep_text(k, "n", capacity, size, &b);
		if (rows[i].gives)
			assert_string_equal(buf_str(&b), rows[i].gives);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_tar),
		cmocka_unit_test(test_ovf),
		cmocka_unit_test(test_ovf_limits),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
