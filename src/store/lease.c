/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lease.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/vec.h"

struct list_map {
	const uint8_t *data;
	size_t len;
};

struct lease {
	struct backend *be;
	int handle;
	char name[64];
	VEC(struct list_map) lists;
};

typedef VEC(char *) name_list;

static int add_name(void *ctx, const char *name, uint64_t size ATTR_UNUSED,
	int64_t mtime ATTR_UNUSED)
{
	char *copy = strdup(name);

	return copy && vec_push((name_list *)ctx, copy) ? 0 : ERR_NOMEM;
}

static void names_free(name_list *v)
{
	for (size_t i = 0; i < v->len; i++)
		free(v->items[i]);
	vec_release(v);
}

static int random_name(const char *folder, char out[64], struct error *e)
{
	uint8_t rnd[16];
	char hex[33];

	if (getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd))
		return error_errno(e, "random numbers");
	snprintf(out, 64, "%s/%s", folder, hex_encode(rnd, 16, hex));
	return 0;
}

static int load_lists(struct lease *l, struct error *e)
{
	name_list names = { 0 };
	int r = l->be->ops->list(l->be, "condemned", add_name, &names, e);

	if (r == ERR_NOMEM)
		error_nomem(e);
	for (size_t i = 0; !r && i < names.len; i++) {
		struct list_map m;
		const void *p;
		char path[300];

		snprintf(path, sizeof(path), "condemned/%s", names.items[i]);
		r = l->be->ops->map(l->be, path, &p, &m.len, e);
		if (r == ERR_NOTFOUND) {
			r = 0; /* gc has finished meanwhile */
			continue;
		}
		if (r)
			break;
		m.data = p;
		if (!vec_push(&l->lists, m)) {
			l->be->ops->unmap(l->be, m.data, m.len);
			r = error_nomem(e);
		}
	}
	names_free(&names);
	return r;
}

int lease_take(struct backend *be, struct lease **out, struct error *e)
{
	struct lease *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_nomem(e);
	l->be = be;
	l->handle = -1;
	r = random_name("writers", l->name, e);
	if (!r)
		r = be->ops->lock(be, l->name, true, true, &l->handle, e);
	if (!r)
		r = load_lists(l, e);
	if (r)
		lease_release(l);
	else
		*out = l;
	return r;
}

void lease_release(struct lease *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->lists.len; i++)
		l->be->ops->unmap(l->be, l->lists.items[i].data,
			l->lists.items[i].len);
	vec_release(&l->lists);
	if (l->handle >= 0)
		l->be->ops->unlock(l->be, l->name, l->handle, true);
	free(l);
}

static int key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, CONDEMNED_KEY);
}

bool lease_condemned(const struct lease *l, enum object_space space,
	const struct oid *id)
{
	uint8_t key[CONDEMNED_KEY];

	key[0] = (uint8_t)space;
	memcpy(key + 1, id->b, 32);
	for (size_t i = 0; i < l->lists.len; i++)
		if (l->lists.items[i].data &&
			bsearch(key, l->lists.items[i].data,
				l->lists.items[i].len / CONDEMNED_KEY,
				CONDEMNED_KEY, key_cmp))
			return true;
	return false;
}

int lease_count(struct backend *be, unsigned *out, struct error *e)
{
	name_list names = { 0 };
	int r = be->ops->list(be, "writers", add_name, &names, e);
	unsigned n = 0;

	if (r == ERR_NOMEM)
		error_nomem(e);
	for (size_t i = 0; !r && i < names.len; i++) {
		char path[300];
		int h;

		snprintf(path, sizeof(path), "writers/%s", names.items[i]);
		r = be->ops->lock(be, path, true, false, &h, e);
		if (!r) /* nobody holds it: its process is gone */
			be->ops->unlock(be, path, h, true);
		else if (r == ERR_BUSY)
			r = 0, n++;
	}
	names_free(&names);
	if (!r)
		*out = n;
	return r;
}

int condemned_publish(struct backend *be, const void *keys, size_t n,
	char name[64], struct error *e)
{
	int r = random_name("condemned", name, e);

	return r ? r : be->ops->put(be, name, keys, n * CONDEMNED_KEY, e);
}

int condemned_remove_all(struct backend *be, struct error *e)
{
	name_list names = { 0 };
	int r = be->ops->list(be, "condemned", add_name, &names, e);

	if (r == ERR_NOMEM)
		error_nomem(e);
	for (size_t i = 0; !r && i < names.len; i++) {
		char path[300];

		snprintf(path, sizeof(path), "condemned/%s", names.items[i]);
		r = be->ops->remove(be, path, e);
	}
	names_free(&names);
	return r;
}
