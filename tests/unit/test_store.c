/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include "store/census.h"
#include "store/index.h"
#include "store/lease.h"
#include "store/store.h"
#include "scratch.h"

static void put_many(struct store *s, unsigned seed, int n, struct oid *ids)
{
	struct writer *w;
	struct packer *p;
	struct error e = { 0 };

	assert_int_equal(writer_open(s, &(struct writer_options){
		.frame_size = 65536 }, &w, &e), 0);
	assert_int_equal(packer_open(w, &p, &e), 0);
	for (int i = 0; i < n; i++) {
		static uint8_t buf[100000];
		size_t len = 1 + (size_t)rand_r(&seed) % sizeof(buf);

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)(k * (unsigned)i + (seed >> 8));
		if (i % 3)
			assert_int_equal(packer_put_blob(p, buf, len, &ids[i],
				&e), 0);
		else
			assert_int_equal(packer_put_record(p, OBJ_TREE, buf,
				len, &ids[i], &e), 0);
	}
	assert_int_equal(packer_flush(p, &e), 0);
	packer_close(p);
	assert_int_equal(writer_finish(w, &e), 0);
	writer_close(w);
}

static void check(struct store *s, const struct oid *ids, int n)
{
	struct error e = { 0 };

	for (int i = 0; i < n; i++) {
		AUTO_BUF b = BUF_INIT;
		struct oid id;

		assert_int_equal(store_get(s, i % 3 ? SPACE_CONTENT
						    : SPACE_RECORD,
			&ids[i], NULL, &b, &e), 0);
		sha256(b.data, b.len, &id);
		assert_true(oid_equal(&id, &ids[i]));
	}
}

static void test_round_trip(void **state)
{
	struct backend *be;
	struct store *s, *other;
	struct error e = { 0 };
	static struct oid ids[20][200];
	struct store_stats st;
	struct oid none = { { 1 } };

	(void)state;
	assert_int_equal(backend_local_open(dir, &be, &e), 0);
	assert_int_equal(store_open(be, &s, &e), 0);
	assert_int_equal(store_open(be, &other, &e), 0);
	/* more sessions than index files are kept: they get merged */
	for (int k = 0; k < 20; k++) {
		put_many(s, (unsigned)k, 200, ids[k]);
		check(s, ids[k], 200);
		/* a store that was open before sees it too */
		check(other, ids[k], 200);
	}
	for (int k = 0; k < 20; k++)
		check(s, ids[k], 200);
	store_close(s);
	assert_int_equal(store_open(be, &s, &e), 0);
	for (int k = 0; k < 20; k++)
		check(s, ids[k], 200);
	assert_int_equal(store_get_stats(s, &st, &e), 0);
	assert_true(st.indexes <= 9);
	assert_int_equal(st.packs, 20);
	assert_int_equal(store_get(s, SPACE_CONTENT, &none, NULL, NULL, &e),
		ERR_NOTFOUND);
	/* content and records do not mix */
	assert_false(store_has(s, SPACE_CONTENT, &ids[0][0], NULL));
	store_close(s);
	store_close(other);
	backend_close(be);
}

/* Many threads bring the same objects, each in another order, through many
 * packs: every object is claimed once, and found afterwards. */
#define SAME 8000
#define THREADS 4
struct bringer {
	struct writer *w;
	pthread_t id;
	unsigned first, claimed;
};

static void *bring(void *arg)
{
	struct bringer *b = arg;
	struct packer *p;
	struct error e = { 0 };

	if (packer_open(b->w, &p, &e))
		return NULL;
	for (unsigned i = 0; i < SAME; i++) {
		unsigned n = (b->first + i) % SAME;
		struct oid id;

		sha256(&n, sizeof(n), &id);
		if (!writer_claim(b->w, SPACE_CONTENT, &id))
			continue;
		b->claimed++;
		if (packer_add(p, OBJ_BLOB, &id, &n, sizeof(n), &e))
			break;
	}
	b->first = packer_flush(p, &e) ? SAME : 0;
	packer_close(p);
	return b;
}

