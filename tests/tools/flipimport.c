/* SPDX-License-Identifier: Apache-2.0 */
/* flipimport [-n CHANGES] [-s SEED] [-d OTHER] [-t SECONDS] [-b OFFSET] LIBRARY
 * IMAGE: imports an image with one byte changed, over and over, and looks whether
 * the stored disk is the changed one, byte for byte, and whether every file that
 * the import knows the content of reads as that content. With -d: with blocks
 * changed instead (zeroed, filled, swapped, written twice, taken from the image
 * OTHER, which may be the same) or the end cut off. With -t: an import may take
 * that long at most. With -b: instead, reads of the sector at OFFSET fail; the
 * import must fail with IO and that offset, and the library be as before.
 *
 * The library is made anew every 100 changes. An import that takes more than
 * two minutes is a hang: SIGALRM ends the program.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/checked.h"
#include "codec/digest.h"
#include "ops/import.h"
#include "view/files.h"
#include "view/view.h"

#define SECTOR 512
#define READ_MAX (16u << 20)
#define RENEW 100

static struct error err;
static uint64_t rng;

static _Noreturn void die(const char *what, int r)
{
	fprintf(stderr, "flipimport: %s: %d: %s\n", what, r, err.msg);
	exit(1);
}

static void check(const char *what, int r)
{
	if (r)
		die(what, r);
}

static uint64_t rnd(void) /* xorshift64 */
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

typedef VEC(uint64_t) sectors;

/* Sectors that are not zero. */
static void find_sectors(struct source *src, sectors *out)
{
	uint8_t b[65536];

	for (uint64_t at = 0; at < src->size;) {
		uint64_t from, to;

		check("extents", source_next_data(src, at, src->size,
					  UINT64_MAX, &from, &to, &err));
		for (at = from; at < to;) {
			size_t n = (size_t)u64_min(sizeof(b), to - at);

			check("read", source_pread(src, b, n, at, &err));
			for (size_t k = 0; k < n; k += SECTOR)
				if (!is_zero(b + k, size_min(SECTOR, n - k)) &&
					!vec_push(out, at + k))
					die("memory", 0);
			at += n;
		}
	}
}

/* --- what an import must be --- */

static bool is_hole(struct source *s, uint64_t off, uint64_t *end)
{
	struct source_extent x;

	check("extent", source_extent_at(s, off, &x, &err));
	*end = off + x.len;
	return x.kind == SOURCE_ZERO;
}

static void compare(struct source *want, struct source *have)
{
	static uint8_t a[1 << 20], b[1 << 20];

	if (want->size != have->size)
		die("the stored disk has another size", 0);
	for (uint64_t at = 0; at < want->size;) {
		uint64_t x, y, n;
		bool hole_a = is_hole(want, at, &x);
		bool hole_b = is_hole(have, at, &y);
		bool zero = hole_a && hole_b;

		n = u64_min(x, y) - at;
		if (!zero) {
			n = u64_min(n, sizeof(a));
			check("read", source_pread(want, a, (size_t)n, at,
					      &err));
			check("read of the stored disk",
				source_pread(have, b, (size_t)n, at, &err));
			if (memcmp(a, b, (size_t)n) != 0)
				die("the stored disk differs", 0);
		}
		at += n;
	}
}

struct reading {
	struct view_files *v;
	uint64_t files, not_had;
};

static int read_entry(void *ctx, const struct view_item *it)
{
	struct reading *rd = ctx;
	AUTO_SOURCE src = NULL;
	AUTO_FREE uint8_t *b = NULL;
	struct oid id;
	int r;

	if (it->x->type != ENTRY_FILE || it->x->flags & ENTRY_OPAQUE ||
		it->x->size > READ_MAX)
		return 0;
	r = view_open_file(rd->v, it->mount, it->path, it->x, &src, &err);
	b = malloc((size_t)it->x->size + 1);
	if (!r && b)
		r = source_pread(src, b, (size_t)it->x->size, 0, &err);
	if (r) {
		fprintf(stderr, "flipimport: %s: %s\n", it->path, err.msg);
		return r;
	}
	sha256(b, (size_t)it->x->size, &id);
	if (!oid_equal(&id, &it->x->id)) {
		fprintf(stderr, "flipimport: %s: has another content\n",
			it->path);
		return ERR_CORRUPT;
	}
	rd->files++;
	return 0;
}

