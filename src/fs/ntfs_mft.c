/* SPDX-License-Identifier: Apache-2.0 */
/* MFT records, the MFT itself, and inodes made of one or more records. */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

int ntfs_fixup(uint8_t *p, size_t size, const char *magic, uint64_t at,
	struct error *e)
{
	size_t off = get_le16(p + 4), count = get_le16(p + 6);
	const uint8_t *usa;

	if (memcmp(p, magic, 4) != 0)
		return error_at(e, ERR_CORRUPT, at,
			"%s magic is %02x%02x%02x%02x", magic, p[0], p[1], p[2],
			p[3]);
	if (off % 2 || off < 8 || count != size / NTFS_STRIDE + 1 ||
		!range_inside(off, count * 2, size))
		return error_at(e, ERR_CORRUPT, at,
			"%s update sequence of %zu at %zu", magic, count, off);
	usa = p + off;
	for (size_t i = 1; i < count; i++) {
		uint8_t *end = p + i * NTFS_STRIDE - 2;

		if (memcmp(end, usa, 2) != 0)
			return error_at(e, ERR_CORRUPT, at,
				"%s update sequence differs in sector %zu "
				"(a torn write)", magic, i - 1);
		memcpy(end, usa + 2 * i, 2);
	}
	return 0;
}

/* The fields of a record in memory agree; its number is no. */
static int record_check(const struct ntfs *n, const uint8_t *p, uint64_t no,
	uint64_t at, struct error *e)
{
	const struct ntfs_record *r = (const void *)p;
	uint32_t used = le32_get(r->used), attrs = le16_get(r->attrs_off);

	if (used > n->rec_size || attrs % 8 || attrs < 0x28 ||
		!range_inside(attrs, 4, used))
		return error_at(e, ERR_CORRUPT, at, "MFT record %llu: "
			"attributes at %u, %u bytes used",
			(unsigned long long)no, attrs, used);
	if (le32_get(r->allocated) != n->rec_size)
		return error_at(e, ERR_CORRUPT, at,
			"MFT record %llu: says it has %u bytes",
			(unsigned long long)no, le32_get(r->allocated));
	if (le16_get(r->usa_off) >= sizeof(*r) && le32_get(r->number) != no)
		return error_at(e, ERR_CORRUPT, at,
			"MFT record %llu: says it is %u",
			(unsigned long long)no, le32_get(r->number));
	return 0;
}

/* A copy at an offset of the disk: the first records and their mirror. */
static int record_at(struct ntfs *n, uint64_t lcn, uint64_t no, uint8_t *buf,
	struct error *e)
{
	uint64_t at;
	int r;

	if (!u64_shl(lcn, n->cluster_shift, &at) ||
		!u64_add(at, no * n->rec_size, &at))
		return error_set(e, ERR_CORRUPT, "the MFT is outside");
	r = source_pread(n->meta, buf, n->rec_size, at, e);
	if (!r)
		r = ntfs_fixup(buf, n->rec_size, "FILE", at, e);
	return r ? r : record_check(n, buf, no, at, e);
}

/* Where a record lies, for messages. */
static uint64_t record_offset(const struct ntfs *n, uint64_t no)
{
	uint64_t at = no * n->rec_size;
	size_t i = ntfs_run_find(&n->mft, at >> n->cluster_shift);
	const struct ntfs_run *run;

	if (i >= n->mft.runs.len || n->mft.runs.items[i].lcn == NTFS_HOLE)
		return 0;
	run = &n->mft.runs.items[i];
	return (run->lcn << n->cluster_shift) + at -
	       (run->vcn << n->cluster_shift);
}

static int record_read(struct ntfs *n, uint64_t no, uint8_t *buf,
	struct error *e)
{
	static const uint8_t never[4];
	uint64_t at;
	int r;

	if (no >= n->records)
		return error_set(e, ERR_NOTFOUND, "MFT record %llu of %llu",
			(unsigned long long)no, (unsigned long long)n->records);
	at = record_offset(n, no);
	r = ntfs_stream_read(n, &n->mft, n->meta, buf, n->rec_size,
		no * n->rec_size, e);
	if (!r && memcmp(buf, never, 4) == 0 && no >= NTFS_MIRRORED)
		return error_at(e, ERR_NOTFOUND, at,
			"MFT record %llu was never used",
			(unsigned long long)no);
	if (!r)
		r = ntfs_fixup(buf, n->rec_size, "FILE", at, e);
	if (!r)
		r = record_check(n, buf, no, at, e);
	if (r && r != ERR_NOMEM && no < NTFS_MIRRORED &&
		!record_at(n, n->mirror_lcn, no, buf, NULL)) {
		finding_report(n->findings, FINDING_FS_BACKUP_SUPER, at,
			"$MFT", "record %llu is damaged; that of $MFTMirr is "
			"used", (unsigned long long)no);
		return 0;
	}
	return r;
}

