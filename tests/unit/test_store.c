/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "store/store.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/strata-store.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_refs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
