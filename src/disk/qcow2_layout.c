/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2 writer: the layout and the tables. */
#include "disk/qcow2_layout.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"

#define SECTOR 512
/* qemu's default: 8 GiB of disk for 1 MiB of L2 tables. */
#define CLUSTER_BITS 16

unsigned qcow2_test_cluster_bits;

int qcow2_next_data(const struct qcow2_layout *y, uint64_t at, uint64_t max,
	uint64_t *off, uint64_t *len, struct error *e)
{
	struct source *d = y->a->disk;
	uint64_t from, to;
	int r = source_next_data(d, at, d->size, max, &from, &to, e);

	if (r)
		return r;
	*off = *len = 0;
	if (from == to)
		return 0;
	*off = round_down(from, y->cluster);
	*len = u64_min(round_up(to, y->cluster) - *off,
		u64_max(round_down(max, y->cluster), y->cluster));
	return 0;
}

/* Which L1 entries need an L2 table, and how many clusters hold data. */
static int survey(struct qcow2_layout *y, struct error *e)
{
	unsigned l2_shift = y->cluster_bits * 2 - 3;
	uint64_t off, len;

	for (uint64_t at = 0;; at = off + len) {
		int r = qcow2_next_data(y, at, UINT64_C(1) << 40, &off, &len,
			e);

		if (r)
			return r;
		if (!len)
			return 0;
		y->data_clusters += len >> y->cluster_bits;
		for (uint64_t i = off >> l2_shift;
			i <= (off + len - 1) >> l2_shift; i++)
			y->l1[i] = 1;
	}
}

static int place(struct qcow2_layout *y, struct error *e)
{
	uint64_t l2_tables = 0, most, blocks;
	uint64_t l1_clusters = div_ceil(y->l1_entries * 8, y->cluster);

	for (uint64_t i = 0; i < y->l1_entries; i++)
		l2_tables += y->l1[i];
	/* Twice, since compressed clusters may leave gaps behind them. */
	most = 2 * (l1_clusters + l2_tables + y->data_clusters) + 64;
	blocks = most / (y->region - 1) + 2;
	y->table_clusters = div_ceil(blocks * 8, y->cluster);
	y->table_at = 2 * y->cluster;
	y->next = 2 + y->table_clusters;
	y->l1_at = y->next * y->cluster;
	y->next += l1_clusters;
	if (y->next >= y->region)
		return error_set(e, ERR_LIMIT,
			"qcow2: the disk is too large for the format");
	for (uint64_t i = 0; i < y->l1_entries; i++)
		if (y->l1[i])
			y->l1[i] = qcow2_alloc(y, &y->next) * y->cluster;
	y->total = y->next;
	for (uint64_t left = y->data_clusters; left;) {
		uint64_t n = u64_min(left, y->region - y->total % y->region);

		if (y->total % y->region == 0) {
			y->total++;
			continue;
		}
		y->total += n;
		left -= n;
	}
	return 0;
}

int qcow2_layout_init(struct qcow2_layout *y,
	const struct disk_write_args *args, struct sink *out, struct error *e)
{
	int r;

	memset(y, 0, sizeof(*y));
	y->a = args;
	y->out = out;
	y->seekable = out->seekable;
	y->size = round_up(args->disk->size, SECTOR);
	if (y->size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT, "qcow2: the disk is over 2^62");
	/* Larger clusters where the L1 table would be over qemu's limit. */
	y->cluster_bits = qcow2_test_cluster_bits ? qcow2_test_cluster_bits
						  : CLUSTER_BITS;
	for (; y->cluster_bits <= 21; y->cluster_bits++) {
		y->l1_entries = div_ceil(y->size,
			UINT64_C(1) << (2 * y->cluster_bits - 3));
		if (y->l1_entries * 8 <= LIMIT_QCOW2_L1)
			break;
	}
	if (y->cluster_bits > 21)
		return error_set(e, ERR_LIMIT,
			"qcow2: the disk is too large for the format");
	y->l1_entries = u64_max(y->l1_entries, 1);
	y->cluster = UINT64_C(1) << y->cluster_bits;
	y->region = y->cluster / 2;
	y->l2_now = UINT64_MAX;
	y->l1 = calloc(y->l1_entries, sizeof(*y->l1));
	y->counts = calloc(1, y->cluster);
	y->l2 = calloc(1, y->cluster);
	if (!y->l1 || !y->counts || !y->l2)
		return error_nomem(e);
	r = survey(y, e);
	return r ? r : place(y, e);
}

