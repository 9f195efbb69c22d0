/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lease.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "store/names.h"

/* A list is written in pieces of about this size. */
#define PUBLISH_PIECE 65536

struct list_map {
	const uint8_t *data;
	size_t len;
};

struct lease {
	struct backend *be;
	int handle;
	char name[64];
	VEC(struct list_map) lists;
	bool all_condemned; /* a list is damaged */
};

/* Header, lengths and checksum agree. */
static bool list_whole(const uint8_t *data, size_t len)
{
	struct condemned_header h;
	uint64_t keys, leases;

	if (len < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	keys = le64_get(h.keys);
	leases = le64_get(h.leases);
	if (memcmp(h.magic, CONDEMNED_MAGIC, 8) != 0 ||
		le32_get(h.flags) > 1 || le32_get(h.zero) || keys > len ||
		leases > len ||
		keys * CONDEMNED_KEY + leases * 16 != len - sizeof(h))
		return false;
	return le64_get(h.checksum) ==
	       (checksum64(data, offsetof(struct condemned_header, checksum)) ^
		       checksum64(data + sizeof(h), len - sizeof(h)));
}

static int load_lists(struct lease *l, struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = backend_names(l->be, "condemned", &names, e);

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
		if (!list_whole(m.data, m.len)) {
			l->be->ops->unmap(l->be, p, m.len);
			l->all_condemned = true;
			continue;
		}
		if (!vec_push(&l->lists, m)) {
			l->be->ops->unmap(l->be, m.data, m.len);
			r = error_nomem(e);
		}
	}
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
	r = backend_new_name("writers", "", l->name, e);
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

void condemned_key(enum object_space space, const struct oid *id,
	uint8_t out[CONDEMNED_KEY])
{
	out[0] = (uint8_t)space;
	memcpy(out + 1, id->b, 32);
}

static bool list_has(const uint8_t *data, size_t len, enum object_space space,
	const struct oid *id)
{
	uint8_t key[CONDEMNED_KEY];
	struct condemned_header h;

	memcpy(&h, data, sizeof(h));
	(void)len;
	condemned_key(space, id, key);
	return bsearch(key, data + sizeof(h), le64_get(h.keys), CONDEMNED_KEY,
		       key_cmp) != NULL;
}

bool lease_condemned(const struct lease *l, enum object_space space,
	const struct oid *id)
{
	for (size_t i = 0; i < l->lists.len; i++)
		if (list_has(l->lists.items[i].data, l->lists.items[i].len,
			    space, id))
			return true;
	return l->all_condemned;
}

int lease_list(struct backend *be, struct lease_names *out, struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = backend_names(be, "writers", &names, e);

	out->len = 0;
	out->ids = calloc(names.len + 1, 16);
	if (!r && !out->ids)
		r = error_nomem(e);
	for (size_t i = 0; !r && i < names.len; i++) {
		char path[300];
		uint8_t id[16];
		int h;

		if (strlen(names.items[i]) != 32 ||
			!hex_decode(names.items[i], 16, id))
			continue;
		snprintf(path, sizeof(path), "writers/%s", names.items[i]);
		r = be->ops->lock(be, path, true, false, &h, e);
		if (!r) { /* nobody holds it: its process is gone */
			be->ops->unlock(be, path, h, true);
		} else if (r == ERR_BUSY) {
			r = 0;
			memcpy(out->ids[out->len++], id, 16);
		}
	}
	if (r)
		lease_names_release(out);
	return r;
}

void lease_names_release(struct lease_names *n)
{
	free(n->ids);
	n->ids = NULL;
	n->len = 0;
}

int condemned_next(void *keys, uint8_t key[CONDEMNED_KEY])
{
	struct condemned_keys *k = keys;

	if (k->at == k->list->nkeys)
		return 0;
	memcpy(key, k->list->keys + k->at++ * CONDEMNED_KEY, CONDEMNED_KEY);
	return 1;
}

struct publishing {
	struct backend *be;
	struct backend_upload *u;
	struct checksum64 *sum;
	uint64_t off; /* where buf goes */
	struct buf buf;
};

static int put_out(struct publishing *p, struct error *e)
{
	int r;

	if (p->buf.oom)
		return error_nomem(e);
	checksum64_add(p->sum, p->buf.data, p->buf.len);
	r = p->be->ops->upload_write(p->u, p->buf.data, p->buf.len, p->off, e);
	p->off += p->buf.len;
	buf_clear(&p->buf);
	return r;
}

static int put_list(struct publishing *p, condemned_next_fn next, void *ctx,
	const struct lease_names *held, struct error *e)
{
	struct condemned_header h = {
		.leases = le64_make(held ? held->len : 0),
		.flags = le32_make(held ? 0 : 1) };
	uint8_t key[CONDEMNED_KEY];
	uint64_t n = 0;
	int r = 0;

	for (; !r && next(ctx, key); n++) {
		buf_add(&p->buf, key, sizeof(key));
		if (p->buf.len >= PUBLISH_PIECE)
			r = put_out(p, e);
	}
	if (!r && held)
		buf_add(&p->buf, held->ids, held->len * 16);
	if (!r && p->buf.len)
		r = put_out(p, e);
	memcpy(h.magic, CONDEMNED_MAGIC, 8);
	h.keys = le64_make(n);
	h.checksum = le64_make(
		checksum64(&h, offsetof(struct condemned_header, checksum)) ^
		checksum64_finish(p->sum));
	return r ? r : p->be->ops->upload_write(p->u, &h, sizeof(h), 0, e);
}

int condemned_publish(struct backend *be, condemned_next_fn next, void *ctx,
	const struct lease_names *held, char name[64], struct error *e)
{
	struct publishing p = { .be = be, .off = sizeof(struct condemned_header),
		.buf = BUF_INIT };
	int r = *name ? 0 : backend_new_name("condemned", "", name, e);

	if (!r) {
		p.sum = checksum64_new();
		r = p.sum ? be->ops->upload_start(be, &p.u, e) : error_nomem(e);
	}
	if (!r) {
		r = put_list(&p, next, ctx, held, e);
		if (r)
			be->ops->upload_abort(p.u);
		else
			r = be->ops->upload_finish(p.u, name, e);
	}
	checksum64_free(p.sum);
	buf_release(&p.buf);
	return r;
}

int condemned_remove(struct backend *be, const char *name, struct error *e)
{
	int r = be->ops->remove(be, name, e);

	return r ? r : be->ops->sync(be, "condemned", e);
}

int condemned_open(struct backend *be, struct condemned *out, struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = backend_names(be, "condemned", &names, e);

	memset(out, 0, sizeof(*out));
	out->be = be;
	for (size_t i = 0; !r && i < names.len; i++) {
		struct condemned_header h;
		const void *p;
		char path[300];
		size_t len;

		snprintf(path, sizeof(path), "condemned/%s", names.items[i]);
		r = be->ops->map(be, path, &p, &len, e);
		if (r)
			break;
		if (out->data || strlen(path) >= sizeof(out->name) ||
			!list_whole(p, len)) {
			be->ops->unmap(be, p, len);
			r = condemned_remove(be, path, e);
			continue;
		}
		memcpy(&h, p, sizeof(h));
		snprintf(out->name, sizeof(out->name), "%.63s", path);
		out->data = p;
		out->len = len;
		out->keys = out->data + sizeof(h);
		out->nkeys = le64_get(h.keys);
		out->held.len = le64_get(h.leases);
		out->held.ids = (void *)(uintptr_t)(out->keys +
						    out->nkeys * CONDEMNED_KEY);
		out->held_unknown = le32_get(h.flags) != 0;
	}
	if (r)
		condemned_close(out);
	return r;
}

void condemned_close(struct condemned *c)
{
	if (c->data)
		c->be->ops->unmap(c->be, c->data, c->len);
	c->data = NULL;
}

bool condemned_has(const struct condemned *c, enum object_space space,
	const struct oid *id)
{
	return c->data && list_has(c->data, c->len, space, id);
}
