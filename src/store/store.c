/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store and finding objects in it. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "store/frame.h"
#include "store/names.h"
#include "store/store_internal.h"

const char *object_kind_name(enum object_kind k)
{
	static const char *const names[] = { "?", "blob", "chunks", "segment",
		"tree", "layout", "image", "commit" };

	return k > 0 && k < OBJ_KINDS ? names[k] : names[0];
}

struct backend *store_backend(struct store *s)
{
	return s->be;
}

/* --- snapshots of the index folder --- */

static void snapshot_free(struct store *s, struct snapshot *sn)
{
	for (size_t i = 0; i < sn->n; i++)
		index_close(s->be, &sn->ix[i]);
	free(sn->ix);
	free(sn->bad);
	free(sn);
}

void snapshot_unref(struct store *s, struct snapshot *sn)
{
	if (sn && atomic_fetch_sub(&sn->refs, 1) == 1)
		snapshot_free(s, sn);
}

struct snapshot *store_snapshot(struct store *s)
{
	struct snapshot *sn;

	pthread_mutex_lock(&s->lock);
	sn = s->snap;
	atomic_fetch_add(&sn->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return sn;
}

/* What is no name of ours is left alone. */
static int list_indexes(struct store *s, name_list *out, struct error *e)
{
	int r = backend_names(s->be, "index", out, e);
	size_t n = 0;

	for (size_t i = 0; i < out->len; i++)
		if (strlen(out->items[i]) < INDEX_NAME_MAX)
			out->items[n++] = out->items[i];
		else
			free(out->items[i]);
	out->len = n;
	return r;
}

static int leave_out(struct snapshot *sn, const char *name,
	const struct error *why)
{
	struct bad_index *b = realloc(sn->bad, (sn->nbad + 1) * sizeof(*b));

	if (!b)
		return ERR_NOMEM;
	sn->bad = b;
	snprintf(b[sn->nbad].name, sizeof(b->name), "%s", name);
	snprintf(b[sn->nbad].why, sizeof(b->why), "%.199s", why->msg);
	sn->nbad++;
	return 0;
}

static int open_indexes(struct store *s, const name_list *names,
	struct snapshot *sn, struct error *e)
{
	int r = 0;

	sn->ix = calloc(names->len + 1, sizeof(*sn->ix));
	if (!sn->ix)
		return error_nomem(e);
	for (size_t i = 0; !r && i < names->len; i++) {
		struct error why = { 0 };

		r = index_open(s->be, names->items[i], &sn->ix[sn->n], &why);
		if (!r)
			sn->n++;
		else if (s->lenient && r != ERR_NOTFOUND && r != ERR_NOMEM)
			r = leave_out(sn, names->items[i], &why);
		else if (e)
			*e = why;
	}
	return r == ERR_NOMEM ? error_nomem(e) : r;
}

static int load_snapshot(struct store *s, struct snapshot **out,
	struct error *e)
{
	struct snapshot *sn = NULL;
	int r = 0;

	/* Index files may be replaced between listing and opening them, and a
	 * listing may show neither the old nor the new: only one that is the
	 * same before and after is taken. */
	for (int try = 0; try < 50; try++) {
		name_list names = { 0 }, again = { 0 };
		bool same;

		if (sn)
			snapshot_free(s, sn);
		sn = calloc(1, sizeof(*sn));
		if (!sn)
			return error_nomem(e);
		atomic_init(&sn->refs, 1);
		r = list_indexes(s, &names, e);
		if (!r)
			r = open_indexes(s, &names, sn, e);
		if (!r)
			r = list_indexes(s, &again, e);
		same = names.len == again.len;
		for (size_t i = 0; same && i < names.len; i++)
			same = !strcmp(names.items[i], again.items[i]);
		names_release(&names);
		names_release(&again);
		if (r ? r != ERR_NOTFOUND : same)
			break;
	}
	if (r) {
		snapshot_free(s, sn);
		return r;
	}
	*out = sn;
	return 0;
}

bool store_bad_index(struct store *s, size_t i, const char **out_name,
	const char **out_why)
{
	/* The snapshot of an open store changes only by store_refresh, which
	 * who asks this does not call meanwhile. */
	if (i >= s->snap->nbad)
		return false;
	*out_name = s->snap->bad[i].name;
	*out_why = s->snap->bad[i].why;
	return true;
}

int store_refresh(struct store *s, struct error *e)
{
	struct snapshot *fresh, *old;
	int r = load_snapshot(s, &fresh, e);

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	old = s->snap;
	s->snap = fresh;
	pthread_mutex_unlock(&s->lock);
	snapshot_unref(s, old);
	return 0;
}

static int open_store(struct backend *be, bool lenient, struct store **out,
	struct error *e)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_nomem(e);
	s->be = be;
	s->lenient = lenient;
	s->next_key = 1;
	pthread_mutex_init(&s->lock, NULL);
	s->cache = frame_cache_new(DEFAULT_CACHE);
	r = s->cache ? load_snapshot(s, &s->snap, e) : error_nomem(e);
	if (r)
		store_close(s);
	else
		*out = s;
	return r;
}

