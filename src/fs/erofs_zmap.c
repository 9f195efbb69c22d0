/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: the index of a compressed file. The file is cut into clusters of one
 * size; each has an entry that says whether a compressed extent begins in it
 * and where in it, or how far back that is. The entries are 8 bytes each, or
 * packed 2 or 16 at a time with one block address for all of them. */
#include "fs/erofs.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/limits.h"

enum { TYPE_PLAIN, TYPE_HEAD1, TYPE_NONHEAD, TYPE_HEAD2 };
enum {
	ADVISE_COMPACTED_2B = 1,
	ADVISE_EXTENTS = 1, /* of an index of 8-byte entries */
	ADVISE_BIG_1 = 2,
	ADVISE_BIG_2 = 4,
	ADVISE_BIG = ADVISE_BIG_1 | ADVISE_BIG_2,
	ADVISE_INLINE = 8,
	ADVISE_INTERLACED = 0x10,
	ADVISE_FRAGMENT = 0x20,
};
#define CBLKCNT (1u << 11)
/* Linux: Z_EROFS_PCLUSTER_MAX_SIZE and _MAX_DSIZE. */
#define PACKED_MAX (1 * MIB)
#define DECODED_MAX (12 * MIB)

struct entry {
	unsigned type;
	uint32_t ofs;	  /* where in the cluster the extent begins */
	uint32_t back;	  /* NONHEAD: clusters back to the head */
	uint32_t cblks;	  /* NONHEAD, first: blocks of the big pcluster */
	uint32_t block;	  /* HEAD, PLAIN */
	uint64_t end;	  /* of the entry or its pack */
};

static int bad(struct erofs *f, uint64_t lcn, const char *why, struct error *e)
{
	return error_at(e, ERR_CORRUPT, f->file.index,
		"erofs: node %" PRIu64 ", cluster %" PRIu64 ": %s", f->file.id,
		lcn, why);
}

static int full(struct erofs *f, uint64_t lcn, struct entry *out,
	struct error *e)
{
	uint64_t off = f->file.index + lcn * 8;
	uint8_t b[8];
	int r = source_pread(f->meta, b, 8, off, e);

	if (r)
		return r;
	out->type = get_le16(b) & 3;
	out->end = off + 8;
	if (out->type == TYPE_NONHEAD) {
		out->back = get_le16(b + 4);
		if (out->back & CBLKCNT) {
			out->cblks = out->back & ~CBLKCNT;
			out->back = 1;
		}
	} else {
		out->ofs = get_le16(b + 2);
		out->block = get_le32(b + 4);
	}
	return 0;
}

static uint32_t bits(const uint8_t *pack, unsigned lobits, unsigned at,
	unsigned *type)
{
	/* an entry is at most 16 bits, and the block address lies behind */
	uint32_t v = get_le32(pack + at / 8) >> at % 8;

	*type = v >> lobits & 3;
	return v & ((1u << lobits) - 1);
}

/* How many blocks the extents before entry i of its pack take. */
static int blocks_before(struct erofs *f, uint64_t lcn, const uint8_t *pack,
	unsigned lobits, unsigned width, int i, uint32_t *out, struct error *e)
{
	bool big = f->file.advise & ADVISE_BIG;
	uint32_t n = big ? 0 : 1;

	while (i > 0) {
		unsigned type;
		uint32_t lo;

		i--;
		lo = bits(pack, lobits, width * (unsigned)i, &type);
		if (type != TYPE_NONHEAD) {
			n++;
		} else if (!big) {
			i -= (int)lo;
			if (i >= 0)
				n++;
		} else if (lo & CBLKCNT) {
			i--;
			n += lo & ~CBLKCNT;
		} else if (lo <= 1) {
			return bad(f, lcn, "distance of 1 in a big pcluster",
				e);
		} else {
			i -= (int)lo - 2;
		}
	}
	*out = n;
	return 0;
}

