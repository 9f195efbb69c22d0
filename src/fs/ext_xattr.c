/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of ext2/3/4: behind the inode, in a block of their own,
 * or (large ones) as the content of another inode. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/limits.h"

struct attrs {
	struct ext *x;
	const struct ext_inode *in;
	fs_xattr_fn fn;
	void *ctx;
	uint64_t total;
	int bad;
	struct error err;
	struct buf value;
};

/* One stretch of entries. Offsets of values count from base. */
struct region {
	const uint8_t *base;
	size_t size, first; /* first entry, from base */
	uint64_t off;       /* on the disk */
};

static int wrong(struct attrs *a, uint64_t off, const char *what, uint64_t v)
{
	char where[32];

	snprintf(where, sizeof(where), "inode %u", a->in->ino);
	a->bad = error_at(&a->err, ERR_CORRUPT, off,
		"inode %u: extended attributes: %s (%" PRIu64 ")", a->in->ino,
		what, v);
	finding_report(a->x->findings, FINDING_XATTR_DAMAGED, off, where,
		"%s (%" PRIu64 ")", what, v);
	return 0;
}

/* The kernel gives ACLs out in a form of its own (version 2, an id in every
 * entry); on the disk only named users and groups have one. */
static bool convert_acl(const uint8_t *p, size_t len, struct buf *out)
{
	size_t at = 4;

	if (len < 4 || get_le32(p) != 1)
		return false;
	buf_clear(out);
	buf_le32(out, 2);
	while (at < len) {
		uint16_t tag;
		bool named;

		if (len - at < 4)
			return false;
		tag = get_le16(p + at);
		named = tag == 0x02 || tag == 0x08;
		if (!named && tag != 0x01 && tag != 0x04 && tag != 0x10 &&
			tag != 0x20)
			return false;
		if (named && len - at < 8)
			return false;
		buf_le16(out, tag);
		buf_le16(out, get_le16(p + at + 2));
		buf_le32(out, named ? get_le32(p + at + 4) : UINT32_MAX);
		at += named ? 8 : 4;
	}
	return true;
}

/* The value that another inode holds, into a->value; 0, or an error. */
static int value_inode(struct attrs *a, uint32_t ino, uint32_t size,
	struct error *e)
{
	struct ext *x = a->x;
	const struct ext_inode_disk *d;
	struct ext_inode in;
	const uint8_t *raw;
	uint8_t *p;
	uint32_t hash, mtime;
	int r = ext_inode_read(x, ino, false, &in, &raw, e);

	if (r)
		return r;
	d = (const void *)raw;
	hash = le32_get(d->atime);
	mtime = le32_get(d->mtime);
	if (!(in.flags & EXT_FL_EA_INODE) || in.size != size ||
		in.flags & EXT_FL_INLINE_DATA)
		return error_at(e, ERR_CORRUPT, ext_inode_off(x, ino),
			"inode %u does not hold that value", ino);
	buf_clear(&a->value);
	p = buf_grow(&a->value, size);
	if (!p)
		return error_nomem(e);
	r = ext_inode_pread(x, &in, p, size, 0, e);
	if (r)
		return r;
	/* The access time is the sum of the value, unless it is in Lustre's
	 * older form, where the inode names its owner instead. */
	if (x->csum && crc32c_update(x->g.csum_seed, p, size) != hash &&
		!(mtime == a->in->ino &&
			in.generation == a->in->generation))
		return error_at(e, ERR_CORRUPT, ext_inode_off(x, ino),
			"inode %u: the value's hash is wrong", ino);
	return 0;
}

static int deliver(struct attrs *a, const struct ext_xattr_entry *d,
	const struct region *g)
{
	static const char *const prefix[] = {
		[EXT_XATTR_USER] = "user.",
		[EXT_XATTR_ACL_ACCESS] = "system.posix_acl_access",
		[EXT_XATTR_ACL_DEFAULT] = "system.posix_acl_default",
		[EXT_XATTR_TRUSTED] = "trusted.",
		[EXT_XATTR_SECURITY] = "security.",
		[EXT_XATTR_HURD] = "gnu.",
	};
	uint32_t size = le32_get(d->value_size);
	uint32_t ino = le32_get(d->value_inum);
	uint64_t off = g->off + (uint64_t)((const uint8_t *)d - g->base);
	const uint8_t *value = NULL;
	AUTO_BUF acl = BUF_INIT;
	char name[32 + 256];
	int n, r;

	/* The rest (inline data, encryption contexts) is the file system's
	 * own; the kernel does not show it either. */
	if (d->name_index >= ARRAY_LEN(prefix) || !prefix[d->name_index])
		return 0;
	n = snprintf(name, sizeof(name), "%s%.*s", prefix[d->name_index],
		(int)d->name_len, (const char *)(d + 1));
	if (memchr(d + 1, 0, d->name_len) || n < 0)
		return wrong(a, off, "a name holds a NUL", d->name_len);
	if (size > LIMIT_XATTR)
		return wrong(a, off, "a value is too large", size);
	a->total += size;
	if (a->total > LIMIT_XATTRS_TOTAL)
		return wrong(a, off, "all values are too large", a->total);
	if (ino) {
		r = value_inode(a, ino, size, &a->err);
		if (r == ERR_NOMEM)
			return r;
		if (r)
			return wrong(a, off, "a value's inode is damaged", ino);
		value = a->value.data;
	} else {
		if (!range_inside(le16_get(d->value_offs), size, g->size))
			return wrong(a, off, "a value is outside",
				le16_get(d->value_offs));
		value = g->base + le16_get(d->value_offs);
	}
	if (d->name_index == EXT_XATTR_ACL_ACCESS ||
		d->name_index == EXT_XATTR_ACL_DEFAULT) {
		if (!convert_acl(value, size, &acl))
			return wrong(a, off, "an access control list is damaged",
				size);
		if (acl.oom)
			return error_nomem(&a->err);
		value = acl.data;
		size = (uint32_t)acl.len;
	}
	return a->fn(a->ctx, name, value ? value : (const uint8_t *)"", size);
}