int store_open(struct backend *be, struct store **out, struct error *e)
{
	return open_store(be, false, out, e);
}

int store_open_damaged(struct backend *be, struct store **out,
	struct error *e)
{
	return open_store(be, true, out, e);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	frame_cache_free(s->cache);
	for (size_t i = 0; i < ARRAY_LEN(s->packs); i++)
		for (struct pack *p = s->packs[i], *n; p; p = n) {
			n = p->next;
			if (p->handle >= 0)
				s->be->ops->close_handle(s->be, p->handle);
			free(p);
		}
	vec_release(&s->open);
	snapshot_unref(s, s->snap);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void store_set_cache(struct store *s, size_t bytes)
{
	frame_cache_set_budget(s->cache, bytes);
}

/* --- packs --- */

void pack_name(const uint8_t id[16], char out[64])
{
	char hex[33];

	snprintf(out, 64, "packs/%s.pack", hex_encode(id, 16, hex));
}

/* With the lock held: the pack, with one more user. */
static struct pack *pack_get(struct store *s, const uint8_t id[16])
{
	struct pack *p;

	for (p = s->packs[id[0]]; p; p = p->next)
		if (!memcmp(p->id, id, 16))
			break;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		memcpy(p->id, id, 16);
		p->handle = -1;
		p->key = s->next_key++;
		p->next = s->packs[id[0]];
		s->packs[id[0]] = p;
	}
	p->users++;
	p->used_at = ++s->clock;
	return p;
}

/* With the lock held: closes the i-th open pack. */
static void close_open(struct store *s, size_t i)
{
	struct pack *p = s->open.items[i];

	s->be->ops->close_handle(s->be, p->handle);
	p->handle = -1;
	s->open.items[i] = *vec_last(&s->open);
	s->open.len--;
}

/* With the lock held: closes the open pack that was not used the longest, if
 * one is not in use. */
static void close_one(struct store *s)
{
	size_t victim = SIZE_MAX;

	for (size_t i = 0; i < s->open.len; i++)
		if (!s->open.items[i]->users &&
			(victim == SIZE_MAX ||
				s->open.items[i]->used_at <
					s->open.items[victim]->used_at))
			victim = i;
	if (victim != SIZE_MAX)
		close_open(s, victim);
}

