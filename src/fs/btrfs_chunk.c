/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: chunks, which map logical addresses to bytes of devices. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"

static uint32_t dev_find(const struct btrfs *b, uint64_t devid,
	const uint8_t uuid[16])
{
	for (size_t i = 0; i < b->devs.len; i++)
		if (b->devs.items[i].devid == devid &&
			memcmp(b->devs.items[i].uuid, uuid, 16) == 0)
			return (uint32_t)i;
	return BTRFS_NO_DEV;
}

bool btrfs_chunk_shape(const struct btrfs_chunk *c, uint64_t *out_data,
	uint32_t *out_copies)
{
	uint32_t n = c->nstripes;

	*out_copies = 1;
	switch (c->type & BTRFS_BG_PROFILES) {
	case 0:
		*out_data = 1;
		return n == 1;
	case BTRFS_BG_RAID0:
		*out_data = n;
		return true;
	case BTRFS_BG_DUP:
	case BTRFS_BG_RAID1:
		*out_data = 1;
		*out_copies = 2;
		return n == 2;
	case BTRFS_BG_RAID1C3:
		*out_data = 1;
		*out_copies = 3;
		return n == 3;
	case BTRFS_BG_RAID1C4:
		*out_data = 1;
		*out_copies = 4;
		return n == 4;
	case BTRFS_BG_RAID10:
		*out_copies = c->sub;
		*out_data = c->sub ? n / c->sub : 0;
		return c->sub >= 1 && c->sub <= BTRFS_MAX_COPIES &&
		       n >= c->sub && n % c->sub == 0;
	case BTRFS_BG_RAID5:
		*out_data = n - 1;
		return n >= 2;
	case BTRFS_BG_RAID6:
		*out_data = n - 2;
		return n >= 3;
	}
	return false;
}

/* Adds the chunk of an item at this logical address. */
static int chunk_add(struct btrfs *b, uint64_t logical, const uint8_t *p,
	size_t len, struct error *e)
{
	struct btrfs_disk_chunk d;
	struct btrfs_chunk c = { .logical = logical };
	uint64_t data, end;
	uint32_t copies;

	if (len < sizeof(d))
		return error_set(e, ERR_CORRUPT,
			"btrfs: chunk %" PRIu64 ": %zu bytes", logical, len);
	memcpy(&d, p, sizeof(d));
	c.len = le64_get(d.length);
	c.stripe_len = le64_get(d.stripe_len);
	c.type = le64_get(d.type);
	c.nstripes = le16_get(d.num_stripes);
	c.sub = le16_get(d.sub_stripes);
	if (!c.len || !u64_add(logical, c.len, &end) ||
		c.len > LIMIT_DISK_SIZE || c.len % b->sb.sectorsize ||
		logical % b->sb.sectorsize)
		return error_set(e, ERR_CORRUPT,
			"btrfs: chunk %" PRIu64 ": length %" PRIu64, logical,
			c.len);
	if (!is_pow2(c.stripe_len) || c.stripe_len < b->sb.sectorsize ||
		c.stripe_len > GIB)
		return error_set(e, ERR_CORRUPT,
			"btrfs: chunk %" PRIu64 ": stripe length %" PRIu64,
			logical, c.stripe_len);
	if (!c.nstripes || len - sizeof(d) < c.nstripes *
				sizeof(struct btrfs_disk_stripe))
		return error_set(e, ERR_CORRUPT,
			"btrfs: chunk %" PRIu64 ": %" PRIu32 " stripes",
			logical, c.nstripes);
	if (c.type & ~BTRFS_BG_KNOWN)
		return error_set(e, ERR_UNSUPPORTED,
			"btrfs: chunk %" PRIu64 ": unknown type 0x%" PRIx64,
			logical, c.type);
	if (!btrfs_chunk_shape(&c, &data, &copies))
		return error_set(e, ERR_CORRUPT,
			"btrfs: chunk %" PRIu64 ": type 0x%" PRIx64
			" with %" PRIu32 " stripes of %" PRIu32,
			logical, c.type, c.nstripes, c.sub);
	if (b->chunks.len >= LIMIT_BTRFS_CHUNKS ||
		b->stripes.len > UINT32_MAX - c.nstripes)
		return error_set(e, ERR_LIMIT, "btrfs: more than %d chunks",
			LIMIT_BTRFS_CHUNKS);
	c.first = (uint32_t)b->stripes.len;
	for (uint32_t i = 0; i < c.nstripes; i++) {
		struct btrfs_disk_stripe s;
		struct btrfs_stripe m;

		memcpy(&s, p + sizeof(d) + i * sizeof(s), sizeof(s));
		m.dev = dev_find(b, le64_get(s.devid), s.dev_uuid);
		m.off = le64_get(s.offset);
		if (m.off > LIMIT_DISK_SIZE)
			return error_set(e, ERR_CORRUPT,
				"btrfs: chunk %" PRIu64 ": stripe at %" PRIu64,
				logical, m.off);
		if (m.dev == BTRFS_NO_DEV && !b->missing_said) {
			b->missing_said = true;
			finding_report(b->sink, FINDING_VOLUME_INCOMPLETE,
				FINDING_NO_OFFSET, "",
				"btrfs: device %" PRIu64 " is not there",
				le64_get(s.devid));
		}
		if (!vec_push(&b->stripes, m))
			return error_nomem(e);
	}
	if (!vec_push(&b->chunks, c))
		return error_nomem(e);
	return 0;
}

