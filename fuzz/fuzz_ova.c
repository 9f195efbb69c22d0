/* SPDX-License-Identifier: Apache-2.0 */
/* An OVA (its tar checksums are mended), or a bare OVF. */
#include <stdio.h>
#include "disk/ova.h"
#include "disk/ova_keep.h"
#include "fuzz/fuzz_disk.h"

/* Walks the tar as far as it is one and makes the checksums right. */
static void mend(struct source *o)
{
	uint8_t h[512];
	struct error e;
	uint64_t at = 0;

	for (int i = 0; i < 64; i++) {
		uint32_t sum = 0;
		uint64_t size;
		char text[8];

		if (!range_inside(at, 512, o->size) ||
			source_pread(o, h, 512, at, &e) ||
			memcmp(h + 257, "ustar", 5) != 0)
			return;
		memset(h + 148, ' ', 8);
		for (int k = 0; k < 512; k++)
			sum += h[k];
		snprintf(text, sizeof(text), "%06o", sum);
		(void)!source_overlay_write(o, text, 7, at + 148, &e);
		h[135] = 0;
		size = strtoull((const char *)h + 124, NULL, 8);
		at += 512 + round_up(size & 0xffffff, 512);
	}
}

/* The machine described again: an OVF of as many disks. */
static void describe(const struct ova *v)
{
	static const uint64_t numbers[LIMIT_OVF_DISKS];
	AUTO_OVF_KEEP k = NULL;
	AUTO_BUF b = BUF_INIT;
	struct ovf again = { 0 };
	struct error e = { 0 };
	size_t len;
	const char *text = ova_text(v, &len);

	if (ovf_keep_new(text, len, ova_disk_count(v), &k, &e))
		return;
	ovf_keep_text(k, "n", numbers, numbers, &b);
	if (ovf_parse((const char *)b.data, b.len, &again, &e) ||
		again.disks.len != ova_disk_count(v) ||
		again.files.len != again.disks.len)
		abort();
	ovf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finding_sink sink = { fuzz_drop, NULL };
	AUTO_SOURCE o = fuzz_disk_overlay(data, size);
	struct disk_resolver res = { fuzz_resolve, o };
	struct ova_args a = { .file = o, .findings = &sink };
	struct error e = { 0 };
	struct ova *v = NULL;

	if (!o)
		return 0;
	mend(o);
	if (!ova_probe(o) && ovf_probe(o)) {
		a.name = "x.ovf";
		a.resolver = &res;
	}
	if (ova_open(&a, &v, &e)) {
		if (!e.code || !*e.msg)
			abort();
		return 0;
	}
	describe(v);
	for (size_t i = 0; i < ova_disk_count(v) && i < 8; i++) {
		struct disk_info info = { 0 };
		struct source *d = NULL;

		if (*ova_disk(v, i)->file == 0 && ova_disk(v, i)->file_size)
			abort();
		if (!ova_disk_open(v, i, &d, &info, &e))
			fuzz_disk_walk(d);
		source_unref(d);
	}
	(void)!ova_verify(v, NULL, NULL, &e);
	ova_close(v);
	return 0;
}
