/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a stored image's files, as sources. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "survey/survey.h"
#include "view/files.h"
#include "view/mounts.h"
#include "view/view.h"

/* --- from the store --- */

struct blob_source {
	struct source s;
	struct library *l;
	struct oid id;
};

static int blob_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct blob_source *b = (struct blob_source *)s;
	char hex[OID_HEX + 1];
	int r = store_read_blob(b->l->store, &b->id, buf, len, off, e);

	if (r == ERR_NOTFOUND || r == ERR_RANGE) {
		oid_hex(&b->id, hex);
		r = error_set(e, ERR_DAMAGED, "library: blob %s is %s", hex,
			r == ERR_RANGE ? "shorter than its file" : "missing");
	}
	return r;
}

static void blob_warm(struct source *s, uint64_t off, uint64_t len)
{
	struct blob_source *b = (struct blob_source *)s;

	store_warm_blob(b->l->store, &b->id, (size_t)len, off);
}

static const struct source_ops blob_ops = {
	.name = "stored file",
	.pread = blob_pread,
	.warm = blob_warm,
};

static int blob_open(struct library *l, const struct entry *x,
	struct source **out, struct error *e)
{
	struct blob_source *b = calloc(1, sizeof(*b));

	if (!b)
		return error_nomem(e);
	source_init(&b->s, &blob_ops, x->size);
	b->l = l;
	b->id = x->id;
	*out = &b->s;
	return 0;
}

/* --- through the file system --- */

struct name_id {
	uint32_t off, len; /* in names */
	uint64_t id;
};

/* A file system of the image, opened to decode its files. */
struct view_decoder {
	pthread_mutex_t lock;
	size_t volume;
	struct survey survey;
	struct source *dev; /* where it stands on one volume alone */
	struct fs *fs;
	/* the folder that was looked in last: its entries by name */
	struct buf dir, names;
	VEC(struct name_id) ids;
	bool have_dir;
};

