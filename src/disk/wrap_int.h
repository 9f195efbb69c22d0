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
	wrap_lz4, wrap_lzma, wrap_lzip, wrap_deflate;

/* The disk in a zip. */
struct wrap_member {
	uint64_t off, packed, size; /* of its bytes, in the file */
	uint32_t crc;
	uint16_t method, flags; /* as in the directory */
	char name[256];
};

enum { ZIP_STORED = 0, ZIP_DEFLATE = 8, ZIP_DEFLATE64 = 9, ZIP_BZIP2 = 12,
	ZIP_LZMA = 14, ZIP_ZSTD_OLD = 20, ZIP_ZSTD = 93, ZIP_XZ = 95 };

int wrap_zip_member(struct source *file, const struct finding_sink *findings,
	struct wrap_member *out, struct error *e);

/* The disk in a tar that is no appliance: name is the member's. */
int wrap_tar_member(struct source *file, const struct finding_sink *findings,
	char name[256], struct source **out, struct error *e);

#endif
