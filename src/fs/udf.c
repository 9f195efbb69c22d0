/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: recognition, opening, files and their content. See udf.h.
 *
 * A volume that is ISO 9660 as well (a bridge) is shown as UDF, which is where
 * long names, large files and, on installation media of Windows, all files are;
 * Windows, macOS and Linux do so too. But where the ISO 9660 side has Rock Ridge
 * it is shown: the programs that write both know owners, modes, symlinks and
 * devices only there. Boot entries are told in either case. */
#include "fs/udf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/iso9660.h"
#include "fs/table.h"

static void udf_close(struct fs *fs)
{
	struct udf *f = (struct udf *)fs;

	udf_parts_release(f);
	udf_file_release(&f->file);
	source_unref(f->meta);
	source_unref(f->src);
	free(f);
}

static void cleanup_udf(struct udf **f)
{
	if (*f)
		udf_close(&(*f)->fs);
}

/* ECMA-167 4/14.1: sets of files are a chain, of which UDF shows the first (the
 * last on write-once media; their partitions are virtual, and so is it). */
static int open_file_set(struct udf *f, const struct udf_logical *l,
	struct error *e)
{
	AUTO_FREE uint8_t *b = malloc(f->block_size);
	const struct udf_file_set *s = (const void *)b;
	int r;

	if (!b)
		return error_nomem(e);
	r = udf_read_tagged(f, le16_get(l->file_set.part),
		le32_get(l->file_set.block), b, NULL, e);
	if (!r && le16_get(s->tag.id) != UDF_TAG_FILE_SET)
		r = error_set(e, ERR_CORRUPT, "no file set descriptor");
	if (r)
		return error_prefix(e, "udf: the file set");
	f->fs.root = UDF_ID(le16_get(s->root.part), le32_get(s->root.block));
	r = udf_load(f, f->fs.root, &f->file, e);
	if (!r && f->file.type != UDF_TYPE_DIR)
		r = error_set(e, ERR_CORRUPT, "it is of type %u", f->file.type);
	f->has_file = !r;
	return r ? error_prefix(e, "udf: the root directory") : 0;
}

static bool has_virtual(const struct udf *f)
{
	for (unsigned i = 0; i < f->nparts; i++)
		if (f->parts[i].kind == UDF_MAP_VIRTUAL)
			return true;
	return false;
}

static void report(struct udf *f)
{
	/* a disc that is written once stays open, and is smaller than it says
	 * it might become */
	if (has_virtual(f))
		return;
	if (f->fs.info.size > f->src->size)
		finding_report(f->findings, FINDING_FS_TRUNCATED,
			FINDING_NO_OFFSET, NULL,
			"udf: partitions to byte %" PRIu64 " of %" PRIu64,
			f->fs.info.size, f->src->size);
	if (f->open)
		finding_report(f->findings, FINDING_FS_DIRTY, FINDING_NO_OFFSET,
			NULL, "udf: the logical volume is marked as open");
}

static int open_volume(struct source *src, const struct finding_sink *findings,
	struct udf **out, struct error *e)
{
	CLEANUP(cleanup_udf) struct udf *f = calloc(1, sizeof(*f));
	CLEANUP(udf_volume_release) struct udf_volume v = { 0 };
	uint32_t spacing;
	int r;

	if (!f)
		return error_nomem(e);
	f->fs.ops = &fs_udf;
	f->findings = findings;
	f->src = source_ref(src);
	r = source_cache(src, 16 * KIB, 4 * MIB, &f->meta, e);
	if (r)
		return r;
	if (!udf_announced(f->meta, &f->iso, &spacing))
		return error_set(e, ERR_CORRUPT,
			"udf: no volume recognition sequence");
	r = udf_volume_read(f->meta, spacing, findings, &v, e);
	if (r)
		return r;
	f->block_size = v.block_size;
	f->open = v.open;
	udf_volume_info(&v, &f->fs.info);
	r = udf_parts_open(f, &v, e);
	if (!r)
		r = open_file_set(f, (const void *)v.logical, e);
	if (!r)
		*out = steal_ptr(f);
	return r;
}

static enum fs_verdict udf_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	CLEANUP(cleanup_udf) struct udf *f = NULL;
	uint32_t spacing;
	bool iso;
	int r;

	if (!udf_announced(src, &iso, &spacing))
		return FS_NO;
	r = open_volume(src, NULL, &f, e);
	if (iso && (r || iso_has_rock(src)))
		return FS_NO;
	if (!r) {
		*out = f->fs.info;
		return FS_YES;
	}
	snprintf(out->type, sizeof(out->type), "udf");
	out->size = src->size;
	return FS_UNSURE;
}

static int udf_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_udf) struct udf *f = NULL;
	int r = open_volume(args->devs[0], args->findings, &f, e);

	if (r)
		return r;
	report(f);
	if (f->iso) {
		finding_report(f->findings, FINDING_FS_BRIDGE,
			FINDING_NO_OFFSET, NULL,
			"udf: the volume is ISO 9660 as well; its UDF side is "
			"shown");
		iso_boot_find(f->meta, f->findings);
	}
	*out = &steal_ptr(f)->fs;
	return 0;
}

static int load(struct udf *f, uint64_t id, struct error *e)
{
	int r;

	if (f->has_file && f->file.id == id)
		return 0;
	f->has_file = false;
	r = udf_load(f, id, &f->file, e);
	f->has_file = !r;
	return r;
}

static int udf_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct udf *f = (struct udf *)fs;
	int r = load(f, id, e);

	if (r)
		return r;
	*out = f->file.node;
	if (out->type == FS_DIR)
		out->size = 0;
	return 0;
}

static int udf_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct udf *f = (struct udf *)fs;
	int r = load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_SYMLINK)
		return error_set(e, ERR_ARG, "udf: not a symlink");
	buf_add(out, f->file.link.data, f->file.link.len);
	return out->oom ? error_nomem(e) : 0;
}

static int load_content(struct udf *f, uint64_t id, struct error *e)
{
	int r = load(f, id, e);

	if (r)
		return r;
	if (f->file.node.type != FS_FILE)
		return error_set(e, ERR_ARG, "udf: not a file");
	if (f->file.node.flags & FS_NODE_OPAQUE)
		return error_set(e, ERR_UNSUPPORTED,
			"udf: the file's content cannot be read");
	return 0;
}

static int udf_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	struct udf *f = (struct udf *)fs;
	int r = load_content(f, id, e);

	for (size_t i = 0; !r && i < f->file.runs.len; i++) {
		const struct udf_run *u = &f->file.runs.items[i];
		struct fs_extent x = { .file_off = u->off,
			.len = u->len,
			.kind = u->kind };

		if (u->kind != FS_EXTENT_INLINE) {
			x.dev_off = u->dev_off;
			x.dev_len = u->len;
		}
		r = fn(ctx, &x);
	}
	return r;
}

static int udf_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct udf *f = (struct udf *)fs;
	int r = load_content(f, id, e);

	return r ? r : udf_file_pread(f->src, &f->file, buf, len, off, e);
}

const struct fs_ops fs_udf = {
	.name = "udf",
	.probe = udf_probe,
	.open = udf_open,
	.close = udf_close,
	.stat = udf_stat,
	.readdir = udf_readdir,
	.readlink = udf_readlink,
	.extents = udf_extents,
	.pread = udf_pread,
	.streams = udf_streams,
	.free_space = udf_free_space,
};
