/* SPDX-License-Identifier: Apache-2.0 */
/* What is different between two trees of files: names that came, went, changed
 * or moved. Folders whose ids are equal are not read. */
#ifndef STRATA_CHANGE_DIFF_H
#define STRATA_CHANGE_DIFF_H

#include "model/tree.h"

enum diff_status {
	DIFF_ADDED = 'A',
	DIFF_DELETED = 'D',
	DIFF_MODIFIED = 'M',
	DIFF_TYPE = 'T', /* another type of file */
	DIFF_RENAMED = 'R', /* the same content under another name */
};

enum diff_field {
	DIFF_CONTENT = 1 << 0,
	DIFF_SIZE = 1 << 1,
	DIFF_TARGET = 1 << 2, /* of a symlink */
	DIFF_DEVICE = 1 << 3, /* its numbers */
	DIFF_MODE = 1 << 4,
	DIFF_OWNER = 1 << 5,
	DIFF_MTIME = 1 << 6,
	DIFF_XATTRS = 1 << 7,
	DIFF_LINKS = 1 << 8, /* which names are one file */
	DIFF_FIELDS = 9,
};
/* "content", "size", ... of one bit; NULL past the last. */
const char *diff_field_name(unsigned bit);

/* A volume shown at a path of the view ("/boot/efi"). */
struct diff_mount {
	const char *path;
	struct entry root;
};

struct diff_side {
	record_get_fn get;
	void *ctx;
	/* Where to begin: an entry (NULL: nothing is there), its path in the
	 * view ("" for the root) and the mount that it is in. */
	const struct entry *at;
	const char *path;
	unsigned mount;
	/* mounts[0] is the root's; the others hide what is at their paths */
	const struct diff_mount *mounts;
	size_t nmounts;
	/* Not NULL: ids say nothing of content (an image that is not stored),
	 * and links are compared by their count.
	 * Gives the content's id of a file, or marks it ENTRY_OPAQUE where it
	 * cannot be had. path: in the view. */
	int (*resolve)(void *ctx, unsigned mount, const char *path,
		struct entry *x, struct error *e);
};

struct diff_change {
	enum diff_status status;
	uint32_t changed; /* enum diff_field bits; 0 for A and D */
	const char *path; /* from where the diff began, "" is that itself */
	const char *old_path; /* of a renamed one, else as path */
	const struct entry *old, *new; /* NULL where there is none */
	unsigned old_mount, new_mount;
};
/* Everything is valid during the call only; a return that is not 0 stops and
 * is handed back. */
typedef int (*diff_fn)(void *ctx, const struct diff_change *c);

struct diff_args {
	struct diff_side side[2]; /* old, new */
	/* Only these and what is below them; from where the diff begins,
	 * without leading or trailing slashes. NULL-terminated; NULL: all. */
	const char *const *paths;
	uint32_t ignore;  /* enum diff_field bits */
	bool renames;	  /* find them */
	bool need_ids;	  /* ids of all files that are reported are wanted,
			   * also where sizes tell that they changed */
};

struct diff_result {
	uint64_t changes; /* reported */
	bool renames_left; /* too many changes: renames are A and D */
};

/* Reports the changes in order of paths, folders before what is in them; a
 * renamed one at its new path. CORRUPT, LIMIT (depth), as the callbacks say.
 * Memory: two records a level of depth; with renames up to
 * LIMIT_DIFF_PENDING bytes of changes. */
int diff_run(const struct diff_args *a, diff_fn fn, void *ctx,
	struct diff_result *out, struct error *e);

/* Which fields of two entries of one type differ, by what stands in them. */
uint32_t diff_fields(const struct entry *a, const struct entry *b);

#endif