static uint64_t read_files(struct library *l, const struct oid *commit,
	const struct image *im)
{
	struct view_visitor visitor = { .entry = read_entry };
	uint64_t files = 0;

	for (size_t i = 0; i < im->volumes.len; i++) {
		AUTO_VIEW v = NULL;
		AUTO_NODE root = { 0 };
		struct reading rd = { 0 };

		if (!im->volumes.items[i].has_tree)
			continue;
		check("open of a volume",
			view_open_commit(l, commit, -1,
				im->volumes.items[i].name, &v, &err));
		check("root", view_lookup(v, "/", true, &root, &err));
		rd.v = v;
		visitor.ctx = &rd;
		check("walk", view_walk(v, &root, &visitor, &err));
		files += rd.files;
	}
	return files;
}

static uint64_t findings;

static void count(void *ctx, const struct finding *f)
{
	(void)ctx;
	(void)f;
	findings++;
}

static const struct finding_sink sink = { count, NULL };

static uint64_t one(struct library *l, struct source *disk, unsigned n)
{
	struct import_result res;
	AUTO_SOURCE stored = NULL;
	uint64_t files;
	char branch[24];
	int r;

	snprintf(branch, sizeof(branch), "b%u", n);
	r = ops_import(l, &(struct import_args){ .disks = &disk,
				 .ndisks = 1,
				 .branch = branch,
				 .threads = 2,
				 .findings = &sink },
		&res, &err);
	check("import", r);
	check("view", view_disk(l, &res.image.disks.items[0], &stored, &err));
	compare(disk, stored);
	files = read_files(l, &res.commit, &res.image);
	import_result_release(&res);
	return files;
}

static void renew(const char *path, struct library **l)
{
	AUTO_BUF cmd = BUF_INIT;

	library_close(*l);
	*l = NULL;
	buf_printf(&cmd, "rm -rf '%s'", path);
	if (system(buf_str(&cmd)))
		die("rm", errno);
	check("init", library_init(path, &err));
	check("open", library_open(path, l, &err));
}

static void flip(struct source *base, struct source *over, uint64_t off)
{
	uint8_t old, new;

	check("read", source_pread(base, &old, 1, off, &err));
	switch (rnd() % 4) {
	case 0:
		new = (uint8_t)(old ^ 1u << rnd() % 8);
		break;
	case 1:
		new = old ? 0 : 1;
		break;
	case 2:
		new = old == 0xff ? 0x7f : 0xff;
		break;
	default:
		new = (uint8_t)(old + 1 + rnd() % 255);
	}
	check("write", source_overlay_write(over, &new, 1, off, &err));
	/* Told when it crashes. */
	fprintf(stderr, "\rbyte %" PRIu64 ": %02x -> %02x  ", off, old, new);
}

/* One block, in which there is something, and what becomes of it. */
static void damage_block(struct source *base, struct source *other,
	struct source *over, const sectors *at)
{
	static const size_t sizes[] = { 32, 512, 512, 1024, 4096, 4096, 16384 };
	static uint8_t a[16384], b[16384];
	size_t size = sizes[rnd() % ARRAY_LEN(sizes)];
	uint64_t x = round_down(at->items[rnd() % at->len], size);
	uint64_t y = round_down(at->items[rnd() % at->len], size);
	unsigned how = (unsigned)(rnd() % 7);

	if (size == 32)
		x += rnd() % (SECTOR / 32) * 32;
	if (!range_inside(x, size, base->size) ||
		!range_inside(y, size, base->size))
		return;
	fprintf(stderr, "\rblock %" PRIu64 " +%zu, %u, %" PRIu64 "  ", x, size,
		how, y);
	check("read", source_pread(over, a, size, x, &err));
	check("read", source_pread(over, b, size, y, &err));
	switch (how) {
	case 0:
		memset(b, 0, size);
		break;
	case 1:
		memset(b, 0xff, size);
		break;
	case 2:
		for (size_t i = 0; i < size; i++)
			b[i] = (uint8_t)rnd();
		break;
	case 3:
		check("write", source_overlay_write(over, a, size, y, &err));
		break;
	case 4: /* shifted */
		memmove(b + 16, a, size - 16);
		break;
	case 5:
		if (!range_inside(x, size, other->size))
			return;
		check("read", source_pread(other, b, size, x, &err));
		break;
	default: /* b as it is: twice there */
		break;
	}
	check("write", source_overlay_write(over, b, size, x, &err));
}

/* Some blocks; or all of the other image from somewhere on. */
static void damage(struct source *base, struct source *other,
	struct source *over, const sectors *at)
{
	unsigned n = 1u << rnd() % 5;

