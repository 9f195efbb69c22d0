/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: a new overlay that holds nothing yet. */
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/qcow2.h"
#include "disk/qcow2_int.h"

#define CLUSTER_BITS 16
#define CLUSTER (UINT64_C(1) << CLUSTER_BITS)
/* An L1 entry stands for one L2 table: 8192 clusters. */
#define L1_SPAN (CLUSTER * (CLUSTER / 8))
/* QEMU_MAX_L1_SIZE: qemu opens no more. */
#define L1_MAX (32 * MIB)

/* Clusters: 0 header, 1 refcount table, 2 refcount block, 3 ... L1 table. */
int qcow2_encode_overlay(uint64_t size, const char *backing,
	const char *backing_format, struct buf *out, struct error *e)
{
	size_t start = out->len, name = strlen(backing);
	size_t format = strlen(backing_format);
	uint64_t l1 = size / L1_SPAN + (size % L1_SPAN != 0), clusters;
	size_t at;

	if (name > 1023 || format > 15)
		return error_set(e, ERR_ARG,
			"qcow2: the backing's name has %zu bytes, more than "
			"1023",
			name);
	if (l1 > L1_MAX / 8 || size > UINT64_MAX - 511)
		return error_set(e, ERR_LIMIT,
			"qcow2: a disk of %llu bytes is too large for an "
			"overlay",
			(unsigned long long)size);
	l1 = u64_max(l1, 1);
	clusters = 3 + (l1 * 8 + CLUSTER - 1) / CLUSTER;
	at = QCOW2_V3_HEADER + 8 + ((format + 7) & ~(size_t)7) + 8;

	buf_add(out, QCOW2_MAGIC, 4);
	buf_be32(out, 3);
	buf_be64(out, at); /* backing_file_offset */
	buf_be32(out, (uint32_t)name);
	buf_be32(out, CLUSTER_BITS);
	buf_be64(out, (size + 511) & ~UINT64_C(511));
	buf_be32(out, 0); /* crypt_method */
	buf_be32(out, (uint32_t)l1);
	buf_be64(out, 3 * CLUSTER);
	buf_be64(out, 1 * CLUSTER); /* refcount_table_offset */
	buf_be32(out, 1);
	buf_be32(out, 0); /* nb_snapshots */
	buf_be64(out, 0);
	buf_be64(out, 0); /* incompatible, compatible, autoclear features */
	buf_be64(out, 0);
	buf_be64(out, 0);
	buf_be32(out, 4); /* refcount_order */
	buf_be32(out, QCOW2_V3_HEADER);
	buf_be32(out, QCOW2_EXT_BACKING_FORMAT);
	buf_be32(out, (uint32_t)format);
	buf_add(out, backing_format, format);
	buf_zero(out, -format & 7);
	buf_be64(out, 0); /* end of the extensions */
	buf_add(out, backing, name);
	buf_zero(out, start + CLUSTER - out->len);

	buf_be64(out, 2 * CLUSTER);
	buf_zero(out, CLUSTER - 8);
	for (uint64_t i = 0; i < clusters; i++) {
		buf_addch(out, 0);
		buf_addch(out, 1);
	}
	buf_zero(out, CLUSTER - clusters * 2);
	buf_zero(out, (clusters - 3) * CLUSTER);
	return out->oom ? error_nomem(e) : 0;
}
