/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of volume managers share.
 *
 *	volume.c    the scan, sources of volumes
 *	lvm.c       LVM2: labels and metadata areas on physical volumes
 *	lvm_text.c  LVM2: the text that metadata is written in
 *	lvm_vg.c    LVM2: from that text to logical volumes
 *	md.c        MD: superblocks and arrays
 */
#ifndef STRATA_VOLUME_PRIVATE_H
#define STRATA_VOLUME_PRIVATE_H

#include "base/cursor.h"
#include "base/vec.h"
#include "volume/volume.h"

typedef VEC(struct volume_segment) segment_vec;

struct volume_scan {
	const struct volume_member *members;
	size_t n;
	const struct finding_sink *findings;
	struct volume_set *set; /* types and uuids of the members */
	VEC(struct logical_volume) items;
	size_t segments; /* of the volumes in items */
	struct error *e;
};

/* Appends a piece, joined with the one before it where they touch. NOMEM,
 * LIMIT (LIMIT_VOLUME_SEGMENTS of all volumes). */
int segment_add(struct volume_scan *s, segment_vec *v, uint32_t member,
	uint64_t off, uint64_t len);
/* Adds a volume; its segments are transferred where it is readable, else
 * released. NOMEM. */
int volume_add(struct volume_scan *s, struct logical_volume *lv,
	segment_vec *segments);

/* Reads at most what is inside; false where it cannot, reported. */
bool member_read(struct volume_scan *s, size_t member, void *buf, size_t len,
	uint64_t off);

/* Only NOMEM. */
int md_scan(struct volume_scan *s);
int lvm_scan(struct volume_scan *s);

/* --- lvm_text.c --- */

enum lvm_type { LVM_SECTION, LVM_STRING, LVM_NUMBER, LVM_ARRAY };

#define LVM_NONE UINT32_MAX

/* Nodes lie in one array and refer to each other by index. */
struct lvm_node {
	struct view key; /* empty in arrays */
	struct view str; /* without quotes, escapes as they stand */
	uint64_t number;
	uint32_t child, next; /* LVM_NONE: none */
	enum lvm_type type;
};

struct lvm_tree {
	VEC(struct lvm_node) nodes; /* the first is the section around all */
};

/* Parses text, which must outlive the tree. CORRUPT with the offset in the
 * text, LIMIT, NOMEM. */
int lvm_parse(const uint8_t *text, size_t len, struct lvm_tree *out,
	struct error *e);
void lvm_tree_release(struct lvm_tree *t);
/* The child of a section with this name, of this type; LVM_NONE. */
uint32_t lvm_find(const struct lvm_tree *t, uint32_t section, const char *key,
	enum lvm_type type);
/* A number; false where there is none. */
bool lvm_number(const struct lvm_tree *t, uint32_t section, const char *key,
	uint64_t *out);
/* A string; an empty view where there is none. */
struct view lvm_string(const struct lvm_tree *t, uint32_t section,
	const char *key);

static inline bool view_is(struct view v, const char *s)
{
	return v.len == strlen(s) && !memcmp(v.data, s, v.len);
}

/* --- lvm_vg.c --- */

struct lvm_pv {
	uint32_t member;
	char uuid[33]; /* as in the header: without dashes */
};

/* Adds the volumes of a volume group: its section in the tree, its name. */
int lvm_add_group(struct volume_scan *s, const struct lvm_tree *t, uint32_t vg,
	const struct lvm_pv *pvs, size_t npvs);

#endif
