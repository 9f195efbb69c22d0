/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that keeps a long-lived server's view of the library fresh: what gc
 * or repack removed is closed, so that its room is free. */
#ifndef STRATA_SERVE_KEEPER_H
#define STRATA_SERVE_KEEPER_H

#include "library/library.h"

struct keeper;

/* Start it after a fork. NULL: there is none, and packs that were removed
 * stay open. The library is borrowed. */
struct keeper *keeper_start(struct library *l);
void keeper_stop(struct keeper *k); /* NULL is fine */

#endif