	if (rnd() % 16 == 0) {
		uint64_t from = at->items[rnd() % at->len];

		for (size_t i = 0; i < at->len; i++) {
			uint8_t b[SECTOR];

			if (at->items[i] < from ||
				!range_inside(at->items[i], SECTOR,
					u64_min(base->size, other->size)))
				continue;
			check("read", source_pread(other, b, SECTOR,
					      at->items[i], &err));
			check("write", source_overlay_write(over, b, SECTOR,
					       at->items[i], &err));
		}
	}
	while (n--)
		damage_block(base, other, over, at);
}

/* What is imported: the image with its change, perhaps cut off. */
static struct source *changed(struct source *base, struct source *other,
	const sectors *at)
{
	struct source *over, *cut;

	check("overlay", source_overlay(base, &over, &err));
	if (!other) {
		uint64_t off = at->items[rnd() % at->len] + rnd() % SECTOR;

		if (off < base->size)
			flip(base, over, off);
		return over;
	}
	damage(base, other, over, at);
	if (rnd() % 8 || base->size < 2 * SECTOR)
		return over;
	check("window", source_window(over, 0,
				round_down(SECTOR + rnd() % (base->size -
							    SECTOR), SECTOR),
				&cut, &err));
	fprintf(stderr, "cut at %" PRIu64 "  ", cut->size);
	source_unref(over);
	return cut;
}

static void read_error(struct library *l, struct source *base, uint64_t off)
{
	AUTO_SOURCE bad = NULL;
	struct import_result res;
	struct oid id;
	int r;

	check("source", source_faulty(base, off, SECTOR, &bad, &err));
	r = ops_import(l, &(struct import_args){ .disks = &bad,
				 .ndisks = 1,
				 .branch = "bad",
				 .findings = &sink },
		&res, &err);
	if (r != ERR_IO || !err.has_offset || err.offset > off + SECTOR ||
		err.offset + (1 << 22) < off)
		die("a read error is not what the import tells", r);
	printf("offset %" PRIu64 ": %s\n", err.offset, err.msg);
	if (library_ref_read(l, REFS_HEADS, "bad", &id, &err) != ERR_NOTFOUND)
		die("a branch was left behind", 0);
	one(l, base, 1);
}

int main(int argc, char **argv)
{
	struct library *l = NULL;
	AUTO_SOURCE base = NULL;
	AUTO_SOURCE other = NULL;
	sectors at = { 0 };
	unsigned changes = 100;
	uint64_t bad = UINT64_MAX, files = 0;
	double longest = 0, allowed = 120;
	struct rusage ru;
	int c;

	rng = 88172645463325252u;
	while ((c = getopt(argc, argv, "+n:s:b:d:t:")) != -1) {
		if (c == 'n')
			changes = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			rng ^= strtoull(optarg, NULL, 10) *
			       UINT64_C(0x9e3779b97f4a7c15);
		else if (c == 'd')
			check("image", source_file_open(optarg, &other, &err));
		else if (c == 't')
			allowed = strtod(optarg, NULL);
		else if (c == 'b')
			bad = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: flipimport [-n CHANGES] [-s SEED] "
				"[-d OTHER] [-t SECONDS] [-b OFFSET] LIBRARY "
				"IMAGE\n");
		return 2;
	}
	check("image", source_file_open(argv[optind + 1], &base, &err));
	renew(argv[optind], &l);
	if (bad != UINT64_MAX) {
		read_error(l, base, bad);
		changes = 0;
	} else {
		find_sectors(base, &at);
	}
	for (unsigned i = 0; i < changes && at.len; i++) {
		AUTO_SOURCE over = NULL;
		struct timespec t0, t1;
		double s;

		if (i && !(i % RENEW))
			renew(argv[optind], &l);
		fprintf(stderr, "\n%u: ", i);
		over = changed(base, other, &at);
		alarm((unsigned)allowed + 1);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		files += one(l, over, i);
		clock_gettime(CLOCK_MONOTONIC, &t1);
		s = (double)(t1.tv_sec - t0.tv_sec) +
		    (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
		longest = s > longest ? s : longest;
		if (longest > allowed)
			die("an import takes too long", 0);
	}
	alarm(0);
	library_close(l);
	vec_release(&at);
	getrusage(RUSAGE_SELF, &ru);
	fprintf(stderr, "\r");
	printf("%u changes, %" PRIu64 " files read, %" PRIu64
	       " findings, longest %.2f s, %ld MiB\n",
		changes, files, findings, longest, ru.ru_maxrss / 1024);
	return 0;
}
