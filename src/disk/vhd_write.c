/* SPDX-License-Identifier: Apache-2.0 */
/* Writes VHD, dynamic and fixed. The creator is "qem2" (size in bytes counts,
 * see vhd.c), so that every reader gives the disk its exact size. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/grain.h"
#include "disk/vhd.h"
#include "disk/vhd_format.h"

#define BLOCK (2 * MIB)
#define SECTOR 512u
#define BITMAP 512u /* of a block of 4096 sectors */
#define HEADER_OFF 512u
#define TABLE_OFF 1536u
/* Sector numbers have 32 bits and all ones means none; other tools stop at
 * 2040 GiB, and so do we. */
#define MAX_SIZE (2040 * GIB)

/* The specification's appendix: "CHS calculation". */
static void geometry(struct vhd_footer *f, uint64_t size)
{
	uint64_t total = u64_min(size / SECTOR, UINT64_C(65535) * 16 * 255);
	uint64_t heads, spt, ch;

	if (total >= UINT64_C(65535) * 16 * 63) {
		spt = 255;
		heads = 16;
		ch = total / spt;
	} else {
		spt = 17;
		ch = total / spt;
		heads = u64_max((ch + 1023) / 1024, 4);
		if (ch >= heads * 1024 || heads > 16) {
			spt = 31;
			heads = 16;
			ch = total / spt;
		}
		if (ch >= heads * 1024) {
			spt = 63;
			heads = 16;
			ch = total / spt;
		}
	}
	f->cylinders = be16_make((uint16_t)(ch / heads));
	f->heads = (uint8_t)heads;
	f->sectors = (uint8_t)spt;
}

static void make_footer(const struct disk_write_args *args, uint64_t size,
	uint32_t type, struct vhd_footer *f)
{
	*f = (struct vhd_footer){
		.features = be32_make(2), /* reserved, always set */
		.version = be32_make(VHD_VERSION),
		.data_offset = be64_make(
			type == VHD_FIXED ? UINT64_MAX : HEADER_OFF),
		.creator = { 'q', 'e', 'm', '2' },
		.creator_version = be32_make(0x00050003),
		.creator_os = { 'W', 'i', '2', 'k' },
		.original_size = be64_make(size),
		.current_size = be64_make(size),
		.type = be32_make(type),
	};
	memcpy(f->cookie, VHD_COOKIE, 8);
	geometry(f, size);
	derive_uuid(args->id, "vhd", f->uuid);
	f->checksum = be32_make(VHD_FOOTER_SUM(f));
}

struct vhd_out {
	struct sink *out;
	uint8_t *table;
	uint64_t at; /* where the next block goes */
};

static int put(void *ctx, const struct grain *g, struct error *e)
{
	struct vhd_out *o = ctx;
	uint8_t bitmap[BITMAP];
	int r;

	memset(bitmap, 0xff, sizeof(bitmap));
	put_be32(o->table + g->index * 4, (uint32_t)(o->at / SECTOR));
	r = sink_pwrite(o->out, bitmap, BITMAP, o->at, e);
	if (!r)
		r = grain_put_sparse(o->out, g->data, BLOCK, o->at + BITMAP, e);
	o->at += BITMAP + BLOCK;
	return r;
}

static int check_size(uint64_t size, struct error *e)
{
	return size > MAX_SIZE
		       ? error_set(e, ERR_UNSUPPORTED,
				 "vhd: a disk of %" PRIu64
				 " bytes is over the format's 2040 GiB",
				 size)
		       : 0;
}

static int finish(struct vhd_out *o, const struct disk_write_args *args,
	uint64_t size, uint64_t blocks, struct error *e)
{
	struct vhd_footer f;
	struct vhd_header h = {
		.data_offset = be64_make(UINT64_MAX),
		.table_offset = be64_make(TABLE_OFF),
		.version = be32_make(VHD_VERSION),
		.max_entries = be32_make((uint32_t)blocks),
		.block_size = be32_make(BLOCK),
	};
	int r;

	make_footer(args, size, VHD_DYNAMIC, &f);
	memcpy(h.cookie, VHD_HEADER_COOKIE, 8);
	h.checksum = be32_make(VHD_HEADER_SUM(&h));
	r = sink_pwrite(o->out, &f, sizeof(f), 0, e);
	if (!r)
		r = sink_pwrite(o->out, &h, sizeof(h), HEADER_OFF, e);
	if (!r) /* whole sectors, the rest all ones as well */
		r = sink_pwrite(o->out, o->table,
			(size_t)round_up(blocks * 4, SECTOR), TABLE_OFF, e);
	if (!r)
		r = sink_pwrite(o->out, &f, sizeof(f), o->at, e);
	if (!r)
		r = sink_truncate(o->out, o->at + sizeof(f), e);
	return r;
}

static int vhd_write(const struct disk_write_args *args, struct error *e)
{
	uint64_t size = round_up(args->disk->size, SECTOR);
	uint64_t blocks = div_ceil(size, BLOCK);
	size_t table = (size_t)round_up(blocks * 4, SECTOR);
	struct vhd_out o = { .out = args->out };
	struct grain_writer w = { .args = args,
		.block_size = BLOCK,
		.put = put,
		.ctx = &o };
	int r = check_size(size, e);

	if (r)
		return r;
	o.at = TABLE_OFF + table;
	o.table = malloc(table ? table : 1);
	if (!o.table)
		return error_nomem(e);
	memset(o.table, 0xff, table);
	r = grain_run(&w, e);
	if (!r)
		r = finish(&o, args, size, blocks, e);
	free(o.table);
	return r;
}

static int put_fixed(void *ctx, const struct grain *g, struct error *e)
{
	struct disk_write_args *args = ctx;
	uint64_t off = g->index * BLOCK;

	return grain_put_sparse(args->out, g->data,
		(size_t)u64_min(BLOCK, args->disk->size - off), off, e);
}

static int vhd_write_fixed(const struct disk_write_args *args, struct error *e)
{
	uint64_t size = round_up(args->disk->size, SECTOR);
	struct vhd_footer f;
	struct disk_write_args own = *args;
	struct grain_writer w = { .args = args,
		.block_size = BLOCK,
		.put = put_fixed,
		.ctx = &own };
	int r = check_size(size, e);

	if (!r && args->out->keeps_old)
		r = error_set(e, ERR_UNSUPPORTED, "vhd: not onto a device");
	if (!r)
		r = grain_run(&w, e);
	if (r)
		return r;
	make_footer(args, size, VHD_FIXED, &f);
	r = sink_pwrite(args->out, &f, sizeof(f), size, e);
	return r ? r : sink_truncate(args->out, size + sizeof(f), e);
}

const struct disk_writer vhd_writer = {
	.name = "vhd",
	.write = vhd_write,
};

const struct disk_writer vhd_fixed_writer = {
	.name = "vhd-fixed",
	.streams = true,
	.write = vhd_write_fixed,
};
