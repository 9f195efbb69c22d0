/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: inodes, directories, symbolic links, extended attributes. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/limits.h"

int btrfs_inode_get(struct btrfs *b, const struct btrfs_root *r, uint64_t ino,
	struct btrfs_path *p, struct btrfs_disk_inode *out, struct error *e)
{
	struct btrfs_key key = { .objectid = ino, .type = BTRFS_INODE_ITEM };
	int rc = btrfs_seek_le(b, r, &key, p, e);

	if (rc < 0)
		return rc;
	if (!rc || btrfs_key_cmp(&p->key, &key) != 0)
		return error_set(e, ERR_NOTFOUND,
			"btrfs: subvolume %" PRIu64 ": there is no inode "
			"%" PRIu64,
			r->id, ino);
	if (p->len < sizeof(*out))
		return error_set(e, ERR_CORRUPT,
			"btrfs: inode %" PRIu64 ": an item of %" PRIu32
			" bytes",
			ino, p->len);
	memcpy(out, p->data, sizeof(*out));
	if (le64_get(out->size) > INT64_MAX)
		return error_set(e, ERR_CORRUPT,
			"btrfs: inode %" PRIu64 ": a size of %" PRIu64, ino,
			le64_get(out->size));
	return 0;
}

static enum fs_type type_of(uint32_t mode)
{
	switch (mode & 0170000) {
	case 0100000:
		return FS_FILE;
	case 0040000:
		return FS_DIR;
	case 0120000:
		return FS_SYMLINK;
	case 0020000:
		return FS_CHAR;
	case 0060000:
		return FS_BLOCK;
	case 0010000:
		return FS_FIFO;
	case 0140000:
		return FS_SOCKET;
	}
	return FS_UNKNOWN;
}

/* Do attributes follow the inode's item? Looked up in its leaf only: when that
 * ends first, there may be. */
static bool xattrs_follow(const struct btrfs_path *p)
{
	const struct btrfs_node *n = p->node[0];

	for (uint32_t s = p->slot[0] + 1; s < n->nritems; s++) {
		struct btrfs_key k =
			btrfs_key_get(n->data + sizeof(struct btrfs_disk_header) +
				      s * sizeof(struct btrfs_disk_item));

		if (k.objectid != p->key.objectid ||
			k.type > BTRFS_XATTR_ITEM)
			return false;
		if (k.type == BTRFS_XATTR_ITEM)
			return true;
	}
	return true;
}

/* The stub of a nested subvolume as the kernel makes it up: owner of the
 * directory that it stands in; the time, there that of the look, is the
 * directory's. */
static void stub_stat(struct btrfs *b, const struct btrfs_subvol *sv,
	struct fs_node *out)
{
	struct btrfs_disk_inode inode;
	AUTO_PATH p = { 0 };
	struct error e;
	uint64_t dir = btrfs_stub_dir(b, sv, out->id);

	out->type = FS_DIR;
	out->mode = 0755;
	out->nlink = 1;
	if (!dir || btrfs_inode_get(b, &sv->tree, dir, &p, &inode, &e))
		return;
	out->uid = le32_get(inode.uid);
	out->gid = le32_get(inode.gid);
	out->mtime = (int64_t)le64_get(inode.mtime.sec);
	out->mtime_ns = le32_get(inode.mtime.nsec) % 1000000000;
}

int btrfs_stat(struct fs *fs, uint64_t id, struct fs_node *out, struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	struct btrfs_disk_inode inode;
	AUTO_PATH p = { 0 };
	struct fs_node n = { .id = id };
	uint64_t ino, rdev;
	bool stub;
	int rc = btrfs_id_open(b, id, &sv, &ino, &stub, e);

	if (rc)
		return rc;
	if (stub) {
		stub_stat(b, sv, &n);
		*out = n;
		return 0;
	}
	rc = btrfs_inode_get(b, &sv->tree, ino, &p, &inode, e);
	if (rc)
		return rc;
	n.type = type_of(le32_get(inode.mode));
	if (n.type == FS_UNKNOWN)
		return error_set(e, ERR_CORRUPT,
			"btrfs: inode %" PRIu64 ": mode 0%o", ino,
			le32_get(inode.mode));
	n.mode = le32_get(inode.mode) & 07777;
	n.uid = le32_get(inode.uid);
	n.gid = le32_get(inode.gid);
	n.nlink = le32_get(inode.nlink);
	n.mtime = (int64_t)le64_get(inode.mtime.sec);
	n.mtime_ns = le32_get(inode.mtime.nsec) % 1000000000;
	if (n.type == FS_FILE || n.type == FS_SYMLINK)
		n.size = le64_get(inode.size);
	if (n.type == FS_CHAR || n.type == FS_BLOCK) {
		/* as the kernel keeps it in memory: 12 bits of major, 20 of
		 * minor */
		rdev = le64_get(inode.rdev);
		n.rdev_major = (uint32_t)(rdev >> 20 & 0xfff);
		n.rdev_minor = (uint32_t)(rdev & 0xfffff);
	}
	if (xattrs_follow(&p))
		n.flags |= FS_NODE_XATTRS;
	*out = n;
	return 0;
}

