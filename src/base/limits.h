/* SPDX-License-Identifier: Apache-2.0 */
/* Every cap on what an input may ask for, with its reason. Reaching one is
 * ERR_LIMIT or a finding, never a crash. */
#ifndef STRATA_BASE_LIMITS_H
#define STRATA_BASE_LIMITS_H

#include <stdint.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* A disk: qemu's own limit is below 2^63; offsets then fit off_t. */
#define LIMIT_DISK_SIZE (UINT64_C(1) << 62)
/* GPT allows any count; real disks have 128. 4096 x 128 bytes = 512 KiB. */
#define LIMIT_PARTITIONS 4096
/* Logical partitions in one extended chain; Linux stops at 256. */
#define LIMIT_EXTENDED_CHAIN 256
/* A file name; 255 characters of up to 4 bytes and a margin (HFS+, exFAT). */
#define LIMIT_NAME 1024
/* A symlink target: PATH_MAX on Linux; btrfs and XFS stop below it. */
#define LIMIT_SYMLINK 65536
/* One extended attribute value: the kernel's XATTR_SIZE_MAX. */
#define LIMIT_XATTR 65536
/* All extended attributes of one file. */
#define LIMIT_XATTRS_TOTAL (1 * MIB)
/* Entries of one directory, far above what real ones hold. */
#define LIMIT_DIR_ENTRIES 2000000
/* What the names of all folders on the path that is being walked take, 16 bytes
 * an entry more than their length: a hostile chain of folders that share their
 * blocks is bounded, a folder of two million usual names fits. */
#define LIMIT_WALK_NAMES (96 * MIB)
/* What is kept of the first walk over the volumes of an import, so that there
 * is no second one: about a million files. */
#define LIMIT_LISTING (32 * MIB)
/* Contents that stand in metadata, kept from the first walk, so that the
 * metadata are not read again for them; and the longest of them. */
#define LIMIT_HELD (32 * MIB)
#define LIMIT_HELD_FILE 4096
/* Directory depth: the kernel's PATH_MAX allows 2048 one-letter levels. */
#define LIMIT_DEPTH 4096
/* Files of one volume. */
#define LIMIT_FILES 100000000
/* Extents of one file: 10 TiB of 4 KiB blocks, each its own extent, is more
 * than any file system's own tools survive. */
#define LIMIT_FILE_EXTENTS (UINT64_C(1) << 22)
/* Extents kept in memory for one disk (24 bytes each); files beyond it are
 * kept as blocks. */
#define LIMIT_DISK_EXTENTS (UINT64_C(3) << 20)
/* Bytes of hole that are hashed for one file; a sparse file costs nothing on
 * disk but a second for every 1.7 GB hashed. */
#define LIMIT_HASHED_HOLE (64 * GIB)
/* What is hashed for all files of an import beyond the bytes that stand on the
 * disk as such: this, and for compressed ones a factor of what stands there. */
#define LIMIT_HASHED_FREE (64 * GIB)
#define LIMIT_HASHED_FACTOR 64
/* A metadata block of any file system (btrfs and XFS: 64 KiB). */
#define LIMIT_FS_BLOCK 65536
/* An NTFS attribute list: Windows and ntfs-3g stop at 256 KiB. */
#define LIMIT_NTFS_ATTR_LIST (256 * 1024)
/* MFT records of one file kept in memory: a full attribute list of records
 * of 4 KiB is 32 MiB. */
#define LIMIT_NTFS_INODE (64 * MIB)
/* A compression unit: Windows makes 16 clusters of at most 4 KiB. */
#define LIMIT_NTFS_UNIT (2 * MIB)
/* Depth of a directory's B+ tree: nodes of 4 KiB hold at least 7 names, so
 * that 16 levels are over 10^13 entries. */
#define LIMIT_NTFS_INDEX_DEPTH 16
/* Security descriptors of one volume; Windows volumes have thousands. 16
 * bytes each in memory. */
#define LIMIT_NTFS_SDS (UINT64_C(1) << 20)
/* A Windows registry hive: SOFTWARE of a long-lived machine is 150 MiB. */
#define LIMIT_WINREG_HIVE (512 * MIB)
/* One string of a registry; Windows advises files over 2 KiB. */
#define LIMIT_WINREG_VALUE 65536
/* Programs, and services, of one registry; real ones have hundreds. */
#define LIMIT_WINREG_ITEMS 65536
/* Depth of a chain of backing files. */
#define LIMIT_BACKING_DEPTH 64
/* Bytes of a qcow2 L1 table, internal snapshots of an image, bytes of extra
 * data of one: qemu's own limits. */
