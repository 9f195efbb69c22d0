/* SPDX-License-Identifier: Apache-2.0 */
/* exFAT: directories. A file is a set of entries: one for the file, one for
 * its content, and one for every 15 characters of its name. */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "fs/exfat.h"
#include "fs/label.h"

#define TYPE_BITMAP 0x81
#define TYPE_LABEL 0x83
#define TYPE_FILE 0x85
#define TYPE_STREAM 0xc0
#define TYPE_NAME 0xc1
#define SET_MAX 19 /* section 7.4.1: 2 to 18 behind the first */

/* Reads a directory entry by entry, over its clusters. */
struct dir_cursor {
	struct exfat *x;
	uint64_t off, end; /* in the cluster at hand */
	uint32_t cluster;
	bool contiguous;
	/* The measure that shrinks. */
	uint64_t left;
	/* Brent's: a loop is found before left has gone. */
	uint32_t tortoise, power, steps;
};

#define DIR_BYTES ((uint64_t)LIMIT_DIR_ENTRIES * 32)

/* off: of an entry within cluster. */
static void cursor_at(struct dir_cursor *c, struct exfat *x, uint32_t cluster,
	uint64_t off, bool contiguous, uint64_t left)
{
	const struct fat_geometry *g = &x->fat.g;

	*c = (struct dir_cursor){ .x = x,
		.off = off,
		.end = fat_cluster_off(g, cluster) + g->cluster,
		.cluster = cluster,
		.contiguous = contiguous,
		.left = left,
		.tortoise = cluster,
		.power = 1 };
}

/* The next entry and where it is. *out_end: there is none. */
static int next_entry(struct dir_cursor *c, uint8_t out[32], uint64_t *out_off,
	bool *out_end, struct error *e)
{
	const struct fat_geometry *g = &c->x->fat.g;
	int r;

	*out_end = c->left < 32;
	if (*out_end)
		return 0;
	if (c->off == c->end) {
		uint32_t next = c->cluster + 1;

		if (!c->contiguous) {
			r = fat_next(&c->x->fat, c->cluster, &next, e);
			if (r)
				return r;
			if (next == FAT_END) {
				*out_end = true;
				return 0;
			}
			if (next == c->tortoise)
				return error_set(e, ERR_CORRUPT,
					"the chain of a directory loops at "
					"cluster %" PRIu32,
					next);
			if (++c->steps == c->power) {
				c->tortoise = next;
				c->power *= 2;
				c->steps = 0;
			}
		}
		if (!fat_is_cluster(g, next))
			return error_set(e, ERR_CORRUPT,
				"a directory goes on in cluster %" PRIu32
				" of %" PRIu32,
				next, g->clusters);
		c->cluster = next;
		c->off = fat_cluster_off(g, next);
		c->end = c->off + g->cluster;
	}
	r = source_pread(c->x->fat.cache, out, 32, c->off, e);
	if (r)
		return r == ERR_RANGE ? error_at(e, ERR_CORRUPT, c->off,
						"the directory is outside the "
						"volume")
				      : r;
	*out_off = c->off;
	c->off += 32;
	c->left -= 32;
	return 0;
}

static uint16_t sum(uint16_t s, const uint8_t b[32], bool first)
{
	for (unsigned i = 0; i < 32; i++)
		if (!first || (i != 2 && i != 3))
			s = (uint16_t)((s << 15 | s >> 1) + b[i]);
	return s;
}

/* The rest of the set whose first entry is b, at off. The cursor is behind
 * it; on failure it is put back there, so that the walk goes on with the next
 * entry. */
static int read_set(struct dir_cursor *c, const uint8_t first[32], uint64_t off,
	struct exfat_file *out, struct error *e)
{
	unsigned count = first[1], names = 0;
	uint16_t s = sum(0, first, true);
	struct exfat_file f = {
		.attr = get_le16(first + 4),
		.mtime = get_le32(first + 12),
		.mtime_10ms = first[21],
		.mtime_zone = first[23],
	};

