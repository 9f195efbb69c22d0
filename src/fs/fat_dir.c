/* SPDX-License-Identifier: Apache-2.0 */
/* FAT: directories, short and long names. */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "base/vec.h"
#include "fs/fat.h"

#define LONG_SLOTS 20 /* 13 units each: 260, of which 255 may be used */
#define LONG_UNITS (LONG_SLOTS * 13)

/* Unicode of the upper half of code page 437, which Linux and most firmware
 * assume for short names. */
static const uint16_t cp437[128] = { 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4,
	0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec,
	0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb,
	0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192,
	0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf,
	0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592,
	0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551,
	0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c,
	0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560,
	0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552,
	0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590,
	0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
	0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261,
	0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219,
	0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0 };

size_t fat_cp437(const uint8_t *in, size_t n, bool lower, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t u = in[i] < 0x80 ? in[i] : cp437[in[i] - 0x80];

		/* ASCII, and the capital letters of Latin-1 */
		if (lower && ((u >= 'A' && u <= 'Z') ||
				     (u >= 0xc0 && u <= 0xde && u != 0xd7)))
			u += 32;
		len += utf8_put(out + len, u);
	}
	return len;
}

/* The long name that was collected so far. */
struct long_name {
	uint8_t units[2 * LONG_UNITS];
	unsigned slots;  /* of the name; 0: none */
	unsigned expect; /* the ordinal that must come next; 0: complete */
	uint8_t checksum;
};

struct dir_walk {
	struct fat *f;
	uint64_t dir;
	fs_entry_fn fn;
	void *ctx;
	struct long_name name;
	size_t entries;
	size_t bad_names;
	uint8_t *label; /* look for the label instead of listing */
	bool found_label, done;
};

static uint8_t checksum(const uint8_t name[11])
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + name[i]);
	return sum;
}

static void take_long(struct long_name *n, const struct fat_long_disk *d)
{
	unsigned ord = d->ord & 0x3f;
	uint8_t *p;

	if (d->ord & 0x40) {
		n->slots = n->expect = ord;
		n->checksum = d->checksum;
		if (!ord || ord > LONG_SLOTS)
			n->slots = 0;
	}
	if (!n->slots || ord != n->expect || !ord || d->checksum != n->checksum) {
		n->slots = 0;
		return;
	}
	p = n->units + (ord - 1) * 26;
	memcpy(p, d->name1, 10);
	memcpy(p + 10, d->name2, 12);
	memcpy(p + 22, d->name3, 4);
	n->expect--;
}

static bool name_ok(const uint8_t *s, size_t len)
{
	return len && len <= LIMIT_NAME && !memchr(s, '/', len) &&
	       !memchr(s, 0, len) && !(len == 1 && s[0] == '.') &&
	       !(len == 2 && s[0] == '.' && s[1] == '.');
}

static size_t long_name(const struct long_name *n, const uint8_t shrt[11],
	uint8_t out[3 * LONG_UNITS])
{
	size_t len;

	if (!n->slots || n->expect || n->checksum != checksum(shrt))
		return 0;
	len = utf16_len(n->units, (size_t)n->slots * 13);
	return utf16_to_utf8(n->units, len, false, UTF_LONE_KEEP, out,
		3 * LONG_UNITS, NULL);
}

/* Base and extension with their case bits (Windows NT keeps names such as
 * "readme.TXT" without a long entry). 0: not a name. */
static size_t short_name(const struct fat_entry_disk *d, uint8_t out[40])
{
	uint8_t raw[11];
	size_t base = 8, ext = 3, len;

	memcpy(raw, d->name, sizeof(raw));
	if (raw[0] == 0x05)
		raw[0] = 0xe5;
	while (base && raw[base - 1] == ' ')
		base--;
	while (ext && raw[8 + ext - 1] == ' ')
		ext--;
	for (size_t i = 0; i < 11; i++)
		if (raw[i] < ' ')
			return 0;
	if (!base)
		return 0;
	len = fat_cp437(raw, base, d->lcase & 0x08, out);
	if (ext) {
		out[len++] = '.';
		len += fat_cp437(raw + 8, ext, d->lcase & 0x10, out + len);
	}
	return len;
}