void ntfs_inode_free(struct ntfs_inode *ino)
{
	if (!ino)
		return;
	for (size_t i = 0; i < ino->recs.len; i++)
		free(ino->recs.items[i].data);
	vec_release(&ino->recs);
	vec_release(&ino->attrs);
	free(ino->list);
	ntfs_stream_release(&ino->stream);
	free(ino);
}

DEFINE_CLEANUP_PTR(inode, struct ntfs_inode, ntfs_inode_free)
#define AUTO_INODE CLEANUP(cleanup_inode) struct ntfs_inode *

/* Empties an inode for another use; the first record's memory stays. */
static void inode_reset(struct ntfs_inode *ino)
{
	for (size_t i = 1; i < ino->recs.len; i++)
		free(ino->recs.items[i].data);
	ino->recs.len = ino->recs.len ? 1 : 0;
	ino->attrs.len = 0;
	free(ino->list);
	ino->list = NULL;
	ino->has_list = ino->has_stream = false;
	ntfs_stream_release(&ino->stream);
}

/* All attributes of a record, appended. */
static int collect(struct ntfs_inode *ino, const struct ntfs_rec_bytes *rec,
	struct error *e)
{
	uint32_t at = le16_get(((const struct ntfs_record *)(void *)
			rec->data)->attrs_off);
	struct ntfs_attr a;
	int r;

	while ((r = ntfs_attr_next(rec->data, rec->used, rec->no, &at, &a,
			e)) > 0)
		if (!vec_push(&ino->attrs, a))
			return error_nomem(e);
	return r;
}

/* Replaces the attributes of the base record by what its list names; those
 * in other records are loaded when asked for. The walk shrinks what is left
 * of the list with every entry. */
static int list_parse(struct ntfs_inode *ino, size_t len, struct error *e)
{
	VEC(struct ntfs_attr) own = { 0 };
	size_t at = 0;
	int r = 0;

	own.items = ino->attrs.items;
	own.len = ino->attrs.len;
	own.cap = ino->attrs.cap;
	ino->attrs.items = NULL;
	ino->attrs.len = ino->attrs.cap = 0;
	while (!r && len - at >= sizeof(struct ntfs_list_entry)) {
		const struct ntfs_list_entry *x = (const void *)(ino->list + at);
		size_t n = le16_get(x->len);
		struct ntfs_attr a = {
			.type = le32_get(x->type),
			.name_len = x->name_len,
			.name = ino->list + at + x->name_off,
			.lowest_vcn = le64_get(x->lowest_vcn),
			.instance = le16_get(x->instance),
		};
		uint64_t rec = le64_get(x->ref) & 0xffffffffffff;

		if (!a.type)
			break;
		if (n < sizeof(*x) || n % 8 || n > len - at ||
			!range_inside(x->name_off, 2u * x->name_len, n) ||
			rec > UINT32_MAX) {
			r = error_set(e, ERR_CORRUPT, "MFT record %u: entry at "
				"%zu of the attribute list is bad",
				ino->no, at);
			break;
		}
		a.rec = (uint32_t)rec;
		for (size_t i = 0; a.rec == ino->no && i < own.len; i++) {
			const struct ntfs_attr *o = &own.items[i];

			if (o->type == a.type && o->instance == a.instance) {
				a.raw = o->raw;
				a.raw_len = o->raw_len;
				a.name = o->name;
				a.name_len = o->name_len;
				a.lowest_vcn = o->lowest_vcn;
				break;
			}
		}
		if (a.rec == ino->no && !a.raw)
			r = error_set(e, ERR_CORRUPT, "MFT record %u: the "
				"attribute list names type 0x%x, which is not "
				"there", ino->no, a.type);
		else if (!vec_push(&ino->attrs, a))
			r = error_nomem(e);
		at += n;
	}
	vec_release(&own);
	return r;
}

