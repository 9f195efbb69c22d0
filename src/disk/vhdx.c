/* SPDX-License-Identifier: Apache-2.0 */
/* Reads VHDX: fixed, dynamic, differencing; a log that was not replayed is,
 * in memory. */
#include "disk/vhdx.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/blockmap.h"

struct vhdx {
	struct blockmap m;
	uint64_t bat;
	uint64_t nblocks;
	uint64_t ratio; /* payload entries before each bitmap's entry */
	uint32_t block_size;
	bool differencing;
};

static enum disk_verdict vhdx_probe(struct source *file)
{
	uint8_t b[8];

	return !source_pread(file, b, 8, 0, NULL) &&
			       !memcmp(b, VHDX_FILE_SIGNATURE, 8)
		       ? DISK_YES
		       : DISK_NO;
}

static int bat_entry(struct vhdx *v, uint64_t i, uint64_t *out,
	struct error *e)
{
	uint8_t b[8] = { 0 };
	int r = source_pread(v->m.meta, b, 8, v->bat + i * 8, e);

	*out = get_le64(b);
	return r;
}

static enum vhdx_state state_of(uint64_t entry)
{
	return (enum vhdx_state)(entry & 7);
}

static uint64_t offset_of(uint64_t entry)
{
	return entry & ~(VHDX_ALIGN - 1);
}

/* Sector by sector from this disk or its parent: the run around off. */
static int partial(struct vhdx *v, uint64_t block, uint64_t off,
	uint64_t payload, struct piece *out, struct error *e)
{
	uint32_t ss = v->m.s.sector_size;
	uint64_t chunk = block / v->ratio, entry, sector, run;
	uint64_t in_block = off % v->block_size / ss;
	bool set;
	int r = bat_entry(v, chunk * (v->ratio + 1) + v->ratio, &entry, e);

	if (r)
		return r;
	if (state_of(entry) != VHDX_PRESENT)
		return error_at(e, ERR_CORRUPT, v->bat,
			"vhdx: block %" PRIu64 " is there in part, its bitmap "
			"is not", block);
	sector = off / ss % VHDX_CHUNK_SECTORS;
	r = blockmap_bits(&v->m, offset_of(entry), sector,
		v->block_size / ss - in_block, false, &set, &run, e);
	if (r)
		return r;
	*out = (struct piece){ .off = off / ss * ss,
		.len = run * ss,
		.kind = set ? PIECE_DATA : PIECE_PARENT,
		.src = v->m.file,
		.src_off = payload + in_block * ss };
	return 0;
}

static int vhdx_lookup(struct blockmap *m, uint64_t off, struct piece *out,
	struct error *e)
{
	struct vhdx *v = (struct vhdx *)m;
	uint64_t i = off / v->block_size, entry;
	int r = bat_entry(v, i + i / v->ratio, &entry, e);

	if (r)
		return r;
	*out = (struct piece){ .off = i * v->block_size,
		.len = v->block_size };
	switch (state_of(entry)) {
	case VHDX_NOT_PRESENT:
		out->kind = v->differencing ? PIECE_PARENT : PIECE_ZERO;
		return 0;
	case VHDX_UNDEFINED: /* any content is right, zeros the safe one */
	case VHDX_ZERO:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_OLD:
		return 0;
	case VHDX_PRESENT:
		out->kind = PIECE_DATA;
		out->src = m->file;
		out->src_off = offset_of(entry);
		return 0;
	case VHDX_PARTIAL:
		if (v->differencing)
			return partial(v, i, off, offset_of(entry), out, e);
		break;
	}
	return error_at(e, ERR_CORRUPT, v->bat + (i + i / v->ratio) * 8,
		"vhdx: block %" PRIu64 " is in state %u", i, state_of(entry));
}

static const struct blockmap_ops vhdx_map = {
	.name = "vhdx",
	.lookup = vhdx_lookup,
};

static int scan_block(struct vhdx *v, uint64_t i, uint64_t entry,
	struct tally *t, struct error *e)
{
	if (state_of(entry) != VHDX_PRESENT && state_of(entry) != VHDX_PARTIAL)
		return 0;
	if (offset_of(entry) < VHDX_ALIGN)
		return error_at(e, ERR_CORRUPT, v->bat + (i + i / v->ratio) * 8,
			"vhdx: block %" PRIu64 " lies over the header", i);
	/* The last block need not be there as a whole. */
	tally_add(t, offset_of(entry),
		u64_min(v->block_size, v->m.s.size - i * v->block_size));
	return 0;
}

static int scan(struct vhdx *v, const struct finding_sink *findings,
	struct error *e)
{
	struct tally t = { .file_size = v->m.file->size };
	uint64_t end = v->nblocks ? v->nblocks + (v->nblocks - 1) / v->ratio : 0;
	uint8_t buf[4096];

