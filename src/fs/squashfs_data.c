/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: content and extents. A file is a run of blocks on the device, each
 * compressed or not, or a hole; what is left may lie in a fragment, a block
 * that several files share. */
#include "fs/squashfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define RAW (1u << 24) /* in a size: stored as it is */

struct piece {
	uint64_t dev;
	uint32_t stored; /* 0: a hole */
	bool raw;
};

static int check_piece(struct sqfs *f, uint32_t word, uint64_t dev,
	struct piece *out, struct error *e)
{
	out->dev = dev;
	out->raw = word & RAW;
	out->stored = word & ~RAW;
	if (out->stored > f->block_size ||
		!range_inside(dev, out->stored, f->src->size))
		return error_at(e, ERR_CORRUPT, dev,
			"squashfs: data block of %u bytes at %" PRIu64,
			out->stored, dev);
	return 0;
}

/* Block index of f->file. Forward walks cost one step. */
static int find_block(struct sqfs *f, uint64_t index, struct piece *out,
	struct error *e)
{
	struct sqfs_file *x = &f->file;

	if (index < x->walk_index) {
		x->walk_index = 0;
		x->walk_dev = x->start;
		x->walk_list = x->list;
	}
	for (;;) {
		struct sqfs_at at = x->walk_list;
		struct piece p;
		uint8_t w[4];
		int r = sqfs_meta_read(f, &at, w, 4, e);

		if (!r)
			r = check_piece(f, get_le32(w), x->walk_dev, &p, e);
		if (r)
			return r;
		if (x->walk_index == index) {
			/* not moved on: the same block is often asked again */
			*out = p;
			return 0;
		}
		x->walk_index++;
		x->walk_list = at;
		x->walk_dev += p.stored;
	}
}

static int find_fragment(struct sqfs *f, struct piece *out, struct error *e)
{
	uint8_t b[16];
	int r;

	if (f->file.frag >= f->fragments)
		return error_set(e, ERR_CORRUPT,
			"squashfs: fragment %u of %u", f->file.frag,
			f->fragments);
	r = sqfs_table_read(f, f->fragment_table, f->file.frag, 16, b, e);
	if (r)
		return r;
	return check_piece(f, get_le32(b + 8), get_le64(b), out, e);
}

/* Decodes p into data; *out_len how many bytes there are. */
static int decode(struct sqfs *f, const struct piece *p, uint8_t *data,
	size_t max, uint32_t *out_len, struct error *e)
{
	size_t got = 0;
	int r;

	if (p->raw) {
		if (p->stored > max)
			return error_at(e, ERR_CORRUPT, p->dev,
				"squashfs: data block is longer than the file");
		*out_len = p->stored;
		return source_pread(f->src, data, p->stored, p->dev, e);
	}
	if (!f->packed)
		f->packed = malloc(f->block_size);
	if (!f->packed)
		return error_nomem(e);
	r = source_pread(f->src, f->packed, p->stored, p->dev, e);
	if (!r)
		r = unpack_block(f->unpack, f->packed, p->stored, data, max,
			&got, e);
	if (r == ERR_CORRUPT)
		return error_at(e, r, p->dev, "squashfs: data block at %" PRIu64
			" cannot be decoded", p->dev);
	*out_len = (uint32_t)got;
	return r;
}

static int decoded(struct sqfs *f, struct sqfs_decoded *d,
	const struct piece *p, struct error *e)
{
	int r;

	if (d->dev == p->dev)
		return 0;
	d->dev = UINT64_MAX;
	if (!d->data)
		d->data = malloc(f->block_size);
	if (!d->data)
		return error_nomem(e);
	r = decode(f, p, d->data, f->block_size, &d->len, e);
	if (!r)
		d->dev = p->dev;
	return r;
}

static int load_content(struct sqfs *f, uint64_t id, struct error *e)
{
	int r = sqfs_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_FILE)
		return error_set(e, ERR_ARG, "squashfs: not a file");
	if (f->file.node.flags & FS_NODE_OPAQUE)
		return error_set(e, ERR_LIMIT,
			"squashfs: the file has too many blocks");
	return 0;
}

int sqfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct sqfs *f = (struct sqfs *)fs;
	uint8_t *dst = buf;
	int r = load_content(f, id, e);

	if (r)
		return r;
	if (!range_inside(off, len, f->file.node.size))
		return fs_outside(e, len, off, f->file.node.size);
	while (len) {
		uint64_t index = off / f->block_size;
		uint32_t in = (uint32_t)(off % f->block_size), have;
		uint32_t whole = (uint32_t)u64_min(f->block_size,
			f->file.node.size - index * f->block_size);
		size_t n = size_min(len, whole - in);
		struct sqfs_decoded *d = &f->block;
		uint32_t base = 0;
		struct piece p;

		if (index < f->file.blocks) {
			r = find_block(f, index, &p, e);
		} else {
			r = find_fragment(f, &p, e);
			d = &f->frag;
			base = f->file.frag_off;
		}
		if (r)
			return r;
		if (!p.stored) {
			if (d == &f->frag)
				return error_at(e, ERR_CORRUPT, p.dev,
					"squashfs: empty fragment");
			memset(dst, 0, n);
		} else if (d == &f->block && n == whole &&
			   d->dev != p.dev) {
			/* a whole block: no need to keep it */
			r = decode(f, &p, dst, n, &have, e);
			if (!r && have != whole)
				r = error_at(e, ERR_CORRUPT, p.dev,
					"squashfs: data block has %u bytes, "
					"not %u", have, whole);
			if (r)
				return r;
		} else {
			r = decoded(f, d, &p, e);
			if (r)
				return r;
			if (base > d->len || whole > d->len - base)
				return error_at(e, ERR_CORRUPT, p.dev,
					"squashfs: data block has %u bytes, "
					"%u wanted at %u", d->len, whole,
					base);
			memcpy(dst, d->data + base + in, n);
		}
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

struct emit {
	struct fs_extent x;
	fs_extent_fn fn;
	void *ctx;
};

/* Adds to the extent at hand where it continues it, else hands that over. */
static int emit(struct emit *m, const struct fs_extent *x)
{
	int r = 0;

	if (m->x.len && x && x->kind == m->x.kind &&
		x->file_off == m->x.file_off + m->x.len &&
		x->dev_off == m->x.dev_off + m->x.dev_len) {
		m->x.len += x->len;
		m->x.dev_len += x->dev_len;
		return 0;
	}
	if (m->x.len)
		r = m->fn(m->ctx, &m->x);
	m->x = x ? *x : (struct fs_extent){ 0 };
	return r;
}

int sqfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct sqfs *f = (struct sqfs *)fs;
	struct emit m = { .fn = fn, .ctx = ctx };
	struct fs_extent x;
	struct piece p;
	int r = load_content(f, id, e);

	if (r)
		return r;
	for (uint64_t i = 0; i < f->file.blocks; i++) {
		r = find_block(f, i, &p, e);
		if (r)
			return r;
		if (!p.stored)
			continue;
		x = (struct fs_extent){ .file_off = i * f->block_size,
			.dev_off = p.dev,
			.dev_len = p.stored,
			.kind = p.raw ? FS_EXTENT_DATA : FS_EXTENT_ENCODED };
		x.len = u64_min(f->block_size,
			f->file.node.size - x.file_off);
		if (p.raw && p.stored != x.len)
			return error_at(e, ERR_CORRUPT, p.dev,
				"squashfs: data block has %u bytes, not %" PRIu64,
				p.stored, x.len);
		r = emit(&m, &x);
		if (r)
			return r;
	}
	if (f->file.frag != SQFS_NONE &&
		f->file.blocks * f->block_size < f->file.node.size) {
		r = find_fragment(f, &p, e);
		if (r)
			return r;
		x = (struct fs_extent){ .file_off = f->file.blocks *
						    f->block_size,
			.dev_off = p.dev,
			.dev_len = p.stored,
			.kind = FS_EXTENT_ENCODED };
		x.len = f->file.node.size - x.file_off;
		if (p.raw) {
			if (!range_inside(f->file.frag_off, x.len, p.stored))
				return error_at(e, ERR_CORRUPT, p.dev,
					"squashfs: the fragment ends early");
			x.kind = FS_EXTENT_DATA;
			x.dev_off += f->file.frag_off;
			x.dev_len = x.len;
		}
		r = emit(&m, &x);
		if (r)
			return r;
	}
	return emit(&m, NULL);
}
