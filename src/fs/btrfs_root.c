/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: subvolumes, the ids of files in them, and their paths. */
#include "fs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

bool btrfs_id_pack(uint64_t subvol, uint64_t ino, uint64_t *out)
{
	if (subvol > BTRFS_ID_SUBVOL_MAX || ino >= BTRFS_ID_STUB)
		return false;
	*out = subvol << BTRFS_ID_BITS | ino;
	return true;
}

static bool is_subvol(uint64_t id)
{
	return id == BTRFS_FS_TREE ||
	       (id >= BTRFS_FIRST_FREE && id <= BTRFS_LAST_FREE);
}

static int root_add(struct btrfs *b, const struct btrfs_path *p,
	struct error *e)
{
	struct btrfs_disk_root d = { 0 };
	struct btrfs_subvol sv = { 0 };

	if (p->len < BTRFS_ROOT_ITEM_OLD)
		return error_set(e, ERR_CORRUPT,
			"btrfs: root item of %" PRIu64 ": %" PRIu32 " bytes",
			p->key.objectid, p->len);
	memcpy(&d, p->data, size_min(p->len, sizeof(d)));
	if (!le32_get(d.refs)) /* deleted, the cleaner has not come by */
		return 0;
	sv.tree.id = p->key.objectid;
	sv.tree.bytenr = le64_get(d.bytenr);
	sv.tree.generation = le64_get(d.generation);
	sv.tree.level = d.level;
	sv.dirid = le64_get(d.root_dirid);
	sv.flags = le64_get(d.flags);
	if (d.level >= BTRFS_MAX_LEVEL)
		return error_set(e, ERR_CORRUPT,
			"btrfs: root item of %" PRIu64 ": level %u",
			p->key.objectid, d.level);
	if (p->len >= sizeof(d) &&
		le64_get(d.generation) == le64_get(d.generation_v2)) {
		static const uint8_t none[16];

		memcpy(sv.uuid, d.uuid, 16);
		sv.snapshot = memcmp(d.parent_uuid, none, 16) != 0;
	}
	/* Of several items of one number the last one counts. */
	if (b->subvols.len && vec_last(&b->subvols)->tree.id == sv.tree.id) {
		*vec_last(&b->subvols) = sv;
		return 0;
	}
	if (b->subvols.len >= LIMIT_BTRFS_SUBVOLUMES)
		return error_set(e, ERR_LIMIT,
			"btrfs: more than %d subvolumes",
			LIMIT_BTRFS_SUBVOLUMES);
	return vec_push(&b->subvols, sv) ? 0 : error_nomem(e);
}

