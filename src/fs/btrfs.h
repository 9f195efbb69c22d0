/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the btrfs reader. The stack, each file seeing those above it:
 *
 *	btrfs_csum.c   checksums of the four kinds
 *	btrfs_datasum.c those of data
 *	btrfs_super.c  superblocks and devices
 *	btrfs_chunk.c  logical addresses -> bytes of devices
 *	btrfs_tree.c   verified nodes, their cache, search and iteration
 *	btrfs_root.c   subvolumes, ids, paths
 *	btrfs_stub.c   where subvolumes were in snapshots
 *	btrfs_codec.c  zlib, lzo, zstd
 *	btrfs_file.c   extents and content
 *	btrfs_inode.c  stat, readdir, readlink, xattrs
 *	btrfs_free.c   free space
 *	btrfs.c        open, close, the row of the table
 */
#ifndef STRATA_FS_BTRFS_H
#define STRATA_FS_BTRFS_H

#include "base/vec.h"
#include "fs/btrfs_format.h"
#include "fs/fs.h"

#define BTRFS_NO_DEV UINT32_MAX
/* Copies of one byte: RAID1C4 has the most. */
#define BTRFS_MAX_COPIES 4

struct btrfs_key {
	uint64_t objectid, offset;
	uint8_t type;
};

struct btrfs_dev {
	struct source *src; /* a reference */
	uint32_t index;     /* in fs_open_args.devs */
	uint64_t devid, total; /* total: bytes that the file system has of it */
	uint8_t uuid[16];
	uint8_t metadata_uuid[16]; /* a seed device keeps its own */
};

struct btrfs_stripe {
	uint32_t dev; /* index in btrfs.devs, or BTRFS_NO_DEV: missing */
	uint64_t off;
};

struct btrfs_chunk {
	uint64_t logical, len, stripe_len, type;
	uint32_t nstripes, sub;
	uint32_t first; /* in btrfs.stripes */
};

/* A superblock in memory, checked. */
struct btrfs_super {
	uint8_t fsid[16], metadata_uuid[16];
	uint64_t generation, root, chunk_root, log_root;
	uint64_t chunk_root_generation, root_dir, num_devices, bytes_used;
	uint64_t flags, incompat, dev_total_bytes, devid;
	uint32_t sectorsize, nodesize, sys_len;
	uint16_t csum_type;
	uint8_t root_level, chunk_root_level;
	uint8_t dev_uuid[16];
	uint8_t label[256];
	uint8_t sys[2048];
	uint64_t at;    /* where this copy was read */
	bool first_bad; /* the first copy is damaged */
};

/* Restored from what btrfs-image saved: all of the metadata and nothing else.
 * Linux mounts it. */
static inline bool btrfs_is_metadump(const struct btrfs_super *sb)
{
	return sb->flags & (UINT64_C(1) << BTRFS_SUPER_METADUMP |
				   UINT64_C(1) << BTRFS_SUPER_METADUMP_V2);
}

struct btrfs_root { /* a tree */
	uint64_t id, bytenr, generation;
	uint8_t level;
};

struct btrfs_subvol {
	struct btrfs_root tree;
	uint64_t dirid; /* inode of its root directory */
	uint64_t flags;
	uint8_t uuid[16];
	bool snapshot;
	/* where it is mounted; parent 0 = nowhere */
	uint64_t parent, parent_dir;
	uint32_t name_off; /* in btrfs.names */
	uint8_t name_len;
};

struct btrfs_node {
	struct btrfs_node *hash_next, *newer, *older;
	uint64_t bytenr, generation;
	uint32_t pins, nritems;
	uint8_t level;
	uint8_t data[];
};

/* A stripe of a data chunk, by its place on a device. */
struct btrfs_sum_stripe {
	uint32_t dev, col; /* dev as in fs_open_args; column of its data */
	uint64_t off, len, data; /* data: columns of the chunk */
	size_t chunk;
};

/* The checksums of data read last: those of [from, to), or that there are
 * none. */
struct btrfs_sums {
	struct btrfs_root tree;
	bool have_tree, have_map, none;
	uint64_t from, to;
	uint8_t *data;
	VEC(struct btrfs_sum_stripe) map;
};

