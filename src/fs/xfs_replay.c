/* SPDX-License-Identifier: Apache-2.0 */
/* The log of XFS, replayed in memory (Structure, "Journaling Log"): what
 * committed transactions say of metadata is put over the disk. As Linux does
 * it, in two passes: first those buffers are found that were given back, then
 * the rest is put in place, where the disk does not have it or what came later.
 * Only what the view of files needs is; intents that nothing ended (extents to
 * be freed, and so on) leave that as it is. */
#include "fs/xfs_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

#define BB XFS_LOG_BB
/* The largest buffer that is logged: a block, a directory block or a cluster
 * of inodes. */
#define BUFFER_MAX 65536u
/* What a byte of the log may cost: a core of 260 bytes with what is around it
 * stands for an inode of 2 KiB. */
#define XFS_WORK_PER_BYTE 16u
/* Far enough for every header of a block. */
#define HEADER 264

/* Where blocks of version 5 that the reader knows keep what. */
static const struct kind {
	uint32_t magic;
	bool da; /* 16 bits, behind two siblings */
	uint16_t crc, lsn, uuid;
} kinds[] = {
	{ XFS_BMA3_MAGIC, false, XFS_LONG_CRC_AT,
		offsetof(struct xfs_dbtree_long, lsn),
		offsetof(struct xfs_dbtree_long, uuid) },
	{ XFS_SYMLINK_MAGIC, false, XFS_REMOTE_CRC_AT,
		offsetof(struct xfs_dremote, lsn),
		offsetof(struct xfs_dremote, uuid) },
	{ XFS_DIR3_BLOCK_MAGIC, false, XFS_DIR3_CRC_AT,
		offsetof(struct xfs_ddir3, lsn),
		offsetof(struct xfs_ddir3, uuid) },
	{ XFS_DIR3_DATA_MAGIC, false, XFS_DIR3_CRC_AT,
		offsetof(struct xfs_ddir3, lsn),
		offsetof(struct xfs_ddir3, uuid) },
	{ XFS_SB_MAGIC, false, XFS_DSB_CRC_AT, XFS_DSB_LSN_AT,
		offsetof(struct xfs_dsb, uuid) },
	{ XFS_ATTR3_LEAF_MAGIC, true, XFS_DA_CRC_AT,
		offsetof(struct xfs_dda, lsn),
		offsetof(struct xfs_dda, uuid) },
	{ XFS_DA3_NODE_MAGIC, true, XFS_DA_CRC_AT,
		offsetof(struct xfs_dda, lsn),
		offsetof(struct xfs_dda, uuid) },
};

static const struct kind *kind_of(const uint8_t *p)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].magic ==
			(kinds[i].da ? get_be16(p + 8) : get_be32(p)))
			return &kinds[i];
	return NULL;
}

static int corrupt(struct error *e, const char *what)
{
	return error_set(e, ERR_CORRUPT, "xfs: the log: %s", what);
}

bool xfs_replay_cancelled(const struct xfs_replay *rp, uint64_t blkno,
	uint32_t len)
{
	return xfs_places_count(&rp->cancelled, blkno, len) != 0;
}

/* --- buffers --- */

struct buffer {
	struct xfs_dlog_buf d;
	const uint8_t *map; /* words of 32 bits */
	uint32_t bits;
	unsigned flags, type;
	uint64_t blkno, off;
	uint32_t len, bytes;
};

static int get_buffer(const struct xfs_log_item *it, struct buffer *b,
	struct error *e)
{
	size_t words;

	if (it->r[0].len < sizeof(b->d))
		return corrupt(e, "a buffer is described too shortly");
	memcpy(&b->d, it->r[0].data, sizeof(b->d));
	words = le32_get(b->d.map_size);
	if (words > (it->r[0].len - sizeof(b->d)) / 4)
		return corrupt(e, "a buffer's bitmap is too long");
	b->map = it->r[0].data + sizeof(b->d);
	b->bits = (uint32_t)words * 32;
	b->flags = le16_get(b->d.flags);
	b->type = b->flags >> XFS_BLF_TYPE_SHIFT;
	b->blkno = le64_get(b->d.blkno);
	b->len = le16_get(b->d.len);
	if (!b->len || !u64_mul(b->blkno, BB, &b->off))
		return corrupt(e, "a buffer's place is bad");
	b->bytes = b->len * BB;
	return 0;
}

static bool bit_set(const struct buffer *b, uint32_t bit)
{
	return get_le32(b->map + bit / 32 * 4) >> bit % 32 & 1;
}

