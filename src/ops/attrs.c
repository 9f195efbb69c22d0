/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/attrs.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "model/tree.h"
#include "ops/chunker.h"

static void pairs_clear(struct attrs *a)
{
	for (size_t i = 0; i < a->pairs.len; i++) {
		free(a->pairs.items[i].name);
		buf_release(&a->pairs.items[i].value);
	}
	a->pairs.len = 0;
	a->bytes = 0;
	a->wants_store = false;
}

void attrs_release(struct attrs *a)
{
	pairs_clear(a);
	vec_release(&a->pairs);
	buf_release(&a->list);
}

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct attrs *a = ctx;
	struct attr_pair p = { .size = len };
	int r = 0;

	if (len > XATTR_INLINE_MAX && !a->writer) {
		a->wants_store = true;
		return 1;
	}
	p.name = strdup(name);
	a->bytes += strlen(name) + size_min(len, XATTR_INLINE_MAX) + 48;
	if (a->bytes > LIMIT_XATTRS_TOTAL) {
		free(p.name);
		return 1;
	}
	if (len > XATTR_INLINE_MAX) {
		p.is_blob = true;
		r = packer_put_blob(a->blobs, value, len, &p.id, a->e);
	} else {
		buf_add(&p.value, value, len);
	}
	if (!r && (!p.name || p.value.oom || !vec_push(&a->pairs, p)))
		r = error_nomem(a->e);
	if (r) {
		free(p.name);
		buf_release(&p.value);
	}
	return r;
}

struct stream_reader {
	struct fs *fs;
	uint64_t id;
};

static int read_stream(void *ctx, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct stream_reader *s = ctx;

	return s->fs->ops->pread(s->fs, s->id, buf, len, off, e);
}

/* A named stream is kept as an attribute whose value is a blob. */
static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct attrs *a = ctx;
	struct stream_reader sr = { a->fs, id };
	struct attr_pair p = { .is_blob = true };
	AUTO_BUF full = BUF_INIT;
	struct error err = { 0 };
	struct fs_node n;
	int r;

	if (!a->writer) {
		a->wants_store = true;
		return 1;
	}
	buf_addstr(&full, "stream.");
	buf_add(&full, name, len);
	/* One that is a hole of 2^60 bytes would be hashed for years. */
	if (a->fs->ops->stat(a->fs, id, &n, &err) || n.size > LIMIT_HASHED_HOLE)
		return 0;
	p.size = n.size;
	r = store_blob_stream(a->writer, a->blobs, read_stream, &sr, n.size,
		true, &p.id, &err);
	if (r == ERR_NOMEM || r == ERR_IO) {
		if (a->e)
			*a->e = err;
		return r;
	}
	if (r)
		return 0; /* damaged: left out, its bytes are skeleton */
	p.name = buf_steal(&full);
	a->bytes += len + 48;
	if (!p.name || a->bytes > LIMIT_XATTRS_TOTAL ||
		!vec_push(&a->pairs, p)) {
		free(p.name);
		return p.name ? 1 : error_nomem(a->e);
	}
	return 0;
}

static int pair_cmp(const void *a, const void *b)
{
	return strcmp(((const struct attr_pair *)a)->name,
		((const struct attr_pair *)b)->name);
}

int attrs_read(struct attrs *a, const struct fs_node *n, struct view *out,
	struct error *e)
{
	struct fs *fs = a->fs;
	struct error err = { 0 };
	int r = 0;

	*out = (struct view){ 0 };
	if (!(n->flags & FS_NODE_XATTRS))
		return 0;
	pairs_clear(a);
	a->e = e;
	if (fs->ops->xattrs)
		r = fs->ops->xattrs(fs, n->id, on_xattr, a, &err);
	if (r >= 0 && !a->wants_store && fs->ops->streams &&
		n->type == FS_FILE)
		r = fs->ops->streams(fs, n->id, on_stream, a, &err);
	if (r == ERR_NOMEM || (r == ERR_IO && !err.code))
		return r;
	if (a->wants_store)
		return 1;
	/* Damaged ones were findings of the first walk: what could be read is
	 * kept. */
	if (a->pairs.len)
		qsort(a->pairs.items, a->pairs.len, sizeof(struct attr_pair),
			pair_cmp);
	buf_clear(&a->list);
	for (size_t i = 0; i < a->pairs.len; i++) {
		const struct attr_pair *p = &a->pairs.items[i];
		struct xattr x = {
			.name = { (const uint8_t *)p->name, strlen(p->name) },
			.value = { p->value.data, p->value.len },
			.is_blob = p->is_blob,
			.id = p->id,
			.size = p->size,
		};

		if (i && !strcmp(p[-1].name, p->name))
			continue;
		xattr_add(&a->list, &x);
	}
	if (a->list.oom)
		return error_nomem(e);
	*out = (struct view){ a->list.data, a->list.len };
	return 0;
}
