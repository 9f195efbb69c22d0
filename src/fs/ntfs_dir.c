/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: the B+ tree of file names ($I30). */
#include "fs/ntfs.h"

#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/utf.h"

/* A node on the way down: entries [at, end) of its bytes. */
struct level {
	uint8_t *block; /* NULL: the root, which is in the record */
	const uint8_t *p;
	size_t at, end;
	bool node; /* its entries have children */
	bool descended; /* the child before the entry at hand was walked */
};

struct walk {
	struct ntfs *n;
	struct ntfs_stream tree;
	uint32_t block_size;
	unsigned vcn_shift;
	uint64_t blocks;
	uint8_t *used;    /* $BITMAP: which blocks are in the tree */
	size_t used_len;
	uint8_t *visited; /* no block is walked twice */
	uint32_t dir;
	struct level level[LIMIT_NTFS_INDEX_DEPTH];
	unsigned depth;
	uint64_t entries;
	fs_entry_fn fn;
	void *ctx;
	int damaged;        /* the first error, delivered at the end */
	struct error first;
};

static void walk_release(struct walk *w)
{
	for (size_t i = 0; i < ARRAY_LEN(w->level); i++)
		free(w->level[i].block);
	ntfs_stream_release(&w->tree);
	free(w->used);
	free(w->visited);
}

static void damage(struct walk *w, const struct error *e)
{
	finding_report(w->n->findings, FINDING_DIR_DAMAGED,
		e->has_offset ? e->offset : FINDING_NO_OFFSET, "",
		"directory of MFT record %u: %s", w->dir, e->msg);
	if (!w->damaged) {
		w->first = *e;
		w->damaged = e->code;
	}
}

/* Takes the index header at off of a node of size bytes. */
static int level_set(struct level *l, const uint8_t *p,
	size_t off, size_t size, struct error *e)
{
	const struct ntfs_index_header *h = (const void *)(p + off);
	uint64_t first = le32_get(h->first), used = le32_get(h->used);

	if (used > size - off || first < sizeof(*h) || first > used ||
		first % 8)
		return error_set(e, ERR_CORRUPT, "index entries from %llu to "
			"%llu in a node of %zu bytes",
			(unsigned long long)first, (unsigned long long)used,
			size - off);
	l->p = p;
	l->at = off + (size_t)first;
	l->end = off + (size_t)used;
	l->node = h->flags & 1;
	l->descended = false;
	return 0;
}

static int descend(struct walk *w, uint64_t vcn, struct error *e)
{
	struct level *l;
	uint64_t off, no;
	int r;

	if (w->depth + 1 >= LIMIT_NTFS_INDEX_DEPTH)
		return error_set(e, ERR_LIMIT, "the index is over %d deep",
			LIMIT_NTFS_INDEX_DEPTH);
	if (!u64_shl(vcn, w->vcn_shift, &off) || off % w->block_size ||
		off / w->block_size >= w->blocks)
		return error_set(e, ERR_CORRUPT,
			"index block %llu is not one", (unsigned long long)vcn);
	no = off / w->block_size;
	if (no / 8 >= w->used_len || !(w->used[no / 8] >> (no % 8) & 1))
		return error_set(e, ERR_CORRUPT,
			"index block %llu is not marked as used",
			(unsigned long long)vcn);
	if (w->visited[no / 8] >> (no % 8) & 1)
		return error_set(e, ERR_CORRUPT,
			"index block %llu is reached twice",
			(unsigned long long)vcn);
	w->visited[no / 8] |= (uint8_t)(1u << (no % 8));
	l = &w->level[w->depth + 1];
	if (!l->block)
		l->block = malloc(w->block_size);
	if (!l->block)
		return error_nomem(e);
	/* The index of a small directory stands by itself: around it is nothing
	 * that will be asked for. */
	r = ntfs_stream_read(w->n, &w->tree,
		w->tree.size < 32 * KIB ? w->n->src : w->n->meta, l->block,
		w->block_size, off, e);
	if (!r)
		r = ntfs_fixup(l->block, w->block_size, "INDX", 0, e);
	if (!r && get_le64(l->block + offsetof(struct ntfs_index_block, vcn)) !=
		vcn)
		r = error_set(e, ERR_CORRUPT,
			"index block %llu says it is another",
			(unsigned long long)vcn);
	if (!r)
		r = level_set(l, l->block,
			offsetof(struct ntfs_index_block, h), w->block_size, e);
	if (r)
		return error_prefix(e, "index block %llu",
			(unsigned long long)vcn);
	w->depth++;
	return 0;
}

