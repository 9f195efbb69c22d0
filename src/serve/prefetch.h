/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding ahead: worker threads that read parts of a source before a client
 * asks for them, so that they are in the store's cache of frames by then.
 * Nothing is kept here but what is to be read; losing it costs only time. */
#ifndef STRATA_SERVE_PREFETCH_H
#define STRATA_SERVE_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "os/source.h"

struct prefetch;

/* Starts threads (0: one a processor, at most 8). Start it after a fork. IO,
 * NOMEM. */
int prefetch_start(unsigned threads, struct prefetch **out, struct error *e);
/* Forgets what waits, ends the threads. */
void prefetch_stop(struct prefetch *p);
DEFINE_CLEANUP_PTR(prefetch, struct prefetch, prefetch_stop)

/* Asks for [off, off+len) of src (shared), clipped to its size; zero extents
 * are skipped. background: only when there is nothing else to do. Returns how
 * far it got: less than off+len where the queue is full, which is no error.
 * Any thread; does not wait. */
uint64_t prefetch_add(struct prefetch *p, struct source *src, uint64_t off,
	uint64_t len, bool background);

/* Recognises clients that read forwards. One for each served disk. */
struct readahead;

/* window: the most to be ahead of a reader. NULL: no memory. */
struct readahead *readahead_new(struct prefetch *p, struct source *src,
	uint64_t window);
void readahead_free(struct readahead *ra); /* NULL is fine */
/* A client reads this. Call it before the read itself. */
void readahead_note(struct readahead *ra, uint64_t off, uint64_t len);

#endif
