/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: content and extents. See erofs.h. */
#include "fs/erofs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "base/zero.h"

#define CHUNK_INDEXES 0x20
#define HOLE UINT32_MAX
/* Shorter files are told as inline: to cut one out of the block costs about as
 * much as to store it twice. */
#define TAIL_MIN 256

/* A stretch of a file that is not compressed. */
struct flat {
	struct source *src;
	uint32_t index;	   /* of its device */
	uint64_t dev, len; /* from the offset asked for */
	bool hole, in_meta;
};

static bool compressed(const struct erofs_file *x)
{
	return x->layout == EROFS_COMPRESSED_FULL ||
	       x->layout == EROFS_COMPRESSED_COMPACT;
}

/* The chunk of f->file around off. */
static int chunk_map(struct erofs *f, uint64_t off, struct flat *out,
	struct error *e)
{
	const struct erofs_file *x = &f->file;
	unsigned bits = f->block_bits + (x->u & 31);
	size_t unit = x->u & CHUNK_INDEXES ? 8 : 4;
	uint64_t at = round_up(x->offset + x->inode_size + x->xattr_size,
		unit);
	uint64_t in = off & ((UINT64_C(1) << bits) - 1);
	struct erofs_place p;
	uint8_t b[8];
	int r = source_pread(f->meta, b, unit, at + (off >> bits) * unit, e);

	if (r)
		return r;
	out->len = u64_min((UINT64_C(1) << bits) - in, x->node.size - off);
	out->hole = get_le32(b + unit - 4) == HOLE;
	if (out->hole)
		return 0;
	r = erofs_device_map(f, unit == 8 ? get_le16(b + 2) : 0,
		((uint64_t)get_le32(b + unit - 4) << f->block_bits) + in,
		out->len, &p, e);
	if (r)
		return r;
	out->src = p.src;
	out->index = p.index;
	out->dev = p.off;
	out->len = p.len;
	return 0;
}

int erofs_chunks_check(struct erofs *f, struct error *e)
{
	uint64_t off = 0, chunk = UINT64_C(1) << (f->block_bits +
						  (f->file.u & 31));
	struct flat x = { 0 };

	for (uint64_t n = 0; off < f->file.node.size; n++) {
		int r;

		if (n > LIMIT_FILE_EXTENTS)
			return error_at(e, ERR_LIMIT, f->file.offset,
				"erofs: too many chunks");
		r = chunk_map(f, off, &x, e);
		if (r == ERR_UNSUPPORTED || r == ERR_IO)
			return r;
		/* what is damaged is told when it is read */
		if (!u64_add(off, chunk, &off))
			break;
	}
	return 0;
}

/* Where off of f->file is; off is below the size. */
static int flat_map(struct erofs *f, uint64_t off, struct flat *out,
	struct error *e)
{
	const struct erofs_file *x = &f->file;
	uint64_t size = x->node.size, inl = size;

	*out = (struct flat){ .src = f->meta };
	if (x->layout == EROFS_CHUNKED)
		return chunk_map(f, off, out, e);
	if (x->layout == EROFS_FLAT_INLINE)
		inl = size ? round_down(size - 1, f->block_size) : 0;
	if (off < inl) {
		out->dev = ((uint64_t)x->u << f->block_bits) + off;
		out->len = inl - off;
	} else {
		out->in_meta = true;
		out->dev = x->offset + x->inode_size + x->xattr_size +
			   (off - inl);
		out->len = size - off;
	}
	if (!range_inside(out->dev, out->len, f->src->size))
		return error_at(e, ERR_CORRUPT, x->offset,
			"erofs: node %" PRIu64
			": %" PRIu64 " bytes at %" PRIu64
			" are outside the volume", x->id, out->len, out->dev);
	return 0;
}

/* Zeros at the start: most of a block where text was compressed. */
static size_t padding(struct view in)
{
	size_t n = 0;

	while (in.len - n >= 64 && is_zero(in.data + n, 64))
		n += 64;
	while (n < in.len && !in.data[n])
		n++;
	return n;
}

/* Decodes the extent into f->z_data. */
static int z_decode(struct erofs *f, const struct erofs_zext *z,
	struct error *e)
{
	struct view in;
	size_t llen = (size_t)z->llen, skip = 0;
	int r;

