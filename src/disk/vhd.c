/* SPDX-License-Identifier: Apache-2.0 */
/* Reads VHD: fixed, dynamic, differencing.
 *
 * Which size is meant: the footer holds the size in bytes and a geometry
 * (cylinders x heads x sectors), and they disagree by up to a cylinder unless
 * the disk was made to fit. Virtual PC and qemu's default use the geometry,
 * Hyper-V and most others the bytes; the creator field says who wrote it.
 * As qemu's block/vpc.c: creators "win ", "qem2", "d2v ", "tap\0", "CTXS",
 * "wa\0\0" mean the bytes, all others the geometry, but a geometry at its
 * maximum (65535 x 16 x 255: 127 GiB) always means the bytes. One exception
 * from qemu: "vbox" means the bytes, since VirtualBox gives its guests those,
 * and by the geometry the end of the disk would be lost. And a geometry that
 * cannot have been made of the bytes (none at all, larger, or smaller by two
 * cylinders: the disk was resized, or its maker left it out) is not asked.
 */
#include "disk/vhd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "disk/blocktable.h"
#include "disk/vhd_format.h"

#define SECTOR 512u
#define MAX_GEOMETRY (UINT64_C(65535) * 16 * 255)

struct vhd {
	struct blockmap m;
	struct blocktable t; /* head: a bitmap in whole sectors */
	bool differencing;
};

static bool footer_ok(const struct vhd_footer *f)
{
	return !memcmp(f->cookie, VHD_COOKIE, 8) &&
	       be32_get(f->checksum) == VHD_FOOTER_SUM(f);
}

/* The footer: the last 512 bytes; Virtual PC before 2004 wrote 511; else the
 * copy at the start of a dynamic disk. Returns false where there is none.
 * *out_copy: the one at the end was no good. */
static bool find_footer(struct source *file, struct vhd_footer *f,
	bool *out_copy)
{
	*out_copy = false;
	if (file->size >= 512 &&
		!source_pread(file, f, 512, file->size - 512, NULL) &&
		footer_ok(f))
		return true;
	/* The last byte is reserved, so zero. */
	memset(f, 0, sizeof(*f));
	if (file->size >= 511 &&
		!source_pread(file, f, 511, file->size - 511, NULL) &&
		footer_ok(f))
		return true;
	if (file->size < 512 || source_pread(file, f, 512, 0, NULL) ||
		!footer_ok(f) || be32_get(f->type) == VHD_FIXED)
		return false;
	*out_copy = true;
	return true;
}

/* Is there a footer, whatever its checksum? What ends in the cookie, or begins
 * with it and has a dynamic disk's header behind it, is a damaged VHD: as a raw
 * disk it would be stored with its tables, and nothing found in it. */
static bool has_cookie(struct source *file, struct vhd_footer *f)
{
	char header[8];

	if (file->size >= 512 &&
		!source_pread(file, f, 512, file->size - 512, NULL) &&
		!memcmp(f->cookie, VHD_COOKIE, 8))
		return true;
	return file->size >= 520 && !source_pread(file, f, 512, 0, NULL) &&
	       !source_pread(file, header, sizeof(header), 512, NULL) &&
	       !memcmp(f->cookie, VHD_COOKIE, 8) &&
	       !memcmp(header, VHD_HEADER_COOKIE, 8);
}

static enum disk_verdict vhd_probe(struct source *file)
{
	struct vhd_footer f;
	bool copy;

	return find_footer(file, &f, &copy) || has_cookie(file, &f) ? DISK_YES
								     : DISK_NO;
}

/* The virtual size by the rule above. */
static uint64_t disk_size(const struct vhd_footer *f)
{
	static const char bytes[][4] = { "win ", "qem2", "d2v ", "tap", "CTXS",
		"wa", "vbox" };
	uint64_t chs = (uint64_t)be16_get(f->cylinders) * f->heads * f->sectors;
	uint64_t size = round_down(be64_get(f->current_size), SECTOR);

	if (chs == MAX_GEOMETRY || !chs || chs * SECTOR > size ||
		size / SECTOR - chs >= 2ul * f->heads * f->sectors)
		return size;
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
		/* "tap" and "wa" are told by their letters alone. */
		size_t n = strnlen(bytes[i], 4);

		if (!memcmp(f->creator, bytes[i], n))
			return size;
	}
	return chs * SECTOR;
}

static int vhd_lookup(struct blockmap *m, uint64_t off, struct piece *out,
	struct error *e)
{
	struct vhd *v = (struct vhd *)m;
	uint64_t bs = v->t.block_size, i = off / bs, at, sector, run;
	bool here, set;
	int r = blocktable_get(m, &v->t, i, &here, &at, e);

