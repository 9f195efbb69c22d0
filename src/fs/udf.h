/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the UDF reader: what its files share.
 *
 * udf.c        recognition, opening, files and their content
 * udf_volume.c from the recognition sequence to the logical volume
 * udf_part.c   partitions: physical, sparable, virtual, metadata
 * udf_icb.c    file entries and allocation descriptors
 * udf_ea.c     extended attributes
 * udf_dir.c    directories, names, named streams, symlinks
 * udf_free.c   free space
 * udf_text.c   tags, OSTA compressed Unicode, time
 *
 * Sources: ECMA-167 (3rd edition), OSTA UDF 1.02 to 2.60. Where they leave a
 * choice, as Linux does with its default mount options; but an owner that is
 * not set (-1) is 0 here, as in every other format that has none.
 *
 * The id of a file is where its entry lies: the number of the partition's map
 * in the upper 32 bits, the block in it in the lower ones. Names of a
 * hard-linked file lead to one entry.
 */
#ifndef STRATA_FS_UDF_H
#define STRATA_FS_UDF_H

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/vec.h"
#include "fs/fs.h"
#include "fs/udf_format.h"

#define UDF_ID(part, block) ((uint64_t)(part) << 32 | (block))
/* The largest logical block; what of a logical volume descriptor is read. */
#define UDF_BLOCK_MAX 32768
#define UDF_LOGICAL_MAX 4096

/* --- udf_text.c --- */

uint16_t udf_crc(const uint8_t *p, size_t n);
/* What is wrong with the descriptor in a block of size bytes, or NULL: its
 * tag's sum, its checksum, its place. */
const char *udf_tag_fault(const uint8_t *block, size_t size, uint32_t location);
/* A dstring of a descriptor, for people. */
void udf_dstring(const uint8_t *b, size_t size, char *out, size_t max);
/* A name to UTF-8, as Linux shows it: characters that no name may hold become
 * '_', and then a sum of the name is added. 0 where it is none; at most
 * LIMIT_NAME bytes. */
size_t udf_name(const uint8_t *in, size_t n, uint8_t *out);
/* Seconds since 1970 UTC; 0 where it is no time. */
int64_t udf_time(const uint8_t t[12], uint32_t *ns);

/* --- udf_volume.c --- */

struct udf_volume {
	uint32_t block_size;
	bool has_primary, has_logical;
	/* as the integrity descriptor says: being written; the free blocks of
	 * each map's partition, UINT32_MAX where not known */
	bool open;
	uint32_t free_blocks[LIMIT_UDF_PARTITIONS];
	struct udf_primary primary;
	uint8_t logical[UDF_LOGICAL_MAX];
	struct udf_partition *parts;
	size_t nparts;
};

/* Is UDF announced in the volume recognition sequence, and ISO 9660? spacing:
 * the distance of its descriptors, which is 2048 or, where that is larger, the
 * size of a block. */
bool udf_announced(struct source *src, bool *iso, uint32_t *spacing);
/* Reads anchors and descriptor sequences. NOTFOUND where there is no anchor.
 * Release out in any case. */
int udf_volume_read(struct source *src, uint32_t spacing,
	const struct finding_sink *findings, struct udf_volume *out,
	struct error *e);
void udf_volume_release(struct udf_volume *v);
/* Type, label and uuid, as blkid prints them. */
void udf_volume_info(const struct udf_volume *v, struct fs_info *out);

/* --- files --- */

/* A piece of a file; in file order, gaps are holes. */
struct udf_run {
	uint64_t off, len, dev_off;
	enum fs_extent_kind kind; /* DATA, UNWRITTEN, INLINE */
};

struct udf_file {
	uint64_t id;
	struct fs_node node;
	uint8_t type;     /* UDF_TYPE_... */
	uint64_t streams; /* id of the stream directory */
	bool has_streams;
	VEC(struct udf_run) runs;
	struct buf link; /* a symlink's target */
};

