/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: superblocks. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/limits.h"

static const uint64_t super_offsets[BTRFS_SUPER_COPIES] = BTRFS_SUPER_OFFSETS;

void btrfs_uuid_text(const uint8_t u[16], char out[40])
{
	snprintf(out, 40,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x",
		u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* Checks one copy that has the magic and takes what is needed from it. */
static int super_parse(const struct btrfs_disk_super *d, uint64_t at,
	struct btrfs_super *out, struct error *e)
{
	unsigned csum_type = le16_get(d->csum_type);

	if (csum_type > BTRFS_CSUM_BLAKE2)
		return error_at(e, ERR_UNSUPPORTED,
			at + offsetof(struct btrfs_disk_super, csum_type),
			"btrfs superblock: unknown checksum type %u",
			csum_type);
	if (!btrfs_csum_ok(csum_type, (const uint8_t *)d, sizeof(*d)))
		return error_at(e, ERR_CORRUPT, at,
			"btrfs superblock: the checksum is wrong");
	if (le64_get(d->bytenr) != at)
		return error_at(e, ERR_CORRUPT, at + 0x30,
			"btrfs superblock: it says it lies at %" PRIu64,
			le64_get(d->bytenr));
	out->sectorsize = le32_get(d->sectorsize);
	out->nodesize = le32_get(d->nodesize);
	if (!is_pow2(out->sectorsize) || out->sectorsize < 2048 ||
		out->sectorsize > LIMIT_FS_BLOCK)
		return error_at(e, ERR_CORRUPT, at + 0x90,
			"btrfs superblock: sector size %" PRIu32,
			out->sectorsize);
	if (!is_pow2(out->nodesize) || out->nodesize < out->sectorsize ||
		out->nodesize > LIMIT_FS_BLOCK)
		return error_at(e, ERR_CORRUPT, at + 0x94,
			"btrfs superblock: node size %" PRIu32, out->nodesize);
	out->root_level = d->root_level;
	out->chunk_root_level = d->chunk_root_level;
	if (out->root_level >= BTRFS_MAX_LEVEL ||
		out->chunk_root_level >= BTRFS_MAX_LEVEL)
		return error_at(e, ERR_CORRUPT, at + 0xc6,
			"btrfs superblock: a tree of level %u",
			out->root_level > out->chunk_root_level
				? out->root_level
				: out->chunk_root_level);
	out->sys_len = le32_get(d->sys_chunk_array_size);
	if (out->sys_len > sizeof(out->sys))
		return error_at(e, ERR_CORRUPT, at + 0xa0,
			"btrfs superblock: a system chunk array of %" PRIu32
			" bytes",
			out->sys_len);
	out->at = at;
	out->csum_type = (uint16_t)csum_type;
	memcpy(out->fsid, d->fsid, 16);
	out->incompat = le64_get(d->incompat);
	memcpy(out->metadata_uuid,
		out->incompat & BTRFS_INCOMPAT_METADATA_UUID ? d->metadata_uuid
							     : d->fsid,
		16);
	out->generation = le64_get(d->generation);
	out->root = le64_get(d->root);
	out->chunk_root = le64_get(d->chunk_root);
	out->chunk_root_generation = le64_get(d->chunk_root_generation);
	out->bytes_used = le64_get(d->bytes_used);
	out->log_root = le64_get(d->log_root);
	out->root_dir = le64_get(d->root_dir_objectid);
	out->num_devices = le64_get(d->num_devices);
	out->flags = le64_get(d->flags);
	out->dev_total_bytes = le64_get(d->dev.total_bytes);
	out->devid = le64_get(d->dev.devid);
	memcpy(out->dev_uuid, d->dev.uuid, 16);
	memcpy(out->label, d->label, sizeof(out->label));
	memcpy(out->sys, d->sys_chunk_array, sizeof(out->sys));
	return 0;
}

int btrfs_super_read(struct source *src, bool first, struct btrfs_super *out,
	struct error *e)
{
	bool seen = false, have = false, first_bad = false;
	int code = ERR_NOTFOUND;
	struct error scratch;

	for (int i = 0; i < BTRFS_SUPER_COPIES; i++) {
		uint64_t at = super_offsets[i];
		/* a later error must not hide what the first copy said */
		struct error *err = seen ? &scratch : e;
		struct btrfs_disk_super d;
		struct btrfs_super sb = { 0 };
		int rc;

		if (!range_inside(at, sizeof(d), src->size))
			break;
		rc = source_pread(src, &d, sizeof(d), at, err);
		if (rc) {
			first_bad |= i == 0;
			if (!seen)
				code = rc;
			seen = true;
			continue;
		}
		if (memcmp(d.magic, BTRFS_MAGIC, sizeof(d.magic)) != 0) {
			first_bad |= i == 0;
			continue;
		}
		rc = super_parse(&d, at, &sb, err);
		if (rc) {
			first_bad |= i == 0;
			if (!seen)
				code = rc;
			seen = true;
			continue;
		}
		/* A copy of another, older file system is none. */
		if (have && (memcmp(sb.fsid, out->fsid, 16) != 0 ||
				    sb.generation <= out->generation))
			continue;
		*out = sb;
		have = true;
		if (first && i == 0)
			break;
	}
	if (!have && code == ERR_NOTFOUND)
		return error_set(e, code, "no btrfs superblock");
	if (have)
		out->first_bad = first_bad;
	return have ? 0 : code;
}

int btrfs_super_supported(const struct btrfs_super *sb, struct error *e)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = BTRFS_INCOMPAT_NAMES;
	uint64_t unknown = sb->incompat & ~BTRFS_INCOMPAT_KNOWN;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unknown & UINT64_C(1) << names[i].bit)
			return error_at(e, ERR_UNSUPPORTED, sb->at + 0xbc,
				"btrfs: the feature %s is not read",
				names[i].name);
	if (unknown)
		return error_at(e, ERR_UNSUPPORTED, sb->at + 0xbc,
			"btrfs: unknown incompatible features 0x%" PRIx64,
			unknown);
	/* btrfstune -u had begun to write the new one into every node (-m,
	 * CHANGING_FSID_2, writes it into the superblock only) */
	if (sb->flags & UINT64_C(1) << BTRFS_SUPER_CHANGING_FSID)
		return error_at(e, ERR_UNSUPPORTED, sb->at + 0x38,
			"btrfs: a change of the UUID was interrupted");
	return 0;
}
