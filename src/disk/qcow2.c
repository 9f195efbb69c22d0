/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: the virtual disk as a source. */
#include "disk/qcow2.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "disk/qcow2_int.h"
#include "disk/qcow2_layout.h"
#include "disk/table.h"

struct qcow2 {
	struct source s;
	struct source *data;    /* where clusters are: the file or another */
	struct source *backing; /* NULL: none */
	bool alone;             /* an overlay without what is below */
	struct qcow2_table table;
	struct qcow2_unzip *unzip;
};

/* Reads what lies in the data source; what is past its end (the last cluster
 * need not be there in full) is zeros. */
static int read_data(struct source *data, uint8_t *buf, size_t len,
	uint64_t host, struct error *e)
{
	size_t n = host < data->size
			   ? (size_t)u64_min(len, data->size - host)
			   : 0;

	memset(buf + n, 0, len - n);
	return n ? source_pread(data, buf, n, host, e) : 0;
}

static int read_run(struct qcow2 *q, const struct qcow2_run *run, uint8_t *buf,
	size_t len, struct error *e)
{
	switch (run->kind) {
	case QCOW2_DATA:
		return read_data(q->data, buf, len, run->host, e);
	case QCOW2_COMPRESSED:
		return qcow2_unzip_read(q->unzip, run, buf, len,
			(size_t)(run->off - run->start), e);
	case QCOW2_UNALLOCATED:
		if (q->alone)
			return error_at(e, ERR_ARG, run->off,
				"qcow2: the overlay does not hold offset "
				"%" PRIu64,
				run->off);
		if (q->backing)
			return read_data(q->backing, buf, len, run->off, e);
		break;
	case QCOW2_ZERO:
		break;
	}
	memset(buf, 0, len);
	return 0;
}

static int qcow2_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct qcow2 *q = (struct qcow2 *)s;
	uint8_t *p = buf;

	while (len) {
		struct qcow2_run run = { 0 };
		size_t n;
		int r = qcow2_map(&q->table, off, &run, e);

		if (r)
			return r;
		n = (size_t)u64_min(len, run.len);
		r = read_run(q, &run, p, n, e);
		if (r)
			return r;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* The extent of another source that holds part of a run, cut to the run and
 * told in offsets of the disk. */
static int extent_of(struct source *from, uint64_t host, uint64_t len,
	struct source_extent *out, struct error *e)
{
	int r;

	if (host >= from->size) {
		out->kind = SOURCE_ZERO;
		return 0;
	}
	r = source_extent_at(from, host, out, e);
	if (r)
		return r;
	out->len = u64_min(out->len, len);
	return 0;
}

static int qcow2_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct qcow2 *q = (struct qcow2 *)s;
	struct qcow2_run run = { 0 };
	struct source_extent x;
	int r = qcow2_map(&q->table, off, &run, e);

	if (r)
		return r;
	x = (struct source_extent){ .off = off,
		.len = run.len,
		.kind = SOURCE_ZERO };
	if (run.kind == QCOW2_COMPRESSED) {
		x.kind = SOURCE_DATA;
	} else if (run.kind == QCOW2_DATA) {
		/* Allocated beforehand and never written: a hole below. */
		x.kind = SOURCE_DATA;
		r = extent_of(q->data, run.host, run.len, &x, e);
		x.layer = 0;
	} else if (run.kind == QCOW2_UNALLOCATED && q->alone) {
		x.layer = 1;
	} else if (run.kind == QCOW2_UNALLOCATED && q->backing) {
		r = extent_of(q->backing, off, run.len, &x, e);
		x.layer++;
	}
	x.off = off;
	if (!r)
		*out = x;
	return r;
}

static void qcow2_will_need(struct source *s, uint64_t off, uint64_t len)
{
	struct qcow2 *q = (struct qcow2 *)s;
	struct qcow2_run run = { 0 };

	if (!qcow2_map(&q->table, off, &run, NULL) && run.kind == QCOW2_DATA)
		source_will_need(q->data, run.host, u64_min(len, run.len));
}

static void qcow2_close(struct source *s)
{
	struct qcow2 *q = (struct qcow2 *)s;

	qcow2_table_release(&q->table);
	qcow2_unzip_free(q->unzip);
	source_unref(q->data);
	source_unref(q->backing);
	free(q);
}

static const struct source_ops qcow2_source_ops = {
	.name = "qcow2",
	.pread = qcow2_pread,
	.extent = qcow2_extent,
	.will_need = qcow2_will_need,
	.close = qcow2_close,
};

/* --- opening --- */

static int not_allowed(const char *what, const char *name, struct error *e)
{
	return error_set(e, ERR_UNSUPPORTED,
		"qcow2: the image needs the %s '%s', which is not opened "
		"unless allowed with --allow-backing",
		what, name);
}

