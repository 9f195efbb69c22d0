/* SPDX-License-Identifier: Apache-2.0 */
/* Content of files and targets of symbolic links. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* Hands extents out, joined where one goes on in the next. */
struct out {
	fs_extent_fn fn;
	void *ctx;
	struct fs_extent x; /* pending; len 0: none */
	uint64_t count;
};

static int put(struct out *o, const struct fs_extent *x)
{
	struct fs_extent *p = &o->x;
	int r = 0;

	if (p->len && p->kind == x->kind && p->file_off + p->len == x->file_off &&
		p->dev_off + p->dev_len == x->dev_off) {
		p->len += x->len;
		p->dev_len += x->dev_len;
		return 0;
	}
	if (p->len) {
		r = o->fn(o->ctx, p);
		o->count++;
	}
	*p = *x;
	return r;
}

/* A run, cut where blocks were replayed from the journal: for those the bytes
 * on the device are not the file's. */
static int put_run(struct ext *x, struct out *o, const struct ext_run *run)
{
	uint64_t bs = x->g.block_size;
	uint64_t at = 0;

	while (at < run->len) {
		uint64_t next = x->replay ? ext_replay_next(x->replay,
						    run->pblk + at)
					  : UINT64_MAX;
		uint64_t n = run->len - at;
		enum fs_extent_kind kind = run->unwritten ? FS_EXTENT_UNWRITTEN
							  : FS_EXTENT_DATA;
		int r;

		if (next == run->pblk + at && !run->unwritten) {
			n = 1;
			kind = FS_EXTENT_ENCODED;
		} else if (!run->unwritten) {
			n = u64_min(n, next - (run->pblk + at));
		}
		r = put(o, &(struct fs_extent){
				   .file_off = (run->lblk + at) * bs,
				   .len = n * bs,
				   .dev_off = (run->pblk + at) * bs,
				   .dev_len = n * bs,
				   .kind = kind,
			   });
		if (r)
			return r;
		at += n;
	}
	return 0;
}

static int is_file(struct ext *x, const struct ext_inode *in, struct error *e)
{
	if ((in->mode & EXT_MODE_FMT) != EXT_MODE_FILE)
		return error_at(e, ERR_ARG, ext_inode_off(x, in->ino),
			"inode %u is not a regular file", in->ino);
	return 0;
}

static void report(struct ext *x, uint32_t ino, int code,
	const struct error *e)
{
	char where[32];

	snprintf(where, sizeof(where), "inode %u", ino);
	finding_report(x->findings,
		code == ERR_IO	    ? FINDING_READ_ERROR
		: code == ERR_LIMIT ? FINDING_FILE_LIMIT
				    : FINDING_FILE_DAMAGED,
		e->has_offset ? e->offset : FINDING_NO_OFFSET, where, "%s",
		e->msg);
}

int ext_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct ext *x = ext_of(fs);
	struct out o = { .fn = fn, .ctx = ctx };
	struct ext_inode in;
	struct ext_map map = { 0 };
	struct ext_run run;
	struct error err = { 0 };
	uint64_t from = 0, end;
	int r = ext_inode_read(x, id, false, &in, NULL, e);

	if (!r)
		r = is_file(x, &in, e);
	if (r || !in.size)
		return r;
	if (in.flags & EXT_FL_INLINE_DATA) /* the rest would be a hole */
		return fn(ctx, &(struct fs_extent){
				       .len = u64_min(in.size, x->g.inode_size),
				       .kind = FS_EXTENT_INLINE,
			       });
	/* What is allocated behind the end is not content. */
	end = div_ceil(in.size, x->g.block_size);
	r = ext_map_begin(&map, x, &in, &err);
	while (!r && from < end) {
		r = ext_map_next(&map, from, &run, &err);
		if (r <= 0 || run.lblk >= end)
			break;
		run.len = u64_min(run.len, end - run.lblk);
		from = run.lblk + run.len;
		if (!range_inside(run.pblk * x->g.block_size,
			    run.len * x->g.block_size, x->disk->size)) {
			r = error_at(&err, ERR_CORRUPT,
				run.pblk * x->g.block_size,
				"inode %u: block %" PRIu64
				" is behind the end of the volume",
				in.ino, run.pblk);
			break;
		}
		if (o.count >= LIMIT_FILE_EXTENTS) {
			r = error_set(&err, ERR_LIMIT,
				"inode %u: more than %" PRIu64 " extents",
				in.ino, LIMIT_FILE_EXTENTS);
			break;
		}
		r = put_run(x, &o, &run);
		if (r) { /* the caller's own */
			ext_map_release(&map);
			return r;
		}
	}
	if (map.valid)
		ext_map_end(&map);
	ext_map_release(&map);
	if (r < 0) {
		report(x, in.ino, r, &err);
		if (e)
			*e = err;
		return r;
	}
	return o.x.len ? fn(ctx, &o.x) : 0;
}

