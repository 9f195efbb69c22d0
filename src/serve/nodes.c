/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/nodes.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "codec/digest.h"
#include "serve/qcow2_image.h"
#include "view/view.h"

/* Files below this are read whole anyway. */
#define READAHEAD_MIN (1 * MIB)

/* --- views --- */

/* With the lock held. */
static struct node_view *view_ref(struct node_view *v)
{
	v->refs++;
	return v;
}

static void view_unref(struct nodes *t, struct node_view *v)
{
	struct node_view **p = &t->views;

	if (!v || --v->refs)
		return;
	while (*p != v)
		p = &(*p)->next;
	*p = v->next;
	pins_drop(t->pins, &v->commit);
	view_close(v->files);
	free(v);
}

/* The files of a commit, with one reference more. Without the lock. */
static int view_get(struct nodes *t, const struct oid *commit, int disk,
	const char *volume, struct node_view **out, struct error *e)
{
	struct node_view *v;
	struct view_files *files = NULL;
	int r;

	pthread_mutex_lock(&t->lock);
	for (v = t->views; v; v = v->next)
		if (oid_equal(&v->commit, commit)) {
			*out = view_ref(v);
			pthread_mutex_unlock(&t->lock);
			return 0;
		}
	pthread_mutex_unlock(&t->lock);
	r = pins_add(t->lib, t->pins, commit, e);
	if (r)
		return r;
	r = view_open_commit(t->lib, commit, disk, volume, &files, e);
	v = r ? NULL : calloc(1, sizeof(*v));
	if (!v) {
		pins_drop(t->pins, commit);
		view_close(files);
		return r ? r : error_nomem(e);
	}
	v->commit = *commit;
	v->refs = 1;
	v->files = files;
	pthread_mutex_lock(&t->lock);
	v->next = t->views;
	t->views = v;
	pthread_mutex_unlock(&t->lock);
	*out = v;
	return 0;
}

/* --- numbers --- */

static uint64_t mix(uint64_t h, const void *p, size_t len)
{
	AUTO_BUF b = BUF_INIT;
	uint8_t small[512];

	if (len <= sizeof(small) - 8) {
		memcpy(small, &h, 8);
		memcpy(small + 8, p, len);
		return checksum64(small, len + 8);
	}
	buf_add(&b, &h, 8);
	buf_add(&b, p, len);
	return b.oom ? h * UINT64_C(0x9e3779b97f4a7c15) + len
		     : checksum64(b.data, b.len);
}

static const struct node *image_root(const struct node *n)
{
	while (n->parent && n->parent->kind == NODE_ENTRY)
		n = n->parent;
	return n;
}

/* 0 and 1 have meanings. The highest bit stays free for those who keep
 * numbers in signed integers. */
static uint64_t hash_of(struct node *dir, const struct child *c)
{
	uint64_t h;

	if (c->kind == NODE_ENTRY && dir->kind == NODE_ENTRY &&
		c->x.link_group) {
		uint64_t key[2] = { dir->view->files->mounts.items[c->mount]
					    .volume,
			c->x.link_group };

		h = mix(image_root(dir)->id ^ 0x6c696e6b, key, sizeof(key));
	} else {
		h = mix(dir->id, c->name, c->name_len);
		/* A branch that moved is another folder. */
		if (c->moving)
			h = mix(h, c->commit.b, sizeof(c->commit.b));
	}
	h &= INT64_MAX;
	return h < 16 ? h + 16 : h;
}

static struct node **bucket(struct nodes *t, uint64_t id)
{
	return &t->buckets[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 48];
}

static struct node *find_id(struct nodes *t, uint64_t id)
{
	struct node *n = *bucket(t, id);

	while (n && n->id != id)
		n = n->next;
	return n;
}

/* Is the node what the child is? */
static bool same(const struct node *n, const struct node *dir,
	const struct child *c)
{
	if (n->kind != c->kind)
		return false;
	if (c->kind == NODE_ENTRY && dir->kind == NODE_ENTRY &&
		c->x.link_group)
		return n->x.link_group == c->x.link_group &&
		       n->view == dir->view && n->parent &&
		       image_root(n) == image_root(dir) &&
		       n->view->files->mounts.items[n->mount].volume ==
			       n->view->files->mounts.items[c->mount].volume;
	return n->parent == dir && strlen(n->name) == c->name_len &&
	       !memcmp(n->name, c->name, c->name_len) &&
	       (!c->moving || oid_equal(&n->commit, &c->commit));
}

