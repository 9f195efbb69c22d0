/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: tree nodes, verified and cached; search and iteration. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

#define HEAD sizeof(struct btrfs_disk_header)
#define ITEM sizeof(struct btrfs_disk_item)
#define PTR sizeof(struct btrfs_disk_ptr)
#define HASH_BITS 12

int btrfs_cache_init(struct btrfs *b, struct error *e)
{
	b->hash = calloc((size_t)1 << HASH_BITS, sizeof(struct btrfs_node *));
	if (!b->hash)
		return error_nomem(e);
	b->cache_max = (size_t)(LIMIT_BTRFS_CACHE / b->sb.nodesize);
	return 0;
}

static struct btrfs_node **bucket(struct btrfs *b, uint64_t bytenr)
{
	uint64_t h = bytenr / b->sb.nodesize * UINT64_C(0x9e3779b97f4a7c15);

	return &b->hash[h >> (64 - HASH_BITS)];
}

static void lru_out(struct btrfs *b, struct btrfs_node *n)
{
	*(n->newer ? &n->newer->older : &b->newest) = n->older;
	*(n->older ? &n->older->newer : &b->oldest) = n->newer;
	n->newer = n->older = NULL;
}

static void lru_in(struct btrfs *b, struct btrfs_node *n)
{
	n->older = b->newest;
	n->newer = NULL;
	*(b->newest ? &b->newest->newer : &b->oldest) = n;
	b->newest = n;
}

static void node_drop(struct btrfs *b, struct btrfs_node *n)
{
	struct btrfs_node **at = bucket(b, n->bytenr);

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	lru_out(b, n);
	b->cached--;
	free(n);
}

void btrfs_cache_release(struct btrfs *b)
{
	while (b->newest)
		node_drop(b, b->newest);
	b->trail = (struct btrfs_trail){ 0 };
	free(b->hash);
	b->hash = NULL;
}

static void node_put(struct btrfs_node *n)
{
	if (n)
		n->pins--;
}

static inline const uint8_t *node_key(const struct btrfs_node *n, uint32_t slot)
{
	return n->data + HEAD + slot * (n->level ? PTR : ITEM);
}

/* What a parent, or the superblock, or a root item says of a node. */
struct expect {
	uint64_t bytenr, generation;
	uint8_t level;
	const struct btrfs_key *first; /* NULL: a root, any */
};

/* Items of a leaf: their data lies inside and behind the table of items. */
static int leaf_check(const struct btrfs *b, const struct btrfs_node *n,
	struct error *e)
{
	uint32_t room = b->sb.nodesize - (uint32_t)HEAD;

	for (uint32_t i = 0; i < n->nritems; i++) {
		const uint8_t *it = node_key(n, i);
		uint32_t off = get_le32(it + 17), len = get_le32(it + 21);

		if (!range_inside(off, len, room) || off < n->nritems * ITEM)
			return error_set(e, ERR_CORRUPT,
				"btrfs: leaf %" PRIu64 ": item %" PRIu32
				" is outside",
				n->bytenr, i);
	}
	return 0;
}

/* Ours, or of a seed device that ours grew from. */
static bool fsid_known(const struct btrfs *b, const uint8_t fsid[16])
{
	if (memcmp(fsid, b->sb.metadata_uuid, 16) == 0)
		return true;
	for (size_t i = 0; i < b->devs.len; i++)
		if (memcmp(fsid, b->devs.items[i].metadata_uuid, 16) == 0)
			return true;
	return false;
}

