/* SPDX-License-Identifier: Apache-2.0 */
/* Reads Apple disk images: runs that are raw, zeros, or packed with zlib, bzip2
 * or LZMA. ADC and LZFSE are named and refused. */
#include "disk/dmg.h"

#include <bzlib.h>
#include <inttypes.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "base/vec.h"
#include "codec/inflate.h"
#include "disk/blockmap.h"
#include "disk/qemu.h"

#define SECTOR 512u
#define TRAILER 512u
#define TABLE_HEAD 204u
#define ENTRY 40u

enum run_kind {
	RUN_ZERO = 0,
	RUN_RAW = 1,
	RUN_IGNORE = 2, /* free space: reads as zeros */
	RUN_COMMENT = 0x7ffffffe,
	RUN_ADC = 0x80000004,
	RUN_ZLIB = 0x80000005,
	RUN_BZIP2 = 0x80000006,
	RUN_LZFSE = 0x80000007,
	RUN_LZMA = 0x80000008,
	RUN_END = 0xffffffff,
};

struct run {
	uint64_t off, src_off;
	uint32_t len, src_len; /* packed runs are short; others are cut up */
	uint32_t kind;
};

struct dmg {
	struct blockmap m;
	VEC(struct run) runs; /* by off, apart; those of zeros left out */
};

/* What the tables say, while they are read. */
struct tables {
	struct dmg *d;
	uint64_t file_size, data, end; /* of the data fork; of the disk */
	bool zlib, bzip2, lzma;
	uint64_t stored; /* bytes that the runs so far take in the file */
};

static enum disk_verdict dmg_probe(struct source *file)
{
	uint8_t b[12];

	return file->size >= TRAILER &&
			       !source_pread(file, b, sizeof(b),
				       file->size - TRAILER, NULL) &&
			       !memcmp(b, "koly\0\0\0\4\0\0\2\0", 12)
		       ? DISK_YES
		       : DISK_NO;
}

/* --- the tables --- */

static int add_run(struct tables *t, struct run x, uint64_t len,
	uint64_t src_len, struct error *e)
{
	/* Raw runs may be of any length, pieces of them need not be. */
	while (len) {
		x.len = (uint32_t)u64_min(len, GIB);
		x.src_len = (uint32_t)(x.kind == RUN_RAW ? x.len : src_len);
		if (t->d->runs.len >= LIMIT_DMG_RUNS)
			return error_set(e, ERR_LIMIT, "dmg: over %u runs",
				LIMIT_DMG_RUNS);
		if (!vec_push(&t->d->runs, x))
			return error_nomem(e);
		x.off += x.len;
		x.src_off += x.len;
		len -= x.len;
	}
	return 0;
}

static int one_run(struct tables *t, const uint8_t *p, uint64_t first,
	uint64_t data, struct error *e)
{
	struct run x = { .kind = get_be32(p) };
	uint64_t len = get_be64(p + 16), src_len = get_be64(p + 32);

	if (x.kind == RUN_COMMENT || x.kind == RUN_END)
		return 0;
	if (!u64_add(first, get_be64(p + 8), &x.off) ||
		!u64_mul(x.off, SECTOR, &x.off) || !u64_mul(len, SECTOR, &len) ||
		!range_inside(x.off, len, LIMIT_DISK_SIZE))
		return error_set(e, ERR_LIMIT,
			"dmg: a run of %" PRIu64 " sectors at sector %" PRIu64,
			get_be64(p + 16), get_be64(p + 8));
	t->end = u64_max(t->end, x.off + len);
	t->zlib |= x.kind == RUN_ZLIB;
	t->bzip2 |= x.kind == RUN_BZIP2;
	t->lzma |= x.kind == RUN_LZMA;
	switch (x.kind) {
	case RUN_ZERO:
	case RUN_IGNORE: return 0;
	case RUN_RAW:
	case RUN_ZLIB:
	case RUN_BZIP2:
	case RUN_LZMA: break;
	case RUN_ADC:
	case RUN_LZFSE:
		return error_set(e, ERR_UNSUPPORTED,
			"dmg: it is packed with %s, which is not read; convert "
			"it with 'hdiutil convert -format UDZO'",
			x.kind == RUN_ADC ? "ADC" : "LZFSE");
	default:
		return error_set(e, ERR_UNSUPPORTED,
			"dmg: a run of the unknown kind 0x%" PRIx32, x.kind);
	}
	if (!len)
		return 0;
	if (!u64_add(data, get_be64(p + 24), &x.src_off) ||
		!range_inside(x.src_off, src_len, t->file_size))
		return error_set(e, ERR_CORRUPT,
			"dmg: the run of sector %" PRIu64 " has %" PRIu64
			" bytes at %" PRIu64 ", outside the file of %" PRIu64
			" bytes", x.off / SECTOR, src_len, get_be64(p + 24),
			t->file_size);
	if (x.kind == RUN_RAW && src_len < len)
		return error_set(e, ERR_CORRUPT,
			"dmg: the run of sector %" PRIu64 " has %" PRIu64
			" bytes of %" PRIu64, x.off / SECTOR, src_len, len);
	/* No tool lets runs share bytes, and to unpack the same ones over and
	 * over is work without bound. */
	t->stored = u64_add_sat(t->stored, x.kind == RUN_RAW ? len : src_len);
	if (t->stored > t->file_size)
		return error_set(e, ERR_CORRUPT,
			"dmg: runs of more than the %" PRIu64 " bytes that the "
			"file has", t->file_size);
	if (x.kind != RUN_RAW && (len > LIMIT_DMG_RUN || src_len > LIMIT_DMG_RUN))
		return error_set(e, ERR_LIMIT,
			"dmg: the packed run of sector %" PRIu64 " has %" PRIu64
			" bytes, packed %" PRIu64, x.off / SECTOR, len, src_len);
	return add_run(t, x, len, src_len, e);
}

