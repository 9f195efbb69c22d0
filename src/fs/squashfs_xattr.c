/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: extended attributes. */
#include "fs/squashfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define OUT_OF_LINE 0x100

static struct sqfs_at place(const struct sqfs *f, uint64_t ref)
{
	return (struct sqfs_at){ f->xattr_start + (ref >> 16),
		(uint32_t)(ref & 0xffff) };
}

int sqfs_xattr_open(struct sqfs *f, struct error *e)
{
	uint8_t h[16];
	int r = source_pread(f->src, h, sizeof(h), f->xattr_table, e);

	if (r)
		return r;
	f->xattr_start = get_le64(h);
	f->xattr_ids = get_le32(h + 8);
	if (f->xattr_start > f->xattr_table)
		return error_at(e, ERR_CORRUPT, f->xattr_table,
			"squashfs: the attributes start at %" PRIu64,
			f->xattr_start);
	return 0;
}

int sqfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	static const char *const prefixes[] = { "user.", "trusted.",
		"security." };
	struct sqfs *f = (struct sqfs *)fs;
	AUTO_FREE uint8_t *value = NULL;
	uint8_t ent[16], b[8];
	uint64_t total = 0;
	struct sqfs_at at;
	uint32_t count;
	int r = sqfs_load(f, id, e);

	if (r || f->file.xattr == SQFS_NONE)
		return r;
	if (f->file.xattr >= f->xattr_ids)
		return error_set(e, ERR_CORRUPT,
			"squashfs: attributes %u of %u", f->file.xattr,
			f->xattr_ids);
	r = sqfs_table_read(f, f->xattr_table + 16, f->file.xattr, 16, ent, e);
	if (r)
		return r;
	at = place(f, get_le64(ent));
	count = get_le32(ent + 8);
	value = malloc(LIMIT_XATTR);
	if (!value)
		return error_nomem(e);
	/* the total shrinks what is left with every attribute */
	for (uint32_t i = 0; i < count; i++) {
		char name[16 + 256];
		uint16_t type, len;
		struct sqfs_at far, *from = &at;
		uint32_t size;
		size_t k;

		r = sqfs_meta_read(f, &at, b, 4, e);
		if (r)
			return r;
		type = get_le16(b);
		len = get_le16(b + 2);
		if ((type & 0xff) >= ARRAY_LEN(prefixes) || !len || len > 255)
			return error_at(e, ERR_CORRUPT, at.block,
				"squashfs: attribute of type %u with a name of "
				"%u bytes", type, len);
		k = (size_t)snprintf(name, sizeof(name), "%s",
			prefixes[type & 0xff]);
		r = sqfs_meta_read(f, &at, name + k, len, e);
		if (!r)
			r = sqfs_meta_read(f, &at, b, 4, e);
		if (r)
			return r;
		name[k + len] = 0;
		size = get_le32(b);
		if (type & OUT_OF_LINE) {
			r = size == 8 ? sqfs_meta_read(f, &at, b, 8, e)
				      : error_at(e, ERR_CORRUPT, at.block,
						"squashfs: reference of %u "
						"bytes", size);
			if (r)
				return r;
			far = place(f, get_le64(b));
			from = &far;
			r = sqfs_meta_read(f, from, b, 4, e);
			if (r)
				return r;
			size = get_le32(b);
		}
		total += size + sizeof(name);
		if (size > LIMIT_XATTR || total > LIMIT_XATTRS_TOTAL)
			return error_at(e, ERR_LIMIT, at.block,
				"squashfs: attribute of %u bytes", size);
		r = sqfs_meta_read(f, from, value, size, e);
		if (!r && strlen(name) == k + len)
			r = fn(ctx, name, value, size);
		if (r)
			return r;
	}
	return 0;
}