/* Parses ino->recs.items[0], which was read and fixed up. */
static int inode_parse(struct ntfs *n, struct ntfs_inode *ino, struct error *e)
{
	struct ntfs_rec_bytes *rec = &ino->recs.items[0];
	const struct ntfs_record *h = (const void *)rec->data;
	struct ntfs_attr *list;
	AUTO_BUF b = BUF_INIT;
	int r;

	rec->no = ino->no;
	rec->used = le32_get(h->used);
	ino->seq = le16_get(h->seq);
	ino->links = le16_get(h->links);
	ino->flags = le16_get(h->flags);
	r = collect(ino, rec, e);
	if (r)
		return r;
	r = ntfs_attr_find(n, ino, NTFS_AT_LIST, "", &list, e);
	if (r <= 0)
		return r;
	r = ntfs_attr_read(n, ino, list, LIMIT_NTFS_ATTR_LIST, &b, e);
	if (r)
		return error_prefix(e, "MFT record %u: attribute list",
			ino->no);
	ino->has_list = true;
	if (b.len) {
		size_t len = b.len;

		ino->list = (uint8_t *)buf_steal(&b);
		if (!ino->list)
			return error_nomem(e);
		return list_parse(ino, len, e);
	}
	return 0;
}

static int inode_new(struct ntfs *n, struct ntfs_inode **out, struct error *e)
{
	AUTO_INODE ino = calloc(1, sizeof(*ino));
	struct ntfs_rec_bytes rec = { 0 };

	if (!ino || !vec_push(&ino->recs, rec))
		return error_nomem(e);
	ino->recs.items[0].data = malloc(n->rec_size);
	if (!ino->recs.items[0].data)
		return error_nomem(e);
	*out = steal_ptr(ino);
	return 0;
}

int ntfs_inode_get(struct ntfs *n, uint64_t id, struct ntfs_inode **out,
	struct error *e)
{
	AUTO_INODE ino = NULL;
	const struct ntfs_record *h;
	uint64_t no = ntfs_id_rec(id);
	unsigned seq = ntfs_id_seq(id);
	int r;

	for (size_t i = 0; i < ARRAY_LEN(n->cached); i++) {
		struct ntfs_inode *c = n->cached[i];

		if (c && c->no == no && (!seq || seq == c->seq)) {
			n->cached[i] = NULL;
			*out = c;
			return 0;
		}
	}
	/* The slot used longest ago gives its memory. */
	if (n->cached[1]) {
		ino = steal_ptr(n->cached[1]);
		inode_reset(ino);
	} else {
		r = inode_new(n, &ino, e);
		if (r)
			return r;
	}
	r = record_read(n, no, ino->recs.items[0].data, e);
	if (r)
		return r;
	h = (const void *)ino->recs.items[0].data;
	if (!(le16_get(h->flags) & NTFS_RECORD_IN_USE))
		return error_set(e, ERR_NOTFOUND,
			"MFT record %llu is not in use",
			(unsigned long long)no);
	if (seq && seq != le16_get(h->seq))
		return error_set(e, ERR_NOTFOUND, "MFT record %llu was used "
			"again: sequence %u, wanted %u",
			(unsigned long long)no, le16_get(h->seq), seq);
	if (le64_get(h->base))
		return error_set(e, ERR_NOTFOUND,
			"MFT record %llu extends another",
			(unsigned long long)no);
	ino->no = (uint32_t)no;
	r = inode_parse(n, ino, e);
	if (r)
		return r;
	*out = steal_ptr(ino);
	return 0;
}

void ntfs_inode_put(struct ntfs *n, struct ntfs_inode *ino)
{
	if (!ino)
		return;
	ntfs_inode_free(n->cached[1]);
	n->cached[1] = n->cached[0];
	n->cached[0] = ino;
}

int ntfs_attr_load(struct ntfs *n, struct ntfs_inode *ino, struct ntfs_attr *a,
	struct error *e)
{
	struct ntfs_rec_bytes *rec = NULL;
	const struct ntfs_record *h;
	struct ntfs_attr x;
	uint32_t at;
	int r;