	if (count < 2 || count >= SET_MAX)
		return error_at(e, ERR_CORRUPT, off + 1,
			"a set of %u entries", count + 1);
	for (unsigned i = 0; i < count; i++) {
		uint8_t b[32];
		uint64_t at;
		bool end;
		int r = next_entry(c, b, &at, &end, e);

		if (r)
			return r;
		if (end || !(b[0] & 0x80) || !(b[0] & 0x40) ||
			(i == 0) != (b[0] == TYPE_STREAM))
			return error_at(e, ERR_CORRUPT, off,
				"entry %u of a set of %u is missing", i + 1,
				count + 1);
		s = sum(s, b, false);
		if (i == 0) {
			f.contiguous = b[1] & 2;
			f.name_units = b[3];
			f.valid = get_le64(b + 8);
			f.start = get_le32(b + 20);
			f.size = get_le64(b + 24);
		} else if (b[0] == TYPE_NAME && names < 17) {
			memcpy(f.name + names * 30, b + 2, 30);
			names++;
		}
	}
	if (!checksum_agrees(s, get_le16(first + 2)))
		return error_at(e, ERR_CORRUPT, off + 2,
			"the checksum of a set of entries is %#x, not %#x",
			(unsigned)get_le16(first + 2), (unsigned)s);
	if (!f.name_units || f.name_units > names * 15)
		return error_at(e, ERR_CORRUPT, off,
			"a name of %u characters in %u entries",
			(unsigned)f.name_units, names);
	if (f.valid > f.size)
		return error_at(e, ERR_CORRUPT, off,
			"%" PRIu64 " valid bytes of %" PRIu64, f.valid, f.size);
	*out = f;
	return 0;
}

static uint32_t cluster_of(const struct fat_geometry *g, uint64_t off)
{
	/* below clusters + 2: the caller checked that it is in the heap */
	return (uint32_t)((off - g->data_off) / g->cluster + 2);
}

int exfat_file(struct exfat *x, uint64_t id, struct exfat_file *out,
	struct error *e)
{
	const struct fat_geometry *g = &x->fat.g;
	bool contiguous = id & EXFAT_ID_CONTIGUOUS, end;
	uint64_t off = id & ~(uint64_t)31;
	struct dir_cursor c;
	uint8_t b[32];
	int r;

	if ((id & 31 & ~(uint64_t)EXFAT_ID_CONTIGUOUS) || off < g->data_off ||
		(off - g->data_off) / g->cluster >= g->clusters)
		return error_set(e, ERR_NOTFOUND, "no exFAT entry %" PRIu64, id);
	cursor_at(&c, x, cluster_of(g, off), off, contiguous, SET_MAX * 32);
	r = next_entry(&c, b, &off, &end, e);
	if (r)
		return r;
	if (b[0] != TYPE_FILE)
		return error_at(e, ERR_NOTFOUND, off,
			"no exFAT entry in use at %" PRIu64, off);
	return read_set(&c, b, off, out, e);
}

/* Where a directory starts. */
static int open_dir(struct exfat *x, uint64_t dir, struct dir_cursor *c,
	struct error *e)
{
	const struct fat_geometry *g = &x->fat.g;
	struct exfat_file f = { .start = g->root_cluster, .size = DIR_BYTES };
	int r;

	if (dir != EXFAT_ROOT_ID) {
		r = exfat_file(x, dir, &f, e);
		if (r)
			return r;
		if (!(f.attr & FAT_ATTR_DIR))
			return error_at(e, ERR_ARG, dir,
				"exFAT entry %" PRIu64 " is no directory", dir);
		if (!f.size) {
			*c = (struct dir_cursor){ .x = x };
			return 0;
		}
	}
	if (!fat_is_cluster(g, f.start))
		return error_set(e, ERR_CORRUPT,
			"a directory starts at cluster %" PRIu32, f.start);
	cursor_at(c, x, f.start, fat_cluster_off(g, f.start), f.contiguous,
		u64_min(f.size, DIR_BYTES));
	return 0;
}

