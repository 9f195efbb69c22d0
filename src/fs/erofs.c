/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: superblock, inodes, directories. See erofs.h. */
#include "fs/erofs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "fs/label.h"
#include "fs/table.h"

#define SUPER 1024
#define MAGIC 0xe0f5e1e2
#define DIRENT 12

static enum fs_verdict erofs_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct erofs_super s;

	if (src->size < SUPER + sizeof(s))
		return FS_NO;
	if (source_pread(src, &s, sizeof(s), SUPER, e))
		return FS_UNSURE;
	if (le32_get(s.magic) != MAGIC)
		return FS_NO;
	snprintf(out->type, sizeof(out->type), "erofs");
	fs_uuid_print(s.uuid, out->uuid);
	fs_label_bytes(s.label, sizeof(s.label), out->label,
		sizeof(out->label));
	out->devices = 1 + erofs_device_count(&s);
	if (s.block_bits >= 9 && s.block_bits <= 16) {
		out->block_size = 1u << s.block_bits;
		out->size = (uint64_t)le32_get(s.blocks) << s.block_bits;
	}
	return FS_YES;
}

static void erofs_close(struct fs *fs)
{
	struct erofs *f = (struct erofs *)fs;

	if (f->packed)
		erofs_close(&f->packed->fs);
	erofs_codec_release(&f->codec);
	free(f->prefixes);
	erofs_devices_release(f);
	source_unref(f->meta);
	source_unref(f->src);
	buf_release(&f->z_data);
	buf_release(&f->z_raw);
	free(f);
}

static void cleanup_erofs(struct erofs **f)
{
	if (*f)
		erofs_close(&(*f)->fs);
}

/* Which compressions there are: a list of settings, one for each bit of the
 * superblock. All but the form of two streams is for the kernel's memory. */
static int read_methods(struct erofs *f, const struct erofs_super *s,
	struct error *e)
{
	uint64_t at = SUPER + sizeof(*s) + 16u * s->ext_slots;
	unsigned bits = le16_get(s->algorithms);

	if (!(f->incompat & EROFS_COMPR_CFGS)) {
		f->methods = 1u << EROFS_LZ4;
		return 0;
	}
	for (unsigned i = 0; i < EROFS_METHODS; i++) {
		uint8_t b[16] = { 0 };
		unsigned len;
		int r;

		if (!(bits >> i & 1))
			continue;
		r = source_pread(f->meta, b, 2, at, e);
		len = get_le16(b);
		if (!r)
			r = source_pread(f->meta, b,
				size_min(len, sizeof(b)), at + 2, e);
		if (r)
			return error_prefix(e, "erofs: compression settings");
		at += 2 + len;
		/* the field "format" */
		if ((i == EROFS_LZMA && (len < 6 || get_le16(b + 4))) ||
			(i == EROFS_ZSTD && (len < 2 || b[0])))
			continue;
		f->methods |= 1u << i;
	}
	return 0;
}

static int erofs_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_erofs) struct erofs *f = calloc(1, sizeof(*f));
	struct erofs_super s;
	int r;

	if (!f)
		return error_nomem(e);
	f->fs.ops = &fs_erofs;
	f->findings = args->findings;
	f->src = source_ref(args->devs[0]);
	f->z_id = UINT64_MAX;
	r = source_cache(f->src, 4096, 4 * MIB, &f->meta, e);
	if (!r)
		r = source_pread(f->src, &s, sizeof(s), SUPER, e);
	if (r)
		return r;
	if (erofs_probe(f->src, &f->fs.info, e) != FS_YES)
		return error_at(e, ERR_CORRUPT, SUPER, "erofs: no superblock");
	if (s.block_bits < 9 || s.block_bits > 16)
		return error_at(e, ERR_CORRUPT, SUPER + 12,
			"erofs: blocks of 2^%u bytes", s.block_bits);
	f->block_bits = s.block_bits;
	f->block_size = 1u << s.block_bits;
	f->incompat = le32_get(s.incompat);
	f->compat = le32_get(s.compat);
	if (f->incompat & ~(uint32_t)EROFS_KNOWN)
		return error_at(e, ERR_UNSUPPORTED, SUPER + 80,
			"erofs: unknown features %#x%s",
			f->incompat & ~(uint32_t)EROFS_KNOWN,
			f->incompat & EROFS_48BIT
				? ", 48-bit addresses among them"
			: f->incompat & EROFS_METABOX
				? ", compressed metadata among them"
				: "");
	if (s.dir_bits)
		return error_at(e, ERR_UNSUPPORTED, SUPER + 90,
			"erofs: directory blocks of another size");
	f->meta_off = (uint64_t)le32_get(s.meta_block) << f->block_bits;
	f->xattr_off = (uint64_t)le32_get(s.xattr_block) << f->block_bits;
	f->build_time = (int64_t)le64_get(s.build_time);
	f->build_ns = le32_get(s.build_ns) < 1000000000 ? le32_get(s.build_ns)
							: 0;
	f->packed_id = le64_get(s.packed);
	if (f->incompat & EROFS_XATTR_PREFIXES) {
		f->prefixes_n = s.prefixes;
		f->prefixes_at = 4 * (uint64_t)le32_get(s.prefix_start);
	}
	r = read_methods(f, &s, e);
	if (!r)
		r = erofs_devices_open(f, args, &s, e);
	if (r)
		return r;
	if (f->fs.info.size > f->src->size)
		finding_report(f->findings, FINDING_FS_TRUNCATED, SUPER + 36,
			NULL, "erofs: the volume has %" PRIu64
			" bytes, its source %" PRIu64, f->fs.info.size,
			f->src->size);
	f->fs.root = le16_get(s.root);
	r = erofs_load(f, f->fs.root, e);
	if (r)
		return error_prefix(e, "erofs: root directory");
	if (f->file.node.type != FS_DIR)
		return error_at(e, ERR_CORRUPT, SUPER + 14,
			"erofs: the root is not a directory");
	*out = &steal_ptr(f)->fs;
	return 0;
}