static int by_logical(const void *a, const void *b)
{
	const struct btrfs_chunk *x = a, *y = b;

	return (x->logical > y->logical) - (x->logical < y->logical);
}

static int chunks_sort(struct btrfs *b, struct error *e)
{
	struct btrfs_chunk *c = b->chunks.items;

	if (b->chunks.len)
		qsort(c, b->chunks.len, sizeof(*c), by_logical);
	for (size_t i = 1; i < b->chunks.len; i++)
		if (c[i].logical - c[i - 1].logical < c[i - 1].len)
			return error_set(e, ERR_CORRUPT,
				"btrfs: chunks %" PRIu64 " and %" PRIu64
				" overlap",
				c[i - 1].logical, c[i].logical);
	return 0;
}

int btrfs_chunks_bootstrap(struct btrfs *b, struct error *e)
{
	struct cursor c = cursor_make(b->sb.sys, b->sb.sys_len);

	while (c.left) {
		struct view k = cur_view(&c, sizeof(struct btrfs_disk_key));
		struct cursor peek = c;
		struct view head =
			cur_view(&peek, sizeof(struct btrfs_disk_chunk));
		struct btrfs_key key;
		struct view item;
		int rc;

		if (c.bad || peek.bad)
			return error_at(e, ERR_CORRUPT, b->sb.at + 0x32b,
				"btrfs superblock: the system chunk array is "
				"cut off");
		key = btrfs_key_get(k.data);
		if (key.type != BTRFS_CHUNK_ITEM)
			return error_at(e, ERR_CORRUPT, b->sb.at + 0x32b,
				"btrfs superblock: an item of type %u among "
				"the system chunks",
				key.type);
		item = cur_view(&c,
			head.len + get_le16(head.data + 44) *
					   sizeof(struct btrfs_disk_stripe));
		if (c.bad)
			return error_at(e, ERR_CORRUPT, b->sb.at + 0x32b,
				"btrfs superblock: the system chunk array is "
				"cut off");
		rc = chunk_add(b, key.offset, item.data, item.len, e);
		if (rc)
			return rc;
	}
	return chunks_sort(b, e);
}

int btrfs_chunks_load(struct btrfs *b, struct error *e)
{
	struct btrfs_key key = { .objectid = BTRFS_FIRST_CHUNK,
		.type = BTRFS_CHUNK_ITEM };
	AUTO_PATH p = { 0 };
	struct btrfs fresh = { .sb = b->sb, .sink = b->sink };
	int rc;

	/* Collected beside the map that the walk itself needs. */
	fresh.devs.items = b->devs.items;
	fresh.devs.len = b->devs.len;
	fresh.missing_said = b->missing_said;
	rc = btrfs_seek(b, &b->chunk_tree, &key, &p, e);
	for (; rc > 0; rc = btrfs_next(&p, e)) {
		if (p.key.type != BTRFS_CHUNK_ITEM)
			continue;
		rc = chunk_add(&fresh, p.key.offset, p.data, p.len, e);
		if (rc == ERR_NOMEM || rc == ERR_LIMIT)
			break;
		if (rc) { /* what it maps cannot be read, the rest can */
			b->chunks_damaged = true;
			finding_report(b->sink, FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, "", "%s",
				e ? e->msg : "a bad chunk");
		}
	}
	if (!rc)
		rc = chunks_sort(&fresh, e);
	if (!rc && !fresh.chunks.len)
		rc = p.damaged ? btrfs_path_verdict(&p, e)
			       : error_set(e, ERR_CORRUPT,
					 "btrfs: the chunk tree is empty");
	if (rc) {
		vec_release(&fresh.chunks);
		vec_release(&fresh.stripes);
		return rc;
	}
	b->chunks_damaged |= p.damaged;
	vec_release(&b->chunks);
	vec_release(&b->stripes);
	b->chunks.items = fresh.chunks.items;
	b->chunks.len = fresh.chunks.len;
	b->chunks.cap = fresh.chunks.cap;
	b->stripes.items = fresh.stripes.items;
	b->stripes.len = fresh.stripes.len;
	b->stripes.cap = fresh.stripes.cap;
	b->missing_said = fresh.missing_said;
	return 0;
}

