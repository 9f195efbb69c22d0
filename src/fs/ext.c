/* SPDX-License-Identifier: Apache-2.0 */
/* The ext2/3/4 reader: open and close, and the row of the table. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/table.h"

static void ext_close(struct fs *fs)
{
	struct ext *x = ext_of(fs);

	if (x->e2)
		ext2fs_free(x->e2);
	ext_map_release(&x->read);
	ext_fast_drop(x, NULL);
	vec_release(&x->paid);
	source_unref(x->itab);
	source_unref(x->meta);
	source_unref(x->view);
	source_unref(x->disk);
	free(x->raw);
	free(x);
}

/* Descriptors that are damaged, by their checksums and by where they say that
 * things are. */
static uint32_t count_bad_groups(const struct ext *x)
{
	bool sums = x->csum || x->g.ro_compat & EXT_RO_GDT_CSUM;
	uint64_t table = div_ceil((uint64_t)x->g.inodes_per_group *
			x->g.inode_size, x->g.block_size);
	uint32_t n = 0;

	for (uint32_t g = 0; g < x->g.groups; g++) {
		uint64_t bb = ext2fs_block_bitmap_loc(x->e2, g);
		uint64_t ib = ext2fs_inode_bitmap_loc(x->e2, g);
		uint64_t it = ext2fs_inode_table_loc(x->e2, g);
		uint64_t first = x->g.first_block;

		n += bb < first || bb >= x->g.blocks || ib < first ||
		     ib >= x->g.blocks || it < first ||
		     !range_inside(it, table, x->g.blocks) ||
		     (sums && !ext2fs_group_desc_csum_verify(x->e2, g));
	}
	return n;
}

/* libext2fs and the caches over x->view. */
static int attach(struct ext *x, const struct ext_geometry *g, struct error *e)
{
	uint64_t desc = (uint64_t)g->groups *
			(g->incompat & EXT_INCOMPAT_64BIT
					? le16_get(g->super.desc_size)
					: 32);
	int r;

	if (x->e2)
		ext2fs_free(x->e2);
	x->e2 = NULL;
	source_unref(x->itab);
	source_unref(x->meta);
	x->itab = x->meta = NULL;
	if (desc > x->disk->size)
		return error_at(e, ERR_CORRUPT, EXT_SUPER_OFFSET,
			"the group descriptors are larger than the volume");
	r = ext_io_open(x->view, g, &x->e2, e);
	if (r) {
		x->e2 = NULL;
		return r;
	}
	if (x->e2->group_desc_count != g->groups)
		return error_at(e, ERR_CORRUPT, EXT_SUPER_OFFSET,
			"the number of block groups is in doubt");
	x->g = *g;
	x->csum = (g->ro_compat & EXT_RO_METADATA_CSUM) != 0;
	x->bad_groups = count_bad_groups(x);
	r = source_cache(x->view, (size_t)u64_max(g->block_size, 32768),
		LIMIT_EXT_INODE_CACHE, &x->itab, e);
	if (!r)
		r = source_cache(x->view, (size_t)u64_max(g->block_size, 16384),
			LIMIT_EXT_META_CACHE, &x->meta, e);
	if (!r) {
		free(x->raw);
		x->raw = malloc(g->inode_size);
		if (!x->raw)
			return error_nomem(e);
	}
	return r;
}

/* Attaches by the first superblock, else by a copy. */
static int find_super(struct ext *x, struct error *e)
{
	struct ext_geometry first, g;
	bool have_first;
	struct error err;
	int r = ext_super_read(x->disk, EXT_SUPER_OFFSET, &first, e);
	int r2;

	have_first = !r;
	if (!r)
		r = attach(x, &first, e);
	if (!r && !x->bad_groups)
		return 0;
	if (r == ERR_NOMEM || r == ERR_UNSUPPORTED || r == ERR_LIMIT)
		return r;
	for (unsigned n = 0;; n++) {
		r2 = ext_super_read_backup(x->disk, n, &g, &err);
		if (r2 == ERR_NOTFOUND)
			break;
		/* A copy does not know that the journal is dirty; without a
		 * first superblock it is replayed if it has something. */
		if (!r2 && have_first &&
			memcmp(g.super.uuid, first.super.uuid, 16) != 0)
			continue;
		if (!r2 && have_first)
			g.incompat |= first.incompat & EXT_INCOMPAT_RECOVER;
		else if (!r2 && g.compat & EXT_COMPAT_HAS_JOURNAL)
			g.incompat |= EXT_INCOMPAT_RECOVER;
		if (r2 || attach(x, &g, &err) || x->bad_groups)
			continue;
		finding_report(x->findings, FINDING_FS_BACKUP_SUPER,
			EXT_SUPER_OFFSET, "",
			"%s; the copy at byte %" PRIu64 " is used",
			r ? e->msg : "group descriptors are damaged",
			g.super_blk * g.block_size);
		return 0;
	}
	/* No copy is better than the first: use what there is of it. */
	if (have_first && !r)
		r = attach(x, &first, e);
	return r;
}