void qcow2_layout_release(struct qcow2_layout *y)
{
	free(y->l1);
	free(y->counts);
	free(y->l2);
}

static int write_counts(struct qcow2_layout *y, struct error *e)
{
	uint64_t k = y->region_now;

	return sink_pwrite(y->out, y->counts, y->cluster,
		(k ? k * y->region : 1) * y->cluster, e);
}

static void add_count(struct qcow2_layout *y, uint64_t in_region)
{
	uint8_t *p = y->counts + in_region * 2;

	put_be16(p, (uint16_t)(get_be16(p) + 1));
}

int qcow2_count(struct qcow2_layout *y, uint64_t cluster, struct error *e)
{
	uint64_t k = cluster / y->region;

	while (k != y->region_now) {
		int r = y->seekable ? write_counts(y, e) : 0;

		if (r)
			return r;
		memset(y->counts, 0, y->cluster);
		y->region_now++;
		if (y->seekable) {
			add_count(y, 0); /* the refcount block itself */
			continue;
		}
		/* A stream holds every cluster that was laid out. */
		for (uint64_t i = 0; i < y->region &&
				     y->region_now * y->region + i < y->total;
			i++)
			put_be16(y->counts + i * 2, 1);
		r = write_counts(y, e);
		if (r)
			return r;
	}
	if (y->seekable)
		add_count(y, cluster % y->region);
	return 0;
}

static int flush_l2(struct qcow2_layout *y, struct error *e)
{
	int r = y->l2_now == UINT64_MAX
			? 0
			: sink_pwrite(y->out, y->l2, y->cluster,
				  y->l1[y->l2_now], e);

	memset(y->l2, 0, y->cluster);
	return r;
}

int qcow2_set_entry(struct qcow2_layout *y, uint64_t disk_cluster,
	uint64_t entry, struct error *e)
{
	unsigned bits = y->cluster_bits - 3;
	uint64_t i = disk_cluster >> bits;

	if (i != y->l2_now) {
		int r = flush_l2(y, e);

		if (r)
			return r;
		y->l2_now = i;
	}
	put_be64(y->l2 + (disk_cluster & ((UINT64_C(1) << bits) - 1)) * 8,
		entry);
	return 0;
}

static int write_header(struct qcow2_layout *y, struct error *e)
{
	AUTO_FREE uint8_t *h = calloc(1, y->cluster);
	uint8_t *ext;

	if (!h)
		return error_nomem(e);
	memcpy(h, QCOW2_MAGIC, 4);
	put_be32(h + 4, 3);
	put_be32(h + 20, y->cluster_bits);
	put_be64(h + 24, y->size);
	put_be32(h + 36, (uint32_t)y->l1_entries);
	put_be64(h + 40, y->l1_at);
	put_be64(h + 48, y->table_at);
	put_be32(h + 56, (uint32_t)y->table_clusters);
	put_be64(h + 72, y->zstd ? QCOW2_INCOMPAT_COMPRESSION : 0);
	put_be32(h + 96, 4); /* refcounts of 2^4 bits */
	put_be32(h + 100, QCOW2_WRITE_HEADER);
	h[104] = y->zstd ? QCOW2_ZSTD : QCOW2_ZLIB;
	ext = h + QCOW2_WRITE_HEADER;
	if (y->zstd) {
		/* For programs that do not know the feature. */
		put_be32(ext, QCOW2_EXT_FEATURES);
		put_be32(ext + 4, 48);
		ext[9] = 3; /* incompatible, bit 3 */
		memcpy(ext + 10, "compression type", 16);
	}
	return sink_pwrite(y->out, h, y->cluster, 0, e);
}

