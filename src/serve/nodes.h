/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount shows, without the kernel's side of it: nodes that are found by
 * name in a parent, or by listing it.
 *
 *	mount REV DIR		the root folder of the image
 *	mount REV DIR --disk	disk0.raw, disk0.qcow2, disk1.raw ...
 *	mount --all DIR		branch/NAME, tag/NAME, commit/ID: such roots;
 *				branch/NAME/.versions/0001-DATE-ID (not listed
 *				in branch/NAME: a copy of it would copy them)
 *
 * A node lives as long as somebody counts on it. Its number is a hash of its
 * parent's number and its name (of its image and link group, for a file with
 * several names), moved on where another live node has it already: so it is
 * the same again after it was forgotten.
 */
#ifndef STRATA_SERVE_NODES_H
#define STRATA_SERVE_NODES_H

#include <pthread.h>
#include "library/pin.h"
#include "os/source.h"
#include "serve/prefetch.h"
#include "view/files.h"

enum node_kind {
	NODE_ENTRY,	/* of an image */
	NODE_ALL,	/* branch, tag, commit */
	NODE_REFS,	/* branch/ or tag/, or a part of a name that has '/' */
	NODE_COMMITS,	/* commit/ */
	NODE_VERSIONS,	/* .versions of a branch */
	NODE_DISKS,	/* disk0.raw ... */
	NODE_DISK,
};

/* The files of one commit, shared by the nodes in it. */
struct node_view {
	struct node_view *next;
	struct oid commit;
	unsigned refs;
	struct view_files *files;
};

struct node {
	struct node *next; /* of the bucket */
	uint64_t id;
	uint64_t lookups; /* that the kernel has not forgotten */
	uint64_t refs;	  /* children, listings, and one for lookups */
	struct node *parent;
	char *name;
	enum node_kind kind;
	bool moving; /* what the name stands for may change (a branch) */
	int64_t date; /* of virtual folders */

	/* NODE_ENTRY */
	struct node_view *view;
	unsigned mount;
	struct entry x; /* its views point into data */
	uint8_t *data;
	bool branch; /* the root of a branch: it has .versions */

	/* NODE_REFS: "refs/heads" and the part of the name, with its '/' */
	const char *prefix;
	char *part;
	struct oid commit; /* NODE_VERSIONS: the tip; NODE_DISKS */
	unsigned disk;	   /* NODE_DISK */
	bool qcow2;

	/* opened when first read */
	pthread_mutex_t lock;
	struct source *src;
	struct readahead *ra;
};

#define NODE_BUCKETS 65536
struct nodes {
	struct library *lib; /* borrowed */
	struct pins *pins;   /* borrowed, may be NULL: of what is shown */
	struct prefetch *prefetch; /* borrowed, may be NULL */
	uint64_t readahead;
	pthread_mutex_t lock; /* guards the tables and all counts */
	struct node *buckets[NODE_BUCKETS];
	struct node_view *views;
	struct node *root;
	uint64_t count;
	bool no_open;	 /* the kernel need not be told of opened files */
	bool no_opendir; /* nor of folders */
	struct listings *listings; /* borrowed; of folders without a handle */
};

enum nodes_root { NODES_FILES, NODES_DISKS, NODES_ALL };

/* commit and disk (-1: all), volume (NULL: the merged view): not for
 * NODES_ALL. Every image that is shown is pinned while the kernel knows it, the
 * commit until nodes_close; pins must live until after that. NOTFOUND (no files that are known, no disk), DAMAGED, IO. */
int nodes_open(struct nodes *t, struct library *l, struct pins *pins,
	enum nodes_root what, const struct oid *commit, int disk,
	const char *volume, struct error *e);
void nodes_close(struct nodes *t);

/* The number 1 is the root. NULL where the kernel never had that number (or
 * gave it back). Borrowed while the kernel counts on it. */
struct node *nodes_get(struct nodes *t, uint64_t id);

/* What a name stands for, before there is a node: filled in by listing or
 * finding. Views are borrowed from where it came from. */
struct child {
	const char *name;
	size_t name_len;
	enum node_kind kind;
	struct entry x;
	unsigned mount;
	const char *prefix, *part;
	struct oid commit;
	int64_t date;
	unsigned disk;
	bool qcow2, moving, branch;
};

/* Finds a name in a folder; the node has one lookup more. NOTFOUND; DAMAGED,
 * IO, NOMEM. */
int nodes_lookup(struct nodes *t, struct node *dir, const char *name,
	struct node **out, struct error *e);
/* The same for what a listing gave. */
int nodes_make(struct nodes *t, struct node *dir, const struct child *c,
	struct node **out, struct error *e);
void nodes_forget(struct nodes *t, uint64_t id, uint64_t lookups);
/* The number that a child has, or will have. */
uint64_t nodes_number(struct nodes *t, struct node *dir,
	const struct child *c);

/* --- listing --- */

typedef VEC(struct child) child_list;
struct node_dir {
	struct node *dir;
	/* an image's folder */
	struct view_dir entries;
	bool is_entries;
	struct buf name; /* of the child at hand */
	/* any other: all at once */
	child_list list;
	VEC(char *) names; /* that list points to */
	size_t at;
};
int node_dir_open(struct nodes *t, struct node *dir, struct node_dir **out,
	struct error *e);
/* 1, and *out valid until the next call; 0: no more. */
int node_dir_next(struct node_dir *d, struct child *out, struct error *e);
void node_dir_close(struct nodes *t, struct node_dir *d);

/* The list of a folder that is not an image's (nodes_virtual.c). */
int node_virtual_list(struct nodes *t, struct node *dir, struct node_dir *d,
	struct error *e);
/* One name of it. NOTFOUND. The child's own pointers go to *keep. */
int node_virtual_find(struct nodes *t, struct node *dir, const char *name,
	struct child *out, char **keep, struct error *e);
/* "0001-2026-11-21T100000Z-123456789abc" */
char *node_version_name(size_t number, int64_t date, const struct oid *id);

/* --- content --- */

/* A file's bytes. The source is borrowed while the node is. UNSUPPORTED (not
 * known), DAMAGED, IO. */
int node_open(struct nodes *t, struct node *n, struct source **out,
	struct error *e);
/* Its path in its image; NULL: no memory. */
char *node_path(const struct node *n);
uint64_t node_size(struct nodes *t, struct node *n);

#endif