	f->z_id = UINT64_MAX;
	buf_clear(&f->z_data);
	buf_clear(&f->z_raw);
	if (!buf_grow(&f->z_data, llen) || !buf_grow(&f->z_raw, (size_t)z->plen))
		return error_nomem(e);
	in = (struct view){ f->z_raw.data, f->z_raw.len };
	r = source_pread(f->src, f->z_raw.data, in.len, z->pa, e);
	if (r)
		return r;
	if (z->plain) {
		size_t first = 0;

		if (llen > in.len)
			return error_at(e, ERR_CORRUPT, z->pa,
				"erofs: %zu plain bytes in %zu", llen, in.len);
		/* What comes before the file's next block boundary stands at
		 * the end, so that the blocks behind it are aligned. */
		if (z->interlaced)
			first = (size_t)(f->block_size -
					 (z->la & (f->block_size - 1)));
		if (first > in.len)
			first = 0;
		skip = in.len - first;
		first = size_min(first, llen);
		memcpy(f->z_data.data, in.data + skip, first);
		memcpy(f->z_data.data + first, in.data, llen - first);
	} else {
		/* aligned to the end of its blocks, zeros before */
		if (f->incompat & EROFS_ZERO_PADDING)
			skip = padding(in);
		r = erofs_decode(&f->codec, z->method, in.data + skip,
			in.len - skip, f->z_data.data, llen, e);
		if (r == ERR_CORRUPT)
			return error_at(e, ERR_CORRUPT, z->pa,
				"erofs: compressed extent at %" PRIu64
				" cannot be decoded", z->pa);
		if (r)
			return r;
	}
	f->z_id = f->file.id;
	f->z = *z;
	return 0;
}

/* A failure is remembered. */
int erofs_packed_open(struct erofs *f, struct error *e)
{
	struct erofs *p = f->packed;
	int r;

	if (p && !f->packed_bad)
		return 0;
	if (f->packed_bad)
		return error_set(e, ERR_CORRUPT,
			"erofs: the file of fragments cannot be read");
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_nomem(e);
	p->fs = f->fs;
	p->src = source_ref(f->src);
	p->meta = source_ref(f->meta);
	p->findings = f->findings;
	p->block_bits = f->block_bits;
	p->block_size = f->block_size;
	p->incompat = f->incompat;
	p->compat = f->compat;
	p->meta_off = f->meta_off;
	p->methods = f->methods;
	p->is_packed = true;
	p->z_id = UINT64_MAX;
	f->packed = p; /* closed with f */
	r = erofs_load(p, f->packed_id, e);
	if (!r && (p->file.node.type != FS_FILE ||
			  p->file.node.flags & FS_NODE_OPAQUE))
		r = error_at(e, ERR_CORRUPT, p->file.offset,
			"erofs: node %" PRIu64
			", the file of fragments, is none", f->packed_id);
	f->packed_bad = r != 0;
	return r;
}

/* Opens what a fragment lies in, and checks that it does. */
static int fragment_check(struct erofs *f, const struct erofs_zext *z,
	struct error *e)
{
	int r = erofs_packed_open(f, e);

	if (!r && !range_inside(z->pa, z->llen, f->packed->file.node.size))
		r = error_at(e, ERR_CORRUPT, f->file.offset,
			"erofs: node %" PRIu64 ": a fragment of %" PRIu64
			" bytes at %" PRIu64 " of %" PRIu64, f->file.id,
			z->llen, z->pa, f->packed->file.node.size);
	return r;
}