static void bad_name(struct dir_walk *w, uint64_t at, const char *what)
{
	/* A folder of garbage has thousands. */
	if (w->bad_names++ < 16)
		finding_report(&w->f->findings, FINDING_NAME_BAD, at, NULL,
			"entry at %" PRIu64 " of folder %" PRIu64 ": %s", at,
			w->dir, what);
}

/* One entry; at is its byte offset, which is its id. */
static int take(struct dir_walk *w, const uint8_t raw[32], uint64_t at,
	struct error *e)
{
	struct fat_entry_disk d;
	uint8_t name[3 * LONG_UNITS], shrt[40];
	size_t len;

	memcpy(&d, raw, sizeof(d));
	if (!d.name[0]) { /* the end, whatever is behind it */
		w->done = true;
		return 0;
	}
	if (d.name[0] == 0xe5) {
		w->name.slots = 0;
		return 0;
	}
	if ((d.attr & FAT_ATTR_LONG_MASK) == FAT_ATTR_LONG) {
		struct fat_long_disk l;

		memcpy(&l, raw, sizeof(l));
		take_long(&w->name, &l);
		return 0;
	}
	if (d.attr & FAT_ATTR_VOLUME) {
		w->name.slots = 0;
		if (w->label && !(d.attr & FAT_ATTR_DIR)) {
			memcpy(w->label, d.name, 11);
			w->found_label = w->done = true;
		}
		return 0;
	}
	len = long_name(&w->name, d.name, name);
	w->name.slots = 0;
	if (w->label || !memcmp(d.name, ".          ", 11) ||
		!memcmp(d.name, "..         ", 11))
		return 0;
	if (!len || !name_ok(name, len)) {
		if (len)
			bad_name(w, at,
				"its long name is none; the short one is used");
		len = short_name(&d, shrt);
		memcpy(name, shrt, len);
		if (!name_ok(name, len)) {
			bad_name(w, at, "its short name is none");
			return 0;
		}
	}
	if (++w->entries > LIMIT_DIR_ENTRIES)
		return error_at(e, ERR_LIMIT, at,
			"a directory of more than %d entries",
			LIMIT_DIR_ENTRIES);
	return w->fn(w->ctx, name, len, at);
}

static int take_range(struct dir_walk *w, uint64_t off, uint64_t len,
	struct error *e)
{
	uint8_t buf[4096];
	int r;

	while (len && !w->done) {
		size_t n = (size_t)u64_min(len, sizeof(buf));

		r = source_pread(w->f->cache, buf, n, off, e);
		if (r)
			return r == ERR_RANGE
				       ? error_at(e, ERR_CORRUPT, off,
						 "the directory is outside the "
						 "volume")
				       : r;
		for (size_t i = 0; i + 32 <= n && !w->done; i += 32) {
			r = take(w, buf + i, off + i, e);
			if (r)
				return r;
		}
		off += n;
		len -= n;
	}
	return 0;
}

/* A directory has at most this many bytes: 2 MiB by the specification, more
 * is read in case, as long as it is below the cap on entries. */
#define DIR_BYTES ((uint64_t)LIMIT_DIR_ENTRIES * 32)

struct clusters {
	uint32_t *items;
	size_t len, cap;
};

/* The whole chain, each cluster once. CORRUPT after what is good. A loop is
 * found by Brent's method and cut where it closes. */
static int chain(struct fat *f, uint32_t start, struct clusters *v,
	struct error *e)
{
	uint64_t max = DIR_BYTES / f->g.cluster;
	size_t tortoise = 0, power = 1, steps = 0;
	uint32_t c = start;
	int r;