bool btrfs_named_get(const uint8_t *p, size_t len, struct btrfs_named *out)
{
	struct btrfs_disk_dir_item d;

	if (len < sizeof(d))
		return false;
	memcpy(&d, p, sizeof(d));
	out->location = btrfs_key_get(&d.location);
	out->name_len = le16_get(d.name_len);
	out->data_len = le16_get(d.data_len);
	out->all = (uint32_t)sizeof(d) + out->name_len + out->data_len;
	out->name = p + sizeof(d);
	out->data = out->name + out->name_len;
	return out->all <= len;
}

/* To the subvolume if this is the place where it is mounted, else to the stub
 * that the kernel shows there. */
bool btrfs_subvol_entry(const struct btrfs *b, const struct btrfs_subvol *sv,
	uint64_t dir, const struct btrfs_named *n, uint64_t *out,
	bool *out_stub)
{
	uint64_t number = n->location.objectid;
	const struct btrfs_subvol *to = btrfs_subvol_find(b, number);

	*out_stub = false;
	if (to && to->parent == sv->tree.id && to->parent_dir == dir &&
		to->name_len == n->name_len &&
		memcmp(b->names.data + to->name_off, n->name, n->name_len) == 0)
		return btrfs_id_pack(number, to->dirid, out);
	if (number > BTRFS_ID_SUBVOL_MAX || !btrfs_id_pack(sv->tree.id, 0, out))
		return false;
	*out |= BTRFS_ID_STUB | number;
	*out_stub = true;
	return true;
}

static bool name_ok(const uint8_t *name, size_t n)
{
	return n && n <= BTRFS_NAME_MAX && !memchr(name, '/', n) &&
	       !memchr(name, 0, n) && !(n == 1 && name[0] == '.') &&
	       !(n == 2 && name[0] == '.' && name[1] == '.');
}

/* One entry: what fn says, 0 where it is left out. *out_bad: for damage. */
static int entry(struct btrfs *b, const struct btrfs_subvol *sv, uint64_t dir,
	const struct btrfs_path *p, fs_entry_fn fn, void *ctx, bool *out_bad)
{
	struct btrfs_named n;
	uint64_t id;
	bool fits, stub;

	if (!btrfs_named_get(p->data, p->len, &n)) {
		finding_report(b->sink, FINDING_DIR_DAMAGED, FINDING_NO_OFFSET,
			"", "btrfs: directory %" PRIu64 ": entry %" PRIu64
			    " does not fit",
			dir, p->key.offset);
		*out_bad = true;
		return 0;
	}
	if (!name_ok(n.name, n.name_len)) {
		finding_report(b->sink, FINDING_NAME_BAD, FINDING_NO_OFFSET, "",
			"btrfs: directory %" PRIu64 ": entry %" PRIu64, dir,
			p->key.offset);
		return 0;
	}
	if (n.location.type == BTRFS_INODE_ITEM) {
		fits = btrfs_id_pack(sv->tree.id, n.location.objectid, &id);
	} else if (n.location.type == BTRFS_ROOT_ITEM) {
		fits = btrfs_subvol_entry(b, sv, dir, &n, &id, &stub);
		if (fits && stub)
			btrfs_stub_note(b, id, dir);
	} else {
		finding_report(b->sink, FINDING_DIR_DAMAGED, FINDING_NO_OFFSET,
			"", "btrfs: directory %" PRIu64 ": entry %" PRIu64
			    " leads to an item of type %u",
			dir, p->key.offset, n.location.type);
		*out_bad = true;
		return 0;
	}
	if (!fits) {
		finding_report(b->sink, FINDING_FILE_LIMIT, FINDING_NO_OFFSET,
			"", "btrfs: subvolume %" PRIu64 ", number %" PRIu64
			    " does not fit the ids used here; left out",
			sv->tree.id, n.location.objectid);
		return 0;
	}
	return fn(ctx, n.name, n.name_len, id);
}

int btrfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	struct btrfs_disk_inode inode;
	struct btrfs_key key = { .type = BTRFS_DIR_INDEX };
	AUTO_PATH p = { 0 };
	uint64_t count = 0;
	bool stub, bad = false;
	int rc = btrfs_id_open(b, dir, &sv, &key.objectid, &stub, e);

	if (rc || stub)
		return rc;
	rc = btrfs_inode_get(b, &sv->tree, key.objectid, &p, &inode, e);
	btrfs_path_release(&p);
	if (rc)
		return rc;
	if (type_of(le32_get(inode.mode)) != FS_DIR)
		return error_set(e, ERR_ARG, "btrfs: not a directory");
	rc = btrfs_seek(b, &sv->tree, &key, &p, e);
	for (; rc > 0 && p.key.objectid == key.objectid &&
		p.key.type == BTRFS_DIR_INDEX;
		rc = btrfs_next(&p, e)) {
		if (++count > LIMIT_DIR_ENTRIES)
			return error_set(e, ERR_LIMIT,
				"btrfs: a directory of over %d entries",
				LIMIT_DIR_ENTRIES);
		rc = entry(b, sv, key.objectid, &p, fn, ctx, &bad);
		if (rc)
			return rc;
	}
	if (rc < 0)
		return rc;
	rc = btrfs_path_verdict(&p, e);
	if (!rc && bad)
		rc = error_set(e, ERR_CORRUPT,
			"btrfs: directory %" PRIu64 " is damaged",
			key.objectid);
	return rc;
}

int btrfs_readlink(struct fs *fs, uint64_t id, struct buf *out, struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	struct btrfs_disk_inode inode;
	AUTO_PATH p = { 0 };
	uint64_t ino, size;
	uint8_t *to;
	bool stub;
	int rc = btrfs_id_open(b, id, &sv, &ino, &stub, e);

	if (rc)
		return rc;
	if (stub)
		return error_set(e, ERR_ARG, "btrfs: not a symbolic link");
	rc = btrfs_inode_get(b, &sv->tree, ino, &p, &inode, e);
	if (rc)
		return rc;
	if (type_of(le32_get(inode.mode)) != FS_SYMLINK)
		return error_set(e, ERR_ARG, "btrfs: not a symbolic link");
	size = le64_get(inode.size);
	if (size > LIMIT_SYMLINK)
		return error_set(e, ERR_CORRUPT,
			"btrfs: inode %" PRIu64
			": a link target of %" PRIu64 " bytes",
			ino, size);
	to = buf_room(out, (size_t)size);
	if (!to && size)
		return error_nomem(e);
	rc = size ? btrfs_content(b, &sv->tree, ino, to, (size_t)size, 0, e)
		  : 0;
	if (!rc)
		out->len += (size_t)size;
	return rc;
}

int btrfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	const struct btrfs_subvol *sv;
	struct btrfs_key key = { .type = BTRFS_XATTR_ITEM };
	AUTO_PATH p = { 0 };
	uint64_t total = 0;
	bool stub;
	int rc = btrfs_id_open(b, id, &sv, &key.objectid, &stub, e);

	if (rc || stub)
		return rc;
	rc = btrfs_seek(b, &sv->tree, &key, &p, e);
	for (; rc > 0 && p.key.objectid == key.objectid &&
		p.key.type == BTRFS_XATTR_ITEM;
		rc = btrfs_next(&p, e)) {
		/* Several names of one hash share an item. */
		for (uint32_t at = 0; at < p.len;) {
			char name[BTRFS_NAME_MAX + 1];
			struct btrfs_named n;

			if (!btrfs_named_get(p.data + at, p.len - at, &n) ||
				!n.name_len || n.name_len > BTRFS_NAME_MAX ||
				memchr(n.name, 0, n.name_len)) {
				finding_report(b->sink, FINDING_XATTR_DAMAGED,
					FINDING_NO_OFFSET, "",
					"btrfs: inode %" PRIu64, key.objectid);
				return error_set(e, ERR_CORRUPT,
					"btrfs: inode %" PRIu64
					": a bad extended attribute",
					key.objectid);
			}
			at += n.all;
			total += n.all;
			if (total > LIMIT_XATTRS_TOTAL)
				return error_set(e, ERR_LIMIT,
					"btrfs: inode %" PRIu64
					": extended attributes of over "
					"%" PRIu64 " bytes",
					key.objectid, LIMIT_XATTRS_TOTAL);
			memcpy(name, n.name, n.name_len);
			name[n.name_len] = 0;
			rc = fn(ctx, name, n.data, n.data_len);
			if (rc)
				return rc;
		}
	}
	return rc < 0 ? rc : btrfs_path_verdict(&p, e);
}