#define LIMIT_QCOW2_L1 (32 * MIB)
#define LIMIT_QCOW2_SNAPSHOTS 65536
#define LIMIT_QCOW2_SNAPSHOT_EXTRA 1024
/* What a compressed file may unpack to: this much for any, and a factor for
 * large ones (deflate ends at 1032; a disk that is mostly empty is above what
 * its data alone would give). Zeros take no room, only time. */
#define LIMIT_UNWRAP_FREE (64 * GIB)
#define LIMIT_UNWRAP_FACTOR 2000
/* Of these bytes, those in blocks that are not all zeros: they take room. What
 * guests hold packs 2 to 20 times. */
#define LIMIT_UNWRAP_DATA_FREE (8 * GIB)
#define LIMIT_UNWRAP_DATA_FACTOR 200
/* What is read of the disk that a container holds: this much of any, and this
 * factor of what its files hold, beyond what the files hold as such. zstd makes
 * 20 bytes of a cluster of 64 KiB at best, with 8 in the table. */
#define LIMIT_CONTAINER_FREE (16 * GIB)
#define LIMIT_CONTAINER_FACTOR 4000
/* The same where the container stores its clusters as they are: what is read
 * several times, for a survey and for its files. */
#define LIMIT_PLAIN_FREE (1 * GIB)
#define LIMIT_PLAIN_FACTOR 64
/* DMG: bytes of the property list, of one table in it, runs of all tables (one
 * stands for 256 KiB or more: 256 GiB and up), bytes of a packed run (hdiutil
 * makes 1 MiB at most; eight are kept). */
#define LIMIT_DMG_LIST (64 * MIB)
#define LIMIT_DMG_TABLE (32 * MIB)
#define LIMIT_DMG_RUNS (1u << 20)
#define LIMIT_DMG_RUN (8 * MIB)
/* What qemu's block layer may use when it reads a format for us: memory of
 * the process, seconds of processor (a day of idle does not count). */
#define LIMIT_QEMU_MEMORY (2 * GIB)
#define LIMIT_QEMU_SECONDS 7200
/* Compressed files inside compressed files. */
#define LIMIT_UNWRAP_DEPTH 3
/* Memory of a decoder: xz -9 takes 65 MiB, zstd --long=27 128 MiB. */
#define LIMIT_UNWRAP_MEMORY (160 * MIB)
/* Pieces of a sparse member of a tar, 24 bytes each. */
#define LIMIT_TAR_SPARSE (1u << 20)
/* Members of a zip whose directory is looked at for the one disk in it. */
#define LIMIT_ZIP_MEMBERS 65536
/* A block of a container: VHDX allows 256 MiB. */
#define LIMIT_CONTAINER_BLOCK (256 * MIB)
/* A compressed block, which is unpacked as a whole: VMware writes 64 KiB. */
#define LIMIT_PACKED_BLOCK (16 * MIB)
/* A VMDK descriptor, and its extents: 64 TiB in files of 2 GiB. */
#define LIMIT_VMDK_DESC (4 * MIB)
#define LIMIT_VMDK_EXTENTS 32768
/* Block groups of ext2/3/4: 128 TiB at 4 KiB blocks; 64 MiB of descriptors. */
#define LIMIT_EXT_GROUPS (1u << 20)
/* Inode tables kept by one ext reader: those of 131,072 files (256 bytes). */
#define LIMIT_EXT_INODE_CACHE (32 * MIB)
/* Other metadata kept by one ext reader. */
#define LIMIT_EXT_META_CACHE (8 * MIB)
/* Blocks that one journal replays, and blocks it revokes (16 bytes each): the
 * largest journal mke2fs makes, 1 GiB, holds 2^18 blocks of 4 KiB. */
#define LIMIT_EXT_REPLAY (UINT32_C(1) << 20)
#define LIMIT_EXT_REVOKE (UINT32_C(1) << 22)
/* XFS: bytes of the transactions in its log that are not committed yet, and
 * their regions (8 bytes each). Linux commits what it gathered at 32 MiB, and
 * lets nobody write at 64. */