enum udf_map_kind {
	UDF_MAP_BAD, /* nothing can be read through it */
	UDF_MAP_PHYSICAL,
	UDF_MAP_SPARABLE,
	UDF_MAP_VIRTUAL,
	UDF_MAP_META,
};

struct udf_spare {
	uint32_t from, to; /* block of the partition, of the volume */
};

struct udf_part {
	enum udf_map_kind kind;
	uint16_t number;
	uint32_t start, len; /* blocks; physical and sparable */
	uint32_t packet;     /* blocks; sparable */
	struct udf_short_ad free_table, free_bitmap;
	uint32_t free_blocks; /* as is said elsewhere; UINT32_MAX: not */
	VEC(struct udf_spare) spares; /* sorted */
	unsigned under;               /* virtual and metadata: lies in this one */
	/* the allocation table, or the metadata file and its mirror */
	struct udf_file file, mirror;
	bool has_mirror;
	uint64_t vat_head, vat_len; /* entries of the table: where, how many */
	struct udf_map2 map;        /* as it stands, while opening */
	char why[200];              /* bad: the reason */
};

struct udf {
	struct fs fs;
	struct source *src, *meta;
	const struct finding_sink *findings;
	uint32_t block_size;
	bool open, iso; /* being written; ISO 9660 as well */
	struct udf_part *parts;
	unsigned nparts;
	bool has_file, told_mirror;
	struct udf_file file; /* the one asked for last */
};

/* --- udf_part.c --- */

/* Makes f->parts of the volume's maps. */
int udf_parts_open(struct udf *f, const struct udf_volume *v, struct error *e);
void udf_parts_release(struct udf *f);
/* Where a block of a partition lies: *out_off bytes into the device, and how
 * many blocks behind it (of count) lie there in a row, at least 1. mirror: by
 * the metadata mirror file. CORRUPT, UNSUPPORTED, IO. */
int udf_map(struct udf *f, unsigned part, uint32_t block, uint32_t count,
	bool mirror, uint64_t *out_off, uint32_t *out_count, struct error *e);
/* Reads the descriptor of a block (f->block_size bytes) and checks its tag;
 * where that fails and there is a metadata mirror, from that. *out_off (may be
 * NULL) is where it was. */
int udf_read_tagged(struct udf *f, unsigned part, uint32_t block, uint8_t *buf,
	uint64_t *out_off, struct error *e);

/* --- udf_icb.c --- */

/* Reads a file's entry, with all runs of its content. NOTFOUND where there is
 * none, CORRUPT, LIMIT, UNSUPPORTED ... Init out to zero; release it. */
int udf_load(struct udf *f, uint64_t id, struct udf_file *out, struct error *e);
/* The same without the attributes that stand in a file of their own. */
int udf_load_plain(struct udf *f, uint64_t id, struct udf_file *out,
	struct error *e);
void udf_file_release(struct udf_file *x);
/* Exactly len bytes, holes as zeros; RANGE past its size. */
int udf_file_pread(struct source *src, const struct udf_file *x, void *buf,
	size_t len, uint64_t off, struct error *e);
/* The run that holds this byte, or NULL. */
const struct udf_run *udf_run_at(const struct udf_file *x, uint64_t off);

/* --- udf_ea.c --- */

/* What of extended attributes is used; all zeros is empty. */
struct udf_attributes {
	bool has_device, has_owner;
	uint32_t major, minor;
	uint32_t uid, gid;
};

/* Takes the first of each kind, where there is none yet, from a space of them. */
void udf_attributes_take(const uint8_t *p, size_t left,
	struct udf_attributes *out);
/* The same from the file that an entry names. */
int udf_attributes_read(struct udf *f, uint64_t id, struct udf_attributes *out,
	struct error *e);

/* --- udf_dir.c --- */

int udf_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
int udf_streams(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
	struct error *e);
/* The target of a symlink whose content is in x, into x->link. */
int udf_symlink(struct udf *f, struct udf_file *x, struct error *e);

/* --- udf_free.c --- */

int udf_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e);

#endif
