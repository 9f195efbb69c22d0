/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the EROFS reader: what its files share.
 *
 * erofs.c        superblock, inodes, directories
 * erofs_data.c   content and extents
 * erofs_zmap.c   the index of compressed files
 * erofs_codec.c  LZ4, LZMA, DEFLATE, Zstandard
 * erofs_device.c extra devices, which hold chunks
 * erofs_xattr.c  extended attributes
 *
 * Source: the EROFS documentation, "Core on-disk format", "Compressed Format
 * Layout", "Chunk-based Inode Layout", "Extended Attributes"; Linux
 * fs/erofs/erofs_fs.h.
 *
 * The id of a file is its node number. Opaque are files with chunks on an extra
 * device that is not there. Refused: 48-bit addresses, metadata that is
 * compressed.
 */
#ifndef STRATA_FS_EROFS_H
#define STRATA_FS_EROFS_H

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include "base/endian.h"
#include "fs/fs.h"

struct erofs_super {
	le32 magic, checksum, compat;
	uint8_t block_bits, ext_slots;
	le16 root;
	le64 inodes, build_time;
	le32 build_ns, blocks, meta_block, xattr_block;
	uint8_t uuid[16], label[16];
	le32 incompat;
	le16 algorithms, extra_devices, device_table;
	uint8_t dir_bits, prefixes;
	le32 prefix_start;
	le64 packed;
	uint8_t filter_reserved, reserved[23];
};
_Static_assert(sizeof(struct erofs_super) == 128, "EROFS superblock");

enum {
	EROFS_ZERO_PADDING = 1,
	EROFS_BIG_PCLUSTER = 2,
	EROFS_COMPR_CFGS = 2, /* the same bit says both */
	EROFS_ZTAILPACKING = 0x10,
	EROFS_FRAGMENTS = 0x20,
	EROFS_XATTR_PREFIXES = 0x40,
	EROFS_COMPAT_PLAIN_PREFIXES = 0x10, /* of the compatible ones */
	EROFS_KNOWN = 0x7f,
	EROFS_48BIT = 0x80,
	EROFS_METABOX = 0x100,
};

enum erofs_layout {
	EROFS_FLAT_PLAIN,
	EROFS_COMPRESSED_FULL,
	EROFS_FLAT_INLINE,
	EROFS_COMPRESSED_COMPACT,
	EROFS_CHUNKED,
};

/* One compressed extent: [la, la + llen) of the file is in [pa, pa + plen). */
struct erofs_zext {
	uint64_t la, llen, pa, plen;
	bool plain;	 /* not compressed */
	bool interlaced; /* and turned round within its last block */
	bool in_meta;
	bool fragment;	/* at pa of the packed file; plen is not set */
	uint8_t method; /* enum erofs_method */
};

/* As the format numbers them. */
enum erofs_method {
	EROFS_LZ4,
	EROFS_LZMA,
	EROFS_DEFLATE,
	EROFS_ZSTD,
	EROFS_METHODS,
};

/* A slot of the table of devices. */
struct erofs_slot {
	uint8_t tag[64];
	le32 blocks, mapped;
	uint8_t reserved[56];
};
_Static_assert(sizeof(struct erofs_slot) == 128, "EROFS device slot");

/* An extra device: its own source, or a range of the first one. */
struct erofs_device {
	struct source *src; /* NULL: not there */
	uint32_t index;	    /* in fs_open_args.devs */
	uint64_t start;	    /* in the source */
	uint64_t mapped, len; /* addresses of the first that mean it; 0: none */
};

struct erofs_prefix {
	uint8_t base, len;
	char infix[256];
};

/* The states of the decoders, made on first use. All zeros is empty. */
struct erofs_codec {
	ZSTD_DCtx *zstd;
	z_stream z;
	lzma_stream lzma;
	bool has_z, has_lzma;
};

