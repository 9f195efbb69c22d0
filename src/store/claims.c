/* SPDX-License-Identifier: Apache-2.0 */
#include "store/claims.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/cleanup.h"
#include "store/store_internal.h"

#define SHARDS 64
#define SPACES 2

struct claim_set {
	pthread_mutex_t lock;
	struct oid *slots; /* open addressing; zero: free */
	size_t cap, used;
};

/* An index that waits. Those of one level are merged when they are
 * MERGE_AT, into one of the next: so a claim looks into few of them. */
#define MERGE_AT 8
struct retired {
	struct retired *next; /* older, of the same level or a higher one */
	struct index ix;
	unsigned level;
	char name[48];
};

struct claims {
	struct store *store;
	struct claim_set sets[SPACES][SHARDS];
	/* Newest first. Read with the lock of any set held; what was taken
	 * out of the list is freed after every lock was had once. */
	_Atomic(struct retired *) retired;
};

int claims_new(struct store *s, struct claims **out, struct error *e)
{
	struct claims *c = calloc(1, sizeof(*c));

	if (!c)
		return error_nomem(e);
	c->store = s;
	for (int k = 0; k < SPACES; k++)
		for (int i = 0; i < SHARDS; i++)
			pthread_mutex_init(&c->sets[k][i].lock, NULL);
	*out = c;
	return 0;
}

static void retired_free(struct claims *c, struct retired *r)
{
	struct backend *be = c->store->be;

	if (r->ix.data)
		index_close(be, &r->ix);
	be->ops->remove(be, r->name, NULL);
	free(r);
}

void claims_free(struct claims *c)
{
	if (!c)
		return;
	for (struct retired *r = c->retired, *next; r; r = next) {
		next = r->next;
		retired_free(c, r);
	}
	for (int k = 0; k < SPACES; k++)
		for (int i = 0; i < SHARDS; i++) {
			free(c->sets[k][i].slots);
			pthread_mutex_destroy(&c->sets[k][i].lock);
		}
	free(c);
}

/* --- the sets --- */

static size_t slot_of(const struct oid *id, size_t cap)
{
	return (size_t)get_le64(id->b + 8) & (cap - 1);
}

/* A free slot for an id that is not in the table. */
static struct oid *free_slot(struct oid *slots, size_t cap,
	const struct oid *id)
{
	size_t k = slot_of(id, cap);

	while (!oid_is_zero(&slots[k]))
		k = (k + 1) & (cap - 1);
	return &slots[k];
}

static bool set_has(const struct claim_set *s, const struct oid *id)
{
	if (!s->cap)
		return false;
	for (size_t k = slot_of(id, s->cap); !oid_is_zero(&s->slots[k]);
		k = (k + 1) & (s->cap - 1))
		if (oid_equal(&s->slots[k], id))
			return true;
	return false;
}

/* Moves what is not in drop (NULL: everything) to a table with room for one
 * more. False: out of memory; what is dropped then may break chains, so that
 * others are claimed a second time: no harm. */
static bool set_renew(struct claim_set *s, enum object_space space,
	const struct index *drop)
{
	size_t keep = 0, cap = 64;
	struct oid *fresh;
	uint64_t pos;

	for (size_t i = 0; i < s->cap; i++) {
		if (drop && !oid_is_zero(&s->slots[i]) &&
			index_find(drop, space, &s->slots[i], &pos))
			memset(&s->slots[i], 0, sizeof(s->slots[i]));
		keep += !oid_is_zero(&s->slots[i]);
	}
	s->used = keep;
	while ((keep + 1) * 4 > cap * 3)
		cap *= 2;
	fresh = calloc(cap, sizeof(*fresh));
	if (!fresh)
		return false;
	for (size_t i = 0; i < s->cap; i++)
		if (!oid_is_zero(&s->slots[i]))
			*free_slot(fresh, cap, &s->slots[i]) = s->slots[i];
	free(s->slots);
	s->slots = fresh;
	s->cap = cap;
	return true;
}

/* With the set's lock held. */
static bool in_retired(struct claims *c, enum object_space space,
	const struct oid *id)
{
	uint64_t pos;

	for (const struct retired *r = atomic_load(&c->retired); r;
		r = r->next)
		if (index_find(&r->ix, space, id, &pos))
			return true;
	return false;
}

static struct claim_set *set_of(struct claims *c, enum object_space space,
	const struct oid *id)
{
	return &c->sets[space][id->b[0] % SHARDS];
}

