/* SPDX-License-Identifier: Apache-2.0 */
/* What the library remembers of files outside of it: disks that it exported,
 * and overlays whose base is one of its commits. That is how a commit knows
 * the base of an overlay without opening it.
 *
 * A record is a small text in the library's folder, instances/NAME or
 * exports/ID with the ID made from the file's path, so that it is found
 * without a search. Records are hints: one that is lost or damaged costs the
 * user a --base.
 */
#ifndef STRATA_LIBRARY_RECORD_H
#define STRATA_LIBRARY_RECORD_H

#include "base/vec.h"
#include "library/library.h"

enum record_kind {
	RECORD_EXPORT,	 /* a disk that the library wrote */
	RECORD_OVERLAY,	 /* somebody's overlay that was committed once */
	RECORD_INSTANCE, /* an overlay of 'instance create' */
};

/* What tells whether a file is still the one that was written. */
struct record_stamp {
	uint64_t dev, ino, size;
	int64_t mtime_ns;
	int64_t born_ns; /* an inode is used again; 0: not known */
};

struct record {
	enum record_kind kind;
	char *name; /* INSTANCE; else NULL */
	char *path; /* real path of the file */
	struct record_stamp stamp; /* as it was left by us */
	char *format;	     /* "raw", "qcow2" */
	struct oid commit;   /* what it holds, or what it stands on */
	uint32_t disk;	     /* of that commit's image */
	uint8_t digest[16];  /* of that disk */
	char *branch;	     /* that the commit was named by, or NULL */
	/* OVERLAY, INSTANCE */
	struct oid head;     /* the last commit made from it; zero: none */
	char *head_branch;   /* where that went, or NULL */
	char *backing;	     /* as its header names it */
	/* INSTANCE */
	char *socket;	     /* of the server that its backing names, or NULL */
	char *base_path;     /* --full: the raw file beside it, or NULL */
	int64_t created;     /* seconds */
};

void record_release(struct record *r);
#define AUTO_RECORD __attribute__((cleanup(record_release))) struct record

/* Writes or replaces. r->path must be set; of an INSTANCE r->name too. */
int record_write(struct library *l, const struct record *r, struct error *e);
/* By name. NOTFOUND; DAMAGED. */
int record_instance(struct library *l, const char *name, struct record *out,
	struct error *e);
/* By path (made real here), or by inode where the file was renamed: an export
 * or overlay of that file, else an instance. The file must exist. NOTFOUND
 * where there is none. Its content may have changed: see record_altered. */
int record_find(struct library *l, const char *path, struct record *out,
	struct error *e);
int record_remove(struct library *l, const struct record *r, struct error *e);

typedef int (*record_fn)(void *ctx, const struct record *r);
/* All instances, by name; damaged records are left out. */
int record_instances(struct library *l, record_fn fn, void *ctx,
	struct error *e);

/* The stamp of a file. NOTFOUND, IO. */
int record_stamp_of(const char *path, struct record_stamp *out,
	struct error *e);
/* Can both be stamps of one file, written to or not? */
bool record_same_file(const struct record_stamp *a,
	const struct record_stamp *b);
/* Why the file at the record's path is not the one that was written; NULL: it
 * is. (Neither does anything with what is in it.) */
const char *record_altered(const struct record *r);

/* Forgets exports and overlays whose file is gone while its folder is still
 * there. */
int record_prune(struct library *l, struct error *e);

#endif
