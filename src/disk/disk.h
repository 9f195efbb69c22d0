/* SPDX-License-Identifier: Apache-2.0 */
/* Disk containers: what a virtual disk comes in. A reader turns the bytes of
 * a container into the source of the virtual disk; a writer does the reverse.
 */
#ifndef STRATA_DISK_DISK_H
#define STRATA_DISK_DISK_H

#include "base/error.h"
#include "base/finding.h"
#include "os/sink.h"
#include "os/source.h"

/* How a reader gets at another file that the container names: a backing file,
 * an extent, a data file. The owner of the callback decides what is allowed;
 * a reader never opens anything itself. */
struct disk_resolver {
	/* name: as written in the container. purpose: "backing file", "extent",
	 * "data file", for messages. format: what the container says of the
	 * other file's format ("qcow2", "raw"; "" where it does not say), or
	 * NULL for a plain source of the file's bytes. UNSUPPORTED where it is
	 * not allowed. resolve.h has one that goes by a list. */
	int (*open)(void *ctx, const char *name, const char *purpose,
		const char *format, struct source **out, struct error *e);
	void *ctx;
};

struct disk_open_args {
	struct source *file;                  /* borrowed */
	const struct disk_resolver *resolver; /* NULL: nothing is allowed */
	const char *snapshot;                 /* internal snapshot, or NULL */
	const struct finding_sink *findings;  /* borrowed; or NULL */
};

/* Facts about a container, for inspect. */
struct disk_info {
	char format[24];  /* "raw", "qcow2", "vmdk", "vhd", ... */
	char detail[160]; /* "v3, zstd, 64 KiB clusters" */
	char backing[1024]; /* name of the backing file, "" = none */
	/* A 16-byte id that changes with the content (VHD, VHDX, VMDK CID), or
	 * zeros. */
	uint8_t content_id[16];
};

enum disk_verdict { DISK_NO, DISK_YES };

struct disk_ops {
	const char *name;        /* the format's name on the command line */
	const char *const *suffixes; /* ".qcow2", NULL-terminated, or NULL */
	/* By magic and structure, not by suffix. */
	enum disk_verdict (*probe)(struct source *file);
	/* The virtual disk as a source (which holds references to what it
	 * needs). CORRUPT, UNSUPPORTED, LIMIT, NOMEM, IO. */
	int (*open)(const struct disk_open_args *args, struct source **out,
		struct disk_info *info, struct error *e);
	/* NULL where the format is not written. */
	const struct disk_writer *writer;
};

struct disk_write_args {
	struct source *disk; /* borrowed: what to write. Reads are fastest in
			      * ascending order. */
	struct sink *out;    /* borrowed */
	bool compress;
	const char *compression; /* "zstd", "zlib" or NULL for the default */
	/* Progress, in bytes of the virtual disk done; returns non-zero to
	 * cancel. May be NULL. */
	int (*progress)(void *ctx, uint64_t done);
	void *progress_ctx;
	const uint8_t *id; /* 16 bytes that seed ids and GUIDs in the output, so
			    * that equal inputs give equal files */
	const char *name;  /* base name of the output file, for descriptors */
};

struct disk_writer {
	const char *name;
	bool streams; /* can write to a sink that cannot seek */
	/* Writes the container, sparse where the sink and the format can. */
	int (*write)(const struct disk_write_args *args, struct error *e);
};

/* All formats, ended by NULL; raw last (it matches everything). */
extern const struct disk_ops *const disk_table[];

const struct disk_ops *disk_by_name(const char *name); /* NULL: unknown */
/* By the end of a file's name, among the formats that are written; NULL. */
const struct disk_ops *disk_by_suffix(const char *path);
/* Raw where nothing else matches. */
const struct disk_ops *disk_probe(struct source *file);

#endif
