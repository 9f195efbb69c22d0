/* SPDX-License-Identifier: Apache-2.0 */
/* File systems that are files of another file system: the squashfs of a live
 * ISO, and the ext4 in that one.
 *
 * They are found by name and then by their magic, so that looking for them
 * costs a few folders, not a walk. Where such a file stands on the disk as it
 * is, the volume is mapped to the disk through the file's extents; else (it is
 * compressed) it is read through the outer file system. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "survey/build.h"

/* Smaller ones are boot images and test data, not systems. */
#define NESTED_MIN (64 * 1024)

struct folder {
	uint64_t id;
	char *path; /* "" or "live/"; owned */
	unsigned depth;
};

struct candidate {
	char *path; /* "live/filesystem.squashfs"; owned */
	struct fs_node node;
};

struct name {
	size_t off, len;
	uint64_t id;
	bool no_folder;
};

struct search {
	struct fs *fs;
	size_t names_seen;
	struct buf names; /* of the folder at hand */
	VEC(struct name) items;
	VEC(struct folder) folders;
	VEC(struct candidate) found;
};

static void search_release(struct search *k)
{
	for (size_t i = 0; i < k->folders.len; i++)
		free(k->folders.items[i].path);
	for (size_t i = 0; i < k->found.len; i++)
		free(k->found.items[i].path);
	vec_release(&k->folders);
	vec_release(&k->found);
	vec_release(&k->items);
	buf_release(&k->names);
	if (k->fs)
		k->fs->ops->close(k->fs);
}

/* --- looking for files --- */

static bool ends_in(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && !memcmp(s + len - n, end, n);
}

static bool is_image_name(const char *s, size_t len)
{
	static const char *const ends[] = { ".squashfs", ".squash", ".sqfs",
		".sqsh", ".sfs", ".erofs", ".efs", ".img" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (ends_in(s, len, ends[i]))
			return true;
	return false;
}

/* The path becomes a volume's name: it must be one that can be typed in
 * REV:VOLUME:/path, and printed. */
static bool is_plain_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == ':')
			return false;
	return len > 0;
}

static int on_name(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct search *k = ctx;
	struct name n = { k->names.len, len, id, k->fs->no_folder };

	if (++k->names_seen > LIMIT_NESTED_NAMES)
		return ERR_LIMIT;
	if (!is_plain_name((const char *)name, len))
		return 0;
	buf_add(&k->names, name, len);
	return k->names.oom || !vec_push(&k->items, n) ? ERR_NOMEM : 0;
}

static char *join(const char *dir, const char *name, size_t len,
	const char *end)
{
	AUTO_BUF b = BUF_INIT;

	buf_addstr(&b, dir);
	buf_add(&b, name, len);
	buf_addstr(&b, end);
	return b.oom ? NULL : buf_steal(&b);
}

/* One folder; deep: remembers the folders in it. Damage is left to the walk
 * of the files, which reports it. */
static int look_in(struct search *k, const struct folder *f, bool deep,
	struct error *e)
{
	struct error err = { 0 };

	buf_clear(&k->names);
	k->items.len = 0;
	if (k->fs->ops->readdir(k->fs, f->id, on_name, k, &err) == ERR_NOMEM)
		return error_nomem(e);
	for (size_t i = 0; i < k->items.len; i++) {
		const struct name *n = &k->items.items[i];
		const char *s = (const char *)k->names.data + n->off;
		bool image = is_image_name(s, n->len);
		bool inner = deep && f->depth < 3 && !n->no_folder;
		struct candidate c = { 0 };

		if ((!image && !inner) ||
			k->fs->ops->stat(k->fs, n->id, &c.node, &err))
			continue;
		if (c.node.type == FS_DIR && inner) {
			struct folder sub = { n->id,
				join(f->path, s, n->len, "/"), f->depth + 1 };

			if (!sub.path || !vec_push(&k->folders, sub)) {
				free(sub.path);
				return error_nomem(e);
			}
		}
		if (!image || c.node.type != FS_FILE ||
			c.node.size < NESTED_MIN ||
			c.node.flags & (FS_NODE_OPAQUE | FS_NODE_ENCRYPTED) ||
			k->found.len >= LIMIT_NESTED_VOLUMES)
			continue;
		c.path = join(f->path, s, n->len, "");
		if (!c.path || !vec_push(&k->found, c)) {
			free(c.path);
			return error_nomem(e);
		}
	}
	return 0;
}

/* All folders near the root of a medium, those where live systems have their
 * images on any other file system. Ends by the cap on names, and by depth. */