static int write_table(struct qcow2_layout *y, uint64_t regions,
	struct error *e)
{
	AUTO_FREE uint8_t *t = calloc(y->table_clusters, y->cluster);

	if (!t)
		return error_nomem(e);
	if (regions * 8 > y->table_clusters * y->cluster)
		return error_set(e, ERR_LIMIT,
			"qcow2: the refcount table is full");
	for (uint64_t k = 0; k < regions; k++)
		put_be64(t + k * 8, (k ? k * y->region : 1) * y->cluster);
	return sink_pwrite(y->out, t, y->table_clusters * y->cluster,
		y->table_at, e);
}

static int write_l1(struct qcow2_layout *y, struct error *e)
{
	uint64_t len = round_up(y->l1_entries * 8, y->cluster);
	AUTO_FREE uint8_t *t = calloc(1, len);

	if (!t)
		return error_nomem(e);
	for (uint64_t i = 0; i < y->l1_entries; i++)
		if (y->l1[i])
			put_be64(t + i * 8, y->l1[i] | QCOW2_COPIED);
	return sink_pwrite(y->out, t, len, y->l1_at, e);
}

/* On a stream the L2 tables stand before the data: what the data will do is
 * done here with a cursor of its own. */
static int stream_l2(struct qcow2_layout *y, struct error *e)
{
	unsigned bits = y->cluster_bits - 3;
	uint64_t next = y->next, off = 0, len = 0, at = 0;
	int r;

	for (uint64_t i = 0; i < y->l1_entries; i++) {
		uint64_t last = (i + 1) << bits;

		if (!y->l1[i])
			continue;
		r = qcow2_count(y, y->l1[i] / y->cluster, e);
		memset(y->l2, 0, y->cluster);
		for (;;) {
			if (!len && !r)
				r = qcow2_next_data(y, at, UINT64_C(1) << 40,
					&off, &len, e);
			if (r)
				return r;
			if (!len || off >> y->cluster_bits >= last)
				break;
			put_be64(y->l2 + (off >> y->cluster_bits) % (1 << bits)
						 * 8,
				qcow2_alloc(y, &next) * y->cluster |
					QCOW2_COPIED);
			off += y->cluster;
			len -= y->cluster;
			at = off;
		}
		r = sink_pwrite(y->out, y->l2, y->cluster, y->l1[i], e);
		if (r)
			return r;
	}
	return 0;
}

int qcow2_write_front(struct qcow2_layout *y, struct error *e)
{
	uint64_t front = 2 + y->table_clusters +
			 div_ceil(y->l1_entries * 8, y->cluster);
	int r;

	if (y->seekable) {
		/* Counted now, written when all is known. */
		for (uint64_t i = 0; i < front; i++)
			add_count(y, i);
		for (uint64_t i = 0; i < y->l1_entries; i++) {
			if (!y->l1[i])
				continue;
			r = qcow2_count(y, y->l1[i] / y->cluster, e);
			/* One that gets no entry is not written later. */
			if (!r && y->out->keeps_old)
				r = sink_pwrite(y->out, y->l2, y->cluster,
					y->l1[i], e);
			if (r)
				return r;
		}
		return 0;
	}
	for (uint64_t i = 0; i < u64_min(y->region, y->total); i++)
		add_count(y, i);
	r = write_header(y, e);
	if (!r)
		r = write_counts(y, e);
	if (!r)
		r = write_table(y, div_ceil(y->total, y->region), e);
	if (!r)
		r = write_l1(y, e);
	return r ? r : stream_l2(y, e);
}

int qcow2_write_rest(struct qcow2_layout *y, struct error *e)
{
	int r = 0;

	if (y->seekable) {
		r = flush_l2(y, e);
		if (!r)
			r = write_counts(y, e);
		if (!r)
			r = write_table(y, y->region_now + 1, e);
		if (!r)
			r = write_l1(y, e);
		if (!r)
			r = write_header(y, e);
	}
	return r ? r : sink_truncate(y->out, y->next * y->cluster, e);
}
