/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse extents of VMDK disks: hosted (also stream-optimized), COWD,
 * seSparse. All are a directory of tables of grains. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"
#include "codec/inflate.h"
#include "disk/blockmap.h"
#include "disk/vmdk.h"
#include "disk/vmdk_format.h"

enum sparse_kind { HOSTED, COWD, SESPARSE };

struct sparse {
	struct blockmap m;
	enum sparse_kind kind;
	uint64_t grain;      /* bytes */
	uint64_t table_span; /* bytes of disk that one table maps */
	uint64_t dir;        /* byte offset of the directory */
	uint64_t dir_entries;
	uint32_t table_entries;
	bool zero_grains, packed, markers, delta;
	uint64_t tables, grains; /* seSparse: byte offsets of the areas */
};

/* --- lookup --- */

/* Empty tables, and bytes of empty entries, that one look-up passes over. */
#define TABLES_AT_ONCE 4096
#define ENTRIES_AT_ONCE 512

/* What a directory entry says: 0 with *out_table = 0 where there is none. */
static int dir_entry(struct sparse *v, const uint8_t *b, uint64_t *out_table,
	struct error *e)
{
	uint64_t n;

	if (v->kind != SESPARSE) {
		*out_table = (uint64_t)get_le32(b) * VMDK_SECTOR;
		return 0;
	}
	n = get_le64(b);
	*out_table = 0;
	if (!n)
		return 0;
	if (n >> 32 != 0x10000000)
		return error_set(e, ERR_CORRUPT,
			"vmdk: seSparse directory entry %" PRIx64, n);
	/* Below 2^32 * 2^22: cannot overflow with an area checked to be in
	 * the file. */
	*out_table = v->tables + (n & UINT32_MAX) * v->table_entries * 8;
	return 0;
}

static int grain_entry(struct sparse *v, const uint8_t *b, struct piece *p,
	struct error *e)
{
	uint64_t n;

	p->kind = v->delta ? PIECE_PARENT : PIECE_ZERO;
	p->src = v->m.file;
	if (v->kind != SESPARSE) {
		n = get_le32(b);
		if (!n)
			return 0;
		if (n == 1 && v->zero_grains) {
			p->kind = PIECE_ZERO;
			return 0;
		}
		p->kind = v->packed ? PIECE_PACKED : PIECE_DATA;
		p->src_off = n * VMDK_SECTOR;
		return 0;
	}
	n = get_le64(b);
	switch (n >> 60) {
	case 0: /* never written */
		if (!n)
			return 0;
		break;
	case 1: /* unmapped by the guest */
	case 2: /* zeroed */
		p->kind = PIECE_ZERO;
		return 0;
	case 3:
		/* The number's low 12 bits stand above its high 48. */
		n = (n >> 48 & 0xfff) | (n & UINT64_C(0xffffffffffff)) << 12;
		if (!u64_mul(n, v->grain, &n) || !u64_add(n, v->grains, &n))
			break;
		p->kind = PIECE_DATA;
		p->src_off = n;
		return 0;
	}
	return error_set(e, ERR_CORRUPT,
		"vmdk: seSparse table entry %" PRIx64 " at disk offset %" PRIu64,
		get_le64(b), p->off);
}

/* How many tables from entry i of the directory on nobody wrote to: qemu lays
 * out those of the whole disk, one behind the other, in a hole of the file. */
static uint64_t empty_tables(struct sparse *v, uint64_t i, uint64_t table)
{
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint64_t len = (uint64_t)v->table_entries * width, next, n;
	uint64_t hole = blockmap_hole(&v->m, table) / len;

	hole = u64_min(u64_min(hole, v->dir_entries - i), TABLES_AT_ONCE);
	for (n = 0; n < hole; n++) {
		uint8_t b[8] = { 0 };

		if (source_pread(v->m.meta, b, width, v->dir + (i + n) * width,
			    NULL) ||
			dir_entry(v, b, &next, NULL) ||
			next != table + n * len)
			break;
	}
	return n;
}

