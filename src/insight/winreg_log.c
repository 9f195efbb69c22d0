/* SPDX-License-Identifier: Apache-2.0 */
/* Transaction logs of Windows registries, as they are since Windows 8.1: what
 * was changed and had not reached the hive when the disk was taken. Source: M.
 * Suhanov, "Windows registry file format specification", "Format of
 * transaction log files", "New format". */
#include "insight/winreg.h"

#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"

#define BASE 4096 /* the first block of a hive */
#define SEED UINT64_C(0xc5554e7a884def82)

bool winreg_fuzz_no_sums;

enum { ENTRY_HEAD = 40, FIRST_ENTRY = 512 };

static uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void mix(uint32_t *lo, uint32_t *hi)
{
	*hi ^= *lo;
	*lo = rotl(*lo, 20) + *hi;
	*hi = rotl(*hi, 9) ^ *lo;
	*lo = rotl(*lo, 27) + *hi;
	*hi = rotl(*hi, 19);
}

/* Marvin32, a checksum with a key. */
static uint64_t marvin(const uint8_t *p, size_t len)
{
	uint32_t lo = (uint32_t)SEED, hi = (uint32_t)(SEED >> 32);
	uint8_t last[4] = { 0 };
	size_t tail = len % 4;

	for (size_t i = 0; i < len - tail; i += 4) {
		lo += get_le32(p + i);
		mix(&lo, &hi);
	}
	memcpy(last, p + len - tail, tail);
	last[tail] = 0x80;
	lo += get_le32(last);
	mix(&lo, &hi);
	mix(&lo, &hi);
	return (uint64_t)hi << 32 | lo;
}

static uint32_t base_sum(const uint8_t *p)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < 508; i += 4)
		sum ^= get_le32(p + i);
	return sum == 0 ? 1 : sum == UINT32_MAX ? UINT32_MAX - 1 : sum;
}

bool winreg_is_dirty(const struct buf *hive)
{
	return hive->len >= BASE && memcmp(hive->data, "regf", 4) == 0 &&
	       get_le32(hive->data + 4) != get_le32(hive->data + 8);
}

/* The entry at off, whole and with its sums right. */
static bool entry_at(struct view log, size_t off, struct view *out)
{
	const uint8_t *p;
	uint32_t size, bins, pages;
	uint64_t sum;

	if (off > log.len || log.len - off < ENTRY_HEAD)
		return false;
	p = log.data + off;
	size = get_le32(p + 4);
	bins = get_le32(p + 16);
	pages = get_le32(p + 20);
	if (memcmp(p, "HvLE", 4) != 0 || size < FIRST_ENTRY || size % 512 ||
		size > log.len - off || bins % 4096 ||
		bins > LIMIT_INSPECT_HIVE - BASE ||
		pages > (size - ENTRY_HEAD) / 8 ||
		(!winreg_fuzz_no_sums &&
			(get_le64(p + 24) !=
					marvin(p + ENTRY_HEAD,
						size - ENTRY_HEAD) ||
				get_le64(p + 32) != marvin(p, 32))))
		return false;
	/* the pages lie inside the entry and inside the hive */
	sum = ENTRY_HEAD + 8 * (uint64_t)pages;
	for (uint32_t i = 0; i < pages; i++) {
		const uint8_t *r = p + ENTRY_HEAD + 8 * i;

		sum += get_le32(r + 4);
		if (!range_inside(get_le32(r), get_le32(r + 4), bins))
			return false;
	}
	if (sum > size)
		return false;
	*out = (struct view){ p, size };
	return true;
}

static bool apply(struct buf *hive, struct view x)
{
	uint32_t bins = get_le32(x.data + 16), pages = get_le32(x.data + 20);
	const uint8_t *from = x.data + ENTRY_HEAD + 8 * (size_t)pages;
	size_t want = (size_t)BASE + bins;

	if (hive->len < want) {
		size_t n = want - hive->len;
		uint8_t *p = buf_grow(hive, n);

		if (!p)
			return false;
		memset(p, 0, n);
	}
	hive->len = want;
	for (uint32_t i = 0; i < pages; i++) {
		const uint8_t *r = x.data + ENTRY_HEAD + 8 * (size_t)i;
		uint32_t n = get_le32(r + 4);

		memcpy(hive->data + BASE + get_le32(r), from, n);
		from += n;
	}
	memcpy(hive->data + 4, x.data + 12, 4);
	memcpy(hive->data + 8, x.data + 12, 4);
	put_le32(hive->data + 40, bins);
	memcpy(hive->data + 144, x.data + 8, 4);
	put_le32(hive->data + 508, base_sum(hive->data));
	return true;
}

int winreg_replay(struct buf *hive, const struct view *logs, size_t n)
{
	uint32_t next;
	size_t applied = 0, before;

	if (!winreg_is_dirty(hive) ||
		get_le32(hive->data + 508) != base_sum(hive->data))
		return 0;
	next = get_le32(hive->data + 8);
	/* Either log may have the older entries: once more over both as long
	 * as that brings some. Entries are applied once, in order. */
	for (size_t pass = 0; pass <= n; pass++) {
		before = applied;
		for (size_t i = 0; i < n; i++) {
			size_t off = FIRST_ENTRY;
			struct view x;

			while (entry_at(logs[i], off, &x)) {
				uint32_t seq = get_le32(x.data + 12);

				off += x.len;
				if ((int32_t)(seq - next) < 0)
					continue; /* in the hive by now */
				if (seq != next)
					break;
				if (!apply(hive, x))
					return ERR_NOMEM;
				next++;
				applied++;
			}
		}
		if (applied == before)
			break;
	}
	return applied != 0;
}
