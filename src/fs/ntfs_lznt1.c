/* SPDX-License-Identifier: Apache-2.0 */
/* LZNT1, the compression of NTFS files. [MS-XCA] 2.5. */
#include "fs/ntfs_codec.h"

#include <string.h>
#include "base/checked.h"
#include "base/endian.h"

#define CHUNK 4096

/* One compressed chunk into out, which has room for size (at most 4096)
 * bytes; returns how many it gave, or SIZE_MAX where it is corrupt. */
static size_t chunk(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	size_t i = 0, o = 0;
	unsigned split = 4; /* bits of a match that are its distance */

	while (i < len && o < size) {
		unsigned flags = in[i++];

		for (int bit = 0; bit < 8 && i < len && o < size; bit++) {
			unsigned m;
			size_t dist, n;

			if (!(flags >> bit & 1)) {
				out[o++] = in[i++];
				continue;
			}
			if (len - i < 2)
				return SIZE_MAX;
			m = get_le16(in + i);
			i += 2;
			/* The more was decoded, the more bits a distance
			 * has. */
			while (split < 12 && o > ((size_t)1 << split))
				split++;
			dist = (m >> (16 - split)) + 1;
			n = (m & (0xffffu >> split)) + 3;
			if (dist > o)
				return SIZE_MAX;
			n = size_min(n, size - o);
			/* Source and destination may overlap, on purpose. */
			for (; n; n--, o++)
				out[o] = out[o - dist];
		}
	}
	return o;
}

bool lznt1_decode(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	size_t i = 0, o = 0;

	while (o < size && len - i >= 2) {
		unsigned head = get_le16(in + i);
		size_t n = (head & 0xfff) + 1, room = size_min(CHUNK, size - o);
		size_t got;

		if (!head)
			break;
		i += 2;
		if (n > len - i)
			return false;
		if (head & 0x8000) {
			got = chunk(in + i, n, out + o, room);
			if (got == SIZE_MAX)
				return false;
		} else {
			got = size_min(n, room);
			memcpy(out + o, in + i, got);
		}
		memset(out + o + got, 0, room - got);
		i += n;
		o += room;
	}
	memset(out + o, 0, size - o);
	return true;
}
