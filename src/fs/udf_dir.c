/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: directories, named streams, targets of symlinks. See udf.h. ECMA-167
 * 4/14.4 and 4/14.16; UDF 2.3.4, 3.3.5, 4.2.1. */
#include "fs/udf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* An identifier with an implementation use and a name of the largest size. */
#define IDENT_MAX (sizeof(struct udf_file_ident) + 65535 + 255 + 3)

/* Like Linux we take an identifier whose sums are wrong, if it looks like one:
 * whole series of discs may be so. Its block, too, is not checked. */
static void check_sums(struct udf *f, const struct udf_file *dir, uint64_t at,
	const uint8_t *p, size_t size)
{
	const struct udf_file_ident *d = (const void *)p;
	const char *fault = udf_tag_fault(p, size, le32_get(d->tag.location));

	if (fault)
		finding_report(f->findings, FINDING_DIR_DAMAGED,
			FINDING_NO_OFFSET, NULL,
			"udf: the directory in block %" PRIu32
			", at byte %" PRIu64 ": an identifier: %s",
			(uint32_t)dir->id, at, fault);
}

static int bad(const struct udf_file *dir, uint64_t at, const char *why,
	struct error *e)
{
	return error_set(e, ERR_CORRUPT,
		"udf: the directory in block %" PRIu32
		" of partition reference %u, at byte %" PRIu64 " of %" PRIu64
		": %s",
		(uint32_t)dir->id, (unsigned)(dir->id >> 32), at,
		dir->node.size, why);
}

static int deliver(struct udf *f, const struct udf_file *dir, uint64_t at,
	const uint8_t *p, fs_entry_fn fn, void *ctx)
{
	static const char spoilt[] = "Non-Allocatable Space";
	const struct udf_file_ident *d = (const void *)p;
	uint8_t name[LIMIT_NAME];
	size_t n = udf_name(p + sizeof(*d) + le16_get(d->use_len), d->name_len,
		name);

	if (!n) {
		finding_report(f->findings, FINDING_NAME_BAD, FINDING_NO_OFFSET,
			NULL,
			"udf: the directory in block %" PRIu32
			", at byte %" PRIu64 ": a name of no known encoding",
			(uint32_t)dir->id, at);
		return 0;
	}
	/* UDF 2.3.13 (1.50): the blocks that cannot be used, no file */
	if (d->flags & UDF_IDENT_HIDDEN && n == sizeof(spoilt) - 1 &&
		!memcmp(name, spoilt, n) && dir->id == f->fs.root)
		return 0;
	return fn(ctx, name, n,
		UDF_ID(le16_get(d->icb.part), le32_get(d->icb.block)));
}

/* Every identifier of a directory, of files or of streams. Each is at least 38
 * bytes: the walk ends. */
static int each(struct udf *f, const struct udf_file *dir, fs_entry_fn fn,
	void *ctx, struct error *e)
{
	AUTO_FREE uint8_t *p = NULL;
	const struct udf_file_ident *d;
	uint64_t size = dir->node.size, at = 0;
	size_t count = 0;

	if (size > LIMIT_UDF_DIR)
		return error_set(e, ERR_LIMIT,
			"udf: a directory of %" PRIu64 " bytes", size);
	p = malloc(IDENT_MAX);
	if (!p)
		return error_nomem(e);
	d = (const void *)p;
	while (size - at >= sizeof(*d)) {
		size_t len;
		int r;

		r = udf_file_pread(f->meta, dir, p, sizeof(*d), at, e);
		if (r)
			return r;
		if (le16_get(d->tag.id) != UDF_TAG_FILE_IDENT)
			return bad(dir, at, "no file identifier", e);
		len = sizeof(*d) + le16_get(d->use_len) + d->name_len;
		if (len > size - at)
			return bad(dir, at, "it ends outside", e);
		len = (size_t)u64_min(round_up(len, 4), size - at);
		r = udf_file_pread(f->meta, dir, p, len, at, e);
		if (r)
			return r;
		check_sums(f, dir, at, p, len);
		at += len;
		if (d->flags & (UDF_IDENT_DELETED | UDF_IDENT_PARENT))
			continue;
		if (++count > LIMIT_DIR_ENTRIES)
			return error_set(e, ERR_LIMIT,
				"udf: more than %d entries", LIMIT_DIR_ENTRIES);
		f->fs.no_folder = !(d->flags & UDF_IDENT_DIRECTORY);
		r = deliver(f, dir, at - len, p, fn, ctx);
		f->fs.no_folder = false;
		if (r)
			return r;
	}
	return size - at ? bad(dir, at, "it ends outside", e) : 0;
}

