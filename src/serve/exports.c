/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/exports.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "library/pin.h"
#include "serve/keeper.h"
#include "view/view.h"

/* A name that clients have open, and what it stands for as long. */
struct pin {
	struct pin *next;
	char *name;
	struct served *s;
};

struct exports {
	struct library *lib;
	struct pins *pinned;
	struct keeper *keeper;
	struct prefetch *prefetch;
	char *rev, *name; /* of the options, or NULL */
	struct oid commit; /* of rev */
	unsigned disk;
	uint64_t readahead, cache;
	enum bootset_mode bootset;
	unsigned boot_seconds;
	pthread_mutex_t lock; /* guards the two lists */
	struct served *served;
	struct pin *pins;
};

uint64_t exports_default_cache(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t all;

	if (pages < 0 || size < 0 ||
		!u64_mul((uint64_t)pages, (uint64_t)size, &all))
		return 64 * MIB;
	return u64_max(64 * MIB, u64_min(all / 8, 1 * GIB));
}

/* Opens the library and resolves the default export. */
static int open_library(const struct exports_options *opt,
	struct library **out, struct oid *commit, int *disk, struct error *e)
{
	AUTO_FREE char *path = opt->library ? strdup(opt->library)
					    : library_default_path();
	AUTO_LIBRARY l = NULL;
	AUTO_REVISION rev = { 0 };
	int r = path ? library_open(path, &l, e) : error_nomem(e);

	if (r)
		return r;
	*disk = -1;
	if (opt->rev) {
		r = library_revision(l, opt->rev, &rev, e);
		if (!r && rev.path)
			r = error_set(e, ERR_ARG,
				"'%s' names a file; a disk is served whole",
				opt->rev);
		if (r)
			return r;
		*commit = rev.commit;
		*disk = rev.disk;
	}
	*out = steal_ptr(l);
	return 0;
}

int exports_check(const struct exports_options *opt, struct error *e)
{
	AUTO_LIBRARY l = NULL;
	struct oid commit;
	int disk;

	return open_library(opt, &l, &commit, &disk, e);
}

int exports_open(const struct exports_options *opt, struct exports **out,
	struct error *e)
{
	struct exports *x = calloc(1, sizeof(*x));
	int r, disk;

	if (!x)
		return error_nomem(e);
	pthread_mutex_init(&x->lock, NULL);
	r = open_library(opt, &x->lib, &x->commit, &disk, e);
	if (!r) {
		/* A library that cannot be written is served too: there is no
		 * gc in it either. */
		if (pins_open(x->lib, &x->pinned, NULL))
			x->pinned = NULL;
		x->disk = disk >= 0 ? (unsigned)disk : opt->disk;
		x->cache = opt->cache ? opt->cache : exports_default_cache();
		store_set_cache(x->lib->store, x->cache);
		/* What is read ahead must still be there when it is asked
		 * for. */
		x->readahead = u64_min(opt->readahead, x->cache / 4);
		x->bootset = opt->bootset;
		x->boot_seconds = opt->boot_seconds;
		x->rev = opt->rev ? strdup(opt->rev) : NULL;
		x->name = opt->name ? strdup(opt->name) : NULL;
		if ((opt->rev && !x->rev) || (opt->name && !x->name))
			r = error_nomem(e);
	}
	if (!r && opt->rev)
		r = pins_add(x->lib, x->pinned, &x->commit, e);
	if (!r)
		r = prefetch_start(0, &x->prefetch, e);
	if (!r)
		x->keeper = keeper_start(x->lib);
	if (r)
		exports_close(x);
	else
		*out = x;
	return r;
}

static void served_free(struct served *s)
{
	readahead_free(s->ra);
	bootset_close(s->boot);
	source_unref(s->src);
	free(s->description);
	free(s);
}

void exports_close(struct exports *x)
{
	if (!x)
		return;
	keeper_stop(x->keeper);
	prefetch_stop(x->prefetch); /* its readers are gone first */
	for (struct pin *p = x->pins, *n; p; p = n) {
		n = p->next;
		free(p->name);
		free(p);
	}
	for (struct served *s = x->served, *n; s; s = n) {
		n = s->next;
		served_free(s);
	}
	pins_close(x->pinned);
	library_close(x->lib);
	pthread_mutex_destroy(&x->lock);
	free(x->rev);
	free(x->name);
	free(x);
}

/* --- which commit and disk --- */

static int resolve(struct exports *x, const char *name, struct oid *commit,
	unsigned *disk, struct error *e)
{
	AUTO_REVISION rev = { 0 };
	int r;

	*disk = x->disk;
	if (x->rev && (!*name || !strcmp(name, x->rev) ||
			      (x->name && !strcmp(name, x->name)))) {
		*commit = x->commit;
		return 0;
	}
	if (!*name)
		return error_set(e, ERR_NOTFOUND,
			"there is no default export: name a branch, tag or "
			"commit");
	if (x->name)
		return error_set(e, ERR_NOTFOUND,
			"'%s': only '%s' is served here", name, x->name);
	r = library_revision(x->lib, name, &rev, e);
	if (r)
		return r;
	if (rev.path)
		return error_set(e, ERR_ARG,
			"'%s' names a file; a disk is served whole", name);
	*commit = rev.commit;
	if (rev.disk >= 0)
		*disk = (unsigned)rev.disk;
	return 0;
}

/* "123456789abc Message's first line" */
static char *describe(const struct oid *id, const struct commit *c)
{
	AUTO_BUF b = BUF_INIT;
	char hex[OID_HEX + 1];

	buf_printf(&b, "%.12s ", oid_hex(id, hex));
	for (const char *p = c->message; *p && *p != '\n' && b.len < 200; p++)
		buf_addch(&b, (unsigned char)*p < ' ' || *p == 127 ? ' ' : *p);
	return buf_steal(&b);
}

