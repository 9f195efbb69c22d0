/* SPDX-License-Identifier: Apache-2.0 */
/* Writes dynamic VDI images: blocks in the order of the disk, the table last,
 * so that nothing is read twice. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/grain.h"
#include "disk/vdi.h"
#include "disk/vdi_format.h"

/* What VirtualBox makes, and all that qemu reads. */
#define BLOCK (1 * MIB)
/* The table starts and the data start on a MiB, as VirtualBox has it. */
#define TABLE_OFF 512u

struct vdi_out {
	struct sink *out;
	uint8_t *table;
	uint64_t data;
	uint32_t used;
};

static int put(void *ctx, const struct grain *g, struct error *e)
{
	struct vdi_out *o = ctx;
	int r = grain_put_sparse(o->out, g->data, BLOCK,
		o->data + o->used * BLOCK, e);

	put_le32(o->table + g->index * 4, o->used++);
	return r;
}

static int finish(struct vdi_out *o, const struct disk_write_args *args,
	uint64_t size, uint64_t blocks, struct error *e)
{
	struct vdi_header h = { 0 };
	uint64_t cyl;
	int r;

	snprintf((char *)h.text, sizeof(h.text), "%s", VDI_TEXT);
	h.signature = le32_make(VDI_SIGNATURE);
	h.version = le32_make(VDI_VERSION_1_1);
	h.header_size = le32_make(0x190);
	h.type = le32_make(VDI_DYNAMIC);
	h.offset_table = le32_make(TABLE_OFF);
	h.offset_data = le32_make((uint32_t)o->data);
	cyl = u64_min(size / 512 / (16 * 63), 16383);
	h.cylinders = le32_make((uint32_t)cyl);
	h.heads = le32_make(16);
	h.sectors = le32_make(63);
	h.sector_size = le32_make(512);
	h.disk_size = le64_make(size);
	h.block_size = le32_make(BLOCK);
	h.blocks = le32_make((uint32_t)blocks);
	h.blocks_allocated = le32_make(o->used);
	derive_uuid(args->id, "vdi image", h.uuid);
	derive_uuid(args->id, "vdi modified", h.uuid_modified);
	r = sink_pwrite(o->out, &h, sizeof(h), 0, e);
	if (!r)
		r = sink_pwrite(o->out, o->table, (size_t)blocks * 4, TABLE_OFF,
			e);
	if (!r)
		r = sink_truncate(o->out, o->data + o->used * BLOCK, e);
	return r;
}

static int vdi_write(const struct disk_write_args *args, struct error *e)
{
	uint64_t size = round_up(args->disk->size, 512);
	uint64_t blocks = div_ceil(size, BLOCK);
	struct vdi_out o = { .out = args->out };
	struct grain_writer w = { .args = args,
		.block_size = BLOCK,
		.put = put,
		.ctx = &o };
	int r;

	/* A 32-bit table below a 32-bit data offset. */
	if (blocks > 512 * MIB)
		return error_set(e, ERR_UNSUPPORTED,
			"vdi: a disk of %" PRIu64 " bytes is over 512 TiB",
			size);
	o.data = round_up(TABLE_OFF + blocks * 4, MIB);
	o.table = malloc(blocks ? (size_t)blocks * 4 : 1);
	if (!o.table)
		return error_nomem(e);
	memset(o.table, 0xff, (size_t)blocks * 4);
	r = grain_run(&w, e);
	if (!r)
		r = finish(&o, args, size, blocks, e);
	free(o.table);
	return r;
}

const struct disk_writer vdi_writer = {
	.name = "vdi",
	.write = vdi_write,
};
