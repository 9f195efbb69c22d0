/* SPDX-License-Identifier: Apache-2.0 */
/* LVM2: labels and metadata areas on physical volumes, as LVM's own
 * lib/format_text/layout.h describes them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "volume/private.h"

struct label_disk {
	uint8_t id[8]; /* "LABELONE" */
	le64 sector;
	le32 crc; /* of what follows, to the end of the sector */
	le32 offset;
	uint8_t type[8]; /* "LVM2 001" */
};
_Static_assert(sizeof(struct label_disk) == 32, "layout.h");

struct area_disk {
	le64 offset, size;
};

struct mda_disk {
	le32 crc; /* of what follows, to 512 bytes */
	uint8_t magic[16];
	le32 version;
	le64 start, size;
	struct {
		le64 offset, size;
		le32 crc, flags;
	} text;
};
_Static_assert(sizeof(struct mda_disk) == 64, "layout.h");

#define MDA_HEADER 512
#define TEXT_IGNORED 1

/* The CRC-32 of zlib with another start and without the final inversion. */
static uint32_t lvm_crc(uint32_t crc, const void *p, size_t n)
{
	return (uint32_t)crc32(crc ^ UINT32_MAX, p, (uInt)n) ^ UINT32_MAX;
}
#define LVM_CRC_START 0xf597a6cf

/* One volume group, its newest metadata. */
struct group {
	uint8_t *text;
	size_t len;
	struct lvm_tree tree;
	uint32_t vg; /* its section */
	uint64_t seqno;
	bool differed;
};

struct lvm {
	struct volume_scan *s;
	VEC(struct lvm_pv) pvs;
	VEC(struct group) groups;
	uint64_t bytes; /* of text that was read */
};

static void damaged(struct lvm *l, size_t member, uint64_t off,
	const char *what)
{
	finding_report(l->s->findings, FINDING_VOLUME_DAMAGED, off,
		l->s->members[member].name, "%s", what);
}

static void group_release(struct group *g)
{
	lvm_tree_release(&g->tree);
	free(g->text);
}

/* Keeps a copy of the metadata if it is the newest of its group. text is
 * transferred. */
static int keep(struct lvm *l, size_t member, uint64_t off, uint8_t *text,
	size_t len)
{
	struct group g = { .text = text, .len = len, .vg = LVM_NONE };
	struct error err = { 0 };
	struct view id;
	int r;

	for (size_t i = 0; i < l->groups.len; i++)
		if (l->groups.items[i].len == len &&
			!memcmp(l->groups.items[i].text, text, len)) {
			free(text);
			return 0;
		}
	r = lvm_parse(text, len, &g.tree, &err);
	if (r) {
		free(text);
		if (r == ERR_NOMEM)
			return error_nomem(l->s->e);
		damaged(l, member, off, err.msg);
		return 0;
	}
	for (uint32_t i = g.tree.nodes.items[0].child; i != LVM_NONE;
		i = g.tree.nodes.items[i].next)
		if (g.tree.nodes.items[i].type == LVM_SECTION && g.vg == LVM_NONE)
			g.vg = i;
	if (g.vg == LVM_NONE ||
		!lvm_number(&g.tree, g.vg, "seqno", &g.seqno) ||
		!(id = lvm_string(&g.tree, g.vg, "id")).len) {
		damaged(l, member, off,
			"the metadata names no volume group, id or seqno");
		group_release(&g);
		return 0;
	}
	for (size_t i = 0; i < l->groups.len; i++) {
		struct group *o = &l->groups.items[i];
		struct view oid = lvm_string(&o->tree, o->vg, "id");

		if (oid.len != id.len || memcmp(oid.data, id.data, id.len))
			continue;
		if (!o->differed)
			finding_report(l->s->findings, FINDING_VOLUME_DAMAGED,
				off, l->s->members[member].name,
				"copies of the metadata of %.*s differ: "
				"versions %" PRIu64 " and %" PRIu64
				"; the newer is used",
				(int)size_min(id.len, 64), id.data, o->seqno,
				g.seqno);
		o->differed = g.differed = true;
		if (g.seqno > o->seqno) {
			l->bytes += len - o->len;
			group_release(o);
			*o = g;
		} else {
			group_release(&g);
		}
		return 0;
	}
	if (vec_push(&l->groups, g)) {
		l->bytes += len;
		return 0;
	}
	group_release(&g);
	return error_nomem(l->s->e);
}

