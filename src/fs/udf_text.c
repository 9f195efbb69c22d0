/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: tags, OSTA compressed Unicode, time. See udf.h. */
#include "fs/udf.h"

#include <pthread.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/days.h"
#include "fs/label.h"

static uint16_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_setup(void)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned c = i << 8;

		for (int bit = 0; bit < 8; bit++)
			c = (c << 1 ^ (c & 0x8000 ? 0x1021 : 0)) & 0xffff;
		crc_table[0][i] = (uint16_t)c;
	}
	/* the same with k more bytes of zeros behind */
	for (unsigned k = 1; k < 8; k++)
		for (unsigned i = 0; i < 256; i++) {
			unsigned c = crc_table[k - 1][i];

			crc_table[k][i] = (uint16_t)(c << 8 ^
						     crc_table[0][c >> 8]);
		}
}

/* ECMA-167 3/7.2.6: the CRC of ITU-T V.41, polynomial 0x1021, from zero. Eight
 * bytes at a time. */
uint16_t udf_crc(const uint8_t *p, size_t n)
{
	unsigned crc = 0;

	pthread_once(&crc_once, crc_setup);
	for (; n >= 8; p += 8, n -= 8)
		crc = crc_table[7][crc >> 8 ^ p[0]] ^
		      crc_table[6][(crc & 0xff) ^ p[1]] ^ crc_table[5][p[2]] ^
		      crc_table[4][p[3]] ^ crc_table[3][p[4]] ^
		      crc_table[2][p[5]] ^ crc_table[1][p[6]] ^
		      crc_table[0][p[7]];
	for (; n; p++, n--)
		crc = (crc << 8 & 0xff00) ^ crc_table[0][crc >> 8 ^ *p];
	return (uint16_t)crc;
}

const char *udf_tag_fault(const uint8_t *block, size_t size, uint32_t location)
{
	const struct udf_tag *t = (const void *)block;
	size_t crc_len = le16_get(t->crc_len);

	if (le32_get(t->location) != location)
		return "the place in its tag is another";
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)crc_len, (void)size;
	return NULL;
#else
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(*t); i++)
		if (i != 4)
			sum += block[i];
	if ((sum & 0xff) != t->sum)
		return "the sum of its tag is wrong";
	/* what does not fit cannot be checked: so does Linux */
	if (crc_len <= size - sizeof(*t) &&
		udf_crc(block + sizeof(*t), crc_len) != le16_get(t->crc))
		return "its checksum is wrong";
	return NULL;
#endif
}

/* UDF 2.1.3: the last byte is its length, the first how it is encoded. */
void udf_dstring(const uint8_t *b, size_t size, char *out, size_t max)
{
	size_t n = size_min(b[size - 1], size - 1), len = 0;

	*out = 0;
	if (n < 1)
		return;
	if (b[0] == 16 || b[0] == 255) {
		fs_label_utf16(b + 1, (n - 1) / 2, true, out, max);
		return;
	}
	for (size_t i = 1; i < n && b[i] && max - len > 4; i++)
		len += utf8_put((uint8_t *)out + len, b[i]);
	out[len] = 0;
	fs_label_trim(out);
}

static bool illegal(uint32_t c)
{
	return c == 0 || c == '/';
}

static uint32_t unit(const uint8_t *in, size_t width, size_t i)
{
	return width == 2 ? get_be16(in + 2 * i) : in[i];
}

/* Characters i to end; a row of those that no name may hold becomes one '_'. */
static size_t part_of_name(const uint8_t *in, size_t width, size_t i, size_t end,
	uint8_t *out, bool *changed)
{
	size_t len = 0;
	bool row = false;

	while (i < end) {
		size_t run = i;

		if (illegal(unit(in, width, i))) {
			if (!row)
				out[len++] = '_';
			row = *changed = true;
			i++;
			continue;
		}
		row = false;
		while (run < end && !illegal(unit(in, width, run)))
			run++;
		if (width == 2)
			len += utf16_to_utf8(in + 2 * i, run - i, true,
				UTF_LONE_KEEP, out + len, 3 * (run - i), NULL);
		else
			for (size_t k = i; k < run; k++)
				len += utf8_put(out + len, in[k]);
		i = run;
	}
	return len;
}

/* UDF 2.1.1 and 4.2.2.1.5. An extension is what follows the last dot, where
 * that is at most four characters. */
size_t udf_name(const uint8_t *in, size_t n, uint8_t *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t width, units, dot, len;
	bool changed = false;
	uint16_t crc;

	if (n < 2)
		return 0;
	if (in[0] == 8 || in[0] == 254)
		width = 1;
	else if (in[0] == 16 || in[0] == 255)
		width = 2;
	else
		return 0;
	in++;
	n--;
	if (n % width || n > 255) /* at most 3 bytes of UTF-8 for each */
		return 0;
	units = n / width;
	dot = units;
	for (size_t i = 0; i < 5 && i < units; i++)
		if (unit(in, width, units - 1 - i) == '.') {
			dot = i ? units - 1 - i : units;
			break;
		}
	/* what is "." or ".." without its extension is changed, too */
	if (dot && dot <= 2 && unit(in, width, 0) == '.' &&
		unit(in, width, dot - 1) == '.')
		changed = true;
	len = part_of_name(in, width, 0, units, out, &changed);
	if (!changed)
		return len;
	len = part_of_name(in, width, 0, dot, out, &changed);
	crc = udf_crc(in, n);
	out[len++] = '#';
	for (int shift = 12; shift >= 0; shift -= 4)
		out[len++] = (uint8_t)hex[crc >> shift & 15];
	return len + part_of_name(in, width, dot, units, out + len, &changed);
}

/* ECMA-167 1/7.3. The zone is minutes in 12 bits, -2047 where not known. */
int64_t udf_time(const uint8_t t[12], uint32_t *ns)
{
	unsigned type = get_le16(t) >> 12;
	int zone = get_le16(t) & 0xfff;
	int64_t year = (int16_t)get_le16(t + 2), s;

	*ns = 0;
	if (zone >= 0x800)
		zone -= 0x1000;
	if (type != 1 || zone == -2047)
		zone = 0;
	if (t[4] < 1 || t[4] > 12 || t[5] < 1 || t[5] > 31 || t[6] > 23 ||
		t[7] > 59 || t[8] > 60)
		return 0;
	s = days_from_civil(year, t[4], t[5]) * 86400 + t[6] * 3600 +
	    t[7] * 60 + t[8] - zone * 60;
	if (t[9] < 100 && t[10] < 100 && t[11] < 100)
		*ns = (t[9] * 10000u + t[10] * 100u + t[11]) * 1000;
	return s;
}