/* How many entries of the table i behind that of the grain at off are empty. */
static uint64_t empty_entries(struct sparse *v, uint64_t i, uint64_t table,
	uint64_t off)
{
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint64_t k = (off - i * v->table_span) / v->grain + 1;
	uint8_t b[ENTRIES_AT_ONCE];
	size_t n = (size_t)u64_min(sizeof(b), (v->table_entries - k) * width);
	size_t empty = 0;

	if (read_padded(v->m.meta, b, n, table + k * width, NULL))
		return 0;
	while (empty < n && !b[empty])
		empty++;
	return empty / width;
}

static int sparse_lookup(struct blockmap *m, uint64_t off, struct piece *out,
	struct error *e)
{
	struct sparse *v = (struct sparse *)m;
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint64_t i = off / v->table_span, table, k;
	uint8_t b[8] = { 0 };
	int r = source_pread(m->meta, b, width, v->dir + i * width, e);

	if (!r)
		r = dir_entry(v, b, &table, e);
	if (r)
		return r;
	if (!table) {
		/* All entries in the same hole of the file at once. */
		k = blockmap_hole(m, v->dir + i * width) / width;
		k = u64_min(u64_max(k, 1), v->dir_entries - i);
		*out = (struct piece){ .off = i * v->table_span,
			.len = k * v->table_span,
			.kind = v->delta ? PIECE_PARENT : PIECE_ZERO };
		return 0;
	}
	k = off % v->table_span / v->grain;
	*out = (struct piece){ .off = i * v->table_span + k * v->grain,
		.len = v->grain };
	r = read_padded(m->meta, b, width, table + k * width, e);
	if (!r)
		r = grain_entry(v, b, out, e);
	if (r || !is_zero(b, width))
		return r;
	k = k ? 0 : empty_tables(v, i, table);
	if (k)
		out->len = k * v->table_span;
	else
		out->len += empty_entries(v, i, table, out->off) * v->grain;
	return r;
}

/* --- compressed grains --- */

static int inflate_grain(const uint8_t *in, size_t in_len, uint8_t *out,
	size_t want, const struct piece *p, struct error *e)
{
	AUTO_INFLATER x = NULL;
	size_t got;
	int r = inflater_new(&x, e);

	if (r)
		return r;
	switch (inflate_block(x, INFLATE_ZLIB, in, in_len, out, want, &got,
		NULL)) {
	case INFLATE_END:
		/* The last grain of a disk may be cut at its end. */
		memset(out + got, 0, want - got);
		return 0;
	case INFLATE_FULL:
		return error_at(e, ERR_LIMIT, p->src_off,
			"vmdk: the grain at disk offset %" PRIu64
			" unpacks to more than its %zu bytes", p->off, want);
	case INFLATE_BAD:
		break;
	}
	return error_at(e, ERR_CORRUPT, p->src_off,
		"vmdk: the compressed grain at disk offset %" PRIu64
		" is damaged", p->off);
}

static int sparse_unpack(struct blockmap *m, const struct piece *p,
	uint8_t *buf, struct error *e)
{
	struct sparse *v = (struct sparse *)m;
	uint64_t at = p->src_off;
	size_t size = (size_t)v->grain + 4096;
	uint8_t *in, mark[12];
	int r;

	if (v->markers) {
		r = read_padded(m->file, mark, sizeof(mark), at, e);
		if (r)
			return r;
		size = get_le32(mark + 8);
		if (get_le64(mark) != p->off / VMDK_SECTOR)
			return error_at(e, ERR_CORRUPT, at,
				"vmdk: the grain of sector %" PRIu64
				" has a marker that says %" PRIu64,
				p->off / VMDK_SECTOR, get_le64(mark));
		at += sizeof(mark);
		/* What deflate makes of noise, and a margin. */
		if (!size || size > v->grain + v->grain / 8 + 4096)
			return error_at(e, ERR_CORRUPT, at,
				"vmdk: a compressed grain of %zu bytes", size);
	}
	if (at >= m->file->size) { /* cut off: zeros, as everywhere */
		memset(buf, 0, (size_t)p->len);
		return 0;
	}
	size = (size_t)u64_min(size, m->file->size - at);
	in = malloc(size);
	if (!in)
		return error_nomem(e);
	r = source_pread(m->file, in, size, at, e);
	/* p->len is cut where the disk ends, the data need not be. */
	if (!r && p->len == v->grain) {
		r = inflate_grain(in, size, buf, (size_t)v->grain, p, e);
	} else if (!r) {
		uint8_t *whole = malloc((size_t)v->grain);

		r = whole ? inflate_grain(in, size, whole, (size_t)v->grain, p,
				    e)
			  : error_nomem(e);
		if (!r)
			memcpy(buf, whole, (size_t)p->len);
		free(whole);
	}
	free(in);
	return r;
}