bool claims_have(struct claims *c, enum object_space space,
	const struct oid *id)
{
	struct claim_set *s = set_of(c, space, id);
	bool have;

	pthread_mutex_lock(&s->lock);
	have = set_has(s, id) || in_retired(c, space, id);
	pthread_mutex_unlock(&s->lock);
	return have;
}

bool claims_add(struct claims *c, enum object_space space,
	const struct oid *id)
{
	struct claim_set *s = set_of(c, space, id);
	bool fresh;

	pthread_mutex_lock(&s->lock);
	fresh = !set_has(s, id) && !in_retired(c, space, id);
	/* Out of memory: bringing it twice does no harm. */
	if (fresh && ((s->used + 1) * 4 <= s->cap * 3 ||
			     set_renew(s, space, NULL))) {
		*free_slot(s->slots, s->cap, id) = *id;
		s->used++;
	}
	pthread_mutex_unlock(&s->lock);
	return fresh;
}

/* --- closed packs --- */

bool claims_retired(const struct claims *c)
{
	return c->retired;
}

/* Puts a list of n retired indexes (from r on) in an array. */
static const struct index **as_array(struct retired *r, size_t n)
{
	const struct index **ix = calloc(n + 1, sizeof(*ix));

	for (size_t i = 0; ix && i < n; i++, r = r->next)
		ix[i] = &r->ix;
	return ix;
}

/* Nobody has a reference from the list when this returns that was not in it
 * when it began. */
static void wait_for_readers(struct claims *c)
{
	for (int k = 0; k < SPACES; k++)
		for (int i = 0; i < SHARDS; i++) {
			pthread_mutex_lock(&c->sets[k][i].lock);
			pthread_mutex_unlock(&c->sets[k][i].lock);
		}
}

static int open_retired(struct claims *c, struct retired *r, struct error *e)
{
	return index_open(c->store->be, r->name, &r->ix, e);
}

/* Merges the newest MERGE_AT where they are of one level. */
static int merge_newest(struct claims *c, struct error *e)
{
	struct retired *head = c->retired, *end = head, *fresh;
	AUTO_FREE const struct index **ix = NULL;
	size_t n;
	int r;

	for (n = 0; n < MERGE_AT && end && end->level == head->level; n++)
		end = end->next;
	if (n < MERGE_AT)
		return 0;
	ix = as_array(head, n);
	fresh = calloc(1, sizeof(*fresh));
	if (!ix || !fresh) {
		free(fresh);
		return error_nomem(e);
	}
	fresh->level = head->level + 1;
	fresh->next = end;
	snprintf(fresh->name, sizeof(fresh->name), "%.40s-%u", head->name,
		fresh->level);
	r = store_merge_to(c->store, fresh->name, ix, n, NULL, e);
	if (!r)
		r = open_retired(c, fresh, e);
	if (r) {
		retired_free(c, fresh);
		return r;
	}
	atomic_store(&c->retired, fresh);
	wait_for_readers(c);
	for (struct retired *next; head != end; head = next) {
		next = head->next;
		retired_free(c, head);
	}
	return 1;
}

int claims_retire(struct claims *c, const uint8_t pack_id[16],
	const struct buf *index, struct error *e)
{
	struct retired *n = calloc(1, sizeof(*n));
	char hex[33];
	int r;

	if (!n)
		return error_nomem(e);
	snprintf(n->name, sizeof(n->name), "pending/%s",
		hex_encode(pack_id, 16, hex));
	r = c->store->be->ops->put(
		c->store->be, n->name, index->data, index->len, e);
	if (!r)
		r = open_retired(c, n, e);
	if (r) {
		retired_free(c, n);
		return r;
	}
	n->next = c->retired;
	/* Listed first, forgotten then: nobody misses it in between. */
	atomic_store(&c->retired, n);
	for (int k = 0; k < SPACES; k++)
		for (int i = 0; i < SHARDS; i++) {
			struct claim_set *s = &c->sets[k][i];

			pthread_mutex_lock(&s->lock);
			if (s->used)
				set_renew(s, (enum object_space)k, &n->ix);
			pthread_mutex_unlock(&s->lock);
		}
	while ((r = merge_newest(c, e)) > 0)
		;
	return r;
}

int claims_publish(struct claims *c, struct error *e)
{
	AUTO_FREE const struct index **ix = NULL;
	size_t n = 0;

	for (const struct retired *r = c->retired; r; r = r->next)
		n++;
	ix = as_array(c->retired, n);
	return ix ? store_put_merged(c->store, ix, n, NULL, e)
		  : error_nomem(e);
}
