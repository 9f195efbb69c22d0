/* SPDX-License-Identifier: Apache-2.0 */
#include "store/census.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/vec.h"
#include "store/store_internal.h"

struct census_map {
	uint64_t base[2];   /* position of the first entry of each section */
	uint64_t frame_base;
	size_t *packs;	    /* of this index: number in census.packs */
};

struct census {
	struct store *s;
	struct snapshot *sn;
	struct census_map *map;
	uint64_t count, frames;
	VEC(struct census_pack) packs;
	uint32_t *slots; /* packs by id: number + 1, 0 is free */
	size_t mask;
};

void census_close(struct census *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->map && i < c->sn->n; i++)
		free(c->map[i].packs);
	free(c->map);
	free(c->slots);
	vec_release(&c->packs);
	snapshot_unref(c->s, c->sn);
	free(c);
}

static uint32_t *pack_slot(const struct census *c, const uint8_t id[16])
{
	size_t k = (size_t)get_le64(id) & c->mask;

	while (c->slots[k] &&
		memcmp(c->packs.items[c->slots[k] - 1].id, id, 16) != 0)
		k = (k + 1) & c->mask;
	return &c->slots[k];
}

bool census_pack_find(const struct census *c, const uint8_t id[16],
	size_t *out)
{
	uint32_t n = *pack_slot(c, id);

	if (n)
		*out = n - 1;
	return n;
}

/* Room for every pack of every index, twice. */
static int make_slots(struct census *c, struct error *e)
{
	uint64_t n = 0;
	size_t cap = 16;

	for (size_t i = 0; i < c->sn->n; i++)
		n += c->sn->ix[i].npacks;
	if (n > UINT32_MAX / 2)
		return error_set(e, ERR_LIMIT, "library: over 2^31 packs");
	while (cap < 2 * n)
		cap *= 2;
	c->slots = calloc(cap, sizeof(*c->slots));
	c->mask = cap - 1;
	return c->slots ? 0 : error_nomem(e);
}

static int add_packs(struct census *c, size_t i, struct error *e)
{
	const struct index *ix = &c->sn->ix[i];
	struct census_map *m = &c->map[i];

	m->packs = calloc(ix->npacks + (size_t)1, sizeof(*m->packs));
	if (!m->packs)
		return error_nomem(e);
	for (uint32_t p = 0; p < ix->npacks; p++) {
		uint32_t *slot = pack_slot(c, ix->packs[p].id);

		if (!*slot) {
			struct census_pack x = {
				.size = le64_get(ix->packs[p].size),
				.frames = le32_get(ix->packs[p].frames),
				.index = i,
				.number = p,
			};

			memcpy(x.id, ix->packs[p].id, 16);
			if (!vec_push(&c->packs, x))
				return error_nomem(e);
			*slot = (uint32_t)c->packs.len;
		}
		m->packs[p] = *slot - 1;
	}
	for (uint32_t f = 0; f < ix->nframes; f++) {
		uint32_t p = le32_get(ix->frames[f].pack);
		struct census_pack *x;

		if (p >= ix->npacks)
			continue;
		x = &c->packs.items[m->packs[p]];
		if (x->index == i && x->number == p)
			x->raw_bytes += le32_get(ix->frames[f].raw_len);
	}
	return 0;
}

int census_open(struct store *s, struct census **out, struct error *e)
{
	struct census *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_nomem(e);
	c->s = s;
	r = store_refresh(s, e);
	if (r) {
		free(c);
		return r;
	}
	c->sn = store_snapshot(s);
	c->map = calloc(c->sn->n + 1, sizeof(*c->map));
	if (!c->map)
		r = error_nomem(e);
	if (!r)
		r = make_slots(c, e);
	for (size_t i = 0; i < c->sn->n && !r; i++) {
		for (int k = 0; k < 2; k++) {
			c->map[i].base[k] = c->count;
			c->count += c->sn->ix[i].sec[k].n;
		}
		c->map[i].frame_base = c->frames;
		c->frames += c->sn->ix[i].nframes;
		r = add_packs(c, i, e);
	}
	if (r)
		census_close(c);
	else
		*out = c;
	return r;
}

