/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/bootset.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"

#define BLOCKS_MIN (1 * MIB / BOOT_BLOCK)
/* Of which blocks were seen is told by maps of this many, made when the first
 * of them is: a guest reads here and there of a large disk. */
#define MAP_BLOCKS 16384u
/* Disks that are not recorded: the table of maps would be over 512 KiB. */
#define DISK_MAX (4 * TIB)

struct bootset {
	char *path;
	uint64_t disk_size;
	pthread_mutex_t lock;
	bool asked; /* known ranges were handed to prefetch */
	boot_ranges known, sorted;
	/* recording */
	_Atomic bool recording;
	unsigned seconds;
	struct timespec first, last;
	uint8_t **seen; /* maps of a bit a block, or NULL */
	size_t nseen;
	VEC(uint32_t) order;
};

/* Derived and small: whole or not at all, but nobody waits for the medium. */
static void save(struct bootset *b)
{
	AUTO_BUF text = BUF_INIT, tmp = BUF_INIT, dir = BUF_INIT;
	char *slash;
	int fd;
	bool ok;

	buf_addstr(&text, BOOT_RANGES_HEAD);
	for (size_t i = 0; i < b->order.len;) {
		uint64_t from = b->order.items[i], n = 1;

		while (i + n < b->order.len && b->order.items[i + n] == from + n)
			n++;
		i += n;
		from *= BOOT_BLOCK;
		n = u64_min(n * BOOT_BLOCK, b->disk_size - from);
		buf_printf(&text, "%" PRIu64 " %" PRIu64 "\n", from, n);
	}
	/* cache, then cache/boot */
	buf_addstr(&dir, b->path);
	buf_str(&dir);
	for (int up = 2; up > 0; up--) {
		char *d = strdup(buf_str(&dir));

		for (int k = 0; d && k < up; k++)
			if ((slash = strrchr(d, '/')))
				*slash = 0;
		if (d)
			mkdir(d, 0777);
		free(d);
	}
	buf_printf(&tmp, "%s.%ld.tmp", b->path, (long)getpid());
	if (text.oom || tmp.oom || dir.oom)
		return;
	fd = open(buf_str(&tmp),
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return;
	ok = write(fd, text.data, text.len) == (ssize_t)text.len;
	ok = !close(fd) && ok;
	if (!ok || rename(buf_str(&tmp), b->path))
		unlink(buf_str(&tmp));
}

static int range_cmp(const void *a, const void *b)
{
	const struct boot_range *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* What is known, by place; neighbours as one. Without it (no memory) nothing
 * counts as known. */
static void sort_known(struct bootset *b)
{
	size_t n = 0;

	if (!b->known.len || !vec_reserve(&b->sorted, b->known.len))
		return;
	memcpy(b->sorted.items, b->known.items,
		b->known.len * sizeof(struct boot_range));
	qsort(b->sorted.items, b->known.len, sizeof(struct boot_range),
		range_cmp);
	for (size_t i = 1; i < b->known.len; i++) {
		struct boot_range *x = &b->sorted.items[n];
		const struct boot_range *y = &b->sorted.items[i];

		/* inside the disk: nothing overflows */
		if (y->off <= x->off + x->len)
			x->len = u64_max(x->len, y->off + y->len - x->off);
		else
			b->sorted.items[++n] = *y;
	}
	b->sorted.len = n + 1;
}

struct bootset *bootset_open(struct library *l, const struct oid *image,
	unsigned disk, uint64_t disk_size, enum bootset_mode mode,
	unsigned seconds)
{
	struct bootset *b;

	if (mode == BOOTSET_OFF || disk_size > DISK_MAX || !disk_size)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	b->disk_size = disk_size;
	b->seconds = seconds;
	b->path = boot_ranges_path(l, image, disk);
	if (b->path && (!boot_ranges_load(l, image, disk, disk_size,
				&b->known) ||
			       mode == BOOTSET_RECORD)) {
		b->nseen = div_ceil(disk_size, BOOT_BLOCK * MAP_BLOCKS);
		b->seen = calloc(b->nseen, sizeof(*b->seen));
		b->recording = b->seen != NULL;
	}
	sort_known(b);
	return b;
}

static double since(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) +
	       (double)(b->tv_nsec - a->tv_nsec) / 1e9;
}

/* With the lock held, or alone. */
static void stop(struct bootset *b)
{
	if (!b->recording)
		return;
	b->recording = false;
	if (b->order.len >= BLOCKS_MIN && b->order.len < BOOT_BLOCKS_MAX &&
		since(&b->first, &b->last) >= 1)
		save(b);
	vec_release(&b->order);
	for (size_t i = 0; i < b->nseen; i++)
		free(b->seen[i]);
	free(b->seen);
	b->seen = NULL;
}

/* The first time that this block is read? False too where memory is short:
 * what is not known is not read ahead. */
static bool is_new(struct bootset *b, uint64_t block)
{
	uint8_t **map = &b->seen[block / MAP_BLOCKS], *byte;
	uint8_t bit = (uint8_t)(1u << (block % 8));

	if (!*map && !(*map = calloc(MAP_BLOCKS / 8, 1)))
		return false;
	byte = &(*map)[block % MAP_BLOCKS / 8];
	if (*byte & bit)
		return false;
	*byte |= bit;
	return true;
}

void bootset_close(struct bootset *b)
{
	if (!b)
		return;
	stop(b);
	vec_release(&b->known);
	vec_release(&b->sorted);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

static void record(struct bootset *b, uint64_t off, uint64_t len)
{
	struct timespec now;
	uint64_t from = off / BOOT_BLOCK;
	uint64_t to = div_ceil(off + len, BOOT_BLOCK);

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!b->order.len)
		b->first = now;
	if (since(&b->first, &now) > b->seconds) {
		stop(b);
		return;
	}
	b->last = now;
	for (; from < to && b->recording; from++)
		if (is_new(b, from) && (b->order.len >= BOOT_BLOCKS_MAX ||
					       !vec_push(&b->order,
						       (uint32_t)from))) {
			b->order.len = 0; /* a copy, not a start */
			stop(b);
		}
}

static bool is_known(const struct bootset *b, uint64_t off, uint64_t len)
{
	size_t lo = 0, hi = b->sorted.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->sorted.items[mid].off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && range_inside(off - b->sorted.items[lo - 1].off, len,
			     b->sorted.items[lo - 1].len);
}

bool bootset_note(struct bootset *b, struct prefetch *p, struct source *src,
	uint64_t budget, uint64_t off, uint64_t len)
{
	bool ask;

	if (!b || !len)
		return false;
	if (!b->recording && __atomic_load_n(&b->asked, __ATOMIC_RELAXED))
		return is_known(b, off, len);
	pthread_mutex_lock(&b->lock);
	ask = !b->asked;
	__atomic_store_n(&b->asked, true, __ATOMIC_RELAXED);
	if (b->recording)
		record(b, off, len);
	pthread_mutex_unlock(&b->lock);
	for (size_t i = 0; ask && p && i < b->known.len; i++) {
		const struct boot_range *x = &b->known.items[i];

		if (x->len > budget)
			break;
		budget -= x->len;
		if (prefetch_add(p, src, x->off, x->len, true) <
			x->off + x->len)
			break;
	}
	return is_known(b, off, len);
}
