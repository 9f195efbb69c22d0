/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: content and extents. See erofs.h. */
#include "fs/erofs.h"

#include <inttypes.h>
#include <lz4.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define CHUNK_INDEXES 0x20
#define HOLE UINT32_MAX

/* A stretch of a file that is not compressed. */
struct flat {
	uint64_t dev, len; /* from the offset asked for */
	bool hole, in_meta;
};

static bool compressed(const struct erofs_file *x)
{
	return x->layout == EROFS_COMPRESSED_FULL ||
	       x->layout == EROFS_COMPRESSED_COMPACT;
}

/* Where off of f->file is; off is below the size. */
static int flat_map(struct erofs *f, uint64_t off, struct flat *out,
	struct error *e)
{
	const struct erofs_file *x = &f->file;
	uint64_t size = x->node.size, inl = size;

	*out = (struct flat){ 0 };
	if (x->layout == EROFS_CHUNKED) {
		unsigned bits = f->block_bits + (x->u & 31);
		size_t unit = x->u & CHUNK_INDEXES ? 8 : 4;
		uint64_t at = round_up(x->offset + x->inode_size +
					       x->xattr_size, unit);
		uint64_t in = off & ((UINT64_C(1) << bits) - 1);
		uint8_t b[8];
		uint32_t block;
		int r = source_pread(f->meta, b, unit,
			at + (off >> bits) * unit, e);

		if (r)
			return r;
		if (unit == 8 && get_le16(b + 2))
			return error_at(e, ERR_UNSUPPORTED, at,
				"erofs: data on another device");
		block = get_le32(b + unit - 4);
		out->hole = block == HOLE;
		out->dev = ((uint64_t)block << f->block_bits) + in;
		out->len = u64_min((UINT64_C(1) << bits) - in, size - off);
	} else {
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
	}
	if (!out->hole && !range_inside(out->dev, out->len, f->src->size))
		return error_at(e, ERR_CORRUPT, x->offset,
			"erofs: node %" PRIu64
			": %" PRIu64 " bytes at %" PRIu64
			" are outside the volume", x->id, out->len, out->dev);
	return 0;
}

/* Decodes the extent into f->z_data. */
static int z_decode(struct erofs *f, const struct erofs_zext *z,
	struct error *e)
{
	AUTO_BUF in = BUF_INIT;
	size_t llen = (size_t)z->llen, skip = 0;
	int r;

	f->z_id = UINT64_MAX;
	buf_clear(&f->z_data);
	if (!buf_grow(&f->z_data, llen) || !buf_grow(&in, (size_t)z->plen))
		return error_nomem(e);
	r = source_pread(f->src, in.data, in.len, z->pa, e);
	if (r)
		return r;
	if (z->plain) {
		size_t from = 0, n;

		if (llen > in.len)
			return error_at(e, ERR_CORRUPT, z->pa,
				"erofs: %zu plain bytes in %zu", llen, in.len);
		if (z->interlaced && !z->in_meta)
			from = (size_t)(z->la & (f->block_size - 1));
		if (from >= in.len)
			from = 0;
		n = size_min(llen, in.len - from);
		memcpy(f->z_data.data, in.data + from, n);
		memcpy(f->z_data.data + n, in.data, llen - n);
	} else {
		/* aligned to the end of its blocks, zeros before */
		if (f->incompat & EROFS_ZERO_PADDING)
			while (skip < in.len && !in.data[skip])
				skip++;
		r = LZ4_decompress_safe_partial((const char *)in.data + skip,
			(char *)f->z_data.data, (int)(in.len - skip),
			(int)llen, (int)llen);
		if (r != (int)llen)
			return error_at(e, ERR_CORRUPT, z->pa,
				"erofs: compressed extent at %" PRIu64
				" cannot be decoded", z->pa);
	}
	f->z_id = f->file.id;
	f->z = *z;
	return 0;
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
		return error_at(e, ERR_RANGE, off,
			"erofs: read of %zu bytes at %" PRIu64
			" of a file of %" PRIu64, len, off, f->file.node.size);
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
			r = source_pread(f->meta, dst, n, x.dev, e);
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
	return a->len && a->kind == b->kind && a->kind != FS_EXTENT_INLINE &&
	       b->file_off == a->file_off + a->len &&
	       b->dev_off == a->dev_off + a->dev_len;
}

static int next_extent(struct erofs *f, uint64_t off, struct fs_extent *out,
	bool *hole, struct error *e)
{
	struct fs_extent x = { .file_off = off, .kind = FS_EXTENT_DATA };
	struct erofs_zext z;
	struct flat p;
	int r;

	*hole = false;
	if (!compressed(&f->file)) {
		r = flat_map(f, off, &p, e);
		if (r)
			return r;
		*hole = p.hole;
		x.len = x.dev_len = p.len;
		x.dev_off = p.dev;
		if (p.in_meta)
			x.kind = FS_EXTENT_INLINE;
	} else {
		r = erofs_z_map(f, off, &z, e);
		if (r)
			return r;
		x.len = z.llen;
		x.dev_off = z.pa;
		x.dev_len = z.plen;
		x.kind = FS_EXTENT_ENCODED;
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
