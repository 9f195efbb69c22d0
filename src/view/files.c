/* SPDX-License-Identifier: Apache-2.0 */
#include "view/files.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "view/mounts.h"

/* --- opening --- */

void view_mount_drop(struct view_mount *m)
{
	free(m->path);
	free(m->prefix);
	buf_release(&m->data);
}

void view_mounts_clear(struct view_files *v)
{
	for (size_t i = 0; i < v->mounts.len; i++)
		view_mount_drop(&v->mounts.items[i]);
	v->mounts.len = 0;
}

void view_close(struct view_files *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->decoders.len; i++)
		view_decoder_free(v->decoders.items[i]);
	vec_release(&v->decoders);
	view_mounts_clear(v);
	vec_release(&v->mounts);
	image_release(&v->image);
	pthread_mutex_destroy(&v->lock);
	if (v->backing.close)
		v->backing.close(v->backing.ctx);
	free(v);
}

bool view_on_disk(const struct image_volume *v, int disk)
{
	if (disk < 0)
		return true;
	return v->segments.len && v->segments.items[0].disk == (uint32_t)disk;
}

static int tree_find(struct view_files *v, const struct oid *dir,
	const void *name, size_t len, struct entry *out, struct buf *data,
	struct error *e)
{
	return library_damage(tree_lookup(v->get_tree, v->get_ctx, dir, name, len, out,
			      data, e),
		e);
}

/* The entry of a folder in a volume, by a path without symlinks. */
static int volume_folder(struct view_files *v, size_t volume,
	const char *prefix, struct entry *out, struct buf *data,
	struct error *e)
{
	const struct image_volume *iv = &v->image.volumes.items[volume];
	struct cursor at;
	int r;

	buf_add(data, iv->root.data, iv->root.len);
	if (data->oom)
		return error_nomem(e);
	at = cursor_make(data->data, data->len);
	r = library_damage(entry_decode(&at, out, e), e);
	while (!r && *prefix) {
		size_t n;

		prefix += strspn(prefix, "/");
		n = strcspn(prefix, "/");
		if (n) {
			struct oid id = out->id;

			r = tree_find(v, &id, prefix, n, out, data, e);
		}
		if (!r && out->type != ENTRY_DIR)
			r = error_set(e, ERR_NOTFOUND, "not a folder");
		prefix += n;
	}
	out->name_len = 0;
	return r;
}

int view_mount_add(struct view_files *v, const char *path, size_t volume,
	const char *prefix, bool replace_root, struct error *e)
{
	struct view_mount m = { .path = strdup(path),
		.volume = volume,
		.prefix = strdup(prefix) };
	size_t at;
	int r = m.path && m.prefix ? volume_folder(v, volume, prefix, &m.root,
					     &m.data, e)
				   : error_nomem(e);

	if (!r && replace_root)
		view_mounts_clear(v);
	at = v->mounts.len;
	for (size_t i = 0; i < v->mounts.len && !r; i++)
		if (!strcmp(v->mounts.items[i].path, path))
			at = i; /* the later one hides the earlier one */
	if (!r && at == v->mounts.len) {
		if (vec_push(&v->mounts, m))
			return 0;
		r = error_nomem(e);
	}
	if (!r) {
		struct view_mount old = v->mounts.items[at];

		v->mounts.items[at] = m;
		m = old;
	}
	view_mount_drop(&m);
	return r;
}

static int mount_one(struct view_files *v, int disk, const char *volume,
	struct error *e)
{
	for (size_t i = 0; i < v->image.volumes.len; i++) {
		const struct image_volume *iv = &v->image.volumes.items[i];

		if (strcmp(iv->name, volume) != 0 || !view_on_disk(iv, disk))
			continue;
		if (!iv->has_tree)
			return error_set(e, ERR_NOTFOUND,
				"volume %s (%s) has no files that are known",
				volume, *iv->fs ? iv->fs : "unknown");
		return view_mount_add(v, "", i, "", true, e);
	}
	if (!strcmp(volume, "C") || !strcmp(volume, "c"))
		return view_mount_windows(v, disk, e);
	return error_set(e, ERR_NOTFOUND, "the image has no volume '%s'",
		volume);
}

static int mount_volumes(struct view_files *v, int disk, const char *volume,
	struct error *e)
{
	v->merged = !volume;
	if (disk >= 0 && (size_t)disk >= v->image.disks.len)
		return error_set(e, ERR_NOTFOUND,
			"the image has %zu disk%s, not a disk %d",
			v->image.disks.len,
			v->image.disks.len == 1 ? "" : "s", disk);
	return volume ? mount_one(v, disk, volume, e)
		      : view_mount_all(v, disk, e);
}