static int pack_open(struct store *s, struct pack *p, struct error *e)
{
	char name[64];
	uint64_t size;
	int h, r;

	pack_name(p->id, name);
	r = s->be->ops->open(s->be, name, &h, &size, e);
	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	if (p->handle >= 0) { /* another thread was faster */
		s->be->ops->close_handle(s->be, h);
	} else if (!vec_push(&s->open, p)) {
		s->be->ops->close_handle(s->be, h);
		r = error_nomem(e);
	} else {
		p->handle = h;
		if (s->open.len > OPEN_PACKS_MAX)
			close_one(s);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int pack_read(struct store *s, struct pack *p, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	int r = 0;

	if (p->handle < 0)
		r = pack_open(s, p, e);
	return r ? r
		 : s->be->ops->read(s->be, p->handle, buf, len, off, e);
}

static struct pack *pack_use(struct store *s, const uint8_t id[16])
{
	struct pack *p;

	pthread_mutex_lock(&s->lock);
	p = pack_get(s, id);
	pthread_mutex_unlock(&s->lock);
	return p;
}

static void pack_unuse(struct store *s, struct pack *p)
{
	pthread_mutex_lock(&s->lock);
	p->users--;
	pthread_mutex_unlock(&s->lock);
}

int store_pack_read(struct store *s, const uint8_t id[16], void *buf,
	size_t len, uint64_t off, struct error *e)
{
	struct pack *p = pack_use(s, id);
	int r;

	if (!p)
		return error_nomem(e);
	r = pack_read(s, p, buf, len, off, e);
	pack_unuse(s, p);
	return r;
}

struct load {
	struct store *s;
	struct pack *p;
	const struct located *at;
};

static int load_frame(void *ctx, void *raw, size_t len, struct error *e)
{
	struct load *l = ctx;
	size_t n = sizeof(struct frame_header) + l->at->stored_len;
	uint8_t *stored = frame_stored_room(n);
	char hex[33];
	int r;

	if (!stored)
		return error_nomem(e);
	r = pack_read(l->s, l->p, stored, n, l->at->frame_off, e);
	if (!r)
		r = frame_decode(stored, n, raw, len, e);
	if (r == ERR_DAMAGED)
		error_prefix(e, "library: pack %s at offset %llu",
			hex_encode(l->p->id, 16, hex),
			(unsigned long long)l->at->frame_off);
	return r;
}

static bool located_sane(const struct located *at)
{
	return at->raw_len <= FRAME_RAW_MAX && at->stored_len <= at->raw_len &&
	       range_inside(at->off, at->len, at->raw_len);
}

int store_frame(struct store *s, const struct located *at,
	struct cached_frame **out, struct error *e)
{
	struct load l = { .s = s, .at = at };
	int r;

	if (!located_sane(at))
		return error_set(e, ERR_DAMAGED,
			"library: an index entry is damaged");
	l.p = pack_use(s, at->pack_id);
	if (!l.p)
		return error_nomem(e);
	r = frame_cache_get(s->cache, l.p->key, at->frame_off, at->raw_len,
		load_frame, &l, out, e);
	pack_unuse(s, l.p);
	return r;
}

unsigned store_frame_warm(struct store *s, const struct located *at)
{
	struct load l = { .s = s, .at = at };
	unsigned done;

	if (!located_sane(at) || !(l.p = pack_use(s, at->pack_id)))
		return 0;
	done = frame_cache_warm(s->cache, l.p->key, at->frame_off, at->raw_len,
		load_frame, &l);
	pack_unuse(s, l.p);
	return done;
}

static bool snapshot_lists(const struct snapshot *sn, const uint8_t id[16])
{
	for (size_t i = 0; i < sn->n; i++)
		for (uint32_t k = 0; k < sn->ix[i].npacks; k++)
			if (!memcmp(sn->ix[i].packs[k].id, id, 16))
				return true;
	return false;
}

static bool same_names(const struct snapshot *sn, const name_list *names)
{
	bool same = sn->n == names->len && !sn->nbad;

	for (size_t i = 0; same && i < sn->n; i++)
		same = !strcmp(sn->ix[i].name, names->items[i]);
	return same;
}

int store_tidy(struct store *s, struct error *e)
{
	struct snapshot *sn = store_snapshot(s);
	name_list names = { 0 };
	int r = list_indexes(s, &names, e);

	if (!r && !same_names(sn, &names)) {
		r = store_refresh(s, e);
		snapshot_unref(s, sn);
		sn = store_snapshot(s);
	}
	names_release(&names);
	pthread_mutex_lock(&s->lock);
	for (size_t i = s->open.len; i-- && !r;)
		if (!s->open.items[i]->users &&
			!snapshot_lists(sn, s->open.items[i]->id))
			close_open(s, i);
	pthread_mutex_unlock(&s->lock);
	snapshot_unref(s, sn);
	return r;
}

/* --- finding objects --- */

bool index_located(const struct index *ix, enum object_space space,
	uint64_t pos, struct located *out)
{
	const struct index_loc *l = &ix->sec[space].locs[pos];
	uint32_t f = le32_get(l->frame), p;

	if (f >= ix->nframes)
		return false;
	p = le32_get(ix->frames[f].pack);
	if (p >= ix->npacks)
		return false;
	memcpy(out->pack_id, ix->packs[p].id, 16);
	out->frame_off = le64_get(ix->frames[f].off);
	out->stored_len = le32_get(ix->frames[f].stored_len);
	out->raw_len = le32_get(ix->frames[f].raw_len);
	out->off = le32_get(l->off);
	out->len = loc_len(l);
	out->kind = loc_kind(l);
	return out->kind > 0 && out->kind < OBJ_KINDS;
}

bool snapshot_find(const struct snapshot *sn, enum object_space space,
	const struct oid *id, struct located *out)
{
	uint64_t pos;

	for (size_t i = 0; i < sn->n; i++)
		if (index_find(&sn->ix[i], space, id, &pos) &&
			index_located(&sn->ix[i], space, pos, out))
			return true;
	return false;
}

bool store_has(struct store *s, enum object_space space, const struct oid *id,
	struct object_info *out)
{
	struct snapshot *sn = store_snapshot(s);
	struct located at;
	bool found = snapshot_find(sn, space, id, &at);

	snapshot_unref(s, sn);
	if (found && out)
		*out = (struct object_info){ at.kind, at.len };
	return found;
}

static int missing(enum object_space space, const struct oid *id,
	struct error *e)
{
	char hex[OID_HEX + 1];

	return error_set(e, ERR_NOTFOUND, "library: %s %s is not there",
		space == SPACE_CONTENT ? "blob" : "record", oid_hex(id, hex));
}

/* Finds an object and calls fn on its frame; looks at the folder again where
 * the object, or the pack that holds it, is not there (repacked meanwhile). */
int store_with_object(struct store *s, enum object_space space,
	const struct oid *id,
	int (*fn)(void *ctx, const struct located *at, const uint8_t *data,
		struct error *e),
	void *ctx, struct error *e)
{
	for (int try = 0;; try++) {
		struct snapshot *sn = store_snapshot(s);
		struct cached_frame *f;
		struct located at;
		bool found = snapshot_find(sn, space, id, &at);
		int r;

		snapshot_unref(s, sn);
		if (found) {
			r = store_frame(s, &at, &f, e);
			if (!r) {
				r = fn(ctx, &at, f->data + at.off, e);
				frame_cache_put(s->cache, f);
				return r;
			}
			if (r != ERR_NOTFOUND)
				return r;
		}
		/* gc may replace packs more than once meanwhile */
		if (try >= (found ? 4 : 1))
			return found ? error_set(e, ERR_DAMAGED,
					       "library: a pack is missing")
				     : missing(space, id, e);
		r = store_refresh(s, e);
		if (r)
			return r;
	}
}

int store_stat(struct store *s, enum object_space space, const struct oid *id,
	struct object_info *out, struct error *e)
{
	int r;

	if (store_has(s, space, id, out))
		return 0;
	r = store_refresh(s, e);
	if (r)
		return r;
	return store_has(s, space, id, out) ? 0 : missing(space, id, e);
}

struct get {
	struct buf *out;
	enum object_kind kind;
	const struct oid *id;
};

static int copy_object(void *ctx, const struct located *at,
	const uint8_t *data, struct error *e)
{
	struct get *g = ctx;

	g->kind = at->kind;
	buf_add(g->out, data, at->len);
	if (g->out->oom)
		return error_nomem(e);
	if (object_space(at->kind) == SPACE_RECORD) {
		struct oid real;
		char hex[OID_HEX + 1];

		sha256(data, at->len, &real);
		if (!oid_equal(&real, g->id))
			return error_set(e, ERR_DAMAGED,
				"library: %s %s has other bytes than its id "
				"says",
				object_kind_name(at->kind),
				oid_hex(g->id, hex));
	}
	return 0;
}

int store_get(struct store *s, enum object_space space, const struct oid *id,
	enum object_kind *out_kind, struct buf *out, struct error *e)
{
	struct get g = { .out = out, .id = id };
	int r = store_with_object(s, space, id, copy_object, &g, e);

	if (!r && out_kind)
		*out_kind = g.kind;
	return r;
}

int store_get_record(struct store *s, enum object_kind kind,
	const struct oid *id, struct buf *out, struct error *e)
{
	enum object_kind got;
	char hex[OID_HEX + 1];
	int r = store_get(s, SPACE_RECORD, id, &got, out, e);

	if (!r && got != kind)
		r = error_set(e, ERR_DAMAGED, "library: %s is a %s, not a %s",
			oid_hex(id, hex), object_kind_name(got),
			object_kind_name(kind));
	return r;
}

/* --- short ids, statistics --- */

int store_resolve_prefix(struct store *s, enum object_kind kind,
	const char *hex, struct oid *out, struct error *e)
{
	size_t n = strlen(hex);
	char full[OID_HEX + 1];
	struct oid low, found;
	bool have = false;
	struct snapshot *sn;

	if (n < 4 || n > OID_HEX || strspn(hex, "0123456789abcdefABCDEF") != n)
		return error_set(e, ERR_NOTFOUND, "'%s' is not an id", hex);
	memset(full, '0', OID_HEX);
	full[OID_HEX] = 0;
	for (size_t i = 0; i < n; i++)
		full[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + 32
								 : hex[i]);
	if (!oid_parse(full, &low))
		return error_set(e, ERR_NOTFOUND, "'%s' is not an id", hex);
	sn = store_snapshot(s);
	for (size_t i = 0; i < sn->n; i++) {
		const struct index_section *sec = &sn->ix[i].sec[SPACE_RECORD];
		uint64_t pos =
			index_lower_bound(&sn->ix[i], SPACE_RECORD, &low);

		for (; pos < sec->n; pos++) {
			char have_hex[OID_HEX + 1];
			struct oid id;

			memcpy(id.b, sec->ids + 32 * pos, 32);
			if (memcmp(oid_hex(&id, have_hex), full, n) != 0)
				break;
			if (loc_kind(&sec->locs[pos]) != kind ||
				(have && oid_equal(&id, &found)))
				continue;
			if (have) {
				snapshot_unref(s, sn);
				return error_set(e, ERR_ARG,
					"%s: several %ss have ids that begin so",
					hex, object_kind_name(kind));
			}
			found = id;
			have = true;
		}
	}
	snapshot_unref(s, sn);
	if (!have)
		return error_set(e, ERR_NOTFOUND, "no %s '%s'",
			object_kind_name(kind), hex);
	*out = found;
	return 0;
}

static int add_size(void *ctx, const char *name ATTR_UNUSED, uint64_t size,
	int64_t mtime ATTR_UNUSED)
{
	struct store_stats *st = ctx;

	st->packs++;
	st->stored_bytes += size;
	return 0;
}

int store_get_stats(struct store *s, struct store_stats *out, struct error *e)
{
	struct snapshot *sn;
	int r;

	memset(out, 0, sizeof(*out));
	r = s->be->ops->list(s->be, "packs", add_size, out, e);
	if (r)
		return r;
	sn = store_snapshot(s);
	for (size_t i = 0; i < sn->n; i++) {
		const struct index *ix = &sn->ix[i];

		out->indexes++;
		out->stored_bytes += ix->len;
		for (int k = 0; k < 2; k++)
			for (uint64_t p = 0; p < ix->sec[k].n; p++) {
				const struct index_loc *l = &ix->sec[k].locs[p];
				unsigned kind = loc_kind(l);

				if (kind < OBJ_KINDS) {
					out->count[kind]++;
					out->bytes[kind] += loc_len(l);
				}
			}
	}
	snapshot_unref(s, sn);
	return 0;
}