/* One metadata area: a header, and a ring of text behind it. */
static int read_area(struct lvm *l, size_t member, uint64_t off, uint64_t len)
{
	uint8_t b[MDA_HEADER];
	struct mda_disk h;
	uint64_t at, size, first;
	uint8_t *text;

	if (len < 2 * MDA_HEADER || !member_read(l->s, member, b, sizeof(b), off)) {
		damaged(l, member, off,
			"the metadata area is outside, or cannot be read");
		return 0;
	}
	memcpy(&h, b, sizeof(h));
	if (memcmp(h.magic, " LVM2 x[5A%r0N*>", 16) != 0 ||
		!checksum_agrees(lvm_crc(LVM_CRC_START, b + 4, sizeof(b) - 4),
			le32_get(h.crc)) ||
		le32_get(h.version) != 1 || le64_get(h.start) != off ||
		le64_get(h.size) > len) {
		damaged(l, member, off,
			"the header of the metadata area is not valid");
		return 0;
	}
	at = le64_get(h.text.offset);
	size = le64_get(h.text.size);
	len = le64_get(h.size);
	if (!at || !size || le32_get(h.text.flags) & TEXT_IGNORED)
		return 0; /* of no group, or kept elsewhere on purpose */
	if (size > LIMIT_LVM_TEXT || at < MDA_HEADER || at >= len ||
		size > len - MDA_HEADER) {
		damaged(l, member, off + 40,
			"the metadata lies outside its area");
		return 0;
	}
	if (size > LIMIT_LVM_TEXT - l->bytes) {
		damaged(l, member, off + at,
			"there is more metadata than is read");
		return 0;
	}
	text = malloc(size);
	if (!text)
		return error_nomem(l->s->e);
	first = u64_min(size, len - at);
	if (!member_read(l->s, member, text, first, off + at) ||
		(first < size && !member_read(l->s, member, text + first,
					 size - first, off + MDA_HEADER))) {
		damaged(l, member, off + at, "the metadata cannot be read");
		free(text);
		return 0;
	}
	if (!checksum_agrees(lvm_crc(LVM_CRC_START, text, size), le32_get(h.text.crc))) {
		damaged(l, member, off + at, "the checksum of the metadata");
		free(text);
		return 0;
	}
	return keep(l, member, off + at, text, size);
}

static void dashes(const char uuid[33], char out[40])
{
	snprintf(out, 40, "%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", uuid, uuid + 6,
		uuid + 10, uuid + 14, uuid + 18, uuid + 22, uuid + 26);
}

/* The header behind the label; c ends with the sector. */
static int read_pv(struct lvm *l, size_t member, struct cursor c)
{
	struct lvm_pv pv = { .member = (uint32_t)member };
	struct volume_set *set = l->s->set;
	const uint8_t *uuid = cur_bytes(&c, 32);
	int lists = 0;

	if (!uuid)
		return 0;
	for (int i = 0; i < 32; i++) {
		uint8_t u = uuid[i];

		if (!((u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') ||
			    (u >= 'A' && u <= 'Z') || u == '!' || u == '#')) {
			damaged(l, member, FINDING_NO_OFFSET,
				"the id of the physical volume");
			return 0;
		}
		pv.uuid[i] = (char)u;
	}
	dashes(pv.uuid, set->member_uuids[member]);
	for (size_t i = 0; i < l->pvs.len; i++)
		if (!strcmp(l->pvs.items[i].uuid, pv.uuid)) {
			finding_report(l->s->findings, FINDING_VOLUME_DAMAGED,
				FINDING_NO_OFFSET, l->s->members[member].name,
				"the same physical volume, %s, as %s; that one "
				"is used",
				set->member_uuids[member],
				l->s->members[l->pvs.items[i].member].name);
			return 0;
		}
	if (!vec_push(&l->pvs, pv))
		return error_nomem(l->s->e);
	cur_skip(&c, 8); /* its size */
	/* Two lists, each ended by zeros: of data, of metadata. The sector
	 * bounds them. */
	while (lists < 2) {
		uint64_t off = cur_le64(&c), len = cur_le64(&c);
		int r;

		if (c.bad) {
			damaged(l, member, FINDING_NO_OFFSET,
				"the lists of areas do not end");
			return 0;
		}
		if (!off) {
			lists++;
			continue;
		}
		if (lists == 1) {
			r = read_area(l, member, off, len);
			if (r)
				return r;
		}
	}
	return 0;
}

/* The label is in one of the first four sectors. */
static int read_label(struct lvm *l, size_t member)
{
	for (uint64_t sector = 0; sector < 4; sector++) {
		uint8_t b[512];
		struct label_disk h;
		uint32_t at;

		if (!member_read(l->s, member, b, sizeof(b), sector * 512))
			return 0;
		memcpy(&h, b, sizeof(h));
		if (memcmp(h.id, "LABELONE", 8) != 0 ||
			memcmp(h.type, "LVM2 001", 8) != 0)
			continue;
		at = le32_get(h.offset);
		memcpy(l->s->set->member_types[member], "LVM2_member", 12);
		if (le64_get(h.sector) != sector || at < sizeof(h) ||
			at > sizeof(b) ||
			!checksum_agrees(lvm_crc(LVM_CRC_START, b + 20, sizeof(b) - 20),
				le32_get(h.crc))) {
			damaged(l, member, sector * 512,
				"the label is not valid");
			return 0;
		}
		return read_pv(l, member, cursor_make(b + at, sizeof(b) - at));
	}
	return 0;
}

int lvm_scan(struct volume_scan *s)
{
	struct lvm l = { .s = s };
	int r = 0;

	for (size_t i = 0; i < s->n && !r; i++)
		if (!*s->set->member_types[i])
			r = read_label(&l, i);
	for (size_t i = 0; i < l.groups.len; i++) {
		if (!r)
			r = lvm_add_group(s, &l.groups.items[i].tree,
				l.groups.items[i].vg, l.pvs.items, l.pvs.len);
		group_release(&l.groups.items[i]);
	}
	vec_release(&l.groups);
	vec_release(&l.pvs);
	return r;
}