struct store *census_store(const struct census *c)
{
	return c->s;
}

struct snapshot *census_snapshot(const struct census *c)
{
	return c->sn;
}

uint64_t census_count(const struct census *c)
{
	return c->count;
}

uint64_t census_frames(const struct census *c)
{
	return c->frames;
}

const struct census_pack *census_packs(const struct census *c, size_t *out_n)
{
	*out_n = c->packs.len;
	return c->packs.items;
}

size_t census_indexes(const struct census *c)
{
	return c->sn->n;
}

const char *census_index_name(const struct census *c, size_t i)
{
	return c->sn->ix[i].name;
}

int census_index_check(const struct census *c, size_t i, struct error *e)
{
	return index_check(&c->sn->ix[i], e);
}

bool census_find(const struct census *c, enum object_space space,
	const struct oid *id, uint64_t *out_pos)
{
	uint64_t pos;

	for (size_t i = 0; i < c->sn->n; i++)
		if (index_find(&c->sn->ix[i], space, id, &pos)) {
			*out_pos = c->map[i].base[space] + pos;
			return true;
		}
	return false;
}

bool census_at(const struct census *c, uint64_t pos, struct census_entry *out)
{
	for (size_t i = 0; i < c->sn->n; i++) {
		const struct index *ix = &c->sn->ix[i];

		for (int k = 0; k < 2; k++) {
			const struct index_section *s = &ix->sec[k];
			uint64_t p = pos - c->map[i].base[k];
			uint32_t f, pk;

			if (pos < c->map[i].base[k] || p >= s->n)
				continue;
			f = le32_get(s->locs[p].frame);
			if (f >= ix->nframes)
				return false;
			pk = le32_get(ix->frames[f].pack);
			if (pk >= ix->npacks)
				return false;
			out->space = (enum object_space)k;
			memcpy(out->id.b, s->ids + 32 * p, 32);
			out->kind = loc_kind(&s->locs[p]);
			out->len = loc_len(&s->locs[p]);
			out->off = le32_get(s->locs[p].off);
			out->pack = c->map[i].packs[pk];
			out->frame = c->map[i].frame_base + f;
			return out->kind > 0 && out->kind < OBJ_KINDS;
		}
	}
	return false;
}

bool census_frame_at(const struct census *c, uint64_t frame,
	struct census_frame *out)
{
	for (size_t i = 0; i < c->sn->n; i++) {
		const struct index *ix = &c->sn->ix[i];
		const struct index_frame *f;
		const struct census_pack *x;
		uint32_t p;

		if (frame < c->map[i].frame_base ||
			frame - c->map[i].frame_base >= ix->nframes)
			continue;
		f = &ix->frames[frame - c->map[i].frame_base];
		p = le32_get(f->pack);
		if (p >= ix->npacks)
			return false;
		out->pack = c->map[i].packs[p];
		out->off = le64_get(f->off);
		out->stored_len = le32_get(f->stored_len);
		out->raw_len = le32_get(f->raw_len);
		x = &c->packs.items[out->pack];
		out->first = x->index == i && x->number == p;
		return true;
	}
	return false;
}

int census_order_start(struct census_order *o, const struct census *c,
	const uint64_t *bits, struct error *e)
{
	*o = (struct census_order){ .c = c, .bits = bits,
		.at = calloc(c->sn->n + 1, sizeof(*o->at)) };
	return o->at ? 0 : error_nomem(e);
}

void census_order_end(struct census_order *o)
{
	free(o->at);
	o->at = NULL;
}

