/* SPDX-License-Identifier: Apache-2.0 */
/* A file or block device as a source. Holes are found with SEEK_DATA and
 * SEEK_HOLE and are never read. */
#include "os/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/checked.h"

struct file_source {
	struct source s;
	int fd;
	bool seek_hole; /* the file system answers SEEK_DATA */
	/* The last answer, packed so that a race costs a question and never a
	 * wrong answer: readers take all three or none. */
	_Atomic uint32_t seq;
	_Atomic uint64_t off, end;
	_Atomic uint32_t kind;
	char name[];
};

static int file_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct file_source *f = (struct file_source *)s;
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(f->fd, p, size_min(len, 1 << 30), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = error_errno(e, "%s: read at offset %" PRIu64,
				f->name, off);

			if (e) {
				e->has_offset = true;
				e->offset = off;
			}
			return r == ERR_NOMEM ? r : ERR_IO;
		}
		if (!n)
			return error_at(e, ERR_IO, off,
				"%s: ends at offset %" PRIu64
				" while it is read (did it shrink?)",
				f->name, off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool cached_extent(struct file_source *f, uint64_t off,
	struct source_extent *out)
{
	uint32_t seq = atomic_load(&f->seq);
	uint64_t start = atomic_load(&f->off), end = atomic_load(&f->end);
	uint32_t kind = atomic_load(&f->kind);

	if (seq & 1 || atomic_load(&f->seq) != seq || off < start || off >= end)
		return false;
	*out = (struct source_extent){ .off = start,
		.len = end - start,
		.kind = kind };
	return true;
}

static void remember(struct file_source *f, const struct source_extent *x)
{
	uint32_t seq = atomic_load(&f->seq);

	if (seq & 1 || !atomic_compare_exchange_strong(&f->seq, &seq, seq + 1))
		return;
	atomic_store(&f->off, x->off);
	atomic_store(&f->end, x->off + x->len);
	atomic_store(&f->kind, (uint32_t)x->kind);
	atomic_store(&f->seq, seq + 2);
}

static int file_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct file_source *f = (struct file_source *)s;
	off_t next;

	if (!f->seek_hole) {
		*out = (struct source_extent){ .len = s->size };
		return 0;
	}
	if (cached_extent(f, off, out))
		return 0;
	next = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (next < 0 && errno == ENXIO) {
		*out = (struct source_extent){ .off = off,
			.len = s->size - off,
			.kind = SOURCE_ZERO };
	} else if (next < 0) {
		return error_errno(e, "%s: SEEK_DATA at offset %" PRIu64,
			f->name, off);
	} else if ((uint64_t)next > off) {
		*out = (struct source_extent){ .off = off,
			.len = u64_min((uint64_t)next, s->size) - off,
			.kind = SOURCE_ZERO };
	} else {
		next = lseek(f->fd, (off_t)off, SEEK_HOLE);
		if (next < 0 && errno != ENXIO)
			return error_errno(e,
				"%s: SEEK_HOLE at offset %" PRIu64, f->name,
				off);
		if (next <= (off_t)off || (uint64_t)next > s->size)
			next = (off_t)s->size;
		*out = (struct source_extent){ .off = off,
			.len = (uint64_t)next - off,
			.kind = SOURCE_DATA };
	}
	remember(f, out);
	return 0;
}

static void file_will_need(struct source *s, uint64_t off, uint64_t len)
{
	posix_fadvise(((struct file_source *)s)->fd, (off_t)off, (off_t)len,
		POSIX_FADV_WILLNEED);
}

static int file_fd(struct source *s)
{
	return ((struct file_source *)s)->fd;
}

static void file_close(struct source *s)
{
	struct file_source *f = (struct file_source *)s;

	close(f->fd);
	free(f);
}

static const struct source_ops file_ops = {
	.name = "file",
	.pread = file_pread,
	.extent = file_extent,
	.will_need = file_will_need,
	.fd = file_fd,
	.close = file_close,
};

int source_file_fd(int fd_arg, const char *name, struct source **out,
	struct error *e)
{
	AUTO_FD int fd = fd_arg;
	struct file_source *f;
	size_t name_len = strlen(name) + 1;
	struct stat st;
	uint64_t size;
	int sector = 512;

	if (fstat(fd, &st))
		return error_errno(e, "%s", name);
	if (S_ISREG(st.st_mode)) {
		size = (uint64_t)st.st_size;
	} else if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size))
			return error_errno(e, "%s: size of block device", name);
		if (ioctl(fd, BLKSSZGET, &sector) || sector < 512)
			sector = 512;
	} else {
		return error_set(e, ERR_UNSUPPORTED,
			"%s: not a file, block device or pipe", name);
	}
	f = calloc(1, sizeof(*f) + name_len);
	if (!f)
		return error_nomem(e);
	source_init(&f->s, &file_ops, size);
	f->s.sector_size = (uint32_t)sector;
	memcpy(f->name, name, name_len);
	f->fd = steal_fd(&fd);
	f->seek_hole = S_ISREG(st.st_mode) &&
		       (lseek(f->fd, 0, SEEK_DATA) >= 0 || errno == ENXIO);
	*out = &f->s;
	return 0;
}

int source_file_open(const char *path, struct source **out, struct error *e)
{
	/* O_NONBLOCK: a FIFO with no writer must be refused, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_errno(e, "%s", path);
	return source_file_fd(fd, path, out, e);
}
