/* SPDX-License-Identifier: Apache-2.0 */
/* What NTFS knows of a file beside its content, under the names that ntfs-3g
 * gives it: security descriptor, DOS attributes, reparse data, OS/2
 * extended attributes. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

int ntfs_standard(struct ntfs *n, struct ntfs_inode *ino,
	struct ntfs_standard *out, struct error *e)
{
	struct ntfs_attr *a;
	struct view v;
	int r;

	memset(out, 0, sizeof(*out));
	r = ntfs_attr_find(n, ino, NTFS_AT_STANDARD, "", &a, e);
	if (r <= 0)
		return r;
	r = ntfs_attr_value(a, &v, e);
	if (r)
		return r;
	if (v.len < NTFS_STANDARD_MIN)
		return error_set(e, ERR_CORRUPT, "MFT record %u: standard "
			"information of %zu bytes", ino->no, v.len);
	memcpy(out, v.data, size_min(v.len, sizeof(*out)));
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct ntfs_sds *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* The entries of one block of $SDS that starts at off. Every step is at least
 * an entry's header long. */
static int sds_block(struct ntfs *n, const uint8_t *p, size_t len, uint64_t off,
	struct error *e)
{
	size_t at = 0;

	while (len - at >= sizeof(struct ntfs_sds_entry)) {
		const struct ntfs_sds_entry *x = (const void *)(p + at);
		uint32_t size = le32_get(x->len);

		if (!size || size < sizeof(*x) || size > len - at ||
			le64_get(x->off) != off + at)
			break;
		if (n->sds_index.len >= LIMIT_NTFS_SDS)
			return error_set(e, ERR_LIMIT,
				"more than %zu security descriptors",
				n->sds_index.len);
		if (!vec_push(&n->sds_index, (struct ntfs_sds){
			    le32_get(x->id), size, off + at }))
			return error_nomem(e);
		at += size_min(len - at, (size_t)round_up(size, 16));
	}
	return 0;
}

static int sds_scan(struct ntfs *n, struct error *e)
{
	AUTO_FREE uint8_t *p = malloc(NTFS_SDS_BLOCK);
	uint64_t off = 0;
	int r = 0;

	if (!p)
		return error_nomem(e);
	/* A block, its copy, the next block. */
	while (!r && off < n->sds.size) {
		size_t len = (size_t)u64_min(NTFS_SDS_BLOCK, n->sds.size - off);

		r = ntfs_stream_read(n, &n->sds, n->src, p, len, off, e);
		if (!r)
			r = sds_block(n, p, len, off, e);
		if (!u64_add(off, 2 * NTFS_SDS_BLOCK, &off))
			break;
	}
	qsort(n->sds_index.items, n->sds_index.len, sizeof(struct ntfs_sds),
		by_id);
	return r;
}

/* Opens $Secure:$SDS once; a volume before NTFS 3.0 has none. */
static int sds_open(struct ntfs *n, struct error *e)
{
	struct error why = { 0 };
	struct ntfs_inode *ino = NULL;
	int r;

	n->sds_tried = true;
	r = ntfs_inode_get(n, ntfs_id(NTFS_REC_SECURE, 0, 0), &ino, &why);
	for (size_t i = 0; !r && i < ino->attrs.len; i++) {
		struct ntfs_attr *a = &ino->attrs.items[i];

		if (a->type != NTFS_AT_DATA || a->lowest_vcn ||
			!ntfs_name_is(a->name, a->name_len, "$SDS"))
			continue;
		r = ntfs_attr_load(n, ino, a, &why);
		if (!r)
			r = ntfs_stream_open(n, ino, a, &n->sds, &why);
		if (!r && (n->sds.resident || n->sds.unit_shift ||
				  n->sds.size > (uint64_t)LIMIT_NTFS_SDS * 512))
			r = error_set(&why, ERR_CORRUPT,
				"%llu bytes, resident or compressed",
				(unsigned long long)n->sds.size);
		if (!r)
			r = sds_scan(n, &why);
		break;
	}
	ntfs_inode_put(n, ino);
	if (r == ERR_NOMEM) {
		n->sds_tried = false;
		return error_nomem(e);
	}
	if (r)
		finding_report(n->findings, FINDING_XATTR_DAMAGED,
			FINDING_NO_OFFSET, "$Secure", "%s", why.msg);
	return 0;
}

static uint32_t sds_hash(const uint8_t *p, size_t len)
{
	uint32_t h = 0;

	for (size_t i = 0; len - i >= 4; i += 4)
		h = (h << 3 | h >> 29) + get_le32(p + i);
	return h;
}

/* The security descriptor of an id, from its entry or the entry's copy;
 * nothing is appended where the id is not known. */
