/* SPDX-License-Identifier: Apache-2.0 */
/* ZFS: the label of a pool's member, kept as blocks.
 * Source: "ZFS On-Disk Specification", section 1: four labels of 256 KiB, two
 * at the front and two at the end; an XDR name-value list from 16 KiB, the
 * uberblocks from 128 KiB. */
#include "fs/kinds.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "fs/label.h"

#define LABEL (256 * KIB)
#define NVLIST_OFF (16 * KIB)
#define NVLIST_MAX (16 * KIB) /* name and guids come early; 112 KiB at most */
#define UBER_OFF (128 * KIB)
#define UBER_MAGIC UINT64_C(0x00bab10c)
/* Pairs of the list looked at: real ones have about 15 before vdev_tree. */
#define PAIRS 256

enum { NV_UINT64 = 8, NV_STRING = 9 };

static void number(uint64_t v, char out[40])
{
	if (v)
		snprintf(out, 40, "%" PRIu64, v);
}

static bool nvlist(const uint8_t *b, size_t len, struct fs_info *out)
{
	struct cursor c = cursor_make(b, len);
	bool found = false;

	if (cur_u8(&c) != 1 /* XDR */ || cur_u8(&c) > 1)
		return false;
	cur_skip(&c, 2);
	if (cur_be32(&c) != 0 /* version */)
		return false;
	cur_skip(&c, 4);
	for (int i = 0; i < PAIRS; i++) {
		uint32_t size = cur_be32(&c), nlen, type;
		struct cursor p;
		struct view name, value;

		cur_skip(&c, 4);
		if (c.bad || size < 20)
			break;
		value = cur_view(&c, size - 8);
		if (c.bad)
			break;
		p = cursor_make(value.data, value.len);
		nlen = cur_be32(&p);
		if (nlen > 64)
			continue;
		name = cur_view(&p, nlen);
		cur_skip(&p, (4 - nlen % 4) % 4);
		type = cur_be32(&p);
		cur_skip(&p, 4);
		if (p.bad)
			continue;
#define IS(s) (name.len == sizeof(s) - 1 && !memcmp(name.data, s, name.len))
		if (type == NV_STRING && IS("name")) {
			uint32_t n = cur_be32(&p);

			value = cur_view(&p, n);
			if (!p.bad) {
				fs_label_bytes(value.data, value.len,
					out->label, sizeof(out->label));
				found = true;
			}
		} else if (type == NV_UINT64 && IS("pool_guid")) {
			number(cur_be64(&p), out->uuid);
			found = true;
		} else if (type == NV_UINT64 && IS("guid")) {
			/* all that a spare and a cache say of themselves */
			number(cur_be64(&p), out->dev_uuid);
			found = true;
		}
#undef IS
	}
	return found;
}

bool kind_zfs(struct kind_probe *p, struct fs_info *out)
{
	uint64_t size = round_down(p->src->size, LABEL);
	uint64_t at[4] = { 0, LABEL, size - 2 * LABEL, size - LABEL };

	if (size < 4 * LABEL)
		return false;
	for (int i = 0; i < 4; i++) {
		uint8_t head[8], b[NVLIST_MAX];
		int ubers = 0;

		if (!kind_read(p, head, sizeof(head), at[i] + NVLIST_OFF) ||
			head[0] != 1 || head[1] > 1 || get_be32(head + 4))
			continue;
		/* a quarter of the slots is enough to look at: a slot is
		 * 1 KiB or more, and a pool in use has filled them all */
		for (unsigned k = 0; k < 128; k++) {
			uint8_t u[8];

			if (!kind_read(p, u, sizeof(u),
				    at[i] + UBER_OFF + k * KIB))
				break;
			ubers += get_le64(u) == UBER_MAGIC ||
				 get_be64(u) == UBER_MAGIC;
		}
		if (!ubers || !kind_read(p, b, sizeof(b), at[i] + NVLIST_OFF) ||
			!nvlist(b, sizeof(b), out))
			continue;
		snprintf(out->type, sizeof(out->type), "zfs_member");
		out->size = p->src->size;
		return true;
	}
	return false;
}
