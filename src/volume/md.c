/* SPDX-License-Identifier: Apache-2.0 */
/* MD: superblocks 0.90, 1.0, 1.1 and 1.2 (Linux include/uapi/linux/raid/md_p.h)
 * and the arrays whose data is in place. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "volume/private.h"

#define MD_MAGIC 0xa92b4efc
#define SB090_SIZE 4096

struct sb1_disk {
	le32 magic, major, features, pad0;
	uint8_t uuid[16], name[32];
	le64 ctime;
	le32 level, layout;
	le64 size;
	le32 chunk, raid_disks, bitmap_off, new_level;
	le64 reshape;
	le32 delta_disks, new_layout, new_chunk, new_offset;
	le64 data_off, data_size, super_off, recovery_off;
	le32 dev_number, corrected;
	uint8_t dev_uuid[16], devflags, bblog[7];
	le64 utime, events, resync_off;
	le32 csum, max_dev;
	uint8_t pad3[32];
};
_Static_assert(sizeof(struct sb1_disk) == 256, "md_p.h");

enum { /* struct sb1_disk features */
	FEATURE_RECOVERY = 2,
	FEATURE_RESHAPE = 4,
	FEATURE_JOURNAL = 512,
	FEATURE_KNOWN = 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024,
};

/* A superblock, whatever its version. */
struct md_member {
	uint32_t member;
	uint8_t uuid[16];
	char name[64];
	int32_t level;
	uint32_t raid_disks;
	uint32_t role; /* UINT32_MAX: spare, faulty, or out of step */
	uint64_t data_off, data_size; /* bytes on the member */
	uint64_t size;  /* bytes that the array uses of it, 0: all */
	uint64_t chunk; /* bytes, 0: none */
	uint64_t events;
	bool odd; /* a feature that moves data is at work */
	bool taken;
};

struct md {
	struct volume_scan *s;
	VEC(struct md_member) items;
};

static void format_uuid(const uint8_t u[16], char out[40])
{
	snprintf(out, 40,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x",
		u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		u[10], u[11], u[12], u[13], u[14], u[15]);
}

static void bad(struct md *m, size_t member, uint64_t off, const char *what)
{
	finding_report(m->s->findings, FINDING_VOLUME_DAMAGED, off,
		m->s->members[member].name, "MD superblock: %s", what);
}

static int found(struct md *m, const struct md_member *x)
{
	struct volume_set *set = m->s->set;

	memcpy(set->member_types[x->member], "linux_raid_member", 18);
	format_uuid(x->uuid, set->member_uuids[x->member]);
	return vec_push(&m->items, *x) ? 0 : error_nomem(m->s->e);
}

/* "host:0" is md0, "host:data" md/data, as udev names them. */
static void set_name(const uint8_t raw[32], char out[64])
{
	char name[33];
	const char *p;
	bool digits;

	memcpy(name, raw, 32);
	name[32] = 0;
	p = strrchr(name, ':');
	p = p ? p + 1 : name;
	digits = *p != 0;
	for (const char *q = p; *q; q++)
		digits = digits && *q >= '0' && *q <= '9';
	snprintf(out, 64, "md%s%s", digits || !*p ? "" : "/", p);
	for (char *q = out + 3; *q; q++)
		if (*q <= ' ' || *q >= 0x7f || *q == '/')
			*q = '_';
}

/* Version 1 at off. Returns 0 or NOMEM; *hit where one is there. */
static int read_v1(struct md *m, size_t member, uint64_t off, bool *hit)
{
	uint64_t size = m->s->members[member].src->size;
	uint8_t b[256 + 2 * LIMIT_MD_DISKS];
	struct md_member x = { .member = (uint32_t)member, .role = UINT32_MAX };
	struct sb1_disk h;
	uint32_t max_dev, dev, features;
	uint64_t sum = 0;
	size_t len;

	if (!range_inside(off, sizeof(h), size) ||
		!member_read(m->s, member, &h, sizeof(h), off) ||
		le32_get(h.magic) != MD_MAGIC || le32_get(h.major) != 1 ||
		le64_get(h.super_off) != off / 512)
		return 0;
	*hit = true;
	max_dev = le32_get(h.max_dev);
	len = 256 + 2 * (size_t)u64_min(max_dev, LIMIT_MD_DISKS);
	if (max_dev > LIMIT_MD_DISKS || !range_inside(off, len, size) ||
		!member_read(m->s, member, b, len, off)) {
		bad(m, member, off + 220, "its number of devices");
		return 0;
	}
	for (size_t i = 0; i + 4 <= len; i += 4)
		if (i != offsetof(struct sb1_disk, csum))
			sum += get_le32(b + i);
	if (len % 4)
		sum += get_le16(b + len - 2);
	if (!checksum_agrees((uint32_t)(sum + (sum >> 32)), le32_get(h.csum))) {
		bad(m, member, off, "the checksum");
		*hit = false;
		return 0;
	}
	memcpy(x.uuid, h.uuid, 16);
	set_name(h.name, x.name);
	x.level = (int32_t)le32_get(h.level);
	x.raid_disks = le32_get(h.raid_disks);
	x.events = le64_get(h.events);
	dev = le32_get(h.dev_number);
	features = le32_get(h.features);
	if (dev < max_dev) {
		uint16_t role = get_le16(b + 256 + 2 * dev);

		if (role < x.raid_disks)
			x.role = role;
	}
	/* Still being rebuilt: not all of it is there. */
	if (features & FEATURE_RECOVERY)
		x.role = UINT32_MAX;
	x.odd = features & (FEATURE_RESHAPE | FEATURE_JOURNAL) ||
		features & ~(uint32_t)FEATURE_KNOWN;
	if (!u64_mul(le64_get(h.data_off), 512, &x.data_off) ||
		!u64_mul(le64_get(h.data_size), 512, &x.data_size) ||
		!u64_mul(le64_get(h.size), 512, &x.size) ||
		!range_inside(x.data_off, x.data_size, size) ||
		x.size > x.data_size) {
		bad(m, member, off + 128, "its data lies outside the device");
		x.odd = true;
		x.data_off = x.data_size = x.size = 0;
	}
	x.chunk = (uint64_t)le32_get(h.chunk) * 512;
	return found(m, &x);
}

