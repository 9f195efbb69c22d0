/* SPDX-License-Identifier: Apache-2.0 */
/* disktool info IMAGE                what disk_open says, and its findings
 * disktool map IMAGE                 the extents: offset, length, kind, layer
 * disktool convert [-O FORMAT] [-c] [-z ALGORITHM] IMAGE OUT   "-": a pipe
 * disktool cmp IMAGE RAW             every byte, by many threads at random
 * disktool appliance FILE [N RAW]    disks of an OVA or OVF; disk N as in RAW
 * disktool ova OUT IMAGE...          write an OVA
 *
 * Common: -f FORMAT, --snapshot NAME; --dir DIR: files that the image names by
 * a plain name may be opened there. What it asks for is told: RESOLVE: name.
 * Exit 4 where the image is refused
 * (message: CODE: why), 1 where bytes differ. For tests.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "disk/disk.h"
#include "disk/ova.h"
#include "disk/qcow2.h"
#include "disk/qcow2_layout.h"
#include "disk/resolve.h"
#include "disk/wrap.h"

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	fprintf(stderr, "FINDING: %s: %s%s%s\n", finding_name(f->id), f->where,
		*f->where ? ": " : "", f->detail);
}

struct dir {
	const char *path; /* NULL: by the list of what is allowed */
	int depth;
	struct disk_allow *allow;
};

static int resolve(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e)
{
	struct dir d = *(struct dir *)ctx;
	struct disk_resolver next = { resolve, &d };
	struct disk_open_args a = { .resolver = &next };
	struct disk_info info = { 0 };
	AUTO_SOURCE file = NULL;
	char path[4096];
	int r;

	fprintf(stderr, "RESOLVE: %s (%s, %s)\n", name, purpose,
		format ? format : "bytes");
	if (!d.path)
		return disk_allow_open(d.allow, name, purpose, format, out, e);
	if (strpbrk(name, "/:") || !*name || !strcmp(name, "..") || !strcmp(name, "."))
		return error_set(e, ERR_UNSUPPORTED, "%s '%s': not allowed",
			purpose, name);
	if (d.depth++ >= 8)
		return error_set(e, ERR_LIMIT, "chain of files is too long");
	snprintf(path, sizeof(path), "%s/%s", d.path, name);
	r = source_file_open(path, &file, e);
	if (r || !format) {
		if (!r)
			*out = steal_ptr(file);
		return r;
	}
	a.file = file;
	if (!disk_by_name(format))
		return error_set(e, ERR_UNSUPPORTED, "format %s", format);
	return disk_by_name(format)->open(&a, out, &info, e);
}

static int refuse(const char *what, const struct error *e)
{
	char at[40] = "";

	if (e->has_offset)
		snprintf(at, sizeof(at), " (offset %" PRIu64 ")", e->offset);
	fprintf(stderr, "disktool: %s: %s: %s%s\n", error_code_name(e->code),
		what, e->msg, at);
	return e->code == ERR_IO || e->code == ERR_NOTFOUND ? 7 : 4;
}

static int map(struct source *d)
{
	struct source_extent run = { 0 }, x;
	struct error e = { 0 };

	for (uint64_t at = 0; at < d->size; at += x.len) {
		if (source_extent_at(d, at, &x, &e))
			return refuse("map", &e);
		if (run.len && run.kind == x.kind && run.layer == x.layer) {
			run.len += x.len;
			continue;
		}
		if (run.len)
			printf("%" PRIu64 " %" PRIu64 " %s %u\n", run.off,
				run.len, run.kind ? "zero" : "data", run.layer);
		run = x;
	}
	if (run.len)
		printf("%" PRIu64 " %" PRIu64 " %s %u\n", run.off, run.len,
			run.kind ? "zero" : "data", run.layer);
	return 0;
}

struct cmp {
	struct source *a, *b;
	unsigned seed;
	int bad;
};

static void *cmp_thread(void *arg)
{
	struct cmp *c = arg;
	enum { STEP = 192 * 1024 + 512 };
	uint8_t *x = malloc(STEP), *y = malloc(STEP);
	uint64_t n = div_ceil(c->b->size, STEP);
	struct error e = { 0 };

	/* Every step once, each thread from another start. */
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		uint64_t off = (i + n * c->seed / 4) % n * STEP;
		size_t len = (size_t)u64_min(STEP, c->b->size - off);

		if (source_pread(c->a, x, len, off, &e) ||
			source_pread(c->b, y, len, off, &e))
			c->bad = refuse("cmp", &e);
		else if (memcmp(x, y, len))
			fprintf(stderr, "differ at %" PRIu64 "\n", off),
				c->bad = 1;
	}
	free(x);
	free(y);
	return NULL;
}

