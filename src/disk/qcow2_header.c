/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: the header, its extensions, and the table of internal snapshots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "disk/qcow2_int.h"

/* A name in the image: bytes without a NUL, that fit. */
static int copy_name(char *out, size_t size, const uint8_t *p, size_t len,
	uint64_t at, const char *what, struct error *e)
{
	if (len >= size)
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: the %s has %zu bytes, more than %zu", what, len,
			size - 1);
	if (memchr(p, 0, len))
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: the %s holds a zero byte", what);
	memcpy(out, p, len);
	out[len] = 0;
	return 0;
}

/* The names of the unknown incompatible bits, from the image's own table. */
static void name_unknown(struct qcow2_header *h, const uint8_t *p, size_t len)
{
	uint64_t bad = h->incompatible & ~QCOW2_INCOMPAT_KNOWN;

	for (; len >= 48; p += 48, len -= 48) {
		size_t n = strlen(h->unknown), k = 0;

		if (p[0] != 0 || p[1] > 63 || !(bad >> p[1] & 1))
			continue;
		if (n && n + 2 < sizeof(h->unknown)) {
			memcpy(h->unknown + n, ", ", 3);
			n += 2;
		}
		for (; k < 46 && p[2 + k] && n + 1 < sizeof(h->unknown); k++)
			h->unknown[n++] = p[2 + k] >= ' ' && p[2 + k] < 0x7f
						  ? (char)p[2 + k]
						  : '?';
		h->unknown[n] = 0;
	}
}

/* The extensions, from the header's end to where the backing name or the
 * first cluster ends ("Header extensions"). */
static int extensions(struct source *file, struct qcow2_header *h,
	struct error *e)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	uint64_t end = h->backing_off ? h->backing_off : cluster;
	/* Nothing that we use is longer; unknown ones are only skipped. */
	static const size_t max = 65536;
	AUTO_FREE uint8_t *buf = NULL;
	struct cursor c;
	size_t len;
	int r;

	end = u64_min(u64_min(end, cluster), file->size);
	if (end <= h->length)
		return 0;
	len = (size_t)u64_min(end - h->length, max);
	buf = malloc(len);
	if (!buf)
		return error_nomem(e);
	r = source_pread(file, buf, len, h->length, e);
	if (r)
		return r;
	c = cursor_make(buf, len);
	while (c.left >= 8) {
		uint64_t at = h->length + (uint64_t)(c.p - buf);
		uint32_t type = cur_be32(&c), n = cur_be32(&c);
		const uint8_t *p;

		if (!type)
			break;
		if (n > c.left) {
			if (len < end - h->length)
				break; /* longer than what we look at */
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: header extension 0x%08" PRIx32
				" of %" PRIu32
				" bytes goes past the end of the header",
				type, n);
		}
		p = cur_bytes(&c, n);
		cur_skip(&c, size_min((8 - n % 8) % 8, c.left));
		r = 0;
		if (type == QCOW2_EXT_BACKING_FORMAT)
			r = copy_name(h->backing_format,
				sizeof(h->backing_format), p, n, at,
				"format of the backing file", e);
		else if (type == QCOW2_EXT_DATA_FILE)
			r = copy_name(h->data_file, sizeof(h->data_file), p, n,
				at, "name of the data file", e);
		else if (type == QCOW2_EXT_FEATURES)
			name_unknown(h, p, n);
		if (r)
			return r;
	}
	return 0;
}