const struct btrfs_subvol *btrfs_subvol_find(const struct btrfs *b, uint64_t id)
{
	size_t lo = 0, hi = b->subvols.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct btrfs_subvol *s = &b->subvols.items[mid];

		if (s->tree.id == id)
			return s;
		if (s->tree.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* A root ref: the directory entry of a subvolume, as its parent has it. */
static int ref_add(struct btrfs *b, const struct btrfs_path *p, struct error *e)
{
	struct btrfs_subvol *sv =
		(struct btrfs_subvol *)btrfs_subvol_find(b, p->key.offset);
	struct btrfs_disk_root_ref d;
	size_t n;

	if (!sv || sv->parent)
		return 0;
	if (p->len < sizeof(d))
		return error_set(e, ERR_CORRUPT,
			"btrfs: root ref %" PRIu64 ": %" PRIu32 " bytes",
			p->key.offset, p->len);
	memcpy(&d, p->data, sizeof(d));
	n = le16_get(d.name_len);
	if (!n || n > BTRFS_NAME_MAX || n > p->len - sizeof(d) ||
		b->names.len > UINT32_MAX - n)
		return error_set(e, ERR_CORRUPT,
			"btrfs: root ref %" PRIu64 ": a name of %zu bytes",
			p->key.offset, n);
	sv->parent = p->key.objectid;
	sv->parent_dir = le64_get(d.dirid);
	sv->name_off = (uint32_t)b->names.len;
	sv->name_len = (uint8_t)n;
	buf_add(&b->names, p->data + sizeof(d), n);
	return b->names.oom ? error_nomem(e) : 0;
}

/* Walks the root tree from key to the last item of the type that is of a
 * subvolume; damage is a finding. */
static int each_root(struct btrfs *b, uint8_t type,
	int (*fn)(struct btrfs *, const struct btrfs_path *, struct error *),
	bool *out_damaged, struct error *e)
{
	struct btrfs_key key = { .objectid = BTRFS_FS_TREE };
	AUTO_PATH p = { 0 };
	int rc = btrfs_seek(b, &b->root_tree, &key, &p, e);

	for (; rc > 0; rc = btrfs_next(&p, e)) {
		if (p.key.type != type || !is_subvol(p.key.objectid))
			continue;
		rc = fn(b, &p, e);
		if (rc == ERR_NOMEM || rc == ERR_LIMIT)
			break;
		if (rc)
			finding_report(b->sink, FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, "", "%s",
				e ? e->msg : "a bad root");
	}
	*out_damaged |= p.damaged;
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct btrfs_subvol *x = a, *y = b;

	return (x->tree.id > y->tree.id) - (x->tree.id < y->tree.id);
}

/* The entry "default" of the root tree's directory names the subvolume that a
 * mount without options shows. */
static int default_find(struct btrfs *b, struct error *e)
{
	struct btrfs_key key = { .objectid = b->sb.root_dir,
		.type = BTRFS_DIR_ITEM };
	AUTO_PATH p = { 0 };
	int rc = btrfs_seek(b, &b->root_tree, &key, &p, e);

	b->default_id = BTRFS_FS_TREE;
	for (; rc > 0 && p.key.objectid == key.objectid &&
		p.key.type == key.type;
		rc = btrfs_next(&p, e)) {
		struct btrfs_disk_dir_item d;

		if (p.len < sizeof(d) + 7)
			continue;
		memcpy(&d, p.data, sizeof(d));
		if (le16_get(d.name_len) != 7 ||
			memcmp(p.data + sizeof(d), "default", 7) != 0)
			continue;
		b->default_id = le64_get(d.location.objectid);
		return 0;
	}
	return rc < 0 ? rc : 0;
}

int btrfs_roots_load(struct btrfs *b, struct error *e)
{
	bool damaged = false;
	int rc = each_root(b, BTRFS_ROOT_ITEM, root_add, &damaged, e);

	if (rc)
		return rc;
	if (b->subvols.len)
		qsort(b->subvols.items, b->subvols.len,
			sizeof(*b->subvols.items), by_id);
	rc = each_root(b, BTRFS_ROOT_REF, ref_add, &damaged, e);
	if (rc)
		return rc;
	if (!btrfs_subvol_find(b, BTRFS_FS_TREE))
		return error_set(e, ERR_CORRUPT,
			damaged ? "btrfs: the tree of roots is damaged"
				: "btrfs: there is no top-level subvolume");
	return default_find(b, e);
}

int btrfs_id_open(const struct btrfs *b, uint64_t id,
	const struct btrfs_subvol **out_sv, uint64_t *out_ino, bool *out_stub,
	struct error *e)
{
	const struct btrfs_subvol *sv =
		btrfs_subvol_find(b, id >> BTRFS_ID_BITS);
	uint64_t ino = id & ((UINT64_C(1) << BTRFS_ID_BITS) - 1);

	if (!sv)
		return error_set(e, ERR_NOTFOUND,
			"btrfs: there is no subvolume %" PRIu64,
			id >> BTRFS_ID_BITS);
	*out_sv = sv;
	*out_stub = ino & BTRFS_ID_STUB;
	*out_ino = ino & ~BTRFS_ID_STUB;
	return 0;
}

/* A path that is being built from its end: bytes in reverse. */
struct rev_path {
	struct buf b;
	uint64_t steps; /* look-ups left for all paths */
};

static bool rev_add(struct rev_path *r, const uint8_t *name, size_t n)
{
	uint8_t *to;

	if (r->b.len + n + 1 > LIMIT_SYMLINK)
		return false;
	if (r->b.len)
		buf_addch(&r->b, '/');
	to = buf_grow(&r->b, n);
	for (size_t i = 0; to && i < n; i++)
		to[i] = name[n - 1 - i];
	return true;
}

/* Adds the names of the directories from ino up to the root of its
 * subvolume: 1, 0 (it does not lead there), NOMEM. Measure: steps. */
static int rev_dirs(struct btrfs *b, const struct btrfs_subvol *sv,
	uint64_t ino, struct rev_path *r, struct error *e)
{
	while (ino != sv->dirid) {
		struct btrfs_key key = { .objectid = ino,
			.type = BTRFS_INODE_REF };
		AUTO_PATH p = { 0 };
		size_t n;
		int rc;

		if (!r->steps)
			return 0;
		r->steps--;
		rc = btrfs_seek(b, &sv->tree, &key, &p, e);
		if (rc < 0)
			return rc;
		if (!rc || p.key.objectid != ino ||
			p.key.type != BTRFS_INODE_REF ||
			p.len < sizeof(struct btrfs_disk_inode_ref))
			return 0;
		n = get_le16(p.data + 8);
		if (!n || n > p.len - sizeof(struct btrfs_disk_inode_ref) ||
			!rev_add(r, p.data + sizeof(struct btrfs_disk_inode_ref),
				n))
			return 0;
		ino = p.key.offset;
	}
	return 1;
}

/* The path of a subvolume from the top level: 1, 0 (not in the tree), NOMEM.
 * Measure: depth. */
static int subvol_path(struct btrfs *b, const struct btrfs_subvol *sv,
	struct rev_path *r, struct error *e)
{
	unsigned depth = 0;

	while (sv->tree.id != BTRFS_FS_TREE) {
		const struct btrfs_subvol *up =
			btrfs_subvol_find(b, sv->parent);
		int rc;

		if (!up || !r->steps || depth++ >= LIMIT_DEPTH)
			return 0;
		r->steps--;
		if (!rev_add(r, b->names.data + sv->name_off, sv->name_len))
			return 0;
		rc = rev_dirs(b, up, sv->parent_dir, r, e);
		if (rc <= 0)
			return rc;
		sv = up;
	}
	return 1;
}

int btrfs_subvolumes(struct fs *fs, fs_subvolume_fn fn, void *ctx,
	struct error *e)
{
	struct btrfs *b = btrfs_of(fs);
	struct rev_path r = { .b = BUF_INIT, .steps = LIMIT_BTRFS_PATH_STEPS };
	int rc = 0;

	for (size_t i = 0; i < b->subvols.len && !rc; i++) {
		const struct btrfs_subvol *sv = &b->subvols.items[i];
		struct fs_subvolume v = { .number = sv->tree.id };

		buf_clear(&r.b);
		rc = subvol_path(b, sv, &r, e);
		if (rc < 0)
			break;
		if (!rc) {
			finding_report(b->sink, FINDING_FS_DAMAGED,
				FINDING_NO_OFFSET, "",
				"btrfs: subvolume %" PRIu64
				" is not in the tree of files",
				sv->tree.id);
			continue;
		}
		for (size_t k = 0; k < r.b.len / 2; k++) {
			uint8_t t = r.b.data[k];

			r.b.data[k] = r.b.data[r.b.len - 1 - k];
			r.b.data[r.b.len - 1 - k] = t;
		}
		v.path = buf_str(&r.b);
		if (r.b.oom) {
			rc = error_nomem(e);
			break;
		}
		memcpy(v.uuid, sv->uuid, 16);
		if (sv->tree.id == b->default_id)
			v.flags |= FS_SUBVOLUME_DEFAULT;
		if (sv->flags & BTRFS_ROOT_RDONLY)
			v.flags |= FS_SUBVOLUME_READONLY;
		if (sv->snapshot)
			v.flags |= FS_SUBVOLUME_SNAPSHOT;
		rc = fn(ctx, &v);
	}
	buf_release(&r.b);
	return rc;
}
