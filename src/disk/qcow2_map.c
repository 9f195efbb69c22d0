/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: from an offset on the virtual disk to where its bytes are ("Cluster
 * mapping"). The L1 table is in memory, slices of L2 tables in a cache with a
 * fixed budget, in shards so that threads seldom meet. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "disk/qcow2_int.h"

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Two L1 entries with one L2 table: the clusters below would stand on the
 * disk twice, which no writer does. */
static int check_shared(const struct qcow2_table *t, uint64_t l1_off,
	struct error *e)
{
	AUTO_FREE uint64_t *sorted = calloc(t->l1_used + 1, sizeof(*sorted));
	uint64_t n = 0;

	if (!sorted)
		return error_nomem(e);
	for (uint64_t i = 0; i < t->l1_used; i++)
		if (t->l1[i])
			sorted[n++] = t->l1[i];
	qsort(sorted, n, sizeof(*sorted), by_value);
	for (uint64_t i = 1; i < n; i++)
		if (sorted[i] == sorted[i - 1])
			return error_at(e, ERR_CORRUPT, l1_off,
				"qcow2: two entries of the L1 table name the "
				"same L2 table at offset %" PRIu64,
				sorted[i]);
	return 0;
}

static int check_l1(struct qcow2_table *t, const struct qcow2_header *h,
	struct error *e)
{
	uint64_t cluster = UINT64_C(1) << t->cluster_bits;
	uint64_t l1_len = t->l1_used * 8;

	for (uint64_t i = 0; i < t->l1_used; i++) {
		uint64_t v = get_be64(&t->l1[i]) & QCOW2_OFFSET_MASK;
		uint64_t at = h->l1_off + i * 8;

		t->l1[i] = v;
		if (!v)
			continue;
		if (v & (cluster - 1))
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: entry %" PRIu64
				" of the L1 table names an L2 table at offset "
				"%" PRIu64 ", which is not on a cluster",
				i, v);
		if (!range_inside(v, cluster, t->file->size))
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: entry %" PRIu64
				" of the L1 table names an L2 table at offset "
				"%" PRIu64 ", outside the file",
				i, v);
		if (v < h->l1_off + l1_len && h->l1_off < v + cluster)
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: the L2 table at offset %" PRIu64
				" overlaps the L1 table",
				v);
	}
	return check_shared(t, h->l1_off, e);
}

int qcow2_table_open(struct qcow2_table *t, struct source *file,
	const struct qcow2_header *h, uint64_t data_size, struct error *e)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	int r;

	memset(t, 0, sizeof(*t));
	t->file = source_ref(file);
	t->size = h->size;
	t->data_size = data_size;
	t->cluster_bits = h->cluster_bits;
	t->version = h->version;
	t->extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	t->data_file = h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
	t->entry_size = t->extended ? 16 : 8;
	t->l2_bits = t->cluster_bits - (t->extended ? 4 : 3);
	t->slice_size = (uint32_t)u64_min(cluster, QCOW2_SLICE);
	t->l1_used = div_ceil(t->size,
		UINT64_C(1) << (t->l2_bits + t->cluster_bits));
	if (t->l1_used * 8 > LIMIT_QCOW2_L1)
		return error_at(e, ERR_LIMIT, 36,
			"qcow2: a disk of %" PRIu64
			" bytes in clusters of %" PRIu64
			" needs an L1 table over 32 MiB",
			t->size, cluster);
	if (t->l1_used > h->l1_size)
		return error_at(e, ERR_CORRUPT, 36,
			"qcow2: the L1 table has %" PRIu32
			" entries, the disk of %" PRIu64
			" bytes needs %" PRIu64,
			h->l1_size, t->size, t->l1_used);
	if (h->l1_off & (cluster - 1) ||
		(t->l1_used && h->l1_off < cluster) ||
		!range_inside(h->l1_off, t->l1_used * 8, file->size))
		return error_at(e, ERR_CORRUPT, 40,
			"qcow2: the L1 table of %" PRIu64
			" bytes at offset %" PRIu64
			" is not on a cluster inside the file",
			t->l1_used * 8, h->l1_off);
	t->l1 = calloc(t->l1_used + 1, sizeof(*t->l1));
	t->shards = calloc(QCOW2_SHARDS, sizeof(*t->shards));
	if (!t->l1 || !t->shards)
		return error_nomem(e);
	for (unsigned i = 0; i < QCOW2_SHARDS; i++)
		pthread_mutex_init(&t->shards[i].lock, NULL);
	r = source_pread(file, t->l1, t->l1_used * 8, h->l1_off, e);
	return r ? r : check_l1(t, h, e);
}