static int check_features(struct qcow2_header *h,
	const struct finding_sink *findings, struct error *e)
{
	uint64_t bad = h->incompatible & ~QCOW2_INCOMPAT_KNOWN;

	if (bad)
		return error_at(e, ERR_UNSUPPORTED, 72,
			"qcow2: the image uses unknown incompatible features: "
			"%s%sbits 0x%" PRIx64,
			h->unknown, *h->unknown ? ", " : "", bad);
	if (h->incompatible & QCOW2_INCOMPAT_DIRTY)
		finding_report(findings, FINDING_DISK_DIRTY, 72, "dirty bit",
			"the reference counts may be wrong; they are not used");
	if (h->incompatible & QCOW2_INCOMPAT_CORRUPT)
		finding_report(findings, FINDING_DISK_DAMAGED, 72,
			"corrupt bit",
			"the program that wrote the image marked it corrupt");
	if (!(h->incompatible & QCOW2_INCOMPAT_COMPRESSION) !=
		(h->compression == QCOW2_ZLIB))
		return error_at(e, ERR_CORRUPT, 104,
			"qcow2: the compression type %d contradicts the "
			"incompatible features 0x%" PRIx64,
			(int)h->compression, h->incompatible);
	if (h->compression > QCOW2_ZSTD)
		return error_at(e, ERR_UNSUPPORTED, 104,
			"qcow2: unknown compression type %d",
			(int)h->compression);
	if (h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2 &&
		h->cluster_bits < 14)
		return error_at(e, ERR_CORRUPT, 20,
			"qcow2: subclusters with clusters of %" PRIu32
			" bytes, less than 16384",
			UINT32_C(1) << h->cluster_bits);
	if (h->crypt)
		return error_at(e, ERR_UNSUPPORTED, 32,
			"qcow2: the image is encrypted (%s); decrypt it first, "
			"with qemu-img convert",
			h->crypt == 1	? "AES"
			: h->crypt == 2 ? "LUKS"
					: "an unknown method");
	return 0;
}

/* Tables that reading does not need: damage there is told, not fatal. */
static void check_refcounts(struct source *file, const struct qcow2_header *h,
	const struct finding_sink *findings)
{
	uint64_t len = (uint64_t)h->refcount_clusters << h->cluster_bits;

	if (h->refcount_off & ((UINT64_C(1) << h->cluster_bits) - 1) ||
		!range_inside(h->refcount_off, len, file->size) ||
		!h->refcount_clusters)
		finding_report(findings, FINDING_DISK_DAMAGED, 48,
			"refcount_table_offset",
			"the table of reference counts is not inside the file; "
			"reading does not need it");
	if (h->refcount_order > 6)
		finding_report(findings, FINDING_DISK_DAMAGED, 96,
			"refcount_order",
			"%" PRIu32 " is more than 6; reading does not need it",
			h->refcount_order);
}

static int read_backing_name(struct source *file, struct qcow2_header *h,
	struct error *e)
{
	uint8_t name[1024];
	int r;

	if (!h->backing_off)
		return 0;
	if (h->backing_len >= sizeof(name))
		return error_at(e, ERR_CORRUPT, 16,
			"qcow2: the name of the backing file has %" PRIu32
			" bytes, more than 1023",
			h->backing_len);
	if (!range_inside(h->backing_off, h->backing_len,
		    u64_min(file->size, UINT64_C(1) << h->cluster_bits)) ||
		h->backing_off < h->length)
		return error_at(e, ERR_CORRUPT, 8,
			"qcow2: the name of the backing file at offset %" PRIu64
			" is not inside the first cluster",
			h->backing_off);
	r = source_pread(file, name, h->backing_len, h->backing_off, e);
	if (r)
		return r;
	return copy_name(h->backing, sizeof(h->backing), name, h->backing_len,
		h->backing_off, "name of the backing file", e);
}

