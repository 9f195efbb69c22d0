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

/* Parts are told by blocks of this size. */
#define BLOCK (64 * KIB)
/* Above this it is a copy and not a start. A Debian server reads 150 MiB, a
 * Windows 400. */
#define BLOCKS_MAX (512 * MIB / BLOCK)
#define BLOCKS_MIN (1 * MIB / BLOCK)
/* Disks that are not recorded: the map of blocks would be over 8 MiB. */
#define DISK_MAX (4 * TIB)
/* The text: a line of 30 bytes a block. */
#define TEXT_MAX (BLOCKS_MAX * 40)
#define HEAD "strata boot set 1\n"

struct bootset {
	char *path;
	uint64_t disk_size;
	pthread_mutex_t lock;
	bool asked; /* known ranges were handed to prefetch */
	boot_ranges known;
	/* recording */
	_Atomic bool recording;
	unsigned seconds;
	struct timespec first, last;
	uint8_t *seen; /* a bit a block */
	VEC(uint32_t) order;
};

int bootset_parse(const char *text, size_t len, uint64_t disk_size,
	boot_ranges *out, struct error *e)
{
	const char *end = text + len, *p = text + strlen(HEAD);

	if (len < strlen(HEAD) || memcmp(text, HEAD, strlen(HEAD)) != 0)
		return error_set(e, ERR_CORRUPT, "boot set: no header");
	while (p < end) {
		uint64_t v[2] = { 0 };

		for (int i = 0; i < 2; i++) {
			const char *start = p;

			for (; p < end && *p >= '0' && *p <= '9'; p++)
				if (!u64_mul(v[i], 10, &v[i]) ||
					!u64_add(v[i], (uint64_t)(*p - '0'),
						&v[i]))
					break;
			if (p == start || p == end || *p != " \n"[i])
				return error_at(e, ERR_CORRUPT,
					(uint64_t)(p - text),
					"boot set: not a number");
			p++;
		}
		if (!v[1] || !range_inside(v[0], v[1], disk_size) ||
			out->len >= BLOCKS_MAX)
			return error_at(e, ERR_CORRUPT, (uint64_t)(p - text),
				"boot set: a range does not fit the disk");
		if (!vec_push(out, (struct boot_range){ v[0], v[1] }))
			return error_nomem(e);
	}
	return 0;
}

static bool load(struct bootset *b)
{
	AUTO_FD int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size > TEXT_MAX)
		return false;
	text = malloc((size_t)st.st_size + 1);
	n = text ? read(fd, text, (size_t)st.st_size) : -1;
	if (n < 0 || bootset_parse(text, (size_t)n, b->disk_size, &b->known,
			     NULL)) {
		b->known.len = 0;
		return false;
	}
	return true;
}

/* Derived and small: whole or not at all, but nobody waits for the medium. */
static void save(struct bootset *b)
{
	AUTO_BUF text = BUF_INIT, tmp = BUF_INIT, dir = BUF_INIT;
	char *slash;
	int fd;
	bool ok;

	buf_addstr(&text, HEAD);
	for (size_t i = 0; i < b->order.len;) {
		uint64_t from = b->order.items[i], n = 1;

		while (i + n < b->order.len && b->order.items[i + n] == from + n)
			n++;
		i += n;
		from *= BLOCK;
		n = u64_min(n * BLOCK, b->disk_size - from);
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

struct bootset *bootset_open(struct library *l, const struct oid *image,
	unsigned disk, uint64_t disk_size, enum bootset_mode mode,
	unsigned seconds)
{
	struct bootset *b;
	AUTO_BUF path = BUF_INIT;
	char hex[OID_HEX + 1];

	if (mode == BOOTSET_OFF || disk_size > DISK_MAX || !disk_size)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	b->disk_size = disk_size;
	b->seconds = seconds;
	buf_printf(&path, "%s/cache/boot/%s-%u", l->path, oid_hex(image, hex),
		disk);
	b->path = buf_steal(&path);
	if (b->path && (!load(b) || mode == BOOTSET_RECORD)) {
		b->seen = calloc(div_ceil(div_ceil(disk_size, BLOCK), 8), 1);
		b->recording = b->seen != NULL;
	}
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
	if (b->order.len >= BLOCKS_MIN && b->order.len < BLOCKS_MAX &&
		since(&b->first, &b->last) >= 1)
		save(b);
	vec_release(&b->order);
	free(b->seen);
	b->seen = NULL;
}

void bootset_close(struct bootset *b)
{
	if (!b)
		return;
	stop(b);
	vec_release(&b->known);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

static void record(struct bootset *b, uint64_t off, uint64_t len)
{
	struct timespec now;
	uint64_t from = off / BLOCK, to = div_ceil(off + len, BLOCK);

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!b->order.len)
		b->first = now;
	if (since(&b->first, &now) > b->seconds) {
		stop(b);
		return;
	}
	b->last = now;
	for (; from < to && b->recording; from++) {
		uint8_t *byte = &b->seen[from / 8];
		uint8_t bit = (uint8_t)(1u << (from % 8));

		if (*byte & bit)
			continue;
		*byte |= bit;
		if (b->order.len >= BLOCKS_MAX ||
			!vec_push(&b->order, (uint32_t)from)) {
			b->order.len = 0; /* a copy, not a start */
			stop(b);
		}
	}
}

void bootset_note(struct bootset *b, struct prefetch *p, struct source *src,
	uint64_t budget, uint64_t off, uint64_t len)
{
	bool ask;

	if (!b || !len || (!b->recording && __atomic_load_n(&b->asked,
						   __ATOMIC_RELAXED)))
		return;
	pthread_mutex_lock(&b->lock);
	ask = !b->asked;
	__atomic_store_n(&b->asked, true, __ATOMIC_RELAXED);
	if (b->recording)
		record(b, off, len);
	pthread_mutex_unlock(&b->lock);
	if (!ask || !p)
		return;
	for (size_t i = 0; i < b->known.len; i++) {
		const struct boot_range *x = &b->known.items[i];

		if (x->len > budget)
			break;
		budget -= x->len;
		if (prefetch_add(p, src, x->off, x->len, true) <
			x->off + x->len)
			break;
	}
}