static enum fs_type type_of(uint32_t mode)
{
	switch (mode & 0170000) {
	case 0100000: return FS_FILE;
	case 0040000: return FS_DIR;
	case 0120000: return FS_SYMLINK;
	case 0020000: return FS_CHAR;
	case 0060000: return FS_BLOCK;
	case 0010000: return FS_FIFO;
	case 0140000: return FS_SOCKET;
	default: return FS_UNKNOWN;
	}
}

static void opaque(struct erofs *f, enum finding_id id, const char *why)
{
	f->file.node.flags |= FS_NODE_OPAQUE;
	finding_report(f->findings, id, f->file.offset, NULL,
		"erofs: node %" PRIu64 ": %s", f->file.id, why);
}

/* How the content is kept: what cannot be decoded becomes opaque. */
static int load_layout(struct erofs *f, struct error *e)
{
	struct erofs_file *x = &f->file;
	struct error why = { 0 };
	int r;

	if (x->layout == EROFS_CHUNKED) {
		unsigned bits = f->block_bits + (x->u & 31);

		if (bits > 48 || x->u & ~0x3fu) {
			opaque(f, FINDING_FILE_DAMAGED, "unknown chunk format");
			return 0;
		}
		if (!f->missing)
			return 0;
		r = erofs_chunks_check(f, &why);
	} else if (x->layout == EROFS_COMPRESSED_FULL ||
		   x->layout == EROFS_COMPRESSED_COMPACT) {
		r = erofs_z_open(f, &why);
	} else {
		return 0;
	}
	if (r == ERR_IO || r == ERR_NOMEM) {
		*e = why;
		return r;
	}
	if (r)
		opaque(f, r == ERR_UNSUPPORTED ? FINDING_FILE_UNREADABLE
					       : FINDING_FILE_DAMAGED, why.msg);
	return 0;
}

int erofs_load(struct erofs *f, uint64_t id, struct error *e)
{
	struct erofs_file *x = &f->file;
	struct fs_node *n = &x->node;
	uint8_t b[64];
	uint16_t format, icount;
	bool ext;
	int r;

	if (f->has_file && x->id == id)
		return 0;
	f->has_file = false;
	memset(x, 0, sizeof(*x));
	if (!u64_shl(id, 5, &x->offset) ||
		!u64_add(x->offset, f->meta_off, &x->offset) ||
		!range_inside(x->offset, 32, f->src->size))
		return error_set(e, ERR_NOTFOUND,
			"erofs: node %" PRIu64 " is outside the volume", id);
	r = source_pread(f->meta, b, 32, x->offset, e);
	if (r)
		return r;
	format = get_le16(b);
	ext = format & 1;
	if (ext) {
		r = source_pread(f->meta, b + 32, 32, x->offset + 32, e);
		if (r)
			return r;
	}
	x->id = n->id = id;
	x->layout = format >> 1 & 7;
	x->inode_size = ext ? 64 : 32;
	icount = get_le16(b + 2);
	x->xattr_size = icount ? 12 + 4u * (icount - 1u) : 0;
	n->type = type_of(get_le16(b + 4));
	n->mode = get_le16(b + 4) & 07777;
	if (x->layout > EROFS_CHUNKED || format >> 4 ||
		n->type == FS_UNKNOWN)
		return error_at(e, ERR_CORRUPT, x->offset,
			"erofs: node %" PRIu64 ": format %#x, mode %o", id,
			format, get_le16(b + 4));
	x->u = get_le32(b + 16);
	if (ext) {
		n->size = get_le64(b + 8);
		n->uid = get_le32(b + 24);
		n->gid = get_le32(b + 28);
		n->mtime = (int64_t)get_le64(b + 32);
		n->mtime_ns = get_le32(b + 40);
		if (n->mtime_ns >= 1000000000)
			n->mtime_ns = 0;
		n->nlink = get_le32(b + 44);
	} else {
		n->size = get_le32(b + 8);
		n->uid = get_le16(b + 24);
		n->gid = get_le16(b + 26);
		n->nlink = get_le16(b + 6);
		n->mtime = f->build_time;
		n->mtime_ns = f->build_ns;
	}
	if (n->size > INT64_MAX)
		return error_at(e, ERR_CORRUPT, x->offset,
			"erofs: node %" PRIu64 " has %" PRIu64 " bytes", id,
			n->size);
	if (x->xattr_size)
		n->flags |= FS_NODE_XATTRS;
	switch (n->type) {
	case FS_CHAR:
	case FS_BLOCK:
		n->rdev_major = x->u >> 8 & 0xfff;
		n->rdev_minor = (x->u & 0xff) | (x->u >> 12 & 0xfff00);
		n->size = 0;
		break;
	case FS_FIFO:
	case FS_SOCKET:
		n->size = 0;
		break;
	default:
		r = load_layout(f, e);
	}
	if (r)
		return r;
	f->has_file = true;
	return 0;
}