int qcow2_header_read(struct source *file, struct qcow2_header *h,
	const struct finding_sink *findings, struct error *e)
{
	uint8_t raw[QCOW2_WRITE_HEADER] = { 0 };
	size_t have = (size_t)u64_min(sizeof(raw), file->size);
	struct cursor c;
	int r;

	memset(h, 0, sizeof(*h));
	if (have < QCOW2_V2_HEADER)
		return error_at(e, ERR_CORRUPT, 0,
			"qcow2: the file ends inside the header");
	r = source_pread(file, raw, have, 0, e);
	if (r)
		return r;
	if (memcmp(raw, QCOW2_MAGIC, 4) != 0)
		return error_at(e, ERR_CORRUPT, 0, "qcow2: no magic");
	c = cursor_make(raw + 4, have - 4);
	h->version = cur_be32(&c);
	h->backing_off = cur_be64(&c);
	h->backing_len = cur_be32(&c);
	h->cluster_bits = cur_be32(&c);
	h->size = cur_be64(&c);
	h->crypt = cur_be32(&c);
	h->l1_size = cur_be32(&c);
	h->l1_off = cur_be64(&c);
	h->refcount_off = cur_be64(&c);
	h->refcount_clusters = cur_be32(&c);
	h->snapshots = cur_be32(&c);
	h->snapshots_off = cur_be64(&c);
	h->length = QCOW2_V2_HEADER;
	h->refcount_order = 4;
	if (h->version != 2 && h->version != 3)
		return error_at(e, ERR_UNSUPPORTED, 4,
			"qcow2: version %" PRIu32 " is not known", h->version);
	if (h->cluster_bits < 9 || h->cluster_bits > 21)
		return error_at(e, ERR_CORRUPT, 20,
			"qcow2: cluster_bits %" PRIu32
			" is not between 9 and 21",
			h->cluster_bits);
	if (h->version == 3) {
		h->incompatible = cur_be64(&c);
		h->compatible = cur_be64(&c);
		h->autoclear = cur_be64(&c);
		h->refcount_order = cur_be32(&c);
		h->length = cur_be32(&c);
		if (c.bad)
			return error_at(e, ERR_CORRUPT, 72,
				"qcow2: the file ends inside the header");
		if (h->length < QCOW2_V3_HEADER || h->length % 8 ||
			h->length > UINT32_C(1) << h->cluster_bits)
			return error_at(e, ERR_CORRUPT, 100,
				"qcow2: header_length %" PRIu32
				" is not a multiple of 8 from 104 to the size "
				"of a cluster",
				h->length);
		if (h->length > QCOW2_V3_HEADER)
			h->compression = cur_u8(&c);
	}
	if (h->size > LIMIT_DISK_SIZE)
		return error_at(e, ERR_LIMIT, 24,
			"qcow2: the disk has %" PRIu64 " bytes, over 2^62",
			h->size);
	/* The feature names first: an image of the future may differ in all
	 * that follows. */
	r = extensions(file, h, e);
	if (r && !(h->incompatible & ~QCOW2_INCOMPAT_KNOWN))
		return r;
	r = check_features(h, findings, e);
	if (!r)
		r = read_backing_name(file, h, e);
	if (r)
		return r;
	check_refcounts(file, h, findings);
	return 0;
}

/* --- internal snapshots --- */

struct snapshot_entry {
	uint64_t l1_off, size, vm_state;
	uint32_t l1_size, date;
	char *id, *name; /* owned */
};

static void entry_release(struct snapshot_entry *s)
{
	free(s->id);
	free(s->name);
}

/* Reads the entry at *at and moves past it. */
static int read_entry(struct source *file, const struct qcow2_header *h,
	uint64_t *at, struct snapshot_entry *s, struct error *e)
{
	uint8_t fixed[40], extra[16] = { 0 };
	struct cursor c = cursor_make(fixed, sizeof(fixed));
	uint32_t id_len, name_len, extra_len;
	uint64_t names, total;
	int r;

	memset(s, 0, sizeof(*s));
	if (!range_inside(*at, sizeof(fixed), file->size))
		return error_at(e, ERR_CORRUPT, *at,
			"qcow2: the table of snapshots goes past the end of "
			"the file");
	r = source_pread(file, fixed, sizeof(fixed), *at, e);
	if (r)
		return r;
	s->l1_off = cur_be64(&c);
	s->l1_size = cur_be32(&c);
	id_len = cur_be16(&c);
	name_len = cur_be16(&c);
	s->date = cur_be32(&c);
	cur_skip(&c, 12); /* nanoseconds, clock of the guest */
	s->vm_state = cur_be32(&c);
	extra_len = cur_be32(&c);
	if (extra_len > LIMIT_QCOW2_SNAPSHOT_EXTRA)
		return error_at(e, ERR_LIMIT, *at + 36,
			"qcow2: a snapshot has %" PRIu32
			" bytes of extra data, over 1 KiB",
			extra_len);
	names = *at + sizeof(fixed) + extra_len;
	total = sizeof(fixed) + extra_len + id_len + name_len;
	if (!range_inside(*at, total, file->size))
		return error_at(e, ERR_CORRUPT, *at,
			"qcow2: the table of snapshots goes past the end of "
			"the file");
	s->size = h->size;
	r = source_pread(file, extra, size_min(extra_len, sizeof(extra)),
		*at + sizeof(fixed), e);
	if (r)
		return r;
	if (extra_len >= 8)
		s->vm_state = get_be64(extra);
	if (extra_len >= 16)
		s->size = get_be64(extra + 8);
	s->id = calloc(1, (size_t)id_len + 1);
	s->name = calloc(1, (size_t)name_len + 1);
	r = !s->id || !s->name ? error_nomem(e)
			       : source_pread(file, s->id, id_len, names, e);
	if (!r)
		r = source_pread(file, s->name, name_len, names + id_len, e);
	if (r) {
		entry_release(s);
		return r;
	}
	*at += round_up(total, 8);
	return 0;
}