struct btrfs {
	struct fs fs;
	struct btrfs_super sb;
	const struct finding_sink *sink;
	VEC(struct btrfs_dev) devs;
	VEC(struct btrfs_chunk) chunks;
	VEC(struct btrfs_stripe) stripes;
	VEC(struct btrfs_subvol) subvols; /* sorted by id */
	struct buf names;
	struct btrfs_root root_tree, chunk_tree;
	uint64_t default_id;
	/* node cache */
	struct btrfs_node **hash, *newest, *oldest;
	size_t cached, cache_max;
	/* The way that the last search took, its nodes pinned: the next one is
	 * for a neighbour as a rule, and begins where the ways part. */
	struct btrfs_trail {
		uint64_t bytenr, generation; /* of the root; 0 = none */
		struct btrfs_node *node[BTRFS_MAX_LEVEL];
		uint32_t slot[BTRFS_MAX_LEVEL];
	} trail;
	uint64_t bad_node; /* last one reported, so that it is reported once */
	bool missing_said, copy_said, chunks_damaged;
	/* stubs seen (see btrfs_id_pack), and the directory of each */
	struct btrfs_stubs {
		struct btrfs_stub {
			uint64_t id, dir;
		} *slots; /* open addressing; id 0 = free */
		size_t len, cap;
		uint64_t scanned; /* subvolume that was searched last */
	} stubs;
	/* the compressed extent decoded last */
	struct {
		uint64_t disk;
		struct buf data, raw;
	} decoded;
	/* Made when first needed: making one costs more than a small extent. */
	struct btrfs_codec {
		struct ZSTD_DCtx_s *zstd;
		struct inflater *inflate;
	} codec;
	struct btrfs_sums sums;
};

static inline struct btrfs *btrfs_of(struct fs *fs)
{
	return container_of(fs, struct btrfs, fs);
}

/* --- btrfs_csum.c --- */

/* For the fuzz target: nodes and superblocks pass without their checksum.
 * Never set elsewhere. */
extern bool btrfs_fuzz_no_csum;

/* The checksum of this type over the bytes, zero padded; false: unknown
 * type. */
bool btrfs_csum(unsigned type, const void *data, size_t len,
	uint8_t out[BTRFS_CSUM_MAX]);
/* Does a block carry its checksum over all that follows in its first 32
 * bytes? */
bool btrfs_csum_ok(unsigned type, const uint8_t *block, size_t len);

/* --- btrfs_datasum.c --- */

/* Do the sectors that lie whole in [logical, +len) match their checksums? 1:
 * one does not, *out_bad is where it begins, from logical; 0: they do, or have
 * none; CORRUPT, IO (of the tree), NOMEM. */
int btrfs_data_check(struct btrfs *b, uint64_t logical, const uint8_t *data,
	size_t len, uint64_t *out_bad, struct error *e);
int btrfs_check_data(struct fs *fs, uint32_t dev, uint64_t off,
	const void *data, size_t len, uint64_t *out_bad, struct error *e);
void btrfs_sums_release(struct btrfs_sums *s);

/* --- btrfs_super.c --- */

/* Reads the copies of one device and picks the newest valid one; first: the
 * first, where it is valid. NOTFOUND: no copy has the magic; CORRUPT: some has,
 * none is valid; UNSUPPORTED, IO. */
int btrfs_super_read(struct source *src, bool first, struct btrfs_super *out,
	struct error *e);
/* As blkid prints it. */
void btrfs_uuid_text(const uint8_t uuid[16], char out[40]);
/* UNSUPPORTED where the file system uses what this reader does not know. */
int btrfs_super_supported(const struct btrfs_super *sb, struct error *e);

/* --- btrfs_chunk.c --- */

/* Where a stretch of logical addresses lies. Every copy holds the same len
 * bytes. */
struct btrfs_piece {
	uint64_t len;
	uint32_t ncopies;
	struct btrfs_stripe copy[BTRFS_MAX_COPIES];
};

