/* SPDX-License-Identifier: Apache-2.0 */
/* NTFS volumes: recognising, opening, and the table of operations. */
#include "fs/ntfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"
#include "base/zero.h"
#include "fs/table.h"

/* 1601-01-01 to 1970-01-01 */
#define EPOCH_SECONDS INT64_C(11644473600)

struct geometry {
	uint32_t sector, cluster, record;
	unsigned cluster_shift;
	uint64_t sectors, mft_lcn, mirror_lcn, serial;
};

/* Sizes as a count of clusters, or -n for 2^n bytes. */
static uint64_t record_bytes(int8_t v, uint32_t cluster)
{
	if (v > 0)
		return (uint64_t)v * cluster;
	return v > -32 ? UINT64_C(1) << -v : 0;
}

static bool parse_boot(const uint8_t *p, struct geometry *g, struct error *e)
{
	const struct ntfs_boot *b = (const void *)p;
	uint64_t cluster, record;
	unsigned spc = b->sectors_per_cluster;

	g->serial = le64_get(b->serial);
	g->sector = le16_get(b->bytes_per_sector);
	if (!is_pow2(g->sector) || g->sector < 256 || g->sector > 4096)
		return error_at(e, ERR_CORRUPT, 11, "NTFS boot sector: "
			"sectors of %u bytes", g->sector), false;
	cluster = spc > 0x80 ? (spc > 0xe0 ? (uint64_t)g->sector << (256 - spc)
					   : 0)
			     : (uint64_t)g->sector * spc;
	if (!is_pow2(cluster) || cluster > 2 * MIB)
		return error_at(e, ERR_CORRUPT, 13, "NTFS boot sector: "
			"%u sectors a cluster", spc), false;
	g->cluster = (uint32_t)cluster;
	g->cluster_shift = (unsigned)__builtin_ctz(g->cluster);
	record = record_bytes(b->clusters_per_record, g->cluster);
	if (!is_pow2(record) || record < 512 || record > LIMIT_FS_BLOCK)
		return error_at(e, ERR_CORRUPT, 0x40, "NTFS boot sector: "
			"MFT records of %d clusters", b->clusters_per_record),
		       false;
	g->record = (uint32_t)record;
	g->sectors = le64_get(b->sectors);
	g->mft_lcn = le64_get(b->mft_lcn);
	g->mirror_lcn = le64_get(b->mirror_lcn);
	if (!g->sectors || g->sectors > (uint64_t)INT64_MAX / g->sector ||
		!g->mft_lcn ||
		g->mft_lcn >= g->sectors / (g->cluster / g->sector))
		return error_at(e, ERR_CORRUPT, 0x28, "NTFS boot sector: "
			"%" PRIu64 " sectors, the MFT at cluster %" PRIu64,
			g->sectors, g->mft_lcn), false;
	return true;
}

static bool has_magic(const uint8_t *p)
{
	return memcmp(p + 3, "NTFS    ", 8) == 0;
}

/* The boot sector, or its copy in the volume's last sector (*out_backup).
 * FS_UNSURE: it says NTFS, but neither can be used. */
static enum fs_verdict geometry(struct source *src, struct geometry *g,
	bool *out_backup, struct error *e)
{
	static const unsigned sizes[] = { 512, 1024, 2048, 4096 };
	uint8_t p[512];

	*out_backup = false;
	if (src->size < sizeof(p) ||
		source_pread(src, p, sizeof(p), 0, e) || !has_magic(p))
		return FS_NO;
	if (p[510] == 0x55 && p[511] == 0xaa && parse_boot(p, g, e))
		return FS_YES;
	if (p[510] != 0x55 || p[511] != 0xaa)
		error_at(e, ERR_CORRUPT, 510,
			"NTFS boot sector: no signature");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (src->size >= sizes[i] &&
			!source_pread(src, p, sizeof(p), src->size - sizes[i],
				NULL) &&
			has_magic(p) && p[510] == 0x55 && p[511] == 0xaa &&
			parse_boot(p, g, NULL) && g->sector == sizes[i]) {
			*out_backup = true;
			return FS_YES;
		}
	memset(g, 0, sizeof(*g));
	return FS_UNSURE;
}

