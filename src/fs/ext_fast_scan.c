/* SPDX-License-Identifier: Apache-2.0 */
/* Fast commits of ext4, found behind the log: records in commits, each closed
 * by a tail with the checksum of what is before it. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "fs/ext_fast.h"

#define TL 4 /* le16 tag, le16 length */

static bool length_ok(const struct ext *x, uint16_t tag, size_t len)
{
	switch (tag) {
	case EXT_FC_ADD_RANGE:
		return len == 16;
	case EXT_FC_DEL_RANGE:
		return len == 12;
	case EXT_FC_CREAT:
	case EXT_FC_LINK:
	case EXT_FC_UNLINK:
		return len > FAST_NAME && len <= FAST_NAME + 255;
	case EXT_FC_INODE:
		return len >= 4 + EXT_INODE_OLD_SIZE &&
		       len <= 4 + x->g.inode_size;
	case EXT_FC_PAD:
		return true;
	case EXT_FC_TAIL:
		return len >= 8;
	case EXT_FC_HEAD:
		return len == 8;
	default:
		return false;
	}
}

struct scan {
	struct ext *x;
	struct ext_fast *f;
	uint32_t tid, crc;
	size_t good; /* records of whole commits */
};

/* The records of the block at the end of the area. 1: go on; 0: it ends here,
 * as it does where what is left of an older log begins; or an error. Each
 * record is 4 bytes at least, so the walk ends. */
static int scan_block(struct scan *s, struct error *e)
{
	struct ext_fast *f = s->f;
	size_t bs = s->x->g.block_size, at = f->area.len - bs;
	size_t end = f->area.len;

	while (end - at >= TL) {
		const uint8_t *p = f->area.data + at;
		uint16_t tag = get_le16(p), len = get_le16(p + 2);
		size_t summed = (size_t)len + TL;

		if (len > end - at - TL || !length_ok(s->x, tag, len))
			return 0;
		if (tag == EXT_FC_HEAD && get_le32(p + TL))
			return error_set(e, ERR_UNSUPPORTED,
				"unknown features %#x", get_le32(p + TL));
		if (tag == EXT_FC_HEAD && get_le32(p + TL + 4) != s->tid)
			return 0;
		if (tag == EXT_FC_TAIL)
			summed = TL + 4;
		s->crc = crc32c_update(s->crc, p, summed);
		if (tag == EXT_FC_TAIL) {
			if (get_le32(p + TL) != s->tid ||
				!checksum_agrees(s->crc, get_le32(p + TL + 4)))
				return 0;
			s->good = f->recs.len;
			s->crc = 0;
			f->commits++;
		} else if (tag != EXT_FC_PAD && tag != EXT_FC_HEAD &&
			   !vec_push(&f->recs, (struct fast_rec){
						       .tag = tag,
						       .len = len,
						       .off = (uint32_t)(at + TL),
					       })) {
			return error_nomem(e);
		}
		at += (size_t)len + TL;
	}
	return 1;
}

static int scan(struct ext *x, uint32_t count, uint32_t tid, fast_read_fn read,
	void *ctx, struct error *e)
{
	struct ext_fast *f = x->fast;
	struct scan s = { .x = x, .f = f, .tid = tid };
	uint32_t bs = x->g.block_size;
	bool begun = false;
	int r = 1;

	for (uint32_t n = 0; r > 0 && n < count; n++) {
		uint8_t *p = buf_grow(&f->area, bs);

		if (!p)
			return error_nomem(e);
		if (f->area.len > LIMIT_EXT_FAST)
			return error_set(e, ERR_LIMIT, "more than %zu bytes",
				(size_t)LIMIT_EXT_FAST);
		r = read(ctx, n, p, e);
		if (r)
			return r;
		/* The area begins with the head of its transaction, or with
		 * that of one before. */
		if (!n && (get_le16(p) != EXT_FC_HEAD ||
				  get_le16(p + 2) != 8 ||
				  get_le32(p + TL + 4) != tid))
			break;
		begun = true;
		r = scan_block(&s, e);
		if (r < 0)
			return r;
	}
	f->recs.len = s.good;
	return begun && !f->commits
		       ? error_set(e, ERR_CORRUPT,
				 "the first of them is not whole")
		       : 0;
}

int ext_fast_find(struct ext *x, uint32_t count, uint32_t tid,
	fast_read_fn read, void *ctx, struct error *e)
{
	struct error err = { 0 };
	int r;

	x->fast = calloc(1, sizeof(*x->fast));
	if (!x->fast)
		return error_nomem(e);
	r = scan(x, count, tid, read, ctx, &err);
	if (r || !x->fast->commits)
		ext_fast_drop(x, r && r != ERR_NOMEM ? err.msg : NULL);
	return r == ERR_NOMEM ? error_nomem(e) : 0;
}

void ext_fast_drop(struct ext *x, const char *why)
{
	struct ext_fast *f = x->fast;

	if (!f)
		return;
	x->fast = NULL;
	buf_release(&f->area);
	vec_release(&f->recs);
	vec_release(&f->inodes);
	vec_release(&f->names);
	vec_release(&f->ranges);
	vec_release(&f->taken);
	free(f);
	if (!why)
		return;
	x->unreplayed = true;
	finding_report(x->findings, FINDING_FS_DIRTY, FINDING_NO_OFFSET,
		"journal", "fast commits in it are not replayed: %s", why);
}
