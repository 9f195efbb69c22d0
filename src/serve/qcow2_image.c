/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets in the file, in this order, each part whole clusters of 64 KiB:
 *
 *	header, refcount table, refcount blocks, L1 table, L2 tables, data
 *
 * Cluster n of the disk is at data + n. All L2 tables are there, so that the
 * L1 table does not depend on what the disk holds; entries of L2 tables and
 * refcounts of data are made from the extents of the disk, when they are
 * read. (QEMU's docs/interop/qcow2.txt.) */
#include "serve/qcow2_image.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "disk/qcow2_int.h"

#define CLUSTER (64 * KIB)
/* Entries of an L2 table, of an L1 or refcount table's cluster; refcounts of
 * 16 bits in a block. */
#define ENTRIES (CLUSTER / 8)
#define COUNTS (CLUSTER / 2)

struct qcow2_source {
	struct source s;
	struct source *disk;
	/* in clusters */
	uint64_t disk_clusters;
	uint64_t blocks_at, nblocks; /* refcount blocks */
	uint64_t l1_at, l2_at, nl2, data_at, total;
};

static void plan(struct qcow2_source *q)
{
	uint64_t n = q->disk_clusters, table = 1, l1;

	q->nl2 = u64_max(1, div_ceil(n, ENTRIES));
	l1 = div_ceil(q->nl2, ENTRIES);
	q->nblocks = 1;
	/* Refcounts count themselves. Each round can only grow, and ends. */
	for (;;) {
		uint64_t total = 1 + table + q->nblocks + l1 + q->nl2 + n;
		uint64_t blocks = div_ceil(total, COUNTS);
		uint64_t tables = div_ceil(blocks, ENTRIES);

		if (blocks <= q->nblocks && tables <= table)
			break;
		q->nblocks = blocks;
		table = tables;
	}
	q->blocks_at = 1 + table;
	q->l1_at = q->blocks_at + q->nblocks;
	q->l2_at = q->l1_at + l1;
	q->data_at = q->l2_at + q->nl2;
	q->total = q->data_at + n;
}

static void header(const struct qcow2_source *q, uint8_t *p)
{
	memcpy(p, QCOW2_MAGIC, 4);
	put_be32(p + 4, 3);
	put_be32(p + 20, 16); /* cluster bits */
	put_be64(p + 24, round_up(q->disk->size, 512));
	put_be32(p + 36, (uint32_t)q->nl2);
	put_be64(p + 40, q->l1_at * CLUSTER);
	put_be64(p + 48, CLUSTER); /* refcount table */
	put_be32(p + 56, (uint32_t)(q->blocks_at - 1));
	put_be32(p + 96, 4); /* refcounts of 16 bits */
	put_be32(p + 100, QCOW2_V3_HEADER);
	/* then the end of header extensions: zeros */
}

/* Calls for each cluster of the disk in [from, to) that has data. */
static int each_data(struct qcow2_source *q, uint64_t from, uint64_t to,
	void (*fn)(void *ctx, uint64_t cluster), void *ctx, struct error *e)
{
	uint64_t at = from * CLUSTER;
	uint64_t end = u64_min(to * CLUSTER, q->disk->size);

	while (at < end) {
		uint64_t off, stop;
		int r = source_next_data(q->disk, at, end, 64 * MIB, &off,
			&stop, e);

		if (r)
			return r;
		for (uint64_t c = off / CLUSTER; c < div_ceil(stop, CLUSTER); c++)
			if (off < stop)
				fn(ctx, c);
		at = off < stop ? round_up(stop, CLUSTER) : end;
	}
	return 0;
}

struct fill {
	uint8_t *p;
	uint64_t first;
	uint64_t data_at;
};

static void put_entry(void *ctx, uint64_t cluster)
{
	struct fill *f = ctx;

	put_be64(f->p + 8 * (cluster - f->first),
		QCOW2_COPIED | (f->data_at + cluster) * CLUSTER);
}

static void put_count(void *ctx, uint64_t cluster)
{
	struct fill *f = ctx;

	put_be16(f->p + 2 * (f->data_at + cluster - f->first), 1);
}

/* Makes a cluster of what comes before the data. */
static int make(struct qcow2_source *q, uint64_t c, uint8_t *p,
	struct error *e)
{
	struct fill f = { .p = p, .data_at = q->data_at };
	uint64_t i, n;

	memset(p, 0, CLUSTER);
	if (c == 0) {
		header(q, p);
		return 0;
	}
	if (c < q->blocks_at) {
		i = (c - 1) * ENTRIES;
		for (n = 0; n < ENTRIES && i + n < q->nblocks; n++)
			put_be64(p + 8 * n, (q->blocks_at + i + n) * CLUSTER);
		return 0;
	}
	if (c < q->l1_at) {
		f.first = (c - q->blocks_at) * COUNTS;
		for (n = f.first; n < f.first + COUNTS && n < q->data_at; n++)
			put_be16(p + 2 * (n - f.first), 1);
		i = u64_max(f.first, q->data_at) - q->data_at;
		n = u64_min(f.first + COUNTS, q->total);
		return n > q->data_at
			       ? each_data(q, i, n - q->data_at, put_count, &f, e)
			       : 0;
	}
	if (c < q->l2_at) {
		i = (c - q->l1_at) * ENTRIES;
		for (n = 0; n < ENTRIES && i + n < q->nl2; n++)
			put_be64(p + 8 * n, QCOW2_COPIED |
						    (q->l2_at + i + n) * CLUSTER);
		return 0;
	}
	f.first = (c - q->l2_at) * ENTRIES;
	return each_data(q, f.first,
		u64_min(f.first + ENTRIES, q->disk_clusters), put_entry, &f, e);
}

static int read_data(struct qcow2_source *q, uint8_t *buf, size_t len,
	uint64_t off, struct error *e)
{
	size_t have = off < q->disk->size
			      ? (size_t)u64_min(len, q->disk->size - off)
			      : 0;

	memset(buf + have, 0, len - have);
	return have ? source_pread(q->disk, buf, have, off, e) : 0;
}

static int qcow2_pread(struct source *s, void *buf_arg, size_t len,
	uint64_t off, struct error *e)
{
	struct qcow2_source *q = (struct qcow2_source *)s;
	uint64_t data = q->data_at * CLUSTER;
	AUTO_FREE uint8_t *p = NULL;
	uint8_t *buf = buf_arg;

	while (len && off < data) {
		uint64_t in = off % CLUSTER;
		size_t n = (size_t)u64_min(CLUSTER - in, len);
		int r;

		if (!p && !(p = malloc(CLUSTER)))
			return error_nomem(e);
		r = make(q, off / CLUSTER, p, e);
		if (r)
			return r;
		memcpy(buf, p + in, n);
		buf += n;
		off += n;
		len -= n;
	}
	return len ? read_data(q, buf, len, off - data, e) : 0;
}

static int qcow2_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct qcow2_source *q = (struct qcow2_source *)s;
	uint64_t data = q->data_at * CLUSTER;
	int r;

	if (off < data) {
		*out = (struct source_extent){ .len = data };
		return 0;
	}
	*out = (struct source_extent){ .off = off,
		.len = s->size - off,
		.kind = SOURCE_ZERO };
	if (off - data >= q->disk->size)
		return 0;
	r = source_extent_at(q->disk, off - data, out, e);
	out->off += data;
	return r;
}

static void qcow2_close(struct source *s)
{
	source_unref(((struct qcow2_source *)s)->disk);
	free(s);
}

static const struct source_ops ops = {
	.name = "qcow2 made on the fly",
	.pread = qcow2_pread,
	.extent = qcow2_extent,
	.close = qcow2_close,
};

int qcow2_image(struct source *disk, struct source **out, struct error *e)
{
	struct qcow2_source *q;

	if (disk->size > LIMIT_QCOW2_L1 / 8 * ENTRIES * CLUSTER)
		return error_set(e, ERR_LIMIT, "the disk is over 2 PiB");
	q = calloc(1, sizeof(*q));
	if (!q)
		return error_nomem(e);
	q->disk = source_ref(disk);
	q->disk_clusters = div_ceil(disk->size, CLUSTER);
	plan(q);
	source_init(&q->s, &ops, q->total * CLUSTER);
	*out = &q->s;
	return 0;
}
