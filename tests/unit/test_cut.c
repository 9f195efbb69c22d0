/* SPDX-License-Identifier: Apache-2.0 */
/* A file-system reader that lies: extents that overlap, lie outside, are out
 * of order or of the wrong length, content that cannot be read. Whatever it
 * says, the disk comes back bit for bit, and what it said right about a file
 * gives that file's hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/checked.h"
#include "codec/digest.h"
#include "library/library.h"
#include "ops/ingest.h"
#include "ops/verify.h"
#include "view/view.h"
#include "scratch.h"

enum { ROOT = 1, FIRST = 10, FILES = 24, EXTENTS = 6, ROUNDS = 80 };

struct lie {
	uint64_t size;
	struct fs_extent x[EXTENTS];
	unsigned n;
	bool honest;	 /* its extents are in order and on the device */
	int pread_fails; /* an error code, or 0 */
};

static struct lie lies[FILES];
static unsigned nlies;
static uint8_t *disk;
static size_t disk_len;
static unsigned seed;

static uint64_t rnd(uint64_t below)
{
	uint64_t v = (uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed);

	return below ? v % below : v;
}

/* --- the reader --- */

static int liar_open(const struct fs_open_args *a, struct fs **out,
	struct error *e);

static void liar_close(struct fs *fs)
{
	free(fs);
}

static int liar_stat(struct fs *fs, uint64_t id, struct fs_node *out,
	struct error *e)
{
	(void)fs;
	if (id != ROOT && (id < FIRST || id >= FIRST + nlies))
		return error_set(e, ERR_NOTFOUND, "no such file");
	*out = (struct fs_node){ .id = id,
		.nlink = 1,
		.mode = 0644,
		.type = id == ROOT ? FS_DIR : FS_FILE,
		.size = id == ROOT ? 0 : lies[id - FIRST].size };
	return 0;
}

static int liar_readdir(struct fs *fs, uint64_t id, fs_entry_fn fn, void *ctx,
	struct error *e)
{
	int r = 0;

	(void)fs;
	(void)e;
	for (unsigned i = 0; id == ROOT && i < nlies && !r; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "f%u", i);

		r = fn(ctx, (const uint8_t *)name, (size_t)n, FIRST + i);
	}
	return r;
}

static int liar_readlink(struct fs *fs, uint64_t id, struct buf *out,
	struct error *e)
{
	(void)fs;
	(void)id;
	(void)out;
	return error_set(e, ERR_CORRUPT, "no links here");
}

static int liar_extents(struct fs *fs, uint64_t id, fs_extent_fn fn, void *ctx,
	struct error *e)
{
	const struct lie *l = &lies[id - FIRST];
	int r = 0;

	(void)fs;
	(void)e;
	for (unsigned i = 0; i < l->n && !r; i++)
		r = fn(ctx, &l->x[i]);
	return r;
}

static int liar_pread(struct fs *fs, uint64_t id, void *buf, size_t len,
	uint64_t off, struct error *e)
{
	const struct lie *l = &lies[id - FIRST];

	(void)fs;
	if (l->pread_fails)
		return error_set(e, l->pread_fails, "unreadable");
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)((off + i) * 7 + id);
	return 0;
}

static const struct fs_ops liar_ops = {
	.name = "liar",
	.open = liar_open,
	.close = liar_close,
	.stat = liar_stat,
	.readdir = liar_readdir,
	.readlink = liar_readlink,
	.extents = liar_extents,
	.pread = liar_pread,
};

static int liar_open(const struct fs_open_args *a, struct fs **out,
	struct error *e)
{
	(void)a;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return error_nomem(e);
	(*out)->ops = &liar_ops;
	(*out)->root = ROOT;
	return 0;
}

/* --- what it says --- */

static void make_disk(void)
{
	disk_len = (size_t)(1 + rnd(8 << 20));
	disk = calloc(1, disk_len);
	assert_non_null(disk);
	for (size_t at = 0; at < disk_len; at += 4096) {
		size_t n = size_min(4096, disk_len - at);

		switch (rnd(4)) {
		case 0: /* zeros */
			break;
		case 1: /* the same as elsewhere */
			memset(disk + at, (int)rnd(3) + 'a', n);
			break;
		default:
			for (size_t i = 0; i < n; i++)
				disk[at + i] = (uint8_t)rnd(256);
		}
	}
}

static void honest(struct lie *l)
{
	uint64_t off = 0;

	l->honest = true;
	l->n = (unsigned)rnd(EXTENTS + 1);
	for (unsigned i = 0; i < l->n; i++) {
		uint64_t len = 4096 * (1 + rnd(rnd(2) ? 4 : 200));

		if (len > disk_len)
			len = disk_len;
		off += rnd(4) ? 0 : 4096 * rnd(20);
		l->x[i] = (struct fs_extent){ .file_off = off,
			.len = len,
			.dev_off = rnd(disk_len - len + 1),
			.dev_len = len,
			.kind = rnd(6) ? FS_EXTENT_DATA : FS_EXTENT_UNWRITTEN };
		if (rnd(4))
			l->x[i].dev_off &= ~UINT64_C(4095);
		off += len;
	}
	l->size = rnd(3) || !off ? off : off - rnd(4096);
}