static int compact(struct erofs *f, uint64_t lcn, struct entry *out,
	struct error *e)
{
	const struct erofs_file *x = &f->file;
	uint64_t first = (32 - x->index % 32) / 4 & 7, mid = 0, off = x->index;
	uint64_t k = lcn, total = x->clusters;
	unsigned count = 2, shift = 2, width, lobits, type;
	uint32_t lo, nblk = 0;
	uint8_t pack[32 + 4] = { 0 };
	size_t size;
	int i, r;

	if (x->advise & ADVISE_COMPACTED_2B && first < total)
		mid = round_down(total - first, 16);
	if (k >= first) {
		off += first * 4;
		k -= first;
		if (k < mid) {
			count = 16;
			shift = 1;
		} else {
			off += mid * 2;
			k -= mid;
		}
	}
	off += k << shift;
	size = (size_t)count << shift;
	i = (int)(off % size >> shift);
	off = round_down(off, size);
	width = (unsigned)(size - 4) * 8 / count;
	lobits = x->cluster_bits > 12 ? x->cluster_bits : 12;
	if (lobits + 2 > width)
		return bad(f, lcn, "clusters too large for packed entries", e);
	r = source_pread(f->meta, pack, size, off, e);
	if (r)
		return r;
	out->end = off + size;
	lo = bits(pack, lobits, width * (unsigned)i, &type);
	out->type = type;
	if (type != TYPE_NONHEAD) {
		r = blocks_before(f, lcn, pack, lobits, width, i, &nblk, e);
		out->ofs = lo;
		out->block = get_le32(pack + size - 4) + nblk;
		return r;
	}
	if (lo & CBLKCNT && x->advise & ADVISE_BIG) {
		out->cblks = lo & ~CBLKCNT;
		out->back = 1;
	} else if ((unsigned)i + 1 != count) {
		out->back = lo;
	} else {
		/* the last of a pack holds the distance ahead: the distance
		 * back is one more than that of the one before */
		lo = bits(pack, lobits, width * (unsigned)(i - 1), &type);
		if (type != TYPE_NONHEAD)
			lo = 0;
		else if (lo & CBLKCNT && x->advise & ADVISE_BIG)
			lo = 1;
		out->back = lo + 1;
	}
	return 0;
}

static int entry_at(struct erofs *f, uint64_t lcn, struct entry *out,
	struct error *e)
{
	int r;

	*out = (struct entry){ 0 };
	if (lcn >= f->file.clusters)
		return bad(f, lcn, "behind the end", e);
	r = f->file.layout == EROFS_COMPRESSED_FULL ? full(f, lcn, out, e)
						    : compact(f, lcn, out, e);
	if (r)
		return r;
	if (out->type != TYPE_NONHEAD && out->ofs >> f->file.cluster_bits)
		return bad(f, lcn, "begins behind its end", e);
	if (out->cblks && !(f->file.advise & ADVISE_BIG))
		return bad(f, lcn, "a big pcluster where there are none", e);
	return 0;
}

/* Back from a cluster to the one where its extent begins; *lcn shrinks with
 * every step. */
static int to_head(struct erofs *f, uint64_t *lcn, struct entry *en,
	struct error *e)
{
	while (en->type == TYPE_NONHEAD) {
		int r;

		if (!en->back || en->back > *lcn)
			return bad(f, *lcn, "its extent begins nowhere", e);
		*lcn -= en->back;
		r = entry_at(f, *lcn, en, e);
		if (r)
			return r;
	}
	return 0;
}