/* Work, in bytes that are written or summed: a few bytes in the log can ask
 * for a whole buffer or chunk, again and again. */
static int spend(struct xfs_replay *rp, uint64_t n, struct error *e)
{
	if (n > rp->budget)
		return error_set(e, ERR_LIMIT, "xfs: the log changes more than "
			"%u times its own size", XFS_WORK_PER_BYTE);
	rp->budget -= n;
	return 0;
}

int xfs_replay_write(struct xfs_replay *rp, const void *buf, size_t len,
	uint64_t off, struct error *e)
{
	int r = spend(rp, len, e);

	if (r)
		return r;
	if (source_overlay_held(rp->view) > LIMIT_XFS_REPLAY)
		return error_set(e, ERR_LIMIT, "xfs: the log changes more than "
			"%" PRIu64 " MiB of metadata", LIMIT_XFS_REPLAY / MIB);
	return source_overlay_write(rp->view, buf, len, off, e);
}

/* Makes the checksum right of a block that was changed in part. */
static int seal(struct xfs_replay *rp, uint64_t off, uint32_t bytes,
	struct error *e)
{
	uint8_t head[HEADER], crc[4];
	AUTO_FREE uint8_t *p = NULL;
	const struct kind *k;
	int r = source_pread(rp->view, head, sizeof(head), off, e);

	k = r ? NULL : kind_of(head);
	if (!k)
		return r;
	r = spend(rp, bytes, e);
	if (r)
		return r;
	p = malloc(bytes);
	if (!p)
		return error_nomem(e);
	r = source_pread(rp->view, p, bytes, off, e);
	if (r)
		return r;
	put_le32(crc, xfs_crc(p, bytes, k->crc));
	return xfs_replay_write(rp, crc, sizeof(crc), off + k->crc, e);
}

/* Does the disk have this already, or what came later? Only blocks of version
 * 5 tell. */
static bool is_newer(const struct xfs_replay *rp, const uint8_t *head,
	uint64_t lsn)
{
	const struct kind *k = rp->g.v5 ? kind_of(head) : NULL;
	size_t uuid;
	uint64_t at;

	if (!k)
		return false;
	uuid = k->magic == XFS_SB_MAGIC &&
			rp->g.incompat & XFS_INCOMPAT_META_UUID
		? XFS_DSB_META_UUID_AT
		: k->uuid;
	at = get_be64(head + k->lsn);
	return !memcmp(head + uuid, rp->g.meta_uuid, 16) && at &&
	       at != UINT64_MAX && at >= lsn;
}

/* Is it anything that the view of files looks at? What it does not may be
 * most of a log: indexes of space, of inodes, of directories. Kernels that did
 * not tell the type yet (0) leave no choice. */
static bool is_needed(const struct buffer *b, const struct xfs_log_item *it,
	const uint8_t *head)
{
	uint32_t magic;

	if (b->flags & (XFS_BLF_INODE | XFS_BLF_QUOTA))
		return false; /* of inodes only the list of unlinked ones */
	switch (b->type) {
	case XFS_BLFT_BTREE:
		magic = get_be32(b->bits && bit_set(b, 0) && it->n > 1 &&
						it->r[1].len >= 4
					? it->r[1].data
					: head);
		return magic == XFS_BMAP_MAGIC || magic == XFS_BMA3_MAGIC;
	case XFS_BLFT_AGF:
	case XFS_BLFT_AGFL:
	case XFS_BLFT_AGI:
	case XFS_BLFT_DIR_FREE:
	case XFS_BLFT_DIR_LEAF1:
	case XFS_BLFT_DIR_LEAFN:
	case XFS_BLFT_RTBITMAP:
	case XFS_BLFT_RTSUMMARY:
		return false;
	default:
		return true;
	}
}

/* Each region stands for a run of set bits, or for part of one: a run may be
 * cut where the writer's pages end. */
static int put_regions(struct xfs_replay *rp, const struct buffer *b,
	const struct xfs_log_item *it, struct error *e)
{
	unsigned i = 1;

	for (uint32_t bit = 0; bit < b->bits;) {
		uint32_t n = 0, most;
		int r;

		if (!bit_set(b, bit)) {
			bit++;
			continue;
		}
		if (i >= it->n)
			return corrupt(e, "a buffer lacks a region");
		most = (uint32_t)(it->r[i].len / XFS_BLF_CHUNK);
		while (n < most && bit + n < b->bits && bit_set(b, bit + n))
			n++;
		if (!n || !range_inside((uint64_t)bit * XFS_BLF_CHUNK,
				(uint64_t)n * XFS_BLF_CHUNK, b->bytes))
			return corrupt(e, "a buffer's region does not fit");
		r = xfs_replay_write(rp, it->r[i].data, n * XFS_BLF_CHUNK,
			b->off + (uint64_t)bit * XFS_BLF_CHUNK, e);
		if (r)
			return r;
		bit += n;
		i++;
	}
	return i == it->n ? 0 : corrupt(e, "a buffer has too many regions");
}

