/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of ext2/3/4. All forms (linear, htree, inline) hold the entries
 * in blocks that can be read one behind the other: the index of an htree hides
 * in entries that are not in use. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "fs/ext_fast.h"

struct dir_walk {
	struct ext *x;
	const struct ext_inode *in;
	fs_entry_fn fn;
	void *ctx;
	uint64_t entries;
	int bad; /* the code of the last damage */
	struct error err;
};

static void damage(struct dir_walk *w, enum finding_id id, int code,
	uint64_t off, const char *what, uint64_t v)
{
	char where[32];

	snprintf(where, sizeof(where), "inode %u", w->in->ino);
	error_at(&w->err, code, off, "directory inode %u: %s (%" PRIu64 ")",
		w->in->ino, what, v);
	w->bad = code;
	finding_report(w->x->findings, id, off, where, "%s (%" PRIu64 ")", what,
		v);
}

/* Encrypted names are any bytes, '/' and NUL too; they are shown as URL-safe
 * base64 (RFC 4648, 5) without padding. */
static size_t encode_name(const uint8_t *name, size_t len, uint8_t *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		acc = (acc << 8 | name[i]) & 0xffff;
		bits += 8;
		while (bits >= 6) {
			bits -= 6;
			out[n++] = (uint8_t)digits[(acc >> bits) & 63];
		}
	}
	if (bits)
		out[n++] = (uint8_t)digits[(acc << (6 - bits)) & 63];
	return n;
}

