/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the ISO 9660 reader: what its files share.
 *
 * iso9660.c        descriptors, open, stat, extents, pread
 * iso9660_dir.c    directory records and their names
 * iso9660_rock.c   System Use Sharing Protocol and Rock Ridge
 * iso9660_zisofs.c transparently compressed files
 * iso9660_aaip.c   extended attributes and ACLs
 * iso9660_link.c   names of one file
 * iso9660_boot.c   El Torito
 *
 * Sources: ECMA-119 (4th edition); IEEE P1281 (SUSP) and P1282 (Rock Ridge)
 * drafts; the Joliet specification; El Torito 1.0; zisofs and AAIP as libisofs
 * documents them. Where they leave a choice, as Linux does with its default
 * mount options.
 *
 * The id of a directory is the byte offset of its extent (where its "." record
 * lies), of anything else the byte offset of its (first) directory record; of
 * the first one where several are names of one file (iso9660_link.c).
 */
#ifndef STRATA_FS_ISO9660_H
#define STRATA_FS_ISO9660_H

#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/endian.h"
#include "base/vec.h"
#include "fs/fs.h"

#define ISO_SECTOR 2048

/* ECMA-119 9.1. Numbers marked "both" stand there twice, little endian first;
 * like Linux we read the first. */
struct iso_record {
	uint8_t len;
	uint8_t ext_attr_len; /* blocks */
	le32 extent;          /* both */
	be32 extent_be;
	le32 size; /* both */
	be32 size_be;
	uint8_t date[7];
	uint8_t flags;
	uint8_t unit_size, gap_size; /* interleaving */
	le16 sequence;
	be16 sequence_be;
	uint8_t name_len;
	/* name, a pad byte where its length is even, system use area */
};
_Static_assert(sizeof(struct iso_record) == 33, "ECMA-119 9.1");

enum {
	ISO_HIDDEN = 1,
	ISO_DIRECTORY = 2,
	ISO_ASSOCIATED = 4,
	ISO_MULTI_EXTENT = 128,
};

struct iso_section {
	uint64_t dev_off, len;
};

/* What Rock Ridge says of one record. */
struct iso_rock {
	bool has_px, has_name, has_link, has_mtime, has_child, relocated;
	bool sparse, damaged, has_er;
	bool has_attrs, attrs_end, attrs_cut;
	struct buf *attrs; /* where AL is gathered; NULL: it is not wanted */
	uint32_t mode, nlink, uid, gid; /* PX */
	uint32_t serial;                /* the same; 0 = none */
	uint32_t dev_high, dev_low;     /* PN */
	int64_t mtime;                  /* TF */
	uint32_t mtime_ns;
	uint32_t child_lba;  /* CL */
	uint8_t zf_version;  /* ZF: 0 = none, 1, 2; 255 = unknown algorithm */
	uint8_t zf_header;   /* bytes / 4 */
	uint8_t zf_shift;    /* log2 of the block */
	uint64_t zf_size;
	struct buf name;
	struct buf link;
	bool link_more, link_joined; /* state while SL is assembled */
};

struct iso_file {
	uint64_t id;
	struct fs_node node;
	VEC(struct iso_section) sections;
	uint64_t stored; /* the sum of the sections */
	uint8_t zf_version, zf_shift;
	uint32_t zf_header;
};

/* Where the record of a directory stands in its parent. */
struct iso_dir_record {
	uint64_t dir, rec;
};

/* A record that is a further name of the file of the first one. */
struct iso_alias {
	uint64_t rec, first;
};

struct iso {
	struct fs fs;
	struct source *src, *meta;
	const struct finding_sink *findings;
	uint32_t block_size;
	bool rock, joliet;
	bool high_sierra; /* what there was before: flags before the date's end */
	uint8_t susp_skip;
	bool has_file;
	struct iso_file file; /* the one asked for last */
	struct buf link;      /* its target */
	bool attrs;  /* some file that was met has attributes */
	VEC(struct iso_dir_record) dir_records;
	size_t records_sorted;
	bool linked; /* aliases are known */
	VEC(struct iso_alias) aliases; /* sorted */
	struct iso_links *scan;        /* while they are looked for */
	/* zisofs: the block decoded last */
	uint64_t zf_id, zf_index;
	struct buf zf_block;
	bool told_sparse, told_interleaved, told_zf, told_attrs;
};

/* Reads the record at off into rec (255 bytes). CORRUPT where it is none. */
int iso_record_read(struct iso *f, uint64_t off, uint8_t rec[255],
	struct error *e);
/* The system use area of a record, susp_skip not yet taken off. */
struct view iso_system_use(const uint8_t *rec);
int iso_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
/* Loads the file, directory ... of this id into f->file. */
int iso_load(struct iso *f, uint64_t id, struct error *e);
/* Seconds since 1970 of a 7-byte date; 0 where it is not one. */
int64_t iso_date7(const uint8_t d[7]);
int64_t iso_date17(const uint8_t d[17], uint32_t *ns);

/* Reads the Rock Ridge entries of the record at rec_off. Init out to zero;
 * release name and link. Damage is in out->damaged; fails for NOMEM and IO. */
int iso_rock_read(struct iso *f, const uint8_t *rec, uint64_t rec_off,
	unsigned skip, struct iso_rock *out, struct error *e);
/* Looks for SP in the root's "." record: sets f->rock and f->susp_skip. */
int iso_rock_detect(struct iso *f, uint64_t root_off, struct error *e);
void iso_rock_release(struct iso_rock *r);

/* In an image with attributes: the record of the directory dir is at rec. */
void iso_aaip_note(struct iso *f, uint64_t dir, uint64_t rec);
int iso_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);

/* Could this be one name of several? */
bool iso_link_wanted(const struct iso_rock *k);
/* While all directories are read: remembers the record. */
void iso_link_note(struct iso *f, const uint8_t *rec, uint64_t off,
	const struct iso_rock *k);
/* The id of the file whose name this record is; reads all directories when it
 * is first asked. What cannot be read joins no names. */
uint64_t iso_link_id(struct iso *f, uint64_t rec);

/* Checks a compressed file's own header; false where it is not one. */
bool iso_zisofs_check(struct iso *f, struct iso_file *x);
int iso_zisofs_pread(struct iso *f, void *buf, size_t len, uint64_t off,
	struct error *e);
/* Bytes of f->file as they are stored. */
int iso_raw_pread(struct iso *f, void *buf, size_t len, uint64_t off,
	struct error *e);

/* Reports every entry of the boot catalog. */
void iso_boot_report(struct source *src, const struct finding_sink *findings,
	uint64_t catalog_lba);
/* For a volume that is UDF as well: the same, looked for from the start. */
void iso_boot_find(struct source *src, const struct finding_sink *findings);
/* Is there an ISO 9660 file system with Rock Ridge? */
bool iso_has_rock(struct source *src);

#endif
