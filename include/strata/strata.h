/* SPDX-License-Identifier: Apache-2.0 */
/* strata: a library for virtual machine images. Import disks, version them,
 * look inside, get them back bit for bit. See strata(1) for the ideas and for
 * how revisions are named, and examples/ for programs.
 *
 *	cc prog.c $(pkg-config --cflags --libs strata)
 *
 * Functions return 0, or one of enum strata_code (negative) with the reason in
 * *error. The library never prints, never exits, and changes no state of the
 * process (locale, signals, working directory).
 *
 * Threads: a struct strata may be used by many threads at once, but for
 * strata_close. A struct strata_error is its caller's.
 *
 * Callbacks: a return other than 0 stops, and the function returns that value
 * (use positive ones, so that they are not taken for codes). What a callback is
 * given is valid until it returns.
 *
 * Text is UTF-8. Names and contents of a guest are bytes: whatever is in there.
 *
 * Structs of options: fill them with zeros, set size to sizeof, then what is
 * wanted; so that a program built today works with a library of tomorrow.
 */
#ifndef STRATA_STRATA_H
#define STRATA_STRATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STRATA_API __attribute__((visibility("default")))

/* The version of the library that runs, "0.1.0". */
STRATA_API const char *strata_version(void);

/* --- errors --- */

enum strata_code {
	STRATA_OK = 0,
	STRATA_RANGE = -1,	 /* outside the disk or file */
	STRATA_CORRUPT = -2,	 /* the input contradicts itself */
	STRATA_UNSUPPORTED = -3, /* valid or unknown, but not read */
	STRATA_LIMIT = -4,	 /* a cap of this library was reached */
	STRATA_NOMEM = -5,
	STRATA_IO = -6, /* the system said no: os_error */
	STRATA_NOTFOUND = -7,
	STRATA_EXISTS = -8,
	STRATA_BUSY = -9,
	STRATA_CONFLICT = -10, /* a branch moved meanwhile */
	STRATA_ARG = -11,      /* the caller's argument is wrong */
	STRATA_CANCELLED = -12, /* progress said so */
	STRATA_DAMAGED = -13,  /* the library itself is damaged */
};

/* The caller's; no release needed. Filled in by a call that fails; NULL may be
 * given wherever nobody wants to know. */
struct strata_error {
	int code;	 /* enum strata_code */
	int os_error;	 /* errno, 0 = none */
	bool has_offset; /* offset is known */
	uint64_t offset; /* byte in the input where it happened */
	char text[1024]; /* one line: what, why */
};

/* "corrupt"; "" for what is no code. */
STRATA_API const char *strata_code_name(int code);

/* --- the library: a folder --- */

struct strata;

/* Makes an empty one. The folder is made too; its parent must exist. EXISTS
 * where there is one, IO. */
STRATA_API int strata_init(const char *path, struct strata_error *error);

/* Opens it. path NULL: $STRATA_LIBRARY, else the user's own (strata(1)).
 * NOTFOUND; UNSUPPORTED where a newer strata wrote it; DAMAGED, IO, NOMEM.
 * Any number of processes may have one open, to read and to write. */
STRATA_API int strata_open(const char *path, struct strata **out,
	struct strata_error *error);
STRATA_API void strata_close(struct strata *s); /* NULL is fine */

/* --- names --- */

#define STRATA_ID_SIZE 32
#define STRATA_ID_TEXT 65
struct strata_id {
	uint8_t bytes[STRATA_ID_SIZE];
};
/* 64 hex digits and a NUL into out; returns out. */
STRATA_API char *strata_id_text(const struct strata_id *id,
	char out[STRATA_ID_TEXT]);

/* The commit that a revision names: a branch, a tag, a full or unique short
 * id, REV~N, REV^N, REV@{N}, REV@{DATE}. NOTFOUND, ARG. */
STRATA_API int strata_resolve(struct strata *s, const char *rev,
	struct strata_id *out, struct strata_error *error);

enum strata_ref_kind { STRATA_BRANCHES = 1, STRATA_TAGS = 2 };
typedef int (*strata_ref_fn)(void *ctx, const char *name,
	const struct strata_id *commit);
/* Every branch, or every tag, in order of names. */
STRATA_API int strata_refs(struct strata *s, enum strata_ref_kind kind,
	strata_ref_fn fn, void *ctx, struct strata_error *error);

/* --- import and export --- */

/* How far it is. phase: "survey", "import", ...; total 0: not known. Called a
 * few times a second, from any thread, one call at a time. Non-zero: stop,
 * the operation ends with CANCELLED. */
typedef int (*strata_progress_fn)(void *ctx, const char *phase, uint64_t done,
	uint64_t total);

/* What is odd about an image that is imported all the same. severity: "note",
 * "warning", "damage". offset UINT64_MAX: not known. where: volume or path. */
