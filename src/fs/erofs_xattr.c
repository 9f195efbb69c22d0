/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: extended attributes, kept with the inode or shared by many. */
#include "fs/erofs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define HEADER 12

struct reader {
	fs_xattr_fn fn;
	void *ctx;
	uint8_t *value; /* 64 KiB */
	uint64_t total;
};

/* The attribute at off; *size what it takes, padding included. */
static int one(struct erofs *f, struct reader *rd, uint64_t off,
	uint64_t *size, struct error *e)
{
	static const char *const prefixes[] = { NULL, "user.",
		"system.posix_acl_access", "system.posix_acl_default",
		"trusted.", NULL, "security." };
	uint8_t h[4];
	char name[32 + 256];
	size_t k, len;
	int r = source_pread(f->meta, h, 4, off, e);

	if (r)
		return r;
	len = get_le16(h + 2);
	*size = round_up(4 + h[0] + len, 4);
	rd->total += sizeof(name) + len;
	if (rd->total > LIMIT_XATTRS_TOTAL)
		return error_at(e, ERR_LIMIT, off,
			"erofs: more than %" PRIu64 " bytes of attributes",
			LIMIT_XATTRS_TOTAL);
	/* others are hidden by Linux, or begin with a prefix of a table */
	if (h[1] >= ARRAY_LEN(prefixes) || !prefixes[h[1]])
		return 0;
	k = (size_t)snprintf(name, sizeof(name), "%s", prefixes[h[1]]);
	r = source_pread(f->meta, name + k, h[0], off + 4, e);
	if (!r)
		r = source_pread(f->meta, rd->value, len, off + 4 + h[0], e);
	if (r)
		return r;
	name[k + h[0]] = 0;
	if (strlen(name) != k + h[0] || name[k - (k > 0)] == 0 ||
		(!h[0] && name[k - 1] == '.'))
		return error_at(e, ERR_CORRUPT, off,
			"erofs: attribute with a bad name");
	return rd->fn(rd->ctx, name, rd->value, len);
}

int erofs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	struct reader rd = { .fn = fn, .ctx = ctx };
	AUTO_FREE uint8_t *value = NULL;
	uint64_t at, end, size;
	uint8_t h[HEADER];
	int r = erofs_load(f, id, e);

	if (r || !f->file.xattr_size)
		return r;
	at = f->file.offset + f->file.inode_size;
	end = at + f->file.xattr_size;
	r = source_pread(f->meta, h, HEADER, at, e);
	if (r)
		return r;
	value = rd.value = malloc(LIMIT_XATTR);
	if (!value)
		return error_nomem(e);
	at += HEADER;
	if (h[4] * 4u > end - at)
		return error_at(e, ERR_CORRUPT, at,
			"erofs: %u shared attributes do not fit", h[4]);
	for (unsigned i = 0; i < h[4]; i++, at += 4) {
		uint8_t b[4];

		r = source_pread(f->meta, b, 4, at, e);
		if (!r)
			r = one(f, &rd, f->xattr_off +
						4 * (uint64_t)get_le32(b),
				&size, e);
		if (r)
			return r;
	}
	while (end - at >= 4) {
		r = one(f, &rd, at, &size, e);
		if (r)
			return r;
		if (size > end - at)
			return error_at(e, ERR_CORRUPT, at,
				"erofs: an attribute ends outside");
		at += size;
	}
	return 0;
}
