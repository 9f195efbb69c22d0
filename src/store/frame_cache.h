/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded, shared cache of decoded frames. Readers that want the same frame
 * at once wait for the one that decodes it. */
#ifndef STRATA_STORE_FRAME_CACHE_H
#define STRATA_STORE_FRAME_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct frame_cache;
struct cached_frame {
	const uint8_t *data;
	size_t len;
};

struct frame_cache *frame_cache_new(size_t budget); /* NULL: no memory */
void frame_cache_free(struct frame_cache *c);
void frame_cache_set_budget(struct frame_cache *c, size_t budget);

/* The frame with this key, decoded by load into len bytes if it is not there.
 * Give it back with put. */
typedef int (*frame_load_fn)(void *ctx, void *raw, size_t len,
	struct error *e);
int frame_cache_get(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx, struct cached_frame **out,
	struct error *e);
/* Decodes the frame if it is not there and nobody is at it; does not wait. That
 * it failed is told by the get that follows. Returns enum store_warmth. */
unsigned frame_cache_warm(struct frame_cache *c, uint64_t pack, uint64_t off,
	size_t len, frame_load_fn load, void *ctx);
void frame_cache_put(struct frame_cache *c, struct cached_frame *f);

#endif
