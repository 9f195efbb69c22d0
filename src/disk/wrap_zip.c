/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a zip that holds one disk (PKWARE APPNOTE 4.3). Nothing is
 * ever written by name. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "disk/wrap_int.h"
#include "disk/wrap_pick.h"

#define END_SIZE 22
#define END64_SIZE 56
#define ENTRY_SIZE 46
#define LOCAL_SIZE 30

struct end {
	uint64_t entries, size, off, at;
};

static int bad(uint64_t at, const char *why, struct error *e)
{
	return error_at(e, ERR_CORRUPT, at, "zip: %s", why);
}

/* The end of the directory: the last signature whose comment fills the rest
 * of the file. */
static int find_end(struct source *file, struct end *out, struct error *e)
{
	uint64_t len = u64_min(file->size, END_SIZE + 65535);
	AUTO_FREE uint8_t *b = malloc(len + 1);
	uint64_t base = file->size - len;
	const uint8_t *p;
	uint8_t z[END64_SIZE];
	bool split, full;
	int r;

	if (!b)
		return error_nomem(e);
	if (len < END_SIZE)
		return bad(base, "no directory (is the file cut off?)", e);
	r = source_pread(file, b, len, base, e);
	if (r)
		return r;
	for (p = b + len - END_SIZE; p >= b; p--)
		if (!memcmp(p, "PK\5\6", 4) &&
			(uint64_t)(b + len - p) ==
				END_SIZE + (uint64_t)get_le16(p + 20))
			break;
	if (p < b)
		return bad(base, "no directory (is the file cut off?)", e);
	out->at = base + (uint64_t)(p - b);
	out->entries = get_le16(p + 10);
	out->size = get_le32(p + 12);
	out->off = get_le32(p + 16);
	/* Zip64: a field is full, and a locator stands right before. Some
	 * fill all fields, the numbers of volumes too. */
	full = get_le16(p + 4) == 0xffff || get_le16(p + 6) == 0xffff ||
	       out->entries == 0xffff || out->size == UINT32_MAX ||
	       out->off == UINT32_MAX;
	full = full && out->at >= 20 && p >= b + 20 &&
	       !memcmp(p - 20, "PK\6\7", 4);
	split = full ? get_le32(p - 20 + 4) || get_le32(p - 20 + 16) > 1
		     : get_le16(p + 4) || get_le16(p + 6);
	if (split)
		return error_at(e, ERR_UNSUPPORTED, out->at,
			"zip: it is one of several volumes");
	if (!full)
		return 0;
	out->at = get_le64(p - 20 + 8);
	if (!range_inside(out->at, END64_SIZE, file->size))
		return bad(out->at, "the 64-bit end is outside the file", e);
	r = source_pread(file, z, sizeof(z), out->at, e);
	if (r)
		return r;
	if (memcmp(z, "PK\6\6", 4) != 0)
		return bad(out->at, "the 64-bit end has no signature", e);
	out->entries = get_le64(z + 32);
	out->size = get_le64(z + 40);
	out->off = get_le64(z + 48);
	return 0;
}

/* The 64-bit values, in the order in which the others are all ones. */
static void zip64(struct cursor extra, struct wrap_member *m, uint64_t *local)
{
	while (!extra.bad && extra.left >= 4) {
		uint16_t id = cur_le16(&extra), n = cur_le16(&extra);
		struct view v = cur_view(&extra, n);
		struct cursor c = cursor_make(v.data, v.len);

		if (id != 1 || extra.bad)
			continue;
		if (m->size == UINT32_MAX)
			m->size = cur_le64(&c);
		if (m->packed == UINT32_MAX)
			m->packed = cur_le64(&c);
		if (*local == UINT32_MAX)
			*local = cur_le64(&c);
		return;
	}
}

static int member_bytes(struct source *file, struct wrap_member *m,
	uint64_t local, struct error *e)
{
	uint8_t h[LOCAL_SIZE];
	uint64_t head;
	int r;

	if (!range_inside(local, sizeof(h), file->size))
		return bad(local, "the member is outside the file", e);
	r = source_pread(file, h, sizeof(h), local, e);
	if (r)
		return r;
	if (memcmp(h, "PK\3\4", 4) != 0)
		return bad(local, "the member has no signature", e);
	head = sizeof(h) + (uint64_t)get_le16(h + 26) + get_le16(h + 28);
	if (!range_inside(local, head, file->size) ||
		!range_inside(local + head, m->packed, file->size))
		return bad(local, "the member's bytes are outside the file", e);
	m->off = local + head;
	if (m->method == ZIP_STORED && m->packed != m->size)
		return bad(local, "a stored member has two sizes", e);
	return 0;
}

int wrap_zip_member(struct source *file, const struct finding_sink *findings,
	struct wrap_member *out, struct error *e)
{
	struct wrap_pick pick = { 0 };
	struct end end = { 0 };
	uint64_t at, local = 0;
	int r = find_end(file, &end, e);

	if (r)
		return r;
	if (end.entries > LIMIT_ZIP_MEMBERS)
		return error_at(e, ERR_LIMIT, end.at,
			"zip: %" PRIu64 " members, over 65536", end.entries);
	if (!range_inside(end.off, end.size, file->size))
		return bad(end.at, "the directory is outside the file", e);
	at = end.off;
	for (uint64_t i = 0; i < end.entries; i++) {
		uint8_t h[ENTRY_SIZE];
		AUTO_FREE uint8_t *rest = NULL;
		size_t name, extra, len;
		struct wrap_member m = { 0 };
		uint64_t place;

		if (!range_inside(at, sizeof(h), file->size))
			return bad(at, "the directory is cut off", e);
		r = source_pread(file, h, sizeof(h), at, e);
		if (r)
			return r;
		if (memcmp(h, "PK\1\2", 4) != 0)
			return bad(at, "a directory entry has no signature", e);
		name = get_le16(h + 28);
		extra = get_le16(h + 30);
		len = name + extra;
		rest = malloc(len + 1);
		if (!rest)
			return error_nomem(e);
		if (!range_inside(at + sizeof(h), len, file->size))
			return bad(at, "the directory is cut off", e);
		r = source_pread(file, rest, len, at + sizeof(h), e);
		if (r)
			return r;
		at += sizeof(h) + len + get_le16(h + 32);
		m.flags = get_le16(h + 8);
		m.method = get_le16(h + 10);
		m.crc = get_le32(h + 16);
		m.packed = get_le32(h + 20);
		m.size = get_le32(h + 24);
		place = get_le32(h + 42);
		zip64(cursor_make(rest + name, extra), &m, &place);
		if (wrap_pick_offer(&pick, rest, name, m.size)) {
			*out = m;
			local = place;
		}
	}
	r = wrap_pick_end(&pick, "zip", findings, e);
	if (r)
		return r;
	memcpy(out->name, pick.name, sizeof(out->name));
	if (out->flags & 0x2041)
		return error_set(e, ERR_UNSUPPORTED,
			"zip: '%s' has a password", out->name);
	return member_bytes(file, out, local, e);
}
