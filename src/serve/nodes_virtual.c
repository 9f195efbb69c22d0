/* SPDX-License-Identifier: Apache-2.0 */
/* The folders that no image has: branch, tag, commit, .versions, disks. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "serve/nodes.h"

static int add(struct node_dir *d, struct child c, char *name,
	struct error *e)
{
	if (!name || !vec_push(&d->names, name)) {
		free(name);
		return error_nomem(e);
	}
	c.name = name;
	c.name_len = strlen(name);
	return vec_push(&d->list, c) ? 0 : error_nomem(e);
}

/* --- branch and tag --- */

struct refs {
	struct node *dir;
	struct node_dir *d;
	struct error *e;
};

/* For who looks one up. A list has no dates: of 10,000 branches they are in as
 * many packs. */
static int64_t commit_date(struct library *l, const struct oid *id)
{
	AUTO_COMMIT c = { 0 };

	return library_get_commit(l, id, &c, NULL) ? 0 : c.date;
}

static int list_ref(void *ctx, const char *name, const struct oid *id)
{
	struct refs *k = ctx;
	const char *part = k->dir->part ? k->dir->part : "", *slash;
	size_t n = strlen(part);
	struct child c = { .kind = NODE_ENTRY,
		.commit = *id,
		.moving = true,
		.branch = !strcmp(k->dir->prefix, REFS_HEADS) };

	if (strncmp(name, part, n) != 0)
		return 0;
	name += n;
	slash = strchr(name, '/');
	if (!slash)
		return add(k->d, c, strdup(name), k->e);
	/* Refs come sorted: the part was the last one, if it was there. */
	n = (size_t)(slash - name);
	if (k->d->list.len) {
		const struct child *last = vec_last(&k->d->list);

		if (last->kind == NODE_REFS && last->name_len == n &&
			!memcmp(last->name, name, n))
			return 0;
	}
	return add(k->d,
		(struct child){ .kind = NODE_REFS, .prefix = k->dir->prefix },
		strndup(name, n), k->e);
}

/* A part of a name exists while some ref begins with it. */
struct probe {
	const char *part;
	bool found;
};

static int probe_ref(void *ctx, const char *name,
	const struct oid *id ATTR_UNUSED)
{
	struct probe *p = ctx;

	if (!strncmp(name, p->part, strlen(p->part)))
		p->found = true;
	return 0;
}

static int find_ref(struct nodes *t, struct node *dir, const char *name,
	struct child *out, char **keep, struct error *e)
{
	AUTO_BUF full = BUF_INIT;
	struct probe p = { 0 };
	int r;

	buf_printf(&full, "%s%s", dir->part ? dir->part : "", name);
	*keep = strdup(buf_str(&full));
	if (!*keep)
		return error_nomem(e);
	if (ref_name_check(*keep, NULL))
		return error_set(e, ERR_NOTFOUND, "no such ref");
	r = library_ref_read(t->lib, dir->prefix, *keep, &out->commit, e);
	if (!r) {
		out->kind = NODE_ENTRY;
		out->moving = true;
		out->branch = !strcmp(dir->prefix, REFS_HEADS);
		out->date = commit_date(t->lib, &out->commit);
		return 0;
	}
	buf_addch(&full, '/');
	free(*keep);
	*keep = buf_steal(&full);
	if (!*keep)
		return error_nomem(e);
	p.part = *keep;
	r = library_ref_list(t->lib, dir->prefix, probe_ref, &p, e);
	if (!r && !p.found)
		r = error_set(e, ERR_NOTFOUND, "no such ref");
	out->kind = NODE_REFS;
	out->prefix = dir->prefix;
	out->part = *keep;
	return r;
}

/* --- commit --- */

typedef VEC(struct oid) oid_list;

static int push_ref(void *ctx, const char *name ATTR_UNUSED,
	const struct oid *id)
{
	return vec_push((oid_list *)ctx, *id) ? 0 : ERR_NOMEM;
}

/* Open addressing; grows by doubling. Ids are hashes already. */
struct oid_set {
	struct oid *slots;
	size_t cap, len;
};