static const struct blockmap_ops sparse_map = {
	.name = "vmdk",
	.lookup = sparse_lookup,
	.unpack = sparse_unpack,
};

/* --- the opening scan --- */

static int scan_table(struct sparse *v, uint64_t table, uint64_t disk_off,
	struct tally *t, struct error *e)
{
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint8_t buf[4096];

	if (blockmap_hole(&v->m, table) >= (uint64_t)v->table_entries * width)
		return 0;
	for (uint32_t k = 0; k < v->table_entries;) {
		uint32_t n = (uint32_t)u64_min(sizeof(buf) / width,
			v->table_entries - k);
		int r = read_padded(v->m.meta, buf, n * width,
			table + (uint64_t)k * width, e);

		for (uint32_t j = 0; j < n && !r; j++) {
			struct piece p = { .off = disk_off + (k + j) * v->grain };

			if (p.off >= v->m.s.size)
				return 0;
			r = grain_entry(v, buf + j * width, &p, e);
			if (p.kind == PIECE_DATA)
				tally_add(t, p.src_off,
					u64_min(v->grain,
						v->m.s.size - p.off));
			else if (p.kind == PIECE_PACKED)
				tally_add(t, p.src_off, VMDK_SECTOR);
		}
		if (r)
			return r;
		k += n;
	}
	return 0;
}

/* The work shrinks what is left of the file: tables outside are not read, and
 * each that is takes its bytes from the sum that tally_end checks. Holes are
 * passed over, so that a sparse file costs no more than what it holds. */
static int scan(struct sparse *v, const struct finding_sink *findings,
	struct error *e)
{
	struct tally t = { .file_size = v->m.file->size };
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint64_t table_bytes = (uint64_t)v->table_entries * width;
	uint8_t b[8];

	for (uint64_t i = 0; i < v->dir_entries; i++) {
		uint64_t table = 0, hole;
		int r;

		if (i * width % 65536 == 0) {
			hole = blockmap_hole(&v->m, v->dir + i * width) / width;
			if (hole) {
				i += hole - 1;
				continue;
			}
		}
		r = source_pread(v->m.meta, b, width, v->dir + i * width, e);
		if (!r)
			r = dir_entry(v, b, &table, e);
		if (!r && table) {
			tally_add(&t, table, table_bytes);
			if (table < t.file_size)
				r = scan_table(v, table, i * v->table_span, &t,
					e);
		}
		if (r)
			return r;
		if (t.inside > t.file_size)
			break;
	}
	return tally_end(&t, "vmdk", findings, e);
}

/* --- headers --- */