static int cmp(struct source *d, const char *path)
{
	AUTO_SOURCE b = NULL;
	struct error e = { 0 };
	struct cmp c[4];
	pthread_t t[4];
	int rc = 0;

	if (source_file_open(path, &b, &e))
		return refuse(path, &e);
	if (b->size != d->size) {
		fprintf(stderr, "sizes: %" PRIu64 " and %" PRIu64 "\n", d->size,
			b->size);
		return 1;
	}
	for (unsigned i = 0; i < 4; i++) {
		c[i] = (struct cmp){ d, b, i, 0 };
		pthread_create(&t[i], NULL, cmp_thread, &c[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		rc |= c[i].bad;
	}
	return rc;
}

static int convert(struct source *d, const char *format, bool compress,
	const char *algorithm, const char *path)
{
	static const uint8_t id[16] = "disktool-test-id";
	AUTO_SINK out = NULL;
	struct error e = { 0 };
	const struct disk_ops *ops = disk_by_name(format);
	struct disk_write_args a = { .disk = d,
		.compress = compress,
		.compression = algorithm,
		.id = id,
		.name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path };

	if (!ops || !ops->writer)
		return fprintf(stderr, "disktool: no writer for %s\n", format),
		       2;
	if (!strcmp(path, "-") ? sink_stream(1, &out, &e)
			       : sink_file_create(path, &out, &e))
		return refuse(path, &e);
	a.out = out;
	if (ops->writer->write(&a, &e) || sink_commit(out, &e))
		return refuse(path, &e);
	return 0;
}

static int ranges(struct source *file, const struct disk_resolver *resolver)
{
	struct qcow2_facts facts;
	struct qcow2_range x;
	AUTO_SOURCE o = NULL;
	struct error e = { 0 };
	AUTO_FREE uint8_t *buf = malloc(65536);
	uint8_t b;
	int r = qcow2_open_overlay(file, resolver, NULL, &o, &facts, &e);

	if (r)
		return refuse("overlay", &e);
	for (uint64_t at = 0; (r = qcow2_next_allocated(o, at, &x, &e)) == 1;
		at = x.off + x.len) {
		if (at < x.off &&
			source_pread(o, &b, 1, x.off - 1, &e) != ERR_ARG)
			return fprintf(stderr, "read what is below\n"), 1;
		for (uint64_t k = 0; k < x.len; k += 65536)
			if (source_pread(o, buf,
				    (size_t)u64_min(65536, x.len - k),
				    x.off + k, &e))
				return refuse("overlay", &e);
		printf("%" PRIu64 " %" PRIu64 " %s\n", x.off, x.len,
			x.kind ? "zero" : "data");
	}
	return r ? refuse("overlay", &e) : 0;
}

static int on_snapshot(void *ctx, const struct qcow2_snapshot *s)
{
	(void)ctx;
	printf("%s %s %" PRIu64 "\n", s->id, s->name, s->size);
	return 0;
}

static int appliance(const char *path, const char *n, const char *raw)
{
	struct finding_sink sink = { on_finding, NULL };
	const char *slash = strrchr(path, '/');
	struct dir dir = { 0 };
	struct disk_resolver res = { resolve, &dir };
	struct disk_info info = { 0 };
	struct ova_args a = { .findings = &sink };
	AUTO_FREE char *folder = NULL;
	AUTO_SOURCE file = NULL;
	AUTO_SOURCE d = NULL;
	AUTO_OVA o = NULL;
	struct error e = { 0 };
	size_t len;

	if (source_file_open(path, &file, &e))
		return refuse(path, &e);
	a.file = file;
	if (!ova_probe(file) && ovf_probe(file)) {
		a.name = slash ? slash + 1 : path;
		a.resolver = &res;
		folder = slash ? strndup(path, (size_t)(slash - path))
			       : strdup(".");
		dir.path = folder;
	}
	if (ova_open(&a, &o, &e))
		return refuse(path, &e);
	if (n) {
		if (ova_disk_open(o, (size_t)atoi(n), &d, &info, &e))
			return refuse(path, &e);
		return cmp(d, raw);
	}
	for (size_t i = 0; i < ova_disk_count(o); i++)
		printf("%s %s %" PRIu64 " %" PRIu64 "\n", ova_disk(o, i)->id,
			ova_disk(o, i)->file, ova_disk(o, i)->file_size,
			ova_disk(o, i)->capacity);
	printf("%zu disks, %zu bytes of OVF\n", ova_disk_count(o),
		(ova_text(o, &len), len));
	return ova_verify(o, NULL, NULL, &e) ? refuse(path, &e) : 0;
}

static int write_ova(const char *path, const char **images, size_t n)
{
	struct source *disks[16] = { 0 };
	AUTO_SINK out = NULL;
	struct error e = { 0 };
	struct ova_write_args a = { .disks = disks,
		.n = n,
		.id = (const uint8_t *)"disktool-test-id",
		.name = "a machine & its \"disks\"" };
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = source_file_open(images[i], &disks[i], &e);
	if (!r)
		r = sink_file_create(path, &out, &e);
	a.out = out;
	if (!r)
		r = ova_write(&a, &e);
	if (!r)
		r = sink_commit(out, &e);
	for (size_t i = 0; i < n; i++)
		source_unref(disks[i]);
	return r ? refuse(path, &e) : 0;
}

int main(int argc, char **argv)
{
	struct finding_sink sink = { on_finding, NULL };
	const char *arg[18] = { 0 }, *format = NULL, *to = "raw", *zip = NULL;
	const char *allowed[16];
	struct disk_allow allow = { .paths = allowed, .findings = &sink };
	struct dir dir = { .allow = &allow };
	struct disk_resolver res = { resolve, &dir };
	struct disk_open_args a = { .findings = &sink, .resolver = &res };
	struct disk_info info = { 0 };
	const struct disk_ops *ops;
	AUTO_SOURCE file = NULL;
	AUTO_SOURCE d = NULL;
	AUTO_SOURCE inner = NULL;
	struct wrap_info wrapped;
	struct error e = { 0 };
	bool compress = false;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-f") && i + 1 < argc)
			format = argv[++i];
		else if (!strcmp(argv[i], "-O") && i + 1 < argc)
			to = argv[++i];
		else if (!strcmp(argv[i], "-z") && i + 1 < argc)
			zip = argv[++i];
		else if (!strcmp(argv[i], "--snapshot") && i + 1 < argc)
			a.snapshot = argv[++i];
		else if (!strcmp(argv[i], "--dir") && i + 1 < argc)
			dir.path = argv[++i];
		else if (!strcmp(argv[i], "--allow-backing") && i + 1 < argc &&
			 allow.n < 16)
			allowed[allow.n++] = argv[++i];
		else if (!strcmp(argv[i], "--cluster-bits") && i + 1 < argc)
			qcow2_test_cluster_bits = (unsigned)atoi(argv[++i]);
		else if (!strcmp(argv[i], "-c"))
			compress = true;
		else if (n < 17)
			arg[n++] = argv[i];
	}
	if (n < 2)
		return fprintf(stderr, "usage: see the source\n"), 2;
	if (!strcmp(arg[0], "appliance"))
		return appliance(arg[1], arg[2], arg[3]);
	if (!strcmp(arg[0], "ova"))
		return write_ova(arg[1], arg + 2, (size_t)n - 2);
	if (source_file_open(arg[1], &file, &e))
		return refuse(arg[1], &e);
	if (wrap_unwrap(&(struct wrap_args){ .file = file, .findings = &sink },
		    &inner, &wrapped, &e))
		return refuse(arg[1], &e);
	source_unref(file);
	file = steal_ptr(inner);
	if (*wrapped.kinds)
		fprintf(stderr, "WRAPPED: %s %s\n", wrapped.kinds,
			wrapped.name);
	ops = format ? disk_by_name(format) : disk_probe(file);
	if (!ops)
		return fprintf(stderr, "disktool: no format %s\n", format), 2;
	allow.image = arg[1];
	a.file = file;
	if (!strcmp(arg[0], "ranges"))
		return ranges(file, &res);
	if (!strcmp(arg[0], "snapshots"))
		return qcow2_snapshots(file, on_snapshot, NULL, &e)
			       ? refuse(arg[1], &e)
			       : 0;
	if (ops->open(&a, &d, &info, &e))
		return refuse(arg[1], &e);
	if (!strcmp(arg[0], "info"))
		return printf("%s\n%s\nsize %" PRIu64 "\nbacking %s\n",
			       info.format, info.detail, d->size, info.backing),
		       0;
	if (!strcmp(arg[0], "map"))
		return map(d);
	if (!strcmp(arg[0], "cmp") && n == 3)
		return cmp(d, arg[2]);
	if (!strcmp(arg[0], "convert") && n == 3)
		return convert(d, to, compress, zip, arg[2]);
	return 2;
}
