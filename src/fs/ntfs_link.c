/* SPDX-License-Identifier: Apache-2.0 */
/* Reparse points ([MS-FSCC] 2.1.2) and other things that a file can be:
 * symlinks, junctions, WSL's and Interix' special files, files whose content
 * is elsewhere. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"

/* A path as Windows has it, as people write it on Linux: "C:/Users". The
 * drive stays, since what it means is in the registry. */
static bool put_path(const uint8_t *p, size_t units, bool relative,
	struct buf *out)
{
	uint8_t *s;
	size_t len, cut = 0;

	s = buf_room(out, 3 * units);
	if (!s)
		return true; /* oom is seen later */
	len = utf16_to_utf8(p, units, false, UTF_LONE_KEEP, s, 3 * units, NULL);
	if (!len || memchr(s, 0, len))
		return false;
	if (!relative && len > 8 && memcmp(s, "\\??\\UNC\\", 8) == 0) {
		cut = 6; /* //server/share */
		s[6] = '\\';
	} else if (!relative && len > 4 &&
		   (memcmp(s, "\\??\\", 4) == 0 ||
			   memcmp(s, "\\\\?\\", 4) == 0)) {
		cut = 4;
	}
	memmove(s, s + cut, len - cut);
	len -= cut;
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\\')
			s[i] = '/';
	out->len += len;
	return true;
}

/* The target of a symlink or junction whose reparse data is b. */
static bool link_target(const struct buf *b, uint32_t tag, struct buf *out)
{
	struct cursor c = cursor_make(b->data, b->len);
	uint16_t off, len;
	bool relative = false;

	cur_skip(&c, sizeof(struct ntfs_reparse));
	if (tag == (uint32_t)NTFS_TAG_LX_SYMLINK) {
		if (cur_le32(&c) != 2 || c.bad || !c.left ||
			memchr(c.p, 0, c.left))
			return false;
		buf_add(out, c.p, c.left);
		return true;
	}
	off = cur_le16(&c);
	len = cur_le16(&c);
	cur_skip(&c, 4); /* the name to print */
	if (tag == (uint32_t)NTFS_TAG_SYMLINK)
		relative = cur_le32(&c) & 1;
	if (c.bad || off % 2 || len % 2 || !range_inside(off, len, c.left))
		return false;
	return put_path(c.p + off, len / 2, relative, out);
}

static bool is_cloud(uint32_t tag)
{
	/* IO_REPARSE_TAG_CLOUD and its fifteen numbered brothers */
	return (tag & 0xffff0fff) == 0x9000001a;
}

int ntfs_reparse_read(struct ntfs *n, struct ntfs_inode *ino, struct buf *b,
	uint32_t *tag, struct error *e)
{
	const struct ntfs_reparse *h;
	struct ntfs_attr *a;
	int r = ntfs_attr_find(n, ino, NTFS_AT_REPARSE, "", &a, e);

	if (r <= 0)
		return r;
	r = ntfs_attr_read(n, ino, a, LIMIT_XATTR, b, e);
	if (r)
		return r;
	h = (const void *)b->data;
	if (b->len < sizeof(*h) || le16_get(h->len) > b->len - sizeof(*h))
		return error_set(e, ERR_CORRUPT,
			"MFT record %u: the reparse point is bad", ino->no);
	*tag = le32_get(h->tag);
	return 1;
}

enum {
	LX_UID,
	LX_GID,
	LX_MOD,
	LX_DEV,
	LX_COUNT,
};

/* Which of WSL's attributes this is; LX_COUNT: none. */
static unsigned lx_kind(const uint8_t *name, size_t len)
{
	static const char names[][7] = { "$LXUID", "$LXGID", "$LXMOD",
		"$LXDEV" };
	unsigned k = 0;

	while (k < LX_COUNT && (len != 6 || memcmp(name, names[k], 6) != 0))
		k++;
	return k;
}

/* What WSL keeps of a file in extended attributes. As Linux (fs/ntfs3), owner and
 * mode count where all three are there. */
void ntfs_lx_attributes(struct ntfs *n, struct ntfs_inode *ino,
	struct fs_node *out)
{
	uint32_t v[LX_COUNT][2] = { 0 };
	unsigned seen = 0;
	AUTO_BUF b = BUF_INIT;
	struct ntfs_attr *a;
	struct cursor c;

	if (ntfs_attr_find(n, ino, NTFS_AT_EA, "", &a, NULL) != 1 ||
		ntfs_attr_read(n, ino, a, LIMIT_XATTR, &b, NULL))
		return;
	c = cursor_make(b.data, b.len);
	/* Each entry: length, flags, name length, value length, name with
	 * its NUL, value. It ends where nothing is left. */
	while (c.left) {
		size_t left = c.left, next = cur_le32(&c), name_len, value_len;
		const uint8_t *name, *value;
		unsigned k;

		cur_u8(&c);
		name_len = cur_u8(&c);
		value_len = cur_le16(&c);
		name = cur_bytes(&c, name_len + 1);
		value = cur_bytes(&c, value_len);
		if (c.bad)
			break;
		k = lx_kind(name, name_len);
		if (k < LX_COUNT && value_len == (k == LX_DEV ? 8 : 4)) {
			v[k][0] = get_le32(value);
			v[k][1] = k == LX_DEV ? get_le32(value + 4) : 0;
			seen |= 1u << k;
		}
		if (next < left - c.left)
			break;
		cur_skip(&c, next - (left - c.left));
	}
	if (seen & 1u << LX_DEV &&
		(out->type == FS_CHAR || out->type == FS_BLOCK)) {
		out->rdev_major = v[LX_DEV][0];
		out->rdev_minor = v[LX_DEV][1];
	}
	if (!(~seen & (1u << LX_UID | 1u << LX_GID | 1u << LX_MOD))) {
		out->uid = v[LX_UID][0];
		out->gid = v[LX_GID][0];
		out->mode = v[LX_MOD][0] & 07777;
	}
}

