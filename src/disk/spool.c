/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"

struct spool {
	struct sink sink;
	int fd;
};

static int spool_pwrite(struct sink *s, const void *buf, size_t len,
	uint64_t off, struct error *e)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(((struct spool *)s)->fd, p,
			size_min(len, 1 << 30), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, "temporary file: write");
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int spool_truncate(struct sink *s, uint64_t size, struct error *e)
{
	return ftruncate(((struct spool *)s)->fd, (off_t)size)
		       ? error_errno(e, "temporary file: size")
		       : 0;
}

static int spool_commit(struct sink *s ATTR_UNUSED, struct error *e ATTR_UNUSED)
{
	return 0;
}

static void spool_close(struct sink *s ATTR_UNUSED)
{
}

static const struct sink_ops spool_ops = {
	.pwrite = spool_pwrite,
	.truncate = spool_truncate,
	.commit = spool_commit,
	.close = spool_close,
};

int spool_new(struct spool **out, struct error *e)
{
	const char *dir = getenv("TMPDIR");
	AUTO_FD int fd = -1;
	struct spool *s;

	if (!dir || *dir != '/')
		dir = "/var/tmp";
	fd = open(dir, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		AUTO_BUF name = BUF_INIT;
		AUTO_FREE char *path = NULL;

		buf_printf(&name, "%s/strata.XXXXXX", dir);
		path = buf_steal(&name);
		if (!path)
			return error_nomem(e);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0) {
		error_errno(e, "temporary file in %s", dir);
		if (e)
			e->code = ERR_IO; /* nothing that the user named */
		return ERR_IO;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(e);
	s->sink.ops = &spool_ops;
	s->sink.seekable = true;
	s->fd = steal_fd(&fd);
	*out = s;
	return 0;
}

void spool_free(struct spool *s)
{
	if (s) {
		close(s->fd);
		free(s);
	}
}

struct sink *spool_sink(struct spool *s)
{
	return &s->sink;
}

int spool_source(struct spool *s, const char *name, struct source **out,
	struct error *e)
{
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? error_errno(e, "temporary file")
		      : source_file_fd(fd, name, out, e);
}

int spool_copy(struct spool *s, struct sink *to, struct error *e)
{
	AUTO_FREE uint8_t *buf = malloc(256 * KIB);
	AUTO_SOURCE src = NULL;
	int r = buf ? spool_source(s, "temporary file", &src, e)
		    : error_nomem(e);
	uint64_t off, end;

	for (uint64_t at = 0; !r; at = end) {
		r = source_next_data(src, at, src->size, 256 * KIB, &off, &end,
			e);
		if (r || off == end)
			break;
		r = source_pread(src, buf, (size_t)(end - off), off, e);
		if (!r)
			r = sink_pwrite(to, buf, (size_t)(end - off), off, e);
	}
	return r ? r : sink_truncate(to, src->size, e);
}