static int one_table(void *ctx, const struct buf *b, struct error *e)
{
	struct tables *t = ctx;
	uint64_t n, data;

	if (b->len < TABLE_HEAD || memcmp(b->data, "mish", 4) != 0)
		return error_set(e, ERR_CORRUPT,
			"dmg: a table of runs without its head");
	n = get_be32(b->data + 200);
	if (n > (b->len - TABLE_HEAD) / ENTRY)
		return error_set(e, ERR_CORRUPT,
			"dmg: %" PRIu64 " runs in a table of %zu bytes", n,
			b->len);
	if (!u64_add(t->data, get_be64(b->data + 24), &data))
		return error_set(e, ERR_CORRUPT,
			"dmg: a table whose data are outside the file");
	for (uint64_t i = 0; i < n; i++) {
		int r = one_run(t, b->data + TABLE_HEAD + i * ENTRY,
			get_be64(b->data + 8), data, e);

		if (r)
			return r;
	}
	return 0;
}

static int by_off(const void *a, const void *b)
{
	uint64_t x = ((const struct run *)a)->off;
	uint64_t y = ((const struct run *)b)->off;

	return (x > y) - (x < y);
}

static int check_runs(struct dmg *d, const struct finding_sink *findings,
	struct error *e)
{
	struct tally sum = { .file_size = d->m.file->size };

	if (d->runs.len)
		qsort(d->runs.items, d->runs.len, sizeof(*d->runs.items),
			by_off);
	for (size_t i = 0; i < d->runs.len; i++) {
		const struct run *x = &d->runs.items[i];

		if (i && x[-1].off + x[-1].len > x->off)
			return error_set(e, ERR_CORRUPT,
				"dmg: two runs for sector %" PRIu64,
				x->off / SECTOR);
		tally_add(&sum, x->src_off, x->src_len);
	}
	return tally_end(&sum, "dmg", findings, e);
}

/* --- reading --- */