#define LIMIT_XFS_TRANS (64 * MIB)
#define LIMIT_XFS_TRANS_REGIONS (1u << 20)
/* Metadata in memory that a log stands for: what is in 64 MiB of log, at most
 * about, since neighbours share blocks; and places in it that are remembered
 * (16 bytes each, twice). */
#define LIMIT_XFS_REPLAY (64 * MIB)
#define LIMIT_XFS_PLACES (1u << 20)
/* Bytes of fast commits; mke2fs leaves 1/64 of the journal for them. */
#define LIMIT_EXT_FAST (32 * MIB)
/* The log of a VHDX, held twice while it is replayed; Hyper-V writes 1 MiB. */
#define LIMIT_VHDX_LOG (64 * MIB)
/* One item of a VHDX's metadata: the specification's own 1 MiB. */
#define LIMIT_VHDX_ITEM (1 * MIB)
/* btrfs: a chunk is usually 1 GiB; this many make 1 PiB. */
#define LIMIT_BTRFS_CHUNKS (1 << 20)
/* btrfs: subvolumes and snapshots; thousands already make its own tools slow.
 */
#define LIMIT_BTRFS_SUBVOLUMES (1 << 20)
/* btrfs: directories passed while the paths of all subvolumes are built. */
#define LIMIT_BTRFS_PATH_STEPS (1 << 22)
/* btrfs: stubs of nested subvolumes whose directory is remembered (16 bytes
 * each); the owner of others is given as 0. */
#define LIMIT_BTRFS_STUBS (1 << 18)
/* btrfs: tree nodes kept in memory by one reader. */
#define LIMIT_BTRFS_CACHE (32 * MIB)
/* btrfs: a compressed extent, either way; the kernel writes up to 128 KiB. */
#define LIMIT_BTRFS_COMPRESSED (1 * MIB)
/* Members of an OVA (chunks of 2 GiB: 8 TiB), one extended tar header. */
#define LIMIT_OVA_MEMBERS 4096u
#define LIMIT_OVA_HEADER (1 * MIB)
/* The OVF text (real ones: 10 to 100 KiB), its elements, files and disks. */
#define LIMIT_OVF (8 * MIB)
#define LIMIT_OVF_ELEMENTS 100000u
#define LIMIT_OVF_DISKS 1024u
/* The manifest: a line of 200 bytes a member. */
#define LIMIT_OVA_MANIFEST (1 * MIB)
/* Symlinks followed by one lookup: Linux's own MAXSYMLINKS. */
#define LIMIT_VIEW_SYMLINKS 40
/* A path with the targets of its symlinks put in: one target and a path. */
#define LIMIT_VIEW_PATH (LIMIT_SYMLINK + 4096)
/* An fstab that is read, and the mounts it makes; real ones have dozens. */
#define LIMIT_VIEW_FSTAB (1 * MIB)
#define LIMIT_VIEW_MOUNTS 1024
/* A named stream that is read into memory as an attribute's value. */
#define LIMIT_VIEW_STREAM (16 * MIB)
/* Long attributes of an image that is not imported whose place is remembered
 * (120 to 240 bytes and a name each); real ones are rare. */
#define LIMIT_PEEK_ATTRS 65536
/* Subvolumes of one volume that are tried as the root. */
#define LIMIT_VIEW_SUBVOLUMES 1024

/* ISO 9660: extents of one file (4 GiB each: 16 TiB), and bytes of one
 * directory (LIMIT_DIR_ENTRIES records of the largest size). */
#define LIMIT_ISO_SECTIONS 4096
#define LIMIT_ISO_DIR (512 * MIB)
/* Rock Ridge: continuation areas of one record (Linux stops at 32) and the
 * bytes of one. */
#define LIMIT_ISO_CONTINUATIONS 64
#define LIMIT_ISO_CONTINUATION 65536
/* ISO 9660: sessions of a disc (a CD has at most 99 tracks). */
#define LIMIT_ISO_SESSIONS 99
/* AAIP: bytes of a name or a value (Linux takes 64 KiB). */
#define LIMIT_ISO_ATTRIBUTE 65536

/* Names of hard-linked files of one image that are compared (48 bytes each), and
 * directories that are read for it; beyond it every name is a file. */