static uint32_t word(const uint8_t *b, unsigned i)
{
	return get_le32(b + 4 * (size_t)i);
}

/* Version 0.90: in the last whole 64 KiB but one. */
static int read_v090(struct md *m, size_t member, bool *hit)
{
	uint64_t size = m->s->members[member].src->size, off, sum = 0;
	struct md_member x = { .member = (uint32_t)member, .role = UINT32_MAX };
	uint8_t b[SB090_SIZE];
	uint32_t level;

	if (size < 128 * KIB)
		return 0;
	off = round_down(size, 64 * KIB) - 64 * KIB;
	if (!member_read(m->s, member, b, sizeof(b), off) ||
		word(b, 0) != MD_MAGIC || word(b, 1) != 0 || word(b, 2) < 90)
		return 0;
	*hit = true;
	for (unsigned i = 0; i < SB090_SIZE / 4; i++)
		if (i != 38)
			sum += word(b, i);
	if (!checksum_agrees((uint32_t)(sum + (sum >> 32)), word(b, 38))) {
		bad(m, member, off, "the checksum");
		*hit = false;
		return 0;
	}
	/* Four words, printed as numbers. */
	put_be32(x.uuid, word(b, 5));
	for (unsigned i = 0; i < 3; i++)
		put_be32(x.uuid + 4 + 4 * i, word(b, 13 + i));
	snprintf(x.name, sizeof(x.name), "md%" PRIu32, word(b, 11));
	level = word(b, 7);
	x.level = (int32_t)level;
	x.size = (uint64_t)word(b, 8) * 1024;
	x.raid_disks = word(b, 10);
	x.events = (uint64_t)word(b, 40) << 32 | word(b, 39);
	x.chunk = word(b, 65);
	/* This disk: number, major, minor, raid disk, state. Of the state,
	 * bit 0 is faulty, 1 active, 2 in step. */
	if (word(b, 992 + 3) < x.raid_disks && (word(b, 992 + 4) & 7) == 6)
		x.role = word(b, 992 + 3);
	x.data_size = off;
	x.odd = word(b, 2) != 90; /* 91: a reshape is going on */
	if (x.size > x.data_size) {
		bad(m, member, off + 32, "its data lies outside the device");
		x.odd = true;
		x.size = 0;
	}
	return found(m, &x);
}

static const char *level_name(int32_t level)
{
	switch (level) {
	case -1:
		return "linear";
	case 0:
		return "raid0";
	case 1:
		return "raid1";
	case 4:
		return "raid4";
	case 5:
		return "raid5";
	case 6:
		return "raid6";
	case 10:
		return "raid10";
	case -4:
		return "multipath";
	case -5:
		return "faulty";
	default:
		return "md";
	}
}

/* One array: its members are those with the uuid of the first. best[role] is
 * the member that counts for a role: the one with most events. */
struct array {
	const struct md_member *first, *newest;
	const struct md_member *best[LIMIT_MD_DISKS];
	size_t present;
};

static int raid1(struct md *m, struct array *a, struct logical_volume *lv,
	segment_vec *v)
{
	const struct md_member *x = NULL;

	for (uint32_t i = 0; i < a->newest->raid_disks && !x; i++)
		if (a->best[i] && a->best[i]->events == a->newest->events)
			x = a->best[i];
	if (!x) {
		finding_report(m->s->findings, FINDING_VOLUME_INCOMPLETE,
			FINDING_NO_OFFSET, lv->name,
			"no member is in step; it is kept as blocks");
		return 0;
	}
	if (a->present < a->newest->raid_disks)
		finding_report(m->s->findings, FINDING_VOLUME_INCOMPLETE,
			FINDING_NO_OFFSET, lv->name,
			"%zu of %" PRIu32 " members; it is read from %s",
			a->present, a->newest->raid_disks,
			m->s->members[x->member].name);
	lv->size = x->size ? x->size : x->data_size;
	lv->readable = true;
	return segment_add(m->s, v, x->member, x->data_off, lv->size);
}