int view_open(struct library *l, const struct oid *image, int disk,
	const char *volume, struct view_files **out, struct error *e)
{
	AUTO_VIEW v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return error_nomem(e);
	v->l = l;
	v->get_tree = library_get_tree;
	v->get_ctx = l;
	pthread_mutex_init(&v->lock, NULL);
	r = library_get_image(l, image, &v->image, e);
	if (!r)
		r = mount_volumes(v, disk, volume, e);
	if (!r)
		*out = steal_ptr(v);
	return r;
}

int view_open_backed(struct image *image, const struct view_backing *b,
	int disk, const char *volume, struct view_files **out, struct error *e)
{
	AUTO_VIEW v = calloc(1, sizeof(*v));
	int r;

	if (!v) {
		image_release(image);
		b->close(b->ctx);
		return error_nomem(e);
	}
	v->backing = *b;
	v->get_tree = b->tree;
	v->get_ctx = b->ctx;
	v->image = *image;
	memset(image, 0, sizeof(*image));
	pthread_mutex_init(&v->lock, NULL);
	r = mount_volumes(v, disk, volume, e);
	if (!r)
		*out = steal_ptr(v);
	return r;
}

int view_open_commit(struct library *l, const struct oid *commit, int disk,
	const char *volume, struct view_files **out, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	int r = library_get_commit(l, commit, &c, e);

	return r ? r : view_open(l, &c.image, disk, volume, out, e);
}

/* --- finding --- */

void view_node_release(struct view_node *n)
{
	buf_release(&n->data);
	buf_release(&n->path);
	memset(n, 0, sizeof(*n));
}

/* The mount at path (its first len bytes), or -1. */
static int mount_at(const struct view_files *v, const char *path, size_t len)
{
	for (size_t i = 1; i < v->mounts.len; i++) {
		const char *p = v->mounts.items[i].path;

		if (strlen(p) == len && !memcmp(p, path, len))
			return (int)i;
	}
	return -1;
}

static bool folds_case(const struct view_files *v, unsigned mount)
{
	const char *fs =
		v->image.volumes.items[v->mounts.items[mount].volume].fs;

	return !strcmp(fs, "vfat") || !strcmp(fs, "exfat") ||
	       !strcmp(fs, "ntfs");
}

/* One character of UTF-8, in a form that is the same for both cases of the
 * alphabets that have them in one row: Latin-1, Greek, Cyrillic. What is not
 * UTF-8 stands for itself. */
