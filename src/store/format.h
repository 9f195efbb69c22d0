/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of packs and indexes: strata-pack(5), strata-index(5). */
#ifndef STRATA_STORE_FORMAT_H
#define STRATA_STORE_FORMAT_H

#include <stddef.h>
#include "base/endian.h"

#define PACK_MAGIC "STRATAPK"
#define PACK_END_MAGIC "STRATAPE"
#define INDEX_MAGIC "STRATAIX"
#define FRAME_MAGIC 0x31724653u /* "SFr1" */
#define STORE_FORMAT 1u

struct pack_header {
	uint8_t magic[8];
	le32 format;
	le32 flags; /* none known: a set bit is refused */
	uint8_t id[16];
};
_Static_assert(sizeof(struct pack_header) == 32, "pack header");

enum frame_codec { CODEC_NONE = 0, CODEC_ZSTD = 1 };

/* Before each frame's stored bytes. */
struct frame_header {
	le32 magic;
	uint8_t codec;
	uint8_t zero[3];
	le32 raw_len;
	le32 stored_len;
	le64 checksum;	      /* of the stored bytes */
	le64 header_checksum; /* of the 24 bytes before */
};
_Static_assert(sizeof(struct frame_header) == 32, "frame header");

/* A decoded frame: le32 count, count times le32 (length | kind << 24), each
 * followed by the 32-byte id if the kind is CHUNKS (every other id is the
 * SHA-256 of the bytes); then the objects' bytes one behind the other. */

struct pack_footer {
	uint8_t magic[8];
	le64 frames;
	le64 size; /* of the pack, footer included */
	uint8_t id[16];
	le64 checksum; /* of the 40 bytes before */
};
_Static_assert(sizeof(struct pack_footer) == 48, "pack footer");

struct index_header {
	uint8_t magic[8];
	le32 format;
	le32 flags;
	le32 packs;
	le32 frames;
	le64 objects[2];    /* of the content and of the record space */
	le32 fanout_bits[2];
	le64 size;	    /* of the file */
	le64 body_checksum; /* of everything behind the header */
	le64 header_checksum; /* of the 64 bytes before */
	uint8_t zero[8];
};
_Static_assert(sizeof(struct index_header) == 80, "index header");
_Static_assert(offsetof(struct index_header, header_checksum) == 64, "layout");

/* Behind the header: the pack table, the frame table, then for each space the
 * fan-out (2^bits + 1 times le32), the sorted ids, the locations. */
struct index_pack {
	uint8_t id[16];
	le64 size;
	le32 frames;
	le32 zero;
};
_Static_assert(sizeof(struct index_pack) == 32, "index pack");

struct index_frame {
	le64 off; /* of the frame header in its pack */
	le32 stored_len;
	le32 raw_len;
	le32 pack;
};
_Static_assert(sizeof(struct index_frame) == 20, "index frame");

struct index_loc {
	le32 frame;
	le32 off;	/* in the decoded frame */
	le32 len_kind;	/* length | kind << 24 */
};
_Static_assert(sizeof(struct index_loc) == 12, "index location");

#define LEN_MASK 0xffffffu
/* Caps on what a frame may ask for: OBJECT_MAX and a table fit easily. */
#define FRAME_RAW_MAX (32u * 1024 * 1024)

#endif
