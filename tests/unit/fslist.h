/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of a reader by field: a small file system in memory becomes a line
 * of text, "NAME:SIZE EXTENT...;" a file, "!" where it cannot be read. */
#ifndef STRATA_TESTS_UNIT_FSLIST_H
#define STRATA_TESTS_UNIT_FSLIST_H

#include <stdio.h>
#include <string.h>
#include "os/source.h"
#include "fs/fs.h"

static unsigned seen[FINDING_COUNT];
static char listing[8192];

static inline void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	seen[f->id]++;
}

struct fs_listing {
	const struct fs_ops *ops;
	fs_extent_fn extent; /* adds to the listing; its ctx is NULL */
	int64_t mtime;	     /* that all files have */
	struct fs *fs;
	uint64_t todo[64]; /* folders */
	size_t len;
};

static inline void list_add(const char *text)
{
	snprintf(listing + strlen(listing), sizeof(listing) - strlen(listing),
		"%s", text);
}

static inline int on_entry(void *ctx, const uint8_t *name, size_t len,
	uint64_t id)
{
	struct fs_listing *w = ctx;
	char text[300];
	struct fs_node n;
	struct error e = { 0 };

	assert_int_equal(w->fs->ops->stat(w->fs, id, &n, &e), 0);
	assert_int_equal(n.mtime, w->mtime);
	snprintf(text, sizeof(text), "%.*s:%u", (int)len, name,
		(unsigned)n.size);
	list_add(text);
	if (n.type == FS_DIR && w->len < ARRAY_LEN(w->todo))
		w->todo[w->len++] = id;
	if (n.type == FS_FILE) {
		uint8_t buf[2048];

		bool bad = w->fs->ops->extents(w->fs, id, w->extent, NULL, &e);
		int r = n.size > sizeof(buf) ? 0
			: w->fs->ops->pread(w->fs, id, buf, n.size, 0, &e);

		if (bad)
			list_add("!");
		else
			assert_int_equal(r, 0);
	}
	list_add(";");
	return 0;
}

/* Opens, and lists what is in the first four folders. Returns what open does;
 * listing and the findings seen are those of this call. */
static inline int fs_list(const struct fs_listing *what, const void *disk,
	size_t size)
{
	struct finding_sink sink = { on_finding, NULL };
	struct fs_listing w = *what;
	AUTO_SOURCE src = NULL;
	struct source *devs[1];
	struct error e = { 0 };
	int r;

	memset(seen, 0, sizeof(seen));
	*listing = 0;
	assert_int_equal(source_memory(disk, size, &src, &e), 0);
	devs[0] = src;
	r = w.ops->open(&(struct fs_open_args){ devs, 1, &sink }, &w.fs, &e);
	if (r)
		return r;
	w.todo[w.len++] = w.fs->root;
	for (size_t i = 0; i < w.len && i < 4; i++)
		(void)w.fs->ops->readdir(w.fs, w.todo[i], on_entry, &w, &e);
	w.fs->ops->close(w.fs);
	return 0;
}

#endif
