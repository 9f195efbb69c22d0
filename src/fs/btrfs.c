/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: the reader's row of the table, opening and closing. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/table.h"

static void info_fill(const struct btrfs_super *sb, struct fs_info *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->type, sizeof(out->type), "btrfs");
	btrfs_uuid_text(sb->fsid, out->uuid);
	btrfs_uuid_text(sb->dev_uuid, out->dev_uuid);
	memcpy(out->label, sb->label, sizeof(sb->label));
	out->devices = (uint32_t)u64_min(sb->num_devices, UINT32_MAX);
	out->size = sb->dev_total_bytes;
	out->block_size = sb->sectorsize;
}

static enum fs_verdict btrfs_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	struct btrfs_super sb = { 0 };
	int rc = btrfs_super_read(src, false, &sb, e);

	if (rc == ERR_NOTFOUND)
		return FS_NO;
	if (rc) {
		snprintf(out->type, sizeof(out->type), "btrfs");
		return FS_UNSURE;
	}
	info_fill(&sb, out);
	return FS_YES;
}

static void btrfs_close(struct fs *fs)
{
	struct btrfs *b = btrfs_of(fs);

	if (b->hash)
		btrfs_cache_release(b);
	for (size_t i = 0; i < b->devs.len; i++)
		source_unref(b->devs.items[i].src);
	vec_release(&b->devs);
	vec_release(&b->chunks);
	vec_release(&b->stripes);
	vec_release(&b->subvols);
	buf_release(&b->names);
	buf_release(&b->decoded.data);
	buf_release(&b->decoded.raw);
	btrfs_codec_release(&b->codec);
	btrfs_sums_release(&b->sums);
	free(b->stubs.slots);
	free(b);
}

static void cleanup_btrfs(struct btrfs **b)
{
	if (*b)
		btrfs_close(&(*b)->fs);
}

static bool is_seed(const struct btrfs_super *sb)
{
	return sb->flags & UINT64_C(1) << BTRFS_SUPER_SEEDING;
}

/* The superblock that the file system is read by: the newest, a seed device's
 * only where there is no other. */
static int super_choose(const struct fs_open_args *args, bool first,
	struct btrfs_super *out, struct error *e)
{
	int rc = ERR_NOTFOUND;
	bool have = false;

	for (uint32_t i = 0; i < args->ndevs; i++) {
		struct btrfs_super sb = { 0 };
		struct error err = { 0 };
		int one = btrfs_super_read(args->devs[i], first, &sb, &err);

		if (one) {
			if (!have && rc == ERR_NOTFOUND && e)
				*e = err;
			if (rc == ERR_NOTFOUND)
				rc = one;
			continue;
		}
		if (!have || (is_seed(out) && !is_seed(&sb)) ||
			(is_seed(out) == is_seed(&sb) &&
				sb.generation > out->generation))
			*out = sb;
		have = true;
	}
	if (have)
		return 0;
	return rc == ERR_NOTFOUND
		       ? error_set(e, ERR_CORRUPT, "no btrfs superblock")
		       : rc;
}

static int dev_add(struct btrfs *b, struct source *src, uint32_t index,
	struct error *e)
{
	struct btrfs_super sb = { 0 };
	struct btrfs_dev d = { .index = index };
	struct error err = { 0 };
	int rc = btrfs_super_read(src, false, &sb, &err);

	if (rc || (memcmp(sb.fsid, b->sb.fsid, 16) != 0 && !is_seed(&sb))) {
		finding_report(b->sink, FINDING_VOLUME_DAMAGED,
			FINDING_NO_OFFSET, "",
			"btrfs: device number %" PRIu32 " given is no member%s%s",
			index, rc ? ": " : "", rc ? err.msg : "");
		return 0;
	}
	for (size_t i = 0; i < b->devs.len; i++)
		if (b->devs.items[i].devid == sb.devid &&
			memcmp(b->devs.items[i].uuid, sb.dev_uuid, 16) == 0) {
			finding_report(b->sink, FINDING_VOLUME_DAMAGED,
				FINDING_NO_OFFSET, "",
				"btrfs: device %" PRIu64 " is given twice",
				sb.devid);
			return 0;
		}
	if (sb.first_bad)
		finding_report(b->sink, FINDING_FS_BACKUP_SUPER,
			BTRFS_SUPER_FIRST, "",
			"btrfs: device %" PRIu64 ": the copy at %" PRIu64,
			sb.devid, sb.at);
	if (sb.dev_total_bytes > src->size)
		finding_report(b->sink, FINDING_FS_TRUNCATED, src->size, "",
			"btrfs: device %" PRIu64 ": %" PRIu64
			" bytes of %" PRIu64,
			sb.devid, src->size, sb.dev_total_bytes);
	d.devid = sb.devid;
	d.total = sb.dev_total_bytes;
	memcpy(d.uuid, sb.dev_uuid, 16);
	memcpy(d.metadata_uuid, sb.metadata_uuid, 16);
	d.src = source_ref(src);
	if (!vec_push(&b->devs, d)) {
		source_unref(src);
		return error_nomem(e);
	}
	return 0;
}

