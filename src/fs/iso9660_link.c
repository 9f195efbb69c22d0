/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: which records are names of one file. See iso9660.h.
 *
 * Rock Ridge has a number of links, and since 1.12 a serial number, but no
 * inodes; writers give all names of a file one extent. So names are one file
 * where all that Rock Ridge says of them is equal, more than one link among it,
 * and so is the serial number, or the extent where there is none; and where they
 * are not more than the links (writers also share the extents of files that are
 * merely equal). The id of all is the first record's. To know which that is all
 * directories are read once, in images that have such files at all. */
#include "fs/iso9660.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

struct iso_link {
	/* compared as bytes, in this order */
	struct iso_link_key {
		int64_t mtime;
		uint32_t mtime_ns, serial, extent, size, nlink, mode, uid, gid;
	} key;
	uint64_t rec;
};
_Static_assert(sizeof(struct iso_link_key) == 40, "no padding in it");

struct iso_links {
	VEC(struct iso_link) found;
	VEC(uint64_t) dirs; /* of the next level */
	bool full;          /* over a limit: nothing is joined */
};

static int by_key(const void *a, const void *b)
{
	const struct iso_link *x = a, *y = b;
	int c = memcmp(&x->key, &y->key, sizeof(x->key));

	return c ? c : (x->rec > y->rec) - (x->rec < y->rec);
}

static int by_rec(const void *a, const void *b)
{
	const struct iso_alias *x = a, *y = b;

	return (x->rec > y->rec) - (x->rec < y->rec);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

bool iso_link_wanted(const struct iso_rock *k)
{
	return k->has_px && k->nlink > 1 && (k->mode & 0170000) == 0100000;
}

void iso_link_note(struct iso *f, const uint8_t *rec, uint64_t off,
	const struct iso_rock *k)
{
	const struct iso_record *d = (const void *)rec;
	struct iso_link l = { .rec = off };

	memset(&l.key, 0, sizeof(l.key));
	l.key.serial = k->serial;
	l.key.size = le32_get(d->size);
	/* without serial numbers empty files cannot be told apart */
	if (!k->serial && !l.key.size)
		return;
	if (!k->serial)
		l.key.extent = le32_get(d->extent);
	l.key.nlink = k->nlink;
	l.key.mode = k->mode;
	l.key.uid = k->uid;
	l.key.gid = k->gid;
	l.key.mtime = k->mtime;
	l.key.mtime_ns = k->mtime_ns;
	if (f->scan->found.len >= LIMIT_ISO_LINKS ||
		!vec_push(&f->scan->found, l))
		f->scan->full = true;
}

static int on_entry(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct iso *f = ctx;
	uint8_t rec[255];

	(void)name, (void)len;
	if (iso_record_read(f, id, rec, NULL) ||
		!(((struct iso_record *)(void *)rec)->flags & ISO_DIRECTORY))
		return 0;
	if (f->scan->dirs.len >= LIMIT_ISO_LINKS ||
		!vec_push(&f->scan->dirs, id))
		f->scan->full = true;
	return 0;
}

/* Every directory, level by level; seen holds those read, sorted after each, so
 * that none is read twice and the walk ends. */
static void scan(struct iso *f)
{
	VEC(uint64_t) seen = { 0 };
	VEC(uint64_t) level = { 0 };

	f->scan->full = !vec_push(&level, f->fs.root);
	while (level.len && !f->scan->full) {
		size_t n = seen.len;

		f->scan->dirs.len = 0;
		qsort(level.items, level.len, sizeof(uint64_t), by_value);
		for (size_t i = 0; i < level.len && !f->scan->full; i++) {
			uint64_t dir = level.items[i];

			if ((i && level.items[i - 1] == dir) ||
				(n && bsearch(&dir, seen.items, n,
					      sizeof(uint64_t), by_value)))
				continue;
			f->scan->full = seen.len >= LIMIT_ISO_LINKS ||
					!vec_push(&seen, dir);
			(void)iso_readdir(&f->fs, dir, on_entry, f, NULL);
		}
		qsort(seen.items, seen.len, sizeof(uint64_t), by_value);
		level.len = 0;
		for (size_t i = 0; i < f->scan->dirs.len; i++)
			if (!vec_push(&level, f->scan->dirs.items[i]))
				f->scan->full = true;
	}
	vec_release(&seen);
	vec_release(&level);
}

static void join(struct iso *f)
{
	struct iso_link *x = f->scan->found.items;
	size_t n = f->scan->found.len, end;

	if (!n || f->scan->full)
		return;
	qsort(x, n, sizeof(*x), by_key);
	for (size_t i = 0; i < n; i = end) {
		end = i + 1;
		while (end < n && !memcmp(&x[i].key, &x[end].key,
					  sizeof(x->key)))
			end++;
		if (end - i > x[i].key.nlink)
			continue;
		for (size_t k = i + 1; k < end; k++)
			if (!vec_push(&f->aliases, (struct iso_alias){ x[k].rec,
							   x[i].rec }))
				return;
	}
	if (f->aliases.len)
		qsort(f->aliases.items, f->aliases.len,
			sizeof(struct iso_alias), by_rec);
}

uint64_t iso_link_id(struct iso *f, uint64_t rec)
{
	const struct finding_sink *findings = f->findings;
	const struct iso_alias key = { rec, 0 };
	const struct iso_alias *a;

	if (!f->linked) {
		struct iso_links s = { 0 };

		f->linked = true;
		f->scan = &s;
		f->findings = NULL; /* each is told when it is listed */
		scan(f);
		join(f);
		f->findings = findings;
		f->scan = NULL;
		vec_release(&s.found);
		vec_release(&s.dirs);
	}
	a = f->aliases.len ? bsearch(&key, f->aliases.items, f->aliases.len,
				     sizeof(key), by_rec)
			   : NULL;
	return a ? a->first : rec;
}
