/* SPDX-License-Identifier: Apache-2.0 */
/* A source in which some blocks are read from elsewhere on the same disk: what
 * is left of a journal once it is understood. */
#ifndef STRATA_FS_EXT_REPLAY_H
#define STRATA_FS_EXT_REPLAY_H

#include "base/vec.h"
#include "os/source.h"

struct replay_entry {
	uint64_t blk; /* what is replaced */
	uint64_t at;  /* by what; the top bit: its first word was escaped */
};

/* blk -> at, the last one added counts. All zero bytes: empty. */
struct replay_map {
	struct replay_entry *table; /* open addressing */
	size_t len, cap;
};

/* LIMIT, NOMEM. */
int replay_map_add(struct replay_map *m, uint64_t blk, uint64_t at,
	bool escaped, struct error *e);
void replay_map_release(struct replay_map *m);

struct replay;

/* base (shared) with the blocks of the map, which is copied. out_replay is
 * borrowed from the source. */
int replay_source(struct source *base, const struct replay_map *m,
	uint32_t block_size, struct source **out, struct replay **out_replay,
	struct error *e);

#endif