/* Fills in what follows from the capacity and checks the directory. */
static int set_shape(struct sparse *v, uint64_t capacity, uint64_t grain,
	uint64_t table_entries, uint64_t dir_sector, uint64_t file_size,
	uint64_t *out_size, struct error *e)
{
	uint32_t width = v->kind == SESPARSE ? 8 : 4;
	uint64_t bytes;

	if (capacity > LIMIT_DISK_SIZE / VMDK_SECTOR)
		return error_set(e, ERR_LIMIT,
			"vmdk: a disk of %" PRIu64 " sectors", capacity);
	if (!is_pow2(grain))
		return error_set(e, ERR_CORRUPT,
			"vmdk: grain size %" PRIu64 " is not a power of two",
			grain);
	if (grain > (v->packed ? LIMIT_PACKED_BLOCK : LIMIT_CONTAINER_BLOCK) /
			    VMDK_SECTOR)
		return error_set(e, ERR_LIMIT,
			"vmdk: grains of %" PRIu64 " sectors", grain);
	/* Always 512, in COWD and seSparse 4096. */
	if (table_entries < 512 || table_entries > 4096)
		return error_set(e, ERR_UNSUPPORTED,
			"vmdk: grain tables of %" PRIu64 " entries",
			table_entries);
	v->grain = grain * VMDK_SECTOR;
	v->table_entries = (uint32_t)table_entries;
	v->table_span = v->grain * table_entries;
	*out_size = capacity * VMDK_SECTOR;
	v->dir_entries = div_ceil(*out_size, v->table_span);
	if (!u64_mul(dir_sector, VMDK_SECTOR, &v->dir) ||
		!u64_mul(v->dir_entries, width, &bytes) ||
		!range_inside(v->dir, bytes, file_size))
		return error_at(e, ERR_CORRUPT, v->dir,
			"vmdk: the grain directory at sector %" PRIu64
			" with %" PRIu64 " entries is outside the file of %"
			PRIu64 " bytes", dir_sector, v->dir_entries, file_size);
	return 0;
}

static int check_hosted(const struct vmdk_header *h, struct error *e)
{
	uint32_t version = le32_get(h->version), flags = le32_get(h->flags);

	if (le32_get(h->magic) != VMDK_MAGIC)
		return error_set(e, ERR_CORRUPT, "vmdk: no magic");
	if (version < 1 || version > 3)
		return error_at(e, ERR_UNSUPPORTED, 4,
			"vmdk: sparse extent of version %u", version);
	if (flags & VMDK_FLAG_NEWLINES && memcmp(h->newlines, "\n \r\n", 4))
		return error_at(e, ERR_CORRUPT, 73,
			"vmdk: the file went through a text-mode transfer");
	/* Bits 3 to 15 change what is optional. */
	if (flags >> 18)
		return error_at(e, ERR_UNSUPPORTED, 8,
			"vmdk: unknown features (flags %#x)", flags);
	if (flags & VMDK_FLAG_COMPRESSED &&
		get_le16(h->compression) != VMDK_DEFLATE)
		return error_at(e, ERR_UNSUPPORTED, 77,
			"vmdk: compression algorithm %u",
			get_le16(h->compression));
	return 0;
}

/* In a stream the header at the end counts: it stands before the last sector,
 * behind a marker. */
static int read_footer(struct source *file, struct vmdk_header *h,
	struct error *e)
{
	struct vmdk_header f;
	uint8_t b[3 * VMDK_SECTOR];
	uint64_t at;
	int r;

	if (file->size < 4 * VMDK_SECTOR || file->size % VMDK_SECTOR)
		return error_set(e, ERR_CORRUPT,
			"vmdk: a stream of %" PRIu64
			" bytes, which is cut off (no footer)", file->size);
	at = file->size - sizeof(b);
	r = source_pread(file, b, sizeof(b), at, e);
	if (r)
		return r;
	memcpy(&f, b + VMDK_SECTOR, sizeof(f));
	if (get_le32(b + 8) || get_le32(b + 12) != VMDK_MARKER_FOOTER ||
		le32_get(f.magic) != VMDK_MAGIC)
		return error_at(e, ERR_CORRUPT, at,
			"vmdk: no footer at the end of the stream; it is cut "
			"off or damaged");
	if (get_le32(b + 2 * VMDK_SECTOR + 8) ||
		get_le32(b + 2 * VMDK_SECTOR + 12) != VMDK_MARKER_END)
		return error_at(e, ERR_CORRUPT, at + 2 * VMDK_SECTOR,
			"vmdk: no end-of-stream marker");
	if (memcmp(f.capacity, h->capacity, 8) != 0 ||
		memcmp(f.grain_size, h->grain_size, 8) != 0)
		return error_at(e, ERR_CORRUPT, at + VMDK_SECTOR,
			"vmdk: header and footer disagree on the disk's size");
	r = check_hosted(&f, e);
	if (r)
		return r;
	if (get_le64(f.gd_offset) == VMDK_GD_AT_END)
		return error_at(e, ERR_CORRUPT, at + VMDK_SECTOR + 56,
			"vmdk: the footer does not say where the grain "
			"directory is");
	*h = f;
	return 0;
}