static int search_volume(struct search *k, bool medium, struct error *e)
{
	static const char *const usual[] = { "", "live/", "casper/", "LiveOS/",
		"boot/" };
	int r = 0;

	for (size_t i = 0; i < (medium ? 1 : ARRAY_LEN(usual)); i++) {
		struct fs_node n;
		struct folder f = { 0 };

		if (survey_lookup(k->fs, usual[i], &n, NULL) ||
			n.type != FS_DIR)
			continue;
		f.id = n.id;
		f.path = strdup(usual[i]);
		if (!f.path || !vec_push(&k->folders, f)) {
			free(f.path);
			return error_nomem(e);
		}
	}
	for (size_t i = 0; i < k->folders.len && !r &&
			   k->names_seen < LIMIT_NESTED_NAMES;
		i++) {
		struct folder f = k->folders.items[i];

		r = look_in(k, &f, medium, e);
	}
	return r;
}

/* --- the file as a source --- */

struct file_source {
	struct source s;
	pthread_mutex_t lock; /* a reader is for one thread at a time */
	struct fs *fs;
	uint64_t id;
};

static int file_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct file_source *f = (struct file_source *)s;
	int r;

	pthread_mutex_lock(&f->lock);
	r = f->fs->ops->pread(f->fs, f->id, buf, len, off, e);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void file_close(struct source *s)
{
	struct file_source *f = (struct file_source *)s;

	f->fs->ops->close(f->fs);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct source_ops file_ops = {
	.name = "file of a file system",
	.pread = file_pread,
	.close = file_close,
};

static int open_file(const struct survey_volume *parent,
	const struct fs_node *n, struct source **out, struct error *e)
{
	AUTO_SOURCE src = NULL;
	struct file_source *f = calloc(1, sizeof(*f));
	int r = f ? survey_open_fs(parent, NULL, &f->fs, e) : error_nomem(e);

	if (r) {
		free(f);
		return r;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->id = n->id;
	source_init(&f->s, &file_ops, n->size);
	src = &f->s;
	/* The blocks of a compressed file are unpacked as a whole. */
	return source_cache(src, 128 * 1024, 4 * MIB, out, e);
}

/* The pieces of a file that stands on its volume as it is. */
struct pieces {
	const struct survey_volume *parent;
	uint64_t size, at;
	survey_segments segments;
	VEC(struct source_segment) sources; /* borrowed */
	bool oom;
};

static bool add_hole(struct pieces *p, uint64_t end)
{
	uint64_t len = end - p->at;

	if (!len)
		return true;
	p->at = end;
	p->oom = !vec_push(&p->segments, (struct survey_segment){
						 SURVEY_NO_DISK, 0, len }) ||
		 !vec_push(&p->sources,
			 (struct source_segment){ NULL, 0, len });
	return !p->oom;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct pieces *p = ctx;
	const struct survey_device *d;
	uint64_t len;

	if (x->file_off >= p->size || x->kind == FS_EXTENT_UNWRITTEN)
		return 0;
	if (x->kind != FS_EXTENT_DATA || x->dev >= p->parent->devs.len ||
		x->file_off < p->at ||
		p->segments.len >= LIMIT_NESTED_SEGMENTS)
		return 1;
	d = &p->parent->devs.items[x->dev];
	len = u64_min(x->len, p->size - x->file_off);
	if (!range_inside(x->dev_off, len, d->src->size))
		return 1;
	if (!add_hole(p, x->file_off))
		return ERR_NOMEM;
	p->at = x->file_off + len;
	if (!survey_map_range(&d->segments, x->dev_off, len, &p->segments) ||
		!vec_push(&p->sources, (struct source_segment){ d->src,
					       x->dev_off, len }))
		return ERR_NOMEM;
	return 0;
}

/* 1: its bytes are not on the disk as such. */
static int map_file(struct fs *fs, const struct survey_volume *parent,
	const struct fs_node *n, survey_segments *segments,
	struct source **out, struct error *e)
{
	struct pieces p = { .parent = parent, .size = n->size };
	struct error err = { 0 };
	int r = 1;

	/* What lies on no disk itself cannot be mapped to one. */
	if (!parent->nested || parent->devs.items[0].segments.len != 1 ||
		parent->devs.items[0].segments.items[0].disk != SURVEY_NO_DISK)
		r = fs->ops->extents(fs, n->id, on_extent, &p, &err);
	if (!r && !add_hole(&p, n->size))
		r = ERR_NOMEM;
	if (r != ERR_NOMEM && p.segments.len > LIMIT_NESTED_SEGMENTS)
		r = 1;
	if (!r)
		r = source_concat(p.sources.items, p.sources.len, out, e);
	else
		r = r == ERR_NOMEM ? error_nomem(e) : 1;
	vec_release(&p.sources);
	if (r)
		vec_release(&p.segments);
	else
		memcpy(segments, &p.segments, sizeof(*segments));
	return r;
}

/* --- volumes --- */

static bool is_taken(const struct survey *s, const char *name)
{
	for (size_t i = 0; i < s->volumes.len; i++)
		if (!strcmp(s->volumes.items[i].name, name))
			return true;
	return false;
}

/* An ISO image in a partition of itself shows the same file twice. */
static bool is_known(const struct survey *s, const survey_segments *g)
{
	for (size_t i = 0; i < s->volumes.len; i++) {
		const struct survey_volume *v = &s->volumes.items[i];
		const survey_segments *o = &v->devs.items[0].segments;
		size_t k = 0;

		while (v->nested && o->len == g->len && k < g->len &&
			o->items[k].disk == g->items[k].disk &&
			o->items[k].off == g->items[k].off &&
			o->items[k].len == g->items[k].len)
			k++;
		if (k == g->len && g->items[0].disk != SURVEY_NO_DISK)
			return true;
	}
	return false;
}

/* live/filesystem.squashfs; p2/live/filesystem.squashfs where there are two;
 * in another nested one always behind its name. */
static char *make_name(const struct survey *s, size_t parent, const char *path)
{
	const struct survey_volume *v = &s->volumes.items[parent];
	char *name;

	if (!v->nested && !is_taken(s, path))
		return strdup(path);
	name = join(v->name, "/", 1, path);
	if (name && is_taken(s, name)) {
		free(name);
		return NULL;
	}
	return name;
}

static bool is_wanted(const struct fs_ops *ops, const char *path, bool nested)
{
	if (!strcmp(ops->name, "squashfs") || !strcmp(ops->name, "erofs"))
		return true;
	/* LiveOS/squashfs.img holds LiveOS/rootfs.img. */
	return !strcmp(ops->name, "ext") &&
	       (nested || !strncmp(path, "LiveOS/", 7));
}

static int add_candidate(struct survey *s, size_t parent, struct fs *fs,
	const struct candidate *c, const struct finding_sink *findings,
	struct error *e)
{
	const struct survey_volume *pv = &s->volumes.items[parent];
	uint32_t disk = pv->disk;
	AUTO_SOURCE src = NULL;
	AUTO_FREE char *name = NULL;
	survey_segments segs = { 0 };
	struct survey_volume *v;
	const struct fs_ops *ops = NULL;
	struct fs_info info;
	struct error err = { 0 };
	int r = map_file(fs, pv, &c->node, &segs, &src, e);

	if (r == 1) {
		r = open_file(pv, &c->node, &src, &err);
		if (r)
			return r == ERR_NOMEM ? error_nomem(e) : 0;
		if (!vec_push(&segs, (struct survey_segment){ SURVEY_NO_DISK,
					     0, c->node.size }))
			return error_nomem(e);
	}
	if (r)
		return r;
	if (fs_probe(src, &ops, &info, &err) == FS_NO || !ops ||
		!is_wanted(ops, c->path, pv->nested) || is_known(s, &segs))
		goto out;
	name = make_name(s, parent, c->path);
	if (!name)
		goto out;
	r = survey_add_volume(s, name, disk, steal_ptr(src), NULL, &v, e);
	if (r)
		goto out;
	v->inner = v->nested = true;
	memcpy(&v->devs.items[0].segments, &segs, sizeof(segs));
	survey_probe_volume(v, findings);
	return 0;
out:
	vec_release(&segs);
	return r;
}

/* How to look for images in a volume: 0 not, 1 in the usual folders, 2 near
 * its root. */
static int how_to_search(const struct survey_volume *v)
{
	static const char *const media[] = { "iso9660", "udf", "fat" };
	static const char *const others[] = { "ext", "xfs", "btrfs", "exfat",
		"ntfs", "squashfs", "erofs" };

	if (!v->ops || !v->ops->open || v->member_of_other)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(media); i++)
		if (!strcmp(v->ops->name, media[i]))
			return 2;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (!strcmp(v->ops->name, others[i]))
			return 1;
	return 0;
}

int survey_add_nested(struct survey *s, const struct finding_sink *findings,
	struct error *e)
{
	size_t first = 0, outer = s->volumes.len;
	int r = 0;

	/* Each round looks in the volumes that the one before found. */
	for (unsigned depth = 0; depth < LIMIT_NESTED_DEPTH && !r; depth++) {
		size_t end = s->volumes.len;

		for (size_t i = first; i < end && !r; i++) {
			struct search k = { 0 };
			int how = how_to_search(&s->volumes.items[i]);

			if (!how || survey_open_fs(&s->volumes.items[i], NULL,
					    &k.fs, NULL))
				continue;
			r = search_volume(&k, how == 2, e);
			for (size_t n = 0; n < k.found.len && !r &&
					   s->volumes.len - outer <
						   LIMIT_NESTED_VOLUMES;
				n++)
				r = add_candidate(s, i, k.fs, &k.found.items[n],
					findings, e);
			search_release(&k);
		}
		first = end;
	}
	return r;
}
