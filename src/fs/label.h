/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs and labels as blkid prints them. */
#ifndef STRATA_FS_LABEL_H
#define STRATA_FS_LABEL_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/utf.h"

/* "01234567-89ab-...", or "" where all bytes are zero. */
static inline void fs_uuid_print(const uint8_t u[16], char out[40])
{
	static const uint8_t none[16];

	out[0] = 0;
	if (memcmp(u, none, 16) != 0)
		snprintf(out, 40,
			"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
			"%02x%02x%02x%02x%02x%02x",
			u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
			u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

static inline void fs_label_trim(char *s)
{
	size_t n = strlen(s);

	while (n && (s[n - 1] == ' ' || (s[n - 1] >= '\t' && s[n - 1] <= '\r')))
		s[--n] = 0;
}

/* A fixed-size field up to its first NUL, white space behind it removed; what
 * is not UTF-8 becomes U+FFFD, control characters '?'. */
static inline void fs_label_bytes(const uint8_t *in, size_t n, char *out,
	size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n && in[i];) {
		size_t k = utf8_len(in + i, n - i);
		const uint8_t *c = k ? in + i : (const uint8_t *)"\xef\xbf\xbd";
		size_t w = k ? k : 3;

		if (w >= size - len)
			break;
		memcpy(out + len, c, w);
		if (w == 1 && (uint8_t)out[len] < ' ')
			out[len] = '?';
		len += w;
		i += k ? k : 1;
	}
	out[len] = 0;
	fs_label_trim(out);
}

/* The same from UTF-16. */
static inline void fs_label_utf16(const uint8_t *in, size_t units,
	bool big_endian, char *out, size_t size)
{
	utf16_field(in, units, big_endian, out, size);
	for (char *p = out; *p; p++)
		if ((uint8_t)*p < ' ')
			*p = '?';
	fs_label_trim(out);
}

#endif
