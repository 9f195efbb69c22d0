/* SPDX-License-Identifier: Apache-2.0 */
/* The operations in the records of the XFS log, gathered to transactions
 * (Structure, "Log Operations"). The parts of one may stand among those of
 * others, and a region may go on in the next record. */
#include "fs/xfs_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

/* Transactions that are open at once: Linux gathers its own to a few
 * checkpoints; before it did, each process had one at the most. */
#define OPEN_MAX 64

static int corrupt(struct error *e, const struct xfs_record *rec,
	const char *what)
{
	return error_set(e, ERR_CORRUPT, "xfs: the log's record %" PRIu64
		":%" PRIu64 ": %s", rec->lsn >> 32, rec->lsn & UINT32_MAX,
		what);
}

static void trans_free(struct xfs_trans *t)
{
	buf_release(&t->data);
	vec_release(&t->regions);
	vec_release(&t->items);
	free(t);
}

void xfs_gather_release(struct xfs_gather *ga)
{
	for (size_t i = 0; i < ga->open.len; i++)
		trans_free(ga->open.items[i]);
	vec_release(&ga->open);
}

static void drop(struct xfs_gather *ga, size_t i)
{
	struct xfs_trans *t = ga->open.items[i];

	ga->bytes -= t->data.len;
	ga->regions -= t->regions.len;
	ga->open.items[i] = ga->open.items[--ga->open.len];
	trans_free(t);
}

static int begin(struct xfs_gather *ga, uint32_t tid,
	const struct xfs_record *rec, struct error *e)
{
	struct xfs_trans *t;

	if (ga->open.len >= OPEN_MAX)
		return error_set(e, ERR_LIMIT, "xfs: more than %d transactions "
			"are open in the log", OPEN_MAX);
	t = calloc(1, sizeof(*t));
	if (!t || !vec_push(&ga->open, t)) {
		free(t);
		return error_nomem(e);
	}
	t->tid = tid;
	t->lsn = rec->lsn;
	return 0;
}

/* More bytes of the last region. */
static int append(struct xfs_gather *ga, struct xfs_trans *t, struct view v,
	struct error *e)
{
	if (v.len > LIMIT_XFS_TRANS - ga->bytes)
		return error_set(e, ERR_LIMIT, "xfs: the log's transactions "
			"hold more than %" PRIu64 " MiB",
			LIMIT_XFS_TRANS / MIB);
	buf_add(&t->data, v.data, v.len);
	if (t->data.oom)
		return error_nomem(e);
	ga->bytes += v.len;
	vec_last(&t->regions)->len += (uint32_t)v.len;
	return 0;
}

/* The header of a transaction, which may be cut in two as any region. */
static int add_head(struct xfs_trans *t, struct view v,
	const struct xfs_record *rec, struct error *e)
{
	if (v.len > sizeof(t->head) - t->head_len)
		return corrupt(e, rec, "a transaction's header is too long");
	memcpy(t->head + t->head_len, v.data, v.len);
	t->head_len += (uint32_t)v.len;
	if (t->head_len == sizeof(t->head) &&
		get_le32(t->head) != XFS_TRANS_MAGIC)
		return corrupt(e, rec, "a transaction has no header");
	return 0;
}

static size_t have(const struct xfs_trans *t)
{
	return t->regions.len - vec_last(&t->items)->first;
}

/* A new region, of the last item or of a new one: that says how many it has. */
static int add_region(struct xfs_gather *ga, struct xfs_trans *t,
	struct view v, const struct xfs_record *rec, struct error *e)
{
	struct xfs_trans_region reg = { .off = (uint32_t)t->data.len };

	if (!t->items.len || have(t) == vec_last(&t->items)->total) {
		struct xfs_trans_item it = {
			.first = (uint32_t)t->regions.len };

		if (v.len >= 4)
			it.total = get_le16(v.data + 2);
		if (!it.total || it.total > XFS_LOG_REGIONS_MAX)
			return corrupt(e, rec, "an item has a bad number of "
				"regions");
		if (!vec_push(&t->items, it))
			return error_nomem(e);
	}
	if (ga->regions >= LIMIT_XFS_TRANS_REGIONS)
		return error_set(e, ERR_LIMIT, "xfs: the log's transactions "
			"have more than %u regions", LIMIT_XFS_TRANS_REGIONS);
	if (!vec_push(&t->regions, reg))
		return error_nomem(e);
	ga->regions++;
	return append(ga, t, v, e);
}

static int operation(struct xfs_gather *ga, const struct xfs_dlog_op *op,
	struct view v, const struct xfs_record *rec, struct error *e)
{
	uint32_t tid = be32_get(op->tid);
	unsigned flags = op->flags & ~(unsigned)XFS_LOG_END;
	struct xfs_trans *t;
	size_t i = 0;
	int r;

	while (i < ga->open.len && ga->open.items[i]->tid != tid)
		i++;
	if (i == ga->open.len) /* what began before the tail is on the disk */
		return flags & XFS_LOG_START ? begin(ga, tid, rec, e) : 0;
	t = ga->open.items[i];
	if (flags & XFS_LOG_WAS_CONT)
		flags &= ~(unsigned)XFS_LOG_CONTINUE;
	switch (flags) {
	case 0:
	case XFS_LOG_CONTINUE:
		if (!v.len)
			return 0;
		if (t->head_len == sizeof(t->head))
			return add_region(ga, t, v, rec, e);
		return t->head_len ? corrupt(e, rec, "a transaction's header "
						     "is not whole")
				   : add_head(t, v, rec, e);
	case XFS_LOG_WAS_CONT:
		if (t->head_len < sizeof(t->head))
			return add_head(t, v, rec, e);
		return t->regions.len ? append(ga, t, v, e)
				      : corrupt(e, rec, "a region goes on that "
							"never began");
	case XFS_LOG_COMMIT:
		r = ga->fn(ga->ctx, t, e);
		drop(ga, i);
		return r;
	case XFS_LOG_UNMOUNT:
		drop(ga, i);
		return 0;
	default:
		return corrupt(e, rec, "an operation's flags are bad");
	}
}

int xfs_gather_record(struct xfs_gather *ga, const struct xfs_record *rec,
	struct error *e)
{
	struct cursor c = cursor_make(rec->data, rec->len);

	for (uint32_t n = 0; n < rec->ops; n++) {
		const void *p = cur_bytes(&c, sizeof(struct xfs_dlog_op));
		const struct xfs_dlog_op *op = p;
		struct view v;
		int r;

		if (c.bad)
			return corrupt(e, rec, "it has fewer operations than "
				"it says");
		v = cur_view(&c, be32_get(op->len));
		if (c.bad)
			return corrupt(e, rec, "an operation is longer than "
				"it");
		if (op->client != XFS_LOG_TRANSACTION &&
			op->client != XFS_LOG_LOG)
			return corrupt(e, rec, "an operation is of an unknown "
				"client");
		r = operation(ga, op, v, rec, e);
		if (r)
			return r;
	}
	return 0;
}

int xfs_trans_item(const struct xfs_trans *t, size_t i,
	struct xfs_log_item *out, struct error *e)
{
	const struct xfs_trans_item *it = &t->items.items[i];

	if (it->total > t->regions.len - it->first)
		return error_set(e, ERR_CORRUPT, "xfs: the log: a region of an "
			"item is missing");
	out->n = it->total;
	for (unsigned k = 0; k < out->n; k++) {
		const struct xfs_trans_region *reg =
			&t->regions.items[it->first + k];

		out->r[k] = (struct view){ t->data.data + reg->off, reg->len };
	}
	out->type = get_le16(out->r[0].data);
	return 0;
}
