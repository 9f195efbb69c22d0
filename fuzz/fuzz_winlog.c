/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of Windows registries, over a hive of some pages. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/endian.h"
#include "fuzz/fuzz.h"
#include "insight/winreg.h"

/* The first byte says how many pages the hive has, the second where the first
 * log ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF hive = BUF_INIT;
	struct view logs[2];
	size_t len, cut;
	uint8_t *p;
	int r;

	if (size < 2)
		return 0;
	len = 4096 + 4096 * (size_t)(data[0] & 15);
	cut = (size - 2) * data[1] / 255;
	p = buf_grow(&hive, len);
	if (!p)
		return 0;
	memset(p, 0, len);
	memcpy(p, "regf", 4);
	put_le32(p + 4, 8);
	put_le32(p + 8, 7);
	put_le32(p + 508, get_le32(p) ^ 8 ^ 7);
	logs[0] = (struct view){ data + 2, cut };
	logs[1] = (struct view){ data + 2 + cut, size - 2 - cut };
	winreg_fuzz_no_sums = true;
	r = winreg_replay(&hive, logs, 2);
	if (r == 1 && (winreg_is_dirty(&hive) ||
			      hive.len != 4096 + (size_t)get_le32(hive.data + 40)))
		abort();
	return 0;
}
