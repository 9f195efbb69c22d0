/* SPDX-License-Identifier: Apache-2.0 */
/* A library: objects, refs, configuration and locks; the thing a user opens.
 *
 * The folder (strata-library(5)):
 *	strata-library	format version and feature flags
 *	packs/ index/	the store
 *	refs/heads/ refs/tags/ refs/instances/	names of commits
 *	logs/		what refs were before
 *	writers/ pins/ condemned/ locks/ tmp/	work under way
 *	cache/		derived; may be deleted
 */
#ifndef STRATA_LIBRARY_LIBRARY_H
#define STRATA_LIBRARY_LIBRARY_H

#include "base/cleanup.h"
#include "base/error.h"
#include "model/commit.h"
#include "model/image.h"
#include "store/store.h"

#define LIBRARY_FORMAT 1
#define REFS_HEADS "refs/heads"
#define REFS_TAGS "refs/tags"
#define REFS_INSTANCES "refs/instances"

struct library {
	char *path;
	struct backend *be;
	struct store *store;
	/* Told what a user should know though the call does not fail, or NULL. */
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
};
void library_warn(struct library *l, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Makes a new library in a folder, which is made too (its parents are not)
 * and must be empty. EXISTS where there is a library already. */
int library_init(const char *path, struct error *e);
/* NOTFOUND where there is none; UNSUPPORTED for a required feature that this
 * program does not know; DAMAGED. */
int library_open(const char *path, struct library **out, struct error *e);
/* For verify and repair: index files that are damaged are left out, and
 * store_bad_index tells them. */
int library_open_damaged(const char *path, struct library **out,
	struct error *e);
/* Is the marker file byte for byte what library_init wrote? DAMAGED. */
int library_check_marker(struct library *l, struct error *e);
void library_close(struct library *l);
DEFINE_CLEANUP_PTR(library, struct library, library_close)
#define AUTO_LIBRARY CLEANUP(cleanup_library) struct library *

/* -L, else $STRATA_LIBRARY, else $XDG_DATA_HOME/strata/library, else
 * ~/.local/share/strata/library. To be freed; NULL: no memory, or nobody's home. */
char *library_default_path(void);

/* --- records --- */

/* For the model's iterators: ctx is the library. */
int library_get_tree(void *library, const struct oid *id, struct buf *out,
	struct error *e);
int library_get_layout(void *library, const struct oid *id, struct buf *out,
	struct error *e);
/* For what was read from the library: CORRUPT (there, but makes no sense)
 * becomes DAMAGED, with "library" in front. */
int library_damage(int r, struct error *e);
int library_get_commit(struct library *l, const struct oid *id,
	struct commit *out, struct error *e);
int library_get_image(struct library *l, const struct oid *id,
	struct image *out, struct error *e);

/* --- refs --- */

/* A good name for a branch or tag: as git's rules (no "..", no control
 * characters, none of space ~ ^ : ? * [ \ @{ #, no component that starts with
 * '.' or ends with ".lock", no leading or trailing '/', not "-x", not HEAD);
 * ARG says what is wrong. */
int ref_name_check(const char *name, struct error *e);

/* prefix: REFS_HEADS ... NOTFOUND, DAMAGED. */
int library_ref_read(struct library *l, const char *prefix, const char *name,
	struct oid *out, struct error *e);
/* Sets prefix/name to id (NULL: removes) if it is old (NULL: must not exist;
 * any: whatever). reason goes to its log. CONFLICT. */
int library_ref_update(struct library *l, const char *prefix, const char *name,
	const struct oid *old, bool any, const struct oid *id,
	const char *reason, struct error *e);
typedef int (*library_ref_fn)(void *ctx, const char *name,
	const struct oid *id);
int library_ref_list(struct library *l, const char *prefix, library_ref_fn fn,
	void *ctx, struct error *e);

struct reflog_entry {
	struct oid old, id;
	int64_t date;
	const char *author, *reason; /* borrowed during the call */
};
typedef int (*library_reflog_fn)(void *ctx, const struct reflog_entry *x);
/* Oldest first. Lines that a crash cut short are left out. */
int library_reflog(struct library *l, const char *prefix, const char *name,
	library_reflog_fn fn, void *ctx, struct error *e);
/* The same; bad (may be NULL) is told of damaged lines, counted from 1. */
int library_reflog_check(struct library *l, const char *prefix,
	const char *name, library_reflog_fn fn,
	int (*bad)(void *ctx, unsigned line), void *ctx, struct error *e);

/* --- revisions --- */

/* What REV[#DISK][:[VOLUME:]PATH] names. */
struct revision {
	struct oid commit;
	char *branch; /* the branch that it names directly, or NULL */
	int disk;     /* #N, -1 = not given */
	char *volume; /* "p2", NULL = the merged view */
	char *path;   /* "/etc/passwd", NULL = not given */
};
void revision_release(struct revision *r);
#define AUTO_REVISION __attribute__((cleanup(revision_release))) struct revision

/* Resolves branch, tag, full or short commit id, REV~N, REV^N, REV@{N},
 * REV@{DATE}, and what may follow. NOTFOUND, ARG (ambiguous, malformed). */
int library_revision(struct library *l, const char *text,
	struct revision *out, struct error *e);
/* Only the part that names a commit. */
int library_resolve(struct library *l, const char *rev, struct oid *out,
	struct error *e);

/* Splits a text at the ':' between REV and the rest; commit and branch stay
 * unset. For commands that take REV or a file of the host. */
int revision_split(const char *text, char **out_rev, struct revision *out,
	struct error *e);

/* "2026-11-21", RFC 3339, "yesterday", "2 days ago", "Nov 21 10:00", "@SECONDS":
 * to seconds; as git reads dates, a day alone is that day at the present time
 * of day. Without a zone: UTC. ARG. now: what is relative to. */
int parse_date(const char *text, int64_t now, int64_t *out, struct error *e);
/* $SOURCE_DATE_EPOCH, else the clock. */
int64_t library_now(void);
/* $STRATA_AUTHOR, else user <user@host>. To be freed; NULL: no memory. */
char *library_author(void);
/* RFC 3339 in UTC; out holds 32 bytes. Years outside 0..9999: seconds. */
char *format_time(int64_t seconds, char out[32]);

#endif
