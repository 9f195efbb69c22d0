/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/roots.h"

#include <string.h>
#include "library/pin.h"

void roots_release(struct roots *r)
{
	for (size_t i = 0; i < r->items.len; i++)
		free(r->items.items[i].ref);
	for (size_t i = 0; i < r->damaged.len; i++) {
		free(r->damaged.items[i].where);
		free(r->damaged.items[i].what);
	}
	vec_release(&r->items);
	vec_release(&r->damaged);
}

bool roots_equal(const struct roots *a, const struct roots *b)
{
	if (a->items.len != b->items.len)
		return false;
	for (size_t i = 0; i < a->items.len; i++)
		if (!oid_equal(&a->items.items[i].id, &b->items.items[i].id) ||
			strcmp(a->items.items[i].ref, b->items.items[i].ref))
			return false;
	return true;
}

struct reading {
	struct library *l;
	struct roots *out;
	const char *prefix;
	const char *name;
	int64_t oldest;
	struct error *e;
};

static int damaged(struct reading *rd, bool log, const char *name,
	const char *what)
{
	AUTO_BUF where = BUF_INIT;
	struct root_damage d = { 0 };

	buf_printf(&where, "%s%s/%s", log ? "logs/" : "", rd->prefix, name);
	d.where = buf_steal(&where);
	d.what = strdup(what);
	if (!d.where || !d.what || !vec_push(&rd->out->damaged, d)) {
		free(d.where);
		free(d.what);
		return error_nomem(rd->e);
	}
	return 0;
}

static int add(struct reading *rd, bool log, const char *name,
	const struct oid *id)
{
	AUTO_BUF ref = BUF_INIT;
	struct root x = { .id = *id, .log = log };

	buf_printf(&ref, "%s%s/%s", log ? "logs/" : "", rd->prefix, name);
	x.ref = buf_steal(&ref);
	if (!x.ref || !vec_push(&rd->out->items, x)) {
		free(x.ref);
		return error_nomem(rd->e);
	}
	return 0;
}

static int on_ref(void *ctx, const char *name, const char *value)
{
	struct reading *rd = ctx;
	char hex[OID_HEX + 1];
	struct oid id;

	if (!oid_parse(value, &id) || strcmp(value, oid_hex(&id, hex)) != 0)
		return damaged(rd, false, name, "the ref is damaged");
	return add(rd, false, name, &id);
}

static int on_entry(void *ctx, const struct reflog_entry *x)
{
	struct reading *rd = ctx;
	int r = 0;

	if (x->date < rd->oldest)
		return 0;
	if (!oid_is_zero(&x->old))
		r = add(rd, true, rd->name, &x->old);
	return r ? r : add(rd, true, rd->name, &x->id);
}

static int on_bad_line(void *ctx, unsigned line)
{
	struct reading *rd = ctx;
	char what[64];

	snprintf(what, sizeof(what), "line %u is damaged", line);
	return damaged(rd, true, rd->name, what);
}

static int on_log(void *ctx, const char *name,
	const char *value __attribute__((unused)))
{
	struct reading *rd = ctx;

	rd->name = name;
	return library_reflog_check(rd->l, rd->prefix, name, on_entry,
		on_bad_line, rd, rd->e);
}

int roots_read(struct library *l, int64_t now, struct roots *out,
	struct error *e)
{
	static const char *const prefixes[] = { REFS_HEADS, REFS_TAGS,
		REFS_INSTANCES };
	struct reading rd = { .l = l, .out = out, .oldest = now - REFLOG_KEEP,
		.e = e };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(prefixes) && !r; i++) {
		AUTO_BUF logs = BUF_INIT;

		rd.prefix = prefixes[i];
		buf_printf(&logs, "logs/%s", prefixes[i]);
		r = l->be->ops->ref_list(l->be, prefixes[i], on_ref, &rd, e);
		if (!r)
			r = l->be->ops->ref_list(l->be, buf_str(&logs), on_log,
				&rd, e);
	}
	return r;
}

static int on_pin(void *ctx, const char *name, const struct oid *commit)
{
	struct reading *rd = ctx;
	int r = add(rd, false, name, commit);

	if (!r)
		vec_last(&rd->out->items)->pin = true;
	return r;
}

int roots_read_pinned(struct library *l, int64_t now, struct roots *out,
	struct error *e)
{
	struct reading rd = { .l = l, .out = out, .prefix = "pins", .e = e };
	int r = roots_read(l, now, out, e);

	return r ? r : pins_list(l, on_pin, &rd, e);
}
