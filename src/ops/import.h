/* SPDX-License-Identifier: Apache-2.0 */
/* Importing: from disks to a commit. */
#ifndef STRATA_OPS_IMPORT_H
#define STRATA_OPS_IMPORT_H

#include "base/finding.h"
#include "library/library.h"
#include "ops/progress.h"
#include "os/source.h"

/* A file that is kept with the image (an OVF descriptor). */
struct import_attachment {
	const char *name;
	const void *data; /* at most BLOB_WHOLE_MAX bytes */
	size_t len;
};

struct import_args {
	struct source *const *disks; /* borrowed */
	size_t ndisks;
	const struct import_attachment *attachments;
	size_t nattachments;
	const char *branch;
	const struct oid *from; /* parent of a branch that is new, or NULL */
	const char *message;	/* NULL: "Import NAME" is the caller's */
	const char *reason;	/* for the reflog: "import" */
	const char *const *annotations; /* "K=V", NULL-terminated, or NULL */
	bool sha256;		/* also the SHA-256 of each raw disk */
	bool verify;		/* rebuild from the store and compare */
	unsigned threads;
	const struct finding_sink *findings;
	const struct progress *progress;
};

struct import_result {
	struct oid commit, image_id;
	struct image image;
	uint64_t *data_bytes; /* of each disk: what was not holes */
	uint64_t new_blobs, new_bytes, stored_bytes;
};
void import_result_release(struct import_result *r);

/* Stores the disks as a commit on the branch. When it returns 0 the commit is
 * durable. On failure, and when killed, the library is as before, but for
 * bytes that gc collects. CONFLICT where the branch moved meanwhile; IO with
 * the offset where a disk cannot be read; and what the store gives. */
int ops_import(struct library *l, const struct import_args *a,
	struct import_result *out, struct error *e);

/* The steps, for commits of other origin. */

struct changed_disk; /* ops/ingest_change.h */

struct import_disks_args {
	struct source *const *disks;
	size_t n;
	/* Where each disk differs from one that the library has; NULL: bring
	 * everything. */
	const struct changed_disk *changes;
	unsigned threads;
	const struct finding_sink *findings;
	const struct progress *progress;
	uint64_t *out_reused_files; /* with changes; or NULL */
};
/* Surveys, cuts and stores disks; fills in the image's disks and volumes. */
int import_disks(struct writer *w, struct library *l,
	const struct import_disks_args *a, struct image *out,
	uint64_t *out_data_bytes, struct error *e);

struct commit_args {
	const char *branch;
	const struct oid *from;	  /* as above */
	const struct oid *parent; /* expected tip, NULL: read it */
	const char *message, *reason;
	const char *const *annotations;
	const struct oid *second_parent; /* of a merge, or NULL */
	bool verify; /* the disks are rebuilt and compared before the branch
		      * moves; with progress, or NULL */
	const struct progress *progress;
};
/* Writes image and commit, finishes the writer, moves the branch. DAMAGED
 * where verify finds that the library would give another disk back: the branch
 * is as it was. */
int commit_image(struct library *l, struct writer *w, const struct image *im,
	const struct commit_args *a, struct oid *out_image, struct oid *out,
	struct error *e);

struct survey_volume;
/* What an image says of a volume, but its tree. */
int describe_volume(const struct survey_volume *sv, struct image_volume *v,
	struct error *e);

#endif