struct strata_finding {
	const char *id, *severity, *sentence, *where, *detail;
	uint64_t offset;
};
typedef void (*strata_finding_fn)(void *ctx, const struct strata_finding *f);

struct strata_import_options {
	size_t size;	     /* sizeof(struct strata_import_options) */
	const char *branch;  /* NULL: the file's base name, without ending */
	const char *from;    /* revision that a new branch starts from */
	const char *message; /* NULL: "Import NAME" */
	const char *format;  /* of the container; NULL: by content */
	/* Files and folders that an image may name as its backing or data
	 * file, ended by NULL; else nothing that it names is opened. */
	const char *const *allow_backing;
	unsigned threads; /* 0: all cores */
	bool verify;	  /* rebuild the disk from the library and compare */
	strata_progress_fn progress;
	strata_finding_fn finding;
	void *ctx; /* for both */
};

/* Stores an image file (any container that strata import takes) as a commit on
 * a branch; options may be NULL. When it returns 0 the commit is durable; else
 * the library is as before. NOTFOUND, CORRUPT, UNSUPPORTED, LIMIT, ARG,
 * CONFLICT, CANCELLED, DAMAGED, IO, NOMEM. */
STRATA_API int strata_import(struct strata *s, const char *path,
	const struct strata_import_options *options, struct strata_id *out,
	struct strata_error *error);

struct strata_export_options {
	size_t size;	    /* sizeof(struct strata_export_options) */
	const char *format; /* "raw", "qcow2", ...; NULL: by the ending */
	int disk;	    /* which one, from 1; 0: the only one, or all of
			     * them as "ova" */
	bool compress;	    /* where the format can */
	bool sync;	    /* flush to the medium before the name appears */
	strata_progress_fn progress;
	void *ctx;
};

/* Writes a disk of a revision to a file, which appears under its name when it
 * is whole; options may be NULL. NOTFOUND, ARG (unknown format; several disks
 * and none named), CANCELLED, DAMAGED, IO, NOMEM. */
STRATA_API int strata_export(struct strata *s, const char *rev,
	const char *path, const struct strata_export_options *options,
	struct strata_error *error);

/* --- files of an image --- */

enum strata_type {
	STRATA_FILE = 1,
	STRATA_DIRECTORY,
	STRATA_SYMLINK,
	STRATA_CHAR,
	STRATA_BLOCK,
	STRATA_FIFO,
	STRATA_SOCKET,
};

struct strata_entry {
	const char *path; /* from where the listing began; ends with a NUL */
	enum strata_type type;
	uint32_t mode; /* permission bits, 07777 */
	uint32_t uid, gid, nlink;
	uint64_t size; /* of a file, bytes */
	int64_t mtime; /* seconds since 1970, UTC */
	uint32_t mtime_ns;
	bool has_sha256;
	struct strata_id sha256; /* of a file's content */
	const char *target;	 /* of a symlink, ends with a NUL; else NULL */
	uint32_t rdev_major, rdev_minor;
};
typedef int (*strata_entry_fn)(void *ctx, const struct strata_entry *x);

enum strata_list_flags { STRATA_RECURSIVE = 1 << 0 };

/* Lists what is in a folder (or the one file) at REV:/path or REV:VOLUME:/path,
 * in order of names, depth first. Symlinks inside the image are followed to
 * find the folder, not in it. NOTFOUND, ARG, DAMAGED, IO, NOMEM. */
STRATA_API int strata_list(struct strata *s, const char *rev_path,
	unsigned flags, strata_entry_fn fn, void *ctx,
	struct strata_error *error);

typedef int (*strata_data_fn)(void *ctx, const void *data, size_t len);
/* Hands over a file's content in pieces, from begin to end (of no piece where
 * it is empty). NOTFOUND; ARG where it is no file; DAMAGED, IO, NOMEM. */
STRATA_API int strata_read(struct strata *s, const char *rev_path,
	strata_data_fn fn, void *ctx, struct strata_error *error);

/* --- history --- */

struct strata_commit {
	struct strata_id id, image;
	const struct strata_id *parents;
	size_t nparents;
	const char *author, *message;
	int64_t date; /* seconds since 1970, UTC */
};
typedef int (*strata_commit_fn)(void *ctx, const struct strata_commit *x);
/* The commits from a revision back, the newest first, none before one that
 * descends from it. max 0: all. */
STRATA_API int strata_log(struct strata *s, const char *rev, uint64_t max,
	strata_commit_fn fn, void *ctx, struct strata_error *error);

/* --- care --- */

/* Rebuilds every disk of a revision from the library and compares it with the
 * digest taken at import. DAMAGED where one differs. */
STRATA_API int strata_verify(struct strata *s, const char *rev,
	strata_progress_fn progress, void *ctx, struct strata_error *error);

#ifdef __cplusplus
}
#endif

#endif
