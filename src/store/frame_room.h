/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for decoded frames: pieces of one map of huge pages. What comes from
 * the heap is faulted in by pages of 4 KiB, each cleared by itself: 5 % of an
 * export, and a sixth of a copy over NBD, whose server keeps all it decodes. */
#ifndef STRATA_STORE_FRAME_ROOM_H
#define STRATA_STORE_FRAME_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Smaller pieces come from the heap. */
#define FRAME_ROOM_LEAST (512u * 1024)

/* All zero: no map yet. One caller at a time. */
struct frame_room {
	uint8_t *map;	/* NULL: there is none */
	uint64_t *used; /* a bit a unit */
	size_t units, lowest; /* none is free below lowest */
	bool tried;
};

/* size bytes, at least FRAME_ROOM_LEAST. budget: of all frames together, of
 * which the map is made (address space only, until it is used). NULL: there
 * is no room in it; take it from the heap. */
void *frame_room_get(struct frame_room *m, size_t size, size_t budget);
/* Gives a piece back; false where it is none of the map's. */
bool frame_room_put(struct frame_room *m, void *p, size_t size);
void frame_room_release(struct frame_room *m);

#endif
