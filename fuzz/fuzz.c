/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "base/vec.h"

/* The most that one input may make us do. */
#define MAX_NODES 3000
#define MAX_CALLS 20000
#define MAX_READ (256 * 1024)

struct source *fuzz_source(const uint8_t *data, size_t size)
{
	struct source *zero = NULL, *out = NULL;
	struct error e;
	size_t at = SIMG_HEADER;

	if (size < SIMG_HEADER || memcmp(data, SIMG_MAGIC, 8) != 0) {
		source_memory(data, size, &out, &e);
		return out;
	}
	if (source_zero(get_le64(data + 8) & (16 * TIB - 1), &zero, &e))
		return NULL;
	if (source_overlay(zero, &out, &e)) {
		source_unref(zero);
		return NULL;
	}
	source_unref(zero);
	while (size - at >= 12) {
		uint64_t off = get_le64(data + at);
		size_t len = get_le32(data + at + 8);

		at += 12;
		len = size_min(len, size - at);
		if (source_overlay_write(out, data + at, len, off, &e))
			break;
		at += len;
	}
	return out;
}

struct walk {
	struct fs *fs;
	VEC(uint64_t) todo;
	size_t seen, calls;
	uint64_t read_end;
};

static int on_entry(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct walk *w = ctx;

	if (!len || len > LIMIT_NAME || memchr(name, 0, len) ||
		memchr(name, '/', len))
		abort();
	if (w->seen >= MAX_NODES)
		return 1;
	w->seen++;
	return vec_push(&w->todo, id) ? 0 : 1;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct walk *w = ctx;
	uint64_t end;

	if (!x->len || x->file_off < w->read_end ||
		!u64_add(x->file_off, x->len, &end) ||
		(x->kind != FS_EXTENT_INLINE &&
			!u64_add(x->dev_off, x->dev_len, &end)))
		abort();
	w->read_end = x->file_off + x->len;
	if (w->fs->ops->check_data && x->kind != FS_EXTENT_INLINE) {
		static const uint8_t data[3 * 4096];
		uint64_t bad = 0;

		if (w->fs->ops->check_data(w->fs, x->dev, x->dev_off, data,
			    sizeof(data), &bad, NULL) == 1 &&
			bad >= sizeof(data))
			abort();
	}
	return w->calls++ >= MAX_CALLS;
}

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct walk *w = ctx;
	volatile uint8_t sum = 0;

	if (!*name)
		abort();
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)value)[i]);
	return w->calls++ >= MAX_CALLS;
}

static int on_range(void *ctx, uint32_t dev, uint64_t off, uint64_t len)
{
	struct walk *w = ctx;

	(void)dev;
	(void)off;
	(void)len;
	return w->calls++ >= MAX_CALLS;
}

static void content(struct walk *w, uint64_t id, struct error *e)
{
	static uint8_t buf[MAX_READ];
	struct fs_node n;

	if (w->fs->ops->stat(w->fs, id, &n, e))
		return;
	w->read_end = 0;
	w->fs->ops->extents(w->fs, id, on_extent, w, e);
	if (n.size && !w->fs->ops->pread(w->fs, id, buf,
			     (size_t)u64_min(n.size, sizeof(buf)), 0, e) &&
		n.size > sizeof(buf))
		(void)!w->fs->ops->pread(w->fs, id, buf, sizeof(buf),
			n.size - sizeof(buf), e);
	if (n.size != UINT64_MAX &&
		!w->fs->ops->pread(w->fs, id, buf, 1, n.size, e))
		abort(); /* read past the end of a file */
}

static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct error e = { 0 };

	(void)name;
	(void)len;
	content(ctx, id, &e);
	return 0;
}

static int on_subvolume(void *ctx, const struct fs_subvolume *v)
{
	(void)ctx;
	return *v->path == 1;
}

static void drop(void *ctx, const struct finding *f)
{
	(void)ctx;
	(void)f;
}

void fuzz_fs(const struct fs_ops *ops, const uint8_t *data, size_t size)
{
	struct finding_sink sink = { drop, NULL };
	struct source *src = fuzz_source(data, size);
	struct error e = { 0 };
	struct fs_info info = { 0 };
	struct walk w = { 0 };

	if (!src)
		return;
	ops->probe(src, &info, &e);
	if (!ops->open || ops->open(&(struct fs_open_args){ &src, 1, &sink },
				  &w.fs, &e)) {
		source_unref(src);
		return;
	}
	(void)!vec_push(&w.todo, w.fs->root);
	while (w.todo.len) {
		uint64_t id = w.todo.items[--w.todo.len];
		AUTO_BUF target = BUF_INIT;
		struct fs_node n;

		if (ops->stat(w.fs, id, &n, &e))
			continue;
		if (n.type == FS_DIR)
			ops->readdir(w.fs, id, on_entry, &w, &e);
		else if (n.type == FS_SYMLINK)
			ops->readlink(w.fs, id, &target, &e);
		else if (n.type == FS_FILE)
			content(&w, id, &e);
		if (ops->xattrs)
			ops->xattrs(w.fs, id, on_xattr, &w, &e);
		if (ops->streams)
			ops->streams(w.fs, id, on_stream, &w, &e);
	}
	w.calls = 0;
	if (ops->free_space)
		ops->free_space(w.fs, on_range, &w, &e);
	if (ops->subvolumes)
		ops->subvolumes(w.fs, on_subvolume, &w, &e);
	vec_release(&w.todo);
	ops->close(w.fs);
	source_unref(src);
}
