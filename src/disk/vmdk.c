/* SPDX-License-Identifier: Apache-2.0 */
/* Reads VMware disks: a descriptor (a file of its own, or inside a sparse
 * extent), its extents one behind the other, and for snapshots a parent.
 * Files that the descriptor names are asked of the resolver, by the name as it
 * is written. */
#include "disk/vmdk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/blockmap.h"
#include "disk/vmdk_desc.h"
#include "disk/vmdk_format.h"

#define DESC_START "# Disk DescriptorFile"

/* A text file that names host files is only taken for one by the line that
 * VMware and all others write first. */
static bool is_desc(struct source *file)
{
	char b[sizeof(DESC_START) - 1];

	return file->size <= LIMIT_VMDK_DESC &&
	       !source_pread(file, b, sizeof(b), 0, NULL) &&
	       !strncasecmp(b, DESC_START, sizeof(b));
}

static enum disk_verdict vmdk_probe(struct source *file)
{
	return vmdk_is_sparse(file) || is_desc(file) ? DISK_YES : DISK_NO;
}

/* The descriptor of a file, where it has one (else *out is empty). */
static int read_desc(struct source *file, struct vmdk_desc *out,
	struct error *e)
{
	struct vmdk_sparse_info x = { .desc_size = file->size };
	uint8_t *text;
	int r = 0;

	*out = (struct vmdk_desc){ .cid = VMDK_NO_CID,
		.parent_cid = VMDK_NO_CID,
		.create_type = "",
		.parent_hint = "" };
	if (!is_desc(file))
		r = vmdk_sparse_info(file, &x, e);
	if (r || !x.desc_size)
		return r;
	text = malloc((size_t)x.desc_size);
	if (!text)
		return error_nomem(e);
	r = source_pread(file, text, (size_t)x.desc_size, x.desc_offset, e);
	if (!r)
		r = vmdk_desc_parse(text, (size_t)x.desc_size, out, e);
	free(text);
	return r;
}

/* --- assembling --- */

struct assembly {
	const struct disk_open_args *args;
	const struct vmdk_desc *desc;
	struct source *parent;
	VEC(struct source_segment) seg; /* each with a reference */
	uint64_t size;
	char kind[24];
};

static void assembly_release(struct assembly *a)
{
	for (size_t i = 0; i < a->seg.len; i++)
		source_unref(a->seg.items[i].src);
	vec_release(&a->seg);
	source_unref(a->parent);
}

/* Takes over src. */
static int add(struct assembly *a, struct source *src, uint64_t off,
	uint64_t len, struct error *e)
{
	if (!vec_push(&a->seg, (struct source_segment){ src, off, len })) {
		source_unref(src);
		return error_nomem(e);
	}
	if (!u64_add(a->size, len, &a->size) || a->size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT,
			"vmdk: the extents add up to more than 2^62 bytes");
	return 0;
}

static int add_sparse(struct assembly *a, struct source *file, uint64_t want,
	struct error *e)
{
	struct vmdk_sparse_info info;
	AUTO_SOURCE disk = NULL;
	AUTO_SOURCE below = NULL;
	int r;

	if (!vmdk_is_sparse(file))
		return error_set(e, ERR_CORRUPT,
			"vmdk: an extent that should be sparse has no header");
	r = vmdk_sparse_open(file, a->parent != NULL, a->args->findings, &disk,
		&info, e);
	if (r)
		return r;
	if (!disk)
		return error_set(e, ERR_CORRUPT,
			"vmdk: an extent that holds only a descriptor");
	if (want == UINT64_MAX)
		want = disk->size;
	if (disk->size < want)
		return error_set(e, ERR_CORRUPT,
			"vmdk: an extent of %" PRIu64
			" bytes where the descriptor says %" PRIu64,
			disk->size, want);
	if (a->parent) {
		uint64_t at = u64_min(a->size, a->parent->size);

		r = source_window(a->parent, at,
			u64_min(want, a->parent->size - at), &below, e);
		if (!r)
			r = blockmap_set_parent((struct blockmap *)disk,
				steal_ptr(below), e);
		if (r)
			return r;
	}
	memcpy(a->kind, info.kind, sizeof(a->kind));
	return add(a, steal_ptr(disk), 0, want, e);
}

static int add_flat(struct assembly *a, struct source *file,
	const struct vmdk_extent *x, struct error *e)
{
	uint64_t off = x->offset * VMDK_SECTOR, len = x->sectors * VMDK_SECTOR;
	uint64_t have = file->size > off ? u64_min(len, file->size - off) : 0;
	int r;

	snprintf(a->kind, sizeof(a->kind), "flat");
	if (have < len)
		finding_report(a->args->findings, FINDING_DISK_TRUNCATED,
			file->size, x->name,
			"the extent needs %" PRIu64 " bytes from %" PRIu64
			" on, the file has %" PRIu64, len, off, file->size);
	r = add(a, source_ref(file), off, have, e);
	return r || have == len ? r : add(a, NULL, 0, len - have, e);
}

