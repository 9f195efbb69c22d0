/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/cursor.h"

static int damaged(struct error *e, const char *name, const char *why)
{
	return error_set(e, ERR_DAMAGED, "library: index/%s: %s", name, why);
}

static const uint8_t *table(struct cursor *c, uint64_t n, size_t item)
{
	size_t bytes;

	if (n > SIZE_MAX || !size_mul((size_t)n, item, &bytes)) {
		c->bad = true;
		return NULL;
	}
	return cur_bytes(c, bytes);
}

static int parse(struct index *ix, struct error *e)
{
	const struct index_header *h = (const void *)ix->data;
	struct cursor c = cursor_make(ix->data, ix->len);

	if (!cur_bytes(&c, sizeof(*h)) ||
		memcmp(h->magic, INDEX_MAGIC, 8) != 0 ||
		le64_get(h->header_checksum) !=
			checksum64(ix->data,
				offsetof(struct index_header,
					header_checksum)) ||
		!is_zero(h->zero, sizeof(h->zero)))
		return damaged(e, ix->name, "its header is damaged");
	if (le32_get(h->format) != STORE_FORMAT || le32_get(h->flags))
		return error_set(e, ERR_UNSUPPORTED,
			"library: index/%s has format %u: made by a newer "
			"strata",
			ix->name, le32_get(h->format));
	if (le64_get(h->size) != ix->len)
		return damaged(e, ix->name, "it is cut short");
	ix->npacks = le32_get(h->packs);
	ix->nframes = le32_get(h->frames);
	ix->packs = (const void *)table(&c, ix->npacks, sizeof(*ix->packs));
	ix->frames = (const void *)table(&c, ix->nframes, sizeof(*ix->frames));
	for (int i = 0; i < 2; i++) {
		struct index_section *s = &ix->sec[i];

		s->n = le64_get(h->objects[i]);
		s->bits = le32_get(h->fanout_bits[i]);
		if (s->bits > 28)
			return damaged(e, ix->name, "its fan-out is absurd");
		s->fanout = table(&c, (UINT64_C(1) << s->bits) + 1, 4);
		s->ids = table(&c, s->n, 32);
		s->locs = (const void *)table(&c, s->n, sizeof(*s->locs));
	}
	if (c.bad || c.left)
		return damaged(e, ix->name, "its tables do not fit");
	return 0;
}

int index_open(struct backend *be, const char *name, struct index *out,
	struct error *e)
{
	char path[64];
	const void *p;
	int r;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", name);
	snprintf(path, sizeof(path), "%s%s",
		strchr(name, '/') ? "" : "index/", out->name);
	r = be->ops->map(be, path, &p, &out->len, e);
	if (r)
		return r;
	out->data = p;
	r = parse(out, e);
	if (r)
		index_close(be, out);
	return r;
}

void index_close(struct backend *be, struct index *ix)
{
	be->ops->unmap(be, ix->data, ix->len);
	ix->data = NULL;
}

int index_check(const struct index *ix, struct error *e)
{
	const struct index_header *h = (const void *)ix->data;

	if (checksum64(ix->data + sizeof(*h), ix->len - sizeof(*h)) !=
		le64_get(h->body_checksum))
		return damaged(e, ix->name, "its checksum is wrong");
	for (uint32_t i = 0; i < ix->nframes; i++)
		if (le32_get(ix->frames[i].pack) >= ix->npacks)
			return damaged(e, ix->name, "a frame without a pack");
	for (int s = 0; s < 2; s++)
		for (uint64_t i = 0; i < ix->sec[s].n; i++) {
			const struct index_loc *l = &ix->sec[s].locs[i];
			uint32_t f = le32_get(l->frame);

			if (f >= ix->nframes ||
				!range_inside(le32_get(l->off), loc_len(l),
					le32_get(ix->frames[f].raw_len)) ||
				loc_kind(l) <= 0 || loc_kind(l) >= OBJ_KINDS ||
				(int)object_space(loc_kind(l)) != s)
				return damaged(e, ix->name, "an object that is "
							    "in no frame");
		}
	return 0;
}

uint32_t index_top_bits(const uint8_t *id, unsigned bits)
{
	return bits ? get_be32(id) >> (32 - bits) : 0;
}

/* [lo, hi) of the ids that share id's top bits. A damaged fan-out may give
 * anything: it is clipped here, and then the id is just not found. */
static void bucket(const struct index_section *s, const uint8_t *id,
	uint64_t *lo, uint64_t *hi)
{
	uint32_t b = index_top_bits(id, s->bits);

	*hi = u64_min(get_le32(s->fanout + 4 * (size_t)b + 4), s->n);
	*lo = u64_min(get_le32(s->fanout + 4 * (size_t)b), *hi);
}

static uint64_t lower_bound(const struct index_section *s, const uint8_t *id)
{
	uint64_t lo, hi;

	if (!s->n)
		return 0;
	bucket(s, id, &lo, &hi);
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->ids + 32 * mid, id, 32) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t index_lower_bound(const struct index *ix, enum object_space space,
	const struct oid *id)
{
	return lower_bound(&ix->sec[space], id->b);
}