static int node_check(const struct btrfs *b, struct btrfs_node *n,
	const struct expect *x, struct error *e)
{
	struct btrfs_disk_header h;
	struct btrfs_key last = { 0 };
	uint32_t max;
	int rc;

	if (!btrfs_csum_ok(b->sb.csum_type, n->data, b->sb.nodesize))
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": the checksum is wrong",
			x->bytenr);
	memcpy(&h, n->data, sizeof(h));
	if (le64_get(h.bytenr) != x->bytenr)
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": it says it is %" PRIu64,
			x->bytenr, le64_get(h.bytenr));
	if (!fsid_known(b, h.fsid))
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": of another file system",
			x->bytenr);
	if (h.level != x->level)
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": level %u, not %u", x->bytenr,
			h.level, x->level);
	if (le64_get(h.generation) != x->generation)
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": generation %" PRIu64
			", not %" PRIu64,
			x->bytenr, le64_get(h.generation), x->generation);
	n->bytenr = x->bytenr;
	n->generation = x->generation;
	n->level = h.level;
	n->nritems = le32_get(h.nritems);
	max = (b->sb.nodesize - (uint32_t)HEAD) /
	      (uint32_t)(n->level ? PTR : ITEM);
	if (n->nritems > max || (!n->nritems && (n->level || x->first)))
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64 ": %" PRIu32 " items",
			x->bytenr, n->nritems);
	for (uint32_t i = 0; i < n->nritems; i++) {
		struct btrfs_key k = btrfs_key_get(node_key(n, i));

		if (i && btrfs_key_cmp(&last, &k) >= 0)
			return error_set(e, ERR_CORRUPT,
				"btrfs: node %" PRIu64 ": key %" PRIu32
				" is not in order",
				x->bytenr, i);
		last = k;
	}
	rc = n->level ? 0 : leaf_check(b, n, e);
	return rc;
}

/* A node says with its first key where in the tree it belongs: two parents
 * cannot share it. */
static int first_check(const struct btrfs_node *n, const struct expect *x,
	struct error *e)
{
	struct btrfs_key k;

	if (!x->first)
		return 0;
	k = btrfs_key_get(node_key(n, 0));
	if (btrfs_key_cmp(&k, x->first) != 0)
		return error_set(e, ERR_CORRUPT,
			"btrfs: node %" PRIu64
			": the first key is not its parent's",
			n->bytenr);
	return 0;
}

static int node_read(struct btrfs *b, const struct expect *x,
	struct btrfs_node **out, struct error *e)
{
	struct btrfs_node *n = NULL;
	uint32_t copies = btrfs_copies(b, x->bytenr);
	struct error scratch = { 0 }, *err = e ? e : &scratch;
	int rc = ERR_CORRUPT;

	/* The coldest go first; those in use stay, a few paths' worth. */
	for (struct btrfs_node *o = b->oldest; o && b->cached >= b->cache_max;) {
		struct btrfs_node *newer = o->newer;

		if (!o->pins)
			node_drop(b, o);
		o = newer;
	}
	n = malloc(sizeof(*n) + b->sb.nodesize);
	if (!n)
		return error_nomem(e);
	memset(n, 0, sizeof(*n));
	for (uint32_t i = 0; i < copies; i++) {
		rc = btrfs_read_copy(b, n->data, b->sb.nodesize, x->bytenr, i,
			err);
		if (!rc)
			rc = node_check(b, n, x, err);
		if (!rc)
			rc = first_check(n, x, err);
		if (!rc && i && !b->copy_said) {
			b->copy_said = true;
			finding_report(b->sink, FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, "",
				"%s; another copy of it is good (said once)",
				err->msg);
		}
		if (!rc)
			break;
	}
	if (rc) {
		free(n);
		return rc;
	}
	n->hash_next = *bucket(b, n->bytenr);
	*bucket(b, n->bytenr) = n;
	lru_in(b, n);
	b->cached++;
	*out = n;
	return 0;
}

/* The node, pinned. */
static int node_get(struct btrfs *b, const struct expect *x,
	struct btrfs_node **out, struct error *e)
{
	struct btrfs_node *n = *bucket(b, x->bytenr);
	int rc;

	while (n && n->bytenr != x->bytenr)
		n = n->hash_next;
	if (n) {
		if (n->level != x->level || n->generation != x->generation)
			return error_set(e, ERR_CORRUPT,
				"btrfs: node %" PRIu64
				": two parents disagree about it",
				x->bytenr);
		if (!n->nritems && x->first)
			return error_set(e, ERR_CORRUPT,
				"btrfs: node %" PRIu64 ": empty", x->bytenr);
		rc = first_check(n, x, e);
		if (rc)
			return rc;
		if (b->newest != n) {
			lru_out(b, n);
			lru_in(b, n);
		}
	} else {
		rc = node_read(b, x, &n, e);
		if (rc)
			return rc;
	}
	n->pins++;
	*out = n;
	return 0;
}

