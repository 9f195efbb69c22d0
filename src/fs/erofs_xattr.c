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

/* Bytes of the table of prefixes: of the packed file where there is one. */
static int prefix_pread(struct erofs *f, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	int r;

	if (!(f->incompat & EROFS_FRAGMENTS) || !f->packed_id ||
		f->compat & EROFS_COMPAT_PLAIN_PREFIXES)
		return source_pread(f->meta, buf, len, off, e);
	r = erofs_packed_open(f, e);
	return r ? r : erofs_content(f->packed, buf, len, off, e);
}

static int prefixes_read(struct erofs *f, struct error *e)
{
	uint64_t at = f->prefixes_at;
	struct erofs_prefix *t = calloc(f->prefixes_n + 1u, sizeof(*t));
	int r = t ? 0 : error_nomem(e);

	/* each: its length, the number of its beginning, the rest */
	for (uint32_t i = 0; i < f->prefixes_n && !r; i++) {
		uint8_t h[3];
		unsigned len = 0;

		at = round_up(at, 4);
		r = prefix_pread(f, h, sizeof(h), at, e);
		if (!r) {
			len = get_le16(h);
			t[i].base = h[2];
			if (!len || len > 256)
				r = error_set(e, ERR_CORRUPT,
					"a prefix of %u bytes", len);
		}
		if (!r && len > 1)
			r = prefix_pread(f, t[i].infix, len - 1, at + 3, e);
		t[i].len = (uint8_t)(len - 1);
		at += 2 + len;
	}
	if (r) {
		free(t);
		return error_prefix(e, "erofs: prefixes of attributes");
	}
	f->prefixes = t;
	f->prefixes_read = true;
	return 0;
}

/* The attribute at off; *size what it takes, padding included. */
static int one(struct erofs *f, struct reader *rd, uint64_t off,
	uint64_t *size, struct error *e)
{
	static const char *const prefixes[] = { NULL, "user.",
		"system.posix_acl_access", "system.posix_acl_default",
		"trusted.", NULL, "security." };
	const struct erofs_prefix *p = NULL;
	uint8_t h[4];
	char name[32 + 512];
	unsigned base;
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
	base = h[1];
	if (base & 0x80) {
		r = f->prefixes_read ? 0 : prefixes_read(f, e);
		if (r)
			return r;
		if ((base & 0x7f) >= f->prefixes_n)
			return error_at(e, ERR_CORRUPT, off,
				"erofs: attribute with prefix %u of %u",
				base & 0x7f, f->prefixes_n);
		p = &f->prefixes[base & 0x7f];
		base = p->base;
	}
	/* others are hidden by Linux */
	if (base >= ARRAY_LEN(prefixes) || !prefixes[base])
		return 0;
	k = (size_t)snprintf(name, sizeof(name), "%s", prefixes[base]);
	if (p) {
		memcpy(name + k, p->infix, p->len);
		k += p->len;
	}
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
