/* SPDX-License-Identifier: Apache-2.0 */
/* XFS extended attributes: in the inode, in leaf blocks, and values in blocks
 * of their own (Structure, "Extended Attributes"). */
#include "fs/xfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* Leaf blocks of one file: with the smallest blocks (of which one holds a
 * name of 255 bytes) enough for LIMIT_XATTRS_TOTAL, which stops first. */
#define MAX_LEAVES 4096

/* The kernel's form of an access control list: version, then entries. */
#define ACL_VERSION 2
#define ACL_TAG_USER 0x02
#define ACL_TAG_GROUP 0x08

struct attrs {
	struct xfs *x;
	const struct xfs_inode *ip;
	fs_xattr_fn fn;
	void *ctx;
	uint64_t total;
	bool damaged;
	uint8_t *value; /* LIMIT_XATTR bytes, when a remote one was met */
};

static void damage(struct attrs *a, uint64_t off, const char *what)
{
	a->damaged = true;
	finding_report(a->x->findings, FINDING_XATTR_DAMAGED, off, "",
		"inode %" PRIu64 ": %s", a->ip->ino, what);
}

/* struct xfs_acl: count, entries of tag, id, permissions, padding. */
static int deliver_acl(struct attrs *a, const char *name, struct view v,
	struct error *e)
{
	struct cursor c = cursor_make(v.data, v.len);
	AUTO_BUF out = BUF_INIT;
	uint32_t n = cur_be32(&c);

	if (c.bad || n > c.left / 12) {
		damage(a, a->ip->off, "an access control list does not fit");
		return 0;
	}
	buf_le32(&out, ACL_VERSION);
	while (n--) {
		uint32_t tag = cur_be32(&c), id = cur_be32(&c);

		buf_le16(&out, (uint16_t)tag);
		buf_le16(&out, cur_be16(&c));
		cur_skip(&c, 2);
		buf_le32(&out, tag == ACL_TAG_USER || tag == ACL_TAG_GROUP
				? id
				: UINT32_MAX);
	}
	if (out.oom)
		return error_nomem(e);
	return a->fn(a->ctx, name, out.data, out.len);
}

static bool is_name(struct view v, const char *s)
{
	return v.len == strlen(s) && !memcmp(v.data, s, v.len);
}

/* 0, LIMIT, NOMEM, or what the callback says. */
static int deliver(struct attrs *a, uint64_t off, uint8_t flags,
	struct view name, struct view value, struct error *e)
{
	unsigned space = flags & (XFS_ATTR_ROOT | XFS_ATTR_SECURE);
	char full[16 + 256];

	if (!name.len || name.len > 255 || memchr(name.data, 0, name.len) ||
		space == (XFS_ATTR_ROOT | XFS_ATTR_SECURE)) {
		damage(a, off, "a name is bad");
		return 0;
	}
	a->total += name.len + value.len;
	if (a->total > LIMIT_XATTRS_TOTAL)
		return error_at(e, ERR_LIMIT, a->ip->off, "xfs: inode %" PRIu64
			": more than %" PRIu64 " bytes of attributes",
			a->ip->ino, LIMIT_XATTRS_TOTAL);
	if (space == XFS_ATTR_ROOT && is_name(name, "SGI_ACL_FILE"))
		return deliver_acl(a, "system.posix_acl_access", value, e);
	if (space == XFS_ATTR_ROOT && is_name(name, "SGI_ACL_DEFAULT"))
		return deliver_acl(a, "system.posix_acl_default", value, e);
	snprintf(full, sizeof(full), "%s.%.*s",
		space == XFS_ATTR_ROOT     ? "trusted"
		: space == XFS_ATTR_SECURE ? "security"
					   : "user",
		(int)name.len, (const char *)name.data);
	return a->fn(a->ctx, full, value.data ? value.data : (const void *)"",
		value.len);
}

/* A value in blocks of its own. */
static int deliver_remote(struct attrs *a, uint64_t off, uint8_t flags,
	struct view name, uint32_t block, uint32_t len, struct error *e)
{
	struct error why = { 0 };
	int r;

	if (len > LIMIT_XATTR) {
		damage(a, off, "a value is over 64 KiB");
		return 0;
	}
	if (!a->value && !(a->value = malloc(LIMIT_XATTR)))
		return error_nomem(e);
	r = xfs_remote_read(a->x, a->ip, XFS_ATTR, block, XFS_RMT_MAGIC,
		a->value, len, &why);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r) {
		damage(a, off, why.msg);
		return 0;
	}
	return deliver(a, off, flags, name, (struct view){ a->value, len }, e);
}

static int list_inode(struct attrs *a, struct error *e)
{
	struct view v = a->ip->attr;
	struct cursor c = cursor_make(v.data, v.len);
	unsigned count;

	cur_skip(&c, 2); /* the size of it all */
	count = cur_u8(&c);
	cur_skip(&c, 1);
	while (!c.bad && count--) {
		size_t nlen = cur_u8(&c), vlen = cur_u8(&c);
		uint8_t flags = cur_u8(&c);
		struct view name = cur_view(&c, nlen);
		struct view value = cur_view(&c, vlen);
		int r;

		if (c.bad)
			break;
		if (flags & (XFS_ATTR_PARENT | XFS_ATTR_INCOMPLETE))
			continue;
		r = deliver(a, a->ip->off, flags, name, value, e);
		if (r)
			return r;
	}
	if (c.bad)
		damage(a, a->ip->off, "an attribute does not fit");
	return 0;
}

