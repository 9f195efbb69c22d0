/* SPDX-License-Identifier: Apache-2.0 */
/* An image: one or more disks, or just a tree (a container image). See
 * strata-objects(5). */
#ifndef STRATA_MODEL_IMAGE_H
#define STRATA_MODEL_IMAGE_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "codec/digest.h"

/* A piece of a volume: len bytes of disk at off. UINT32_MAX: zeros. */
struct image_segment {
	uint32_t disk;
	uint64_t off, len;
};

struct image_subvolume {
	char *path; /* from the volume's root, "" = itself */
	uint64_t number;
	uint32_t flags; /* fs_subvolume_flags */
};

struct image_volume {
	char *name;	 /* "p1", "disk", "VG/LV", "md0" */
	char *fs;	 /* "ext4", "swap", "LVM2_member", "" = unknown */
	char *uuid, *label;
	char *part_uuid, *part_type, *part_name; /* "" where not a partition */
	uint64_t size;
	VEC(struct image_segment) segments; /* where its bytes are */
	bool has_tree;
	/* Contents of some files are on the disk in another form (compressed)
	 * and are decoded by reading the file system. */
	bool has_encoded;
	bool partial; /* some of it could not be read */
	/* It is a file of another volume, which claims its bytes. */
	bool nested;
	struct buf root; /* the root folder: an encoded entry without a name */
	uint64_t files, file_bytes;
	VEC(struct image_subvolume) subvolumes;
};

struct image_disk {
	uint64_t size;
	uint32_t sector_size;
	char *part_scheme; /* "gpt", "mbr", "none" */
	char *part_uuid;   /* of the table */
	struct oid layout; /* zero: all zeros */
	/* The sum (codec/digest.h) is what is stored, so that a change can be
	 * added to it; digest is made from it and the size. */
	struct disk_digest sum;
	uint8_t digest[16];
	bool has_sha256;
	struct oid sha256; /* of the raw disk */
};

struct image_attachment { /* an OVF descriptor */
	char *name;
	struct oid id;
	uint64_t size;
};

struct image {
	VEC(struct image_disk) disks;
	VEC(struct image_volume) volumes;
	VEC(struct image_attachment) attachments;
};

void image_release(struct image *im);
#define AUTO_IMAGE __attribute__((cleanup(image_release))) struct image

int image_encode(const struct image *im, struct buf *out, struct error *e);
/* CORRUPT, NOMEM, UNSUPPORTED (a newer version). */
int image_decode(const void *data, size_t len, struct image *out,
	struct error *e);

/* NULL where there is none of that name. */
const struct image_volume *image_volume(const struct image *im,
	const char *name);

/* "xxh3-128:HEX" of a disk's digest; out holds 42 bytes. */
#define DIGEST_TEXT 42
char *digest_text(const uint8_t digest[16], char out[DIGEST_TEXT]);

#endif
