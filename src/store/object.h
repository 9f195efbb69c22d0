/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored: kinds of objects and the two spaces of their ids.
 *
 * The id of content (a file, a chunk of one, raw blocks) is the SHA-256 of
 * just its bytes, so that ids match checksum lists. The id of a record (tree,
 * layout, image, commit) is the SHA-256 of its encoding. A guest may hold a
 * file whose bytes are the encoding of a record: the two spaces keep that
 * file from ever being taken for the record.
 */
#ifndef STRATA_STORE_OBJECT_H
#define STRATA_STORE_OBJECT_H

#include "codec/digest.h"

enum object_kind {
	/* content */
	OBJ_BLOB = 1,	/* bytes: a file, a chunk, raw blocks; at most 1 MiB */
	OBJ_CHUNKS = 2, /* a larger blob: its list of chunks; id = SHA-256 of
			 * the blob's bytes, not of the list's */
	/* records */
	OBJ_SEGMENT = 3, /* chunk list of one segment of a very large blob */
	OBJ_TREE = 4,
	OBJ_LAYOUT = 5,
	OBJ_IMAGE = 6,
	OBJ_COMMIT = 7,
	OBJ_KINDS
};

enum object_space { SPACE_CONTENT = 0, SPACE_RECORD = 1 };

static inline enum object_space object_space(enum object_kind k)
{
	return k <= OBJ_CHUNKS ? SPACE_CONTENT : SPACE_RECORD;
}

const char *object_kind_name(enum object_kind k);

/* Blobs up to this size are one object, larger ones are chunked. */
#define BLOB_WHOLE_MAX (1024 * 1024)
/* The largest object of any kind. */
#define OBJECT_MAX (8 * 1024 * 1024)

#endif
