/* SPDX-License-Identifier: Apache-2.0 */
/* Trees: Merkle directory nodes. Equal folders have equal ids, whatever disk
 * they are on: no inode numbers, no extents, no atime. See strata-objects(5).
 *
 * A folder is a list of entries in order of their names' bytes. A large one is
 * cut into several records where the names say so (content-defined), under
 * index records, so that a change in a folder of a million files writes little.
 */
#ifndef STRATA_MODEL_TREE_H
#define STRATA_MODEL_TREE_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/vec.h"
#include "codec/digest.h"

enum entry_type {
	ENTRY_FILE = 1,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_CHAR,
	ENTRY_BLOCK,
	ENTRY_FIFO,
	ENTRY_SOCKET,
	ENTRY_TYPES
};

enum entry_flags {
	ENTRY_ENCRYPTED = 1 << 0, /* content (and name) are as encrypted */
	ENTRY_OPAQUE = 1 << 1,	  /* the content is not known: no id */
};

struct entry {
	const uint8_t *name; /* borrowed */
	size_t name_len;
	enum entry_type type;
	uint32_t flags;
	uint32_t mode; /* permission bits, 07777 */
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size;	      /* file: bytes */
	struct oid id;	      /* file: blob; folder: tree */
	struct view target;   /* symlink */
	uint32_t rdev_major, rdev_minor;
	uint64_t link_group;  /* 0: one name only; else the same for all names
			       * of one file in this volume */
	uint32_t nlink;	      /* with a group; else 1 */
	struct view xattrs;   /* encoded list, see xattr_next; may be empty */
};

const char *entry_type_name(enum entry_type t); /* "file", "directory", ... */

/* Extended attributes, sorted by name. Long values and named streams are
 * blobs of their own. */
#define XATTR_INLINE_MAX 256
struct xattr {
	struct view name;
	struct view value; /* inline */
	bool is_blob;	   /* then id and size, value is empty */
	struct oid id;
	uint64_t size;
};
/* Appends one to an encoded list; the caller sorts. */
void xattr_add(struct buf *list, const struct xattr *x);
/* The next of a list: true while there is one. A damaged list ends with
 * c->bad set. */
bool xattr_next(struct cursor *c, struct xattr *out);

/* Writes a record and gives its id. */
typedef int (*record_put_fn)(void *ctx, const void *data, size_t len,
	struct oid *out, struct error *e);
/* Appends a record's bytes to out. */
typedef int (*record_get_fn)(void *ctx, const struct oid *id, struct buf *out,
	struct error *e);

/* --- building --- */

struct tree_level {
	struct buf body; /* entries, or index items */
	struct buf first; /* name of the first */
	struct buf prev;  /* name of the last added, to check the order */
	uint64_t count;
};

struct tree_builder {
	record_put_fn put;
	void *ctx;
	VEC(struct tree_level) levels;
};

void tree_builder_init(struct tree_builder *b, record_put_fn put, void *ctx);
void tree_builder_release(struct tree_builder *b);
/* Names must come in strictly ascending order of bytes. ARG otherwise. */
int tree_builder_add(struct tree_builder *b, const struct entry *x,
	struct error *e);
/* The tree's id; the builder can be used again for the next one. */
int tree_builder_finish(struct tree_builder *b, struct oid *out,
	struct error *e);

/* --- reading --- */

/* One entry standing by itself (the root of a volume): as in a tree, with an
 * empty name. */
void entry_encode(struct buf *out, const struct entry *x);
/* Views point into the cursor's bytes. CORRUPT. */
int entry_decode(struct cursor *c, struct entry *out, struct error *e);

struct tree_frame {
	struct buf data;
	struct cursor at;
	unsigned level;
};

/* Walks the entries of one folder, in order. */
struct tree_iter {
	record_get_fn get;
	void *ctx;
	VEC(struct tree_frame) frames;
};
int tree_iter_open(struct tree_iter *it, record_get_fn get, void *ctx,
	const struct oid *id, struct error *e);
/* 1: *out is the next entry (valid until the next call); 0: no more; < 0. */
int tree_iter_next(struct tree_iter *it, struct entry *out, struct error *e);
void tree_iter_release(struct tree_iter *it);

/* A record by itself, for what goes by records (diff skips those that two
 * folders share). Level 0 holds entries, see entry_decode; above it are index
 * items. CORRUPT. */
int tree_record_open(const void *data, size_t len, struct cursor *out,
	unsigned *out_level, struct error *e);
/* The next item of an index: the first name below it (a view into the
 * record), and the record. CORRUPT. */
int tree_record_item(struct cursor *c, struct view *first, struct oid *id,
	struct error *e);

/* Finds a name. The entry's views point into data (an empty buf that the
 * caller releases). NOTFOUND, CORRUPT. */
int tree_lookup(record_get_fn get, void *ctx, const struct oid *id,
	const void *name, size_t len, struct entry *out, struct buf *data,
	struct error *e);

/* The records that a tree record refers to directly: index children, or
 * nothing. fn is called for each; used by gc. For a leaf, entries are given.
 * NULL functions are skipped. */
typedef int (*tree_child_fn)(void *ctx, const struct oid *id);
typedef int (*tree_entry_fn)(void *ctx, const struct entry *x);
int tree_record_walk(const void *data, size_t len, tree_child_fn child,
	tree_entry_fn entry, void *ctx, struct error *e);

#endif
