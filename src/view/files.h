/* SPDX-License-Identifier: Apache-2.0 */
/* A stored image as a tree of files: one volume, or the merged view, in which
 * the volumes are mounted as the image's own fstab says.
 *
 * Paths are absolute bytes, "/" the root. Symlinks are followed inside the
 * image only. Nothing here is written; a view may be used by many threads at
 * once, except for a view_dir, which is its opener's.
 */
#ifndef STRATA_VIEW_FILES_H
#define STRATA_VIEW_FILES_H

#include <pthread.h>
#include "base/vec.h"
#include "library/library.h"
#include "model/tree.h"
#include "os/source.h"

/* A volume, or a part of one, shown at a path. */
struct view_mount {
	char *path;	   /* "" for the root, else "/boot/efi" */
	size_t volume;	   /* index in the image */
	char *prefix;	   /* which part of the volume: "" or "/@home" */
	struct entry root; /* views into data; no name */
	struct buf data;
};

struct view_decoder;

/* Where folders and contents come from when the image is not stored: ids are
 * what their owner makes of them. */
struct view_backing {
	record_get_fn tree;
	int (*open_file)(void *ctx, const struct entry *x, struct source **out,
		struct error *e);
	/* Appends a long attribute's value; x->size was checked. */
	int (*attr)(void *ctx, const struct xattr *x, struct buf *out,
		struct error *e);
	void (*close)(void *ctx);
	void *ctx;
};

struct view_files {
	struct library *l; /* borrowed; NULL: backing */
	struct view_backing backing;
	record_get_fn get_tree;
	void *get_ctx;
	struct image image;
	VEC(struct view_mount) mounts; /* the first is the root */
	bool merged;
	/* file systems that were opened to read what the store holds in
	 * another form */
	pthread_mutex_t lock;
	VEC(struct view_decoder *) decoders;
};

/* Opens the files of an image. disk: only volumes that begin on this one (-1:
 * all). volume: that one ("p2", "VG/LV", "disk"); NULL: the merged view. The
 * library is borrowed. NOTFOUND where there is no such disk or volume, or none
 * whose files are known; DAMAGED, NOMEM, IO. Cost: some lookups a volume. */
int view_open(struct library *l, const struct oid *image, int disk,
	const char *volume, struct view_files **out, struct error *e);
void view_close(struct view_files *v);
DEFINE_CLEANUP_PTR(view_files, struct view_files, view_close)
#define AUTO_VIEW CLEANUP(cleanup_view_files) struct view_files *

/* The same of an image that is not stored. The image is transferred, and so is
 * the backing (closed with the view), also on failure. */
int view_open_backed(struct image *image, const struct view_backing *b,
	int disk, const char *volume, struct view_files **out,
	struct error *e);

/* The same from a commit. */
int view_open_commit(struct library *l, const struct oid *commit, int disk,
	const char *volume, struct view_files **out, struct error *e);

/* Something found by its path. */
struct view_node {
	struct entry x;	  /* views into data */
	struct buf data;
	struct buf path;  /* where it really is, symlinks followed */
	unsigned mount;	  /* index in mounts */
};
void view_node_release(struct view_node *n);
#define AUTO_NODE __attribute__((cleanup(view_node_release))) struct view_node

/* Finds a path. Symlinks on the way are followed, the last component's only
 * with follow or where a '/' is behind it; ".." of the root is the root. On
 * volumes of Windows and DOS (vfat, exfat, ntfs) a name that is not there is
 * looked for again without regard to case. NOTFOUND; LIMIT (over 40 symlinks,
 * or longer than any path may be); DAMAGED. *out is released on failure. */
int view_lookup(struct view_files *v, const char *path, bool follow,
	struct view_node *out, struct error *e);

/* --- listing --- */

/* The entries of a folder in order of the bytes of their names; where volumes
 * are mounted, their roots. */
struct view_dir {
	struct view_files *v;
	unsigned mount;
	struct tree_iter it;
	struct entry next; /* read ahead */
	bool have;
	VEC(unsigned) mounts; /* those below it, by name */
	size_t at;
};
/* path, mount, id: of the folder. */
int view_dir_open(struct view_files *v, const char *path, unsigned mount,
	const struct oid *id, struct view_dir *out, struct error *e);
/* 1: *out is the next (valid until the next call) and *out_mount the mount
 * that it is in; 0: no more; DAMAGED (also for a name that no folder can have:
 * "..", or one with '/'), NOMEM, IO. */
int view_dir_next(struct view_dir *d, struct entry *out, unsigned *out_mount,
	struct error *e);
void view_dir_release(struct view_dir *d);

/* Is a volume mounted below the folder at this path? Where not, equal ids of
 * two folders are equal content. */
bool view_mounts_below(const struct view_files *v, const char *path);

/* --- walking --- */

/* What enter may return to leave out what is inside a folder. */
#define VIEW_PRUNE 1

struct view_item {
	const char *path; /* in the view */
	const char *rel;  /* from where the walk began, "" = there */
	unsigned depth;
	unsigned mount;
	const struct entry *x;
};
/* Functions may be NULL. A return other than 0 stops and is handed back. */
struct view_visitor {
	int (*enter)(void *ctx, const struct view_item *it); /* a folder */
	int (*entry)(void *ctx, const struct view_item *it); /* anything else */
	int (*leave)(void *ctx, const struct view_item *it); /* behind what is
							      * inside */
	void *ctx;
};
/* Visits a node and all that is below it, in order of names, depth first.
 * Symlinks are not followed. LIMIT at LIMIT_DEPTH or LIMIT_FILES. */
int view_walk(struct view_files *v, const struct view_node *from,
	const struct view_visitor *visitor, struct error *e);

/* --- content --- */

/* The content of a file. It comes from the store, or, where the disk holds it
 * in another form (compressed), from the image's file system. The view must
 * outlive the source. UNSUPPORTED where the content is not known; ARG: not a
 * file; else as the reader says. */
int view_open_file(struct view_files *v, unsigned mount, const char *path,
	const struct entry *x, struct source **out, struct error *e);

/* A whole small file, e.g. a configuration: appended to out. LIMIT where it is
 * over max bytes. */
int view_read_file(struct view_files *v, const char *path, size_t max,
	struct buf *out, struct error *e);

/* The value of an extended attribute, whichever way it is kept. */
int view_xattr_value(struct view_files *v, const struct xattr *x,
	struct buf *out, struct error *e);

#endif
