/* SPDX-License-Identifier: Apache-2.0 */
/* What the first walk over a volume met, in its order, so that the trees are
 * made without a second one: most of a walk's time goes into reading tables of
 * inodes and folders.
 *
 * Memory: about 35 bytes a file, up to LIMIT_LISTING for all volumes together;
 * what is larger is walked again.
 */
#ifndef STRATA_OPS_LISTING_H
#define STRATA_OPS_LISTING_H

#include "ops/attrs.h"
#include "survey/survey.h"

enum listing_event { LISTING_ENTER, LISTING_ENTRY, LISTING_LEAVE };

struct listing {
	struct buf data;
	size_t max;
	bool lost; /* there was more than may be kept, or no memory */
	struct fs_node last; /* nodes tell what differs from the one before */
	/* where lists of attributes stand that were met lately, by their sum */
	uint32_t recent[256];
	struct attrs attrs;
	struct buf target;
};

/* max: bytes that may be kept. fs is borrowed until the last listing_add. */
void listing_init(struct listing *l, struct fs *fs, size_t max);
/* The walk is over: room that only adding needs is given back. */
void listing_end(struct listing *l);
void listing_release(struct listing *l);
/* Asks the reader for targets of symlinks and for attributes. Never fails:
 * lost is set where it cannot go on. */
void listing_add(struct listing *l, enum listing_event event,
	const struct walk_item *it);

struct listing_item {
	enum listing_event event;
	struct walk_item item; /* borrowed until the next one is asked for */
	/* The reader is to be asked for target and attributes: some must be
	 * stored, or reading them failed. */
	bool ask;
	bool no_target;	    /* a symlink's, which cannot be read */
	struct view target; /* of a symlink */
	struct view attrs;  /* as entries have them */
};

struct listing_level {
	struct listing_item it;
	size_t path_len, name_off;
};

struct listing_reader {
	const struct listing *l; /* borrowed */
	struct cursor c;
	struct fs_node last;
	struct buf path;
	VEC(struct listing_level) levels;
};

void listing_reader_init(struct listing_reader *r, const struct listing *l);
void listing_reader_release(struct listing_reader *r);
/* 1: *out is the next one; 0: that was all. NOMEM. */
int listing_next(struct listing_reader *r, struct listing_item *out,
	struct error *e);

#endif