/* The compressed size: one cluster, or what the entry behind says. */
static int packed_size(struct erofs *f, uint64_t lcn, const struct entry *head,
	uint64_t *out, struct error *e)
{
	/* plain ones go with the second kind of heads */
	unsigned big = head->type == TYPE_HEAD1 ? ADVISE_BIG_1 : ADVISE_BIG_2;
	struct entry en;
	int r;

	*out = UINT64_C(1) << f->file.cluster_bits;
	if (!(f->file.advise & big) || lcn + 1 >= f->file.clusters)
		return 0;
	r = entry_at(f, lcn + 1, &en, e);
	if (r || en.type != TYPE_NONHEAD)
		return r;
	if (!en.cblks)
		return bad(f, lcn + 1, "a big pcluster without a size", e);
	*out = (uint64_t)en.cblks << f->block_bits;
	return *out > PACKED_MAX ? bad(f, lcn, "pcluster too large", e) : 0;
}

int erofs_z_map(struct erofs *f, uint64_t off, struct erofs_zext *out,
	struct error *e)
{
	struct erofs_file *x = &f->file;
	uint64_t lcn = off >> x->cluster_bits, head, end;
	uint32_t in = (uint32_t)(off & ((UINT64_C(1) << x->cluster_bits) - 1));
	struct entry en, next;
	int r;

	if (x->fragment) {
		*out = (struct erofs_zext){ .llen = x->node.size,
			.pa = x->tail_off,
			.fragment = true };
		return 0;
	}
	r = entry_at(f, lcn, &en, e);
	if (r)
		return r;
	if (en.type != TYPE_NONHEAD && in < en.ofs) {
		/* the extent that ends in this cluster */
		if (!lcn)
			return bad(f, lcn, "the file begins with nothing", e);
		r = entry_at(f, --lcn, &en, e);
		if (r)
			return r;
	}
	head = lcn;
	r = to_head(f, &head, &en, e);
	if (r)
		return r;
	*out = (struct erofs_zext){ .plain = en.type == TYPE_PLAIN };
	out->la = (head << x->cluster_bits) + en.ofs;
	if (out->la > off)
		return bad(f, head, "begins behind what it holds", e);
	/* ahead to where the next begins; bounded by DECODED_MAX */
	end = x->node.size;
	for (uint64_t k = u64_max(lcn, head) + 1; k < x->clusters; k++) {
		if ((k << x->cluster_bits) - out->la > DECODED_MAX)
			return bad(f, head, "extent too long", e);
		r = entry_at(f, k, &next, e);
		if (r)
			return r;
		if (next.type != TYPE_NONHEAD) {
			end = u64_min(end, (k << x->cluster_bits) + next.ofs);
			break;
		}
	}
	if (end <= off || end - out->la > DECODED_MAX)
		return bad(f, head, "extent too long, or ends too early", e);
	out->llen = end - out->la;
	out->interlaced = out->plain && x->advise & ADVISE_INTERLACED;
	if (x->fragment_tail && head == x->tail_head) {
		out->fragment = true;
		out->pa = x->tail_off;
		return 0;
	}
	if (!out->plain) {
		out->method = x->methods[en.type == TYPE_HEAD2];
		if (!(f->methods >> out->method & 1))
			return error_at(e, ERR_UNSUPPORTED, x->index,
				"erofs: node %" PRIu64
				": compression of unknown kind %u", x->id,
				out->method);
	}
	if (x->inline_tail && head == x->tail_head) {
		out->in_meta = true;
		out->pa = x->tail_off;
		out->plen = x->tail_len;
	} else {
		r = packed_size(f, head, &en, &out->plen, e);
		if (r)
			return r;
		out->pa = (uint64_t)en.block << f->block_bits;
	}
	if (!range_inside(out->pa, out->plen, f->src->size))
		return bad(f, head, "lies outside the volume", e);
	return 0;
}

