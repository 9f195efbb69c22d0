/* SPDX-License-Identifier: Apache-2.0 */
/* The qcow2 reader: header, snapshots, the map of everything, and reads. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "disk/disk.h"
#include "disk/qcow2.h"
#include "disk/table.h"
#include "fuzz/fuzz.h"

static int open_none(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e)
{
	(void)ctx;
	if (!*name || !*purpose)
		abort();
	/* Any other file, so that what follows is reached. */
	return source_zero(format ? 100000 : 1 << 20, out, e);
}

static void walk(struct source *d)
{
	static uint8_t buf[100000];
	struct error e;
	struct source_extent x;
	uint64_t at = 0;

	for (int i = 0; i < 2000 && at < d->size; i++) {
		if (source_extent_at(d, at, &x, &e)) {
			at += u64_min(512, d->size - at);
			continue;
		}
		if (i < 100 &&
			!source_pread(d, buf,
				(size_t)u64_min(sizeof(buf), x.len), at, &e) &&
			x.kind == SOURCE_ZERO)
			for (size_t k = 0; k < u64_min(sizeof(buf), x.len); k++)
				if (buf[k])
					abort();
		at += x.len;
	}
	if (d->size)
		(void)!source_pread(d, buf,
			(size_t)u64_min(d->size, sizeof(buf)),
			d->size - u64_min(d->size, sizeof(buf)), &e);
}

static int on_snapshot(void *ctx, const struct qcow2_snapshot *s)
{
	char **name = ctx;

	free(*name);
	*name = strdup(s->name);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disk_resolver res = { open_none, NULL };
	struct source *file = fuzz_source(data, size);
	struct disk_open_args a = { .file = file, .resolver = &res };
	struct disk_info info;
	struct source *d = NULL;
	struct qcow2_range x;
	char *name = NULL;
	struct error e;
	uint64_t at = 0;

	if (!file)
		return 0;
	disk_qcow2.probe(file);
	if (!disk_qcow2.open(&a, &d, &info, &e)) {
		walk(d);
		source_unref(d);
	}
	qcow2_snapshots(file, on_snapshot, &name, &e);
	a.snapshot = name;
	if (name && !disk_qcow2.open(&a, &d, &info, &e)) {
		walk(d);
		source_unref(d);
	}
	free(name);
	if (!qcow2_open_overlay(file, &res, NULL, &d, NULL, &e)) {
		for (int i = 0; i < 2000 &&
				qcow2_next_allocated(d, at, &x, &e) == 1;
			i++) {
			if (x.off < at || !x.len || x.off + x.len > d->size)
				abort();
			at = x.off + x.len;
		}
		source_unref(d);
	}
	source_unref(file);
	return 0;
}