static bool name_ok(const uint8_t *s, size_t len)
{
	return len && len <= LIMIT_NAME && !memchr(s, '/', len) &&
	       !memchr(s, 0, len) && !(len == 1 && s[0] == '.') &&
	       !(len == 2 && s[0] == '.' && s[1] == '.');
}

static int walk(struct dir_cursor *c, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	const struct finding_sink *findings = &c->x->fat.findings;
	unsigned bad = 0;
	int r;

	for (;;) {
		uint8_t b[32], name[3 * 255];
		struct dir_cursor back;
		struct exfat_file f;
		struct error err = { 0 };
		uint64_t off = 0;
		size_t len;
		bool end;

		r = next_entry(c, b, &off, &end, e);
		if (r || end || !b[0]) /* 0: the end, whatever is behind */
			return r;
		if (b[0] != TYPE_FILE)
			continue;
		back = *c;
		r = read_set(c, b, off, &f, &err);
		if (r) {
			*c = back;
			if (bad++ < 16) /* garbage has thousands */
				finding_report(findings, FINDING_DIR_DAMAGED,
					off, NULL, "folder %" PRIu64 ": %s; "
					"the entry is left out",
					dir, err.msg);
			continue;
		}
		len = utf16_to_utf8(f.name, f.name_units, false, UTF_LONE_KEEP,
			name, sizeof(name), NULL);
		if (!name_ok(name, len)) {
			if (bad++ < 16)
				finding_report(findings, FINDING_NAME_BAD, off,
					NULL, "in folder %" PRIu64, dir);
			continue;
		}
		r = fn(ctx, name, len,
			off | (c->contiguous ? EXFAT_ID_CONTIGUOUS : 0));
		if (r)
			return r;
	}
}

int exfat_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct exfat *x = (struct exfat *)fs;
	struct error err = { 0 };
	struct dir_cursor c;
	int r;

	r = open_dir(x, dir, &c, &err);
	if (!r) {
		struct error chain_error = { 0 };
		uint64_t clusters = 0;
		int bad = 0;

		/* No further than where the chain loops or breaks, so that
		 * each entry comes once. */
		if (!c.contiguous && c.left) {
			bad = fat_chain_length(&x->fat, c.cluster,
				&clusters, &chain_error);
			c.left = u64_min(c.left, clusters * x->fat.g.cluster);
		}
		r = walk(&c, dir, fn, ctx, &err);
		if (!r && bad) {
			err = chain_error;
			r = bad;
		}
	}
	if (r && err.code) {
		if (r == ERR_CORRUPT || r == ERR_IO)
			finding_report(&x->fat.findings, FINDING_DIR_DAMAGED,
				dir, NULL, "folder %" PRIu64 ": %s", dir,
				err.msg);
		if (e)
			*e = err;
	}
	return r;
}

int exfat_read_root(struct exfat *x, bool active, char *label, size_t label_size,
	struct error *e)
{
	struct dir_cursor c;
	int r = open_dir(x, EXFAT_ROOT_ID, &c, e);

	if (r)
		return r;
	c.left = u64_min(c.left, 2 * MIB); /* these come first */
	for (;;) {
		uint8_t b[32];
		uint64_t off;
		bool end;

		/* A root that cannot be read is for readdir to say. */
		if (next_entry(&c, b, &off, &end, NULL) || end || !b[0])
			return 0;
		if (b[0] == TYPE_LABEL)
			fs_label_utf16(b + 2, size_min(b[1], 11), false, label,
				label_size);
		if (b[0] == TYPE_BITMAP && (b[1] & 1) == active) {
			x->bitmap_start = get_le32(b + 20);
			x->bitmap_len = get_le64(b + 24);
		}
	}
}