	if (a->raw)
		return 0;
	/* Entries of one record stand together more often than not. */
	for (size_t i = ino->recs.len; i-- > 1 && !rec;)
		if (ino->recs.items[i].no == a->rec)
			rec = &ino->recs.items[i];
	if (!rec) {
		struct ntfs_rec_bytes b = { .no = a->rec };

		if (ino->recs.len * n->rec_size > LIMIT_NTFS_INODE)
			return error_set(e, ERR_LIMIT,
				"MFT record %u: more than %zu records", ino->no,
				ino->recs.len);
		b.data = malloc(n->rec_size);
		if (!b.data)
			return error_nomem(e);
		r = record_read(n, a->rec, b.data, e);
		h = (const void *)b.data;
		if (!r && (!(le16_get(h->flags) & NTFS_RECORD_IN_USE) ||
				  (le64_get(h->base) & 0xffffffffffff) !=
					  ino->no))
			r = error_set(e, ERR_CORRUPT,
				"MFT record %u: its extension %u is not its",
				ino->no, a->rec);
		if (!r && !vec_push(&ino->recs, b))
			r = error_nomem(e);
		if (r) {
			free(b.data);
			return r == ERR_NOTFOUND ? error_set(e, ERR_CORRUPT,
						   "MFT record %u: its "
						   "extension %u is missing",
						   ino->no, a->rec)
						 : r;
		}
		rec = vec_last(&ino->recs);
		rec->used = le32_get(h->used);
	}
	h = (const void *)rec->data;
	at = le16_get(h->attrs_off);
	while ((r = ntfs_attr_next(rec->data, rec->used, rec->no, &at, &x,
			e)) > 0) {
		if (x.type != a->type || x.instance != a->instance)
			continue;
		if (x.lowest_vcn != a->lowest_vcn ||
			x.name_len != a->name_len ||
			memcmp(x.name, a->name, (size_t)2 * x.name_len) != 0)
			return error_set(e, ERR_CORRUPT, "MFT record %u: "
				"attribute list and extension %u disagree "
				"about type 0x%x", ino->no, a->rec, a->type);
		*a = x;
		return 0;
	}
	return r ? r
		 : error_set(e, ERR_CORRUPT,
			   "MFT record %u: extension %u lacks type 0x%x",
			   ino->no, a->rec, a->type);
}

/* The MFT maps itself: the first piece of its runs stands in record 0, and
 * every further piece in a record that the pieces before it map. */
int ntfs_mft_open(struct ntfs *n, uint64_t mft_lcn, struct error *e)
{
	AUTO_INODE ino = NULL;
	struct ntfs_attr *a, copy;
	struct error first = { 0 };
	uint64_t map;
	int r;

	r = inode_new(n, &ino, e);
	if (r)
		return r;
	r = record_at(n, mft_lcn, 0, ino->recs.items[0].data, &first);
	if (r) {
		if (record_at(n, n->mirror_lcn, 0, ino->recs.items[0].data,
			    NULL)) {
			if (e)
				*e = first;
			return r;
		}
		finding_report(n->findings, FINDING_FS_BACKUP_SUPER,
			mft_lcn << n->cluster_shift, "$MFT",
			"%s; record 0 of $MFTMirr is used", first.msg);
	}
	/* Its own first piece, before any list: enough to read on. */
	ino->recs.items[0].used = le32_get(
		((const struct ntfs_record *)(void *)ino->recs.items[0].data)
			->used);
	r = collect(ino, &ino->recs.items[0], e);
	if (r)
		return r;
	r = ntfs_attr_find(n, ino, NTFS_AT_DATA, "", &a, e);
	if (r <= 0)
		return r ? r : error_set(e, ERR_CORRUPT, "$MFT has no data");
	copy = *a;
	r = ntfs_stream_head(n, &copy, &n->mft, e);
	if (r)
		return r;
	if (n->mft.resident || n->mft.unit_shift)
		return error_set(e, ERR_CORRUPT,
			"$MFT is resident or compressed");
	r = ntfs_runs_add(n, &copy, &n->mft, e);
	if (r)
		return r;
	n->records = u64_min(n->mft.init, n->mft.size) / n->rec_size;
	ino->attrs.len = 0;
	r = inode_parse(n, ino, e);
	if (r || !ino->has_list)
		return r;
	/* Each piece must follow the one before; vcn grows. */
	map = copy.lowest_vcn;
	for (size_t i = 0; i < ino->attrs.len; i++) {
		a = &ino->attrs.items[i];
		if (a->type != NTFS_AT_DATA || a->name_len ||
			a->lowest_vcn <= map)
			continue;
		map = a->lowest_vcn;
		r = ntfs_attr_load(n, ino, a, e);
		if (!r)
			r = ntfs_runs_add(n, a, &n->mft, e);
		if (r) {
			finding_report(n->findings, FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, "$MFT",
				"files in the rest of it are missing: %s",
				e ? e->msg : "");
			return 0;
		}
	}
	return 0;
}