/* Interix, and ntfs-3g in its default mode: files with the SYSTEM attribute
 * whose content says what they are. */
static int interix(struct ntfs *n, struct ntfs_inode *ino, uint32_t attributes,
	struct fs_node *out, struct buf *target, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	struct ntfs_attr *a;
	int r;

	if (!(attributes & NTFS_FILE_HIDDEN) && out->size <= 1) {
		out->type = out->size ? FS_SOCKET : FS_FIFO;
		out->size = 0;
		return 0;
	}
	if (out->size <= 8 || out->size > 8 + 2 * 4096)
		return 0;
	r = ntfs_attr_find(n, ino, NTFS_AT_DATA, "", &a, e);
	if (r <= 0)
		return r;
	/* Content is no business of stat where it cannot be one of these. */
	if (ntfs_attr_read(n, ino, a, 8 + 2 * 4096, &b, NULL))
		return 0;
	if (b.len == 24 && (memcmp(b.data, "IntxCHR", 8) == 0 ||
				   memcmp(b.data, "IntxBLK", 8) == 0)) {
		out->type = b.data[4] == 'C' ? FS_CHAR : FS_BLOCK;
		out->rdev_major = (uint32_t)get_le64(b.data + 8);
		out->rdev_minor = (uint32_t)get_le64(b.data + 16);
		out->size = 0;
	} else if (memcmp(b.data, "IntxLNK\1", 8) == 0) {
		AUTO_BUF own = BUF_INIT;
		struct buf *t = target ? target : &own;
		size_t units = utf16_len(b.data + 8, (b.len - 8) / 2), len;
		uint8_t *p = buf_room(t, 3 * units);

		if (!p && units)
			return error_nomem(e);
		len = units ? utf16_to_utf8(b.data + 8, units, false,
				      UTF_LONE_KEEP, p, 3 * units, NULL)
			    : 0;
		if (!len)
			return 0;
		t->len += len;
		out->type = FS_SYMLINK;
		out->size = len;
	}
	return 0;
}

int ntfs_special(struct ntfs *n, struct ntfs_inode *ino, uint32_t attributes,
	struct fs_node *out, struct buf *target, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF own = BUF_INIT;
	struct error why = { 0 };
	uint32_t tag = 0;
	int r;

	if (!(attributes & NTFS_FILE_REPARSE)) {
		if (attributes & NTFS_FILE_SYSTEM && out->type == FS_FILE)
			return interix(n, ino, attributes, out, target, e);
		return 0;
	}
	r = ntfs_reparse_read(n, ino, &b, &tag, &why);
	if (r == ERR_CORRUPT || r == ERR_LIMIT) {
		finding_report(n->findings, FINDING_FILE_DAMAGED,
			FINDING_NO_OFFSET, "", "%s", why.msg);
		return 0;
	}
	if (r < 0 && e)
		*e = why;
	if (r <= 0)
		return r;
	switch ((int)tag) {
	case NTFS_TAG_SYMLINK:
	case NTFS_TAG_MOUNT_POINT:
	case NTFS_TAG_LX_SYMLINK:
		if (!target)
			target = &own;
		if (!link_target(&b, tag, target)) {
			finding_report(n->findings, FINDING_FILE_DAMAGED,
				FINDING_NO_OFFSET, "", "MFT record %u: the "
				"target of the link is bad", ino->no);
			return 0;
		}
		if (target->oom)
			return error_nomem(e);
		out->type = FS_SYMLINK;
		out->size = target->len;
		return 0;
	case NTFS_TAG_AF_UNIX:
		out->type = FS_SOCKET;
		out->size = 0;
		return 0;
	case NTFS_TAG_LX_FIFO:
		out->type = FS_FIFO;
		out->size = 0;
		return 0;
	case NTFS_TAG_LX_CHR:
	case NTFS_TAG_LX_BLK:
		out->type = (int)tag == NTFS_TAG_LX_CHR ? FS_CHAR : FS_BLOCK;
		out->size = 0;
		return 0;
	default:
		if (out->type == FS_FILE && out->size &&
			ntfs_content_check(n, ino, NULL) == ERR_UNSUPPORTED)
			out->flags |= FS_NODE_OPAQUE;
		return 0;
	}
}

int ntfs_content_check(struct ntfs *n, struct ntfs_inode *ino,
	struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	struct ntfs_standard st;
	struct ntfs_wof w;
	uint32_t tag = 0;
	const char *why;
	int r = ntfs_standard(n, ino, &st, e);

	if (r)
		return r;
	if (!(le32_get(st.attributes) & NTFS_FILE_REPARSE))
		return 0;
	r = ntfs_reparse_read(n, ino, &b, &tag, NULL);
	if (r <= 0)
		return r == ERR_NOMEM ? error_nomem(e) : 0;
	switch ((int)tag) {
	case NTFS_TAG_WOF:
		r = ntfs_wof_info(n, ino, &w, e);
		return r > 0 ? 0 : r;
	case NTFS_TAG_DEDUP:
		why = "deduplicated";
		break;
	case NTFS_TAG_WIM:
	case NTFS_TAG_HSM:
	case NTFS_TAG_HSM2:
		why = "stored elsewhere";
		break;
	default:
		if (!is_cloud(tag) ||
			!(le32_get(st.attributes) &
				(NTFS_FILE_OFFLINE | NTFS_FILE_RECALL)))
			return 0;
		why = "in the cloud";
		break;
	}
	return error_set(e, ERR_UNSUPPORTED, "MFT record %u: the content is %s",
		ino->no, why);
}