	if (!fat_is_cluster(&f->g, start))
		return error_set(e, ERR_CORRUPT,
			"a directory starts at cluster %" PRIu32, start);
	for (;;) {
		if (!vec_push(v, c))
			return error_nomem(e);
		if (v->len > max)
			return error_set(e, ERR_LIMIT,
				"a directory of more than %" PRIu64 " bytes",
				DIR_BYTES);
		r = fat_next(f, c, &c, e);
		if (r)
			return r;
		if (c == FAT_END)
			return 0;
		if (c == v->items[tortoise]) {
			size_t lambda = v->len - tortoise, j = 0;

			while (j + lambda < v->len &&
				v->items[j] != v->items[j + lambda])
				j++;
			v->len = j + lambda;
			return error_set(e, ERR_CORRUPT,
				"the chain of a directory loops at cluster "
				"%" PRIu32,
				c);
		}
		if (++steps == power) {
			tortoise = v->len;
			power *= 2;
			steps = 0;
			/* the item at tortoise is the one pushed next */
			if (!vec_reserve(v, v->len + 1))
				return error_nomem(e);
			v->items[tortoise] = c;
		}
	}
}

int fat_chain_length(struct fat *f, uint32_t start, uint64_t *out_clusters,
	struct error *e)
{
	struct clusters v = { 0 };
	int r = chain(f, start, &v, e);

	*out_clusters = v.len;
	vec_release(&v);
	return r;
}

static int walk_chain(struct dir_walk *w, uint32_t start, struct error *e)
{
	struct clusters v = { 0 };
	struct error chain_error = { 0 };
	int bad, r = 0;

	bad = chain(w->f, start, &v, &chain_error);
	for (size_t i = 0; i < v.len && !w->done && !r; i++)
		r = take_range(w, fat_cluster_off(&w->f->g, v.items[i]),
			w->f->g.cluster, e);
	vec_release(&v);
	if (!r && bad) {
		/* also where the end was seen before: the chain is damaged */
		if (e)
			*e = chain_error;
		r = bad;
	}
	return r;
}

static int walk(struct dir_walk *w, struct error *e)
{
	struct fat *f = w->f;
	struct fat_entry_disk d;
	int r;

	if (w->dir == FAT_ROOT_ID)
		return f->g.bits == 32
			       ? walk_chain(w, f->g.root_cluster, e)
			       : take_range(w, f->g.root_off, f->g.root_len, e);
	r = fat_entry(f, w->dir, &d, e);
	if (r)
		return r;
	if (!(d.attr & FAT_ATTR_DIR))
		return error_at(e, ERR_ARG, w->dir,
			"FAT entry %" PRIu64 " is no directory", w->dir);
	return walk_chain(w, fat_entry_start(f, &d), e);
}

int fat_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct dir_walk w = {
		.f = (struct fat *)fs, .dir = dir, .fn = fn, .ctx = ctx
	};
	struct error err = { 0 };
	int r;

	r = walk(&w, &err);
	if (r && err.code) {
		if (r == ERR_CORRUPT || r == ERR_LIMIT || r == ERR_IO)
			finding_report(&w.f->findings, FINDING_DIR_DAMAGED, dir,
				NULL, "folder %" PRIu64 ": %s", dir, err.msg);
		if (e)
			*e = err;
	}
	return r;
}

bool fat_find_label(struct fat *f, uint8_t out[11])
{
	struct dir_walk w = { .f = f, .dir = FAT_ROOT_ID, .label = out };
	struct error e;
	uint32_t c = f->g.root_cluster;

	if (f->g.bits != 32) {
		(void)!take_range(&w, f->g.root_off, f->g.root_len, &e);
		return w.found_label;
	}
	/* Bounded: this is also asked while probing. */
	for (int i = 0; i < 64 && !w.done; i++)
		if (take_range(&w, fat_cluster_off(&f->g, c), f->g.cluster,
			    &e) ||
			fat_next(f, c, &c, &e) || c == FAT_END)
			break;
	return w.found_label;
}