static int entry(struct dir_walk *w, const uint8_t *name, size_t len,
	uint32_t ino, uint64_t off)
{
	uint8_t text[400];

	if ((len == 1 && name[0] == '.') ||
		(len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (ino > w->x->g.inodes) {
		damage(w, FINDING_DIR_DAMAGED, ERR_CORRUPT, off,
			"an entry's inode number is too large", ino);
		return 0;
	}
	if (len && w->in->flags & EXT_FL_ENCRYPT) {
		len = encode_name(name, len, text);
		name = text;
	}
	if (!len || memchr(name, 0, len) || memchr(name, '/', len)) {
		damage(w, FINDING_NAME_BAD, ERR_CORRUPT, off,
			"a name is empty or holds a slash or a NUL", len);
		return 0;
	}
	if (w->entries++ >= LIMIT_DIR_ENTRIES) {
		damage(w, FINDING_FILE_LIMIT, ERR_LIMIT, off,
			"too many entries", w->entries);
		return ERR_LIMIT;
	}
	return w->fn(w->ctx, name, len, ino);
}

/* The entries in [p, p+size); off is where they are on the disk. Each takes at
 * least 8 bytes, so the walk ends. */
static int entries(struct dir_walk *w, const uint8_t *p, size_t size,
	uint64_t off)
{
	size_t at = 0;
	int r;

	while (size - at >= sizeof(struct ext_dirent)) {
		const struct ext_dirent *d = (const void *)(p + at);
		/* Names are at most 255 bytes: without the feature "filetype"
		 * the byte behind is not their length's high one, but what
		 * happened to be in the kernel's memory. */
		size_t rec = le16_get(d->rec_len), name = d->name_len;
		uint32_t ino = le32_get(d->inode);

		/* In blocks of 64 KiB the two low bits, always zero, are the
		 * high ones. */
		if (w->x->g.block_size == 65536)
			rec = rec == 65535 || !rec
				      ? size - at
				      : (rec & 65532) | (rec & 3) << 16;
		if (rec < 8 || rec & 3 || rec > size - at ||
			(ino && name > rec - 8)) {
			damage(w, FINDING_DIR_DAMAGED, ERR_CORRUPT, off + at,
				"an entry's length is wrong", rec);
			return 0;
		}
		if (ino && !ext_layer_hides(w->x, w->in->ino, p + at + 8,
				   name)) {
			r = entry(w, p + at + 8, name, ino, off + at);
			if (r)
				return r;
		}
		at += rec;
	}
	return 0;
}

static void check_tail(struct dir_walk *w, const uint8_t *p, uint64_t lblk,
	uint64_t off)
{
	uint32_t bs = w->x->g.block_size;
	const uint8_t *t = p + bs - EXT_DIR_TAIL;

	/* Blocks of the index (the first, and those with one unused entry)
	 * have their sum elsewhere, and may end in what was a tail once; the
	 * index is not used here. */
	if (!w->x->csum || get_le32(t) || get_le16(t + 4) != EXT_DIR_TAIL ||
		t[6] || t[7] != EXT_DIR_TAIL_TYPE ||
		(w->in->flags & EXT_FL_INDEX &&
			(!lblk || (!get_le32(p) &&
					  (get_le16(p + 4) == (bs & 0xffff) ||
						  get_le16(p + 4) == 65535)))))
		return;
	if (crc32c_update(ext_inode_seed(w->x, w->in), p, bs - EXT_DIR_TAIL) !=
		get_le32(t + 8))
		damage(w, FINDING_DIR_DAMAGED, ERR_CORRUPT, off,
			"a block's checksum is wrong",
			off / w->x->g.block_size);
}

static int inline_dir(struct dir_walk *w, const uint8_t *raw)
{
	AUTO_BUF data = BUF_INIT;
	uint64_t off = ext_inode_off(w->x, w->in->ino);
	int r = ext_inline_data(w->x, w->in, raw, &data, &w->err);

	if (r) {
		struct error keep = w->err;

		damage(w, FINDING_DIR_DAMAGED, r, off,
			"its inline data is damaged", data.len);
		w->err = keep;
		return 0;
	}
	/* The parent's inode number, then two stretches of entries: what the
	 * inode has room for, and the rest. A size that is less than the first
	 * is wrong, and Linux does not look at it. */
	if (data.len < EXT_IBLOCK_SIZE)
		damage(w, FINDING_DIR_DAMAGED, ERR_CORRUPT, off,
			"its inline data is too short", data.len);
	r = entries(w, w->in->block + 4, EXT_IBLOCK_SIZE - 4, off);
	if (r || data.len <= EXT_IBLOCK_SIZE)
		return r;
	return entries(w, data.data + EXT_IBLOCK_SIZE,
		data.len - EXT_IBLOCK_SIZE, off);
}

static int blocks(struct dir_walk *w)
{
	struct ext *x = w->x;
	struct ext_map map = { 0 }, *m = &map;
	AUTO_FREE uint8_t *block = malloc(x->g.block_size);
	uint64_t from = 0, end = div_ceil(w->in->size, x->g.block_size);
	struct ext_run run;
	int r;

	if (!block)
		return error_nomem(&w->err);
	r = ext_map_begin(m, x, w->in, &w->err);

	while (!r && from < end) {
		r = ext_map_next(m, from, &run, &w->err);
		if (r <= 0 || run.lblk >= end)
			break;
		run.len = u64_min(run.len, end - run.lblk);
		from = run.lblk + run.len;
		/* There are none in a sound directory; Linux and e2fsck take
		 * the flag for wrong and the blocks for what they hold. */
		if (run.unwritten)
			damage(w, FINDING_DIR_DAMAGED, ERR_CORRUPT,
				ext_blk_off(x, run.pblk),
				"blocks of it are marked as not written",
				run.len);
		for (uint64_t i = 0; i < run.len; i++) {
			uint64_t off = ext_blk_off(x, run.pblk + i);

			r = ext_map_charge(m, 1, &w->err);
			if (r)
				break;
			r = ext_block_read(x, run.pblk + i, block, &w->err);
			if (r) {
				struct error keep = w->err;

				damage(w, FINDING_READ_ERROR,
					r == ERR_RANGE ? ERR_CORRUPT : r, off,
					"a block cannot be read", run.pblk + i);
				w->err = keep;
				r = 0;
				continue;
			}
			check_tail(w, block, run.lblk + i, off);
			r = entries(w, block, x->g.block_size, off);
			if (r) {
				ext_map_end(m);
				ext_map_release(m);
				return r;
			}
		}
		if (r < 0)
			break;
		r = 0;
	}
	if (m->valid)
		ext_map_end(m);
	ext_map_release(m);
	if (r < 0) {
		struct error keep = w->err;

		damage(w, r == ERR_LIMIT ? FINDING_FILE_LIMIT
					 : FINDING_DIR_DAMAGED,
			r, ext_inode_off(x, w->in->ino),
			"not all of its blocks can be found", from);
		w->err = keep;
	}
	return 0;
}

/* The names that fast commits left. */
static int layer(struct dir_walk *w, const struct fast_name *list, size_t n)
{
	uint64_t off = ext_inode_off(w->x, w->in->ino);
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		if (list[i].ino)
			r = entry(w, list[i].text, list[i].len, list[i].ino,
				off);
	return r;
}

int ext_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct ext *x = ext_of(fs);
	struct ext_inode in;
	struct dir_walk w = { .x = x, .in = &in, .fn = fn, .ctx = ctx };
	const struct fast_name *names;
	const uint8_t *raw;
	size_t n;
	bool fresh;
	int r = ext_inode_read(x, dir, false, &in, &raw, e);

	if (r)
		return r;
	if ((in.mode & EXT_MODE_FMT) != EXT_MODE_DIR)
		return error_set(e, ERR_ARG, "inode %u is not a directory",
			in.ino);
	names = ext_layer_names(x, in.ino, &n, &fresh);
	if (!fresh)
		r = in.flags & EXT_FL_INLINE_DATA ? inline_dir(&w, raw)
						  : blocks(&w);
	if (!r)
		r = layer(&w, names, n);
	if (r == ERR_NOMEM && e)
		*e = w.err;
	if (w.bad && (!r || r == w.bad)) {
		if (e)
			*e = w.err;
		return w.bad;
	}
	return r;
}