static void info_set(const struct geometry *g, struct fs_info *out)
{
	snprintf(out->type, sizeof(out->type), "ntfs");
	if (g->serial)
		snprintf(out->uuid, sizeof(out->uuid), "%016" PRIX64,
			g->serial);
	out->devices = 1;
	out->block_size = g->cluster;
	/* with the copy of the boot sector behind the last one */
	out->size = (g->sectors + (g->sectors != 0)) * g->sector;
}

static void ntfs_close(struct fs *fs)
{
	struct ntfs *n = (struct ntfs *)fs;

	if (!n)
		return;
	for (size_t i = 0; i < ARRAY_LEN(n->cached); i++)
		ntfs_inode_free(n->cached[i]);
	ntfs_stream_release(&n->mft);
	ntfs_stream_release(&n->sds);
	vec_release(&n->sds_index);
	free(n->unit);
	source_unref(n->meta);
	source_unref(n->src);
	free(n);
}

static void cleanup_ntfs(struct ntfs **n)
{
	if (*n)
		ntfs_close(&(*n)->fs);
}

/* Label and flags from $Volume. */
static int volume(struct ntfs *n, uint16_t *out_flags, struct error *e)
{
	struct ntfs_inode *ino;
	struct ntfs_attr *a;
	struct view v;
	int r;

	*out_flags = 0;
	r = ntfs_inode_get(n, ntfs_id(NTFS_REC_VOLUME, 0, 0), &ino, e);
	if (r)
		return r;
	r = ntfs_attr_find(n, ino, NTFS_AT_VOLUME_NAME, "", &a, e);
	if (r == 1)
		r = ntfs_attr_value(a, &v, e);
	else
		v = (struct view){ NULL, 0 };
	if (!r && v.len)
		utf16_field(v.data, size_min(v.len / 2, 256), false,
			n->fs.info.label, sizeof(n->fs.info.label));
	if (!r)
		r = ntfs_attr_find(n, ino, NTFS_AT_VOLUME_INFO, "", &a, e);
	if (r == 1) {
		r = ntfs_attr_value(a, &v, e);
		if (!r && v.len >= 12)
			*out_flags = get_le16(v.data + 10);
	}
	ntfs_inode_put(n, ino);
	return r;
}

/* Everything that needs the MFT but no finding. */
static int open_core(struct source *src, const struct finding_sink *findings,
	const struct geometry *g, struct ntfs **out, struct error *e)
{
	CLEANUP(cleanup_ntfs) struct ntfs *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return error_nomem(e);
	n->fs.ops = &fs_ntfs;
	n->src = source_ref(src);
	n->findings = findings;
	n->cluster_shift = g->cluster_shift;
	n->cluster_size = g->cluster;
	n->rec_size = g->record;
	n->mirror_lcn = g->mirror_lcn;
	n->clusters = u64_min(g->sectors / (g->cluster / g->sector),
		src->size / g->cluster);
	n->unit_no = UINT64_MAX;
	info_set(g, &n->fs.info);
	r = source_cache(src, 32 * KIB, 16 * MIB, &n->meta, e);
	if (r)
		return r;
	r = ntfs_mft_open(n, g->mft_lcn, e);
	if (r)
		return r;
	*out = steal_ptr(n);
	return 0;
}

static enum fs_verdict ntfs_probe(struct source *src, struct fs_info *out,
	struct error *e)
{
	CLEANUP(cleanup_ntfs) struct ntfs *n = NULL;
	struct geometry g = { 0 };
	bool backup;
	uint16_t flags;
	enum fs_verdict v = geometry(src, &g, &backup, e);

	if (v == FS_NO)
		return v;
	info_set(&g, out);
	if (v == FS_UNSURE || open_core(src, NULL, &g, &n, e))
		return FS_UNSURE;
	if (!volume(n, &flags, NULL))
		memcpy(out->label, n->fs.info.label, sizeof(out->label));
	return FS_YES;
}