const struct btrfs_chunk *btrfs_chunk_at(const struct btrfs *b,
	uint64_t logical)
{
	size_t lo = 0, hi = b->chunks.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct btrfs_chunk *c = &b->chunks.items[mid];

		if (logical < c->logical)
			hi = mid;
		else if (logical - c->logical < c->len)
			return c;
		else
			lo = mid + 1;
	}
	return NULL;
}

int btrfs_map(const struct btrfs *b, uint64_t logical, uint64_t len,
	struct btrfs_piece *out, struct error *e)
{
	const struct btrfs_chunk *c = btrfs_chunk_at(b, logical);
	const struct btrfs_stripe *s;
	uint64_t off, nr, in, data, row, col, base;
	uint32_t copies;

	if (!c || !btrfs_chunk_shape(c, &data, &copies))
		return error_set(e, ERR_CORRUPT,
			"btrfs: no chunk holds logical address %" PRIu64,
			logical);
	s = &b->stripes.items[c->first];
	off = logical - c->logical;
	len = u64_min(len, c->len - off);
	out->ncopies = copies;
	if (data == 1 && !(c->type & (BTRFS_BG_RAID5 | BTRFS_BG_RAID6))) {
		/* (off is below c->len, and both are far below 2^63) */
		for (uint32_t i = 0; i < copies; i++) {
			out->copy[i] = s[i];
			out->copy[i].off += off;
		}
		out->len = len;
		return 0;
	}
	nr = off / c->stripe_len;
	in = off % c->stripe_len;
	row = nr / data;
	col = nr % data;
	base = row * c->stripe_len + in; /* at most off */
	if (c->type & (BTRFS_BG_RAID5 | BTRFS_BG_RAID6))
		col = (col + row) % c->nstripes; /* the parity rotates */
	else
		col *= copies;
	for (uint32_t i = 0; i < copies; i++) {
		out->copy[i] = s[col + i];
		out->copy[i].off += base;
	}
	out->len = u64_min(len, c->stripe_len - in);
	return 0;
}

uint32_t btrfs_copies(const struct btrfs *b, uint64_t logical)
{
	const struct btrfs_chunk *c = btrfs_chunk_at(b, logical);
	uint32_t copies = 1;
	uint64_t data;

	if (c)
		btrfs_chunk_shape(c, &data, &copies);
	return copies;
}

static int piece_read(struct btrfs *b, const struct btrfs_stripe *s, void *buf,
	size_t len, uint64_t logical, struct error *e)
{
	if (s->dev == BTRFS_NO_DEV)
		return error_set(e, ERR_IO,
			"btrfs: logical address %" PRIu64
			" lies on a device that is not there",
			logical);
	if (!btrfs_here(b, s, len))
		return error_at(e, ERR_CORRUPT, s->off,
			"btrfs: logical address %" PRIu64
			" lies behind the end of device %" PRIu64,
			logical, b->devs.items[s->dev].devid);
	return source_pread(b->devs.items[s->dev].src, buf, len, s->off, e);
}

int btrfs_read_copy(struct btrfs *b, void *buf, size_t len, uint64_t logical,
	uint32_t n, struct error *e)
{
	uint8_t *p = buf;

	while (len) {
		struct btrfs_piece m;
		int rc = btrfs_map(b, logical, len, &m, e);

		if (!rc)
			rc = piece_read(b, &m.copy[n % m.ncopies], p,
				(size_t)m.len, logical, e);
		if (rc)
			return rc;
		p += m.len;
		logical += m.len;
		len -= (size_t)m.len;
	}
	return 0;
}

int btrfs_read(struct btrfs *b, void *buf, size_t len, uint64_t logical,
	struct error *e)
{
	uint8_t *p = buf;

	while (len) {
		struct btrfs_piece m;
		int rc = btrfs_map(b, logical, len, &m, e);

		if (rc)
			return rc;
		for (uint32_t i = 0; i < m.ncopies; i++) {
			rc = piece_read(b, &m.copy[i], p, (size_t)m.len,
				logical, e);
			if (!rc)
				break;
		}
		if (rc)
			return rc;
		p += m.len;
		logical += m.len;
		len -= (size_t)m.len;
	}
	return 0;
}