static uint32_t fold_next(const uint8_t **p, size_t *left)
{
	uint32_t c = *(*p)++;

	--*left;
	if (c >= 0xc3 && c < 0xe0 && *left && (**p & 0xc0) == 0x80) {
		c = (c & 0x1f) << 6 | (**p & 0x3f);
		++*p;
		--*left;
		if ((c >= 0xe0 && c <= 0xfe && c != 0xf7) ||
			(c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) ||
			(c >= 0x430 && c <= 0x44f))
			return c - 32;
		if (c >= 0x450 && c <= 0x45f)
			return c - 80;
		if (c >= 0x100 && c <= 0x137)
			return c & ~1u;
		return c;
	}
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

static bool same_folded(const uint8_t *a, size_t an, const uint8_t *b,
	size_t bn)
{
	while (an && bn)
		if (fold_next(&a, &an) != fold_next(&b, &bn))
			return false;
	return !an && !bn;
}

static int find_folded(struct view_files *v, const struct oid *dir,
	const void *name, size_t len, struct entry *out, struct buf *data,
	struct error *e)
{
	struct tree_iter it;
	int r = tree_iter_open(&it, v->get_tree, v->get_ctx, dir, e);

	if (r)
		return library_damage(r, e);
	while ((r = tree_iter_next(&it, out, e)) > 0)
		if (same_folded(out->name, out->name_len, name, len))
			break;
	r = library_damage(r, e);
	if (r > 0) {
		AUTO_BUF real = BUF_INIT;

		buf_add(&real, out->name, out->name_len);
		r = real.oom ? error_nomem(e)
			     : tree_find(v, dir, real.data, real.len, out,
				       data, e);
	} else if (!r) {
		r = error_set(e, ERR_NOTFOUND, "no such name");
	}
	tree_iter_release(&it);
	return r;
}

struct step {
	struct oid id;
	unsigned mount;
	size_t path_len; /* of the path up to here */
};

struct lookup {
	struct view_files *v;
	VEC(struct step) steps; /* folders from the root to here */
	struct buf todo;	/* what is left of the path */
	size_t at;		/* in todo */
	unsigned links;
	struct view_node *out;
};

static int push(struct lookup *k, const struct oid *id, unsigned mount,
	struct error *e)
{
	if (k->steps.len > LIMIT_DEPTH)
		return error_set(e, ERR_LIMIT, "over %d folders deep",
			LIMIT_DEPTH);
	return vec_push(&k->steps,
		       (struct step){ *id, mount, k->out->path.len })
		       ? 0
		       : error_nomem(e);
}

/* Finds name in the folder at hand: an entry, or the root of a mount. */
static int find_here(struct lookup *k, const char *name, size_t len,
	struct error *e)
{
	struct view_node *out = k->out;
	const struct step *s = vec_last(&k->steps);
	size_t base = out->path.len;
	int m, r;

	buf_addch(&out->path, '/');
	buf_add(&out->path, name, len);
	if (out->path.oom)
		return error_nomem(e);
	out->mount = s->mount;
	m = mount_at(k->v, (char *)out->path.data, out->path.len);
	if (m >= 0) {
		out->mount = (unsigned)m;
		out->x = k->v->mounts.items[m].root;
		return 0;
	}
	r = tree_find(k->v, &s->id, name, len, &out->x, &out->data, e);
	if (r != ERR_NOTFOUND || !folds_case(k->v, s->mount))
		return r;
	r = find_folded(k->v, &s->id, name, len, &out->x, &out->data, e);
	if (!r) {
		out->path.len = base + 1;
		buf_add(&out->path, out->x.name, out->x.name_len);
		m = mount_at(k->v, (char *)out->path.data, out->path.len);
		if (m >= 0) {
			out->mount = (unsigned)m;
			out->x = k->v->mounts.items[m].root;
		}
	}
	return r;
}

/* Puts a symlink's target before what is left of the path. */
static int follow_link(struct lookup *k, struct error *e)
{
	struct view t = k->out->x.target;
	AUTO_BUF todo = BUF_INIT;

	if (++k->links > LIMIT_VIEW_SYMLINKS)
		return error_set(e, ERR_LIMIT,
			"too many levels of symbolic links");
	if (!t.len || memchr(t.data, 0, t.len))
		return error_set(e, ERR_NOTFOUND, "the symlink leads nowhere");
	buf_add(&todo, t.data, t.len);
	buf_addch(&todo, '/');
	if (k->todo.len - k->at > 0)
		buf_add(&todo, k->todo.data + k->at, k->todo.len - k->at);
	else
		todo.len--;
	if (todo.oom)
		return error_nomem(e);
	if (todo.len > LIMIT_VIEW_PATH)
		return error_set(e, ERR_LIMIT, "the path is too long");
	if (t.data[0] == '/')
		k->steps.len = 1;
	buf_release(&k->todo);
	k->todo = todo;
	todo = (struct buf)BUF_INIT;
	k->at = 0;
	k->out->path.len = vec_last(&k->steps)->path_len;
	return 0;
}

/* One component. 1: it is the last and not a folder. */
static int step(struct lookup *k, bool follow, struct error *e)
{
	const char *p = (char *)k->todo.data + k->at;
	size_t left = k->todo.len - k->at, n = 0;
	struct view_node *out = k->out;
	bool last, folder;
	int r;

	while (n < left && p[n] != '/')
		n++;
	k->at += n;
	if (n == 1 && *p == '.')
		return 0;
	if (n == 2 && p[0] == '.' && p[1] == '.') {
		if (k->steps.len > 1)
			k->steps.len--;
		out->path.len = vec_last(&k->steps)->path_len;
		return 0;
	}
	folder = n < left; /* a '/' is behind it */
	while (n < left && p[n] == '/')
		n++;
	last = n == left;
	r = find_here(k, p, k->at - (size_t)(p - (char *)k->todo.data), e);
	if (r)
		return r;
	if (out->x.type == ENTRY_DIR)
		return push(k, &out->x.id, out->mount, e);
	if (out->x.type == ENTRY_SYMLINK && (!last || follow || folder))
		return follow_link(k, e);
	if (!last || folder)
		return error_set(e, ERR_NOTFOUND, "not a folder");
	return 1;
}

/* The entry of the folder that the path ended on. */
static int folder_entry(struct lookup *k, struct error *e)
{
	struct view_node *out = k->out;
	const struct step *s = vec_last(&k->steps);
	const struct view_mount *m = &k->v->mounts.items[s->mount];
	size_t base = k->steps.len > 1 ? s[-1].path_len : 0;
	int r = 0;

	out->mount = s->mount;
	if (k->steps.len == 1 || s[-1].mount != s->mount)
		out->x = m->root;
	else
		r = tree_find(k->v, &s[-1].id, out->path.data + base + 1,
			out->path.len - base - 1, &out->x, &out->data, e);
	if (!out->path.len)
		buf_addch(&out->path, '/');
	return r;
}

int view_lookup(struct view_files *v, const char *path, bool follow,
	struct view_node *out, struct error *e)
{
	struct lookup k = { .v = v, .out = out };
	int r = 0;

	memset(out, 0, sizeof(*out));
	buf_addstr(&k.todo, path);
	if (k.todo.len > LIMIT_VIEW_PATH)
		r = error_set(e, ERR_LIMIT, "the path is too long");
	if (!r)
		r = push(&k, &v->mounts.items[0].root.id, 0, e);
	while (!r) {
		while (k.at < k.todo.len && k.todo.data[k.at] == '/')
			k.at++;
		if (k.at >= k.todo.len) {
			r = k.todo.oom ? error_nomem(e) : folder_entry(&k, e);
			break;
		}
		r = step(&k, follow, e);
	}
	if (r == ERR_NOTFOUND && e && !strcmp(e->msg, "no such name"))
		error_set(e, r, "no such file or folder");
	buf_str(&out->path);
	if (r >= 0 && out->path.oom)
		r = error_nomem(e);
	if (r < 0)
		view_node_release(out);
	vec_release(&k.steps);
	buf_release(&k.todo);
	return r < 0 ? r : 0;
}

/* --- listing --- */

static const char *mount_name(const struct view_files *v, unsigned m)
{
	return strrchr(v->mounts.items[m].path, '/') + 1;
}

bool view_mounts_below(const struct view_files *v, const char *path)
{
	size_t n = strlen(path);

	while (n && path[n - 1] == '/')
		n--;
	for (size_t i = 1; i < v->mounts.len; i++)
		if (!strncmp(v->mounts.items[i].path, path, n) &&
			v->mounts.items[i].path[n] == '/')
			return true;
	return false;
}

/* A name that a folder of a file system cannot have, so that no tree (which a
 * peer may have made) brings it to the host. */
static bool name_is_bad(const struct entry *x)
{
	return !x->name_len || memchr(x->name, '/', x->name_len) ||
	       memchr(x->name, 0, x->name_len) ||
	       (x->name[0] == '.' &&
		       (x->name_len == 1 ||
			       (x->name_len == 2 && x->name[1] == '.')));
}

static int read_ahead(struct view_dir *d, struct error *e)
{
	int r = tree_iter_next(&d->it, &d->next, e);

	d->have = r > 0;
	if (r > 0 && name_is_bad(&d->next))
		return error_set(e, ERR_DAMAGED,
			"library: a tree holds a name that no folder can "
			"have");
	return r < 0 ? library_damage(r, e) : 0;
}

int view_dir_open(struct view_files *v, const char *path, unsigned mount,
	const struct oid *id, struct view_dir *out, struct error *e)
{
	size_t n = strlen(path);
	int r;

	memset(out, 0, sizeof(*out));
	while (n && path[n - 1] == '/')
		n--;
	out->v = v;
	out->mount = mount;
	for (unsigned i = 1; i < v->mounts.len; i++) {
		const char *p = v->mounts.items[i].path;
		size_t k;

		if (strncmp(p, path, n) != 0 || p[n] != '/' ||
			strchr(p + n + 1, '/'))
			continue;
		if (!vec_push(&out->mounts, i)) {
			view_dir_release(out);
			return error_nomem(e);
		}
		for (k = out->mounts.len - 1;
			k && strcmp(mount_name(v, out->mounts.items[k - 1]),
				     mount_name(v, i)) > 0;
			k--)
			out->mounts.items[k] = out->mounts.items[k - 1];
		out->mounts.items[k] = i;
	}
	r = library_damage(tree_iter_open(&out->it, v->get_tree, v->get_ctx, id, e), e);
	if (r)
		view_dir_release(out);
	return r;
}

void view_dir_release(struct view_dir *d)
{
	tree_iter_release(&d->it);
	vec_release(&d->mounts);
}

int view_dir_next(struct view_dir *d, struct entry *out, unsigned *out_mount,
	struct error *e)
{
	struct view name;
	unsigned m;
	int c = 1;

	if (!d->have) {
		int r = read_ahead(d, e);

		if (r)
			return r;
	}
	if (d->at == d->mounts.len) {
		*out = d->next;
		*out_mount = d->mount;
		if (!d->have)
			return 0;
		d->have = false;
		return 1;
	}
	m = d->mounts.items[d->at];
	name.data = (const uint8_t *)mount_name(d->v, m);
	name.len = strlen((const char *)name.data);
	if (d->have) {
		c = memcmp(d->next.name, name.data,
			size_min(d->next.name_len, name.len));
		if (!c)
			c = (d->next.name_len > name.len) -
			    (d->next.name_len < name.len);
	}
	if (d->have && c <= 0)
		d->have = false; /* it, or what it hides, is done with */
	if (c < 0) {
		*out = d->next;
		*out_mount = d->mount;
		return 1;
	}
	d->at++;
	*out = d->v->mounts.items[m].root;
	out->name = name.data;
	out->name_len = name.len;
	*out_mount = m;
	return 1;
}