/* With the lock held: the number, and the node if it is there. */
static uint64_t number_of(struct nodes *t, struct node *dir,
	const struct child *c, struct node **out)
{
	uint64_t id = hash_of(dir, c);

	while ((*out = find_id(t, id)) && !same(*out, dir, c))
		id = id == INT64_MAX ? 16 : id + 1;
	return id;
}

uint64_t nodes_number(struct nodes *t, struct node *dir, const struct child *c)
{
	struct node *n;
	uint64_t id;

	pthread_mutex_lock(&t->lock);
	id = number_of(t, dir, c, &n);
	pthread_mutex_unlock(&t->lock);
	return id;
}

struct node *nodes_get(struct nodes *t, uint64_t id)
{
	struct node *n;

	if (id == 1)
		return t->root;
	pthread_mutex_lock(&t->lock);
	n = find_id(t, id);
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* --- nodes --- */

/* With the lock held: one reference less, and the parents that only it held.
 */
static void node_unref(struct nodes *t, struct node *n)
{
	while (n && !--n->refs) {
		struct node *up = n->parent, **p = bucket(t, n->id);

		while (*p != n)
			p = &(*p)->next;
		*p = n->next;
		t->count--;
		readahead_free(n->ra);
		source_unref(n->src);
		view_unref(t, n->view);
		pthread_mutex_destroy(&n->lock);
		free(n->name);
		free(n->part);
		free(n->data);
		free(n);
		n = up;
	}
}

/* Copies what the entry points to. */
static bool keep_entry(struct node *n, const struct entry *x)
{
	uint8_t *p = malloc(x->target.len + x->xattrs.len + 1);

	if (!p)
		return false;
	n->x = *x;
	n->x.name = NULL;
	n->x.name_len = 0;
	if (x->target.len)
		memcpy(p, x->target.data, x->target.len);
	if (x->xattrs.len)
		memcpy(p + x->target.len, x->xattrs.data, x->xattrs.len);
	n->x.target.data = p;
	n->x.xattrs.data = p + x->target.len;
	n->data = p;
	return true;
}

static struct node *node_new(const struct child *c)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	pthread_mutex_init(&n->lock, NULL);
	n->kind = c->kind;
	n->moving = c->moving;
	n->date = c->date;
	n->mount = c->mount;
	n->branch = c->branch;
	n->prefix = c->prefix;
	n->commit = c->commit;
	n->disk = c->disk;
	n->qcow2 = c->qcow2;
	n->name = strndup(c->name, c->name_len);
	n->part = c->part ? strdup(c->part) : NULL;
	if (!n->name || (c->part && !n->part) ||
		(c->kind == NODE_ENTRY && !keep_entry(n, &c->x))) {
		pthread_mutex_destroy(&n->lock);
		free(n->name);
		free(n->part);
		free(n->data);
		free(n);
		return NULL;
	}
	return n;
}

int nodes_make(struct nodes *t, struct node *dir, const struct child *c_arg,
	struct node **out, struct error *e)
{
	struct child c = *c_arg;
	struct node_view *view = NULL;
	struct node *n, *fresh;
	uint64_t id;

	/* The root of another image. */
	if (c.kind == NODE_ENTRY && dir->kind != NODE_ENTRY) {
		int r = view_get(t, &c.commit, -1, NULL, &view, e);

		if (r)
			return r;
		c.x = view->files->mounts.items[0].root;
		c.mount = 0;
	}
	pthread_mutex_lock(&t->lock);
	id = number_of(t, dir, &c, &n);
	if (!n) {
		fresh = node_new(&c);
		if (!fresh) {
			view_unref(t, view);
			pthread_mutex_unlock(&t->lock);
			return error_nomem(e);
		}
		n = fresh;
		n->id = id;
		n->parent = dir;
		dir->refs++;
		if (view)
			n->view = steal_ptr(view);
		else if (c.kind == NODE_ENTRY)
			n->view = view_ref(dir->view);
		n->next = *bucket(t, id);
		*bucket(t, id) = n;
		t->count++;
	}
	view_unref(t, view);
	if (!n->lookups++)
		n->refs++;
	pthread_mutex_unlock(&t->lock);
	*out = n;
	return 0;
}