/* The first run that ends behind off. */
static size_t find(const struct dmg *d, uint64_t off)
{
	size_t lo = 0, hi = d->runs.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct run *x = &d->runs.items[mid];

		if (x->off + x->len > off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int dmg_lookup(struct blockmap *m, uint64_t off, struct piece *out,
	struct error *e)
{
	struct dmg *d = (struct dmg *)m;
	size_t i = find(d, off);
	const struct run *x = i < d->runs.len ? &d->runs.items[i] : NULL;

	(void)e;
	if (x && x->off <= off) {
		*out = (struct piece){ .off = x->off,
			.len = x->len,
			.kind = x->kind == RUN_RAW ? PIECE_DATA : PIECE_PACKED,
			.src = m->file,
			.src_off = x->src_off };
		return 0;
	}
	*out = (struct piece){ .off = i ? d->runs.items[i - 1].off + d->runs.items[i - 1].len
			  : 0,
		.kind = PIECE_ZERO };
	out->len = (x ? x->off : m->s.size) - out->off;
	return 0;
}

static int bad_run(const struct run *x, int code, const char *why,
	struct error *e)
{
	return error_at(e, code, x->src_off,
		"dmg: the packed run of sector %" PRIu64 " %s", x->off / SECTOR,
		why);
}

static int unpack_run(const struct run *x, uint8_t *in, uint8_t *out,
	size_t *got, struct error *e)
{
	static const char more[] = "unpacks to more than it should";

	*got = 0;
	if (x->kind == RUN_ZLIB) {
		AUTO_INFLATER z = NULL;
		int r = inflater_new(&z, e);

		if (r)
			return r;
		switch (inflate_block(z, INFLATE_ZLIB, in, x->src_len, out,
			x->len, got, NULL)) {
		case INFLATE_END: return 0;
		case INFLATE_FULL: return bad_run(x, ERR_LIMIT, more, e);
		case INFLATE_BAD: break;
		}
	} else if (x->kind == RUN_BZIP2) {
		unsigned n = x->len;
		int r = BZ2_bzBuffToBuffDecompress((char *)out, &n, (char *)in,
			x->src_len, 0, 0);

		*got = n;
		if (r == BZ_OK)
			return 0;
		if (r == BZ_MEM_ERROR)
			return error_nomem(e);
		if (r == BZ_OUTBUFF_FULL)
			return bad_run(x, ERR_LIMIT, more, e);
	} else {
		uint64_t memory = LIMIT_UNWRAP_MEMORY;
		size_t at = 0;
		lzma_ret r = lzma_stream_buffer_decode(&memory, 0, NULL, in, &at,
			x->src_len, out, got, x->len);

		if (r == LZMA_OK)
			return 0;
		if (r == LZMA_MEM_ERROR)
			return error_nomem(e);
		if (r == LZMA_MEMLIMIT_ERROR)
			return bad_run(x, ERR_LIMIT, "wants too much memory", e);
		if (r == LZMA_BUF_ERROR)
			return bad_run(x, ERR_LIMIT, more, e);
	}
	return bad_run(x, ERR_CORRUPT, "is damaged", e);
}

static int dmg_unpack(struct blockmap *m, const struct piece *p, uint8_t *buf,
	struct error *e)
{
	struct dmg *d = (struct dmg *)m;
	const struct run *x = &d->runs.items[find(d, p->off)];
	AUTO_FREE uint8_t *in = malloc((size_t)x->src_len + 1);
	AUTO_FREE uint8_t *whole = NULL;
	uint8_t *out = buf;
	size_t got;
	int r;

	if (!in)
		return error_nomem(e);
	/* p->len is cut where the disk ends. */
	if (p->len < x->len) {
		out = whole = malloc(x->len);
		if (!whole)
			return error_nomem(e);
	}
	r = source_pread(m->file, in, x->src_len, x->src_off, e);
	if (!r)
		r = unpack_run(x, in, out, &got, e);
	if (!r && got != x->len)
		r = bad_run(x, ERR_CORRUPT, "is shorter than it should be", e);
	if (!r && whole)
		memcpy(buf, whole, (size_t)p->len);
	return r;
}

static void dmg_release(struct blockmap *m)
{
	vec_release(&((struct dmg *)m)->runs);
}

static const struct blockmap_ops dmg_map = {
	.name = "dmg",
	.lookup = dmg_lookup,
	.unpack = dmg_unpack,
	.release = dmg_release,
};

/* --- opening --- */

static int read_tables(struct dmg *d, struct source *file, const uint8_t *k,
	struct tables *t, struct error *e)
{
	AUTO_SOURCE xml = NULL;
	uint64_t at = get_be64(k + 0xd8), len = get_be64(k + 0xe0);
	uint64_t sectors = get_be64(k + 0x1ec);
	int r;

	*t = (struct tables){ .d = d,
		.file_size = file->size,
		.data = get_be64(k + 0x18) };
	if (!range_inside(at, len, file->size - TRAILER))
		return error_at(e, ERR_CORRUPT, file->size - TRAILER + 0xd8,
			"dmg: the property list of %" PRIu64 " bytes at %" PRIu64
			" is outside the file", len, at);
	if (len > LIMIT_DMG_LIST)
		return error_at(e, ERR_LIMIT, file->size - TRAILER + 0xe0,
			"dmg: a property list of %" PRIu64 " bytes", len);
	r = source_window(file, at, len, &xml, e);
	if (!r)
		r = dmg_plist(xml, one_table, t, e);
	if (!r && (!u64_mul(sectors, SECTOR, &sectors) ||
			  sectors > LIMIT_DISK_SIZE))
		r = error_at(e, ERR_LIMIT, file->size - TRAILER + 0x1ec,
			"dmg: a disk of %" PRIu64 " sectors",
			get_be64(k + 0x1ec));
	if (!r)
		t->end = u64_max(t->end, sectors);
	return r;
}

static int dmg_open(const struct disk_open_args *a, struct source **out,
	struct disk_info *info, struct error *e)
{
	AUTO_SOURCE owner = NULL;
	struct tables t;
	struct dmg *d;
	uint8_t k[TRAILER];
	int r;

	snprintf(info->format, sizeof(info->format), "dmg");
	if (dmg_probe(a->file) != DISK_YES)
		return error_set(e, ERR_CORRUPT, "dmg: no trailer");
	r = source_pread(a->file, k, sizeof(k), a->file->size - TRAILER, e);
	if (r)
		return r;
	/* Before Mac OS X 10.2 the tables were in a resource fork. */
	if (!get_be64(k + 0xe0) && get_be64(k + 0x30)) {
		snprintf(info->detail, sizeof(info->detail),
			"with a resource fork, through qemu");
		return qemu_open(a->file, "dmg", out, e);
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_nomem(e);
	r = read_tables(d, a->file, k, &t, e);
	if (r) {
		vec_release(&d->runs);
		free(d);
		return r;
	}
	r = blockmap_init(&d->m, &dmg_map, a->file, t.end, e);
	if (r)
		return r;
	owner = &d->m.s;
	r = check_runs(d, a->findings, e);
	if (r)
		return r;
	snprintf(info->detail, sizeof(info->detail), "UDIF%s%s%s, %zu runs",
		t.zlib ? ", zlib" : "", t.bzip2 ? ", bzip2" : "",
		t.lzma ? ", LZMA" : "", d->runs.len);
	*out = steal_ptr(owner);
	return 0;
}

const struct disk_ops disk_dmg = {
	.name = "dmg",
	.probe = dmg_probe,
	.open = dmg_open,
};
