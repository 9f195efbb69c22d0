/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, region tables and log entries get right checksums first. */
#include "disk/vhdx.h"
#include "fuzz/fuzz_disk.h"

static void mend(struct source *o, uint64_t at, size_t len, const char *sign)
{
	uint8_t *b, sum[4];
	struct error e;

	if (len < 8 || !range_inside(at, len, o->size))
		return;
	b = malloc(len);
	if (b && !source_pread(o, b, len, at, &e) && !memcmp(b, sign, 4)) {
		put_le32(sum, vhdx_checksum(b, len));
		(void)!source_overlay_write(o, sum, 4, at + 4, &e);
	}
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_SOURCE o = fuzz_disk_overlay(data, size);
	uint8_t b[12];
	struct error e;

	if (!o)
		return 0;
	mend(o, VHDX_HEADER1, 4096, "head");
	mend(o, VHDX_HEADER2, 4096, "head");
	mend(o, VHDX_REGIONS1, VHDX_TABLE_BYTES, "regi");
	mend(o, VHDX_REGIONS2, VHDX_TABLE_BYTES, "regi");
	/* The log where writers put it: its first sectors. */
	for (uint64_t at = MIB; at < MIB + 65536; at += 4096)
		if (range_inside(at, 12, o->size) &&
			!source_pread(o, b, 12, at, &e) &&
			get_le32(b + 8) <= MIB)
			mend(o, at, get_le32(b + 8), "loge");
	fuzz_disk(&disk_vhdx, o);
	return 0;
}