static void tell(struct ext *x)
{
	uint16_t state = le16_get(x->g.super.state);

	if (x->bad_groups)
		finding_report(x->findings, FINDING_FS_DAMAGED,
			EXT_SUPER_OFFSET, "",
			"%u of %u group descriptors are damaged", x->bad_groups,
			x->g.groups);
	if (x->g.bytes > x->disk->size)
		finding_report(x->findings, FINDING_FS_TRUNCATED,
			x->disk->size, "",
			"it has %" PRIu64 " bytes, its volume %" PRIu64,
			x->g.bytes, x->disk->size);
	if (state & EXT_STATE_ERROR)
		finding_report(x->findings, FINDING_FS_DAMAGED,
			EXT_SUPER_OFFSET + 0x3a, "",
			"its superblock records errors");
	if (!(state & EXT_STATE_VALID))
		finding_report(x->findings, FINDING_FS_DIRTY,
			EXT_SUPER_OFFSET + 0x3a, "",
			"its superblock says that it was not unmounted");
}

static int open_all(struct ext *x, struct error *e)
{
	struct ext_geometry g;
	struct ext_inode root;
	int r = find_super(x, e);

	if (r)
		return r;
	ext_super_info(&x->g.super, x->g.bytes, x->g.block_size, &x->fs.info);
	r = ext_journal_replay(x, e);
	if (r)
		return r;
	if (x->replay) {
		/* The journal may hold the superblock and descriptors. */
		g = x->g;
		if (!g.super_blk)
			r = ext_super_read(x->view, EXT_SUPER_OFFSET, &g, e);
		if (!r)
			r = attach(x, &g, e);
		if (r)
			return error_prefix(e, "after replay of the journal");
	}
	r = ext_fast_apply(x, e);
	if (r)
		return r;
	tell(x);
	r = ext_inode_read(x, EXT_INO_ROOT, false, &root, NULL, e);
	if (r)
		return r == ERR_NOTFOUND ? error_set(e, ERR_CORRUPT,
						   "there is no root directory")
					 : r;
	if ((root.mode & EXT_MODE_FMT) != EXT_MODE_DIR)
		return error_at(e, ERR_CORRUPT,
			ext_inode_off(x, EXT_INO_ROOT),
			"the root's inode is not a directory");
	return 0;
}

static int ext_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	struct error ignored;
	struct ext *x;
	int r;

	if (!e)
		e = &ignored;
	if (args->ndevs != 1)
		return error_set(e, ERR_ARG, "ext needs one device");
	x = calloc(1, sizeof(*x));
	if (!x)
		return error_nomem(e);
	x->fs.ops = &fs_ext;
	x->fs.root = EXT_INO_ROOT;
	x->findings = args->findings;
	x->disk = source_ref(args->devs[0]);
	x->view = source_ref(x->disk);
	r = open_all(x, e);
	if (r) {
		ext_close(&x->fs);
		return r;
	}
	*out = &x->fs;
	return 0;
}

const struct fs_ops fs_ext = {
	.name = "ext",
	.probe = ext_probe,
	.open = ext_open,
	.close = ext_close,
	.stat = ext_stat,
	.readdir = ext_readdir,
	.readlink = ext_readlink,
	.extents = ext_extents,
	.pread = ext_pread,
	.xattrs = ext_xattrs,
	.free_space = ext_free_space,
};
