/* SPDX-License-Identifier: Apache-2.0 */
/* Writes VMDK: monolithicSparse (grains in the order of the disk, tables at
 * the front, written twice) and streamOptimized (compressed grains, tables
 * and the header that counts behind them, all forwards). One table is held at
 * a time, and the directory: 4 bytes for 32 MiB of disk. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "codec/deflate.h"
#include "disk/grain.h"
#include "disk/vmdk.h"
#include "disk/vmdk_format.h"

#define GRAIN (64 * KIB)
#define GRAIN_SECTORS 128u
#define GTES 512u
#define TABLE_BYTES (GTES * 4)
#define TABLE_SECTORS (TABLE_BYTES / VMDK_SECTOR)
#define SPAN (GRAIN * GTES)
#define DESC_SECTOR 1u
#define DESC_SECTORS 20u

struct vmdk_out {
	struct sink *out;
	uint8_t *dir; /* the grain directory, whole sectors */
	size_t dir_entries, dir_bytes;
	struct deflater *deflater; /* streams; borrowed */
	uint64_t sector; /* where the next grain goes */
	uint64_t table_no; /* which table is in table; UINT64_MAX: none */
	uint8_t table[TABLE_BYTES];
	/* sparse: first sector of the tables, of the redundant ones */
	uint64_t tables, tables2;
};

static void descriptor(const struct disk_write_args *args, uint64_t sectors,
	bool stream, struct buf *b)
{
	const char *name = args->name ? args->name : "disk.vmdk";
	uint8_t id[16];
	uint32_t cid;

	derive_uuid(args->id, "vmdk cid", id);
	cid = get_le32(id);
	if (cid >= 0xfffffffe) /* none, and the one of a new disk */
		cid = 1;
	buf_printf(b,
		"# Disk DescriptorFile\nversion=1\nCID=%08x\n"
		"parentCID=ffffffff\ncreateType=\"%s\"\n\n"
		"# Extent description\nRW %" PRIu64 " SPARSE \"",
		cid, stream ? "streamOptimized" : "monolithicSparse", sectors);
	/* The reader of an embedded descriptor knows the file already. */
	for (size_t i = 0; name[i] && i < 255; i++) {
		char c = name[i];

		buf_addch(b, c == '"' || (uint8_t)c < ' ' ? '_' : c);
	}
	buf_printf(b,
		"\"\n\n# The Disk Data Base\n#DDB\n\n"
		"ddb.virtualHWVersion = \"4\"\n"
		"ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
		"ddb.geometry.heads = \"255\"\n"
		"ddb.geometry.sectors = \"63\"\n"
		"ddb.adapterType = \"lsilogic\"\n",
		u64_min(div_ceil(sectors, 255 * 63), 65535));
}

/* The header and the descriptor behind it. */
static int put_head(struct vmdk_out *o, const struct disk_write_args *args,
	const struct vmdk_header *h, bool stream, struct error *e)
{
	AUTO_BUF b = BUF_INIT;

	buf_add(&b, h, sizeof(*h));
	descriptor(args, get_le64(h->capacity), stream, &b);
	if (!b.oom && b.len < (DESC_SECTOR + DESC_SECTORS) * VMDK_SECTOR)
		buf_zero(&b, (DESC_SECTOR + DESC_SECTORS) * VMDK_SECTOR -
			b.len);
	if (b.oom)
		return error_nomem(e);
	return sink_pwrite(o->out, b.data, b.len, 0, e);
}

static void make_header(struct vmdk_header *h, uint64_t sectors,
	uint32_t version, uint32_t flags)
{
	*h = (struct vmdk_header){
		.magic = le32_make(VMDK_MAGIC),
		.version = le32_make(version),
		.flags = le32_make(VMDK_FLAG_NEWLINES | flags),
		.newlines = { '\n', ' ', '\r', '\n' },
	};
	put_le64(h->capacity, sectors);
	put_le64(h->grain_size, GRAIN_SECTORS);
	put_le64(h->desc_offset, DESC_SECTOR);
	put_le64(h->desc_size, DESC_SECTORS);
	put_le32(h->gtes_per_gt, GTES);
}

static int init(struct vmdk_out *o, const struct disk_write_args *args,
	struct error *e)
{
	uint64_t n = div_ceil(args->disk->size, SPAN);

