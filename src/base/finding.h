/* SPDX-License-Identifier: Apache-2.0 */
/* The second error channel: what is odd about an image that is read all the
 * same. One damaged inode does not stop the import of a disk. */
#ifndef STRATA_BASE_FINDING_H
#define STRATA_BASE_FINDING_H

#include <stdint.h>
#include "base/compiler.h"

enum finding_severity {
	FINDING_NOTE,    /* worth knowing, nothing is wrong */
	FINDING_WARNING, /* some insight is lost, no byte is */
	FINDING_DAMAGE,  /* the image contradicts itself */
};

/* The one table: id in messages and JSON, severity, sentence. Sorted by
 * topic. Add a row rather than reuse one that says something else. */
#define FINDING_TABLE(X)                                                       \
	X(PART_TABLE_DAMAGED, "part-table-damaged", DAMAGE,                    \
		"the partition table is damaged")                              \
	X(PART_ENTRY_BAD, "part-entry-bad", DAMAGE,                            \
		"a partition entry is outside the disk or contradicts itself") \
	X(PART_OVERLAP, "part-overlap", DAMAGE, "partitions overlap")          \
	X(PART_NESTED, "part-nested", NOTE,                                    \
		"a partition lies inside another")                             \
	X(PART_LOOP, "part-loop", DAMAGE,                                      \
		"the chain of extended partitions loops")                      \
	X(PART_BACKUP, "part-backup", DAMAGE,                                  \
		"the two copies of the partition table disagree, or one is "   \
		"damaged; the valid one is used")                              \
	X(PART_HYBRID, "part-hybrid", NOTE,                                    \
		"the disk has a hybrid MBR beside its GPT")                    \
	X(PART_KIND, "part-kind", NOTE,                                        \
		"a partition table of a kind that is kept as blocks")          \
	X(VOLUME_KEPT, "volume-kept", NOTE,                                    \
		"the volume is of a kind that is kept as blocks")              \
	X(VOLUME_INCOMPLETE, "volume-incomplete", WARNING,                     \
		"a member of the volume is missing")                           \
	X(VOLUME_DAMAGED, "volume-damaged", DAMAGE,                            \
		"the volume's metadata is damaged")                            \
	X(FS_DAMAGED, "fs-damaged", DAMAGE,                                    \
		"the file system is damaged; what cannot be read is kept as "  \
		"blocks")                                                      \
	X(FS_UNSUPPORTED, "fs-unsupported", WARNING,                           \
		"the file system uses a feature that is not read; it is kept " \
		"as blocks")                                                   \
	X(FS_TRUNCATED, "fs-truncated", DAMAGE,                                \
		"the file system is larger than its volume")                   \
	X(FS_DIRTY, "fs-dirty", WARNING,                                       \
		"the file system was not unmounted cleanly")                   \
	X(FS_JOURNAL, "fs-journal", NOTE,                                      \
		"a dirty journal was replayed in memory for the file view")    \
	X(FS_EXTERNAL_LOG, "fs-external-log", NOTE,                            \
		"the file system's log is on another device")                  \
	X(FS_BACKUP_SUPER, "fs-backup-super", WARNING,                         \
		"the first superblock is damaged; a copy is used")             \
	X(FS_METADATA_ONLY, "fs-metadata-only", WARNING,                       \
		"the file system is a copy of another's metadata; what its "   \
		"files held is not there")                                     \
	X(FS_BRIDGE, "fs-bridge", NOTE,                                        \
		"the volume is ISO 9660 and UDF at once; one of them is shown") \
	X(FS_SESSION, "fs-session", NOTE,                                      \
		"the disc was written in several sessions; the last is shown") \
	X(BOOT_ENTRY, "boot-entry", NOTE,                                      \
		"the volume has a boot catalog; this is an entry of it")       \
	X(FILE_DAMAGED, "file-damaged", DAMAGE,                                \
		"a file's metadata is damaged; its bytes are kept as blocks")  \
	X(FILE_CHECKSUM, "file-checksum", DAMAGE,                              \
		"a file's data does not match the file system's checksum")     \
	X(FILE_UNREADABLE, "file-unreadable", WARNING,                         \
		"a file's content cannot be decoded; its bytes are kept as "   \
		"blocks")                                                      \
	X(FILE_ENCRYPTED, "file-encrypted", NOTE,                              \
		"files are encrypted; they are kept as their encrypted bytes") \
	X(FILE_LIMIT, "file-limit", WARNING,                                   \
		"a file is over a limit; its bytes are kept as blocks")        \
	X(DIR_DAMAGED, "dir-damaged", DAMAGE,                                  \
		"a directory is damaged; some of its entries are not listed")  \
	X(DIR_LOOP, "dir-loop", DAMAGE,                                        \
		"a directory is reached twice; it is listed once")             \
	X(NAME_BAD, "name-bad", DAMAGE,                                        \
		"a name in a directory is not a valid one; it is left out")    \
	X(XATTR_DAMAGED, "xattr-damaged", DAMAGE,                              \
		"extended attributes are damaged; they are left out")          \
	X(DISK_DAMAGED, "disk-damaged", DAMAGE,                                \
		"the disk container is damaged")                               \
	X(DISK_DIRTY, "disk-dirty", WARNING,                                   \
		"the disk container was not closed cleanly")                   \
	X(DISK_TRUNCATED, "disk-truncated", DAMAGE,                            \
		"the disk container is shorter than it says; the rest reads "  \
		"as zeros")                                                    \
	X(DISK_NOTE, "disk-note", NOTE, "something about the disk container")  \
	X(READ_ERROR, "read-error", DAMAGE,                                    \
		"part of the source cannot be read")

enum finding_id {
#define X(id, name, severity, text) FINDING_##id,
	FINDING_TABLE(X)
#undef X
	FINDING_COUNT
};

struct finding {
	enum finding_id id;
	uint64_t offset;    /* byte offset in the reader's source, or NO_OFFSET */
	const char *where;  /* path, volume or field; "" if none. Borrowed. */
	const char *detail; /* what exactly, one clause. Borrowed. */
};

#define FINDING_NO_OFFSET UINT64_MAX

/* Where findings go. report may be called often (once per damaged inode); the
 * receiver counts and caps. Called on the thread that reads. */
struct finding_sink {
	void (*report)(void *ctx, const struct finding *f);
	void *ctx;
};

const char *finding_name(enum finding_id id);     /* "fs-damaged" */
const char *finding_sentence(enum finding_id id); /* for people */
enum finding_severity finding_severity(enum finding_id id);
const char *finding_severity_name(enum finding_severity s);

/* Reports one; a NULL sink, or one without a function, drops it. where may be
 * NULL. */
void finding_report(const struct finding_sink *sink, enum finding_id id,
	uint64_t offset, const char *where, const char *fmt, ...)
	ATTR_PRINTF(5, 6);

#endif
