/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: file entries and allocation descriptors. See udf.h. ECMA-167 4/14.5 to
 * 4/14.17; UDF 2.3. */
#include "fs/udf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

void udf_file_release(struct udf_file *x)
{
	vec_release(&x->runs);
	buf_release(&x->link);
}

const struct udf_run *udf_run_at(const struct udf_file *x, uint64_t off)
{
	size_t lo = 0, hi = x->runs.len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct udf_run *r = &x->runs.items[mid];

		if (off < r->off)
			hi = mid;
		else if (off - r->off >= r->len)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

int udf_file_pread(struct source *src, const struct udf_file *x, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	uint8_t *dst = buf;

	if (!range_inside(off, len, x->node.size))
		return fs_outside(e, len, off, x->node.size);
	while (len) {
		const struct udf_run *r = udf_run_at(x, off);
		uint64_t in;
		size_t n;
		int err;

		if (!r) { /* a hole: up to the next run */
			size_t lo = 0, hi = x->runs.len;

			while (lo < hi) {
				size_t mid = (lo + hi) / 2;

				if (x->runs.items[mid].off < off)
					lo = mid + 1;
				else
					hi = mid;
			}
			n = lo < x->runs.len
				    ? (size_t)u64_min(len,
					      x->runs.items[lo].off - off)
				    : len;
			memset(dst, 0, n);
		} else {
			in = off - r->off;
			n = (size_t)u64_min(len, r->len - in);
			if (r->kind == FS_EXTENT_UNWRITTEN) {
				memset(dst, 0, n);
			} else {
				err = source_pread(src, dst, n,
					r->dev_off + in, e);
				if (err)
					return err;
			}
		}
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* --- allocation descriptors --- */

struct walk {
	struct udf *f;
	struct udf_file *x;
	unsigned part; /* of the descriptors: short ones lie in it */
	unsigned form; /* UDF_AD_... */
	uint64_t at;   /* how far the file is known */
	unsigned count, extents, steps;
	/* set by an extent of descriptors */
	bool more;
	unsigned more_part;
	uint32_t more_block;
};

static int add_run(struct walk *w, struct udf_run r, struct error *e)
{
	struct udf_run *last = w->x->runs.len ? vec_last(&w->x->runs) : NULL;

	if (!range_inside(r.dev_off, r.len, w->f->src->size))
		return error_at(e, ERR_CORRUPT, r.dev_off,
			"udf: an extent lies outside the volume");
	if (last && last->kind == r.kind && last->off + last->len == r.off &&
		last->dev_off + last->len == r.dev_off) {
		last->len += r.len;
		return 0;
	}
	if (w->x->runs.len >= LIMIT_UDF_RUNS)
		return error_set(e, ERR_LIMIT,
			"udf: a file of more than %d pieces", LIMIT_UDF_RUNS);
	return vec_push(&w->x->runs, r) ? 0 : error_nomem(e);
}

/* len bytes of the file, from this block on. */
static int add_extent(struct walk *w, unsigned part, uint32_t block,
	uint64_t len, bool recorded, struct error *e)
{
	uint32_t bs = w->f->block_size;
	/* each block is looked up in the table; only metadata lies there */
	bool slow = part < w->f->nparts &&
		    w->f->parts[part].kind == UDF_MAP_VIRTUAL;

	while (len) {
		uint32_t got, want = (uint32_t)div_ceil(len, bs);
		struct udf_run r = { .off = w->at,
			.kind = recorded ? FS_EXTENT_DATA
					 : FS_EXTENT_UNWRITTEN };
		int err;

		w->steps += slow ? 32 : 1;
		if (w->steps > LIMIT_UDF_STEPS)
			return error_set(e, ERR_LIMIT,
				"udf: a file in more than %d pieces",
				LIMIT_UDF_STEPS);
		err = udf_map(w->f, part, block, want, false, &r.dev_off, &got,
			e);
		if (err)
			return err;
		r.len = u64_min(len, (uint64_t)got * bs);
		err = add_run(w, r, e);
		if (err)
			return err;
		w->at += r.len;
		len -= r.len;
		block += got; /* a map does not go past 2^32 blocks */
	}
	return 0;
}

static size_t ad_size(unsigned form)
{
	return form == UDF_AD_SHORT ? sizeof(struct udf_short_ad)
	       : form == UDF_AD_LONG ? sizeof(struct udf_long_ad)
				     : sizeof(struct udf_ext_ad);
}

/* One area of descriptors: to its end, one of no length, or one that says where
 * there are more. */
static int area(struct walk *w, const uint8_t *p, size_t n, struct error *e)
{
	size_t step = ad_size(w->form);
	uint64_t size = w->x->node.size;

	w->more = false;
	for (; n >= step; p += step, n -= step) {
		uint32_t word = get_le32(p), len = word & UDF_EXTENT_LEN;
		unsigned kind = word >> 30, part = w->part;
		uint32_t block;
		int r;

		if (w->form == UDF_AD_SHORT) {
			block = get_le32(p + 4);
		} else {
			size_t at = w->form == UDF_AD_LONG ? 4 : 12;

			block = get_le32(p + at);
			part = get_le16(p + at + 4);
		}
		if (!len)
			return 0;
		if (kind == UDF_CONTINUES) {
			w->more = true;
			w->more_part = part;
			w->more_block = block;
			return 0;
		}
		w->count++;
		/* what is behind the end was only set aside */
		if (w->at >= size)
			return 0;
		len = (uint32_t)u64_min(len, size - w->at);
		if (w->form == UDF_AD_EXTENDED &&
			get_le32(p + 4) != get_le32(p + 8))
			return error_set(e, ERR_UNSUPPORTED,
				"udf: an extent that is stored compressed");
		if (kind == UDF_UNALLOCATED) {
			w->at += len;
			continue;
		}
		r = add_extent(w, part, block, len, kind == UDF_RECORDED, e);
		if (r)
			return r;
	}
	return 0;
}

/* All descriptors, from the area inside the entry on. Each further extent of
 * them must hold at least one, and there are at most LIMIT_UDF_AD_EXTENTS. */
static int load_runs(struct walk *w, const uint8_t *p, size_t n,
	struct error *e)
{
	AUTO_FREE uint8_t *block = NULL;
	int r = area(w, p, n, e);

	while (!r && w->more && w->at < w->x->node.size) {
		const struct udf_alloc_extent *a;
		unsigned before = w->count;

		if (!block)
			block = malloc(w->f->block_size);
		if (!block)
			return error_nomem(e);
		if (w->extents++ >= LIMIT_UDF_AD_EXTENTS)
			return error_set(e, ERR_LIMIT,
				"udf: more than %d extents of allocation "
				"descriptors",
				LIMIT_UDF_AD_EXTENTS);
		r = udf_read_tagged(w->f, w->more_part, w->more_block, block,
			NULL, e);
		if (r)
			return r;
		a = (const void *)block;
		if (le16_get(a->tag.id) != UDF_TAG_ALLOC_EXTENT ||
			le32_get(a->ads_len) >
				w->f->block_size - sizeof(*a))
			return error_set(e, ERR_CORRUPT,
				"udf: no allocation extent in block %" PRIu32,
				w->more_block);
		w->part = w->more_part;
		r = area(w, block + sizeof(*a), le32_get(a->ads_len), e);
		if (!r && w->count == before && w->more)
			r = error_set(e, ERR_CORRUPT,
				"udf: an empty extent of allocation "
				"descriptors");
	}
	return r;
}

/* Linux (6.1 at least) leaves behind files whose descriptors end inside the last
 * block, some bytes before the file does; it reads that block as a whole. */
static int fill_block(struct walk *w, struct error *e)
{
	uint32_t bs = w->f->block_size;
	uint64_t size = w->x->node.size, in = w->at % bs;
	struct udf_run r = { .off = w->at, .kind = FS_EXTENT_DATA };
	const struct udf_run *last;

	if (!in || w->at >= size || !w->x->runs.len)
		return 0;
	last = vec_last(&w->x->runs);
	if (last->kind != FS_EXTENT_DATA || last->off + last->len != w->at)
		return 0;
	r.dev_off = last->dev_off + last->len;
	r.len = u64_min(bs - in, size - w->at);
	return add_run(w, r, e);
}

/* --- entries --- */

/* An entry, taken apart. */
struct entry {
	const struct udf_file_head *head;
	const uint8_t *modified;
	const struct udf_long_ad *streams, *more_attributes;
	const uint8_t *attributes, *ads;
	size_t attributes_len, ads_len;
	uint64_t ads_at; /* in the block */
};

static bool take_apart(const uint8_t *b, size_t size, struct entry *out)
{
	size_t fixed;

	out->head = (const void *)b;
	out->streams = NULL;
	if (le16_get(out->head->tag.id) == UDF_TAG_FILE) {
		const struct udf_file_entry *x = (const void *)b;

		fixed = sizeof(*x);
		out->modified = x->modified;
		out->more_attributes = &x->attributes;
		out->attributes_len = le32_get(x->attributes_len);
		out->ads_len = le32_get(x->ads_len);
	} else if (le16_get(out->head->tag.id) == UDF_TAG_EXT_FILE) {
		const struct udf_ext_file_entry *x = (const void *)b;

		fixed = sizeof(*x);
		out->modified = x->modified;
		out->more_attributes = &x->attributes;
		out->streams = &x->streams;
		out->attributes_len = le32_get(x->attributes_len);
		out->ads_len = le32_get(x->ads_len);
	} else {
		return false;
	}
	if (out->attributes_len > size - fixed ||
		out->ads_len > size - fixed - out->attributes_len)
		return false;
	out->attributes = b + fixed;
	out->ads_at = fixed + out->attributes_len;
	out->ads = b + out->ads_at;
	return true;
}

static void set_type(struct udf_file *x)
{
	switch (x->type) {
	case UDF_TYPE_DIR:
	case UDF_TYPE_STREAMS: x->node.type = FS_DIR; break;
	case UDF_TYPE_BLOCK: x->node.type = FS_BLOCK; break;
	case UDF_TYPE_CHAR: x->node.type = FS_CHAR; break;
	case UDF_TYPE_FIFO: x->node.type = FS_FIFO; break;
	case UDF_TYPE_SOCKET: x->node.type = FS_SOCKET; break;
	case UDF_TYPE_SYMLINK: x->node.type = FS_SYMLINK; break;
	default: x->node.type = FS_FILE; break;
	}
}

/* ECMA-167 4/14.9.5: execute, write, read, change attributes, delete; for
 * others, the group, the owner. */
static uint32_t mode_of(uint32_t p, unsigned flags)
{
	uint32_t m = (p & 7) | (p >> 2 & 070) | (p >> 4 & 0700);

	if (flags & UDF_ICB_SETUID)
		m |= 04000;
	if (flags & UDF_ICB_SETGID)
		m |= 02000;
	if (flags & UDF_ICB_STICKY)
		m |= 01000;
	return m;
}

static void fill_node(struct udf_file *x, const struct entry *t)
{
	const struct udf_file_head *h = t->head;
	unsigned flags = le16_get(h->icb.flags);
	struct fs_node *n = &x->node;

	x->type = h->icb.type;
	set_type(x);
	n->id = x->id;
	n->mode = mode_of(le32_get(h->permissions), flags);
	n->uid = le32_get(h->uid);
	n->gid = le32_get(h->gid);
	n->nlink = le16_get(h->links) ? le16_get(h->links) : 1;
	n->mtime = udf_time(t->modified, &n->mtime_ns);
	n->size = le64_get(h->size);
	if (t->streams && le32_get(t->streams->len) & UDF_EXTENT_LEN) {
		x->has_streams = true;
		x->streams = UDF_ID(le16_get(t->streams->part),
			le32_get(t->streams->block));
		n->flags |= FS_NODE_XATTRS;
	}
}

/* What the entry has no place for, or does not say. */
static int fill_attributes(struct udf *f, struct udf_file *x,
	const struct entry *t, struct error *e)
{
	struct fs_node *n = &x->node;
	struct udf_attributes a = { 0 };
	bool device = n->type == FS_CHAR || n->type == FS_BLOCK;
	bool owner = n->uid == UINT32_MAX || n->gid == UINT32_MAX;
	struct error why = { 0 };
	int r = 0;

	if (!device && !owner)
		return 0;
	udf_attributes_take(t->attributes, t->attributes_len, &a);
	if (le32_get(t->more_attributes->len) & UDF_EXTENT_LEN &&
		((device && !a.has_device) || (owner && !a.has_owner)))
		r = udf_attributes_read(f,
			UDF_ID(le16_get(t->more_attributes->part),
				le32_get(t->more_attributes->block)),
			&a, &why);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r)
		finding_report(f->findings, FINDING_XATTR_DAMAGED,
			why.has_offset ? why.offset : FINDING_NO_OFFSET, NULL,
			"udf: the file in block %" PRIu32
			" of partition reference %u: %s",
			(uint32_t)x->id, (unsigned)(x->id >> 32), why.msg);
	if (device) {
		n->rdev_major = a.major;
		n->rdev_minor = a.minor;
	}
	if (n->uid == UINT32_MAX) /* not set */
		n->uid = a.uid;
	if (n->gid == UINT32_MAX)
		n->gid = a.gid;
	return 0;
}

/* The content's runs; damage of them leaves the file listed, without. */
static int load_content(struct udf *f, struct udf_file *x,
	const struct entry *t, uint64_t dev_off, unsigned part, struct error *e)
{
	unsigned flags = le16_get(t->head->icb.flags);
	struct walk w = { .f = f, .x = x, .part = part,
		.form = flags & UDF_ICB_AD };
	struct udf_run in = { .kind = FS_EXTENT_INLINE,
		.len = x->node.size,
		.dev_off = dev_off + t->ads_at };

	if (flags & UDF_ICB_TRANSFORMED)
		return error_set(e, ERR_UNSUPPORTED,
			"udf: the file's content is transformed");
	if (!x->node.size)
		return 0;
	if (x->node.size > INT64_MAX)
		return error_set(e, ERR_CORRUPT, "udf: a size of %" PRIu64,
			x->node.size);
	if (w.form < UDF_AD_INLINE) {
		int r = load_runs(&w, t->ads, t->ads_len, e);

		return r ? r : fill_block(&w, e);
	}
	if (w.form > UDF_AD_INLINE)
		return error_set(e, ERR_CORRUPT,
			"udf: allocation descriptors of form %u", w.form);
	if (x->node.size > t->ads_len)
		return error_set(e, ERR_CORRUPT,
			"udf: a file of %" PRIu64 " bytes in %zu", x->node.size,
			t->ads_len);
	return add_run(&w, in, e);
}

/* Strategy 4096, ECMA-167 4/A.5 and UDF 2.3.5: behind each entry lies a pointer
 * to the one that replaces it. The number of steps is bounded. */
static int newest(struct udf *f, unsigned *part, uint32_t *block, uint8_t *b,
	uint64_t *dev_off, struct error *e)
{
	AUTO_FREE uint8_t *next = malloc(f->block_size);

	if (!next)
		return error_nomem(e);
	for (int i = 0; i < LIMIT_UDF_ICB_CHAIN; i++) {
		const struct udf_file_head *h = (const void *)b;
		const struct udf_indirect *d = (const void *)next;
		unsigned np;
		uint32_t nb;
		uint64_t off;

		if (le16_get(h->icb.strategy) != 4096 || *block == UINT32_MAX ||
			udf_read_tagged(f, *part, *block + 1, next, NULL, NULL))
			return 0;
		if (le16_get(d->tag.id) != UDF_TAG_INDIRECT ||
			!(le32_get(d->next.len) & UDF_EXTENT_LEN))
			return 0;
		np = le16_get(d->next.part);
		nb = le32_get(d->next.block);
		if (udf_read_tagged(f, np, nb, next, &off, NULL))
			return 0;
		h = (const void *)next;
		if (le16_get(h->tag.id) != UDF_TAG_FILE &&
			le16_get(h->tag.id) != UDF_TAG_EXT_FILE)
			return 0;
		memcpy(b, next, f->block_size);
		*part = np;
		*block = nb;
		*dev_off = off;
	}
	return error_set(e, ERR_LIMIT,
		"udf: a file with more than %d entries, one after the other",
		LIMIT_UDF_ICB_CHAIN);
}

static int find_entry(struct udf *f, unsigned *part, uint32_t *block,
	uint8_t *b, uint64_t *dev_off, struct entry *out, struct error *e)
{
	unsigned strategy;
	int r = udf_read_tagged(f, *part, *block, b, dev_off, e);

	if (r)
		return r;
	if (!take_apart(b, f->block_size, out))
		return error_at(e, ERR_CORRUPT, *dev_off,
			"udf: no file entry in block %" PRIu32
			" of partition reference %u",
			*block, *part);
	strategy = le16_get(out->head->icb.strategy);
	if (strategy != 4 && strategy != 4096)
		return error_at(e, ERR_UNSUPPORTED, *dev_off,
			"udf: an information control block of strategy %u",
			strategy);
	if (strategy == 4)
		return 0;
	r = newest(f, part, block, b, dev_off, e);
	if (!r && !take_apart(b, f->block_size, out))
		r = error_at(e, ERR_CORRUPT, *dev_off,
			"udf: a damaged file entry");
	return r;
}

/* Files are listed where only their content is damaged. */
static int content_fault(struct udf *f, struct udf_file *x, int r,
	const struct error *why)
{
	enum finding_id id = r == ERR_LIMIT ? FINDING_FILE_LIMIT
			     : r == ERR_UNSUPPORTED ? FINDING_FILE_UNREADABLE
						    : FINDING_FILE_DAMAGED;

	if (r == ERR_NOMEM || r == ERR_IO ||
		(x->node.type != FS_FILE && x->node.type != FS_DIR))
		return r;
	/* what is known of a directory is read, up to the gap */
	if (x->node.type == FS_FILE) {
		x->node.flags |= FS_NODE_OPAQUE;
		x->runs.len = 0;
	}
	finding_report(f->findings, id,
		why->has_offset ? why->offset : FINDING_NO_OFFSET, NULL,
		"udf: the file in block %" PRIu32 " of partition reference "
		"%u: %s",
		(uint32_t)x->id, (unsigned)(x->id >> 32), why->msg);
	return 0;
}

static int load(struct udf *f, uint64_t id, bool attributes,
	struct udf_file *out, struct error *e)
{
	AUTO_FREE uint8_t *b = malloc(f->block_size);
	struct entry t = { 0 };
	struct error why = { 0 };
	unsigned part = (unsigned)(id >> 32);
	uint32_t block = (uint32_t)id;
	uint64_t dev_off = 0;
	int r;

	out->runs.len = 0;
	buf_clear(&out->link);
	memset(&out->node, 0, sizeof(out->node));
	out->id = id;
	out->has_streams = false;
	if (!b)
		return error_nomem(e);
	r = find_entry(f, &part, &block, b, &dev_off, &t, e);
	if (r)
		return r;
	fill_node(out, &t);
	r = attributes ? fill_attributes(f, out, &t, e) : 0;
	if (r)
		return r;
	r = load_content(f, out, &t, dev_off, part, &why);
	if (r)
		r = content_fault(f, out, r, &why);
	if (!r && out->node.type == FS_SYMLINK)
		r = udf_symlink(f, out, &why);
	if (r && e)
		*e = why;
	if (!r && out->node.type != FS_FILE && out->node.type != FS_SYMLINK &&
		out->node.type != FS_DIR)
		out->node.size = 0;
	return r;
}

int udf_load(struct udf *f, uint64_t id, struct udf_file *out, struct error *e)
{
	return load(f, id, true, out, e);
}

int udf_load_plain(struct udf *f, uint64_t id, struct udf_file *out,
	struct error *e)
{
	return load(f, id, false, out, e);
}
