/* SPDX-License-Identifier: Apache-2.0 */
/* Writes dynamic VHDX: headers, an empty log, metadata, block table, blocks in
 * the order of the disk. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/grain.h"
#include "disk/vhdx.h"

#define GRAIN (2 * MIB)
#define LOG_OFF (1 * MIB)
#define LOG_LEN (1 * MIB)
#define META_OFF (2 * MIB)
#define META_LEN (1 * MIB)
#define BAT_OFF (3 * MIB)
#define ITEMS_OFF 65536u

struct vhdx_out {
	struct sink *out;
	uint8_t *bat;
	uint64_t bat_bytes; /* whole MiB */
	uint64_t block_size, ratio, next;
};

/* Grains are smaller than blocks where the disk is very large: a block is
 * placed when its first grain comes, the rest of it stays a hole. */
static int put(void *ctx, const struct grain *g, struct error *e)
{
	struct vhdx_out *o = ctx;
	uint64_t off = g->index * GRAIN, i = off / o->block_size;
	uint8_t *entry = o->bat + (i + i / o->ratio) * 8;

	if (!get_le64(entry)) {
		put_le64(entry, o->next | VHDX_PRESENT);
		o->next += o->block_size;
	}
	return grain_put_sparse(o->out, g->data, GRAIN,
		(get_le64(entry) & ~(VHDX_ALIGN - 1)) + off % o->block_size, e);
}

static int put_headers(struct vhdx_out *o, const struct disk_write_args *args,
	struct error *e)
{
	struct vhdx_header h = {
		.signature = { 'h', 'e', 'a', 'd' },
		.version = le16_make(1),
		.log_length = le32_make(LOG_LEN),
		.log_offset = le64_make(LOG_OFF),
	};
	uint8_t id[8 + 512] = VHDX_FILE_SIGNATURE;
	int r;

	for (size_t i = 0; "strata"[i]; i++) /* the creator, UTF-16 */
		id[8 + 2 * i] = (uint8_t)"strata"[i];
	derive_uuid(args->id, "vhdx file", h.file_write_guid);
	derive_uuid(args->id, "vhdx data", h.data_write_guid);
	r = sink_pwrite(o->out, id, sizeof(id), 0, e);
	for (int i = 0; i < 2 && !r; i++) {
		h.sequence = le64_make((uint64_t)i + 1);
		h.checksum = le32_make(vhdx_checksum(&h, sizeof(h)));
		r = sink_pwrite(o->out, &h, sizeof(h),
			i ? VHDX_HEADER2 : VHDX_HEADER1, e);
	}
	return r;
}

static int put_regions(struct vhdx_out *o, struct error *e)
{
	uint8_t *b = calloc(1, VHDX_TABLE_BYTES);
	struct vhdx_region_header h = { .signature = { 'r', 'e', 'g', 'i' },
		.entries = le32_make(2) };
	struct vhdx_region x[2] = {
		{ .offset = le64_make(BAT_OFF),
			.length = le32_make((uint32_t)o->bat_bytes),
			.flags = le32_make(1) },
		{ .offset = le64_make(META_OFF),
			.length = le32_make(META_LEN),
			.flags = le32_make(1) },
	};
	int r;

	if (!b)
		return error_nomem(e);
	memcpy(x[0].guid, VHDX_GUID_BAT, 16);
	memcpy(x[1].guid, VHDX_GUID_METADATA, 16);
	memcpy(b, &h, sizeof(h));
	memcpy(b + sizeof(h), x, sizeof(x));
	put_le32(b + 4, vhdx_checksum(b, VHDX_TABLE_BYTES));
	r = sink_pwrite(o->out, b, VHDX_TABLE_BYTES, VHDX_REGIONS1, e);
	if (!r)
		r = sink_pwrite(o->out, b, VHDX_TABLE_BYTES, VHDX_REGIONS2, e);
	free(b);
	return r;
}

static int put_metadata(struct vhdx_out *o, const struct disk_write_args *args,
	uint64_t size, uint32_t sector_size, struct error *e)
{
	static const struct {
		const char *guid;
		uint32_t length, flags;
	} rows[5] = {
		{ VHDX_GUID_FILE_PARAMETERS, 8, 4 },
		{ VHDX_GUID_DISK_SIZE, 8, 6 },
		{ VHDX_GUID_DISK_ID, 16, 6 },
		{ VHDX_GUID_LOGICAL_SECTOR, 4, 6 },
		{ VHDX_GUID_PHYSICAL_SECTOR, 4, 6 },
	};
	uint8_t table[32 + 5 * 32] = "metadata", data[40];
	uint32_t at = 0;
	int r;

	put_le16(table + 10, ARRAY_LEN(rows));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t *x = table + 32 + i * 32;

		memcpy(x, rows[i].guid, 16);
		put_le32(x + 16, ITEMS_OFF + at);
		put_le32(x + 20, rows[i].length);
		put_le32(x + 24, rows[i].flags);
		at += rows[i].length;
	}
	put_le32(data, (uint32_t)o->block_size);
	put_le32(data + 4, 0);
	put_le64(data + 8, size);
	derive_uuid(args->id, "vhdx disk", data + 16);
	put_le32(data + 32, sector_size);
	put_le32(data + 36, 4096);
	r = sink_pwrite(o->out, table, sizeof(table), META_OFF, e);
	return r ? r
		 : sink_pwrite(o->out, data, sizeof(data), META_OFF + ITEMS_OFF,
			   e);
}

static int vhdx_write(const struct disk_write_args *args, struct error *e)
{
	uint32_t ss = args->disk->sector_size == 4096 ? 4096 : 512;
	uint64_t size = round_up(args->disk->size, ss), blocks;
	struct vhdx_out o = { .out = args->out };
	struct grain_writer w = { .args = args,
		.block_size = GRAIN,
		.put = put,
		.ctx = &o };
	int r;

	if (size > 64 * TIB)
		return error_set(e, ERR_UNSUPPORTED,
			"vhdx: a disk of %" PRIu64 " bytes is over 64 TiB",
			size);
	if (args->out->keeps_old)
		return error_set(e, ERR_UNSUPPORTED, "vhdx: not onto a device");
	/* So that the table is at most 17 MiB. */
	o.block_size = size > TIB ? 32 * MIB : GRAIN;
	o.ratio = VHDX_CHUNK_SECTORS * ss / o.block_size;
	blocks = div_ceil(size, o.block_size);
	o.bat_bytes = round_up((blocks + blocks / o.ratio + 1) * 8, MIB);
	o.next = BAT_OFF + o.bat_bytes;
	o.bat = calloc(1, (size_t)o.bat_bytes);
	if (!o.bat)
		return error_nomem(e);
	r = put_headers(&o, args, e);
	if (!r)
		r = put_regions(&o, e);
	if (!r)
		r = put_metadata(&o, args, size, ss, e);
	if (!r)
		r = grain_run(&w, e);
	if (!r)
		r = sink_pwrite(args->out, o.bat, (size_t)o.bat_bytes, BAT_OFF,
			e);
	free(o.bat);
	return r ? r : sink_truncate(args->out, o.next, e);
}

const struct disk_writer vhdx_writer = {
	.name = "vhdx",
	.write = vhdx_write,
};