	*o = (struct vmdk_out){ .out = args->out, .table_no = UINT64_MAX };
	/* 256 TiB: a directory of 32 MiB. */
	if (n > 8 * MIB)
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: a disk of %" PRIu64 " bytes is over 256 TiB",
			args->disk->size);
	o->dir_entries = (size_t)n;
	o->dir_bytes = (size_t)round_up(n * 4, VMDK_SECTOR);
	o->dir = calloc(1, o->dir_bytes ? o->dir_bytes : 1);
	return o->dir ? 0 : error_nomem(e);
}

/* The entry for a grain that goes to o->sector; flushes the table before. */
static int enter(struct vmdk_out *o, const struct grain *g,
	int (*flush)(struct vmdk_out *, struct error *), struct error *e)
{
	int r = 0;

	if (g->index / GTES != o->table_no) {
		r = flush(o, e);
		o->table_no = g->index / GTES;
		memset(o->table, 0, sizeof(o->table));
	}
	if (o->sector > UINT32_MAX - 2 * GRAIN_SECTORS)
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: the data need more than the 2 TiB that one file "
			"can hold");
	put_le32(o->table + g->index % GTES * 4, (uint32_t)o->sector);
	return r;
}

/* --- monolithicSparse --- */

static int sparse_flush(struct vmdk_out *o, struct error *e)
{
	uint64_t at = o->table_no * TABLE_SECTORS;
	int r;

	if (o->table_no == UINT64_MAX)
		return 0;
	r = sink_pwrite(o->out, o->table, TABLE_BYTES,
		(o->tables2 + at) * VMDK_SECTOR, e);
	return r ? r
		 : sink_pwrite(o->out, o->table, TABLE_BYTES,
			   (o->tables + at) * VMDK_SECTOR, e);
}

static int sparse_put(void *ctx, const struct grain *g, struct error *e)
{
	struct vmdk_out *o = ctx;
	int r = enter(o, g, sparse_flush, e);

	if (!r)
		r = grain_put_sparse(o->out, g->data, GRAIN,
			o->sector * VMDK_SECTOR, e);
	o->sector += GRAIN_SECTORS;
	return r;
}

static int put_dir(struct vmdk_out *o, uint64_t dir, uint64_t tables,
	struct error *e)
{
	for (size_t i = 0; i < o->dir_entries; i++)
		put_le32(o->dir + i * 4,
			(uint32_t)(tables + i * TABLE_SECTORS));
	return sink_pwrite(o->out, o->dir, o->dir_bytes, dir * VMDK_SECTOR, e);
}

static int sparse_run(struct vmdk_out *o, const struct disk_write_args *args,
	struct error *e)
{
	uint64_t sectors = div_ceil(args->disk->size, VMDK_SECTOR);
	uint64_t dir_sectors = o->dir_bytes / VMDK_SECTOR, dir, dir2;
	struct grain_writer w = { .args = args,
		.block_size = GRAIN,
		.put = sparse_put,
		.ctx = o };
	struct vmdk_header h;
	int r;

	dir2 = DESC_SECTOR + DESC_SECTORS;
	o->tables2 = dir2 + dir_sectors;
	dir = o->tables2 + o->dir_entries * TABLE_SECTORS;
	o->tables = dir + dir_sectors;
	o->sector = round_up(o->tables + o->dir_entries * TABLE_SECTORS,
		GRAIN_SECTORS);
	make_header(&h, sectors, 1, VMDK_FLAG_REDUNDANT);
	put_le64(h.rgd_offset, dir2);
	put_le64(h.gd_offset, dir);
	put_le64(h.overhead, o->sector);
	r = put_head(o, args, &h, false, e);
	if (!r)
		r = put_dir(o, dir2, o->tables2, e);
	if (!r)
		r = put_dir(o, dir, o->tables, e);
	if (!r)
		r = grain_run(&w, e);
	if (!r)
		r = sparse_flush(o, e);
	return r ? r : sink_truncate(o->out, o->sector * VMDK_SECTOR, e);
}

/* --- streamOptimized --- */

static int append(struct vmdk_out *o, const void *p, size_t len,
	struct error *e)
{
	int r = sink_pwrite(o->out, p, len, o->sector * VMDK_SECTOR, e);

	o->sector += len / VMDK_SECTOR;
	return r;
}

static int put_marker(struct vmdk_out *o, uint64_t sectors, uint32_t type,
	struct error *e)
{
	uint8_t b[VMDK_SECTOR] = { 0 };