/* The system chunks of the superblock, enough to read the chunk tree. */
int btrfs_chunks_bootstrap(struct btrfs *b, struct error *e);
/* All chunks, from the chunk tree. */
int btrfs_chunks_load(struct btrfs *b, struct error *e);
/* The first piece of [logical, +len), len > 0; piece.len is 1..len. CORRUPT
 * where no chunk holds it. */
int btrfs_map(const struct btrfs *b, uint64_t logical, uint64_t len,
	struct btrfs_piece *out, struct error *e);
/* Reads [logical, +len) from copy number n (of each piece; modulo their
 * number). IO, CORRUPT. */
int btrfs_read_copy(struct btrfs *b, void *buf, size_t len, uint64_t logical,
	uint32_t n, struct error *e);
/* The same from the first copy that can be read. */
int btrfs_read(struct btrfs *b, void *buf, size_t len, uint64_t logical,
	struct error *e);
/* Splits a chunk: *out_data columns of distinct data, each in *out_copies
 * copies, stripe number column * copies + copy. With parity the columns
 * rotate. False: profile and numbers contradict each other (never of a loaded
 * chunk). */
bool btrfs_chunk_shape(const struct btrfs_chunk *c, uint64_t *out_data,
	uint32_t *out_copies);
/* How many copies the chunk at logical has; 1 where there is none. */
uint32_t btrfs_copies(const struct btrfs *b, uint64_t logical);
/* The chunk that holds logical, or NULL. */
const struct btrfs_chunk *btrfs_chunk_at(const struct btrfs *b,
	uint64_t logical);
/* Can this copy be read: its device is here and long enough? */
static inline bool btrfs_here(const struct btrfs *b,
	const struct btrfs_stripe *s, uint64_t len)
{
	return s->dev != BTRFS_NO_DEV &&
	       s->off <= b->devs.items[s->dev].src->size &&
	       len <= b->devs.items[s->dev].src->size - s->off;
}

/* --- btrfs_tree.c --- */

int btrfs_cache_init(struct btrfs *b, struct error *e);
void btrfs_cache_release(struct btrfs *b);

/* A place in a tree. Its nodes stay in memory until btrfs_path_release; more
 * than one may be open, and others opened meanwhile. */
struct btrfs_path {
	struct btrfs *b;
	struct btrfs_node *node[BTRFS_MAX_LEVEL];
	uint32_t slot[BTRFS_MAX_LEVEL];
	uint8_t top;
	/* Part of the tree could not be read and was passed over. */
	bool damaged;
	/* the item at hand */
	struct btrfs_key key;
	const uint8_t *data;
	uint32_t len;
	struct error err; /* of the first damage */
};

void btrfs_path_release(struct btrfs_path *p);
#define AUTO_PATH __attribute__((cleanup(btrfs_path_release))) struct btrfs_path

/* The first item at or after key. 1: there is one (in the path), 0: none, or
 * NOMEM. Nodes that cannot be read are passed over (see damaged); a finding
 * was reported. The path must be zeroed or released. */
int btrfs_seek(struct btrfs *b, const struct btrfs_root *r,
	const struct btrfs_key *key, struct btrfs_path *p, struct error *e);
/* The last item at or before key: 1, 0 or CORRUPT, IO, NOMEM. */
int btrfs_seek_le(struct btrfs *b, const struct btrfs_root *r,
	const struct btrfs_key *key, struct btrfs_path *p, struct error *e);
/* The next item: 1, 0, NOMEM. Keys only grow, so that a walk ends. */
int btrfs_next(struct btrfs_path *p, struct error *e);
/* The error of the damage that a walk met, as the walk's result: 0 or its
 * code. */
int btrfs_path_verdict(const struct btrfs_path *p, struct error *e);

static inline struct btrfs_key btrfs_key_get(const void *disk)
{
	const uint8_t *p = disk;

	return (struct btrfs_key){ .objectid = get_le64(p),
		.type = p[8],
		.offset = get_le64(p + 9) };
}

static inline int btrfs_key_cmp(const struct btrfs_key *a,
	const struct btrfs_key *b)
{
	if (a->objectid != b->objectid)
		return a->objectid < b->objectid ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return 0;
}

