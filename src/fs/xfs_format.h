/* SPDX-License-Identifier: Apache-2.0 */
/* XFS as it stands on disk. All integers are big-endian but the checksums,
 * which are little-endian. "Structure" below is the document "XFS Algorithms &
 * Data Structures", 3rd edition; chapter names are given. */
#ifndef STRATA_FS_XFS_FORMAT_H
#define STRATA_FS_XFS_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define XFS_OFFSET(type, field, at)                                            \
	_Static_assert(offsetof(struct type, field) == (at), #type "." #field)

/* --- superblock (Structure, "Superblocks") --- */

#define XFS_SB_MAGIC 0x58465342u /* "XFSB" */

struct xfs_dsb {
	be32 magic, blocksize;
	be64 dblocks, rblocks, rextents;
	uint8_t uuid[16];
	be64 logstart, rootino, rbmino, rsumino;
	be32 rextsize, agblocks, agcount, rbmblocks, logblocks;
	be16 version, sectsize, inodesize, inopblock;
	uint8_t fname[12];
	uint8_t blocklog, sectlog, inodelog, inopblog, agblklog, rextslog;
	uint8_t inprogress, imax_pct;
	be64 icount, ifree, fdblocks, frextents;
	be64 uquotino, gquotino;
	be16 qflags;
	uint8_t flags, shared_vn;
	be32 inoalignmt, unit, width;
	uint8_t dirblklog, logsectlog;
	be16 logsectsize;
	be32 logsunit, features2, bad_features2;
	/* version 5 */
	be32 compat, ro_compat, incompat, log_incompat;
	le32 crc;
	be32 spino_align;
	be64 pquotino, lsn;
	uint8_t meta_uuid[16];
};
XFS_OFFSET(xfs_dsb, uuid, 32);
XFS_OFFSET(xfs_dsb, version, 100);
XFS_OFFSET(xfs_dsb, blocklog, 120);
XFS_OFFSET(xfs_dsb, features2, 200);
XFS_OFFSET(xfs_dsb, crc, 224);
XFS_OFFSET(xfs_dsb, lsn, 240);
XFS_OFFSET(xfs_dsb, meta_uuid, 248);
_Static_assert(sizeof(struct xfs_dsb) == 264, "superblock");
#define XFS_DSB_CRC_AT 224
#define XFS_DSB_LSN_AT 240
#define XFS_DSB_META_UUID_AT 248
/* Logged attributes: items that are known. */
#define XFS_LOG_INCOMPAT_KNOWN 0x1

#define XFS_VERSION_MASK 0x000f
#define XFS_VERSION_SHARED 0x0200
#define XFS_VERSION_LOGV2 0x0400
#define XFS_VERSION_DIRV2 0x2000
#define XFS_VERSION_MOREBITS 0x8000
/* ATTR, NLINK, QUOTA, ALIGN, DALIGN, LOGV2, SECTOR, EXTFLG, DIRV2, BORG and
 * MOREBITS: what can be on a version 4 file system that is read. */
#define XFS_VERSION_KNOWN (0xfdf0 | XFS_VERSION_MASK)

#define XFS_FEATURES2_FTYPE 0x0200
/* RESERVED1 (1), LAZYSBCOUNT, RESERVED4, ATTR2, PARENT, PROJID32, FTYPE */
#define XFS_FEATURES2_KNOWN 0x029f

#define XFS_INCOMPAT_FTYPE 0x01
#define XFS_INCOMPAT_SPINODES 0x02
#define XFS_INCOMPAT_META_UUID 0x04
#define XFS_INCOMPAT_BIGTIME 0x08
#define XFS_INCOMPAT_NEEDSREPAIR 0x10
#define XFS_INCOMPAT_NREXT64 0x20
#define XFS_INCOMPAT_EXCHRANGE 0x40
#define XFS_INCOMPAT_PARENT 0x80
#define XFS_INCOMPAT_METADIR 0x100
#define XFS_INCOMPAT_KNOWN 0x1ff

/* --- AG headers (Structure, "AG Free Space Management", "AG Inode
 * Management"): sectors 0 to 3 of each AG --- */

#define XFS_AGF_MAGIC 0x58414746u  /* "XAGF" */
#define XFS_AGI_MAGIC 0x58414749u  /* "XAGI" */
#define XFS_AGFL_MAGIC 0x5841464cu /* "XAFL" */

struct xfs_dagf {
	be32 magic, version, seqno, length;
	be32 bno_root, cnt_root, rmap_root;
	be32 bno_level, cnt_level, rmap_level;
	be32 flfirst, fllast, flcount, freeblks, longest, btreeblks;
	uint8_t uuid[16];
};
XFS_OFFSET(xfs_dagf, bno_level, 28);
XFS_OFFSET(xfs_dagf, flfirst, 40);
XFS_OFFSET(xfs_dagf, uuid, 64);
#define XFS_DAGF_CRC_AT 216

struct xfs_dagi {
	be32 magic, version, seqno, length, count, root, level, freecount;
};
XFS_OFFSET(xfs_dagi, root, 20);

struct xfs_dagfl {
	be32 magic, seqno;
	uint8_t uuid[16];
	be64 lsn;
	le32 crc;
};
XFS_OFFSET(xfs_dagfl, crc, 32);
/* The array starts right behind the checksum: the structure is packed. */
#define XFS_DAGFL_SIZE 36
#define XFS_DAGFL_CRC_AT 32

/* --- B+trees (Structure, "Fixed Length Record B+trees") --- */

#define XFS_ABTB_MAGIC 0x41425442u /* "ABTB", free space by block */
#define XFS_AB3B_MAGIC 0x41423342u /* "AB3B" */
#define XFS_BMAP_MAGIC 0x424d4150u /* "BMAP", extents of a fork */
#define XFS_BMA3_MAGIC 0x424d4133u /* "BMA3" */

struct xfs_dbtree_short {
	be32 magic;
	be16 level, numrecs;
	be32 leftsib, rightsib;
	/* version 5 */
	be64 blkno, lsn;
	uint8_t uuid[16];
	be32 owner;
	le32 crc;
};
_Static_assert(sizeof(struct xfs_dbtree_short) == 56, "short btree");
#define XFS_SHORT_SIZE4 16
#define XFS_SHORT_SIZE5 56
#define XFS_SHORT_CRC_AT 52

struct xfs_dbtree_long {
	be32 magic;
	be16 level, numrecs;
	be64 leftsib, rightsib;
	/* version 5 */
	be64 blkno, lsn;
	uint8_t uuid[16];
	be64 owner;
	le32 crc;
	be32 pad;
};
_Static_assert(sizeof(struct xfs_dbtree_long) == 72, "long btree");
#define XFS_LONG_SIZE4 24
#define XFS_LONG_SIZE5 72
#define XFS_LONG_CRC_AT 64

struct xfs_dalloc_rec {
	be32 start, count;
};
struct xfs_dbmbt_rec {
	be64 l0, l1;
};

/* --- inodes (Structure, "On-disk Inode") --- */

#define XFS_INODE_MAGIC 0x494e /* "IN" */

enum xfs_dformat {
	XFS_FMT_DEV = 0,
	XFS_FMT_LOCAL = 1,
	XFS_FMT_EXTENTS = 2,
	XFS_FMT_BTREE = 3,
};

struct xfs_dinode {
	be16 magic, mode;
	uint8_t version, format;
	be16 onlink;
	be32 uid, gid, nlink;
	be16 projid_lo, projid_hi;
	be64 big_nextents; /* NREXT64; else padding and flushiter */
	be64 atime, mtime, ctime;
	be64 size, nblocks;
	be32 extsize;
	be32 nextents;  /* NREXT64: those of the attribute fork */
	be16 anextents; /* NREXT64: padding */
	uint8_t forkoff, aformat;
	be32 dmevmask;
	be16 dmstate, flags;
	be32 gen, next_unlinked;
	/* version 3 */
	le32 crc;
	be64 changecount, lsn, flags2;
	be32 cowextsize;
	uint8_t pad[12];
	be64 crtime, ino;
	uint8_t uuid[16];
};
XFS_OFFSET(xfs_dinode, big_nextents, 24);
XFS_OFFSET(xfs_dinode, mtime, 40);
XFS_OFFSET(xfs_dinode, size, 56);
XFS_OFFSET(xfs_dinode, nextents, 76);
XFS_OFFSET(xfs_dinode, forkoff, 82);
XFS_OFFSET(xfs_dinode, flags, 90);
XFS_OFFSET(xfs_dinode, crc, 100);
XFS_OFFSET(xfs_dinode, flags2, 120);
XFS_OFFSET(xfs_dinode, ino, 152);
_Static_assert(sizeof(struct xfs_dinode) == 176, "inode");
#define XFS_DINODE_SIZE2 100
#define XFS_DINODE_SIZE3 176
#define XFS_DINODE_CRC_AT 100

#define XFS_DIFLAG_REALTIME 0x0001
#define XFS_DIFLAG2_BIGTIME 0x08
#define XFS_DIFLAG2_NREXT64 0x10
#define XFS_DIFLAG2_METADATA 0x20

/* --- directories (Structure, "Directories") --- */

#define XFS_DIR2_BLOCK_MAGIC 0x58443242u /* "XD2B" */
#define XFS_DIR2_DATA_MAGIC 0x58443244u  /* "XD2D" */
#define XFS_DIR3_BLOCK_MAGIC 0x58444233u /* "XDB3" */
#define XFS_DIR3_DATA_MAGIC 0x58444433u  /* "XDD3" */
#define XFS_DIR2_SIZE 16 /* magic and three best-free pairs */
#define XFS_DIR3_SIZE 64
#define XFS_DIR3_CRC_AT 4
#define XFS_DIR_FREE_TAG 0xffff
/* Where the hash index starts in the fork; entries lie below it. */
#define XFS_DIR_LEAF_AT (UINT64_C(1) << 35)

struct xfs_ddir3 {
	be32 magic;
	le32 crc;
	be64 blkno, lsn;
	uint8_t uuid[16];
	be64 owner;
};
_Static_assert(sizeof(struct xfs_ddir3) == 48, "directory block");

/* --- attributes (Structure, "Extended Attributes") --- */

#define XFS_ATTR_LEAF_MAGIC 0xfbee
#define XFS_ATTR3_LEAF_MAGIC 0x3bee
#define XFS_DA_NODE_MAGIC 0xfebe
#define XFS_DA3_NODE_MAGIC 0x3ebe
#define XFS_ATTR_LOCAL 0x01
#define XFS_ATTR_ROOT 0x02
#define XFS_ATTR_SECURE 0x04
#define XFS_ATTR_PARENT 0x08
#define XFS_ATTR_INCOMPLETE 0x80

struct xfs_dda {
	be32 forw, back;
	be16 magic, pad;
	/* version 5 */
	le32 crc;
	be64 blkno, lsn;
	uint8_t uuid[16];
	be64 owner;
};
_Static_assert(sizeof(struct xfs_dda) == 56, "da block");
#define XFS_DA_SIZE4 12
#define XFS_DA_SIZE5 56
#define XFS_DA_CRC_AT 12

/* Remote values and symlinks: one header in each block (version 5). */
#define XFS_RMT_MAGIC 0x5841524du     /* "XARM" */
#define XFS_SYMLINK_MAGIC 0x58534c4du /* "XSLM" */

struct xfs_dremote {
	be32 magic, offset, bytes;
	le32 crc;
	uint8_t uuid[16];
	be64 owner, blkno, lsn;
};
_Static_assert(sizeof(struct xfs_dremote) == 56, "remote block");
#define XFS_REMOTE_CRC_AT 12

/* --- the log (Structure, "Journaling Log") --- */

#define XFS_LOG_MAGIC 0xfeedbabeu
#define XFS_LOG_BB 512u /* it counts in basic blocks */
/* Bytes of a record that one header block speaks for, and of a record. */
#define XFS_LOG_CYCLE_SIZE 32768u
#define XFS_LOG_RECORD_MAX (256u * 1024)
#define XFS_LOG_VERSION_2 2u
#define XFS_LOG_FMT_LE 1u /* items are in the order of a little-endian writer */

struct xfs_dlog_rec {
	be32 magic, cycle, version, len;
	be64 lsn, tail_lsn;
	le32 crc;
	be32 prev_block, num_logops;
	be32 cycle_data[64];
	be32 fmt;
	uint8_t uuid[16];
	be32 size;
};
XFS_OFFSET(xfs_dlog_rec, crc, 32);
XFS_OFFSET(xfs_dlog_rec, num_logops, 40);
XFS_OFFSET(xfs_dlog_rec, size, 320);
#define XFS_LOG_CRC_AT 32
/* What the checksum covers of the first block: the structure as it is padded
 * on 64 or on 32 bits; and of each further one. */
#define XFS_LOG_REC_SIZE64 328
#define XFS_LOG_REC_SIZE32 324
#define XFS_LOG_EXT_SIZE 260

struct xfs_dlog_op {
	be32 tid, len;
	uint8_t client, flags;
	be16 pad;
};
_Static_assert(sizeof(struct xfs_dlog_op) == 12, "log operation");
#define XFS_LOG_TRANSACTION 0x69
#define XFS_LOG_LOG 0xaa
#define XFS_LOG_START 0x01
#define XFS_LOG_COMMIT 0x02
#define XFS_LOG_CONTINUE 0x04
#define XFS_LOG_WAS_CONT 0x08
#define XFS_LOG_END 0x10
#define XFS_LOG_UNMOUNT 0x20

#define XFS_TRANS_MAGIC 0x5452414eu /* "TRAN", in the writer's order */
#define XFS_TRANS_HEADER 16

/* Items: each begins with its type and the number of its regions, in the
 * order of bytes of the machine that wrote it. */
#define XFS_LI_EFI 0x1236
#define XFS_LI_EFD 0x1237
#define XFS_LI_INODE 0x123b
#define XFS_LI_BUF 0x123c
#define XFS_LI_DQUOT 0x123d
#define XFS_LI_QUOTAOFF 0x123e
#define XFS_LI_ICREATE 0x123f
#define XFS_LI_RUI 0x1240
#define XFS_LI_RUD 0x1241
#define XFS_LI_CUI 0x1242
#define XFS_LI_CUD 0x1243
#define XFS_LI_BUI 0x1244
#define XFS_LI_BUD 0x1245
#define XFS_LI_ATTRI 0x1246
#define XFS_LI_ATTRD 0x1247
#define XFS_LI_XMI 0x1248
#define XFS_LI_XMD 0x1249
#define XFS_LI_EFI_RT 0x124a
#define XFS_LI_CUD_RT 0x124f
/* Regions of one item: chunks of half the largest block, and the first. */
#define XFS_LOG_REGIONS_MAX 257

struct xfs_dlog_buf {
	le16 type, size, flags, len; /* len: basic blocks */
	le64 blkno;                  /* basic blocks */
	le32 map_size;               /* words of the bitmap that follows */
};
_Static_assert(sizeof(struct xfs_dlog_buf) == 20, "log buffer");
#define XFS_BLF_INODE 0x01
#define XFS_BLF_CANCEL 0x02
#define XFS_BLF_QUOTA 0x1c
#define XFS_BLF_TYPE_SHIFT 11
#define XFS_BLF_CHUNK 128u

enum xfs_blft {
	XFS_BLFT_BTREE = 4,
	XFS_BLFT_AGF = 5,
	XFS_BLFT_AGFL = 6,
	XFS_BLFT_AGI = 7,
	XFS_BLFT_DIR_FREE = 12,
	XFS_BLFT_DIR_LEAF1 = 13,
	XFS_BLFT_DIR_LEAFN = 14,
	XFS_BLFT_SB = 18,
	XFS_BLFT_RTBITMAP = 19,
	XFS_BLFT_RTSUMMARY = 20,
};

struct xfs_dlog_inode {
	le16 type, size;
	le32 fields;
	le16 asize, dsize;
	le32 pad;
	le64 ino;
	le32 rdev;
	uint8_t unused[12];
	le64 blkno;
	le32 len, boffset;
};
_Static_assert(sizeof(struct xfs_dlog_inode) == 56, "log inode");
/* The same without the padding: written by 32-bit machines. */
struct xfs_dlog_inode32 {
	le16 type, size;
	le32 fields;
	le16 asize, dsize;
	le64 ino;
	le32 rdev;
	uint8_t unused[12];
	le64 blkno;
	le32 len, boffset;
};
_Static_assert(sizeof(struct xfs_dlog_inode32) == 52, "log inode, 32 bits");
#define XFS_ILOG_DDATA 0x002
#define XFS_ILOG_DEXT 0x004
#define XFS_ILOG_DBROOT 0x008
#define XFS_ILOG_DEV 0x010
#define XFS_ILOG_ADATA 0x040
#define XFS_ILOG_AEXT 0x080
#define XFS_ILOG_ABROOT 0x100
#define XFS_ILOG_DOWNER 0x200
#define XFS_ILOG_AOWNER 0x400
#define XFS_ILOG_DFORK (XFS_ILOG_DDATA | XFS_ILOG_DEXT | XFS_ILOG_DBROOT)
#define XFS_ILOG_AFORK (XFS_ILOG_ADATA | XFS_ILOG_AEXT | XFS_ILOG_ABROOT)
/* The inode's core in the log ends before what only the disk has. */
#define XFS_LOG_DINODE_SIZE2 96
#define XFS_LOG_DINODE_SIZE3 176
/* flushiter counts up to this and starts again. */
#define XFS_FLUSHITER_MAX 0xffff

struct xfs_dlog_icreate {
	le16 type, size;
	be32 ag, agbno, count, isize, length, gen;
};
_Static_assert(sizeof(struct xfs_dlog_icreate) == 28, "log inode chunk");

/* What intents and their ends have in common. */
struct xfs_dlog_intent {
	le16 type, size;
	le32 n;
	le64 id;
};

#endif
