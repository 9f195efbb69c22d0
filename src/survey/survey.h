/* SPDX-License-Identifier: Apache-2.0 */
/* Surveying disks: partition tables, volume managers and file systems, in that
 * order, down to a list of volumes; then walking the files of one. */
#ifndef STRATA_SURVEY_SURVEY_H
#define STRATA_SURVEY_SURVEY_H

#include "base/error.h"
#include "base/finding.h"
#include "base/vec.h"
#include "fs/fs.h"
#include "os/source.h"
#include "part/part.h"

/* len bytes of a volume that stand on disk at off; SURVEY_NO_DISK: zeros. */
#define SURVEY_NO_DISK UINT32_MAX
struct survey_segment {
	uint32_t disk;
	uint64_t off, len;
};
typedef VEC(struct survey_segment) survey_segments;

/* One device that a file system stands on. */
struct survey_device {
	struct source *src;
	survey_segments segments;
};

struct survey_volume {
	char *name;	    /* "p1", "disk", "VG/LV", "md0" */
	uint32_t disk;	    /* the first disk that it is on */
	uint64_t size;
	struct partition part; /* number 0: not a partition */
	const struct fs_ops *ops; /* NULL: not recognised */
	const struct fs_ops *maybe; /* whose superblock is damaged or gone */
	struct fs_info info;
	/* devs[0] is the volume itself; more for a file system over several
	 * devices, on the first of its members. */
	VEC(struct survey_device) devs;
	bool member_of_other; /* its file system is read through another one */
	bool inner; /* stands on other volumes (LVM, MD): its bytes are theirs */
	bool array; /* inner, and of MD: may hold a physical volume in turn */
	/* It is a file of another volume ("live/filesystem.squashfs"), which
	 * claims its bytes. Where they are not on the disk as such (the other
	 * one is compressed), it has one segment, of no disk. */
	bool nested;
};

struct survey_disk {
	struct source *src;
	struct part_table table;
};

struct survey {
	VEC(struct survey_disk) disks;
	VEC(struct survey_volume) volumes;
};

/* Surveys disks (references are taken). What is odd is a finding; fails for
 * NOMEM, or IO on the first sectors of a disk. Every disk has at least one
 * volume: one that is neither partitioned nor recognised has a volume "disk"
 * without a file system. */
int survey_open(struct source *const *disks, size_t n,
	const struct finding_sink *findings, struct survey *out,
	struct error *e);
void survey_release(struct survey *s);
#define AUTO_SURVEY __attribute__((cleanup(survey_release))) struct survey

/* Opens the file system of a volume; UNSUPPORTED where it has none that is
 * read. Close with (*out)->ops->close. */
int survey_open_fs(const struct survey_volume *v,
	const struct finding_sink *findings, struct fs **out, struct error *e);

/* --- walking --- */

/* A name met on the walk. Paths begin with '/' and are bytes. */
struct walk_item {
	const char *path;
	const uint8_t *name;
	size_t name_len;
	unsigned depth; /* 0: the root */
	struct fs_node node;
};

/* Non-zero returns stop the walk and are handed back. */
struct walk_visitor {
	/* A folder, before its entries. */
	int (*enter)(void *ctx, const struct walk_item *it);
	/* Anything but a folder. */
	int (*entry)(void *ctx, const struct walk_item *it);
	/* A folder, after its entries. */
	int (*leave)(void *ctx, const struct walk_item *it);
	void *ctx;
};

/* Visits every name once, the entries of each folder in order of the bytes of
 * their names, folders where they stand in that order, depth first. What is
 * damaged is a finding and left out: a folder that is reached twice is entered
 * once (every folder has an id, and a set of those seen is kept). Returns 0,
 * what a visitor returned, NOMEM, CANCELLED. Memory: one list of entries for
 * each folder on the path, 8 bytes for each folder. */
int survey_walk(struct fs *fs, const struct finding_sink *findings,
	const struct walk_visitor *visitor, struct error *e);

/* Looks up an absolute path (symlinks are not followed); NOTFOUND. */
int survey_lookup(struct fs *fs, const char *path, struct fs_node *out,
	struct error *e);

#endif
