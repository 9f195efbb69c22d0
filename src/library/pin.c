/* SPDX-License-Identifier: Apache-2.0 */
#include "library/pin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "store/lease.h"
#include "store/names.h"

#define FOLDER "pins"
#define ID_HEX 32

struct pin {
	struct oid commit;
	unsigned count;
};

struct pins {
	struct backend *be;
	char name[64]; /* of the lock */
	int handle;
	pthread_mutex_t lock; /* guards the list */
	VEC(struct pin) items;
};

int pins_open(struct library *l, struct pins **out, struct error *e)
{
	struct pins *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_nomem(e);
	p->be = l->be;
	r = backend_new_name(FOLDER, "", p->name, e);
	if (!r)
		r = p->be->ops->lock(p->be, p->name, true, true, &p->handle, e);
	if (r) {
		free(p);
		return r;
	}
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

/* pins/ID.COMMIT */
static void file_of(const struct pins *p, const struct oid *commit,
	char out[64 + OID_HEX + 2])
{
	char hex[OID_HEX + 1];

	snprintf(out, 64 + OID_HEX + 2, "%s.%s", p->name,
		oid_hex(commit, hex));
}

static void pins_free(struct pins *p)
{
	vec_release(&p->items);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void pins_close(struct pins *p)
{
	char file[64 + OID_HEX + 2];

	if (!p)
		return;
	for (size_t i = 0; i < p->items.len; i++) {
		file_of(p, &p->items.items[i].commit, file);
		p->be->ops->remove(p->be, file, NULL);
	}
	p->be->ops->unlock(p->be, p->name, p->handle, true);
	pins_free(p);
}

void pins_leave(struct pins *p)
{
	if (!p)
		return;
	/* The lock belongs to both processes until the last one closes it. */
	p->be->ops->unlock(p->be, p->name, p->handle, false);
	pins_free(p);
}

/* With p's lock held. */
static struct pin *find(struct pins *p, const struct oid *commit)
{
	for (size_t i = 0; i < p->items.len; i++)
		if (oid_equal(&p->items.items[i].commit, commit))
			return &p->items.items[i];
	return NULL;
}

/* A gc that is at work may have looked for pins already. */
static void wait_for_gc(struct backend *be)
{
	int lock;

	if (!be->ops->lock(be, "locks/gc", true, true, &lock, NULL))
		be->ops->unlock(be, "locks/gc", lock, false);
}

/* With p's lock held. The lease makes a gc wait that looks for pins now. */
static int add_file(struct library *l, struct pins *p,
	const struct oid *commit, struct error *e)
{
	struct lease *lease;
	char file[64 + OID_HEX + 2];
	int lock, r = lease_take(p->be, &lease, e);

	if (r)
		return r;
	file_of(p, commit, file);
	r = p->be->ops->lock(p->be, file, true, true, &lock, e);
	if (!r) {
		p->be->ops->unlock(p->be, file, lock, false);
		if (lease_condemned(lease, SPACE_RECORD, commit)) {
			lease_release(lease);
			lease = NULL;
			wait_for_gc(p->be);
			store_refresh(l->store, NULL);
		}
	}
	lease_release(lease);
	return r;
}

static int look(struct library *l, const struct oid *commit, struct error *e)
{
	struct object_info info;

	return store_stat(l->store, SPACE_RECORD, commit, &info, e);
}

int pins_add(struct library *l, struct pins *p, const struct oid *commit,
	struct error *e)
{
	char file[64 + OID_HEX + 2];
	struct pin *x;
	int r = 0;

	if (!p)
		return look(l, commit, e);
	pthread_mutex_lock(&p->lock);
	x = find(p, commit);
	if (x) {
		x->count++;
		pthread_mutex_unlock(&p->lock);
		return 0;
	}
	if (!vec_push(&p->items, (struct pin){ *commit, 1 }))
		r = error_nomem(e);
	if (!r) {
		r = add_file(l, p, commit, e);
		if (!r)
			r = look(l, commit, e);
		if (r) {
			file_of(p, commit, file);
			p->be->ops->remove(p->be, file, NULL);
			p->items.len--;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pins_drop(struct pins *p, const struct oid *commit)
{
	char file[64 + OID_HEX + 2];
	struct pin *x;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	x = find(p, commit);
	if (x && !--x->count) {
		file_of(p, commit, file);
		p->be->ops->remove(p->be, file, NULL);
		*x = *vec_last(&p->items);
		p->items.len--;
	}
	pthread_mutex_unlock(&p->lock);
}

/* --- listing --- */

/* 1: its process lives; 0: a dead one's lock is removed. */
static int is_alive(struct backend *be, const char *name, struct error *e)
{
	char path[64];
	int lock, r;

	snprintf(path, sizeof(path), FOLDER "/%.*s", ID_HEX, name);
	r = be->ops->lock(be, path, true, false, &lock, e);
	if (!r)
		be->ops->unlock(be, path, lock, true);
	return r == ERR_BUSY ? 1 : r;
}

static int list_one(struct backend *be, const char *name, pins_fn fn,
	void *ctx, struct error *e)
{
	char path[300];
	struct oid id;
	size_t n = strlen(name);
	int alive;

	if (n < ID_HEX || strspn(name, "0123456789abcdef") != ID_HEX)
		return 0;
	alive = is_alive(be, name, e);
	if (alive < 0 || n != ID_HEX + 1 + OID_HEX || name[ID_HEX] != '.' ||
		!oid_parse(name + ID_HEX + 1, &id))
		return alive < 0 ? alive : 0;
	if (alive)
		return fn(ctx, name, &id);
	snprintf(path, sizeof(path), FOLDER "/%.200s", name);
	return be->ops->remove(be, path, e);
}

int pins_list(struct library *l, pins_fn fn, void *ctx, struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = backend_names(l->be, FOLDER, &names, e);

	for (size_t i = 0; i < names.len && !r; i++)
		r = list_one(l->be, names.items[i], fn, ctx, e);
	return r;
}
