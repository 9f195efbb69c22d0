/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: extended attributes and ACLs, as libisofs (xorriso) writes them. See
 * iso9660.h. Source: AAIP 2.0 (libisofs, doc/susp_aaip_2_0.txt): AL entries hold
 * components as those of SL do, names and values by turns; a name of no length
 * is an ACL in a form of its own.
 *
 * Those of a directory stand in its record in the parent, not in its own ".". So
 * where there are attributes at all, the place of every directory's record that
 * is met is kept, and its parent read where it was not met. */
#include "fs/iso9660.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* --- records of directories --- */

static int by_dir(const void *a, const void *b)
{
	const struct iso_dir_record *x = a, *y = b;

	return x->dir != y->dir ? (x->dir > y->dir) - (x->dir < y->dir)
				: (x->rec > y->rec) - (x->rec < y->rec);
}

/* What is new stands unsorted behind the rest, until that is much. */
static const struct iso_dir_record *find_record(struct iso *f, uint64_t dir)
{
	struct iso_dir_record *d = f->dir_records.items;
	size_t lo = 0, hi = f->records_sorted;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (d[mid].dir < dir)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < f->records_sorted && d[lo].dir == dir)
		return &d[lo];
	for (size_t i = f->records_sorted; i < f->dir_records.len; i++)
		if (d[i].dir == dir)
			return &d[i];
	return NULL;
}

static void sort_records(struct iso *f)
{
	struct iso_dir_record *d = f->dir_records.items;
	size_t n = 0;

	qsort(d, f->dir_records.len, sizeof(*d), by_dir);
	for (size_t i = 0; i < f->dir_records.len; i++)
		if (!n || d[n - 1].dir != d[i].dir)
			d[n++] = d[i];
	f->dir_records.len = f->records_sorted = n;
}

void iso_aaip_note(struct iso *f, uint64_t dir, uint64_t rec)
{
	if (f->dir_records.len >= LIMIT_ISO_LINKS) {
		if (!f->told_attrs)
			finding_report(f->findings, FINDING_FILE_LIMIT,
				FINDING_NO_OFFSET, NULL,
				"iso9660: attributes of more than %d "
				"directories are not listed",
				LIMIT_ISO_LINKS);
		f->told_attrs = true;
		return;
	}
	if (!vec_push(&f->dir_records, (struct iso_dir_record){ dir, rec }))
		return;
	if (f->dir_records.len - f->records_sorted >
		512 + f->records_sorted / 16)
		sort_records(f);
}

static int ignore(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	(void)ctx, (void)name, (void)len, (void)id;
	return 0;
}

/* The record of a directory in its parent; of the root, its own. */
static int record_of(struct iso *f, uint64_t dir, uint64_t *out,
	struct error *e)
{
	const struct iso_dir_record *d = find_record(f, dir);
	uint8_t rec[255];
	const struct iso_record *up = (const void *)rec;
	int r;

	*out = dir;
	if (dir == f->fs.root)
		return 0;
	if (!d && f->dir_records.len < LIMIT_ISO_LINKS) {
		/* "." and behind it ".." */
		r = iso_record_read(f, dir, rec, e);
		if (!r)
			r = iso_record_read(f, dir + rec[0], rec, e);
		if (r)
			return r;
		r = iso_readdir(&f->fs,
			((uint64_t)le32_get(up->extent) + up->ext_attr_len) *
				f->block_size,
			ignore, NULL, e);
		if (r == ERR_NOMEM || r == ERR_IO)
			return r;
		d = find_record(f, dir);
	}
	if (d)
		*out = d->rec;
	return 0;
}

/* --- attributes --- */

/* The next component; false at the end. Pieces of it follow each other. */
static bool component(struct cursor *c, struct buf *out, bool *damaged)
{
	uint8_t flags;

	buf_clear(out);
	if (!c->left)
		return false;
	do {
		struct view v;
		uint8_t len;

		flags = cur_u8(c);
		len = cur_u8(c);
		v = cur_view(c, len);
		if (c->bad || out->len + v.len > LIMIT_ISO_ATTRIBUTE) {
			*damaged = true;
			return false;
		}
		buf_add(out, v.data, v.len);
	} while (flags & 1);
	return true;
}

/* Entries of an ACL as Linux numbers them, in the order of its xattr. */
enum {
	ACL_USER_OBJ = 1,
	ACL_USER = 2,
	ACL_GROUP_OBJ = 4,
	ACL_GROUP = 8,
	ACL_MASK = 16,
	ACL_OTHER = 32,
};
#define ACL_VERSION 2
#define ACL_NO_ID UINT32_MAX
#define ACL_ENTRIES 4096

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

static int by_tag(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	return x->tag != y->tag ? (x->tag > y->tag) - (x->tag < y->tag)
				: (x->id > y->id) - (x->id < y->id);
}

/* A qualifier: a number of up to four bytes. */
static bool qualifier(struct cursor *c, uint32_t *out)
{
	uint8_t head;
	unsigned n = 0;

	*out = 0;
	do {
		struct view v;

		head = cur_u8(c);
		v = cur_view(c, head & 127);
		for (size_t i = 0; i < v.len; i++, n++)
			*out = *out << 8 | v.data[i];
	} while (!c->bad && head & 128);
	return !c->bad && n <= 4;
}

struct acl {
	VEC(struct acl_entry) list;
};