	if (r)
		return r;
	*out = (struct piece){ .off = i * bs,
		.len = bs,
		.kind = v->differencing ? PIECE_PARENT : PIECE_ZERO };
	if (!here)
		return 0;
	out->src = m->file;
	out->src_off = at + v->t.head;
	out->kind = PIECE_DATA;
	/* A dynamic disk's bitmap marks what was ever written; the rest of the
	 * block is zeros on disk anyway, and qemu does not look. */
	if (!v->differencing)
		return 0;
	sector = off % bs / SECTOR;
	r = blockmap_bits(m, at, sector, bs / SECTOR - sector, true, &set, &run,
		e);
	if (r)
		return r;
	out->off += sector * SECTOR;
	out->src_off += sector * SECTOR;
	out->len = run * SECTOR;
	if (!set)
		out->kind = PIECE_PARENT;
	return 0;
}

static const struct blockmap_ops vhd_map = {
	.name = "vhd",
	.lookup = vhd_lookup,
};

/* --- parents --- */

/* The parent's name: the relative locator, else the absolute one, else the
 * name in the header. out is NUL-terminated UTF-8. */
static void parent_name(struct source *file, const struct vhd_header *h,
	char *out, size_t size)
{
	static const char codes[2][5] = { "W2ru", "W2ku" };

	for (size_t c = 0; c < 2; c++) {
		for (size_t i = 0; i < ARRAY_LEN(h->locators); i++) {
			const struct vhd_locator *l = &h->locators[i];
			uint8_t raw[2 * LIMIT_NAME];
			size_t n = be32_get(l->data_length);

			if (memcmp(l->code, codes[c], 4) != 0 ||
				n > sizeof(raw) ||
				source_pread(file, raw, n,
					be64_get(l->data_offset), NULL))
				continue;
			utf16_field(raw, n / 2, false, out, size);
			if (*out) {
				windows_path_to_host(out);
				return;
			}
		}
	}
	utf16_field(h->parent_name, sizeof(h->parent_name) / 2, true, out,
		size);
	windows_path_to_host(out);
}

static int open_parent(struct vhd *v, const struct disk_open_args *args,
	const struct vhd_header *h, struct disk_info *info, struct error *e)
{
	const struct disk_resolver *res = args->resolver;
	AUTO_SOURCE plain = NULL;
	struct source *disk = NULL;
	struct vhd_footer f;
	bool copy;
	int r;

	parent_name(args->file, h, info->backing, sizeof(info->backing));
	if (!*info->backing)
		return error_at(e, ERR_CORRUPT, 512 + 64,
			"vhd: a differencing disk that names no parent");
	if (!res)
		return error_set(e, ERR_UNSUPPORTED,
			"vhd: its parent '%s' may not be opened",
			info->backing);
	/* Its bytes first: a parent with another id gives garbage. */
	r = res->open(res->ctx, info->backing, "parent", NULL, &plain, e);
	if (r)
		return r;
	if (!find_footer(plain, &f, &copy))
		return error_set(e, ERR_CORRUPT, "vhd: the parent '%s' is not a "
			"VHD", info->backing);
	if (memcmp(f.uuid, h->parent_uuid, 16) != 0)
		return error_set(e, ERR_CORRUPT,
			"vhd: the parent '%s' is another disk than the one "
			"this was made on (its id differs)", info->backing);
	r = res->open(res->ctx, info->backing, "parent", "vhd", &disk, e);
	return r ? r : blockmap_set_parent(&v->m, disk, e);
}

/* --- opening --- */

static int open_fixed(const struct disk_open_args *args, uint64_t size,
	struct source **out, struct error *e)
{
	struct source *file = args->file;
	/* 511-byte footers too: the disk ends on a sector. */
	uint64_t have = round_down(file->size - 511, SECTOR);

	if (size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT, "vhd: a disk of %" PRIu64
			" bytes", size);
	if (size > have) {
		finding_report(args->findings, FINDING_DISK_TRUNCATED, have,
			"vhd", "the disk has %" PRIu64 " bytes, the file %"
			PRIu64, size, have);
		struct source_segment seg[2] = { { file, 0, have },
			{ NULL, 0, size - have } };
		return source_concat(seg, 2, out, e);
	}
	return source_window(file, 0, size, out, e);
}

