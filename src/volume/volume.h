/* SPDX-License-Identifier: Apache-2.0 */
/* Volume managers: what lies between partitions and file systems. LVM2 and MD
 * are recognised on physical volumes; where the data is in place, the logical
 * volume is a source made of pieces of them. */
#ifndef STRATA_VOLUME_VOLUME_H
#define STRATA_VOLUME_VOLUME_H

#include "base/error.h"
#include "base/finding.h"
#include "os/source.h"

/* A block device that may be a physical volume: a partition or whole disk. */
struct volume_member {
	struct source *src; /* borrowed */
	const char *name;   /* "p2", "disk", for findings */
};

/* A piece of a logical volume: len bytes of member at off. */
struct volume_segment {
	uint32_t member; /* index of the member; UINT32_MAX: zeros or missing */
	uint64_t off, len;
};

struct logical_volume {
	char name[260];   /* "VG/LV", "md0" */
	char uuid[40];
	char kind[16];    /* "linear", "striped", "raid1", "thin", ... */
	bool readable;    /* the segments give its bytes */
	uint64_t size;
	struct volume_segment *segments; /* by offset in the volume */
	size_t nsegments;
};

struct volume_set {
	struct logical_volume *items;
	size_t len;
	/* For each member: "LVM2_member", "linux_raid_member", "" if none. */
	char (*member_types)[24];
	char (*member_uuids)[40];
};

/* Looks for volume-manager metadata on the members. What is damaged or
 * unknown is a finding; fails only for NOMEM. */
int volume_scan(const struct volume_member *members, size_t n,
	const struct finding_sink *findings, struct volume_set *out,
	struct error *e);
void volume_set_release(struct volume_set *s);

/* The source of a readable logical volume. */
int volume_source(const struct logical_volume *lv,
	const struct volume_member *members, size_t n, struct source **out,
	struct error *e);

#endif