static void cleanup_file(struct udf_file *x)
{
	udf_file_release(x);
}

int udf_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct udf *f = (struct udf *)fs;
	/* its own: the caller may ask for other files meanwhile */
	CLEANUP(cleanup_file) struct udf_file x = { 0 };
	int r = udf_load(f, dir, &x, e);

	if (r)
		return r;
	if (x.type != UDF_TYPE_DIR)
		return error_set(e, ERR_ARG, "udf: not a directory");
	return each(f, &x, fn, ctx, e);
}

struct streams {
	struct udf *f;
	fs_stream_fn fn;
	void *ctx;
	struct error *e;
};

/* A stream that cannot be read is told and left out. */
static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	const struct streams *s = ctx;
	CLEANUP(cleanup_file) struct udf_file x = { 0 };
	struct error why = { 0 };
	int r = udf_load(s->f, id, &x, &why);

	if (r == ERR_NOMEM)
		return error_nomem(s->e);
	if (r)
		finding_report(s->f->findings, FINDING_FILE_DAMAGED,
			why.has_offset ? why.offset : FINDING_NO_OFFSET, NULL,
			"udf: a named stream: %s", why.msg);
	if (r || x.node.type != FS_FILE || (x.node.flags & FS_NODE_OPAQUE))
		return 0;
	return s->fn(s->ctx, name, len, id);
}

int udf_streams(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
	struct error *e)
{
	struct udf *f = (struct udf *)fs;
	CLEANUP(cleanup_file) struct udf_file x = { 0 };
	struct streams s = { f, fn, ctx, e };
	uint64_t dir;
	int r = udf_load(f, id, &x, e);

	if (r || !x.has_streams)
		return r;
	dir = x.streams;
	r = udf_load(f, dir, &x, e);
	if (r)
		return r;
	if (x.type != UDF_TYPE_STREAMS)
		return error_set(e, ERR_CORRUPT,
			"udf: the stream directory in block %" PRIu32
			" is of type %u", (uint32_t)dir, x.type);
	return each(f, &x, on_stream, &s, e);
}

/* ECMA-167 4/14.16.1 */
enum {
	COMPONENT_MEANT = 1, /* a root that both sides know; "/" without name */
	COMPONENT_ROOT = 2,
	COMPONENT_PARENT = 3,
	COMPONENT_SELF = 4,
	COMPONENT_NAME = 5,
};

static int component(const uint8_t *p, size_t len, struct buf *out)
{
	uint8_t name[LIMIT_NAME];
	size_t n;

	switch (p[0]) {
	case COMPONENT_MEANT:
		if (len)
			break;
		/* fall through */
	case COMPONENT_ROOT:
		buf_clear(out);
		buf_addch(out, '/');
		break;
	case COMPONENT_PARENT:
		buf_addstr(out, "../");
		break;
	case COMPONENT_SELF:
		buf_addstr(out, "./");
		break;
	case COMPONENT_NAME:
		n = udf_name(p + 4, len, name);
		if (!n)
			return ERR_CORRUPT;
		buf_add(out, name, n);
		buf_addch(out, '/');
		break;
	default:
		return ERR_CORRUPT;
	}
	return 0;
}

int udf_symlink(struct udf *f, struct udf_file *x, struct error *e)
{
	AUTO_FREE uint8_t *p = NULL;
	size_t size = (size_t)u64_min(x->node.size, LIMIT_SYMLINK), at = 0;
	int r;

	if (size < x->node.size)
		return error_set(e, ERR_LIMIT,
			"udf: a symlink of %" PRIu64 " bytes", x->node.size);
	p = malloc(size + 1);
	if (!p)
		return error_nomem(e);
	r = udf_file_pread(f->meta, x, p, size, 0, e);
	if (r)
		return r;
	while (size - at >= 4) {
		size_t len = p[at + 1];

		if (len > size - at - 4 || component(p + at, len, &x->link))
			return error_set(e, ERR_CORRUPT,
				"udf: the symlink in block %" PRIu32
				": a damaged component at byte %zu",
				(uint32_t)x->id, at);
		at += 4 + len;
	}
	/* "/" alone keeps it */
	if (x->link.len > 1 && x->link.data[x->link.len - 1] == '/')
		x->link.len--;
	if (x->link.oom)
		return error_nomem(e);
	x->node.size = x->link.len;
	return 0;
}