static int open_hosted(struct source *file, const struct vmdk_header *h,
	struct sparse *v, const struct finding_sink *findings,
	uint64_t *out_size, struct error *e)
{
	uint32_t flags = le32_get(h->flags);
	uint64_t gd = get_le64(h->gd_offset);
	int r;

	v->zero_grains = flags & VMDK_FLAG_ZERO_GRAINS;
	v->packed = flags & VMDK_FLAG_COMPRESSED;
	v->markers = flags & VMDK_FLAG_MARKERS;
	r = set_shape(v, get_le64(h->capacity), get_le64(h->grain_size),
		get_le32(h->gtes_per_gt), gd, file->size, out_size, e);
	if (r == ERR_CORRUPT && flags & VMDK_FLAG_REDUNDANT &&
		!set_shape(v, get_le64(h->capacity), get_le64(h->grain_size),
			get_le32(h->gtes_per_gt), get_le64(h->rgd_offset),
			file->size, out_size, NULL)) {
		finding_report(findings, FINDING_DISK_DAMAGED, 56, "vmdk",
			"the grain directory is outside the file; the second "
			"one is used");
		r = 0;
	}
	if (!r && h->unclean)
		finding_report(findings, FINDING_DISK_DIRTY, 72, "vmdk",
			"the header says that it is in use");
	return r;
}

static int open_cowd(struct source *file, struct sparse *v, uint64_t *out_size,
	struct error *e)
{
	struct cowd_header h;
	int r = read_padded(file, &h, sizeof(h), 0, e);

	if (r)
		return r;
	if (le32_get(h.version) != 1)
		return error_at(e, ERR_UNSUPPORTED, 4,
			"vmdk: COWD extent of version %u", le32_get(h.version));
	v->kind = COWD;
	r = set_shape(v, le32_get(h.sectors), le32_get(h.grain_size), COWD_GTES,
		le32_get(h.gd_offset), file->size, out_size, e);
	if (!r && v->dir_entries > le32_get(h.gd_entries))
		return error_at(e, ERR_CORRUPT, 24,
			"vmdk: a directory of %u entries for a disk that needs "
			"%" PRIu64, le32_get(h.gd_entries), v->dir_entries);
	return r;
}

static int open_sesparse(struct source *file, struct sparse *v,
	const struct finding_sink *findings, uint64_t *out_size,
	struct error *e)
{
	struct sesparse_header h;
	struct sesparse_volatile vol;
	uint64_t at;
	int r = read_padded(file, &h, sizeof(h), 0, e);

	if (r)
		return r;
	if (le64_get(h.version) != SESPARSE_VERSION)
		return error_at(e, ERR_UNSUPPORTED, 8,
			"vmdk: seSparse extent of version %" PRIx64,
			le64_get(h.version));
	if (le64_get(h.flags))
		return error_at(e, ERR_UNSUPPORTED, 40,
			"vmdk: unknown seSparse features (flags %" PRIx64 ")",
			le64_get(h.flags));
	if (le64_get(h.grain_size) != 8 || le64_get(h.table_size) != 64)
		return error_at(e, ERR_UNSUPPORTED, 24,
			"vmdk: seSparse grains of %" PRIu64 " sectors",
			le64_get(h.grain_size));
	if (!u64_mul(le64_get(h.volatile_offset), VMDK_SECTOR, &at) ||
		!range_inside(at, sizeof(vol), file->size))
		return error_at(e, ERR_CORRUPT, 80,
			"vmdk: the seSparse volatile header is outside the "
			"file");
	r = source_pread(file, &vol, sizeof(vol), at, e);
	if (r)
		return r;
	if (le64_get(vol.magic) != SESPARSE_VOLATILE_MAGIC)
		return error_at(e, ERR_CORRUPT, at,
			"vmdk: no seSparse volatile header");
	if (le64_get(vol.replay_journal))
		return error_at(e, ERR_UNSUPPORTED, at + 24,
			"vmdk: the seSparse journal was not replayed; let ESX "
			"close the disk first");
	v->kind = SESPARSE;
	if (!u64_mul(le64_get(h.tables_offset), VMDK_SECTOR, &v->tables) ||
		!u64_mul(le64_get(h.grains_offset), VMDK_SECTOR, &v->grains) ||
		v->tables > LIMIT_DISK_SIZE || v->grains > LIMIT_DISK_SIZE)
		return error_at(e, ERR_CORRUPT, 144,
			"vmdk: seSparse areas outside the file");
	(void)findings;
	return set_shape(v, le64_get(h.capacity), le64_get(h.grain_size),
		64 * VMDK_SECTOR / 8, le64_get(h.dir_offset), file->size,
		out_size, e);
}

