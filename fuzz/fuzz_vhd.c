/* SPDX-License-Identifier: Apache-2.0 */
/* Footers and header get right checksums first. */
#include "disk/vhd.h"
#include "disk/vhd_format.h"
#include "fuzz/fuzz_disk.h"

static void mend(struct source *o, uint64_t at, size_t len, size_t field,
	const char *cookie)
{
	uint8_t b[1024], sum[4];
	struct error e;

	if (!range_inside(at, len, o->size) || source_pread(o, b, len, at, &e) ||
		memcmp(b, cookie, 8) != 0)
		return;
	put_be32(sum, vhd_checksum(b, len, field));
	(void)!source_overlay_write(o, sum, 4, at + field, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_SOURCE o = fuzz_disk_overlay(data, size);
	uint8_t b[8];
	struct error e;

	if (!o)
		return 0;
	mend(o, 0, 512, 64, VHD_COOKIE);
	if (o->size >= 512)
		mend(o, o->size - 512, 512, 64, VHD_COOKIE);
	mend(o, 512, 1024, 36, VHD_HEADER_COOKIE);
	if (!source_pread(o, b, 8, 16, &e))
		mend(o, get_be64(b), 1024, 36, VHD_HEADER_COOKIE);
	fuzz_disk(&disk_vhd, o);
	return 0;
}
