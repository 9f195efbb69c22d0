/* SPDX-License-Identifier: Apache-2.0 */
/* File-system readers: one table of operations, read-only, bounded.
 *
 * A reader never puts the bytes of the disk at risk: it only says which of
 * them are a file's. What it cannot read it reports and leaves out. All
 * numbers in these structs are already checked to be plausible by the reader;
 * what comes from the disk never reaches a caller raw.
 *
 * A handle is used by one thread at a time; many handles may be open on one
 * source. Ids are stable between handles.
 */
#ifndef STRATA_FS_FS_H
#define STRATA_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/finding.h"
#include "os/source.h"

enum fs_type {
	FS_UNKNOWN = 0,
	FS_FILE,
	FS_DIR,
	FS_SYMLINK,
	FS_CHAR,
	FS_BLOCK,
	FS_FIFO,
	FS_SOCKET,
};

enum fs_node_flags {
	/* The node has extended attributes or named streams (a hint that saves
	 * asking; set it when in doubt). */
	FS_NODE_XATTRS = 1 << 0,
	/* The content is encrypted by the file system (fscrypt, EFS): what is
	 * read is the encrypted bytes, names too. */
	FS_NODE_ENCRYPTED = 1 << 1,
	/* The content cannot be decoded (unknown compression, damage): it is
	 * listed with its size, but has neither extents nor pread. */
	FS_NODE_OPAQUE = 1 << 2,
};

struct fs_node {
	uint64_t id;   /* the same for every name of a hard-linked file */
	uint64_t size; /* file: bytes; symlink: bytes of the target; else 0 */
	int64_t mtime; /* seconds since 1970-01-01 UTC */
	uint32_t mtime_ns;
	uint32_t mode; /* permission bits only, 07777 */
	uint32_t uid, gid;
	uint32_t nlink; /* as stored; 1 where the format has none */
	uint32_t rdev_major, rdev_minor;
	enum fs_type type;
	uint32_t flags; /* enum fs_node_flags */
};

enum fs_extent_kind {
	/* file bytes == device bytes, one to one */
	FS_EXTENT_DATA,
	/* preallocated: the device range is the file's, its bytes read as 0 */
	FS_EXTENT_UNWRITTEN,
	/* the device range holds the file range in another form (compressed,
	 * encrypted by layout); use pread for the content. len is the length
	 * in the file, dev_len the length on the device. */
	FS_EXTENT_ENCODED,
	/* inside metadata (inline data, resident attribute); use pread */
	FS_EXTENT_INLINE,
};

/* Part of a file. Extents come in file order and do not overlap in the file;
 * what no extent covers is a hole (reads as zeros). The last DATA extent may
 * end past the file's size (a whole last block): the bytes behind the size
 * are slack and not the file's. */
struct fs_extent {
	uint64_t file_off, len;
	uint64_t dev_off, dev_len; /* in the source of device dev */
	uint32_t dev;              /* index in fs_open_args.devs */
	enum fs_extent_kind kind;
	bool packed; /* INLINE: compressed there */
};

/* Callbacks return 0 to go on, anything else stops and is handed back. */
typedef int (*fs_entry_fn)(void *ctx, const uint8_t *name, size_t name_len,
	uint64_t id);
typedef int (*fs_extent_fn)(void *ctx, const struct fs_extent *x);
typedef int (*fs_xattr_fn)(void *ctx, const char *name, const void *value,
	size_t len);
typedef int (*fs_stream_fn)(void *ctx, const uint8_t *name, size_t name_len,
	uint64_t id);
/* A range of device dev that is not in use by the file system. */
typedef int (*fs_range_fn)(void *ctx, uint32_t dev, uint64_t off,
	uint64_t len);

enum fs_subvolume_flags {
	FS_SUBVOLUME_DEFAULT = 1 << 0, /* what a mount without options shows */
	FS_SUBVOLUME_READONLY = 1 << 1,
	FS_SUBVOLUME_SNAPSHOT = 1 << 2,
};
struct fs_subvolume {
	uint64_t number;  /* the file system's own number (subvolid) */
	const char *path; /* from the root of the top level, "" = itself */
	uint8_t uuid[16];
	uint32_t flags;
};
typedef int (*fs_subvolume_fn)(void *ctx, const struct fs_subvolume *v);

enum fs_verdict {
	FS_NO,     /* it is not this file system */
	FS_YES,    /* it is */
	FS_UNSURE, /* could not tell (a read failed, the superblock is damaged);
		    * a finding was reported */
};