/* The superblock: the file system may have been growing. */
static int refresh(struct xfs_replay *rp, const struct buffer *b,
	struct error *e)
{
	struct xfs_super_state st;
	struct xfs_geo g;
	int r = rp->g.v5 ? seal(rp, b->off, b->bytes, e) : 0;

	if (r || xfs_super_read(rp->view, &g, &st, NULL) || st.backup ||
		g.v5 != rp->g.v5 || g.blocksize != rp->g.blocksize ||
		g.inodesize != rp->g.inodesize ||
		g.sectsize != rp->g.sectsize ||
		g.agblklog != rp->g.agblklog ||
		g.agblocks != rp->g.agblocks)
		return r;
	rp->g = g;
	return 0;
}

static int put_buffer(struct xfs_replay *rp, const struct xfs_log_item *it,
	uint64_t lsn, struct error *e)
{
	uint8_t head[HEADER];
	struct buffer b = { 0 };
	int r = get_buffer(it, &b, e);

	if (r || xfs_replay_cancelled(rp, b.blkno, b.len))
		return r;
	if (b.bytes > BUFFER_MAX ||
		!range_inside(b.off, b.bytes, rp->view->size))
		return corrupt(e, "a buffer is outside the volume");
	r = source_pread(rp->view, head, sizeof(head), b.off, e);
	if (r || !is_needed(&b, it, head) || is_newer(rp, head, lsn))
		return r;
	r = put_regions(rp, &b, it, e);
	if (!r && rp->g.v5)
		r = xfs_places_add(&rp->touched, b.blkno, b.len, e);
	if (!r && !b.blkno && b.type == XFS_BLFT_SB)
		r = refresh(rp, &b, e);
	return r;
}

/* --- transactions --- */

static bool is_cancel(const struct xfs_log_item *it)
{
	return it->type == XFS_LI_BUF &&
	       it->r[0].len >= sizeof(struct xfs_dlog_buf) &&
	       get_le16(it->r[0].data + 4) & XFS_BLF_CANCEL;
}

/* Buffers and new inodes come first, then inodes, and at last what was given
 * back in the same transaction. */
enum turn { FIRST, SECOND, LAST, TURNS };

static enum turn turn_of(const struct xfs_log_item *it)
{
	if (it->type == XFS_LI_BUF)
		return is_cancel(it) ? LAST : FIRST;
	return it->type == XFS_LI_ICREATE ? FIRST : SECOND;
}

/* What is begun and not ended: remembered by its number. */
static int intent(struct xfs_replay *rp, const struct xfs_log_item *it,
	bool done, struct error *e)
{
	uint64_t id;

	if (it->r[0].len < sizeof(struct xfs_dlog_intent))
		return corrupt(e, "an intent is too short");
	id = get_le64(it->r[0].data +
		      offsetof(struct xfs_dlog_intent, id));
	if (!done)
		return xfs_places_add(&rp->intents, id, it->type, e);
	xfs_places_take(&rp->intents, id, it->type - 1u);
	return 0;
}

static int put_item(struct xfs_replay *rp, const struct xfs_log_item *it,
	uint64_t lsn, struct error *e)
{
	struct buffer b;
	int r;

	rp->sum->items++;
	switch (it->type) {
	case XFS_LI_BUF:
		if (!is_cancel(it))
			return put_buffer(rp, it, lsn, e);
		r = get_buffer(it, &b, e);
		if (!r)
			xfs_places_take(&rp->cancelled, b.blkno, b.len);
		return r;
	case XFS_LI_INODE:
		return xfs_replay_inode(rp, it, lsn, e);
	case XFS_LI_ICREATE:
		return xfs_replay_icreate(rp, it, e);
	case XFS_LI_BUI:
	case XFS_LI_ATTRI:
	case XFS_LI_XMI:
		return intent(rp, it, false, e);
	case XFS_LI_BUD:
	case XFS_LI_ATTRD:
	case XFS_LI_XMD:
		return intent(rp, it, true, e);
	default:
		return 0;
	}
}

static int note_cancelled(struct xfs_replay *rp, const struct xfs_log_item *it,
	struct error *e)
{
	struct buffer b;
	int r;