static int erofs_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	int r = erofs_load(f, id, e);

	if (r)
		return r;
	*out = f->file.node;
	if (out->type == FS_DIR)
		out->size = 0;
	return 0;
}

static int erofs_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	size_t n, before = out->len;
	uint8_t *p;
	int r = erofs_load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_SYMLINK)
		return error_set(e, ERR_ARG, "erofs: not a symlink");
	if (f->file.node.size > LIMIT_SYMLINK)
		return error_at(e, ERR_CORRUPT, f->file.offset,
			"erofs: target of %" PRIu64 " bytes",
			f->file.node.size);
	n = (size_t)f->file.node.size;
	p = buf_grow(out, n);
	if (!p)
		return error_nomem(e);
	r = erofs_content(f, p, n, 0, e);
	if (r)
		out->len = before;
	return r;
}

static bool is_dots(const uint8_t *s, size_t n)
{
	return (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' &&
						s[1] == '.');
}

struct dir_walk {
	struct erofs *f;
	uint64_t dir, count;
	fs_entry_fn fn;
	void *ctx;
};

/* One block of a directory: entries, then names. */
static int dir_block(struct dir_walk *w, const uint8_t *b, size_t len,
	struct error *e)
{
	size_t first, n;

	if (len < DIRENT)
		goto damaged;
	first = get_le16(b + 8);
	if (first < DIRENT || first > len || first % DIRENT)
		goto damaged;
	n = first / DIRENT;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *d = b + i * DIRENT;
		size_t from = get_le16(d + 8);
		size_t to = i + 1 < n ? get_le16(d + DIRENT + 8) : len;
		int r;

		if (from < first || to > len || from >= to)
			goto damaged;
		if (i + 1 == n)
			to = from + strnlen((const char *)b + from, to - from);
		if (is_dots(b + from, to - from))
			continue;
		if (++w->count > LIMIT_DIR_ENTRIES)
			return error_set(e, ERR_LIMIT,
				"erofs: more than %d entries",
				LIMIT_DIR_ENTRIES);
		if (to == from || to - from > LIMIT_NAME ||
			memchr(b + from, 0, to - from) ||
			memchr(b + from, '/', to - from)) {
			finding_report(w->f->findings, FINDING_NAME_BAD,
				FINDING_NO_OFFSET, NULL,
				"erofs: a name in directory %" PRIu64
				" is empty or holds a '/' or NUL", w->dir);
			continue;
		}
		r = w->fn(w->ctx, b + from, to - from, get_le64(d));
		if (r)
			return r;
	}
	return 0;
damaged:
	return error_set(e, ERR_CORRUPT,
		"erofs: directory %" PRIu64 " contradicts itself", w->dir);
}

static int erofs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn,
	void *ctx, struct error *e)
{
	struct erofs *f = (struct erofs *)fs;
	struct dir_walk w = { f, dir, 0, fn, ctx };
	AUTO_FREE uint8_t *b = malloc(f->block_size);
	uint64_t size, off = 0;
	int r = erofs_load(f, dir, e);

	if (!b)
		return error_nomem(e);
	if (r)
		return r;
	if (f->file.node.type != FS_DIR)
		return error_set(e, ERR_ARG, "erofs: not a directory");
	if (f->file.node.flags & FS_NODE_OPAQUE)
		return error_set(e, ERR_UNSUPPORTED,
			"erofs: directory %" PRIu64 " cannot be decoded", dir);
	size = f->file.node.size;
	/* every block has an entry, so the count bounds the walk */
	while (off < size) {
		size_t n = (size_t)u64_min(f->block_size, size - off);

		/* the callback may have looked at other files */
		r = erofs_load(f, dir, e);
		if (!r)
			r = erofs_content(f, b, n, off, e);
		if (!r)
			r = dir_block(&w, b, n, e);
		if (r)
			return r;
		off += n;
		if (off / f->block_size > LIMIT_DIR_ENTRIES)
			return error_set(e, ERR_LIMIT,
				"erofs: directory of %" PRIu64 " bytes", size);
	}
	return 0;
}

const struct fs_ops fs_erofs = {
	.name = "erofs",
	.probe = erofs_probe,
	.open = erofs_open,
	.close = erofs_close,
	.stat = erofs_stat,
	.readdir = erofs_readdir,
	.readlink = erofs_readlink,
	.extents = erofs_extents,
	.pread = erofs_pread,
	.xattrs = erofs_xattrs,
	.part_size = erofs_part_size,
};