/* What a file system says of itself. */
struct fs_info {
	char type[32]; /* as blkid names it: "ext4", "vfat", "xfs", "btrfs",
			* "ntfs", "exfat", "iso9660", "udf", "squashfs",
			* "erofs", "swap", "crypto_LUKS", ... */
	char uuid[40]; /* as blkid prints it; "" = none. vfat: "ABCD-1234" */
	char label[256 * 4]; /* UTF-8, "" = none */
	char dev_uuid[40]; /* member of a multi-device file system: its own */
	uint32_t devices;  /* how many devices it needs; 1 for most */
	uint64_t size;     /* bytes of the volume that it says it uses */
	uint32_t block_size;
};

struct fs; /* the common head of a handle */

struct fs_open_args {
	struct source **devs; /* borrowed; readers take references */
	uint32_t ndevs;
	const struct finding_sink *findings; /* borrowed until close; or NULL */
};

struct fs_ops {
	const char *name; /* of the family: "ext", "fat", "xfs" ... */
	/* Is it? Reads a bounded number of bytes. out is set on FS_YES, and as
	 * far as known on FS_UNSURE. Never fails otherwise; error is for
	 * detail with FS_UNSURE. */
	enum fs_verdict (*probe)(struct source *src, struct fs_info *out,
		struct error *e);
	/* CORRUPT, UNSUPPORTED, LIMIT, NOMEM, IO. NULL: recognised and named,
	 * but kept as blocks. */
	int (*open)(const struct fs_open_args *args, struct fs **out,
		struct error *e);
	void (*close)(struct fs *fs);
	/* CORRUPT, IO, NOTFOUND (no such id, or not in use). */
	int (*stat)(struct fs *fs, uint64_t id, struct fs_node *out,
		struct error *e);
	/* Every entry but "." and "..", in the order stored. Names are not
	 * empty, hold no '/' and no NUL, and are at most LIMIT_NAME bytes (bad
	 * ones are reported and left out). A damaged directory delivers what
	 * it can and then returns CORRUPT. */
	int (*readdir)(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
		struct error *e);
	int (*readlink)(struct fs *fs, uint64_t id, struct buf *out,
		struct error *e);
	/* Of a regular file or a stream. */
	int (*extents)(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
		struct error *e);
	/* Exactly len bytes of content, holes as zeros; RANGE past size. */
	int (*pread)(struct fs *fs, uint64_t id, void *buf, size_t len,
		uint64_t off, struct error *e);
	/* Names with their prefix ("user.x", "security.selinux",
	 * "system.posix_acl_access" in the kernel's xattr form). May be NULL.
	 */
	int (*xattrs)(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
		struct error *e);
	/* Named streams beside the content (NTFS); ids work with stat (size),
	 * extents and pread. May be NULL. */
	int (*streams)(struct fs *fs, uint64_t id, fs_stream_fn fn, void *ctx,
		struct error *e);
	/* Every range not in use, in any order. May be NULL: not known. */
	int (*free_space)(struct fs *fs, fs_range_fn fn, void *ctx,
		struct error *e);
	/* Do bytes of files that stand on device dev at off match the checksums
	 * that the file system keeps of them? 1: not, *out_bad says where
	 * among them; 0: yes, or it has none there. CORRUPT, IO, NOMEM: could
	 * not tell. Cheap where called with growing offsets. May be NULL: it
	 * keeps none. */
	int (*check_data)(struct fs *fs, uint32_t dev, uint64_t off,
		const void *data, size_t len, uint64_t *out_bad,
		struct error *e);
	/* The size of the n-th further device that the file system on src
	 * needs (n from 1), where such devices do not name themselves; 0 where
	 * it is not known. NOTFOUND: none. May be NULL: they do. */
	int (*part_size)(struct source *src, uint32_t n, uint64_t *out,
		struct error *e);
	/* May be NULL: none. */
	int (*subvolumes)(struct fs *fs, fs_subvolume_fn fn, void *ctx,
		struct error *e);
};

/* Implementations embed it first. */
struct fs {
	const struct fs_ops *ops;
	uint64_t root; /* id of the root directory */
	struct fs_info info;
	/* While readdir calls back: the directory says that the entry is no
	 * folder. A hint that saves a stat; false where it says nothing. */
	bool no_folder;
};

/* All readers, ended by NULL; defined in fs/table.c. Order is the order of
 * probing: those with the strongest magic first. */
extern const struct fs_ops *const fs_table[];

/* Asks every row. FS_YES: *out_ops and *out_info are set. FS_UNSURE: some
 * reader recognised it but could not tell; *out_ops is that one. */
enum fs_verdict fs_probe(struct source *src, const struct fs_ops **out_ops,
	struct fs_info *out_info, struct error *e);

/* RANGE: len bytes at off are not inside a file of size bytes. */
int fs_outside(struct error *e, size_t len, uint64_t off, uint64_t size);

#endif