static void test_claims(void **state)
{
	struct bringer b[THREADS];
	struct store_stats stats;
	struct backend *be;
	struct store *s;
	struct writer *w;
	unsigned claimed = 0;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(backend_local_open(dir, &be, &e), 0);
	assert_int_equal(store_open(be, &s, &e), 0);
	/* about 80 packs: merged by eights, and eight of those */
	assert_int_equal(writer_open(s, &(struct writer_options){
		.frame_size = 400, .pack_objects = 100 }, &w, &e), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		b[i] = (struct bringer){ .w = w, .first = i * SAME / 8 };
		assert_int_equal(
			pthread_create(&b[i].id, NULL, bring, &b[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *done;

		pthread_join(b[i].id, &done);
		assert_ptr_equal(done, &b[i]);
		assert_int_equal(b[i].first, 0);
		claimed += b[i].claimed;
	}
	assert_int_equal(claimed, SAME);
	for (unsigned n = 0; n < SAME; n++) {
		struct oid id;

		sha256(&n, sizeof(n), &id);
		assert_true(writer_knows(w, SPACE_CONTENT, &id));
	}
	assert_int_equal(writer_finish(w, &e), 0);
	writer_close(w);
	assert_int_equal(store_get_stats(s, &stats, &e), 0);
	assert_int_equal(stats.count[OBJ_BLOB], SAME);
	assert_in_range(stats.packs, 64, SAME / 100);
	assert_int_equal(stats.indexes, 1);
	store_close(s);
	backend_close(be);
}

static void test_refs(void **state)
{
	struct backend *be;
	struct error e = { 0 };
	AUTO_BUF b = BUF_INIT;

	(void)state;
	assert_int_equal(backend_local_open(dir, &be, &e), 0);
#define UPDATE(n, o, v) be->ops->ref_update(be, n, o, v, "line", &e)
	assert_int_equal(UPDATE("refs/heads/a/b", NULL, "1"), 0);
	assert_int_equal(UPDATE("refs/heads/a/b", NULL, "1"), ERR_CONFLICT);
	assert_int_equal(UPDATE("refs/heads/a/b", "2", "3"), ERR_CONFLICT);
	assert_int_equal(UPDATE("refs/heads/a/b", "1", "3"), 0);
	assert_int_not_equal(UPDATE("refs/heads/a", NULL, "1"), 0);
	assert_int_not_equal(UPDATE("refs/heads/a/b/c", NULL, "1"), 0);
	assert_int_equal(be->ops->ref_read(be, "refs/heads/a/b", &b, &e), 0);
	assert_string_equal(buf_str(&b), "3");
	assert_int_equal(UPDATE("refs/heads/a/b", backend_any, NULL), 0);
	assert_int_equal(UPDATE("refs/heads/a", NULL, "1"), 0);
	backend_close(be);
}

/* --- lists of what gc may take --- */

/* Every other object of several index files: the list is sorted, holds those
 * and no others, is more than is written at a time, and is published again
 * from itself, with leases. */
static void test_condemned(void **state)
{
	struct backend *be;
	struct store *s;
	struct error e = { 0 };
	static struct oid ids[5][1000];
	struct census *c;
	struct census_order o;
	struct condemned list, again;
	char name[64] = "";
	uint8_t lease[1][16] = { "a lease of a wri" };
	struct lease_names held = { lease, 1 };
	uint64_t *bits, n = 0;

	(void)state;
	assert_int_equal(backend_local_open(dir, &be, &e), 0);
	assert_int_equal(store_open(be, &s, &e), 0);
	for (int k = 0; k < 5; k++)
		put_many(s, (unsigned)k + 50, 1000, ids[k]);
	assert_int_equal(census_open(s, &c, &e), 0);
	assert_int_equal(census_indexes(c), 5);
	bits = census_bits(census_count(c));
	for (uint64_t i = 0; i < census_count(c); i += 2, n++)
		bit_set(bits, i);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(census_order_start(&o, c, bits, &e), 0);
		assert_int_equal(condemned_publish(be, census_order_key, &o, NULL,
					 name, &e), 0);
		census_order_end(&o);
	}
	assert_int_equal(condemned_open(be, &list, &e), 0);
	assert_string_equal(list.name, name);
	assert_int_equal(list.nkeys, n);
	assert_true(list.held_unknown);
	for (uint64_t i = 1; i < n; i++)
		assert_true(memcmp(list.keys + (i - 1) * CONDEMNED_KEY,
				    list.keys + i * CONDEMNED_KEY,
				    CONDEMNED_KEY) < 0);
	for (uint64_t i = 0; i < census_count(c); i++) {
		struct census_entry x;

		assert_true(census_at(c, i, &x));
		assert_int_equal(condemned_has(&list, x.space, &x.id), i % 2 == 0);
	}
	assert_int_equal(condemned_publish(be, condemned_next,
		&(struct condemned_keys){ &list, 0 }, &held, name, &e), 0);
	assert_int_equal(condemned_open(be, &again, &e), 0);
	assert_false(again.held_unknown);
	assert_int_equal(again.held.len, 1);
	assert_memory_equal(again.held.ids, lease, 16);
	assert_int_equal(again.nkeys, n);
	assert_memory_equal(again.keys, list.keys, n * CONDEMNED_KEY);
	condemned_close(&again);
	condemned_close(&list);
	free(bits);
	census_close(c);
	store_close(s);
	backend_close(be);
}

/* --- merging indexes --- */

struct made {
	struct backend be;
	struct buf bytes;
	struct index ix;
};

static int made_map(struct backend *b, const char *name, const void **out,
	size_t *out_len, struct error *e)
{
	struct made *m = (struct made *)b;

	(void)name;
	(void)e;
	*out = m->bytes.data;
	*out_len = m->bytes.len;
	return 0;
}

static void made_unmap(struct backend *b, const void *p, size_t len)
{
	(void)b;
	(void)p;
	(void)len;
}

static const struct backend_ops made_ops = { .map = made_map,
	.unmap = made_unmap };

/* Objects [from, to), the even ones content; pack "p" holds them all. */
static void make_index(struct made *m, char p, unsigned from, unsigned to)
{
	struct index_pack pack = { .frames = le32_make(1) };
	struct index_frame frame = { .raw_len = le32_make(1000000),
		.stored_len = le32_make(10) };
	struct index_entry en[400];
	struct index_build b = { .packs = &pack,
		.npacks = 1,
		.frames = &frame,
		.nframes = 1,
		.entries = en,
		.nentries = to - from };
	struct error e = { 0 };

	memset(m, 0, sizeof(*m));
	m->be.ops = &made_ops;
	memset(pack.id, p, 16);
	for (unsigned i = from; i < to; i++) {
		en[i - from] = (struct index_entry){ .off = i * 10,
			.len_kind = 10u | (uint32_t)(i % 2 ? OBJ_TREE
							   : OBJ_BLOB) << 24 };
		sha256(&i, sizeof(i), &en[i - from].id);
	}
	assert_int_equal(index_build_encode(&b, &m->bytes, &e), 0);
	assert_int_equal(index_open(&m->be, "x", &m->ix, &e), 0);
}

static int to_buf(void *ctx, const void *data, size_t len, uint64_t off,
	struct error *e)
{
	struct buf *b = ctx;

	(void)e;
	if (!b->len)
		buf_zero(b, sizeof(struct index_header));
	if (off == b->len)
		buf_add(b, data, len);
	else
		memcpy(b->data + off, data, len);
	return 0;
}

static bool not_q(void *ctx, const uint8_t id[16])
{
	(void)ctx;
	return *id != 'q';
}

static bool not_first(void *ctx, size_t i, enum object_space space,
	uint64_t pos)
{
	(void)ctx;
	(void)i;
	return space != SPACE_CONTENT || pos;
}

static uint64_t merged(struct made *const *in, size_t n,
	const struct index_filter *f, unsigned to)
{
	struct made out = { .be = { &made_ops } };
	const struct index *ix[4];
	struct error e = { 0 };
	uint64_t pos, found = 0;

	for (size_t i = 0; i < n; i++)
		ix[i] = &in[i]->ix;
	assert_int_equal(index_merge(ix, n, f, to_buf, &out.bytes, &e), 0);
	assert_int_equal(index_open(&out.be, "m", &out.ix, &e), 0);
	assert_int_equal(index_check(&out.ix, &e), 0);
	for (unsigned i = 0; i < to; i++) {
		enum object_space s = i % 2 ? SPACE_RECORD : SPACE_CONTENT;
		struct oid id;

		sha256(&i, sizeof(i), &id);
		if (!index_find(&out.ix, s, &id, &pos))
			continue;
		assert_int_equal(le32_get(out.ix.sec[s].locs[pos].off), i * 10);
		found++;
	}
	assert_int_equal(found, out.ix.sec[0].n + out.ix.sec[1].n);
	buf_release(&out.bytes);
	return found;
}

static void test_merge(void **state)
{
	static struct made a, b, q, again;
	struct made *all[] = { &a, &b, &q, &again };
	const struct index_filter no_q = { not_q, not_first, NULL };
	const struct index *ix = &a.ix;
	AUTO_BUF sink = BUF_INIT;
	struct error e = { 0 };
	uint8_t id[32];
	uint8_t *ids;

	(void)state;
	make_index(&a, 'a', 0, 300);
	make_index(&b, 'b', 250, 500);
	make_index(&q, 'q', 400, 600);
	make_index(&again, 'a', 0, 300); /* a pack that is listed twice */
	assert_int_equal(merged(all, 1, NULL, 700), 300);
	assert_int_equal(merged(all, 3, NULL, 700), 600);
	assert_int_equal(merged(all, 4, NULL, 700), 600);
	/* each of the two loses its first entry of content */
	assert_in_range(merged(all, 3, &no_q, 700), 498, 499);
	assert_int_equal(merged(all, 0, NULL, 700), 0);

	/* out of order: not copied, and not lost */
	ids = a.bytes.data + (a.ix.sec[0].ids - a.bytes.data);
	memcpy(id, ids, 32);
	memcpy(ids, ids + 32, 32);
	memcpy(ids + 32, id, 32);
	assert_int_equal(index_merge(&ix, 1, NULL, to_buf, &sink, &e),
		ERR_DAMAGED);
	for (int i = 0; i < 4; i++)
		buf_release(&all[i]->bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, scratch_make,
			scratch_remove),
		cmocka_unit_test_setup_teardown(test_claims, scratch_make,
			scratch_remove),
		cmocka_unit_test(test_merge),
		cmocka_unit_test_setup_teardown(test_condemned, scratch_make,
			scratch_remove),
		cmocka_unit_test_setup_teardown(test_refs, scratch_make,
			scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