void nodes_forget(struct nodes *t, uint64_t id, uint64_t lookups)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	n = id == 1 ? NULL : find_id(t, id);
	if (n && n->lookups) {
		n->lookups -= u64_min(lookups, n->lookups);
		if (!n->lookups)
			node_unref(t, n);
	}
	pthread_mutex_unlock(&t->lock);
}

char *node_path(const struct node *n)
{
	VEC(const struct node *) up = { 0 };
	AUTO_BUF b = BUF_INIT;

	for (; n->parent && n->parent->kind == NODE_ENTRY; n = n->parent)
		if (!vec_push(&up, n))
			b.oom = true;
	while (up.len) {
		buf_addch(&b, '/');
		buf_addstr(&b, up.items[--up.len]->name);
	}
	vec_release(&up);
	return buf_steal(&b);
}

/* --- finding by name --- */

static bool folds_case(const struct node *dir)
{
	const struct view_files *v = dir->view->files;
	const char *fs = v->image.volumes.items[v->mounts.items[dir->mount]
							 .volume]
				 .fs;

	return !strcmp(fs, "vfat") || !strcmp(fs, "exfat") ||
	       !strcmp(fs, "ntfs");
}

static int lookup_entry(struct nodes *t, struct node *dir, const char *name,
	struct node **out, struct error *e)
{
	struct view_files *v = dir->view->files;
	struct child c = { .name = name,
		.name_len = strlen(name),
		.kind = NODE_ENTRY,
		.mount = dir->mount };
	AUTO_FREE char *path = node_path(dir);
	AUTO_NODE found = { 0 };
	AUTO_BUF full = BUF_INIT;
	int r;

	if (!path)
		return error_nomem(e);
	buf_printf(&full, "%s/%s", path, name);
	for (size_t i = 1; i < v->mounts.len; i++)
		if (!strcmp(v->mounts.items[i].path, buf_str(&full))) {
			c.mount = (unsigned)i;
			c.x = v->mounts.items[i].root;
			return nodes_make(t, dir, &c, out, e);
		}
	r = tree_lookup(v->get_tree, v->get_ctx, &dir->x.id, name, c.name_len,
		&c.x, &found.data, e);
	if (r == ERR_NOTFOUND && folds_case(dir)) {
		buf_release(&found.data);
		r = view_lookup(v, buf_str(&full), false, &found, e);
		c.x = found.x;
		c.mount = found.mount;
	}
	return r ? r : nodes_make(t, dir, &c, out, e);
}

int nodes_lookup(struct nodes *t, struct node *dir, const char *name,
	struct node **out, struct error *e)
{
	AUTO_FREE char *keep = NULL;
	struct child c;
	int r;

	if (dir->kind == NODE_ENTRY &&
		!(dir->branch && !strcmp(name, ".versions"))) {
		if (dir->x.type != ENTRY_DIR)
			return error_set(e, ERR_NOTFOUND, "not a folder");
		return lookup_entry(t, dir, name, out, e);
	}
	r = node_virtual_find(t, dir, name, &c, &keep, e);
	return r ? r : nodes_make(t, dir, &c, out, e);
}

/* --- listing --- */

int node_dir_open(struct nodes *t, struct node *dir, struct node_dir **out,
	struct error *e)
{
	struct node_dir *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_nomem(e);
	if (dir->kind == NODE_ENTRY) {
		AUTO_FREE char *path = node_path(dir);

		d->is_entries = true;
		r = path ? view_dir_open(dir->view->files, path, dir->mount,
				   &dir->x.id, &d->entries, e)
			 : error_nomem(e);
		if (r)
			d->is_entries = false;
	} else {
		r = node_virtual_list(t, dir, d, e);
	}
	pthread_mutex_lock(&t->lock);
	d->dir = dir;
	dir->refs++;
	pthread_mutex_unlock(&t->lock);
	if (r)
		node_dir_close(t, d);
	else
		*out = d;
	return r;
}

int node_dir_next(struct node_dir *d, struct child *out, struct error *e)
{
	int r;

	if (!d->is_entries) {
		if (d->at == d->list.len)
			return 0;
		*out = d->list.items[d->at++];
		return 1;
	}
	*out = (struct child){ .kind = NODE_ENTRY };
	r = view_dir_next(&d->entries, &out->x, &out->mount, e);
	if (r <= 0)
		return r;
	/* Names end with NUL on the way to the kernel. */
	buf_clear(&d->name);
	buf_add(&d->name, out->x.name, out->x.name_len);
	out->name = buf_str(&d->name);
	out->name_len = out->x.name_len;
	return d->name.oom ? error_nomem(e) : 1;
}