int ext_inode_pread(struct ext *x, const struct ext_inode *in, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	uint64_t bs = x->g.block_size, end = off + len;
	uint8_t *p = buf;
	struct ext_run run;
	int r;

	if (in->flags & EXT_FL_INLINE_DATA) {
		AUTO_BUF data = BUF_INIT;
		const uint8_t *raw;
		struct ext_inode again;

		r = ext_inode_read(x, in->ino, true, &again, &raw, e);
		if (!r)
			r = ext_inline_data(x, in, raw, &data, e);
		if (r)
			return r;
		memset(buf, 0, len);
		if (off < data.len)
			memcpy(buf, data.data + off,
				(size_t)u64_min(len, data.len - off));
		return 0;
	}
	r = ext_map_begin(&x->read, x, in, e);
	while (!r && off < end) {
		uint64_t from, to;

		r = ext_map_next(&x->read, off / bs, &run, e);
		if (r < 0)
			return r;
		from = r ? u64_max(run.lblk * bs, off) : end;
		from = u64_min(from, end);
		memset(p, 0, (size_t)(from - off));
		p += from - off;
		off = from;
		if (!r || off >= end)
			return 0;
		to = u64_min((run.lblk + run.len) * bs, end);
		if (run.unwritten) {
			memset(p, 0, (size_t)(to - off));
			r = 0;
		} else {
			r = source_pread(x->view, p, (size_t)(to - off),
				run.pblk * bs + (off - run.lblk * bs), e);
			if (r == ERR_RANGE)
				r = ERR_CORRUPT;
		}
		p += to - off;
		off = to;
	}
	return r;
}

int ext_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct ext *x = ext_of(fs);
	struct ext_inode in;
	int r = ext_inode_read(x, id, false, &in, NULL, e);

	if (!r)
		r = is_file(x, &in, e);
	if (r)
		return r;
	if (!range_inside(off, len, in.size))
		return error_set(e, ERR_RANGE,
			"inode %u: read behind its %" PRIu64 " bytes", in.ino,
			in.size);
	return len ? ext_inode_pread(x, &in, buf, len, off, e) : 0;
}

int ext_readlink(struct fs *fs, uint64_t id, struct buf *out, struct error *e)
{
	struct ext *x = ext_of(fs);
	struct ext_inode in;
	const uint8_t *raw;
	uint8_t *p;
	int r = ext_inode_read(x, id, false, &in, &raw, e);

	if (r)
		return r;
	if ((in.mode & EXT_MODE_FMT) != EXT_MODE_SYMLINK)
		return error_set(e, ERR_ARG, "inode %u is not a symbolic link",
			in.ino);
	if (!in.size || in.size > x->g.block_size ||
		in.size > LIMIT_SYMLINK)
		return error_at(e, ERR_CORRUPT, ext_inode_off(x, in.ino),
			"inode %u: a target of %" PRIu64 " bytes", in.ino,
			in.size);
	if (in.flags & EXT_FL_INLINE_DATA) {
		size_t had = out->len;

		r = ext_inline_data(x, &in, raw, out, e);
		if (!r && out->len - had != in.size)
			r = error_at(e, ERR_CORRUPT, ext_inode_off(x, in.ino),
				"inode %u: its target is cut short", in.ino);
		if (r)
			out->len = had;
		return r;
	}
	p = buf_grow(out, (size_t)in.size);
	if (!p)
		return error_nomem(e);
	/* Short ones stand in the inode itself, and then it maps nothing. */
	if (in.size < EXT_IBLOCK_SIZE && !(in.flags & EXT_FL_EXTENTS)) {
		memcpy(p, in.block, (size_t)in.size);
		return 0;
	}
	r = ext_inode_pread(x, &in, p, (size_t)in.size, 0, e);
	if (r)
		out->len -= (size_t)in.size;
	return r;
}