static int check_snapshots(const struct qcow2_header *h, struct error *e)
{
	if (h->snapshots > LIMIT_QCOW2_SNAPSHOTS)
		return error_at(e, ERR_LIMIT, 60,
			"qcow2: %" PRIu32 " snapshots, over 65536",
			h->snapshots);
	if (h->snapshots &&
		h->snapshots_off & ((UINT64_C(1) << h->cluster_bits) - 1))
		return error_at(e, ERR_CORRUPT, 64,
			"qcow2: the table of snapshots at offset %" PRIu64
			" is not on a cluster",
			h->snapshots_off);
	return 0;
}

int qcow2_snapshots(struct source *file,
	int (*each)(void *ctx, const struct qcow2_snapshot *s), void *ctx,
	struct error *e)
{
	struct qcow2_header h;
	uint64_t at;
	int r = qcow2_header_read(file, &h, NULL, e);

	if (!r)
		r = check_snapshots(&h, e);
	at = h.snapshots_off;
	for (uint32_t i = 0; !r && i < h.snapshots; i++) {
		struct snapshot_entry s;
		bool stop;

		r = read_entry(file, &h, &at, &s, e);
		if (r)
			return r;
		stop = each(ctx,
			&(struct qcow2_snapshot){ s.id, s.name, s.size,
				s.vm_state, s.date });
		entry_release(&s);
		if (stop)
			return 0;
	}
	return r;
}

int qcow2_use_snapshot(struct source *file, struct qcow2_header *h,
	const char *wanted, struct error *e)
{
	uint64_t at = h->snapshots_off;
	struct snapshot_entry s;
	bool found = false;
	struct qcow2_header n = *h;
	int r = check_snapshots(h, e);

	/* An id wins over a name, as in qemu-img. */
	for (uint32_t i = 0; !r && i < h->snapshots; i++) {
		bool id, name;

		r = read_entry(file, h, &at, &s, e);
		if (r)
			return r;
		id = !strcmp(s.id, wanted);
		name = !strcmp(s.name, wanted) && !found;
		if (id || name) {
			found = true;
			n.l1_off = s.l1_off;
			n.l1_size = s.l1_size;
			n.size = s.size;
		}
		entry_release(&s);
		if (id)
			break;
	}
	if (r)
		return r;
	if (!found)
		return error_set(e, ERR_NOTFOUND,
			"qcow2: there is no snapshot '%s' in the image",
			wanted);
	if (n.size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT,
			"qcow2: snapshot '%s' has %" PRIu64
			" bytes, over 2^62",
			wanted, n.size);
	*h = n;
	return 0;
}

int qcow2_read_facts(struct source *file, struct qcow2_facts *out,
	struct error *e)
{
	struct qcow2_header h;
	int r = qcow2_header_read(file, &h, NULL, e);

	if (r)
		return r;
	memset(out, 0, sizeof(*out));
	out->version = h.version;
	out->cluster_size = UINT32_C(1) << h.cluster_bits;
	out->size = h.size;
	out->snapshots = h.snapshots;
	out->extended_l2 = h.incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	out->dirty = h.incompatible & QCOW2_INCOMPAT_DIRTY;
	out->corrupt = h.incompatible & QCOW2_INCOMPAT_CORRUPT;
	snprintf(out->compression, sizeof(out->compression), "%s",
		h.compression == QCOW2_ZSTD ? "zstd" : "zlib");
	memcpy(out->backing, h.backing, sizeof(out->backing));
	memcpy(out->backing_format, h.backing_format,
		sizeof(out->backing_format));
	if (h.incompatible & QCOW2_INCOMPAT_DATA_FILE)
		memcpy(out->data_file, h.data_file, sizeof(out->data_file));
	return 0;
}
