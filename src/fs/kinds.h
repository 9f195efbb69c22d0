/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the recognised-but-kept-as-blocks kinds share. */
#ifndef STRATA_FS_KINDS_H
#define STRATA_FS_KINDS_H

#include <stdbool.h>
#include "fs/fs.h"

/* The source and the head of it, read once for all kinds. */
struct kind_probe {
	struct source *src;
	const uint8_t *head; /* the first bytes of the source */
	size_t head_len;     /* all there is of them, at most KIND_HEAD */
	bool failed;         /* a read failed: could not tell */
	struct error *e;
};

#define KIND_HEAD (72 * 1024)

/* len bytes of the head at off, or NULL where the source is shorter. */
const uint8_t *kind_head(const struct kind_probe *p, size_t off, size_t len);
/* Reads further in; false where it is outside or fails (failed is then set). */
bool kind_read(struct kind_probe *p, void *buf, size_t len, uint64_t off);

/* What fills in out; a size of 0 is one that is not known. */
void kind_type(struct fs_info *out, const char *type);
void kind_size(struct fs_info *out, uint64_t blocks, uint64_t block_size);

/* Each returns true where it is, with out filled in. */
bool kind_hfs(struct kind_probe *p, struct fs_info *out);
bool kind_zfs(struct kind_probe *p, struct fs_info *out);
bool kind_befs(struct kind_probe *p, struct fs_info *out);
bool kind_nilfs2(struct kind_probe *p, struct fs_info *out);
bool kind_plain(struct kind_probe *p, struct fs_info *out);
bool kind_sysv(struct kind_probe *p, struct fs_info *out);

#endif
