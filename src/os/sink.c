/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks over files, streams, and nothing. */
#include "os/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/checked.h"

int sink_pwrite(struct sink *s, const void *buf, size_t len, uint64_t off,
	struct error *e)
{
	return len ? s->ops->pwrite(s, buf, len, off, e) : 0;
}

int sink_truncate(struct sink *s, uint64_t size, struct error *e)
{
	return s->ops->truncate(s, size, e);
}

int sink_commit(struct sink *s, struct error *e)
{
	return s->ops->commit(s, e);
}

void sink_close(struct sink *s)
{
	if (s)
		s->ops->close(s);
}

/* --- file --- */

struct file_sink {
	struct sink s;
	int fd;
	atomic_bool reserve; /* room is asked for before a long write */
	bool device;
	uint64_t device_size;
	char *path, *tmp; /* tmp is NULL for a device and after commit */
};

static int write_all(int fd, const void *buf, size_t len, uint64_t off,
	const char *name, struct error *e)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, size_min(len, 1 << 30), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, "%s: write at offset %" PRIu64,
				name, off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* ext4 books every page of a write by itself until it gives it a place; room
 * that was asked for before costs a third less, and is in one piece. What
 * fails here is told by the write. */
#define RESERVE_MIN (256 * 1024)

static void reserve(struct file_sink *f, size_t len, uint64_t off)
{
	if (len >= RESERVE_MIN && atomic_load(&f->reserve) &&
		fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
		atomic_store(&f->reserve, false);
}

static bool wants_reserve(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == EXT4_SUPER_MAGIC;
}

static int file_pwrite(struct sink *s, const void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct file_sink *f = (struct file_sink *)s;

	reserve(f, len, off);
	return write_all(f->fd, buf, len, off, f->path, e);
}

static int file_truncate(struct sink *s, uint64_t size, struct error *e)
{
	struct file_sink *f = (struct file_sink *)s;

	if (f->device) {
		if (size > f->device_size)
			return error_set(e, ERR_RANGE,
				"%s: the disk has %" PRIu64
				" bytes, the device only %" PRIu64,
				f->path, size, f->device_size);
		return 0;
	}
	if (ftruncate(f->fd, (off_t)size))
		return error_errno(e, "%s: size %" PRIu64, f->path, size);
	return 0;
}

static int file_commit(struct sink *s, struct error *e)
{
	struct file_sink *f = (struct file_sink *)s;

	if (f->device) {
		if (fsync(f->fd))
			return error_errno(e, "%s: fsync", f->path);
		return 0;
	}
	if (rename(f->tmp, f->path))
		return error_errno(e, "%s: rename", f->path);
	free(f->tmp);
	f->tmp = NULL;
	return 0;
}

static void file_close(struct sink *s)
{
	struct file_sink *f = (struct file_sink *)s;

	if (f->tmp)
		unlink(f->tmp);
	if (f->fd >= 0)
		close(f->fd);
	free(f->tmp);
	free(f->path);
	free(f);
}

static const struct sink_ops file_ops = {
	.pwrite = file_pwrite,
	.truncate = file_truncate,
	.commit = file_commit,
	.close = file_close,
};

int sink_file_create(const char *path, struct sink **out, struct error *e)
{
	AUTO_SINK owner = NULL;
	struct file_sink *f = calloc(1, sizeof(*f));
	struct stat st;
	AUTO_BUF tmp = BUF_INIT;
	const char *slash;

	if (!f)
		return error_nomem(e);
	owner = &f->s;
	f->s.ops = &file_ops;
	f->s.seekable = true;
	f->fd = -1;
	/* What a symlink leads to is written, the symlink stays. */
	f->path = !lstat(path, &st) && S_ISLNK(st.st_mode) &&
				  !stat(path, &st)
			  ? realpath(path, NULL)
			  : strdup(path);
	if (!f->path)
		return error_errno(e, "%s", path);
	path = f->path;
	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		off_t end;

		if (!S_ISBLK(st.st_mode))
			return error_set(e, ERR_ARG,
				"%s: exists and is not a regular file", path);
		f->device = true;
		f->s.keeps_old = true;
		f->fd = open(path, O_WRONLY | O_CLOEXEC | O_EXCL);
		end = f->fd < 0 ? -1 : lseek(f->fd, 0, SEEK_END);
		if (end < 0)
			return error_errno(e, "%s", path);
		f->device_size = (uint64_t)end;
		*out = steal_ptr(owner);
		return 0;
	}
	slash = strrchr(path, '/');
	buf_add(&tmp, path, slash ? (size_t)(slash + 1 - path) : 0);
	buf_printf(&tmp, ".%s.XXXXXX", slash ? slash + 1 : path);
	f->tmp = buf_steal(&tmp);
	if (!f->tmp)
		return error_nomem(e);
	f->fd = mkostemp(f->tmp, O_CLOEXEC);
	if (f->fd < 0) {
		int r = error_errno(e, "%s: cannot create", path);

		free(f->tmp);
		f->tmp = NULL;
		return r;
	}
	{
		mode_t mask = umask(0);

		umask(mask);
		fchmod(f->fd, 0666 & ~mask);
	}
	atomic_store(&f->reserve, wants_reserve(f->fd));
	*out = steal_ptr(owner);
	return 0;
}