/* Delivers an entry's name, unless it is an 8.3 name, a system file or the
 * root itself. */
static int deliver(struct walk *w, const struct ntfs_index_entry *x,
	struct error *e)
{
	const struct ntfs_file_name *f = (const void *)(x + 1);
	size_t key = le16_get(x->key_len), len;
	uint64_t ref = le64_get(x->ref), rec = ref & 0xffffffffffff;
	uint8_t name[3 * 256];

	if (key < sizeof(*f) || 2u * f->name_len > key - sizeof(*f))
		return error_set(e, ERR_CORRUPT, "a name of %u letters in a "
			"key of %zu bytes", key < sizeof(*f) ? 0 : f->name_len,
			key);
	if (f->space == NTFS_NAME_DOS || rec < NTFS_REC_FIRST_USER)
		return 0;
	if (rec > UINT32_MAX)
		return error_set(e, ERR_CORRUPT, "a reference to MFT record "
			"%llu", (unsigned long long)rec);
	len = utf16_to_utf8((const uint8_t *)(f + 1), f->name_len, false,
		UTF_LONE_KEEP, name, sizeof(name), NULL);
	if (!len || memchr(name, 0, len) || memchr(name, '/', len) ||
		(len <= 2 && memcmp(name, "..", len) == 0)) {
		finding_report(w->n->findings, FINDING_NAME_BAD,
			FINDING_NO_OFFSET, "",
			"in the directory of MFT record %u", w->dir);
		return 0;
	}
	if (w->entries++ >= LIMIT_DIR_ENTRIES)
		return error_set(e, ERR_LIMIT, "more than %d entries",
			LIMIT_DIR_ENTRIES);
	return w->fn(w->ctx, name, len,
		ntfs_id(rec, (unsigned)(ref >> 48), 0));
}

/* In order: a child before its entry. Each block is entered once, and in a
 * block every step moves forward. */
static int walk(struct walk *w)
{
	for (;;) {
		struct level *l = &w->level[w->depth];
		const struct ntfs_index_entry *x;
		struct error e = { 0 };
		size_t len, left = l->end - l->at;
		unsigned flags;
		int r;

		x = (const void *)(l->p + l->at);
		len = left < sizeof(*x) ? 0 : le16_get(x->len);
		flags = len ? le16_get(x->flags) : 0;
		if (len < sizeof(*x) || len % 8 || len > left ||
			le16_get(x->key_len) > len - sizeof(*x) ||
			(flags & NTFS_ENTRY_NODE && len < sizeof(*x) + 8)) {
			error_set(&e, ERR_CORRUPT, "the index entry at %zu is "
				"bad", l->at);
			damage(w, &e);
			goto up;
		}
		if (flags & NTFS_ENTRY_NODE && !l->descended) {
			l->descended = true;
			r = descend(w, get_le64(l->p + l->at + len - 8), &e);
			if (r == ERR_NOMEM) {
				w->first = e;
				return r;
			}
			if (r)
				damage(w, &e);
			continue;
		}
		l->descended = false;
		if (flags & NTFS_ENTRY_END)
			goto up;
		l->at += len;
		r = deliver(w, x, &e);
		if (r == ERR_CORRUPT && e.code) {
			damage(w, &e);
		} else if (r) {
			if (e.code)
				w->first = e;
			return r;
		}
		continue;
up:
		if (!w->depth)
			return 0;
		w->depth--;
	}
}