static void lie(struct lie *l)
{
	struct fs_extent *x = &l->x[rnd(EXTENTS)];

	l->honest = false;
	if (!l->n)
		l->n = 1;
	x = &l->x[rnd(l->n)];
	switch (rnd(10)) {
	case 0: x->dev_off = disk_len - rnd(5000); break;
	case 1: x->dev_off = UINT64_MAX - rnd(10000); break;
	case 2: x->len = x->dev_len = UINT64_MAX - rnd(10000); break;
	case 3: x->len = x->dev_len = rnd(3); break;
	case 4: x->file_off = rnd(1 << 20); break;
	case 5: x->file_off = UINT64_MAX - rnd(5000); break;
	case 6: x->kind = (enum fs_extent_kind)rnd(4); break;
	case 7: x->dev_len = rnd(1 << 20); break;
	case 8: l->size = rnd(16 << 20); break;
	default: x->dev_off = lies[rnd(FILES)].x[0].dev_off + 1; break;
	}
	if (!rnd(3))
		l->pread_fails = rnd(2) ? ERR_CORRUPT : ERR_LIMIT;
}

static void make_lies(void)
{
	memset(lies, 0, sizeof(lies));
	nlies = 1 + (unsigned)rnd(FILES);
	for (unsigned i = 0; i < nlies; i++) {
		if (i && !rnd(6)) { /* the very same extents, or cut off */
			lies[i] = lies[i - 1];
			if (rnd(2) && lies[i].n > 1)
				lies[i].n--, lies[i].honest = false;
			continue;
		}
		honest(&lies[i]);
		while (!rnd(3))
			lie(&lies[i]);
	}
}

/* --- what must hold --- */

static void content_of(const struct lie *l, uint8_t *buf)
{
	memset(buf, 0, l->size + 1);
	for (unsigned i = 0; i < l->n; i++) {
		const struct fs_extent *x = &l->x[i];

		if (x->kind == FS_EXTENT_DATA && x->file_off < l->size)
			memcpy(buf + x->file_off, disk + x->dev_off,
				u64_min(x->len, l->size - x->file_off));
	}
}

static unsigned check_hashes(struct cut *c)
{
	size_t near = SIZE_MAX;
	unsigned n = 0;

	for (unsigned i = 0; i < nlies; i++) {
		const struct cut_file *f = cut_find(c, 0, FIRST + i, &near);
		uint8_t *buf;
		struct oid id;

		if (!f || !lies[i].honest || f->state != CUT_PLAIN)
			continue;
		assert_true(f->flags & CUT_HASHED);
		buf = malloc(lies[i].size + 1);
		assert_non_null(buf);
		content_of(&lies[i], buf);
		sha256(buf, lies[i].size, &id);
		free(buf);
		assert_memory_equal(&id, &f->hash, sizeof(id));
		n++;
	}
	return n;
}

static unsigned one_round(struct library *l)
{
	struct source *src, *back;
	struct survey s;
	struct cut c;
	struct writer *w;
	struct ingest_disk id;
	struct image im = { 0 };
	struct error e = { 0 };
	struct ingest_args a = { .disks = &src, .ndisks = 1, .cut = &c,
		.threads = 1 + (unsigned)rnd(4) };
	uint8_t *got;
	unsigned n;

	make_disk();
	make_lies();
	assert_int_equal(source_memory(disk, disk_len, &src, &e), 0);
	assert_int_equal(survey_open(&src, 1, NULL, &s, &e), 0);
	assert_int_equal(s.volumes.len, 1);
	s.volumes.items[0].ops = &liar_ops;
	assert_int_equal(cut_make(&s, NULL, NULL, &c, &e), 0);
	assert_int_equal(writer_open(l->store, NULL, &w, &e), 0);
	a.writer = w;
	assert_int_equal(ingest_disk(&a, 0, &id, &e), 0);
	assert_int_equal(ingest_rest(&a, &s, NULL, &e), 0);
	n = check_hashes(&c);
	assert_int_equal(writer_finish(w, &e), 0);
	writer_close(w);

	assert_true(vec_push(&im.disks, (struct image_disk){
		.size = disk_len, .sector_size = 512, .layout = id.layout,
		.sum = id.sum }));
	disk_digest_final(&id.sum, disk_len, im.disks.items[0].digest);
	assert_int_equal(verify_disks(l, &im, NULL, &e), 0);
	assert_int_equal(view_disk(l, &im.disks.items[0], &back, &e), 0);
	got = malloc(disk_len);
	assert_non_null(got);
	assert_int_equal(source_pread(back, got, disk_len, 0, &e), 0);
	assert_memory_equal(got, disk, disk_len);
	free(got);
	source_unref(back);
	vec_release(&im.disks);
	cut_release(&c);
	survey_release(&s);
	source_unref(src);
	free(disk);
	return n;
}

static void test_lies(void **state)
{
	struct library *l;
	struct error e = { 0 };
	unsigned hashed = 0;

	(void)state;
	assert_int_equal(library_init(dir, &e), 0);
	assert_int_equal(library_open(dir, &l, &e), 0);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		seed = i;
		print_message("seed %u\n", i);
		hashed += one_round(l);
	}
	library_close(l);
	assert_true(hashed > ROUNDS * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lies, scratch_make,
			scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