static int linear(struct md *m, struct array *a, struct logical_volume *lv,
	segment_vec *v)
{
	uint32_t n = a->newest->raid_disks;

	for (uint32_t i = 0; i < n; i++) {
		const struct md_member *x = a->best[i];
		uint64_t len;
		int r;

		if (!x) {
			finding_report(m->s->findings, FINDING_VOLUME_INCOMPLETE,
				FINDING_NO_OFFSET, lv->name,
				"member %" PRIu32 " of %" PRIu32
				" is missing; it is kept as blocks",
				i + 1, n);
			return 0;
		}
		len = x->data_size;
		if (x->chunk)
			len -= len % x->chunk;
		if (!u64_add(lv->size, len, &lv->size) ||
			lv->size > LIMIT_DISK_SIZE) {
			finding_report(m->s->findings, FINDING_VOLUME_DAMAGED,
				FINDING_NO_OFFSET, lv->name, "its size");
			return 0;
		}
		r = segment_add(m->s, v, x->member, x->data_off, len);
		if (r)
			return r;
	}
	lv->readable = true;
	return 0;
}

static void collect(struct md *m, size_t from, struct array *a)
{
	memset(a, 0, sizeof(*a));
	a->first = a->newest = &m->items.items[from];
	for (size_t i = from; i < m->items.len; i++) {
		struct md_member *x = &m->items.items[i];

		if (!memcmp(x->uuid, a->first->uuid, 16) &&
			x->events > a->newest->events)
			a->newest = x;
	}
	for (size_t i = from; i < m->items.len; i++) {
		struct md_member *x = &m->items.items[i];

		if (x->taken || memcmp(x->uuid, a->first->uuid, 16) != 0)
			continue;
		x->taken = true;
		if (x->events != a->newest->events)
			finding_report(m->s->findings, FINDING_VOLUME_INCOMPLETE,
				FINDING_NO_OFFSET,
				m->s->members[x->member].name,
				"is behind the other members of %s: %" PRIu64
				" of %" PRIu64 " events",
				a->newest->name, x->events, a->newest->events);
		if (x->role >= LIMIT_MD_DISKS)
			continue;
		if (!a->best[x->role]) {
			a->best[x->role] = x;
			a->present++;
			continue;
		}
		finding_report(m->s->findings, FINDING_VOLUME_DAMAGED,
			FINDING_NO_OFFSET, m->s->members[x->member].name,
			"has the place of %s in %s",
			m->s->members[a->best[x->role]->member].name,
			a->newest->name);
		if (x->events > a->best[x->role]->events)
			a->best[x->role] = x;
	}
}

static int add_array(struct md *m, struct array *a)
{
	struct logical_volume lv = { 0 };
	segment_vec v = { 0 };
	const char *kind = level_name(a->newest->level);
	bool odd = a->newest->odd || a->newest->raid_disks > LIMIT_MD_DISKS;
	int r = 0;

	for (size_t i = 0; i < LIMIT_MD_DISKS; i++)
		if (a->best[i])
			odd = odd || a->best[i]->odd;
	snprintf(lv.name, sizeof(lv.name), "%s", a->newest->name);
	snprintf(lv.kind, sizeof(lv.kind), "%s", kind);
	format_uuid(a->first->uuid, lv.uuid);
	if (!odd && a->newest->level == 1)
		r = raid1(m, a, &lv, &v);
	else if (!odd && a->newest->level == -1)
		r = linear(m, a, &lv, &v);
	else
		finding_report(m->s->findings, FINDING_VOLUME_KEPT,
			FINDING_NO_OFFSET, lv.name, "%s%s", kind,
			odd ? ", with a feature that is not read" : "");
	if (r == ERR_LIMIT) {
		lv.readable = false;
		r = 0;
	}
	if (r) {
		vec_release(&v);
		return error_nomem(m->s->e);
	}
	return volume_add(m->s, &lv, &v);
}

int md_scan(struct volume_scan *s)
{
	AUTO_FREE struct array *a = malloc(sizeof(*a));
	struct md m = { .s = s };
	int r = 0;

	if (!a)
		return error_nomem(s->e);
	for (size_t i = 0; i < s->n && !r; i++) {
		uint64_t sectors = s->members[i].src->size / 512;
		bool hit = false;

		r = read_v1(&m, i, 4096, &hit);
		if (!r && !hit)
			r = read_v1(&m, i, 0, &hit);
		if (!r && !hit && sectors >= 24)
			r = read_v1(&m, i, ((sectors - 16) & ~UINT64_C(7)) * 512,
				&hit);
		if (!r && !hit)
			r = read_v090(&m, i, &hit);
	}
	for (size_t i = 0; i < m.items.len && !r; i++) {
		if (m.items.items[i].taken)
			continue;
		if (s->items.len >= LIMIT_VOLUMES)
			break;
		collect(&m, i, a);
		r = add_array(&m, a);
	}
	vec_release(&m.items);
	return r;
}