static int sds_get(struct ntfs *n, uint32_t id, struct buf *out,
	struct error *e)
{
	struct ntfs_sds key = { .id = id }, *x;
	size_t start = out->len;
	int r;

	if (!n->sds_tried) {
		r = sds_open(n, e);
		if (r)
			return r;
	}
	x = n->sds_index.len ? bsearch(&key, n->sds_index.items,
				       n->sds_index.len, sizeof(key), by_id)
			     : NULL;
	if (!x)
		return error_set(e, ERR_CORRUPT,
			"security id %u is not in $Secure", id);
	if (x->len > LIMIT_XATTR)
		return error_set(e, ERR_LIMIT,
			"security descriptor %u has %u bytes", id, x->len);
	for (int copy = 0; copy < 2; copy++) {
		uint8_t *p;

		out->len = start;
		p = buf_grow(out, x->len);
		if (!p)
			return error_nomem(e);
		r = ntfs_stream_read(n, &n->sds, n->meta, p, x->len,
			x->off + (copy ? NTFS_SDS_BLOCK : 0), e);
		if (!r && get_le32(p + 4) == id &&
			get_le32(p) == sds_hash(p + 20, x->len - 20)) {
			memmove(p, p + 20, x->len - 20);
			out->len -= 20;
			return 0;
		}
	}
	out->len = start;
	return error_set(e, ERR_CORRUPT,
		"security descriptor %u and its copy are damaged", id);
}

/* That of the security id, else the one in the record itself (before NTFS
 * 3.0, and of the root). */
static int acl(struct ntfs *n, struct ntfs_inode *ino, uint32_t id,
	struct buf *out, struct error *e)
{
	struct ntfs_attr *a;
	int r;

	if (id)
		return sds_get(n, id, out, e);
	r = ntfs_attr_find(n, ino, NTFS_AT_SECURITY, "", &a, e);
	return r <= 0 ? r : ntfs_attr_read(n, ino, a, LIMIT_XATTR, out, e);
}

/* An attribute's value as it is; nothing where the file has none. */
static int raw(struct ntfs *n, struct ntfs_inode *ino, uint32_t type,
	struct buf *out, struct error *e)
{
	struct ntfs_attr *a;
	int r = ntfs_attr_find(n, ino, type, "", &a, e);

	return r <= 0 ? r : ntfs_attr_read(n, ino, a, LIMIT_XATTR, out, e);
}

int ntfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	static const char *const names[] = { "system.ntfs_acl",
		"system.ntfs_attrib_be", "system.ntfs_reparse_data",
		"system.ntfs_ea" };
	struct ntfs *n = (struct ntfs *)fs;
	AUTO_BUF b = BUF_INIT;
	struct ntfs_standard st;
	struct ntfs_inode *ino;
	struct ntfs_wof w;
	uint32_t flags;
	bool wof;
	int r;

	if (ntfs_id_stream(id))
		return 0;
	r = ntfs_inode_get(n, id, &ino, e);
	if (r)
		return r;
	r = ntfs_standard(n, ino, &st, e);
	flags = le32_get(st.attributes) &
		~(uint32_t)(NTFS_FILE_DIRECTORY | NTFS_FILE_I30 |
			NTFS_FILE_VIEW);
	if (ino->flags & NTFS_RECORD_DIR)
		flags |= NTFS_FILE_DIRECTORY;
	/* Windows shows a file that is compressed so as any other. */
	wof = ntfs_wof_info(n, ino, &w, NULL) == 1;
	if (wof)
		flags &= ~(uint32_t)(NTFS_FILE_REPARSE | NTFS_FILE_SPARSE);
	if (!flags)
		flags = NTFS_FILE_NORMAL;
	for (size_t i = 0; !r && i < ARRAY_LEN(names); i++) {
		struct error why = { 0 };

		buf_clear(&b);
		switch (i) {
		case 0:
			r = acl(n, ino, le32_get(st.security_id), &b, &why);
			break;
		case 1:
			buf_be32(&b, flags);
			break;
		case 2:
			if (!wof)
				r = raw(n, ino, NTFS_AT_REPARSE, &b, &why);
			break;
		default:
			r = raw(n, ino, NTFS_AT_EA, &b, &why);
			break;
		}
		if (!r && b.oom)
			r = error_nomem(&why);
		if (r == ERR_NOMEM || r == ERR_IO) {
			if (e)
				*e = why;
		} else if (r) {
			finding_report(n->findings, FINDING_XATTR_DAMAGED,
				FINDING_NO_OFFSET, "", "MFT record %u: %s: %s",
				ino->no, names[i], why.msg);
			r = 0;
		} else if (b.len) {
			r = fn(ctx, names[i], b.data, b.len);
		}
	}
	ntfs_inode_put(n, ino);
	return r;
}
