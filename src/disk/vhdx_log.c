/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a VHDX: what was about to be written to its metadata when it was
 * last open ([MS-VHDX] 2.3). The log is a ring of entries; the run of entries
 * with the highest sequence numbers that reaches back to the tail its last
 * entry names is the one to replay. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/vhdx.h"

#define SECTOR 4096u
/* Bytes that one replay may write: the log describes metadata. */
#define REPLAY_MAX (512 * MIB)
/* What the file may grow by: a few blocks of 256 MiB. */
#define GROW_MAX (4 * GIB)

struct log {
	const struct vhdx_header *h;
	uint8_t *ring; /* the log twice, so that no entry wraps */
	uint32_t length;
	uint64_t budget; /* bytes that may still be checksummed */
};

/* A run of entries; offsets count on past length where it wraps. */
struct run {
	uint32_t start, end, head, tail;
	uint64_t sequence; /* of the head, the last entry */
	unsigned entries;
};

static bool descriptors_ok(const uint8_t *p, const struct vhdx_log_header *lh)
{
	uint64_t n = le32_get(lh->descriptors), data = 0;
	uint64_t area = round_up(sizeof(*lh) + n * sizeof(struct vhdx_log_desc),
		SECTOR);

	if (area > le32_get(lh->length))
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct vhdx_log_desc d;
		struct vhdx_log_data s;

		memcpy(&d, p + sizeof(*lh) + i * sizeof(d), sizeof(d));
		if (le64_get(d.sequence) != le64_get(lh->sequence) ||
			le64_get(d.offset) % SECTOR)
			return false;
		if (!memcmp(d.signature, "zero", 4)) {
			if (le64_get(d.leading) % SECTOR)
				return false;
			continue;
		}
		if (memcmp(d.signature, "desc", 4) != 0 ||
			area + (data + 1) * SECTOR > le32_get(lh->length))
			return false;
		memcpy(&s, p + area + data++ * SECTOR, sizeof(s));
		if (memcmp(s.signature, "data", 4) != 0 ||
			((uint64_t)le32_get(s.sequence_high) << 32 |
				le32_get(s.sequence_low)) !=
				le64_get(lh->sequence))
			return false;
	}
	return area + data * SECTOR == le32_get(lh->length);
}

/* Is there a valid entry at off (below length)? */
static bool entry_at(struct log *g, uint32_t off, struct vhdx_log_header *lh)
{
	const uint8_t *p = g->ring + off;
	uint32_t len;

	memcpy(lh, p, sizeof(*lh));
	len = le32_get(lh->length);
	if (memcmp(lh->signature, "loge", 4) != 0 || len < SECTOR ||
		len % SECTOR || len > g->length ||
		le32_get(lh->tail) % SECTOR || le32_get(lh->tail) >= g->length ||
		!le64_get(lh->sequence) ||
		memcmp(lh->log_guid, g->h->log_guid, 16) != 0)
		return false;
	if (len > g->budget) {
		g->budget = 0;
		return false;
	}
	g->budget -= len;
	return vhdx_checksum(p, len) == le32_get(lh->checksum) &&
	       descriptors_ok(p, lh);
}

/* The entries from off on, each one's number one higher than the last's. */
static struct run run_from(struct log *g, uint32_t off)
{
	struct run r = { .start = off, .end = off };
	struct vhdx_log_header lh;

	/* Not around the ring more than once. */
	while (r.end - r.start < g->length &&
		entry_at(g, r.end % g->length, &lh) &&
		le32_get(lh.length) <= g->length - (r.end - r.start) &&
		(!r.entries || le64_get(lh.sequence) == r.sequence + 1)) {
		r.sequence = le64_get(lh.sequence);
		r.head = r.end;
		r.tail = le32_get(lh.tail);
		r.end += le32_get(lh.length);
		r.entries++;
	}
	return r;
}

/* Where in the run the entry that its head calls the tail begins; the run's
 * end where it does not hold it. */
static uint32_t tail_in(struct log *g, const struct run *r)
{
	uint32_t at = r->start;

	while (at < r->end && at % g->length != r->tail)
		at += get_le32(g->ring + at % g->length + 8);
	return at;
}

static int write_zeros(struct source *o, uint64_t off, uint64_t len,
	struct error *e)
{
	static const uint8_t zeros[65536];
	int r = 0;

	while (len && !r) {
		size_t n = (size_t)u64_min(len, sizeof(zeros));

		r = source_overlay_write(o, zeros, n, off, e);
		off += n;
		len -= n;
	}
	return r;
}

static int replay_entry(const uint8_t *p, struct source *o, uint64_t *left,
	struct error *e)
{
	struct vhdx_log_header lh;
	size_t area, n;
	int r = 0;