/* --- opening --- */

bool vmdk_is_sparse(struct source *file)
{
	uint8_t b[8];

	if (file->size < VMDK_SECTOR || source_pread(file, b, 8, 0, NULL))
		return false;
	return (get_le32(b) == VMDK_MAGIC) ||
	       (get_le32(b) == COWD_MAGIC) || get_le64(b) == SESPARSE_MAGIC;
}

static int read_info(struct source *file, struct vmdk_header *h,
	struct vmdk_sparse_info *info, struct error *e)
{
	int r = read_padded(file, h, sizeof(*h), 0, e);

	*info = (struct vmdk_sparse_info){ 0 };
	if (r || le32_get(h->magic) != VMDK_MAGIC)
		return r;
	r = check_hosted(h, e);
	if (r)
		return r;
	if (get_le64(h->desc_offset) && get_le64(h->desc_size)) {
		if (!u64_mul(get_le64(h->desc_offset), VMDK_SECTOR,
			    &info->desc_offset) ||
			!u64_mul(get_le64(h->desc_size), VMDK_SECTOR,
				&info->desc_size) ||
			info->desc_size > LIMIT_VMDK_DESC)
			return error_at(e, ERR_LIMIT, 28,
				"vmdk: an embedded descriptor of %" PRIu64
				" sectors", get_le64(h->desc_size));
		if (!range_inside(info->desc_offset, info->desc_size,
			    file->size))
			return error_at(e, ERR_CORRUPT, 28,
				"vmdk: the embedded descriptor at sector %"
				PRIu64 " is outside the file",
				get_le64(h->desc_offset));
		info->elsewhere = !get_le64(h->capacity);
	}
	return 0;
}

int vmdk_sparse_info(struct source *file, struct vmdk_sparse_info *info,
	struct error *e)
{
	struct vmdk_header h;

	return read_info(file, &h, info, e);
}

int vmdk_sparse_open(struct source *file, bool delta,
	const struct finding_sink *findings, struct source **out,
	struct vmdk_sparse_info *info, struct error *e)
{
	AUTO_SOURCE owner = NULL;
	struct vmdk_header h;
	struct sparse *v;
	uint64_t size = 0;
	int r = read_info(file, &h, info, e);

	*out = NULL;
	if (r || info->elsewhere)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem(e);
	v->delta = delta;
	if (le32_get(h.magic) == VMDK_MAGIC) {
		if (get_le64(h.gd_offset) == VMDK_GD_AT_END)
			r = read_footer(file, &h, e);
		if (!r)
			r = open_hosted(file, &h, v, findings, &size, e);
		snprintf(info->kind, sizeof(info->kind), "%s",
			v->packed ? "stream-optimized" : "sparse");
	} else if (le32_get(h.magic) == COWD_MAGIC) {
		r = open_cowd(file, v, &size, e);
		snprintf(info->kind, sizeof(info->kind), "COWD");
	} else {
		r = open_sesparse(file, v, findings, &size, e);
		snprintf(info->kind, sizeof(info->kind), "seSparse");
	}
	if (r) {
		free(v);
		return r;
	}
	r = blockmap_init(&v->m, &sparse_map, file, size, e);
	if (r)
		return r;
	owner = &v->m.s;
	r = scan(v, findings, e);
	if (!r)
		*out = steal_ptr(owner);
	return r;
}