/* --- btrfs_root.c --- */

/* Ids: bits 63..40 the subvolume, bits 39..0 the inode. An inode with bit 39
 * set is no inode but a stub: the empty directory that stands in a snapshot
 * for a subvolume nested in its origin; the bits below are the number of that
 * subvolume. Both numbers only grow during the life of a file system; one
 * with more than 2^24 subvolumes ever made, or 2^39 inodes ever made in one
 * of them, does not fit: such entries are left out with a finding. */
#define BTRFS_ID_BITS 40
#define BTRFS_ID_STUB (UINT64_C(1) << 39)
#define BTRFS_ID_SUBVOL_MAX ((UINT64_C(1) << 24) - 1)

bool btrfs_id_pack(uint64_t subvol, uint64_t ino, uint64_t *out);
/* Lists the subvolumes, once, at open. */
int btrfs_roots_load(struct btrfs *b, struct error *e);
const struct btrfs_subvol *btrfs_subvol_find(const struct btrfs *b,
	uint64_t id);
/* Takes an id apart: its subvolume, and inode or stub. NOTFOUND. */
int btrfs_id_open(const struct btrfs *b, uint64_t id,
	const struct btrfs_subvol **out_sv, uint64_t *out_ino, bool *out_stub,
	struct error *e);
/* Notes that a stub stands in this directory of its subvolume; past a limit,
 * or out of memory, nothing. */
void btrfs_stub_note(struct btrfs *b, uint64_t id, uint64_t dir);
/* The directory of a stub; 0: not found. Searches the subvolume's whole tree
 * where readdir did not come by. */
uint64_t btrfs_stub_dir(struct btrfs *b, const struct btrfs_subvol *sv,
	uint64_t id);
int btrfs_subvolumes(struct fs *fs, fs_subvolume_fn fn, void *ctx,
	struct error *e);

/* --- btrfs_codec.c --- */

/* Decodes a whole extent of out_len bytes; what the input does not give is
 * zeros. CORRUPT, UNSUPPORTED (method), NOMEM. */
int btrfs_decode(struct btrfs_codec *c, uint8_t method, uint32_t sectorsize,
	const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
	struct error *e);
void btrfs_codec_release(struct btrfs_codec *c);

/* --- btrfs_file.c --- */

int btrfs_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e);
int btrfs_pread(struct fs *fs, uint64_t id, void *buf, size_t len, uint64_t off,
	struct error *e);
/* The content without a look at the type: also of symbolic links. The range
 * must be inside size. */
int btrfs_content(struct btrfs *b, const struct btrfs_root *r, uint64_t ino,
	void *buf, size_t len, uint64_t off, struct error *e);

/* --- btrfs_inode.c --- */

/* What directory entries and attributes have in common. */
struct btrfs_named {
	struct btrfs_key location;
	const uint8_t *name, *data;
	uint32_t name_len, data_len, all;
};
/* The first one in these bytes; false where it does not fit. */
bool btrfs_named_get(const uint8_t *p, size_t len, struct btrfs_named *out);
/* The id behind an entry that names a subvolume; *out_stub: it is a stub. */
bool btrfs_subvol_entry(const struct btrfs *b, const struct btrfs_subvol *sv,
	uint64_t dir, const struct btrfs_named *n, uint64_t *out,
	bool *out_stub);


/* The item of one inode: CORRUPT, NOTFOUND, IO. p is left open there. */
int btrfs_inode_get(struct btrfs *b, const struct btrfs_root *r, uint64_t ino,
	struct btrfs_path *p, struct btrfs_disk_inode *out, struct error *e);
int btrfs_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e);
int btrfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e);
int btrfs_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e);
int btrfs_xattrs(struct fs *fs, uint64_t id, fs_xattr_fn fn, void *ctx,
	struct error *e);

/* --- btrfs_free.c --- */

/* The tree of that number, from the root tree; CORRUPT where there is none. */
int btrfs_tree_find(struct btrfs *b, uint64_t id, struct btrfs_root *out,
	struct error *e);
int btrfs_free_space(struct fs *fs, fs_range_fn fn, void *ctx, struct error *e);

#endif