void qcow2_table_release(struct qcow2_table *t)
{
	for (unsigned i = 0; t->shards && i < QCOW2_SHARDS; i++) {
		for (unsigned k = 0; k < QCOW2_SLOTS; k++)
			free(t->shards[i].slots[k].data);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	free(t->shards);
	free(t->l1);
	source_unref(t->file);
}

/* With the shard's lock held: the slice, read if need be. */
static int slice_get(struct qcow2_table *t, struct qcow2_shard *s,
	uint64_t key, const uint8_t **out, struct error *e)
{
	struct qcow2_slot *oldest = &s->slots[0];
	int r;

	for (unsigned i = 0; i < QCOW2_SLOTS; i++) {
		struct qcow2_slot *k = &s->slots[i];

		if (k->key == key) {
			k->used = ++s->tick;
			*out = k->data;
			return 0;
		}
		if (k->used < oldest->used)
			oldest = k;
	}
	if (!oldest->data && !(oldest->data = malloc(t->slice_size)))
		return error_nomem(e);
	oldest->key = 0;
	r = source_pread(t->file, oldest->data, t->slice_size, key, e);
	if (r)
		return r;
	oldest->key = key;
	oldest->used = ++s->tick;
	*out = oldest->data;
	return 0;
}

/* One entry, or one subcluster of it. at: where the entry stands, for
 * messages. */
struct entry {
	enum qcow2_kind kind;
	uint64_t host; /* of the cluster or subcluster */
	uint32_t csize;
};

static int decode_compressed(const struct qcow2_table *t, uint64_t v,
	uint64_t at, struct entry *out, struct error *e)
{
	unsigned x = 62 - (t->cluster_bits - 8);
	uint64_t off = v & ((UINT64_C(1) << x) - 1);
	uint64_t sectors = (v & (QCOW2_COMPRESSED_FLAG - 1)) >> x;

	if (t->data_file)
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: a compressed cluster in an image with an "
			"external data file");
	if (off >= t->data_size)
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: a compressed cluster at offset %" PRIu64
			" is outside the file",
			off);
	out->kind = QCOW2_COMPRESSED;
	out->host = off;
	/* The last sector need not be there in full. */
	out->csize = (uint32_t)u64_min((sectors + 1) * 512 - (off & 511),
		t->data_size - off);
	return 0;
}