/* The next entry at *at, moved past; NULL at the end or (and *out_bad) where
 * it does not fit. Each is at least 16 bytes, so the walk ends. */
static const struct ext_xattr_entry *next(const struct region *g, size_t *at,
	bool *out_bad)
{
	const struct ext_xattr_entry *d = (const void *)(g->base + *at);
	size_t len;

	if (g->size - *at < 4 || !get_le32(d))
		return NULL;
	len = sizeof(*d) + round_up(d->name_len, 4);
	if (g->size - *at < sizeof(*d) || len > g->size - *at) {
		*out_bad = true;
		return NULL;
	}
	*at += len;
	return d;
}

static int walk(struct attrs *a, const struct region *g)
{
	const struct ext_xattr_entry *d;
	size_t at = g->first;
	bool bad = false;
	int r;

	while ((d = next(g, &at, &bad))) {
		r = deliver(a, d, g);
		if (r)
			return r;
	}
	return bad ? wrong(a, g->off + at, "an entry does not fit", at) : 0;
}

static bool in_inode(const struct ext *x, const struct ext_inode *in,
	const uint8_t *raw, struct region *out)
{
	if (!in->extra || get_le32(raw + in->extra) != EXT_XATTR_MAGIC)
		return false;
	*out = (struct region){
		.base = raw + in->extra + 4,
		.size = x->g.inode_size - in->extra - 4u,
		.off = ext_inode_off(x, in->ino) + in->extra + 4u,
	};
	return true;
}

static int in_block(struct attrs *a)
{
	struct ext *x = a->x;
	uint64_t blk = a->in->acl_block, off;
	AUTO_FREE uint8_t *block = malloc(x->g.block_size);
	struct ext_xattr_header *h = (void *)block;
	struct region g;
	uint8_t b[8];
	uint32_t want, c;
	int r;

	if (!block)
		return error_nomem(&a->err);
	if (blk < x->g.first_block || blk >= x->g.blocks)
		return wrong(a, ext_inode_off(x, a->in->ino),
			"their block is outside the file system", blk);
	off = ext_blk_off(x, blk);
	r = ext_block_read(x, blk, block, &a->err);
	if (r == ERR_NOMEM)
		return r;
	if (r)
		return wrong(a, off, "their block cannot be read", blk);
	if (le32_get(h->magic) != EXT_XATTR_MAGIC || le32_get(h->blocks) != 1)
		return wrong(a, off, "their block is not one", blk);
	if (x->csum) {
		want = le32_get(h->checksum);
		h->checksum = le32_make(0);
		put_le64(b, blk);
		c = crc32c_update(x->g.csum_seed, b, sizeof(b));
		if (crc32c_update(c, block, x->g.block_size) != want)
			return wrong(a, off, "their block's checksum is wrong",
				blk);
	}
	g = (struct region){
		.base = block,
		.size = x->g.block_size,
		.first = sizeof(*h),
		.off = off,
	};
	return walk(a, &g);
}

int ext_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	struct ext *x = ext_of(fs);
	struct ext_inode in;
	struct attrs a = { .x = x, .in = &in, .fn = fn, .ctx = ctx };
	const uint8_t *raw;
	AUTO_FREE uint8_t *copy = NULL;
	struct region g;
	int r = ext_inode_read(x, id, false, &in, &raw, e);

	if (r)
		return r;
	if (in.extra && get_le32(raw + in.extra) == EXT_XATTR_MAGIC) {
		/* Values in other inodes are read on the way. */
		copy = malloc(x->g.inode_size);
		if (!copy)
			return error_nomem(e);
		memcpy(copy, raw, x->g.inode_size);
		if (in_inode(x, &in, copy, &g))
			r = walk(&a, &g);
	}
	if (!r && in.acl_block)
		r = in_block(&a);
	buf_release(&a.value);
	if ((!r && a.bad) || r == ERR_NOMEM) {
		if (e)
			*e = a.err;
		return r ? r : a.bad;
	}
	return r;
}

int ext_inline_data(struct ext *x, const struct ext_inode *in,
	const uint8_t *raw, struct buf *out, struct error *e)
{
	const struct ext_xattr_entry *d;
	size_t n = (size_t)u64_min(in->size, EXT_IBLOCK_SIZE);
	struct region g;
	size_t at = 0;
	bool bad = false;

	buf_add(out, raw + offsetof(struct ext_inode_disk, block), n);
	if (in->size > n && in_inode(x, in, raw, &g)) {
		while ((d = next(&g, &at, &bad))) {
			uint64_t len = le32_get(d->value_size);
			uint16_t from = le16_get(d->value_offs);

			if (d->name_index != EXT_XATTR_SYSTEM ||
				d->name_len != 4 ||
				memcmp(d + 1, "data", 4) != 0)
				continue;
			if (le32_get(d->value_inum) ||
				!range_inside(from, len, g.size))
				return error_at(e, ERR_CORRUPT, g.off,
					"inode %u: its inline data is outside "
					"the inode", in->ino);
			buf_add(out, g.base + from,
				(size_t)u64_min(len, in->size - n));
			break;
		}
	}
	return out->oom ? error_nomem(e) : 0;
}