/* first: by the first superblock of each device. *retry: failed by a copy that
 * called itself newer than a first superblock that is valid. */
static int open_by(const struct fs_open_args *args, bool first, bool *retry,
	struct fs **out, struct error *e)
{
	CLEANUP(cleanup_btrfs) struct btrfs *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return error_nomem(e);
	b->fs.ops = &fs_btrfs;
	b->sink = args->findings;
	b->bad_node = UINT64_MAX;
	rc = super_choose(args, first, &b->sb, e);
	*retry = !rc && b->sb.at != BTRFS_SUPER_FIRST && !b->sb.first_bad;
	if (!rc)
		rc = btrfs_super_supported(&b->sb, e);
	if (rc == ERR_UNSUPPORTED)
		finding_report(b->sink, FINDING_FS_UNSUPPORTED,
			FINDING_NO_OFFSET, "", "%s", e->msg);
	for (uint32_t i = 0; i < args->ndevs && !rc; i++)
		rc = dev_add(b, args->devs[i], i, e);
	if (!rc)
		rc = btrfs_cache_init(b, e);
	if (!rc)
		rc = btrfs_chunks_bootstrap(b, e);
	if (rc)
		return rc;
	b->chunk_tree = (struct btrfs_root){ BTRFS_CHUNK_TREE,
		b->sb.chunk_root, b->sb.chunk_root_generation,
		b->sb.chunk_root_level };
	b->root_tree = (struct btrfs_root){ BTRFS_ROOT_TREE, b->sb.root,
		b->sb.generation, b->sb.root_level };
	rc = btrfs_chunks_load(b, e);
	if (!rc)
		rc = btrfs_roots_load(b, e);
	if (rc)
		return rc;
	if (btrfs_is_metadump(&b->sb))
		finding_report(b->sink, FINDING_FS_METADATA_ONLY,
			b->sb.at + 0x38, "", "btrfs: restored from btrfs-image");
	if (b->sb.flags & UINT64_C(1) << BTRFS_SUPER_CHANGING_FSID_2)
		finding_report(b->sink, FINDING_FS_DIRTY, b->sb.at + 0x38, "",
			"btrfs: a change of the UUID was interrupted");
	if (b->sb.log_root)
		finding_report(b->sink, FINDING_FS_DIRTY, FINDING_NO_OFFSET, "",
			"btrfs: there is a log tree; the file view is without "
			"what it would bring");
	if (!btrfs_id_pack(BTRFS_FS_TREE,
		    btrfs_subvol_find(b, BTRFS_FS_TREE)->dirid, &b->fs.root))
		return error_set(e, ERR_CORRUPT,
			"btrfs: the root directory's number is too large");
	info_fill(&b->sb, &b->fs.info);
	*out = &b->fs;
	b = NULL;
	return 0;
}

/* The newest superblock counts, so that a first one that was not written is no
 * loss; where it leads nowhere the first one does, the only one that Linux
 * asks. */
static int btrfs_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	struct error err = { 0 };
	bool retry = false;
	int rc;

	if (!e)
		e = &err; /* findings quote it */
	rc = open_by(args, false, &retry, out, e);
	if (rc == ERR_CORRUPT && retry) {
		struct error again = { 0 };

		if (!open_by(args, true, &retry, out, &again))
			return 0;
	}
	return rc;
}

const struct fs_ops fs_btrfs = {
	.name = "btrfs",
	.probe = btrfs_probe,
	.open = btrfs_open,
	.close = btrfs_close,
	.stat = btrfs_stat,
	.readdir = btrfs_readdir,
	.readlink = btrfs_readlink,
	.extents = btrfs_extents,
	.pread = btrfs_pread,
	.xattrs = btrfs_xattrs,
	.free_space = btrfs_free_space,
	.check_data = btrfs_check_data,
	.subvolumes = btrfs_subvolumes,
};