static int open_data(const struct qcow2_header *h, struct source *file,
	const struct disk_resolver *resolver, struct source **out,
	struct error *e)
{
	if (!(h->incompatible & QCOW2_INCOMPAT_DATA_FILE)) {
		*out = source_ref(file);
		return 0;
	}
	if (!*h->data_file)
		return error_at(e, ERR_CORRUPT, h->length,
			"qcow2: the image has an external data file, but no "
			"name for it");
	if (!resolver || !resolver->open)
		return not_allowed("data file", h->data_file, e);
	return resolver->open(resolver->ctx, h->data_file, "data file", NULL,
		out, e);
}

static int open_backing(const struct qcow2_header *h,
	const struct disk_resolver *resolver, struct source **out,
	struct error *e)
{
	if (!*h->backing)
		return 0;
	if (!resolver || !resolver->open)
		return not_allowed("backing file", h->backing, e);
	return resolver->open(resolver->ctx, h->backing, "backing file",
		h->backing_format, out, e);
}

static int open_header(const struct qcow2_header *h, struct source *file,
	const struct disk_resolver *resolver, bool alone, struct source **out,
	struct error *e)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	AUTO_SOURCE owner = NULL;
	int r;

	if (!q)
		return error_nomem(e);
	source_init(&q->s, &qcow2_source_ops, h->size);
	owner = &q->s;
	q->alone = alone;
	r = open_data(h, file, resolver, &q->data, e);
	if (!r)
		r = qcow2_table_open(&q->table, file, h, q->data->size, e);
	if (!r)
		r = qcow2_unzip_new(q->data, h->compression, h->cluster_bits,
			&q->unzip, e);
	if (!r && !alone)
		r = open_backing(h, resolver, &q->backing, e);
	if (!r)
		*out = steal_ptr(owner);
	return r;
}

static void describe(const struct qcow2_header *h, struct disk_info *info)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	size_t n;

	snprintf(info->format, sizeof(info->format), "qcow2");
	snprintf(info->detail, sizeof(info->detail),
		"v%" PRIu32 ", %s, clusters of %" PRIu64 " %s%s", h->version,
		h->compression == QCOW2_ZSTD ? "zstd" : "zlib",
		cluster >= KIB ? cluster / KIB : cluster,
		cluster >= KIB ? "KiB" : "bytes",
		h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2 ? ", subclusters"
							     : "");
	n = strlen(info->detail);
	if (h->snapshots)
		snprintf(info->detail + n, sizeof(info->detail) - n,
			", %" PRIu32 " snapshot%s", h->snapshots,
			h->snapshots == 1 ? "" : "s");
	n = strlen(info->detail);
	if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
		snprintf(info->detail + n, sizeof(info->detail) - n,
			", data in '%.64s'", h->data_file);
	snprintf(info->backing, sizeof(info->backing), "%s", h->backing);
}

static int qcow2_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	struct qcow2_header h;
	int r = qcow2_header_read(args->file, &h, args->findings, e);

	if (r)
		return r;
	describe(&h, info);
	if (args->snapshot) {
		r = qcow2_use_snapshot(args->file, &h, args->snapshot, e);
		if (r)
			return r;
	}
	return open_header(&h, args->file, args->resolver, false, out, e);
}

static enum disk_verdict qcow2_probe(struct source *file)
{
	uint8_t b[8];

	/* Version 1 is another format. A version that we do not know is told
	 * on opening. */
	return source_pread(file, b, sizeof(b), 0, NULL) ||
			       memcmp(b, QCOW2_MAGIC, 4) != 0 ||
			       get_be32(b + 4) < 2
		       ? DISK_NO
		       : DISK_YES;
}

/* --- the overlay alone --- */

int qcow2_open_overlay(struct source *file,
	const struct disk_resolver *resolver,
	const struct finding_sink *findings, struct source **out,
	struct qcow2_facts *facts, struct error *e)
{
	struct qcow2_header h;
	int r = qcow2_header_read(file, &h, findings, e);

	if (!r && facts)
		r = qcow2_read_facts(file, facts, e);
	return r ? r : open_header(&h, file, resolver, true, out, e);
}

int qcow2_next_allocated(struct source *overlay, uint64_t off,
	struct qcow2_range *out, struct error *e)
{
	struct qcow2 *q = (struct qcow2 *)overlay;
	struct qcow2_run run = { 0 };
	struct qcow2_range x = { 0 };
	int r;

	for (; off < overlay->size; off = run.off + run.len) {
		enum source_kind kind;

		r = qcow2_map(&q->table, off, &run, e);
		if (r)
			return r;
		kind = run.kind == QCOW2_ZERO ? SOURCE_ZERO : SOURCE_DATA;
		if (run.kind == QCOW2_UNALLOCATED) {
			if (x.len)
				break;
			continue;
		}
		if (x.len && x.kind != kind)
			break;
		if (!x.len)
			x = (struct qcow2_range){ .off = off, .kind = kind };
		x.len += run.len;
	}
	if (!x.len)
		return 0;
	*out = x;
	return 1;
}

static const char *const qcow2_suffixes[] = { ".qcow2", ".qcow", NULL };

const struct disk_ops disk_qcow2 = {
	.name = "qcow2",
	.suffixes = qcow2_suffixes,
	.probe = qcow2_probe,
	.open = qcow2_open,
	.writer = &qcow2_writer,
};
