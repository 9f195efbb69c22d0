/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums that file systems keep of data, looked at while an import reads it
 * anyway. What does not match is a finding: the bytes are stored as they are. */
#ifndef STRATA_OPS_DATASUM_H
#define STRATA_OPS_DATASUM_H

#include "ops/cut.h"

struct datasum;

/* Opens the file systems that keep some. *out is NULL where there are none.
 * Borrows all until datasum_close. NOMEM. */
int datasum_open(const struct survey *s, const struct cut *cut,
	const struct finding_sink *findings, struct datasum **out,
	struct error *e);
void datasum_close(struct datasum *d); /* NULL is fine */
/* Bytes of a file, as they stand on a disk at off. Any thread; at most one
 * finding for a file's run of bytes. */
void datasum_check(struct datasum *d, const struct cut_file *f, uint32_t disk,
	uint64_t off, const void *data, size_t len);

#endif