/* The id at the next set bit of an index file's section; NULL: there is none. */
static const uint8_t *order_head(struct census_order *o, size_t i)
{
	const struct index_section *s = &o->c->sn->ix[i].sec[o->space];
	uint64_t base = o->c->map[i].base[o->space];

	while (o->at[i] < s->n && !bit_get(o->bits, base + o->at[i]))
		o->at[i]++;
	return o->at[i] < s->n ? s->ids + 32 * o->at[i] : NULL;
}

int census_order_next(struct census_order *o, enum object_space *out_space,
	struct oid *out_id)
{
	for (;;) {
		const uint8_t *least = NULL;
		size_t from = 0;

		for (size_t i = 0; i < o->c->sn->n; i++) {
			const uint8_t *id = order_head(o, i);

			if (id && (!least || memcmp(id, least, 32) < 0)) {
				least = id;
				from = i;
			}
		}
		if (least) {
			memcpy(out_id->b, least, 32);
			*out_space = o->space;
			o->at[from]++;
			return 1;
		}
		if (o->space == SPACE_RECORD)
			return 0;
		o->space = SPACE_RECORD;
		memset(o->at, 0, o->c->sn->n * sizeof(*o->at));
	}
}

int census_order_key(void *o, uint8_t key[CONDEMNED_KEY])
{
	enum object_space space;
	struct oid id;

	if (!census_order_next(o, &space, &id))
		return 0;
	condemned_key(space, &id, key);
	return 1;
}

uint64_t *census_bits(uint64_t n)
{
	return calloc((size_t)(n / 64 + 1), sizeof(uint64_t));
}

int census_pack_check(struct census *c, size_t pack, struct error *e)
{
	const struct census_pack *x = &c->packs.items[pack];
	struct pack_header h;
	struct pack_footer f;
	struct backend *be = c->s->be;
	char name[64];
	uint64_t size;
	int fd, r;

	pack_name(x->id, name);
	r = be->ops->open(be, name, &fd, &size, e);
	if (r)
		return r;
	if (size != x->size || size < sizeof(h) + sizeof(f))
		r = error_set(e, ERR_DAMAGED,
			"library: %s has %llu bytes, not %llu", name,
			(unsigned long long)size, (unsigned long long)x->size);
	if (!r)
		r = be->ops->read(be, fd, &h, sizeof(h), 0, e);
	if (!r)
		r = be->ops->read(be, fd, &f, sizeof(f), size - sizeof(f), e);
	be->ops->close_handle(be, fd);
	if (r)
		return r;
	if (memcmp(h.magic, PACK_MAGIC, 8) || le32_get(h.flags) ||
		le32_get(h.format) != STORE_FORMAT || memcmp(h.id, x->id, 16))
		return error_set(e, ERR_DAMAGED, "library: %s: its header is "
						 "damaged", name);
	if (memcmp(f.magic, PACK_END_MAGIC, 8) || memcmp(f.id, x->id, 16) ||
		le64_get(f.size) != size || le64_get(f.frames) != x->frames ||
		le64_get(f.checksum) !=
			checksum64(&f, offsetof(struct pack_footer, checksum)))
		return error_set(e, ERR_DAMAGED, "library: %s: its footer is "
						 "damaged", name);
	return 0;
}

struct orphans {
	struct census *c;
	backend_list_fn fn;
	void *ctx;
};

static int orphan_one(void *ctx, const char *name, uint64_t size,
	int64_t mtime)
{
	struct orphans *o = ctx;
	uint8_t id[16];
	size_t at;

	if (strlen(name) != 37 || strcmp(name + 32, ".pack") ||
		!hex_decode(name, 16, id) ||
		census_pack_find(o->c, id, &at))
		return 0;
	return o->fn(o->ctx, name, size, mtime);
}

int census_orphans(struct census *c, backend_list_fn fn, void *ctx,
	struct error *e)
{
	struct orphans o = { c, fn, ctx };

	return c->s->be->ops->list(c->s->be, "packs", orphan_one, &o, e);
}
