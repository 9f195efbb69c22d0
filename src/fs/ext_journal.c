/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of ext3 and ext4 (JBD2, Documentation/filesystems/ext4
 * "Journal"), replayed in memory: a table says which block of the file system
 * is to be read from which block of the journal, and a source over the disk
 * reads them from there. Nothing is copied, so a full journal costs 16 bytes a
 * block. As the kernel does it: first the log is followed to the last
 * transaction that was committed, then revoked blocks are gathered, then the
 * rest is put in place. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "fs/ext_fast.h"
#include "fs/ext_replay.h"

struct revoke {
	uint64_t blk;
	uint32_t seq;
};

struct tag {
	uint64_t blk;
	uint32_t flags, csum;
};

struct journal {
	struct ext *x;
	struct ext_inode in;
	struct ext_map map;
	struct jbd_super sb;
	uint32_t bs, first, last; /* the log is the ring [first, last) */
	uint32_t incompat, seed;
	bool v1_sums;
	uint32_t tag_size;
	uint8_t *block, *data;
	struct replay_map *out;
	VEC(struct revoke) revokes;
	uint64_t skipped;
	struct error err;
};

static void note(struct ext *x, enum finding_id id, const char *what)
{
	finding_report(x->findings, id, FINDING_NO_OFFSET, "journal", "%s",
		what);
}

/* Block n of the journal: where it is on the disk. */
static int locate(struct journal *j, uint32_t n, uint64_t *out)
{
	struct ext_run run;
	int r = ext_map_next(&j->map, n, &run, &j->err);

	if (r < 0)
		return r;
	if (!r || run.lblk != n || run.unwritten)
		return error_set(&j->err, ERR_CORRUPT,
			"block %u of the journal is a hole", n);
	*out = run.pblk;
	return 0;
}

static int read_block(struct journal *j, uint32_t n, uint8_t *buf,
	uint64_t *out_blk)
{
	uint64_t blk = 0;
	int r = locate(j, n, &blk);

	if (r)
		return r;
	if (out_blk)
		*out_blk = blk;
	return source_pread(j->x->disk, buf, j->bs, ext_blk_off(j->x, blk),
		&j->err);
}

static uint32_t advance(const struct journal *j, uint32_t n)
{
	return n + 1 >= j->last ? j->first : n + 1;
}

static bool has_sums(const struct journal *j)
{
	return (j->incompat & (JBD_INCOMPAT_CSUM_V2 | JBD_INCOMPAT_CSUM_V3)) !=
	       0;
}

/* The sum of a block whose last word (at off) is the sum. */
static bool sum_ok(const struct journal *j, const uint8_t *p, size_t off)
{
	static const uint8_t zero[4];
	uint32_t c = crc32c_update(j->seed, p, off);

	c = crc32c_update(c, zero, 4);
	c = crc32c_update(c, p + off + 4, j->bs - off - 4);
	return c == get_be32(p + off);
}

/* Calls fn for each tag of the descriptor in j->block; bytes shrink with each,
 * so it ends. */
static int next_tag(const struct journal *j, size_t *at, bool *last,
	struct tag *out)
{
	size_t end = j->bs - (has_sums(j) ? 4 : 0), size = j->tag_size;
	const uint8_t *p = j->block + *at;

	if (*last || *at > end || end - *at < size)
		return 0;
	out->blk = get_be32(p);
	if (j->incompat & JBD_INCOMPAT_CSUM_V3) {
		out->flags = get_be32(p + 4);
		out->csum = get_be32(p + 12);
		if (j->incompat & JBD_INCOMPAT_64BIT)
			out->blk |= (uint64_t)get_be32(p + 8) << 32;
	} else {
		out->csum = get_be16(p + 4);
		out->flags = get_be16(p + 6);
		if (j->incompat & JBD_INCOMPAT_64BIT)
			out->blk |= (uint64_t)get_be32(p + 8) << 32;
	}
	*at += size;
	if (!(out->flags & JBD_TAG_SAME_UUID))
		*at += 16;
	*last = (out->flags & JBD_TAG_LAST) != 0;
	return 1;
}

