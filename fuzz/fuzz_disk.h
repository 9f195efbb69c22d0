/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of disk containers share: open, walk the extents, read.
 * What a container names is answered with the input itself (bytes) or with
 * zeros (a disk), so that parents and extents are reached too. */
#ifndef STRATA_FUZZ_DISK_H
#define STRATA_FUZZ_DISK_H

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/disk.h"
#include "fuzz/fuzz.h"

#define FUZZ_DISK_STEPS 2000
#define FUZZ_DISK_READ 65536

static inline void fuzz_drop(void *ctx, const struct finding *f)
{
	(void)ctx;
	if (!f->detail || strlen(f->detail) > 4096)
		abort();
}

static inline int fuzz_resolve(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e)
{
	(void)purpose;
	if (!*name)
		abort();
	if (format)
		return source_zero(3 * MIB, out, e);
	*out = source_ref(ctx);
	return 0;
}

/* Every byte that is read twice must be the same, zeros must be zeros. */
static void fuzz_disk_read(struct source *d, const struct source_extent *x,
	struct error *e)
{
	static uint8_t a[FUZZ_DISK_READ], b[FUZZ_DISK_READ];
	size_t n = (size_t)u64_min(x->len, sizeof(a));
	uint64_t off = x->off;
	int r = source_pread(d, a, n, off, e);

	if (r)
		return;
	if (x->kind == SOURCE_ZERO)
		for (size_t i = 0; i < n; i++)
			if (a[i])
				abort();
	if (n > 3 && !source_pread(d, b, n / 2 + 1, off + n / 3, e) &&
		memcmp(a + n / 3, b, n / 2 + 1 < n - n / 3 ? n / 2 + 1 : n - n / 3))
		abort();
	if (x->len > n)
		(void)!source_pread(d, a, n, off + x->len - n, e);
}

static void fuzz_disk_walk(struct source *d)
{
	struct source_extent x = { 0 };
	struct error e = { 0 };
	uint64_t at = 0;

	for (int i = 0; i < FUZZ_DISK_STEPS && at < d->size; i++) {
		if (source_extent_at(d, at, &x, &e)) {
			at += u64_min(d->size - at, 65536);
			continue;
		}
		if (i < 100)
			fuzz_disk_read(d, &x, &e);
		at += x.len;
	}
	if (d->size) {
		uint8_t last;

		(void)!source_pread(d, &last, 1, d->size - 1, &e);
		if (!source_pread(d, &last, 1, d->size, &e))
			abort();
	}
}

static inline void fuzz_disk(const struct disk_ops *ops, struct source *file)
{
	struct finding_sink sink = { fuzz_drop, NULL };
	struct disk_resolver res = { fuzz_resolve, file };
	struct disk_open_args a = { .file = file,
		.resolver = &res,
		.findings = &sink };
	struct disk_info info = { 0 };
	struct error e = { 0 };
	struct source *d = NULL;

	ops->probe(file);
	if (ops->open(&a, &d, &info, &e)) {
		if (!e.code || !*e.msg || d)
			abort();
		return;
	}
	if (!memchr(info.format, 0, sizeof(info.format)) ||
		!memchr(info.detail, 0, sizeof(info.detail)) ||
		!memchr(info.backing, 0, sizeof(info.backing)))
		abort();
	fuzz_disk_walk(d);
	source_unref(d);
}

/* The input under an overlay, in which the target mends checksums; NULL when
 * out of memory. */
static inline struct source *fuzz_disk_overlay(const uint8_t *data, size_t size)
{
	struct source *base = fuzz_source(data, size), *o = NULL;
	struct error e;

	if (!base)
		return NULL;
	if (source_overlay(base, &o, &e))
		o = NULL;
	source_unref(base);
	return o;
}

#endif