static int decode_entry(const struct qcow2_table *t, const uint8_t *p,
	unsigned sub, uint64_t at, struct entry *out, struct error *e)
{
	uint64_t v = get_be64(p), host = v & QCOW2_OFFSET_MASK;
	uint64_t sub_size = (UINT64_C(1) << t->cluster_bits) / 32;
	bool backed = host || (t->data_file && v & QCOW2_COPIED);

	*out = (struct entry){ .kind = QCOW2_UNALLOCATED };
	if (v & QCOW2_COMPRESSED_FLAG)
		return decode_compressed(t, v, at, out, e);
	if (host & ((UINT64_C(1) << t->cluster_bits) - 1))
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: a cluster at offset %" PRIu64
			" is not on a cluster",
			host);
	if (t->extended) {
		uint64_t map = get_be64(p + 8);
		bool has = map >> sub & 1, zero = map >> (32 + sub) & 1;

		if (has && zero)
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: subcluster %u is both allocated and "
				"zero",
				sub);
		if (has && !backed)
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: subcluster %u is allocated in a "
				"cluster that is not",
				sub);
		out->kind = zero  ? QCOW2_ZERO
			    : has ? QCOW2_DATA
				  : QCOW2_UNALLOCATED;
		host += sub * sub_size;
	} else if (v & QCOW2_ZERO_FLAG) {
		if (t->version < 3)
			return error_at(e, ERR_CORRUPT, at,
				"qcow2: a zero cluster in a version 2 image");
		out->kind = QCOW2_ZERO;
	} else if (backed) {
		out->kind = QCOW2_DATA;
	}
	if (out->kind == QCOW2_DATA && host >= t->data_size)
		return error_at(e, ERR_CORRUPT, at,
			"qcow2: a cluster at offset %" PRIu64
			" is outside the file of %" PRIu64 " bytes",
			host, t->data_size);
	out->host = host;
	return 0;
}

/* With the lock held: the run from off, inside the slice. */
static int scan(const struct qcow2_table *t, const uint8_t *slice,
	uint64_t slice_host, uint64_t off, struct qcow2_run *out,
	struct error *e)
{
	unsigned step_bits = t->cluster_bits - (t->extended ? 5 : 0);
	unsigned per = t->extended ? 32 : 1;
	uint64_t step = UINT64_C(1) << step_bits;
	uint64_t entries = t->slice_size / t->entry_size;
	uint64_t first = (off >> t->cluster_bits) & (entries - 1);
	uint64_t sub = t->extended ? (off >> step_bits) & 31 : 0;
	uint64_t n = 0, last = entries * per, i = first * per + sub;
	struct entry x, y;
	int r = decode_entry(t, slice + first * t->entry_size, (unsigned)sub,
		slice_host + first * t->entry_size, &x, e);

	if (r)
		return r;
	out->kind = x.kind;
	out->off = off;
	out->csize = x.csize;
	if (x.kind == QCOW2_COMPRESSED) {
		uint64_t cluster = UINT64_C(1) << t->cluster_bits;

		out->start = round_down(off, cluster);
		out->host = x.host;
		out->len = u64_min(out->start + cluster, t->size) - off;
		return 0;
	}
	out->host = x.host + (off & (step - 1));
	for (n = 1, i++; i < last; n++, i++) {
		uint64_t k = i / per;

		/* What is wrong further on is told when it is asked for. */
		if (decode_entry(t, slice + k * t->entry_size,
			    (unsigned)(i % per), 0, &y, NULL) ||
			y.kind != x.kind ||
			(x.kind == QCOW2_DATA && y.host != x.host + n * step))
			break;
	}
	out->len = u64_min(round_down(off, step) + n * step, t->size) - off;
	return 0;
}

int qcow2_map(struct qcow2_table *t, uint64_t off, struct qcow2_run *out,
	struct error *e)
{
	unsigned l1_shift = t->l2_bits + t->cluster_bits;
	uint64_t i = off >> l1_shift, in_table, key;
	struct qcow2_shard *s;
	const uint8_t *slice = NULL;
	int r;

	if (!t->l1[i]) {
		while (i < t->l1_used && !t->l1[i])
			i++;
		*out = (struct qcow2_run){ .kind = QCOW2_UNALLOCATED,
			.off = off,
			.len = (i < t->l1_used ? i << l1_shift : t->size) -
			       off };
		return 0;
	}
	in_table = ((off >> t->cluster_bits) &
			   ((UINT64_C(1) << t->l2_bits) - 1)) *
		   t->entry_size;
	key = t->l1[i] + round_down(in_table, t->slice_size);
	s = &t->shards[key / t->slice_size * UINT64_C(0x9e3779b97f4a7c15) >>
		       60];
	pthread_mutex_lock(&s->lock);
	r = slice_get(t, s, key, &slice, e);
	if (!r)
		r = scan(t, slice, key, off, out, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}