	put_le64(b, sectors);
	put_le32(b + 12, type);
	return append(o, b, sizeof(b), e);
}

static int stream_flush(struct vmdk_out *o, struct error *e)
{
	int r;

	if (o->table_no == UINT64_MAX)
		return 0;
	r = put_marker(o, TABLE_SECTORS, VMDK_MARKER_TABLE, e);
	put_le32(o->dir + o->table_no * 4, (uint32_t)o->sector);
	return r ? r : append(o, o->table, TABLE_BYTES, e);
}

static int stream_pack(void *ctx, struct grain *g, struct error *e)
{
	struct vmdk_out *o = ctx;
	size_t n, len;
	int r = deflate_block(o->deflater, g->data, GRAIN, g->packed + 12,
		deflate_bound(GRAIN), &n, e);

	if (r)
		return r;
	put_le64(g->packed, g->index * GRAIN_SECTORS);
	put_le32(g->packed + 8, (uint32_t)n);
	len = n + 12;
	g->len = (size_t)round_up(len, VMDK_SECTOR);
	memset(g->packed + len, 0, g->len - len);
	return 0;
}

static int stream_put(void *ctx, const struct grain *g, struct error *e)
{
	struct vmdk_out *o = ctx;
	int r = enter(o, g, stream_flush, e);

	if (r)
		return r;
	/* A table was written in between: the grain is behind it. */
	put_le32(o->table + g->index % GTES * 4, (uint32_t)o->sector);
	return append(o, g->packed, g->len, e);
}

static int stream_run(struct vmdk_out *o, const struct disk_write_args *args,
	struct error *e)
{
	uint64_t sectors = div_ceil(args->disk->size, VMDK_SECTOR);
	struct grain_writer w = { .args = args,
		.block_size = GRAIN,
		.pack = stream_pack,
		.pack_room = 12 + deflate_bound(GRAIN) + VMDK_SECTOR,
		.put = stream_put,
		.ctx = o };
	struct vmdk_header h;
	int r;

	make_header(&h, sectors, 3, VMDK_FLAG_COMPRESSED | VMDK_FLAG_MARKERS);
	put_le16(h.compression, VMDK_DEFLATE);
	put_le64(h.gd_offset, VMDK_GD_AT_END);
	put_le64(h.overhead, GRAIN_SECTORS);
	o->sector = GRAIN_SECTORS;
	r = put_head(o, args, &h, true, e);
	if (!r)
		r = grain_run(&w, e);
	if (!r)
		r = stream_flush(o, e);
	if (!r)
		r = put_marker(o, o->dir_bytes / VMDK_SECTOR,
			VMDK_MARKER_DIRECTORY, e);
	put_le64(h.gd_offset, o->sector);
	if (!r)
		r = append(o, o->dir, o->dir_bytes, e);
	if (!r)
		r = put_marker(o, 1, VMDK_MARKER_FOOTER, e);
	if (!r)
		r = append(o, &h, sizeof(h), e);
	if (!r)
		r = put_marker(o, 0, VMDK_MARKER_END, e);
	return r ? r : sink_truncate(o->out, o->sector * VMDK_SECTOR, e);
}

/* --- the rows --- */

static int stream_write(const struct disk_write_args *args, struct error *e)
{
	struct vmdk_out o;
	AUTO_DEFLATER d = NULL;
	int r = init(&o, args, e);

	if (!r)
		r = deflater_new(&d, e);
	o.deflater = d;
	if (!r)
		r = stream_run(&o, args, e);
	free(o.dir);
	return r;
}

/* Only the stream can be compressed. */
static int vmdk_write(const struct disk_write_args *args, struct error *e)
{
	struct vmdk_out o;
	int r;

	if (args->compress)
		return stream_write(args, e);
	/* Tables of empty stretches are left as holes. */
	if (args->out->keeps_old)
		return error_set(e, ERR_UNSUPPORTED, "vmdk: not onto a device");
	r = init(&o, args, e);
	if (!r)
		r = sparse_run(&o, args, e);
	free(o.dir);
	return r;
}

const struct disk_writer vmdk_writer = {
	.name = "vmdk",
	.write = vmdk_write,
};

const struct disk_writer vmdk_stream_writer = {
	.name = "vmdk-stream",
	.streams = true,
	.write = stream_write,
};
