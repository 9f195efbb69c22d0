/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share. An input is either plain bytes or a sparse image
 * ("simg"), so that a seed of a 100 MiB file system is a few KiB and what the
 * fuzzer changes is mostly metadata:
 *
 *	"SIMG1\n\0\0", le64 size, then records: le64 offset, le32 length, bytes
 */
#ifndef STRATA_FUZZ_FUZZ_H
#define STRATA_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include "fs/fs.h"
#include "os/source.h"

#define SIMG_MAGIC "SIMG1\n\0"
#define SIMG_HEADER 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a source; records that do not fit are left out. Returns NULL
 * only when out of memory. Unref it. */
struct source *fuzz_source(const uint8_t *data, size_t size);

/* Opens the file system with this reader and calls every operation on
 * everything that it lists, within a bound of work. */
void fuzz_fs(const struct fs_ops *ops, const uint8_t *data, size_t size);

#endif