#define LIMIT_ISO_LINKS (1 << 18)

/* UDF: bytes of extended attributes of a file that are looked at (those of an
 * entry are less than a block). */
#define LIMIT_UDF_ATTRIBUTES 65536

/* EROFS: further devices, one a layer of a container's image (128 there). */
#define LIMIT_EROFS_DEVICES 1024

/* UDF: descriptors of one sequence (real ones have about six; each extent of
 * them has at least 16), partitions and maps of one volume (the specification
 * allows two). */
#define LIMIT_UDF_DESCRIPTORS 512
#define LIMIT_UDF_PARTITIONS 64
/* Blocks at the end of a volume that are searched for the virtual allocation
 * table: an image of a disc has up to 152 behind it. */
#define LIMIT_UDF_VAT_SEARCH 1024
/* Pieces of one file kept in memory (32 bytes each), steps to find them (32 for
 * a block of a virtual partition: 128 MiB of 2 KiB), and extents of descriptors:
 * with those of 2 KiB a file of 250,000 pieces. */
#define LIMIT_UDF_RUNS (1 << 20)
#define LIMIT_UDF_STEPS (1 << 21)
#define LIMIT_UDF_AD_EXTENTS 1024
/* Entries of one file on write-once media, each replaced by the next. */
#define LIMIT_UDF_ICB_CHAIN 256
/* Bytes of one directory: LIMIT_DIR_ENTRIES of the largest size, rounded. */
#define LIMIT_UDF_DIR (512 * MIB)

/* squashfs: data blocks of one file: 8 TiB of the usual 128 KiB. The list of
 * their sizes is walked, so it bounds work, not memory. */
#define LIMIT_SQUASHFS_BLOCKS (UINT64_C(1) << 26)


/* Changes that diff holds back to find renames among them; more are told as
 * they come, with renames as files that went and came. */
#define LIMIT_DIFF_PENDING (64 * MIB)
/* LVM2: bytes of metadata of all groups together (a group of 1000 volumes has
 * 500 KiB), values in one of them (56 bytes each), nesting (LVM writes 4). */
#define LIMIT_LVM_TEXT (8 * MIB)
#define LIMIT_LVM_NODES 500000
#define LIMIT_LVM_DEPTH 16
#define LIMIT_LVM_PVS 65536
/* Logical volumes of one scan, and pieces of all of them: 24 bytes each. A
 * striped volume has a piece a stripe: 64 GiB with stripes of 64 KiB. */
#define LIMIT_VOLUMES 65536
#define LIMIT_VOLUME_SEGMENTS (1 << 20)
/* File systems that are files of others: images of one survey, names looked at
 * in one volume for them (an ISO image has thousands of packages beside), how
 * deep one lies in another, and the pieces of one. */
#define LIMIT_NESTED_VOLUMES 64
#define LIMIT_NESTED_NAMES 16384
#define LIMIT_NESTED_DEPTH 2
#define LIMIT_NESTED_SEGMENTS 65536
/* Devices of an MD array: what its superblock of one sector more can name. */
#define LIMIT_MD_DISKS 1920

/* Files that inspect reads: release files, fstab, passwd; the latter of large
 * sites are a MiB. Registry hives: in memory, and copied once by the reader. */
#define LIMIT_INSPECT_FILE (4 * MIB)
#define LIMIT_INSPECT_HIVE (160 * MIB)
/* A log of a registry; Windows starts a new one long before. */
#define LIMIT_INSPECT_LOG (16 * MIB)
/* Entries of a folder that it looks at, and items of each list. */
#define LIMIT_INSPECT_ENTRIES 10000
/* Volumes beside the mounted ones that are searched for boot loaders. */
#define LIMIT_INSPECT_VOLUMES 128
/* The database of a package manager (Debian's is 1 KiB a package) and packages
 * in it: more than a whole distribution has. */
#define LIMIT_PACKAGES_FILE (160 * MIB)
#define LIMIT_PACKAGES 200000

/* A file that is shown line by line, and its lines; a larger one is told as
 * binary. At most 70 bytes of tables a line, for both sides: 56 MiB. */
#define LIMIT_DIFF_TEXT (16 * MIB)
#define LIMIT_DIFF_LINES 400000

#endif