static int open_disk(struct exports *x, const struct oid *commit,
	unsigned disk, struct served **out, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	struct served *s;
	char hex[OID_HEX + 1];
	int r = library_get_commit(x->lib, commit, &c, e);

	if (!r)
		r = library_get_image(x->lib, &c.image, &im, e);
	if (r)
		return r;
	if (disk >= im.disks.len)
		return error_set(e, ERR_NOTFOUND,
			"commit %.12s has %zu disk%s, not a disk %u",
			oid_hex(commit, hex), im.disks.len,
			im.disks.len == 1 ? "" : "s", disk);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(e);
	s->commit = *commit;
	s->disk = disk;
	s->description = describe(commit, &c);
	r = view_disk(x->lib, &im.disks.items[disk], &s->src, e);
	if (r) {
		served_free(s);
		return r;
	}
	s->ra = readahead_new(x->prefetch, s->src, x->readahead);
	s->boot = bootset_open(x->lib, &c.image, disk, s->src->size,
		x->bootset, x->boot_seconds);
	*out = s;
	return 0;
}

static int open_pinned(struct exports *x, const struct oid *commit,
	unsigned disk, struct served **out, struct error *e)
{
	int r = pins_add(x->lib, x->pinned, commit, e);

	if (r)
		return r;
	r = open_disk(x, commit, disk, out, e);
	if (r)
		pins_drop(x->pinned, commit);
	return r;
}

static int get_locked(struct exports *x, const char *name,
	struct served **out, struct error *e)
{
	struct pin *p;
	struct served *s;
	struct oid commit;
	unsigned disk;
	int r;

	for (p = x->pins; p; p = p->next)
		if (!strcmp(p->name, name)) {
			*out = p->s;
			return 0;
		}
	r = resolve(x, name, &commit, &disk, e);
	if (r)
		return r;
	for (s = x->served; s; s = s->next)
		if (s->disk == disk && oid_equal(&s->commit, &commit))
			break;
	p = calloc(1, sizeof(*p));
	if (p)
		p->name = strdup(name);
	if (!p || !p->name) {
		free(p);
		return error_nomem(e);
	}
	if (!s) {
		r = open_pinned(x, &commit, disk, &s, e);
		if (r) {
			free(p->name);
			free(p);
			return r;
		}
		s->next = x->served;
		x->served = s;
	}
	p->s = s;
	p->next = x->pins;
	x->pins = p;
	*out = s;
	return 0;
}

int exports_get(struct exports *x, const char *name, struct served **out,
	struct error *e)
{
	int r;

	pthread_mutex_lock(&x->lock);
	r = get_locked(x, name, out, e);
	if (!r)
		(*out)->users++;
	pthread_mutex_unlock(&x->lock);
	return r;
}

void exports_put(struct exports *x, struct served *s)
{
	bool last;

	pthread_mutex_lock(&x->lock);
	last = !--s->users;
	if (last) {
		for (struct pin **pp = &x->pins, *p; (p = *pp);) {
			if (p->s != s) {
				pp = &p->next;
				continue;
			}
			*pp = p->next;
			free(p->name);
			free(p);
		}
		for (struct served **sp = &x->served; *sp; sp = &(*sp)->next)
			if (*sp == s) {
				*sp = s->next;
				break;
			}
	}
	pthread_mutex_unlock(&x->lock);
	if (!last)
		return;
	pins_drop(x->pinned, &s->commit);
	served_free(s);
}

/* --- reading --- */

int served_read(struct exports *x, struct served *s, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	if (!bootset_note(s->boot, x->prefetch, s->src, x->cache / 4 * 3, off,
		    len))
		readahead_note(s->ra, off, len);
	return source_pread(s->src, buf, len, off, e);
}

void served_cache(struct exports *x, struct served *s, uint64_t off,
	uint64_t len)
{
	prefetch_add(x->prefetch, s->src, off, len, false);
}

/* --- the list --- */

struct list {
	struct exports *x;
	exports_list_fn fn;
	void *ctx;
	bool tags;
	struct error *e;
};

static int list_ref(void *ctx, const char *name, const struct oid *id)
{
	struct list *l = ctx;
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	AUTO_FREE char *text = NULL;
	AUTO_BUF full = BUF_INIT;
	struct oid other;
	int r;

	/* A commit that cannot be read hides none of the others. */
	if (library_get_commit(l->x->lib, id, &c, NULL) ||
		library_get_image(l->x->lib, &c.image, &im, NULL) ||
		!im.disks.len)
		return 0;
	text = describe(id, &c);
	if (l->tags &&
		!library_ref_read(l->x->lib, REFS_HEADS, name, &other, NULL))
		buf_addstr(&full, "tags/");
	buf_addstr(&full, name);
	r = l->fn(l->ctx, buf_str(&full), text ? text : "");
	for (size_t i = 1; !r && i < im.disks.len; i++) {
		AUTO_BUF nth = BUF_INIT;

		buf_printf(&nth, "%s#%zu", buf_str(&full), i);
		r = l->fn(l->ctx, buf_str(&nth), text ? text : "");
	}
	return r;
}

int exports_list(struct exports *x, exports_list_fn fn, void *ctx,
	struct error *e)
{
	struct list l = { .x = x, .fn = fn, .ctx = ctx, .e = e };
	int r;

	if (x->name)
		return fn(ctx, x->name, "");
	r = library_ref_list(x->lib, REFS_HEADS, list_ref, &l, e);
	if (r)
		return r;
	l.tags = true;
	return library_ref_list(x->lib, REFS_TAGS, list_ref, &l, e);
}

const char *exports_default(const struct exports *x)
{
	return x->name ? x->name : x->rev ? x->rev : "";
}