/* --- stream --- */

struct stream_sink {
	struct sink s;
	int fd;
	uint64_t at;
};

static int stream_write(struct stream_sink *t, const void *buf, size_t len,
	struct error *e)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(t->fd, p, size_min(len, 1 << 30));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, "output: write");
		p += n;
		t->at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int stream_fill(struct stream_sink *t, uint64_t to, struct error *e)
{
	static const uint8_t zeros[65536];

	while (t->at < to) {
		int r = stream_write(t, zeros,
			(size_t)u64_min(sizeof(zeros), to - t->at), e);

		if (r)
			return r;
	}
	return 0;
}

static int stream_pwrite(struct sink *s, const void *buf, size_t len,
	uint64_t off, struct error *e)
{
	struct stream_sink *t = (struct stream_sink *)s;
	int r;

	if (off < t->at)
		return error_set(e, ERR_ARG, "output: a stream cannot go back");
	r = stream_fill(t, off, e);
	return r ? r : stream_write(t, buf, len, e);
}

static int stream_truncate(struct sink *s, uint64_t size, struct error *e)
{
	return stream_fill((struct stream_sink *)s, size, e);
}

static int stream_commit(struct sink *s ATTR_UNUSED,
	struct error *e ATTR_UNUSED)
{
	return 0;
}

static void plain_close(struct sink *s)
{
	free(s);
}

static const struct sink_ops stream_ops = {
	.pwrite = stream_pwrite,
	.truncate = stream_truncate,
	.commit = stream_commit,
	.close = plain_close,
};

int sink_stream(int fd, struct sink **out, struct error *e)
{
	struct stream_sink *t = calloc(1, sizeof(*t));

	if (!t)
		return error_nomem(e);
	t->s.ops = &stream_ops;
	t->fd = fd;
	*out = &t->s;
	return 0;
}

/* --- nothing --- */

static int null_pwrite(struct sink *s ATTR_UNUSED, const void *buf ATTR_UNUSED,
	size_t len ATTR_UNUSED, uint64_t off ATTR_UNUSED,
	struct error *e ATTR_UNUSED)
{
	return 0;
}

static int null_truncate(struct sink *s ATTR_UNUSED, uint64_t size ATTR_UNUSED,
	struct error *e ATTR_UNUSED)
{
	return 0;
}

static const struct sink_ops null_ops = {
	.pwrite = null_pwrite,
	.truncate = null_truncate,
	.commit = stream_commit,
	.close = plain_close,
};

int sink_null(struct sink **out, struct error *e)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (!s)
		return error_nomem(e);
	s->ops = &null_ops;
	s->seekable = true;
	*out = s;
	return 0;
}