static size_t slot_of(const struct oid_set *s, const struct oid *id)
{
	size_t at = (size_t)get_le64(id->b) & (s->cap - 1);

	while (!oid_is_zero(&s->slots[at]) && !oid_equal(&s->slots[at], id))
		at = (at + 1) & (s->cap - 1);
	return at;
}

/* 1: new; 0: was there; NOMEM. */
static int set_add(struct oid_set *s, const struct oid *id)
{
	size_t at;

	if (2 * s->len >= s->cap) {
		struct oid_set big = { .cap = s->cap ? 2 * s->cap : 256,
			.len = s->len };

		big.slots = calloc(big.cap, sizeof(struct oid));
		if (!big.slots)
			return ERR_NOMEM;
		for (size_t i = 0; i < s->cap; i++)
			if (!oid_is_zero(&s->slots[i]))
				big.slots[slot_of(&big, &s->slots[i])] =
					s->slots[i];
		free(s->slots);
		*s = big;
	}
	at = slot_of(s, id);
	if (!oid_is_zero(&s->slots[at]))
		return 0;
	s->slots[at] = *id;
	s->len++;
	return 1;
}

/* Every commit that a branch, tag or instance leads to. The set of what was
 * seen bounds the walk. */
static int list_commits(struct nodes *t, struct node_dir *d, struct error *e)
{
	static const char *const prefixes[] = { REFS_HEADS, REFS_TAGS,
		REFS_INSTANCES };
	oid_list todo = { 0 };
	struct oid_set seen = { 0 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(prefixes) && !r; i++)
		r = library_ref_list(t->lib, prefixes[i], push_ref, &todo, e);
	while (!r && todo.len) {
		struct oid id = todo.items[--todo.len];
		AUTO_COMMIT c = { 0 };
		char hex[OID_HEX + 1];

		r = set_add(&seen, &id);
		if (r <= 0)
			continue;
		r = 0;
		/* What cannot be read hides none of the others. */
		if (library_get_commit(t->lib, &id, &c, NULL))
			continue;
		for (size_t i = 0; i < c.parents.len && !r; i++)
			if (!vec_push(&todo, c.parents.items[i]))
				r = error_nomem(e);
		if (!r)
			r = add(d,
				(struct child){ .kind = NODE_ENTRY,
					.commit = id,
					.date = c.date },
				strdup(oid_hex(&id, hex)), e);
	}
	vec_release(&todo);
	free(seen.slots);
	return r;
}

/* By a full or a short id. */
static int find_commit(struct nodes *t, const char *name, struct child *out,
	struct error *e)
{
	if (store_resolve_prefix(t->lib->store, OBJ_COMMIT, name, &out->commit,
		    e))
		return error_set(e, ERR_NOTFOUND, "no such commit");
	out->kind = NODE_ENTRY;
	out->date = commit_date(t->lib, &out->commit);
	return 0;
}

/* --- .versions --- */

char *node_version_name(size_t number, int64_t date, const struct oid *id)
{
	char when[32], hex[OID_HEX + 1], *w = when, *s = NULL;

	/* Without ':', which rsync and scp take for a host's name. */
	for (const char *p = format_time(date, when); *p; p++)
		if (*p != ':')
			*w++ = *p;
	*w = 0;
	if (asprintf(&s, "%04zu-%s-%.12s", number, when, oid_hex(id, hex)) < 0)
		return NULL;
	return s;
}

struct version {
	struct oid id;
	int64_t date;
};

/* First parents only: what the branch was. The number of a version counts
 * from the first one, so that it stays when the branch grows. */
static int list_versions(struct nodes *t, const struct oid *tip,
	struct node_dir *d, struct error *e)
{
	VEC(struct version) all = { 0 };
	struct oid id = *tip;
	int r = 0;

