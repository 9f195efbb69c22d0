/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting disks into files: which bytes of which disk are whose content. It is
 * the one place where file systems and the store's view of a disk meet.
 *
 * Memory: 72 bytes a file and 32 an extent, and what was listed and is held.
 */
#ifndef STRATA_OPS_CUT_H
#define STRATA_OPS_CUT_H

#include "base/vec.h"
#include "codec/digest.h"
#include "ops/listing.h"
#include "ops/progress.h"
#include "survey/survey.h"

enum cut_state {
	CUT_PLAIN,   /* its bytes stand on disks, as extents say */
	CUT_READ,    /* its content is got from the reader (inline, compressed) */
	CUT_OPAQUE,  /* its content is not had; its bytes stay skeleton */
};

enum cut_flags {
	CUT_CLAIMED = 1, /* its extents are cut out of the skeleton */
	CUT_ENCODED = 2, /* on the disk in another form: not stored again */
	CUT_SLACK = 4,	 /* the slack of its last block is not zero */
	CUT_HASHED = 8,	 /* hash is set */
	CUT_REUSED = 16, /* proven to be the base's, not read */
	CUT_HELD = 32,	 /* its content is in cut.held, from first_extent on */
};

struct cut_file {
	uint64_t id; /* of the reader */
	uint64_t size;
	struct oid hash;
	uint32_t first_extent, nextents;
	uint32_t same_as;    /* index of a file with the very same extents, or
			      * its own */
	uint32_t first_item; /* its first extent in order of the disk */
	uint32_t slack;	     /* CUT_SLACK: index in cut.slack */
	uint8_t state, flags;
};

/* len bytes of a file on a disk; longer ones are cut. */
#define CUT_EXTENT_MAX (UINT64_C(1) << 30)
struct cut_extent {
	uint64_t disk_off, file_off;
	uint32_t len;
	uint32_t disk;
};

/* A claimed extent, in order of the disk. */
struct cut_item {
	uint32_t extent, file;
};

/* One volume's files: a range of cut.files, sorted by id. */
struct cut_volume {
	size_t first, n;
	uint64_t file_bytes;
	bool has_encoded, partial, read;
	struct listing listing; /* lost: it must be walked again */
};

struct cut_disk {
	size_t first, n; /* range of cut.items */
};

/* The bytes behind the end of a file in its last block, where not zero. */
struct cut_slack {
	struct oid id;
	uint32_t len;
};

struct cut {
	VEC(struct cut_file) files;
	VEC(struct cut_extent) extents;
	VEC(struct cut_item) items;
	VEC(struct cut_volume) volumes; /* as the survey's */
	VEC(struct cut_disk) disks;
	VEC(struct cut_slack) slack; /* found while files are read */
	struct buf held; /* contents that stood in metadata */
};

/* Walks every volume that can be read. Findings carry the volume's name before
 * the path ("p3:/etc"). NOMEM, CANCELLED. */
int cut_make(const struct survey *s, const struct finding_sink *findings,
	const struct progress *progress, struct cut *out, struct error *e);
void cut_release(struct cut *c);

/* Of cut_make: puts the extents of all files in order of the disks, and settles
 * whose they are. NOMEM. */
int cut_claim(struct cut *c, size_t ndisks, struct error *e);

/* The file of a volume with this id; NULL where it has none (empty files).
 * *near: where the last one was found; neighbours often have one id after the
 * other. */
struct cut_file *cut_find(struct cut *c, size_t volume, uint64_t id,
	size_t *near);

#endif