struct erofs_file {
	uint64_t id, offset; /* of the inode on the device */
	struct fs_node node;
	uint32_t inode_size, xattr_size;
	enum erofs_layout layout;
	uint32_t u; /* block address, chunk format */
	/* compressed */
	uint16_t advise;
	uint8_t cluster_bits;
	uint8_t methods[2]; /* of the two kinds of heads */
	uint64_t index; /* where the index begins */
	uint64_t clusters;
	/* The last extent is elsewhere: its data with the inode, or a piece
	 * of the packed file. */
	bool inline_tail, fragment_tail;
	bool fragment; /* the whole file is */
	uint64_t tail_head, tail_off; /* cluster of the tail's head, its data */
	uint32_t tail_len;
};

struct erofs {
	struct fs fs;
	struct source *src, *meta;
	const struct finding_sink *findings;
	uint32_t block_bits, block_size, incompat, compat;
	uint64_t meta_off, xattr_off;
	int64_t build_time;
	uint32_t build_ns;
	struct erofs_device *devices;
	uint32_t ndevices, missing;
	/* A reader of its own for the file that holds fragments, opened when
	 * the first is met; it has none itself. */
	uint64_t packed_id;
	struct erofs *packed;
	bool is_packed, packed_bad;
	uint32_t methods; /* 1 << enum erofs_method: those that are read */
	/* Long beginnings of attributes' names, read when the first is met. */
	uint64_t prefixes_at;
	uint32_t prefixes_n;
	bool prefixes_read;
	struct erofs_prefix *prefixes; /* as many */
	bool has_file;
	struct erofs_file file;
	/* the extent decoded last */
	uint64_t z_id;
	struct erofs_zext z;
	struct buf z_data;
	struct buf z_raw; /* what was read for it */
	struct erofs_codec codec;
};

/* A range of a device. */
struct erofs_place {
	struct source *src; /* borrowed */
	uint32_t index;	    /* in fs_open_args.devs */
	uint64_t off, len;
};

int erofs_load(struct erofs *f, uint64_t id, struct error *e);
/* Content of f->file, whatever its type. */
int erofs_content(struct erofs *f, void *buf, size_t len, uint64_t off,
	struct error *e);
int erofs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int erofs_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e);
/* Are all chunks of f->file on devices that are there? UNSUPPORTED if not. */
int erofs_chunks_check(struct erofs *f, struct error *e);
/* Reads a compressed file's header. UNSUPPORTED: the file is opaque. */
int erofs_z_open(struct erofs *f, struct error *e);
/* The extent of f->file around off. */
int erofs_z_map(struct erofs *f, uint64_t off, struct erofs_zext *out,
	struct error *e);
/* erofs_device.c */

/* How many extra devices the superblock names. */
uint32_t erofs_device_count(const struct erofs_super *s);
/* Reads the table of devices and finds each among args->devs, or inside the
 * first one. LIMIT, NOMEM, IO, RANGE. */
int erofs_devices_open(struct erofs *f, const struct fs_open_args *args,
	const struct erofs_super *s, struct error *e);
void erofs_devices_release(struct erofs *f);
/* Where pa of device id (0: the first) lies, and how much of len follows it
 * there. UNSUPPORTED: the device is not there. CORRUPT. */
int erofs_device_map(struct erofs *f, unsigned id, uint64_t pa, uint64_t len,
	struct erofs_place *out, struct error *e);
int erofs_part_size(struct source *src, uint32_t n, uint64_t *out,
	struct error *e);

/* erofs_codec.c */

/* Decodes the first len bytes that a stream gives; it may hold more. CORRUPT,
 * UNSUPPORTED (method), NOMEM. Memory: what len asks for, and for Zstandard
 * up to 8 MiB. */
int erofs_decode(struct erofs_codec *c, unsigned method, const uint8_t *in,
	size_t in_len, uint8_t *out, size_t len, struct error *e);
void erofs_codec_release(struct erofs_codec *c);

/* The reader of the file that holds fragments, f->packed. CORRUPT, NOMEM, IO. */
int erofs_packed_open(struct erofs *f, struct error *e);
int erofs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);

#endif