bool index_find(const struct index *ix, enum object_space space,
	const struct oid *id, uint64_t *out_pos)
{
	const struct index_section *s = &ix->sec[space];
	uint64_t pos = lower_bound(s, id->b);

	if (pos >= s->n || memcmp(s->ids + 32 * pos, id->b, 32) != 0)
		return false;
	*out_pos = pos;
	return true;
}

unsigned index_fanout_bits(uint64_t objects)
{
	unsigned bits = 0;

	while (bits < 24 && objects >> (bits + 4))
		bits++;
	return bits;
}

void index_header_seal(struct index_header *h)
{
	memcpy(h->magic, INDEX_MAGIC, 8);
	h->format = le32_make(STORE_FORMAT);
	h->header_checksum = le64_make(checksum64(h,
		offsetof(struct index_header, header_checksum)));
}

static int entry_cmp(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;
	int sx = (int)object_space(x->len_kind >> 24);
	int sy = (int)object_space(y->len_kind >> 24);

	return sx != sy ? sx - sy : oid_cmp(&x->id, &y->id);
}

static size_t group_of(const struct index_entry *x, unsigned bits)
{
	return (size_t)object_space(x->len_kind >> 24) << bits |
	       index_top_bits(x->id.b, bits);
}

/* Ids are spread evenly: brought into groups by their first bits, in place,
 * there is next to nothing left to compare. Groups that are large nevertheless
 * are sorted as usual. */
static void sort_entries(struct index_entry *x, size_t n)
{
	unsigned bits = index_fanout_bits(n) < 16 ? index_fanout_bits(n) : 16;
	size_t groups = (size_t)2 << bits, at = 0;
	AUTO_FREE size_t *end = calloc(groups, sizeof(*end));
	AUTO_FREE size_t *next = calloc(groups, sizeof(*next));

	if (!end || !next || n < 64) {
		if (n)
			qsort(x, n, sizeof(*x), entry_cmp);
		return;
	}
	for (size_t i = 0; i < n; i++)
		end[group_of(&x[i], bits)]++;
	for (size_t g = 0; g < groups; g++) {
		next[g] = at;
		at = end[g] += at;
	}
	/* each turn brings an entry to its place, or finds it there */
	for (size_t g = 0; g < groups; g++)
		while (next[g] < end[g]) {
			struct index_entry *from = &x[next[g]], *to;
			struct index_entry keep = *from;

			to = &x[next[group_of(from, bits)]++];
			*from = *to;
			*to = keep;
		}
	at = 0;
	for (size_t g = 0; g < groups; at = end[g++]) {
		size_t m = end[g] - at;

		if (m > 64) {
			qsort(x + at, m, sizeof(*x), entry_cmp);
			continue;
		}
		for (size_t i = 1; i < m; i++) {
			struct index_entry keep = x[at + i];
			size_t k = at + i;

			for (; k > at && entry_cmp(&x[k - 1], &keep) > 0; k--)
				x[k] = x[k - 1];
			x[k] = keep;
		}
	}
}

int index_build_encode(struct index_build *b, struct buf *out,
	struct error *e)
{
	struct index_header *h;
	uint64_t n = 0, count[2] = { 0, 0 };
	size_t start = out->len;
	const struct index_entry *section;

	if (b->nentries > UINT32_MAX)
		return error_set(e, ERR_LIMIT, "over 2^32 objects in an index");
	sort_entries(b->entries, (size_t)b->nentries);
	for (uint64_t i = 0; i < b->nentries; i++) {
		if (n && !entry_cmp(&b->entries[n - 1], &b->entries[i]))
			continue;
		b->entries[n++] = b->entries[i];
		count[object_space(b->entries[i].len_kind >> 24)]++;
	}
	b->nentries = n;
	buf_zero(out, sizeof(*h));
	buf_add(out, b->packs, b->npacks * sizeof(*b->packs));
	buf_add(out, b->frames, b->nframes * sizeof(*b->frames));
	section = b->entries;
	for (int s = 0; s < 2; s++) {
		unsigned bits = index_fanout_bits(count[s]);
		uint64_t at = 0;

		for (uint64_t v = 0; v <= UINT64_C(1) << bits; v++) {
			while (at < count[s] && v < UINT64_C(1) << bits &&
				index_top_bits(section[at].id.b, bits) < v)
				at++;
			buf_le32(out, v == UINT64_C(1) << bits
					      ? (uint32_t)count[s]
					      : (uint32_t)at);
		}
		for (uint64_t i = 0; i < count[s]; i++)
			buf_add(out, section[i].id.b, 32);
		for (uint64_t i = 0; i < count[s]; i++) {
			struct index_loc l = {
				.frame = le32_make(section[i].frame),
				.off = le32_make(section[i].off),
				.len_kind = le32_make(section[i].len_kind),
			};

			buf_add(out, &l, sizeof(l));
		}
		section += count[s];
		if (!out->oom) {
			h = (void *)(out->data + start);
			h->objects[s] = le64_make(count[s]);
			h->fanout_bits[s] = le32_make(bits);
		}
	}
	if (out->oom)
		return error_nomem(e);
	h = (void *)(out->data + start);
	h->packs = le32_make(b->npacks);
	h->frames = le32_make(b->nframes);
	h->size = le64_make(out->len - start);
	h->body_checksum = le64_make(checksum64(out->data + start + sizeof(*h),
		out->len - start - sizeof(*h)));
	index_header_seal(h);
	return 0;
}