	if (it->type != XFS_LI_EFI && it->type != XFS_LI_EFD &&
		(it->type < XFS_LI_INODE || it->type > XFS_LI_CUD_RT))
		return error_set(e, ERR_UNSUPPORTED,
			"xfs: the log has items of an unknown type, %#x",
			it->type);
	if (!is_cancel(it))
		return 0;
	r = get_buffer(it, &b, e);
	return r ? r : xfs_places_add(&rp->cancelled, b.blkno, b.len, e);
}

static int commit(void *ctx, const struct xfs_trans *t, struct error *e)
{
	struct xfs_replay *rp = ctx;
	struct xfs_log_item it;
	int r = 0;

	if (!rp->first_pass)
		rp->sum->transactions++;
	for (int turn = 0; turn < (rp->first_pass ? 1 : TURNS); turn++)
		for (size_t i = 0; i < t->items.len && !r; i++) {
			r = xfs_trans_item(t, i, &it, e);
			if (!r && rp->first_pass)
				r = note_cancelled(rp, &it, e);
			else if (!r && (int)turn_of(&it) == turn)
				r = put_item(rp, &it, t->lsn, e);
		}
	return r;
}

static int pass(struct xfs_replay *rp, const struct xfs_log *l,
	struct xfs_record *rec, const struct xfs_log_span *s, struct error *e)
{
	struct xfs_gather ga = { .fn = commit, .ctx = rp };
	uint32_t at = s->tail, cycle = s->cycle, left = s->blocks;
	int r = 0;

	while (!r && left) {
		r = xfs_record_read(l, at, cycle, rec, e);
		if (!r)
			r = ERR_CORRUPT; /* it changed meanwhile; *e says how */
		else if (r > 0)
			r = rec->blocks <= left
				    ? xfs_gather_record(&ga, rec, e)
				    : corrupt(e, "a record became longer "
						 "while it was read");
		left -= rec->blocks;
		xfs_record_next(l, rec, &at, &cycle);
	}
	xfs_gather_release(&ga);
	return r;
}

void xfs_log_tell(const struct xfs_log *l, const struct xfs_replayed *sum)
{
	const struct finding_sink *f = l->x->findings;

	finding_report(f, FINDING_FS_JOURNAL, l->off, "log",
		"%" PRIu64 " items of %" PRIu64 " transactions", sum->items,
		sum->transactions);
	if (sum->open)
		finding_report(f, FINDING_FS_DIRTY, l->off, "log",
			"changes of files that were begun in it and not ended, "
			"%" PRIu64 ", are not finished", sum->open);
	if (sum->owners)
		finding_report(f, FINDING_FS_DIRTY, l->off, "log",
			"trees of extents that change their file in it, "
			"%" PRIu64 ", are left with the old one", sum->owners);
}

int xfs_log_replay(const struct xfs_log *l, struct source **out,
	struct xfs_replayed *sum, struct error *e)
{
	struct xfs *x = l->x;
	struct xfs_replay rp = { .x = x, .g = x->g, .sum = sum };
	struct xfs_log_span s;
	struct xfs_record rec;
	int r;

	*sum = (struct xfs_replayed){ 0 };
	if (x->g.log_incompat & ~(uint32_t)XFS_LOG_INCOMPAT_KNOWN)
		return error_set(e, ERR_UNSUPPORTED,
			"xfs: the log has unknown features %#x",
			x->g.log_incompat);
	r = source_overlay(x->dev, &rp.view, e);
	if (r)
		return r;
	r = xfs_record_init(&rec, e);
	if (!r)
		r = xfs_log_active(l, &rec, &s, e);
	if (!r)
		rp.budget = XFS_WORK_PER_BYTE * (uint64_t)s.blocks * BB +
			    LIMIT_XFS_REPLAY;
	for (int i = 0; i < 2 && !r; i++) {
		rp.first_pass = !i;
		r = pass(&rp, l, &rec, &s, e);
	}
	for (size_t i = 0; i < rp.touched.cap && !r; i++) {
		const struct xfs_place *p = &rp.touched.table[i];

		if (p->len)
			r = seal(&rp, p->blkno * BB, p->len * BB, e);
	}
	for (size_t i = 0; i < rp.intents.cap; i++)
		sum->open += rp.intents.table[i].count;
	if (!r) {
		x->g = rp.g;
		*out = steal_ptr(rp.view);
	}
	source_unref(rp.view);
	xfs_record_release(&rec);
	xfs_places_release(&rp.cancelled);
	xfs_places_release(&rp.touched);
	xfs_places_release(&rp.intents);
	return r;
}