	memcpy(&lh, p, sizeof(lh));
	n = le32_get(lh.descriptors);
	area = (size_t)round_up(sizeof(lh) + n * sizeof(struct vhdx_log_desc),
		SECTOR);
	for (size_t i = 0; i < n && !r; i++) {
		struct vhdx_log_desc d;
		uint8_t page[SECTOR];
		uint64_t len;

		memcpy(&d, p + sizeof(lh) + i * sizeof(d), sizeof(d));
		len = *d.signature == 'z' ? le64_get(d.leading) : SECTOR;
		if (len > *left)
			return error_set(e, ERR_LIMIT,
				"vhdx: the log writes more than %" PRIu64
				" MiB", REPLAY_MAX / MIB);
		*left -= len;
		if (*d.signature == 'z') {
			r = write_zeros(o, le64_get(d.offset), len, e);
			continue;
		}
		memcpy(page, &d.leading, 8);
		memcpy(page + 8, p + area + 8, 4084);
		memcpy(page + 4092, &d.trailing, 4);
		area += SECTOR;
		r = source_overlay_write(o, page, sizeof(page),
			le64_get(d.offset), e);
	}
	return r == ERR_RANGE ? error_set(e, ERR_CORRUPT,
					"vhdx: the log writes outside the file")
			      : r;
}

static int replay(struct log *g, const struct run *run, struct source *file,
	const struct finding_sink *findings, struct source **out,
	struct error *e)
{
	AUTO_SOURCE grown = NULL;
	AUTO_SOURCE o = NULL;
	struct vhdx_log_header lh;
	uint64_t left = REPLAY_MAX, size;
	uint32_t first = tail_in(g, run);
	unsigned n = 0;
	int r;

	memcpy(&lh, g->ring + run->head % g->length, sizeof(lh));
	size = u64_max(file->size, le64_get(lh.last_size));
	if (size - file->size > GROW_MAX)
		return error_set(e, ERR_CORRUPT,
			"vhdx: the log says that the file had %" PRIu64
			" bytes, it has %" PRIu64, size, file->size);
	if (le64_get(lh.flushed_size) > file->size)
		finding_report(findings, FINDING_DISK_TRUNCATED, file->size,
			"vhdx", "the log says that the file had %" PRIu64
			" bytes, it has %" PRIu64, le64_get(lh.flushed_size),
			file->size);
	r = source_resize(file, size, &grown, e);
	if (!r)
		r = source_overlay(grown, &o, e);
	for (uint32_t at = first; at < run->end && !r; n++) {
		const uint8_t *p = g->ring + at % g->length;

		r = replay_entry(p, o, &left, e);
		at += get_le32(p + 8);
	}
	if (r)
		return r;
	finding_report(findings, FINDING_DISK_DIRTY, le64_get(g->h->log_offset),
		"vhdx", "its log was replayed in memory: %u entries", n);
	*out = steal_ptr(o);
	return 0;
}

static int search(struct log *g, struct run *best)
{
	/* at only moves on: a run is skipped as a whole. */
	for (uint32_t at = 0; at < g->length && g->budget;) {
		struct run r = run_from(g, at);

		if (!r.entries) {
			at += SECTOR;
			continue;
		}
		if (r.sequence > best->sequence && tail_in(g, &r) < r.end)
			*best = r;
		at = r.end;
	}
	return g->budget != 0;
}

int vhdx_replay(struct source *file, const struct vhdx_header *h,
	const struct finding_sink *findings, struct source **out,
	struct error *e)
{
	static const uint8_t none[16];
	struct log g = { .h = h, .length = le32_get(h->log_length) };
	uint64_t off = le64_get(h->log_offset);
	struct run best = { 0 };
	int r;

	if (!memcmp(h->log_guid, none, 16)) {
		*out = source_ref(file);
		return 0;
	}
	if (le16_get(h->log_version))
		return error_set(e, ERR_UNSUPPORTED,
			"vhdx: a log of version %u", le16_get(h->log_version));
	if (g.length < VHDX_ALIGN || g.length % VHDX_ALIGN ||
		off % VHDX_ALIGN || off < VHDX_ALIGN ||
		!range_inside(off, g.length, file->size))
		return error_at(e, ERR_CORRUPT, off,
			"vhdx: the log of %u bytes at %" PRIu64
			" is outside the file of %" PRIu64, g.length, off,
			file->size);
	if (g.length > LIMIT_VHDX_LOG)
		return error_at(e, ERR_LIMIT, off, "vhdx: a log of %u bytes",
			g.length);
	g.budget = 8 * (uint64_t)g.length;
	g.ring = malloc(2 * (size_t)g.length);
	if (!g.ring)
		return error_nomem(e);
	r = source_pread(file, g.ring, g.length, off, e);
	if (!r) {
		memcpy(g.ring + g.length, g.ring, g.length);
		if (!search(&g, &best))
			r = error_at(e, ERR_LIMIT, off,
				"vhdx: the entries of the log overlap");
	}
	if (!r && best.entries) {
		r = replay(&g, &best, file, findings, out, e);
	} else if (!r) {
		finding_report(findings, FINDING_DISK_DAMAGED, off, "vhdx",
			"it was not closed, and its log holds no valid entry");
		*out = source_ref(file);
	}
	free(g.ring);
	return r;
}