static int z_content(struct erofs *f, uint8_t *dst, size_t len, uint64_t off,
	struct error *e)
{
	while (len) {
		size_t n;

		if (f->z_id != f->file.id || off < f->z.la ||
			off - f->z.la >= f->z.llen) {
			struct erofs_zext z;
			int r = erofs_z_map(f, off, &z, e);

			if (!r && z.fragment) {
				/* the last of its file */
				r = fragment_check(f, &z, e);
				return r ? r
					 : erofs_content(f->packed, dst, len,
						   z.pa + (off - z.la), e);
			}
			if (!r)
				r = z_decode(f, &z, e);
			if (r)
				return r;
		}
		n = (size_t)u64_min(len, f->z.la + f->z.llen - off);
		memcpy(dst, f->z_data.data + (off - f->z.la), n);
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

int erofs_content(struct erofs *f, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	uint8_t *dst = buf;

	if (!range_inside(off, len, f->file.node.size))
		return fs_outside(e, len, off, f->file.node.size);
	if (compressed(&f->file))
		return z_content(f, dst, len, off, e);
	while (len) {
		struct flat x;
		size_t n;
		int r = flat_map(f, off, &x, e);

		if (r)
			return r;
		n = (size_t)u64_min(len, x.len);
		if (x.hole)
			memset(dst, 0, n);
		else
			r = source_pread(x.src, dst, n, x.dev, e);
		if (r)
			return r;
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int load_content(struct erofs *f, uint64_t id, struct error *e)
{
	int r = erofs_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_FILE)
		return error_set(e, ERR_ARG, "erofs: not a file");
	if (f->file.node.flags & FS_NODE_OPAQUE)
		return error_set(e, ERR_UNSUPPORTED,
			"erofs: the file's content cannot be decoded");
	return 0;
}

int erofs_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	int r = load_content(f, id, e);

	return r ? r : erofs_content(f, buf, len, off, e);
}

static bool joins(const struct fs_extent *a, const struct fs_extent *b)
{
	return a->len && a->kind == b->kind && a->dev == b->dev &&
	       a->kind != FS_EXTENT_INLINE &&
	       b->file_off == a->file_off + a->len &&
	       b->dev_off == a->dev_off + a->dev_len;
}

/* The piece of a fragment at off: where the packed file has it. Others may
 * have the same, so that it is never said to be the file's as such. */
static int fragment_extent(struct erofs *f, const struct erofs_zext *z,
	uint64_t off, struct fs_extent *x, struct error *e)
{
	struct erofs *p = f->packed;
	uint64_t at = z->pa + (off - z->la), left = z->la + z->llen - off;
	struct erofs_zext in;
	struct flat flat;
	int r;

	x->kind = FS_EXTENT_ENCODED;
	if (compressed(&p->file)) {
		r = erofs_z_map(p, at, &in, e);
		if (r)
			return r;
		if (in.in_meta)
			x->kind = FS_EXTENT_INLINE;
		x->dev_off = in.pa;
		x->dev_len = in.plen;
		x->len = u64_min(left, in.la + in.llen - at);
		return 0;
	}
	r = flat_map(p, at, &flat, e);
	if (r)
		return r;
	x->len = u64_min(left, flat.len);
	if (flat.hole || flat.in_meta) {
		x->kind = FS_EXTENT_INLINE;
	} else {
		x->dev = flat.index;
		x->dev_off = flat.dev;
		x->dev_len = x->len;
	}
	return 0;
}

static int next_extent(struct erofs *f, uint64_t off, struct fs_extent *out,
	bool *hole, struct error *e)
{
	struct fs_extent x = { .file_off = off, .kind = FS_EXTENT_DATA };
	struct erofs_zext z;
	struct flat p;
	int r;

	*hole = false;
	*out = x;
	if (!compressed(&f->file)) {
		r = flat_map(f, off, &p, e);
		if (r)
			return r;
		*hole = p.hole;
		x.len = x.dev_len = p.len;
		x.dev = p.index;
		x.dev_off = p.dev;
		/* A tail behind its inode is the file's as it stands there;
		 * where it is all of the file and a few bytes, nothing is
		 * gained by saying so. */
		if (p.in_meta && !off && p.len < TAIL_MIN)
			x.kind = FS_EXTENT_INLINE;
	} else {
		r = erofs_z_map(f, off, &z, e);
		if (!r && z.fragment) {
			r = fragment_check(f, &z, e);
			if (!r)
				r = fragment_extent(f, &z, off, out, e);
			return r;
		}
		if (r)
			return r;
		x.len = z.llen;
		x.dev_off = z.pa;
		x.dev_len = z.plen;
		x.kind = FS_EXTENT_ENCODED;
		x.packed = z.in_meta;
		if (z.in_meta)
			x.kind = FS_EXTENT_INLINE;
		else if (z.plain && !z.interlaced && z.llen <= z.plen) {
			x.kind = FS_EXTENT_DATA;
			x.dev_len = z.llen;
		}
	}
	*out = x;
	return 0;
}

int erofs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	struct fs_extent last = { 0 }, x;
	uint64_t off = 0, size, steps = 0;
	int r = load_content(f, id, e);

	if (r)
		return r;
	size = f->file.node.size;
	while (off < size) {
		bool hole;

		if (++steps > LIMIT_FILE_EXTENTS)
			return error_set(e, ERR_LIMIT,
				"erofs: node %" PRIu64 " has too many extents",
				id);
		r = next_extent(f, off, &x, &hole, e);
		if (r)
			return r;
		off += x.len;
		if (hole)
			continue;
		if (joins(&last, &x)) {
			last.len += x.len;
			last.dev_len += x.dev_len;
			continue;
		}
		if (last.len) {
			r = fn(ctx, &last);
			if (r)
				return r;
		}
		last = x;
	}
	return last.len ? fn(ctx, &last) : 0;
}