	for (uint64_t k = 0; k < end && t.inside <= t.file_size;) {
		size_t n = (size_t)u64_min(sizeof(buf) / 8, end - k);
		uint64_t hole = blockmap_hole(&v->m, v->bat + k * 8) / 8;
		int r = 0;

		if (hole) {
			k += hole;
			continue;
		}
		r = source_pread(v->m.meta, buf, n * 8, v->bat + k * 8, e);
		for (size_t j = 0; j < n && !r; j++, k++)
			/* Every (ratio + 1)th entry is a bitmap's. */
			if (k % (v->ratio + 1) != v->ratio)
				r = scan_block(v, k - k / (v->ratio + 1),
					get_le64(buf + j * 8), &t, e);
		if (r)
			return r;
	}
	return tally_end(&t, "vhdx", findings, e);
}

static int open_parent(struct vhdx *v, const struct disk_open_args *args,
	const struct vhdx_meta_info *meta, struct disk_info *info,
	struct error *e)
{
	const struct disk_resolver *res = args->resolver;
	struct source *disk = NULL;
	AUTO_SOURCE plain = NULL;
	struct vhdx_header h;
	int r;

	snprintf(info->backing, sizeof(info->backing), "%s", meta->parent);
	if (!*meta->parent)
		return error_set(e, ERR_CORRUPT,
			"vhdx: a differencing disk that names no parent");
	if (!res)
		return error_set(e, ERR_UNSUPPORTED,
			"vhdx: its parent '%s' may not be opened",
			meta->parent);
	/* Its bytes first: over another or a changed parent this is garbage. */
	r = res->open(res->ctx, meta->parent, "parent", NULL, &plain, e);
	if (r)
		return r;
	if (vhdx_probe(plain) != DISK_YES)
		return error_set(e, ERR_CORRUPT,
			"vhdx: the parent '%s' is not a VHDX", meta->parent);
	r = vhdx_read_header(plain, NULL, &h, e);
	if (r)
		return error_prefix(e, "%s", meta->parent);
	if (memcmp(h.data_write_guid, meta->parent_id[0], 16) != 0 &&
		memcmp(h.data_write_guid, meta->parent_id[1], 16) != 0)
		return error_set(e, ERR_CORRUPT,
			"vhdx: the parent '%s' is another disk, or was changed "
			"since this one was made on it (its id differs)",
			meta->parent);
	r = res->open(res->ctx, meta->parent, "parent", "vhdx", &disk, e);
	return r ? r : blockmap_set_parent(&v->m, disk, e);
}

static int set_shape(struct vhdx *v, const struct vhdx_meta_info *meta,
	struct error *e)
{
	uint64_t entries;

	v->block_size = meta->block_size;
	v->ratio = VHDX_CHUNK_SECTORS * meta->sector_size / meta->block_size;
	v->nblocks = div_ceil(meta->disk_size, v->block_size);
	v->bat = meta->bat;
	v->differencing = meta->has_parent;
	/* 2.5: bitmap entries are there for whole chunks only, unless there is
	 * a parent. All below 2^47 / 2^20 + ... */
	entries = v->nblocks;
	if (v->differencing)
		entries = div_ceil(v->nblocks, v->ratio) * (v->ratio + 1);
	else if (v->nblocks)
		entries += (v->nblocks - 1) / v->ratio;
	if (entries > meta->bat_len / 8)
		return error_at(e, ERR_CORRUPT, meta->bat,
			"vhdx: a block table of %" PRIu64
			" bytes for %" PRIu64 " entries",
			meta->bat_len, entries);
	return 0;
}

static int vhdx_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	AUTO_SOURCE file = NULL;
	AUTO_SOURCE owner = NULL;
	struct vhdx_meta_info meta;
	struct vhdx_header h;
	struct vhdx *v;
	int r;

	snprintf(info->format, sizeof(info->format), "vhdx");
	if (args->snapshot)
		return error_set(e, ERR_NOTFOUND,
			"snapshot '%s': a VHDX has none inside", args->snapshot);
	if (vhdx_probe(args->file) != DISK_YES)
		return error_set(e, ERR_CORRUPT, "vhdx: no signature");
	r = vhdx_read_header(args->file, args->findings, &h, e);
	if (!r)
		r = vhdx_replay(args->file, &h, args->findings, &file, e);
	if (!r)
		r = vhdx_read_meta(file, args->findings, &meta, e);
	if (r)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem(e);
	r = set_shape(v, &meta, e);
	if (r) {
		free(v);
		return r;
	}
	r = blockmap_init(&v->m, &vhdx_map, file, meta.disk_size, e);
	if (r)
		return r;
	owner = &v->m.s;
	v->m.s.sector_size = meta.sector_size;
	r = scan(v, args->findings, e);
	if (!r && v->differencing)
		r = open_parent(v, args, &meta, info, e);
	if (r)
		return r;
	snprintf(info->detail, sizeof(info->detail),
		"%s%u MiB blocks, %u-byte sectors",
		v->differencing ? "differencing, " : "",
		(unsigned)(v->block_size / MIB), meta.sector_size);
	memcpy(info->content_id, h.data_write_guid, 16);
	*out = steal_ptr(owner);
	return 0;
}

static const char *const suffixes[] = { ".vhdx", NULL };

const struct disk_ops disk_vhdx = {
	.name = "vhdx",
	.suffixes = suffixes,
	.probe = vhdx_probe,
	.open = vhdx_open,
	.writer = &vhdx_writer,
};