/* Is there anything in the log that Windows would redo? The two restart pages
 * say so; a log full of FF was emptied on purpose. */
static bool log_is_dirty(struct ntfs *n)
{
	struct ntfs_stream s = { 0 };
	struct ntfs_inode *ino;
	struct ntfs_attr *a;
	uint8_t p[4096];
	uint64_t best = 0;
	bool dirty = false;

	if (ntfs_inode_get(n, ntfs_id(NTFS_REC_LOGFILE, 0, 0), &ino, NULL))
		return false;
	if (ntfs_attr_find(n, ino, NTFS_AT_DATA, "", &a, NULL) == 1 &&
		!ntfs_stream_open(n, ino, a, &s, NULL)) {
		for (unsigned i = 0; i < 2; i++) {
			unsigned at;

			if (ntfs_stream_read(n, &s, n->meta, p, sizeof(p),
				    i * sizeof(p), NULL) ||
				memcmp(p, "RSTR", 4) != 0)
				continue;
			/* restart page: its area's offset at 24; area: LSN,
			 * at 12 the clients in use, at 14 flags */
			at = get_le16(p + 24);
			if (at < 30 || at > NTFS_STRIDE - 32 ||
				(i && get_le64(p + at) <= best))
				continue;
			best = get_le64(p + at);
			dirty = get_le16(p + at + 12) != 0xffff &&
				!(get_le16(p + at + 14) & 2);
		}
	}
	ntfs_stream_release(&s);
	ntfs_inode_put(n, ino);
	return dirty;
}

static int ntfs_open(const struct fs_open_args *args, struct fs **out,
	struct error *e)
{
	CLEANUP(cleanup_ntfs) struct ntfs *n = NULL;
	const struct finding_sink *findings = args->findings;
	struct geometry g = { 0 };
	struct ntfs_inode *root;
	struct error why = { 0 };
	uint16_t flags;
	bool backup, is_dir;
	int r;

	if (args->ndevs != 1)
		return error_set(e, ERR_ARG, "NTFS has one device");
	switch (geometry(args->devs[0], &g, &backup, &why)) {
	case FS_NO:
		return error_set(e, ERR_CORRUPT, "this is no NTFS volume");
	case FS_UNSURE:
		if (e)
			*e = why;
		return ERR_CORRUPT;
	default:
		break;
	}
	r = open_core(args->devs[0], findings, &g, &n, e);
	if (r)
		return r;
	r = ntfs_inode_get(n, ntfs_id(NTFS_REC_ROOT, 0, 0), &root, e);
	if (r)
		return error_prefix(e, "the root directory");
	is_dir = root->flags & NTFS_RECORD_DIR;
	n->fs.root = ntfs_id(NTFS_REC_ROOT, root->seq, 0);
	ntfs_inode_put(n, root);
	if (!is_dir)
		return error_set(e, ERR_CORRUPT, "MFT record %d, the root, is "
			"no directory", NTFS_REC_ROOT);
	if (backup)
		finding_report(findings, FINDING_FS_BACKUP_SUPER, 0, "", "%s",
			why.msg);
	if (args->devs[0]->size < g.sectors * g.sector)
		finding_report(findings, FINDING_FS_TRUNCATED, 0x28, "",
			"%" PRIu64 " bytes, the volume has %" PRIu64,
			g.sectors * g.sector, args->devs[0]->size);
	if (volume(n, &flags, &why))
		finding_report(findings, FINDING_FS_DAMAGED, FINDING_NO_OFFSET,
			"$Volume", "%s", why.msg);
	else if (flags & 1)
		finding_report(findings, FINDING_FS_DIRTY, FINDING_NO_OFFSET,
			"$Volume", "the volume is marked as dirty");
	if (log_is_dirty(n))
		finding_report(findings, FINDING_FS_DIRTY, FINDING_NO_OFFSET,
			"$LogFile", "changes in it are not on the disk yet");
	*out = &steal_ptr(n)->fs;
	return 0;
}