void node_dir_close(struct nodes *t, struct node_dir *d)
{
	if (d->is_entries)
		view_dir_release(&d->entries);
	for (size_t i = 0; i < d->names.len; i++)
		free(d->names.items[i]);
	vec_release(&d->names);
	vec_release(&d->list);
	buf_release(&d->name);
	pthread_mutex_lock(&t->lock);
	node_unref(t, d->dir);
	pthread_mutex_unlock(&t->lock);
	free(d);
}

/* --- content --- */

static int open_disk(struct nodes *t, struct node *n, struct source **out,
	struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	AUTO_SOURCE disk = NULL;
	int r = library_get_commit(t->lib, &n->commit, &c, e);

	if (!r)
		r = library_get_image(t->lib, &c.image, &im, e);
	if (!r && n->disk >= im.disks.len)
		r = error_set(e, ERR_NOTFOUND, "no such disk");
	if (!r)
		r = view_disk(t->lib, &im.disks.items[n->disk], &disk, e);
	if (r)
		return r;
	if (n->qcow2)
		return qcow2_image(disk, out, e);
	*out = steal_ptr(disk);
	return 0;
}

int node_open(struct nodes *t, struct node *n, struct source **out,
	struct error *e)
{
	int r = 0;

	pthread_mutex_lock(&n->lock);
	if (!n->src && n->kind == NODE_DISK) {
		r = open_disk(t, n, &n->src, e);
	} else if (!n->src) {
		AUTO_FREE char *path = node_path(n);

		r = path ? view_open_file(n->view->files, n->mount, path,
				   &n->x, &n->src, e)
			 : error_nomem(e);
	}
	if (!r && !n->ra && t->prefetch && n->src->size >= READAHEAD_MIN)
		n->ra = readahead_new(t->prefetch, n->src, t->readahead);
	*out = n->src;
	pthread_mutex_unlock(&n->lock);
	return r;
}

uint64_t node_size(struct nodes *t, struct node *n)
{
	struct source *src;

	if (n->kind == NODE_ENTRY)
		return n->x.type == ENTRY_FILE ? n->x.size : n->x.target.len;
	if (n->kind != NODE_DISK || node_open(t, n, &src, NULL))
		return 0;
	return src->size;
}

/* --- opening and closing --- */

int nodes_open(struct nodes *t, struct library *l, struct pins *pins,
	enum nodes_root what, const struct oid *commit, int disk,
	const char *volume, struct error *e)
{
	static const enum node_kind kinds[] = { NODE_ENTRY, NODE_DISKS,
		NODE_ALL };
	struct child c = { .name = "", .kind = kinds[what] };
	struct node_view *view = NULL;
	int r = 0;

	memset(t, 0, sizeof(*t));
	t->lib = l;
	t->pins = pins;
	t->readahead = 4 * MIB;
	pthread_mutex_init(&t->lock, NULL);
	if (commit)
		c.commit = *commit;
	if (commit && what != NODES_ALL)
		r = pins_add(l, pins, commit, e);
	if (!r && what == NODES_FILES)
		r = view_get(t, commit, disk, volume, &view, e);
	if (r)
		return r;
	if (view)
		c.x = view->files->mounts.items[0].root;
	t->root = node_new(&c);
	if (!t->root)
		return error_nomem(e);
	t->root->id = 1;
	t->root->refs = 1;
	t->root->view = view;
	return 0;
}

void nodes_close(struct nodes *t)
{
	/* Whatever the kernel still counted on. */
	for (size_t i = 0; i < NODE_BUCKETS; i++)
		for (struct node *n = t->buckets[i]; n;) {
			struct node *next = n->next;

			readahead_free(n->ra);
			source_unref(n->src);
			free(n->name);
			free(n->part);
			free(n->data);
			pthread_mutex_destroy(&n->lock);
			free(n);
			n = next;
		}
	if (t->root) {
		source_unref(t->root->src);
		free(t->root->name);
		free(t->root->data);
		free(t->root);
	}
	while (t->views) {
		struct node_view *v = t->views;

		t->views = v->next;
		pins_drop(t->pins, &v->commit);
		view_close(v->files);
		free(v);
	}
	pthread_mutex_destroy(&t->lock);
}