	for (bool more = true; more && !r && all.len < LIMIT_FILES;) {
		AUTO_COMMIT c = { 0 };

		if (library_get_commit(t->lib, &id, &c, e))
			break; /* the history that can be read */
		if (!vec_push(&all, (struct version){ id, c.date }))
			r = error_nomem(e);
		more = c.parents.len > 0;
		if (more)
			id = c.parents.items[0];
	}
	for (size_t i = all.len; i-- > 0 && !r;)
		r = add(d,
			(struct child){ .kind = NODE_ENTRY,
				.commit = all.items[i].id,
				.date = all.items[i].date },
			node_version_name(all.len - i, all.items[i].date,
				&all.items[i].id),
			e);
	vec_release(&all);
	return r;
}

/* --- disks --- */

static int list_disks(struct nodes *t, struct node *dir, struct node_dir *d,
	struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	int r = library_get_commit(t->lib, &dir->commit, &c, e);

	if (!r)
		r = library_get_image(t->lib, &c.image, &im, e);
	for (unsigned i = 0; !r && i < 2 * im.disks.len; i++) {
		char *name = NULL;

		if (asprintf(&name, "disk%u.%s", i / 2, i % 2 ? "qcow2" : "raw") < 0)
			return error_nomem(e);
		r = add(d,
			(struct child){ .kind = NODE_DISK,
				.commit = dir->commit,
				.date = c.date,
				.disk = i / 2,
				.qcow2 = i % 2 },
			name, e);
	}
	return r;
}

/* --- all of them --- */

static const struct {
	const char *name, *prefix;
} top[] = { { "branch", REFS_HEADS }, { "commit", NULL },
	{ "tag", REFS_TAGS } };

int node_virtual_list(struct nodes *t, struct node *dir, struct node_dir *d,
	struct error *e)
{
	struct refs k = { dir, d, e };
	int r = 0;

	switch (dir->kind) {
	case NODE_ALL:
		for (size_t i = 0; i < ARRAY_LEN(top) && !r; i++)
			r = add(d,
				(struct child){ .kind = top[i].prefix
							? NODE_REFS
							: NODE_COMMITS,
					.prefix = top[i].prefix },
				strdup(top[i].name), e);
		return r;
	case NODE_REFS:
		r = library_ref_list(t->lib, dir->prefix, list_ref, &k, e);
		/* The list points to parts only now, when it grows no more. */
		for (size_t i = 0; i < d->list.len && !r; i++) {
			AUTO_BUF part = BUF_INIT;
			struct child *c = &d->list.items[i];

			if (c->kind != NODE_REFS)
				continue;
			buf_printf(&part, "%s%s/", dir->part ? dir->part : "",
				c->name);
			c->part = buf_steal(&part);
			if (!c->part || !vec_push(&d->names, (char *)(uintptr_t)c->part))
				r = error_nomem(e);
		}
		return r;
	case NODE_COMMITS:
		return list_commits(t, d, e);
	case NODE_VERSIONS:
		return list_versions(t, &dir->commit, d, e);
	case NODE_DISKS:
		return list_disks(t, dir, d, e);
	case NODE_ENTRY:
	case NODE_DISK:
		break;
	}
	return error_set(e, ERR_NOTFOUND, "not a folder");
}

int node_virtual_find(struct nodes *t, struct node *dir, const char *name,
	struct child *out, char **keep, struct error *e)
{
	int r;

	*keep = NULL;
	*out = (struct child){ .name = name, .name_len = strlen(name) };
	if (dir->kind == NODE_ENTRY) {
		out->kind = NODE_VERSIONS;
		out->commit = dir->commit;
		out->date = dir->date;
		return 0;
	}
	if (dir->kind == NODE_REFS)
		return find_ref(t, dir, name, out, keep, e);
	if (dir->kind == NODE_COMMITS)
		return find_commit(t, name, out, e);
	/* The others are short, or asked once. */
	{
		struct node_dir d = { 0 };

		r = node_virtual_list(t, dir, &d, e);
		if (!r)
			r = error_set(e, ERR_NOTFOUND, "no such name");
		for (size_t i = 0; i < d.list.len; i++)
			if (!strcmp(d.list.items[i].name, name)) {
				*out = d.list.items[i];
				out->name = name;
				r = 0;
			}
		for (size_t i = 0; i < d.names.len; i++)
			free(d.names.items[i]);
		vec_release(&d.names);
		vec_release(&d.list);
	}
	return r;
}