static void set_time(uint64_t t, struct fs_node *out)
{
	int64_t v = (int64_t)t, s = v / 10000000, f = v % 10000000;

	if (f < 0) {
		f += 10000000;
		s--;
	}
	out->mtime = s - EPOCH_SECONDS;
	out->mtime_ns = (uint32_t)(f * 100);
}

/* Names but the 8.3 ones, which count as links too. Of a file with very many
 * names only the count is looked at. */
static uint32_t links(struct ntfs *n, struct ntfs_inode *ino)
{
	uint32_t count = ino->links;

	if (count < 2 || count > 64)
		return count ? count : 1;
	for (size_t i = 0; i < ino->attrs.len; i++) {
		struct ntfs_attr *a = &ino->attrs.items[i];
		struct view v;

		if (a->type == NTFS_AT_NAME && count > 1 &&
			!ntfs_attr_load(n, ino, a, NULL) &&
			!ntfs_attr_value(a, &v, NULL) &&
			v.len >= sizeof(struct ntfs_file_name) &&
			((const struct ntfs_file_name *)(const void *)v.data)
					->space == NTFS_NAME_DOS)
			count--;
	}
	return count;
}

static int node_fill(struct ntfs *n, struct ntfs_inode *ino, uint64_t id,
	struct fs_node *out, struct buf *target, struct error *e)
{
	struct ntfs_stream s = { 0 };
	struct ntfs_standard st;
	struct ntfs_attr *a;
	unsigned stream = ntfs_id_stream(id);
	uint32_t attributes;
	int r = ntfs_standard(n, ino, &st, e);

	if (r)
		return r;
	attributes = le32_get(st.attributes);
	*out = (struct fs_node){ .id = id,
		.mode = 0777,
		.nlink = links(n, ino),
		.type = FS_FILE,
		.flags = FS_NODE_XATTRS };
	set_time(le64_get(st.modified), out);
	if (ino->flags & NTFS_RECORD_DIR && !stream) {
		out->type = FS_DIR;
		r = ntfs_special(n, ino, attributes, out, target, e);
		if (!r)
			ntfs_lx_attributes(n, ino, out);
		return r;
	}
	r = ntfs_data_attr(n, ino, stream, &a, e);
	if (r < 0)
		return r;
	if (!r && stream)
		return error_set(e, ERR_NOTFOUND,
			"MFT record %u has no stream %u", ino->no, stream);
	if (r) {
		if (!ntfs_stream_known(n, a)) {
			finding_report(n->findings, FINDING_FILE_UNREADABLE,
				FINDING_NO_OFFSET, "", "MFT record %u: "
				"compressed by an unknown method", ino->no);
			out->flags |= FS_NODE_OPAQUE;
			s.size = le64_get(((const struct ntfs_nonresident *)
						  (const void *)a->raw)->size);
			if (s.size > INT64_MAX)
				s.size = 0;
		} else {
			r = ntfs_stream_head(n, a, &s, e);
			if (r)
				return r;
		}
		out->size = s.size;
		if (s.encrypted || (attributes & NTFS_FILE_ENCRYPTED &&
					   !stream && s.size)) {
			out->flags |= FS_NODE_ENCRYPTED;
			if (!n->told_encrypted)
				finding_report(n->findings,
					FINDING_FILE_ENCRYPTED,
					FINDING_NO_OFFSET, "",
					"MFT record %u is the first of them",
					ino->no);
			n->told_encrypted = true;
		}
	}
	if (stream)
		return 0;
	r = ntfs_special(n, ino, attributes, out, target, e);
	if (!r)
		ntfs_lx_attributes(n, ino, out);
	return r;
}

static int ntfs_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct fs_node node;
	struct ntfs_inode *ino;
	int r = ntfs_inode_get(n, id, &ino, e);

	if (r)
		return r;
	r = node_fill(n, ino, id, &node, NULL, e);
	ntfs_inode_put(n, ino);
	if (!r)
		*out = node;
	return r;
}