/* The extent of the last byte is elsewhere: finds its head. */
static int find_tail(struct erofs *f, struct error *e)
{
	struct erofs_file *x = &f->file;
	uint64_t lcn = x->clusters - 1, mask = (1u << x->cluster_bits) - 1;
	struct entry en;
	int r = entry_at(f, lcn, &en, e);

	if (r)
		return r;
	if (x->inline_tail)
		x->tail_off = en.end;
	/* the last byte may still belong to the extent before */
	if (en.type != TYPE_NONHEAD && ((x->node.size - 1) & mask) < en.ofs) {
		if (!lcn)
			return bad(f, 0, "begins with nothing", e);
		r = entry_at(f, --lcn, &en, e);
		if (r)
			return r;
	}
	r = to_head(f, &lcn, &en, e);
	if (r)
		return r;
	x->tail_head = lcn;
	if (x->fragment_tail && x->layout == EROFS_COMPRESSED_FULL)
		x->tail_off |= (uint64_t)en.block << 32;
	return 0;
}

/* The 8 bytes before the index. */
static int header(struct erofs *f, uint64_t at, struct error *e)
{
	struct erofs_file *x = &f->file;
	uint8_t h[8];
	int r = source_pread(f->meta, h, 8, at, e);

	if (r)
		return r;
	x->fragment = h[7] & 0x80;
	x->advise = x->fragment ? ADVISE_FRAGMENT : get_le16(h + 4);
	x->fragment_tail = x->advise & ADVISE_FRAGMENT;
	if (x->fragment_tail &&
		(f->is_packed || !(f->incompat & EROFS_FRAGMENTS)))
		return error_at(e, ERR_CORRUPT, at,
			"a fragment where there are none");
	if (x->fragment) {
		x->tail_off = get_le64(h) & ~(UINT64_C(1) << 63);
		return 0;
	}
	if (x->layout == EROFS_COMPRESSED_FULL && x->advise & ADVISE_EXTENTS)
		return error_at(e, ERR_UNSUPPORTED, at,
			"the file's index is a list of extents");
	if (x->layout == EROFS_COMPRESSED_COMPACT &&
		!(x->advise & ADVISE_BIG_1) != !(x->advise & ADVISE_BIG_2))
		return error_at(e, ERR_CORRUPT, at,
			"packed entries with big pclusters of one kind");
	x->methods[0] = h[6] & 15;
	x->methods[1] = h[6] >> 4;
	if (!(f->methods >> x->methods[0] & 1))
		return error_at(e, ERR_UNSUPPORTED, at,
			"compression of unknown kind %u", x->methods[0]);
	x->cluster_bits = (uint8_t)(f->block_bits + (h[7] & 15));
	if (x->cluster_bits > 20)
		return error_at(e, ERR_CORRUPT, at, "clusters of 2^%u bytes",
			x->cluster_bits);
	if (x->fragment_tail) {
		x->tail_off = get_le32(h);
	} else if (x->advise & ADVISE_INLINE) {
		x->tail_len = get_le16(h + 2);
		x->inline_tail = x->tail_len != 0;
	}
	return 0;
}

int erofs_z_open(struct erofs *f, struct error *e)
{
	struct erofs_file *x = &f->file;
	uint64_t at = round_up(x->offset + x->inode_size + x->xattr_size, 8);

	x->cluster_bits = (uint8_t)f->block_bits;
	if (x->layout == EROFS_COMPRESSED_COMPACT ||
		f->incompat & (EROFS_BIG_PCLUSTER | EROFS_ZTAILPACKING |
				      EROFS_FRAGMENTS)) {
		int r = header(f, at, e);

		if (r || x->fragment)
			return r;
	}
	x->index = at + (x->layout == EROFS_COMPRESSED_FULL ? 16 : 8);
	x->clusters = div_ceil(x->node.size,
		UINT64_C(1) << x->cluster_bits);
	/* an entry takes two bytes at least: no more of them than fit */
	if (x->clusters / 4 > f->src->size)
		return error_at(e, ERR_CORRUPT, at,
			"an index of %" PRIu64 " clusters", x->clusters);
	if ((x->inline_tail || x->fragment_tail) && x->clusters)
		return find_tail(f, e);
	return 0;
}