void view_decoder_free(struct view_decoder *d)
{
	if (d->fs)
		d->fs->ops->close(d->fs);
	source_unref(d->dev);
	survey_release(&d->survey);
	buf_release(&d->dir);
	buf_release(&d->names);
	vec_release(&d->ids);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Volumes with a file system over several devices, or inside a compressed one:
 * all disks are surveyed again, which finds its members. */
static int open_surveyed(struct view_files *v, struct view_decoder *d,
	struct error *e)
{
	const struct image_volume *iv = &v->image.volumes.items[d->volume];
	size_t n = v->image.disks.len;
	AUTO_FREE struct source **disks = calloc(n + 1, sizeof(*disks));
	int r = disks ? 0 : error_nomem(e);

	for (size_t i = 0; i < n && !r; i++)
		r = view_disk(v->l, &v->image.disks.items[i], &disks[i], e);
	if (!r)
		r = survey_open(disks, n, NULL, &d->survey, e);
	for (size_t i = 0; disks && i < n; i++)
		source_unref(disks[i]);
	for (size_t i = 0; i < d->survey.volumes.len && !r; i++) {
		const struct survey_volume *sv = &d->survey.volumes.items[i];

		if (!strcmp(sv->name, iv->name) &&
			view_on_disk(iv, (int)sv->disk))
			return survey_open_fs(sv, NULL, &d->fs, e);
	}
	return r ? r
		 : error_set(e, ERR_UNSUPPORTED, "volume %s is not found again",
			   iv->name);
}

/* Do its bytes stand on a disk? */
static bool is_mapped(const struct image_volume *iv)
{
	for (size_t i = 0; i < iv->segments.len; i++)
		if (iv->segments.items[i].disk != UINT32_MAX &&
			iv->segments.items[i].len)
			return true;
	return false;
}

static int decoder_open(struct view_files *v, struct view_decoder *d,
	struct error *e)
{
	const struct image_volume *iv = &v->image.volumes.items[d->volume];
	const struct fs_ops *ops;
	struct fs_info info;
	int r;

	if (iv->nested && !is_mapped(iv))
		return open_surveyed(v, d, e);
	r = view_volume(v->l, &v->image, iv, &d->dev, e);
	if (r)
		return r;
	if (fs_probe(d->dev, &ops, &info, e) != FS_YES || !ops->open)
		return error_set(e, ERR_UNSUPPORTED,
			"volume %s: no file system that is read", iv->name);
	if (info.devices > 1)
		return open_surveyed(v, d, e);
	return ops->open(&(struct fs_open_args){ &d->dev, 1, NULL }, &d->fs,
		e);
}

static int decoder_get(struct view_files *v, size_t volume,
	struct view_decoder **out, struct error *e)
{
	struct view_decoder *d = NULL;
	int r = 0;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < v->decoders.len; i++)
		if (v->decoders.items[i]->volume == volume)
			*out = d = v->decoders.items[i];
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (d) {
			pthread_mutex_init(&d->lock, NULL);
			d->volume = volume;
			r = decoder_open(v, d, e);
		}
		if (!d || (!r && !vec_push(&v->decoders, d)))
			r = error_nomem(e);
		if (r && d)
			view_decoder_free(d);
		*out = d;
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

static int add_name(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct view_decoder *d = ctx;
	struct name_id n = { (uint32_t)d->names.len, (uint32_t)len, id };

	if (d->names.len > UINT32_MAX - LIMIT_NAME)
		return ERR_LIMIT;
	buf_add(&d->names, name, len);
	return d->names.oom || !vec_push(&d->ids, n) ? ERR_NOMEM : 0;
}

static int cmp_name(const void *a, const void *b, void *ctx)
{
	const struct name_id *x = a, *y = b;
	const struct buf *names = ctx;
	int c = memcmp(names->data + x->off, names->data + y->off,
		x->len < y->len ? x->len : y->len);

	return c ? c : (x->len > y->len) - (x->len < y->len);
}

/* The id of a file of the volume. The entries of the folder that was looked in
 * last are kept, so that copying all of a folder reads it once. */
static int decoder_find(struct view_decoder *d, const char *path, uint64_t *out,
	struct error *e)
{
	const char *slash = strrchr(path, '/'), *name = slash + 1;
	size_t len = strlen(name), lo = 0, hi;
	AUTO_FREE char *dir = strndup(path, (size_t)(slash - path));
	int r = 0;

	if (!dir)
		return error_nomem(e);
	if (!d->have_dir || strcmp(buf_str(&d->dir), dir) != 0) {
		struct fs_node n;

		d->have_dir = false;
		buf_clear(&d->dir);
		buf_clear(&d->names);
		d->ids.len = 0;
		buf_addstr(&d->dir, dir);
		r = survey_lookup(d->fs, *dir ? dir : "/", &n, e);
		if (!r)
			r = d->fs->ops->readdir(d->fs, n.id, add_name, d, e);
		if (r == ERR_CORRUPT && d->ids.len)
			r = 0; /* what could be read is listed */
		if (r)
			return r == ERR_NOMEM ? error_nomem(e) : r;
		qsort_r(d->ids.items, d->ids.len, sizeof(struct name_id),
			cmp_name, &d->names);
		d->have_dir = true;
	}
	for (hi = d->ids.len; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		const struct name_id *m = &d->ids.items[mid];
		int c = memcmp(d->names.data + m->off, name,
			size_min(m->len, len));

		if (!c)
			c = (m->len > len) - (m->len < len);
		if (!c) {
			*out = m->id;
			return 0;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return error_set(e, ERR_NOTFOUND, "no such file");
}

struct fs_source {
	struct source s;
	struct view_decoder *d;
	uint64_t id;
};

static int fs_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct fs_source *f = (struct fs_source *)s;
	int r;

	pthread_mutex_lock(&f->d->lock);
	r = f->d->fs->ops->pread(f->d->fs, f->id, buf, len, off, e);
	pthread_mutex_unlock(&f->d->lock);
	return r;
}

static const struct source_ops fs_ops = {
	.name = "file of a stored file system",
	.pread = fs_pread,
};

static int decoded_open(struct view_files *v, unsigned mount, const char *path,
	const struct entry *x, struct source **out, struct error *e)
{
	const struct view_mount *m = &v->mounts.items[mount];
	AUTO_BUF in_volume = BUF_INIT;
	struct view_decoder *d;
	struct fs_source *f;
	struct fs_node n;
	uint64_t id = 0;
	int r = decoder_get(v, m->volume, &d, e);

	if (r)
		return r;
	buf_addstr(&in_volume, m->prefix);
	buf_addstr(&in_volume, path + strlen(m->path));
	if (in_volume.oom)
		return error_nomem(e);
	pthread_mutex_lock(&d->lock);
	r = decoder_find(d, buf_str(&in_volume), &id, e);
	if (!r)
		r = d->fs->ops->stat(d->fs, id, &n, e);
	pthread_mutex_unlock(&d->lock);
	if (!r && (n.type != FS_FILE || n.size != x->size))
		r = error_set(e, ERR_CORRUPT,
			"the file system has another file there");
	if (r)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem(e);
	source_init(&f->s, &fs_ops, x->size);
	f->d = d;
	f->id = id;
	*out = &f->s;
	return 0;
}

/* --- either --- */

int view_open_file(struct view_files *v, unsigned mount, const char *path,
	const struct entry *x, struct source **out, struct error *e)
{
	if (x->type != ENTRY_FILE)
		return error_set(e, ERR_ARG, "is a %s, not a file",
			entry_type_name(x->type));
	if (!x->size)
		return source_memory("", 0, out, e);
	if (x->flags & ENTRY_OPAQUE)
		return error_set(e, ERR_UNSUPPORTED,
			"its content could not be read when the image was "
			"imported");
	if (!v->l)
		return v->backing.open_file(v->backing.ctx, x, out, e);
	if (store_has(v->l->store, SPACE_CONTENT, &x->id, NULL) ||
		!v->image.volumes.items[v->mounts.items[mount].volume]
			 .has_encoded)
		return blob_open(v->l, x, out, e);
	return decoded_open(v, mount, path, x, out, e);
}

int view_read_file(struct view_files *v, const char *path, size_t max,
	struct buf *out, struct error *e)
{
	AUTO_NODE n = { 0 };
	AUTO_SOURCE src = NULL;
	uint8_t *p;
	int r = view_lookup(v, path, true, &n, e);

	if (!r)
		r = view_open_file(v, n.mount, buf_str(&n.path), &n.x, &src, e);
	if (r)
		return r;
	if (n.x.size > max)
		return error_set(e, ERR_LIMIT, "%s: over %zu bytes", path, max);
	p = buf_room(out, (size_t)n.x.size + 1);
	if (!p)
		return error_nomem(e);
	r = source_pread(src, p, (size_t)n.x.size, 0, e);
	if (!r)
		out->len += (size_t)n.x.size;
	return r;
}

int view_xattr_value(struct view_files *v, const struct xattr *x,
	struct buf *out, struct error *e)
{
	uint8_t *p;
	int r;

	if (!x->is_blob) {
		buf_add(out, x->value.data, x->value.len);
		return out->oom ? error_nomem(e) : 0;
	}
	if (x->size > LIMIT_VIEW_STREAM)
		return error_set(e, ERR_LIMIT, "a stream of over %llu bytes",
			(unsigned long long)LIMIT_VIEW_STREAM);
	if (!v->l)
		return v->backing.attr(v->backing.ctx, x, out, e);
	p = buf_room(out, (size_t)x->size + 1);
	if (!p)
		return error_nomem(e);
	r = store_read_blob(v->l->store, &x->id, p, (size_t)x->size, 0, e);
	if (!r)
		out->len += (size_t)x->size;
	return r;
}
