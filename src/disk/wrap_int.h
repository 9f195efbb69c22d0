/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the unwrapper share. */
#ifndef STRATA_DISK_WRAP_INT_H
#define STRATA_DISK_WRAP_INT_H

#include "disk/wrap.h"

struct wrap_buf {
	const uint8_t *in;
	size_t in_len;
	bool in_ends; /* nothing comes behind these bytes */
	uint8_t *out;
	size_t out_len;
};

struct wrap_codec {
	const char *name;
	int (*open)(void **state, struct error *e);
	/* Moves in and out forwards. 1: the data has ended; 0: more. */
	int (*step)(void *state, struct wrap_buf *b, struct error *e);
	void (*close)(void *state);
};

extern const struct wrap_codec wrap_gzip, wrap_xz, wrap_zstd, wrap_bzip2,
	wrap_deflate;

/* The one member of a zip. */
struct wrap_member {
	uint64_t off, packed, size; /* of its bytes, in the file */
	uint32_t crc;
	bool stored;
	char name[256];
};

int wrap_zip_member(struct source *file, struct wrap_member *out,
	struct error *e);

#endif
