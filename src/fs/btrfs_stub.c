/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs: in which directory the stub of a nested subvolume stands. Its id does
 * not say, and its owner is that directory's. */
#include "fs/btrfs.h"

#include <stdlib.h>
#include "base/limits.h"

/* The slot of an id, or the free one where it would go. cap is a power of two
 * and at most half is full. */
static struct btrfs_stub *slot_of(const struct btrfs_stubs *t, uint64_t id)
{
	size_t i = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32);

	while (t->slots[i & (t->cap - 1)].id &&
		t->slots[i & (t->cap - 1)].id != id)
		i++;
	return &t->slots[i & (t->cap - 1)];
}

void btrfs_stub_note(struct btrfs *b, uint64_t id, uint64_t dir)
{
	struct btrfs_stubs *t = &b->stubs;
	struct btrfs_stub *s;

	if (t->len * 2 >= t->cap) {
		struct btrfs_stubs grown = { .cap = t->cap ? t->cap * 2 : 64,
			.len = t->len,
			.scanned = t->scanned };

		if (t->len >= LIMIT_BTRFS_STUBS)
			return;
		grown.slots = calloc(grown.cap, sizeof(*grown.slots));
		if (!grown.slots)
			return;
		for (size_t i = 0; i < t->cap; i++)
			if (t->slots[i].id)
				*slot_of(&grown, t->slots[i].id) = t->slots[i];
		free(t->slots);
		*t = grown;
	}
	s = slot_of(t, id);
	if (s->id) /* the first one met counts */
		return;
	*s = (struct btrfs_stub){ id, dir };
	t->len++;
}

static void scan(struct btrfs *b, const struct btrfs_subvol *sv)
{
	struct btrfs_key key = { .objectid = BTRFS_FIRST_FREE };
	AUTO_PATH p = { 0 };
	struct error e;

	for (int rc = btrfs_seek(b, &sv->tree, &key, &p, &e); rc > 0;
		rc = btrfs_next(&p, &e)) {
		struct btrfs_named n;
		uint64_t id;
		bool stub;

		if (p.key.type == BTRFS_DIR_INDEX &&
			btrfs_named_get(p.data, p.len, &n) &&
			n.location.type == BTRFS_ROOT_ITEM &&
			btrfs_subvol_entry(b, sv, p.key.objectid, &n, &id,
				&stub) &&
			stub)
			btrfs_stub_note(b, id, p.key.objectid);
	}
}

uint64_t btrfs_stub_dir(struct btrfs *b, const struct btrfs_subvol *sv,
	uint64_t id)
{
	uint64_t dir = b->stubs.cap ? slot_of(&b->stubs, id)->dir : 0;

	if (dir || b->stubs.scanned == sv->tree.id)
		return dir;
	scan(b, sv);
	b->stubs.scanned = sv->tree.id;
	return b->stubs.cap ? slot_of(&b->stubs, id)->dir : 0;
}