static int ntfs_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct fs_node node;
	struct ntfs_inode *ino;
	int r = ntfs_inode_get(n, id, &ino, e);

	if (r)
		return r;
	r = node_fill(n, ino, id, &node, out, e);
	ntfs_inode_put(n, ino);
	if (!r && out->oom)
		return error_nomem(e);
	if (!r && node.type != FS_SYMLINK)
		return error_set(e, ERR_ARG, "MFT record %" PRIu64
			" is no symlink", ntfs_id_rec(id));
	return r;
}

/* Zero bits of p from bit at, joined into runs. */
struct free_walk {
	uint64_t start; /* of the run at hand, UINT64_MAX: none */
	const struct ntfs *n;
	fs_range_fn fn;
	void *ctx;
};

static int free_end(struct free_walk *w, uint64_t end)
{
	uint64_t start = w->start;

	if (start == UINT64_MAX)
		return 0;
	w->start = UINT64_MAX;
	return w->fn(w->ctx, 0, start << w->n->cluster_shift,
		(end - start) << w->n->cluster_shift);
}

static int free_bits(struct free_walk *w, const uint8_t *p, uint64_t first,
	uint64_t bits)
{
	for (uint64_t i = 0; i < bits;) {
		uint8_t b = p[i / 8];
		int r = 0;

		if (i % 8 == 0 && bits - i >= 8 &&
			((b == 0 && w->start != UINT64_MAX) ||
				(b == 0xff && w->start == UINT64_MAX))) {
			i += 8;
			continue;
		}
		if (b >> (i % 8) & 1)
			r = free_end(w, first + i);
		else if (w->start == UINT64_MAX)
			w->start = first + i;
		if (r)
			return r;
		i++;
	}
	return 0;
}

static int ntfs_free_space(struct fs *fs, fs_range_fn fn, void *ctx,
	struct error *e)
{
	struct ntfs *n = (struct ntfs *)fs;
	struct free_walk w = { UINT64_MAX, n, fn, ctx };
	AUTO_FREE uint8_t *p = malloc(64 * KIB);
	struct ntfs_stream s = { 0 };
	struct ntfs_inode *ino;
	struct ntfs_attr *a;
	uint64_t done = 0;
	int r;

	if (!p)
		return error_nomem(e);
	r = ntfs_inode_get(n, ntfs_id(NTFS_REC_BITMAP, 0, 0), &ino, e);
	if (r)
		return r == ERR_NOTFOUND ? error_set(e, ERR_CORRUPT,
					   "$Bitmap is missing")
					 : r;
	r = ntfs_attr_find(n, ino, NTFS_AT_DATA, "", &a, e);
	if (r == 1)
		r = ntfs_stream_open(n, ino, a, &s, e);
	else if (!r)
		r = error_set(e, ERR_CORRUPT, "$Bitmap has no data");
	if (!r && s.size < div_ceil(n->clusters, 8))
		r = error_set(e, ERR_CORRUPT, "$Bitmap has %" PRIu64
			" bytes for %" PRIu64 " clusters", s.size,
			n->clusters);
	while (!r && done < n->clusters) {
		uint64_t bits = u64_min(n->clusters - done, 64 * KIB * 8);

		r = ntfs_stream_read(n, &s, n->src, p,
			(size_t)div_ceil(bits, 8), done / 8, e);
		if (!r)
			r = free_bits(&w, p, done, bits);
		done += bits;
	}
	if (!r)
		r = free_end(&w, n->clusters);
	ntfs_stream_release(&s);
	ntfs_inode_put(n, ino);
	return r;
}

const struct fs_ops fs_ntfs = {
	.name = "ntfs",
	.probe = ntfs_probe,
	.open = ntfs_open,
	.close = ntfs_close,
	.stat = ntfs_stat,
	.readdir = ntfs_readdir,
	.readlink = ntfs_readlink,
	.extents = ntfs_extents,
	.pread = ntfs_pread,
	.xattrs = ntfs_xattrs,
	.streams = ntfs_streams,
	.free_space = ntfs_free_space,
};
