/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of a library by export name: any REV, with #N for a further disk.
 * What the nbdkit plugin serves; nothing here knows of nbdkit. */
#ifndef STRATA_SERVE_EXPORTS_H
#define STRATA_SERVE_EXPORTS_H

#include "library/library.h"
#include "os/source.h"
#include "serve/bootset.h"
#include "serve/prefetch.h"

struct exports_options {
	const char *library; /* folder; NULL: the default one */
	const char *rev;     /* the default export, NULL: none */
	const char *name;    /* serve rev under this name too, and only rev */
	unsigned disk;	     /* which disk where a name does not say */
	uint64_t cache;	     /* bytes of decoded frames; 0: by the memory */
	uint64_t readahead;  /* bytes; 0: none */
	enum bootset_mode bootset;
	unsigned boot_seconds;
};

struct exports;

/* Opens the library and resolves rev, which stays at that commit. What is
 * served is pinned: gc leaves it alone, whatever happens to the branches, and
 * takes what nobody serves. Call it in the process that serves: it starts threads. NOTFOUND, ARG,
 * DAMAGED, IO. */
int exports_open(const struct exports_options *opt, struct exports **out,
	struct error *e);
void exports_close(struct exports *x); /* NULL is fine */
DEFINE_CLEANUP_PTR(exports, struct exports, exports_close)

/* Only tries the options: opens, resolves, closes. For messages before a
 * server goes into the background. */
int exports_check(const struct exports_options *opt, struct error *e);

/* A disk that is served, shared by all connections to it. */
struct served {
	struct served *next;
	unsigned users;
	struct oid commit;
	unsigned disk;
	char *description;
	struct source *src;
	struct readahead *ra;
	struct bootset *boot;
};

/* "" is the default export. A branch that moves does not move under a client:
 * while anybody has the name open, it stays what it was. NOTFOUND (no such
 * revision or disk), ARG (names a file), DAMAGED, IO, NOMEM. */
int exports_get(struct exports *x, const char *name, struct served **out,
	struct error *e);
void exports_put(struct exports *x, struct served *s);

/* All or nothing. Bytes are those of the commit or the call fails. Any
 * thread. */
int served_read(struct exports *x, struct served *s, void *buf, size_t len,
	uint64_t off, struct error *e);
/* The client will read this: decoded in the background. */
void served_cache(struct exports *x, struct served *s, uint64_t off,
	uint64_t len);

/* Branches, then tags: a line about each. Stops where fn returns non-zero,
 * which is handed back. */
typedef int (*exports_list_fn)(void *ctx, const char *name,
	const char *description);
int exports_list(struct exports *x, exports_list_fn fn, void *ctx,
	struct error *e);
/* The name of the default export, "" where there is none. */
const char *exports_default(const struct exports *x);

/* What cache = 0 stands for. */
uint64_t exports_default_cache(void);

#endif
