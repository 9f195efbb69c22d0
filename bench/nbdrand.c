/* SPDX-License-Identifier: Apache-2.0 */
/* nbdrand URI N DEPTH SIZE: N random reads of SIZE bytes from the parts of a
 * disk that hold data, DEPTH of them under way at once; the same ones each time.
 * Prints how many a second. */
#include <inttypes.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t *places;
static size_t nplaces, cap, size;

static int on_extent(void *ctx, const char *meta, uint64_t off, uint32_t *e,
	size_t n, int *error)
{
	(void)error;
	if (strcmp(meta, "base:allocation"))
		return 0;
	for (size_t i = 0; i + 1 < n; i += 2) {
		for (uint64_t p = off; !(e[i + 1] & LIBNBD_STATE_ZERO) &&
			p + size <= off + e[i]; p += size) {
			if (nplaces == cap)
				places = realloc(places, (cap = 2 * cap + 1024) *
						sizeof(*places));
			places[nplaces++] = p;
		}
		off += e[i];
		*(uint64_t *)ctx = off;
	}
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "nbdrand: %s: %s\n", what, nbd_get_error());
	exit(1);
}

static void pass(struct nbd_handle *h, size_t n, size_t depth, char *buf)
{
	int64_t *cookies = calloc(depth, sizeof(*cookies));
	uint64_t x = 88172645463325252u;
	size_t sent = 0, done = 0;

	while (done < n) {
		for (size_t i = 0; i < depth; i++) {
			if (cookies[i]) {
				int r = nbd_aio_command_completed(h,
					(uint64_t)cookies[i]);

				if (r < 0)
					die("read");
				if (!r)
					continue;
				cookies[i] = 0;
				done++;
			}
			if (sent == n)
				continue;
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			cookies[i] = nbd_aio_pread(h, buf + i * size, size,
				places[x % nplaces], NBD_NULL_COMPLETION, 0);
			if (cookies[i] < 0)
				die("read");
			sent++;
		}
		if (done < n && nbd_poll(h, -1) < 0)
			die("poll");
	}
	free(cookies);
}

int main(int argc, char **argv)
{
	struct nbd_handle *h = nbd_create();
	size_t n, depth;
	uint64_t at = 0;
	double t;
	char *buf;

	if (argc != 5)
		return 2;
	n = strtoul(argv[2], NULL, 10);
	depth = strtoul(argv[3], NULL, 10);
	size = strtoul(argv[4], NULL, 10);
	buf = malloc(depth * size);
	nbd_add_meta_context(h, "base:allocation");
	nbd_set_uri_allow_local_file(h, true);
	if (nbd_connect_uri(h, argv[1]) < 0)
		die("connect");
	while (at < (uint64_t)nbd_get_size(h)) {
		uint64_t len = (uint64_t)nbd_get_size(h) - at;

		if (nbd_block_status(h, len < (1u << 30) ? len : 1u << 30, at,
			    (nbd_extent_callback){ .callback = on_extent,
				    .user_data = &at }, 0) < 0)
			die("extents");
	}
	if (!nplaces)
		return 1;
	t = now();
	pass(h, n, depth, buf);
	t = now() - t;
	printf("%.1f\n", (double)n / t);
	nbd_close(h);
	return 0;
}