/* The index's blocks and which of them are used. */
static int tree_open(struct walk *w, struct ntfs_inode *ino, struct error *e)
{
	AUTO_BUF map = BUF_INIT;
	struct ntfs_attr *a;
	int r;

	r = ntfs_attr_find(w->n, ino, NTFS_AT_INDEX_ALLOC, "$I30", &a, e);
	if (r <= 0)
		return r;
	r = ntfs_stream_open(w->n, ino, a, &w->tree, e);
	if (r)
		return r;
	w->blocks = w->tree.size / w->block_size;
	/* An entry is at least 82 bytes. */
	if (w->tree.size / 64 > UINT64_C(64) * LIMIT_DIR_ENTRIES)
		return error_set(e, ERR_LIMIT, "an index of %llu bytes",
			(unsigned long long)w->tree.size);
	w->visited = calloc(1, (size_t)(w->blocks / 8) + 1);
	if (!w->visited)
		return error_nomem(e);
	r = ntfs_attr_find(w->n, ino, NTFS_AT_BITMAP, "$I30", &a, e);
	if (r <= 0)
		return r ? r : error_set(e, ERR_CORRUPT,
				       "the index has no bitmap");
	r = ntfs_attr_read(w->n, ino, a, (size_t)(w->blocks / 8) + 4 * MIB,
		&map, e);
	if (r)
		return r;
	w->used_len = map.len;
	w->used = (uint8_t *)buf_steal(&map);
	return w->used ? 0 : error_nomem(e);
}

static int walk_open(struct walk *w, struct ntfs_inode *ino, struct error *e)
{
	const struct ntfs_index_root *root;
	struct ntfs_attr *a;
	struct view v;
	int r;

	r = ntfs_attr_find(w->n, ino, NTFS_AT_INDEX_ROOT, "$I30", &a, e);
	if (!r)
		return error_set(e, ERR_CORRUPT,
			"MFT record %u is no directory", ino->no);
	if (r < 0)
		return r;
	r = ntfs_attr_value(a, &v, e);
	if (r)
		return r;
	root = (const void *)v.data;
	if (v.len < sizeof(*root) || le32_get(root->type) != NTFS_AT_NAME)
		return error_set(e, ERR_CORRUPT, "MFT record %u: the index "
			"root is bad", ino->no);
	w->block_size = le32_get(root->block_size);
	if (!is_pow2(w->block_size) || w->block_size < NTFS_STRIDE ||
		w->block_size > LIMIT_FS_BLOCK)
		return error_set(e, ERR_CORRUPT, "MFT record %u: index blocks "
			"of %u bytes", ino->no, w->block_size);
	w->vcn_shift = w->n->cluster_size <= w->block_size
			       ? w->n->cluster_shift
			       : 9;
	r = level_set(&w->level[0], v.data,
		offsetof(struct ntfs_index_root, h), v.len, e);
	if (r)
		return r;
	r = tree_open(w, ino, e);
	if (r && r != ERR_NOMEM) {
		/* What stands in the root can still be listed. */
		w->blocks = 0;
		if (e)
			damage(w, e);
		w->damaged = r;
		r = 0;
	}
	return r;
}

int ntfs_readdir(struct fs *fs, uint64_t dir, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	struct walk w = { .n = (struct ntfs *)fs, .fn = fn, .ctx = ctx };
	struct error own = { 0 };
	struct ntfs_inode *ino;
	int r = ntfs_inode_get(w.n, dir, &ino, &own);

	w.dir = (uint32_t)ntfs_id_rec(dir);
	if (!r) {
		r = walk_open(&w, ino, &own);
		if (!r) {
			r = walk(&w);
			own = w.first;
		}
		ntfs_inode_put(w.n, ino);
	}
	if (!r)
		r = w.damaged;
	walk_release(&w);
	if (r && e)
		*e = own;
	return r;
}