static int gather_revokes(struct journal *j, uint32_t seq)
{
	size_t size = j->incompat & JBD_INCOMPAT_64BIT ? 8 : 4;
	size_t end = get_be32(j->block + 12);

	if (has_sums(j) && !sum_ok(j, j->block, j->bs - 4)) {
		note(j->x, FINDING_FS_DAMAGED,
			"the checksum of a revoke block is wrong");
		return 0;
	}
	if (end > j->bs - (has_sums(j) ? 4u : 0u)) {
		note(j->x, FINDING_FS_DAMAGED,
			"a revoke block is longer than a block");
		return 0;
	}
	for (size_t at = 16; at + size <= end; at += size) {
		struct revoke v = { .seq = seq };

		v.blk = size == 8 ? get_be64(j->block + at)
				  : get_be32(j->block + at);
		if (j->revokes.len >= LIMIT_EXT_REVOKE)
			return error_set(&j->err, ERR_LIMIT,
				"the journal revokes more than %u blocks",
				LIMIT_EXT_REVOKE);
		if (!vec_push(&j->revokes, v))
			return error_nomem(&j->err);
	}
	return 0;
}

static int by_blk_seq(const void *a, const void *b)
{
	const struct revoke *x = a, *y = b;

	if (x->blk != y->blk)
		return x->blk < y->blk ? -1 : 1;
	return (int32_t)(x->seq - y->seq) > 0 ? 1 : x->seq != y->seq ? -1 : 0;
}