static void trail_release(struct btrfs_trail *t)
{
	for (int i = 0; i < BTRFS_MAX_LEVEL; i++)
		node_put(t->node[i]);
	*t = (struct btrfs_trail){ 0 };
}

void btrfs_path_release(struct btrfs_path *p)
{
	for (int i = 0; i < BTRFS_MAX_LEVEL; i++) {
		node_put(p->node[i]);
		p->node[i] = NULL;
	}
}

static struct expect child_of(const struct btrfs_node *n, uint32_t slot,
	struct btrfs_key *first)
{
	const uint8_t *p = node_key(n, slot);

	*first = btrfs_key_get(p);
	return (struct expect){ get_le64(p + 17), get_le64(p + 25),
		(uint8_t)(n->level - 1), first };
}

static int slot_cmp(const struct btrfs_node *n, uint32_t slot,
	const struct btrfs_key *key)
{
	struct btrfs_key k = btrfs_key_get(node_key(n, slot));

	return btrfs_key_cmp(&k, key);
}

/* The first slot whose key is above key; near: where the one before it may
 * be. */
static uint32_t slot_above(const struct btrfs_node *n,
	const struct btrfs_key *key, uint32_t near)
{
	uint32_t lo = 0, hi = n->nritems, step = 1;

	if (near < hi && slot_cmp(n, near, key) <= 0) {
		lo = near + 1;
		while (step < hi - lo && slot_cmp(n, lo + step - 1, key) <= 0) {
			lo += step;
			step *= 2;
		}
		hi = (uint32_t)size_min(lo + step, hi);
	} else if (near < hi) {
		hi = near;
	}
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (slot_cmp(n, mid, key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void take(struct btrfs_path *p)
{
	const struct btrfs_node *n = p->node[0];
	const uint8_t *it = node_key(n, p->slot[0]);

	p->key = btrfs_key_get(it);
	p->data = n->data + HEAD + get_le32(it + 17);
	p->len = get_le32(it + 21);
}

/* A node of the walk is bad: said once, passed over. Out of memory is not
 * damage. */
static int passed_over(struct btrfs_path *p, uint64_t bytenr, int rc,
	const struct error *err, struct error *e)
{
	if (rc == ERR_NOMEM || rc == ERR_CANCELLED) {
		if (e)
			*e = *err;
		return rc;
	}
	if (!p->damaged)
		p->err = *err;
	p->damaged = true;
	if (p->b->bad_node != bytenr)
		finding_report(p->b->sink, FINDING_FS_DAMAGED,
			FINDING_NO_OFFSET, "", "%s", err->msg);
	p->b->bad_node = bytenr;
	return 0;
}

/* Goes down from the slots above level to the first leaf that can be read and
 * whose items come behind the last one seen. Measure: the slots of the levels
 * only grow, and keys too. */
static int descend(struct btrfs_path *p, unsigned level, struct error *e)
{
	struct btrfs *b = p->b;
	struct btrfs_key last = p->key;

	for (;;) {
		struct btrfs_key first;
		struct error err = { 0 };
		struct expect x;
		int rc;

		while (level <= p->top &&
			p->slot[level] >= p->node[level]->nritems) {
			/* this one is done: on with its parent */
			if (level == p->top)
				return 0;
			node_put(p->node[level]);
			p->node[level] = NULL;
			level++;
			p->slot[level]++;
		}
		if (!level) {
			take(p);
			return 1;
		}
		x = child_of(p->node[level], p->slot[level], &first);
		if (btrfs_key_cmp(&first, &last) <= 0)
			rc = error_set(&err, ERR_CORRUPT,
				"btrfs: node %" PRIu64
				": its keys come before those of the node "
				"before it",
				x.bytenr);
		else
			rc = node_get(b, &x, &p->node[level - 1], &err);
		if (rc) {
			rc = passed_over(p, x.bytenr, rc, &err, e);
			if (rc)
				return rc;
			p->slot[level]++;
			continue;
		}
		level--;
		p->slot[level] = 0;
	}
}

int btrfs_next(struct btrfs_path *p, struct error *e)
{
	if (!p->node[0])
		return 0;
	p->slot[0]++;
	if (p->slot[0] < p->node[0]->nritems) {
		take(p);
		return 1;
	}
	if (p->top == 0)
		return 0;
	node_put(p->node[0]);
	p->node[0] = NULL;
	p->slot[1]++;
	return descend(p, 1, e);
}

/* Down to the leaf where key belongs; slots are those at or before it. Stops
 * at *out_level where a child cannot be read, with its code. */
static int go_down(struct btrfs *b, const struct btrfs_root *r,
	const struct btrfs_key *key, struct btrfs_path *p, unsigned *out_level,
	uint64_t *out_bytenr, struct error *e)
{
	struct expect x = { r->bytenr, r->generation, r->level, NULL };
	struct btrfs_key first;
	struct btrfs_trail *t = &b->trail;
	bool same = t->bytenr == r->bytenr &&
		    t->generation == r->generation && t->node[r->level] &&
		    t->node[r->level]->level == r->level;

	p->b = b;
	p->top = r->level;
	p->damaged = false;
	p->err = (struct error){ 0 };
	if (!same) {
		trail_release(t);
		t->bytenr = r->bytenr;
		t->generation = r->generation;
	}
	for (unsigned level = r->level;; level--) {
		uint32_t s;

		/* where the trail is left, it is laid anew */
		if (same && t->node[level]) {
			p->node[level] = t->node[level];
			p->node[level]->pins++;
		} else {
			int rc = node_get(b, &x, &p->node[level], e);

			if (rc) {
				*out_level = level;
				*out_bytenr = x.bytenr;
				return rc;
			}
			t->node[level] = p->node[level];
			t->node[level]->pins++;
			same = false;
		}
		s = slot_above(p->node[level], key, same ? t->slot[level] : 0);
		p->slot[level] = s ? s - 1 : 0;
		if (same && p->slot[level] != t->slot[level]) {
			same = false;
			for (unsigned k = 0; k < level; k++) {
				node_put(t->node[k]);
				t->node[k] = NULL;
			}
		}
		t->slot[level] = p->slot[level];
		if (!level)
			break;
		x = child_of(p->node[level], p->slot[level], &first);
	}
	return 0;
}

int btrfs_seek_le(struct btrfs *b, const struct btrfs_root *r,
	const struct btrfs_key *key, struct btrfs_path *p, struct error *e)
{
	uint64_t bytenr;
	unsigned level;
	int rc = go_down(b, r, key, p, &level, &bytenr, e);

	if (rc) {
		struct error err = e ? *e : (struct error){ .code = rc };

		passed_over(p, bytenr, rc, &err, NULL);
		btrfs_path_release(p);
		return rc;
	}
	if (!p->node[0]->nritems)
		return 0;
	take(p);
	return btrfs_key_cmp(&p->key, key) <= 0;
}

int btrfs_seek(struct btrfs *b, const struct btrfs_root *r,
	const struct btrfs_key *key, struct btrfs_path *p, struct error *e)
{
	struct error err = { 0 };
	uint64_t bytenr;
	unsigned level;
	int rc = go_down(b, r, key, p, &level, &bytenr, &err);

	if (rc) {
		rc = passed_over(p, bytenr, rc, &err, e);
		if (rc || level == p->top) {
			btrfs_path_release(p);
			return rc;
		}
		/* the next leaf begins behind the key where the bad one does */
		p->key = btrfs_key_get(
			node_key(p->node[level + 1], p->slot[level + 1]));
		p->slot[level + 1]++;
		return descend(p, level + 1, e);
	}
	if (!p->node[0]->nritems)
		return 0;
	take(p);
	return btrfs_key_cmp(&p->key, key) < 0 ? btrfs_next(p, e) : 1;
}

int btrfs_path_verdict(const struct btrfs_path *p, struct error *e)
{
	if (!p->damaged)
		return 0;
	if (e)
		*e = p->err;
	return p->err.code ? p->err.code : ERR_CORRUPT;
}
