/* SPDX-License-Identifier: Apache-2.0 */
/* gzip to a temporary file: disks are read at random, gzip only forwards. */
#include "disk/ova_gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"

#define STEP 65536u

static int temp_file(int *out, struct error *e)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (!dir || *dir != '/')
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(e, "a temporary file in %s", dir);
	*out = fd;
	return 0;
}

static int put(int fd, const uint8_t *p, size_t len, uint64_t off,
	struct error *e)
{
	while (len) {
		size_t n = size_min(len, 4096);
		ssize_t w;

		if (is_zero(p, n)) {
			w = (ssize_t)n;
		} else {
			w = pwrite(fd, p, len, (off_t)off);
			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return error_errno(e, "a temporary file");
		}
		p += w;
		off += (uint64_t)w;
		len -= (size_t)w;
	}
	return 0;
}

struct gunzip {
	struct source *packed;
	const char *name;
	uint64_t cap, in_at, out_at;
	uint8_t in[STEP], out[STEP];
};

static int run(struct gunzip *g, z_stream *z, int fd, struct error *e)
{
	int zr = Z_OK, r;

	for (;;) {
		size_t n;

		if (!z->avail_in && g->in_at < g->packed->size) {
			n = (size_t)u64_min(STEP, g->packed->size - g->in_at);
			r = source_pread(g->packed, g->in, n, g->in_at, e);
			if (r)
				return r;
			g->in_at += n;
			z->next_in = g->in;
			z->avail_in = (uInt)n;
		}
		/* Several gzip files behind each other are one. */
		if (zr == Z_STREAM_END) {
			if (!z->avail_in)
				return 0;
			inflateReset(z);
		}
		z->next_out = g->out;
		z->avail_out = STEP;
		zr = inflate(z, Z_NO_FLUSH);
		n = STEP - z->avail_out;
		if (zr != Z_OK && zr != Z_STREAM_END)
			return error_at(e, ERR_CORRUPT, g->in_at - z->avail_in,
				"ova: '%s' is not a whole gzip file", g->name);
		if (n > g->cap - g->out_at)
			return error_set(e, ERR_LIMIT,
				"ova: '%s' unpacks to more than %" PRIu64
				" bytes", g->name, g->cap);
		r = put(fd, g->out, n, g->out_at, e);
		if (r)
			return r;
		g->out_at += n;
	}
}

int ova_gunzip(struct source *packed, const char *name, uint64_t capacity,
	struct source **out, struct error *e)
{
	AUTO_FREE struct gunzip *g = calloc(1, sizeof(*g));
	AUTO_FD int fd = -1;
	z_stream z = { 0 };
	uint64_t cap;
	int r;

	if (!g || inflateInit2(&z, 15 + 16) != Z_OK)
		return error_nomem(e);
	/* A container is a little larger than what it holds. */
	if (!capacity || !u64_add(capacity + capacity / 8, 64 * MIB, &cap))
		cap = UINT64_MAX;
	if (!capacity && (!u64_mul(packed->size, 200, &cap) ||
				 !u64_add(cap, 64 * MIB, &cap)))
		cap = LIMIT_DISK_SIZE;
	g->packed = packed;
	g->name = name;
	g->cap = u64_min(cap, LIMIT_DISK_SIZE);
	r = temp_file(&fd, e);
	if (!r)
		r = run(g, &z, fd, e);
	inflateEnd(&z);
	if (!r && ftruncate(fd, (off_t)g->out_at))
		r = error_errno(e, "a temporary file");
	return r ? r : source_file_fd(steal_fd(&fd), name, out, e);
}