static int list_leaf(struct attrs *a, const uint8_t *block, uint64_t off,
	struct error *e)
{
	size_t bs = a->x->g.blocksize;
	size_t da = a->x->g.v5 ? XFS_DA_SIZE5 : XFS_DA_SIZE4;
	size_t head = a->x->g.v5 ? 80 : 32;
	unsigned count = get_be16(block + da);

	if (count > (bs - head) / 8) {
		damage(a, off, "a leaf has too many entries");
		return 0;
	}
	for (unsigned i = 0; i < count; i++) {
		/* hash, where name and value are, flags, padding */
		const uint8_t *p = block + head + 8 * (size_t)i;
		size_t at = get_be16(p + 4);
		uint8_t flags = p[6];
		uint32_t vblock = 0, vlen;
		struct view name, value = { 0 };
		struct cursor c;
		int r;

		if (flags & (XFS_ATTR_PARENT | XFS_ATTR_INCOMPLETE))
			continue;
		c = cursor_make(block + size_min(at, bs),
			bs - size_min(at, bs));
		if (flags & XFS_ATTR_LOCAL) {
			size_t nlen;

			vlen = cur_be16(&c);
			nlen = cur_u8(&c);
			name = cur_view(&c, nlen);
			value = cur_view(&c, vlen);
		} else {
			vblock = cur_be32(&c);
			vlen = cur_be32(&c);
			name = cur_view(&c, cur_u8(&c));
		}
		if (c.bad) {
			damage(a, off, "an attribute does not fit");
			continue;
		}
		if (flags & XFS_ATTR_LOCAL || !vlen)
			r = deliver(a, off, flags, name, value, e);
		else
			r = deliver_remote(a, off, flags, name, vblock, vlen, e);
		if (r)
			return r;
	}
	return 0;
}

/* One block of the attribute fork; CORRUPT where it is not this file's. */
static int read_block(struct attrs *a, uint64_t blk, uint8_t *block,
	uint64_t *out_off, struct error *e)
{
	const struct xfs_geo *g = &a->x->g;
	const struct xfs_dda *d = (const struct xfs_dda *)block;
	int r = xfs_fork_read(a->x, a->ip, XFS_ATTR, blk, 1, block, out_off, e);

	if (r || !g->v5)
		return r;
	if (be64_get(d->owner) != a->ip->ino ||
		memcmp(d->uuid, g->meta_uuid, 16) != 0)
		return error_at(e, ERR_CORRUPT, *out_off,
			"a block of attributes is of another file");
	if (!xfs_crc_ok(block, g->blocksize, XFS_DA_CRC_AT))
		damage(a, *out_off, "a block's checksum is wrong");
	return 0;
}

/* Down the left edge (each step one level lower), then from leaf to leaf
 * (their number has a cap). */
static int list_blocks(struct attrs *a, uint8_t *block, struct error *e)
{
	bool v5 = a->x->g.v5;
	size_t da = v5 ? XFS_DA_SIZE5 : XFS_DA_SIZE4;
	const struct xfs_dda *d = (const struct xfs_dda *)block;
	unsigned level = 0, leaves = 0;
	uint64_t blk = 0, off = 0;
	int r;

	for (;;) {
		unsigned n;

		r = read_block(a, blk, block, &off, e);
		if (r)
			return r;
		if (be16_get(d->magic) !=
			(v5 ? XFS_DA3_NODE_MAGIC : XFS_DA_NODE_MAGIC))
			break;
		n = get_be16(block + da + 2);
		if (!n || n >= XFS_MAX_LEVELS || (level && n != level - 1) ||
			!get_be16(block + da))
			return error_at(e, ERR_CORRUPT, off,
				"a node of attributes is bad");
		level = n;
		/* the first entry: hash, block */
		blk = get_be32(block + (v5 ? 64 : 16) + 4);
	}
	if (level > 1)
		return error_at(e, ERR_CORRUPT, off,
			"a leaf of attributes is where a node should be");
	while (be16_get(d->magic) ==
		(v5 ? XFS_ATTR3_LEAF_MAGIC : XFS_ATTR_LEAF_MAGIC)) {
		r = list_leaf(a, block, off, e);
		if (r)
			return r;
		blk = be32_get(d->forw);
		if (!blk)
			return 0;
		if (++leaves >= MAX_LEAVES)
			return error_at(e, ERR_LIMIT, off, "xfs: inode %" PRIu64
				": more than %d blocks of attributes",
				a->ip->ino, MAX_LEAVES);
		r = read_block(a, blk, block, &off, e);
		if (r)
			return r;
	}
	return error_at(e, ERR_CORRUPT, off,
		"a block of attributes has no magic");
}

int xfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	struct xfs *x = xfs_of(fs);
	struct xfs_inode ip;
	struct attrs a = { .x = x, .ip = &ip, .fn = fn, .ctx = ctx };
	struct error why = { 0 };
	int r = xfs_inode_get(x, id, &ip, e);

	if (r || !ip.attr.len)
		return r;
	if (ip.attr_bad) {
		damage(&a, ip.off, ip.attr_bad);
	} else if (ip.aformat == XFS_FMT_LOCAL) {
		r = list_inode(&a, &why);
	} else if (ip.aformat == XFS_FMT_BTREE || ip.anextents) {
		AUTO_FREE uint8_t *block = malloc(x->g.blocksize);

		if (!block)
			return error_nomem(e);
		r = list_blocks(&a, block, &why);
		free(a.value);
		if (r == ERR_CORRUPT && why.code == r)
			damage(&a, why.offset, why.msg);
	}
	if (r < 0 && e && why.code == r)
		*e = why;
	if ((!r || r == ERR_CORRUPT) && a.damaged)
		return error_at(e, ERR_CORRUPT, ip.off, "xfs: inode %" PRIu64
			": the attributes are damaged", id);
	return r;
}