/* Revoked in this transaction or a later one? (Sequence numbers wrap.) */
static bool is_revoked(const struct journal *j, uint64_t blk, uint32_t seq)
{
	size_t lo = 0, hi = j->revokes.len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (j->revokes.items[mid].blk <= blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && j->revokes.items[lo - 1].blk == blk &&
	       (int32_t)(j->revokes.items[lo - 1].seq - seq) >= 0;
}

static bool data_sum_ok(const struct journal *j, const struct tag *t,
	uint32_t seq)
{
	uint8_t b[4];
	uint32_t c;

	if (!has_sums(j))
		return true;
	put_be32(b, seq);
	c = crc32c_update(crc32c_update(j->seed, b, 4), j->data, j->bs);
	return j->incompat & JBD_INCOMPAT_CSUM_V3 ? c == t->csum
						  : (c & 0xffff) == t->csum;
}

static int put_in_place(struct journal *j, uint32_t n, uint32_t seq,
	const struct tag *t)
{
	struct ext *x = j->x;
	uint64_t at;
	int r;

	if (t->flags & JBD_TAG_DELETED || is_revoked(j, t->blk, seq))
		return 0;
	r = read_block(j, n, j->data, &at);
	if (!r && !data_sum_ok(j, t, seq))
		r = ERR_CORRUPT;
	if (r || t->blk >= x->g.blocks) {
		j->skipped++;
		return r == ERR_NOMEM ? r : 0;
	}
	return replay_map_add(j->out, t->blk, at,
		(t->flags & JBD_TAG_ESCAPE) != 0, &j->err);
}

enum pass { SCAN, REVOKE, REPLAY };

/* Follows the log from its start up to *end (a sequence number); SCAN finds
 * that end. Each step uses a block of the ring, of which there are so many. */
static int follow(struct journal *j, enum pass pass, uint32_t *end)
{
	uint32_t at = be32_get(j->sb.start), seq = be32_get(j->sb.sequence);
	uint32_t steps = j->last - j->first, sum = UINT32_MAX;
	int r;

	while (steps-- && (pass == SCAN || seq != *end)) {
		const struct jbd_header *h = (const void *)j->block;
		uint32_t type;

		r = read_block(j, at, j->block, NULL);
		if (r && pass == SCAN && r != ERR_NOMEM)
			break;
		if (r)
			return r;
		if (be32_get(h->magic) != JBD_MAGIC ||
			be32_get(h->sequence) != seq)
			break;
		type = be32_get(h->type);
		at = advance(j, at);
		if (type == JBD_DESCRIPTOR) {
			size_t pos = sizeof(*h);
			bool last = false;
			struct tag t;

			if (has_sums(j) && !sum_ok(j, j->block, j->bs - 4)) {
				if (pass == SCAN)
					note(j->x, FINDING_FS_DAMAGED,
						"it ends with a descriptor "
						"whose checksum is wrong");
				break;
			}
			if (j->v1_sums)
				sum = ext2fs_crc32_be(sum, j->block, j->bs);
			while (next_tag(j, &pos, &last, &t)) {
				if (!steps)
					break;
				steps--;
				r = 0;
				if (pass == REPLAY)
					r = put_in_place(j, at, seq, &t);
				else if (pass == SCAN && j->v1_sums &&
					 !read_block(j, at, j->data, NULL))
					sum = ext2fs_crc32_be(sum, j->data,
						j->bs);
				if (r)
					return r;
				at = advance(j, at);
			}
		} else if (type == JBD_COMMIT) {
			const struct jbd_commit *c = (const void *)j->block;

			if (pass == SCAN && has_sums(j) &&
				!sum_ok(j, j->block,
					offsetof(struct jbd_commit, chksum)))
				break;
			/* Version 1: crc32 over the whole transaction. */
			if (pass == SCAN && j->v1_sums &&
				c->chksum_type == 1 && c->chksum_size == 4 &&
				be32_get(c->chksum[0]) != sum)
				break;
			sum = UINT32_MAX;
			seq++;
		} else if (type == JBD_REVOKE) {
			r = pass == REVOKE ? gather_revokes(j, seq) : 0;
			if (r)
				return r;
		} else {
			break;
		}
	}
	if (pass == SCAN)
		*end = seq;
	return 0;
}

/* Fast commits stand behind the ring and one block that Linux skips. */
static int read_fast(void *ctx, uint32_t n, uint8_t *buf, struct error *e)
{
	struct journal *j = ctx;
	int r = read_block(j, j->last + 1 + n, buf, NULL);

	if (r)
		*e = j->err;
	return r;
}

static int check_super(struct journal *j)
{
	struct jbd_super *sb = &j->sb;
	uint32_t type = be32_get(sb->h.type), total = be32_get(sb->maxlen);
	uint32_t fc = 0;

	if (be32_get(sb->h.magic) != JBD_MAGIC ||
		(type != JBD_SUPER_V1 && type != JBD_SUPER_V2))
		return error_set(&j->err, ERR_CORRUPT,
			"the journal has no superblock");
	if (be32_get(sb->blocksize) != j->bs)
		return error_set(&j->err, ERR_CORRUPT,
			"the journal's block size is %u",
			be32_get(sb->blocksize));
	if (type == JBD_SUPER_V2) {
		j->incompat = be32_get(sb->feature_incompat);
		j->v1_sums = be32_get(sb->feature_compat) & JBD_COMPAT_CHECKSUM;
	}
	if (j->incompat & ~(uint32_t)JBD_INCOMPAT_ALL)
		return error_set(&j->err, ERR_UNSUPPORTED,
			"the journal has unknown features %#x", j->incompat);
	if (has_sums(j)) {
		uint32_t want = be32_get(sb->checksum);

		j->v1_sums = false;
		sb->checksum = be32_make(0);
		if (sb->checksum_type != 4 ||
			crc32c_update(UINT32_MAX, sb, sizeof(*sb)) != want)
			return error_set(&j->err, ERR_CORRUPT,
				"the checksum of the journal's superblock is "
				"wrong");
		j->seed = crc32c_update(UINT32_MAX, sb->uuid, 16);
	}
	j->first = be32_get(sb->first);
	if (total > j->in.size / j->bs)
		return error_set(&j->err, ERR_CORRUPT,
			"the journal's length is %u blocks, its file's is "
			"%" PRIu64, total, j->in.size / j->bs);
	if (j->incompat & JBD_INCOMPAT_FAST_COMMIT) {
		fc = be32_get(sb->num_fc_blks);
		fc = fc ? fc : 256;
		if (total < 1024 || fc > total - 1024)
			fc = 0;
	}
	j->last = total - fc;
	if (!j->first || j->first >= j->last ||
		(be32_get(sb->start) && (be32_get(sb->start) < j->first ||
						be32_get(sb->start) >= j->last)))
		return error_set(&j->err, ERR_CORRUPT,
			"the journal's first block is %u, its start %u, its "
			"length %u", j->first, be32_get(sb->start), total);
	j->tag_size = j->incompat & JBD_INCOMPAT_CSUM_V3 ? 16
		      : (j->incompat & JBD_INCOMPAT_64BIT ? 12u : 8u) +
				(j->incompat & JBD_INCOMPAT_CSUM_V2 ? 2u : 0u);
	return 0;
}

/* The inode, or (damaged) the copy of its map in the superblock. */
static int find_inode(struct journal *j)
{
	struct ext *x = j->x;
	const struct ext_super *sb = &x->g.super;
	int r = ext_inode_read(x, le32_get(sb->journal_inum), true, &j->in,
		NULL, &j->err);

	if (!r && (j->in.mode & EXT_MODE_FMT) == EXT_MODE_FILE &&
		!(j->in.flags & EXT_FL_INLINE_DATA))
		return 0;
	if (sb->jnl_backup_type != 1)
		return r ? r
			 : error_set(&j->err, ERR_CORRUPT,
				   "its inode is not a file's");
	memset(&j->in, 0, sizeof(j->in));
	j->in.ino = EXT_INO_JOURNAL;
	j->in.mode = EXT_MODE_FILE;
	memcpy(j->in.block, sb->jnl_blocks, sizeof(j->in.block));
	if (get_le16(j->in.block) == EXT_EXTENT_MAGIC)
		j->in.flags = EXT_FL_EXTENTS;
	j->in.size = le32_get(sb->jnl_blocks[16]) |
		     (uint64_t)le32_get(sb->jnl_blocks[15]) << 32;
	return 0;
}

static int replay(struct journal *j)
{
	uint32_t end = 0, fc;
	uint64_t at = 0;
	int r = find_inode(j);

	if (!r)
		r = ext_map_begin(&j->map, j->x, &j->in, &j->err);
	if (!r)
		r = locate(j, 0, &at);
	if (!r)
		r = source_pread(j->x->disk, &j->sb, sizeof(j->sb),
			ext_blk_off(j->x, at), &j->err);
	if (!r)
		r = check_super(j);
	if (r)
		return r;
	fc = be32_get(j->sb.maxlen) - j->last;
	if (be32_get(j->sb.start)) {
		r = follow(j, SCAN, &end);
		if (!r)
			r = follow(j, REVOKE, &end);
		if (r)
			return r;
		if (j->revokes.len)
			qsort(j->revokes.items, j->revokes.len,
				sizeof(*j->revokes.items), by_blk_seq);
		r = follow(j, REPLAY, &end);
		if (!r)
			r = ext_fast_find(j->x, fc ? fc - 1 : 0, end, read_fast,
				j, &j->err);
		if (r)
			return r;
	}
	if (j->skipped) {
		j->x->unreplayed = true;
		ext_fast_drop(j->x, "the blocks before them are damaged");
		finding_report(j->x->findings, FINDING_FS_DAMAGED,
			FINDING_NO_OFFSET, "journal",
			"%" PRIu64 " blocks in it are damaged and not replayed",
			j->skipped);
	}
	if (j->out->len)
		finding_report(j->x->findings, FINDING_FS_JOURNAL,
			FINDING_NO_OFFSET, "journal",
			"%zu blocks of %u transactions", j->out->len,
			end - be32_get(j->sb.sequence));
	return 0;
}

int ext_journal_replay(struct ext *x, struct error *e)
{
	struct journal j = { .x = x, .bs = x->g.block_size };
	struct replay_map map = { 0 };
	int r;

	if (!(x->g.incompat & EXT_INCOMPAT_RECOVER))
		return 0;
	if (!le32_get(x->g.super.journal_inum)) {
		x->unreplayed = true;
		note(x, FINDING_FS_DIRTY,
			"it is on another device and not replayed");
		return 0;
	}
	j.out = &map;
	j.block = malloc(j.bs);
	j.data = malloc(j.bs);
	r = j.block && j.data ? replay(&j) : error_nomem(&j.err);
	if (!r && map.len) {
		struct source *view = NULL;

		r = replay_source(x->disk, &map, x->g.block_size, &view,
			&x->replay, &j.err);
		if (!r) {
			source_unref(x->view);
			x->view = view;
		}
	}
	if (r)
		ext_fast_drop(x, NULL);
	if (r && r != ERR_NOMEM) {
		x->unreplayed = true;
		finding_report(x->findings, FINDING_FS_DIRTY, FINDING_NO_OFFSET,
			"journal", "it cannot be replayed: %s", j.err.msg);
		r = 0;
	}
	if (r && e)
		*e = j.err;
	free(j.block);
	free(j.data);
	ext_map_release(&j.map);
	vec_release(&j.revokes);
	replay_map_release(&map);
	return r;
}