static int check_header(const struct vhd_header *h, uint64_t at, uint64_t size,
	uint64_t file_size, struct vhd *v, struct error *e)
{
	uint32_t block_size;

	if (memcmp(h->cookie, VHD_HEADER_COOKIE, 8) != 0)
		return error_at(e, ERR_CORRUPT, at,
			"vhd: no header where the footer says");
	if (be32_get(h->checksum) != VHD_HEADER_SUM(h))
		return error_at(e, ERR_CORRUPT, at + 36,
			"vhd: the header's checksum is wrong");
	if (be32_get(h->version) >> 16 != 1)
		return error_at(e, ERR_UNSUPPORTED, at + 24,
			"vhd: header version %u.%u",
			be32_get(h->version) >> 16,
			be32_get(h->version) & 0xffff);
	block_size = be32_get(h->block_size);
	if (!is_pow2(block_size) || block_size < SECTOR)
		return error_at(e, ERR_CORRUPT, at + 32,
			"vhd: block size %u is not a power of two from 512",
			block_size);
	if (block_size > LIMIT_CONTAINER_BLOCK)
		return error_at(e, ERR_LIMIT, at + 32, "vhd: block size %u",
			block_size);
	v->t = (struct blocktable){ .name = "vhd",
		.big_endian = true,
		.none = VHD_UNALLOCATED,
		.at = be64_get(h->table_offset),
		.nblocks = be32_get(h->max_entries),
		.block_size = block_size,
		.unit = SECTOR,
		/* One bit a sector, in whole sectors. */
		.head = round_up(div_ceil(block_size / SECTOR, 8), SECTOR) };
	return blocktable_check(&v->t, size, file_size, at + 28, at + 16, e);
}

static int open_sparse(const struct disk_open_args *args,
	const struct vhd_footer *f, uint64_t size, struct source **out,
	struct disk_info *info, struct error *e)
{
	AUTO_SOURCE owner = NULL;
	uint64_t at = be64_get(f->data_offset);
	struct vhd_header h;
	struct vhd *v;
	int r;

	if (!range_inside(at, sizeof(h), args->file->size))
		return error_at(e, ERR_CORRUPT, at,
			"vhd: the header at %" PRIu64 " is outside the file of %"
			PRIu64 " bytes", at, args->file->size);
	r = source_pread(args->file, &h, sizeof(h), at, e);
	if (r)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem(e);
	r = check_header(&h, at, size, args->file->size, v, e);
	if (r) {
		free(v);
		return r;
	}
	r = blockmap_init(&v->m, &vhd_map, args->file, size, e);
	if (r)
		return r;
	owner = &v->m.s;
	v->differencing = be32_get(f->type) == VHD_DIFFERENCING;
	r = blocktable_scan(&v->m, &v->t, args->findings, e);
	if (!r && v->differencing)
		r = open_parent(v, args, &h, info, e);
	if (r)
		return r;
	snprintf(info->detail, sizeof(info->detail),
		"%s, %" PRIu64 " KiB blocks, creator '%.4s'",
		v->differencing ? "differencing" : "dynamic",
		v->t.block_size / KIB, f->creator);
	*out = steal_ptr(owner);
	return 0;
}

static int vhd_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	struct vhd_footer f;
	uint64_t size, bytes;
	uint32_t type;
	bool copy;

	snprintf(info->format, sizeof(info->format), "vhd");
	if (!find_footer(args->file, &f, &copy))
		return error_set(e, ERR_CORRUPT,
			"vhd: no footer with a valid checksum, neither in the "
			"last 512 bytes nor, for a dynamic disk, in the first");
	if (copy)
		finding_report(args->findings, FINDING_DISK_DAMAGED,
			args->file->size > 512 ? args->file->size - 512 : 0,
			"vhd", "the footer at the end is damaged or cut off; "
			"the copy at the start is used");
	if (be32_get(f.version) >> 16 != 1)
		return error_set(e, ERR_UNSUPPORTED, "vhd: version %u.%u",
			be32_get(f.version) >> 16, be32_get(f.version) & 0xffff);
	type = be32_get(f.type);
	bytes = be64_get(f.current_size);
	size = disk_size(&f);
	if (size != bytes)
		finding_report(args->findings, FINDING_DISK_NOTE,
			FINDING_NO_OFFSET, "vhd",
			"the footer says %" PRIu64 " bytes, its geometry %" PRIu64
			"; the geometry counts, since the creator is '%.4s'",
			bytes, size, f.creator);
	if (f.saved_state)
		finding_report(args->findings, FINDING_DISK_DIRTY,
			FINDING_NO_OFFSET, "vhd",
			"the disk belongs to a machine in a saved state");
	if (type == VHD_FIXED) {
		snprintf(info->detail, sizeof(info->detail),
			"fixed, creator '%.4s'", f.creator);
		return open_fixed(args, size, out, e);
	}
	if (type == VHD_DYNAMIC || type == VHD_DIFFERENCING)
		return open_sparse(args, &f, size, out, info, e);
	return error_set(e, ERR_UNSUPPORTED, "vhd: disk type %u", type);
}

static const char *const suffixes[] = { ".vhd", ".vpc", NULL };

const struct disk_ops disk_vhd = {
	.name = "vhd",
	.suffixes = suffixes,
	.probe = vhd_probe,
	.open = vhd_open,
	.writer = &vhd_writer,
};

const struct disk_ops disk_vhd_fixed = {
	.name = "vhd-fixed",
	.open = vhd_open,
	.writer = &vhd_fixed_writer,
};