static int add_extent(struct assembly *a, const struct vmdk_extent *x,
	struct error *e)
{
	const struct disk_resolver *res = a->args->resolver;
	AUTO_SOURCE file = NULL;
	int r;

	/* Of nothing, nothing: the empty disk, as our writer makes it. */
	if (x->type == VMDK_ZERO || !x->sectors)
		return add(a, NULL, 0, x->sectors * VMDK_SECTOR, e);
	if (!res)
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: its extent '%s' may not be opened", x->name);
	r = res->open(res->ctx, x->name, "extent", NULL, &file, e);
	if (r)
		return r;
	r = x->type == VMDK_FLAT
		    ? add_flat(a, file, x, e)
		    : add_sparse(a, file, x->sectors * VMDK_SECTOR, e);
	return r ? error_prefix(e, "%s", x->name) : 0;
}

static int open_parent(struct assembly *a, struct disk_info *info,
	struct error *e)
{
	const struct disk_resolver *res = a->args->resolver;
	const char *name = a->desc->parent_hint;
	struct vmdk_desc d = { 0 };
	AUTO_SOURCE plain = NULL;
	uint32_t cid;
	int r;

	snprintf(info->backing, sizeof(info->backing), "%s", name);
	if (!*name)
		return error_set(e, ERR_CORRUPT,
			"vmdk: a snapshot that names no parent");
	if (!res)
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: its parent '%s' may not be opened", name);
	/* Its bytes first: over another or a changed parent this is garbage. */
	r = res->open(res->ctx, name, "parent", NULL, &plain, e);
	if (r)
		return r;
	if (vmdk_probe(plain) != DISK_YES)
		return error_set(e, ERR_CORRUPT,
			"vmdk: the parent '%s' is not a VMDK", name);
	r = read_desc(plain, &d, e);
	if (r)
		return error_prefix(e, "%s", name);
	cid = d.cid;
	vmdk_desc_release(&d);
	if (cid != a->desc->parent_cid)
		return error_set(e, ERR_CORRUPT,
			"vmdk: the parent '%s' has content id %08x, this "
			"snapshot was made on %08x", name, cid,
			a->desc->parent_cid);
	return res->open(res->ctx, name, "parent", "vmdk", &a->parent, e);
}

static int assemble(struct assembly *a, bool from_desc, struct disk_info *info,
	struct error *e)
{
	int r = 0;

	if (a->desc->parent_cid != VMDK_NO_CID)
		r = open_parent(a, info, e);
	if (r)
		return r;
	if (!from_desc)
		return add_sparse(a, a->args->file, UINT64_MAX, e);
	if (!a->desc->extents.len)
		return error_set(e, ERR_CORRUPT,
			"vmdk: a descriptor without extents");
	for (size_t i = 0; i < a->desc->extents.len && !r; i++)
		r = add_extent(a, &a->desc->extents.items[i], e);
	return r;
}

static int vmdk_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	struct vmdk_sparse_info x = { .elsewhere = true };
	struct vmdk_desc d = { 0 };
	struct assembly a = { .args = args, .desc = &d };
	int r = 0;

	snprintf(info->format, sizeof(info->format), "vmdk");
	if (args->snapshot)
		return error_set(e, ERR_NOTFOUND,
			"snapshot '%s': a VMDK has none inside", args->snapshot);
	if (!is_desc(args->file)) {
		if (!vmdk_is_sparse(args->file))
			return error_set(e, ERR_CORRUPT,
				"vmdk: neither a sparse extent nor a "
				"descriptor");
		r = vmdk_sparse_info(args->file, &x, e);
	}
	if (!r)
		r = read_desc(args->file, &d, e);
	if (r)
		return r;
	r = assemble(&a, x.elsewhere, info, e);
	if (!r && a.seg.len == 1 && a.seg.items[0].src &&
		!a.seg.items[0].off &&
		a.seg.items[0].len == a.seg.items[0].src->size)
		*out = source_ref(a.seg.items[0].src);
	else if (!r)
		r = source_concat(a.seg.items, a.seg.len, out, e);
	snprintf(info->detail, sizeof(info->detail), "%.40s%s%s%s%zu extent%s",
		d.create_type, *d.create_type ? ", " : "", a.kind,
		*a.kind ? ", " : "", a.seg.len, a.seg.len == 1 ? "" : "s");
	if (!r && !d.text)
		finding_report(args->findings, FINDING_DISK_NOTE,
			FINDING_NO_OFFSET, "vmdk",
			"an extent without its descriptor: it may be a part of "
			"a larger disk");
	if (d.cid != VMDK_NO_CID)
		put_le32(info->content_id, d.cid);
	assembly_release(&a);
	vmdk_desc_release(&d);
	return r;
}

static const char *const suffixes[] = { ".vmdk", NULL };

const struct disk_ops disk_vmdk = {
	.name = "vmdk",
	.suffixes = suffixes,
	.probe = vmdk_probe,
	.open = vmdk_open,
	.writer = &vmdk_writer,
};

const struct disk_ops disk_vmdk_stream = {
	.name = "vmdk-stream",
	.open = vmdk_open,
	.writer = &vmdk_stream_writer,
};