/* An ACL of the mode's bits alone is no attribute. */
static int give_acl(struct acl *a, bool access, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	unsigned tags = 0;

	for (size_t i = 0; i < a->list.len; i++)
		tags |= a->list.items[i].tag;
	if (!tags ||
		(access && !(tags & (ACL_USER | ACL_GROUP | ACL_MASK))))
		return 0;
	qsort(a->list.items, a->list.len, sizeof(struct acl_entry), by_tag);
	buf_le32(&b, ACL_VERSION);
	for (size_t i = 0; i < a->list.len; i++) {
		buf_le16(&b, a->list.items[i].tag);
		buf_le16(&b, a->list.items[i].perm);
		buf_le32(&b, a->list.items[i].id);
	}
	if (b.oom)
		return error_nomem(e);
	return fn(ctx, access ? "system.posix_acl_access"
			      : "system.posix_acl_default", b.data, b.len);
}

/* The tag of an entry's type; 0: none that says something here. */
static uint16_t tag_of(unsigned type)
{
	switch (type) {
	case 1: return ACL_USER_OBJ;
	case 3: return ACL_GROUP_OBJ;
	case 5: return ACL_MASK;
	case 6: return ACL_OTHER;
	case 10: return ACL_USER;
	case 12: return ACL_GROUP;
	default: return 0;
	}
}

static int acls(struct view v, fs_xattr_fn fn, void *ctx, bool *damaged,
	struct error *e)
{
	struct cursor c = cursor_make(v.data, v.len);
	struct acl a = { 0 };
	bool access = true;
	int r = 0;

	while (c.left && !r) {
		uint8_t flags = cur_u8(&c);
		struct acl_entry x = { .tag = tag_of(flags >> 4),
			.perm = flags & 7,
			.id = ACL_NO_ID };
		uint32_t id = ACL_NO_ID;

		if (a.list.len >= ACL_ENTRIES ||
			(flags & 8 && !qualifier(&c, &id))) {
			*damaged = true;
			break;
		}
		if (flags >> 4 == 8 && access) { /* on with the default one */
			r = give_acl(&a, true, fn, ctx, e);
			a.list.len = 0;
			access = false;
			continue;
		}
		if (x.tag == ACL_USER || x.tag == ACL_GROUP)
			x.id = id;
		if (x.tag && !vec_push(&a.list, x))
			r = error_nomem(e);
	}
	if (!r && !*damaged)
		r = give_acl(&a, access, fn, ctx, e);
	vec_release(&a.list);
	return r;
}

/* Is there an ACL? */
static bool has_acl(struct view all)
{
	struct cursor c = cursor_make(all.data, all.len);
	AUTO_BUF name = BUF_INIT;
	AUTO_BUF value = BUF_INIT;
	bool damaged = false;

	while (component(&c, &name, &damaged)) {
		if (!name.len)
			return true;
		if (!component(&c, &value, &damaged))
			break;
	}
	return false;
}

/* acl: the file has one in the form of its own, which then is what counts. */
static int give(struct buf *name, struct view value, bool acl, fs_xattr_fn fn,
	void *ctx, bool *damaged, struct error *e)
{
	static const char *const spaces[] = { "", "", "system.", "user.", NULL,
		"trusted.", "security." };
	AUTO_BUF full = BUF_INIT;
	unsigned first = name->len ? name->data[0] : 0;
	size_t skip = first && first < ARRAY_LEN(spaces);

	if (!name->len)
		return acls(value, fn, ctx, damaged, e);
	/* what libisofs keeps for itself */
	if ((skip && !spaces[first]) ||
		(name->len > 6 && !memcmp(name->data, "isofs.", 6)))
		return 0;
	if (skip)
		buf_addstr(&full, spaces[first]);
	else if (!memchr(name->data, '.', name->len))
		buf_addstr(&full, "user.");
	buf_add(&full, name->data + skip, name->len - skip);
	if (full.oom)
		return error_nomem(e);
	if (full.len > LIMIT_NAME || memchr(full.data, 0, full.len)) {
		*damaged = true;
		return 0;
	}
	if (acl && !strncmp(buf_str(&full), "system.posix_acl_", 17))
		return 0;
	return fn(ctx, buf_str(&full), value.data, value.len);
}

int iso_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	struct iso *f = (struct iso *)fs;
	AUTO_BUF all = BUF_INIT;
	AUTO_BUF name = BUF_INIT;
	AUTO_BUF value = BUF_INIT;
	struct iso_rock k = { .attrs = &all };
	uint8_t rec[255];
	bool damaged = false, acl;
	uint64_t at = id;
	struct cursor c;
	int r = iso_load(f, id, e);

	if (!r && f->file.node.type == FS_DIR)
		r = record_of(f, id, &at, e);
	if (!r)
		r = iso_record_read(f, at, rec, e);
	if (!r)
		r = iso_rock_read(f, rec, at, f->susp_skip, &k, e);
	iso_rock_release(&k);
	if (r)
		return r;
	if (all.oom)
		return error_nomem(e);
	acl = has_acl((struct view){ all.data, all.len });
	c = cursor_make(all.data, all.len);
	while (!r && component(&c, &name, &damaged)) {
		if (!component(&c, &value, &damaged)) {
			damaged = true;
			break;
		}
		if (name.oom || value.oom)
			return error_nomem(e);
		r = give(&name, (struct view){ value.data, value.len }, acl, fn,
			ctx, &damaged, e);
	}
	if (damaged || k.attrs_cut)
		finding_report(f->findings, FINDING_XATTR_DAMAGED, at, NULL,
			"iso9660: record at %" PRIu64
			": damaged extended attributes", at);
	return r;
}
