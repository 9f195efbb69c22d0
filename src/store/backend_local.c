/* SPDX-License-Identifier: Apache-2.0 */
/* The local folder as a back end.
 *
 * Files become durable only here: temporary name in tmp/, write, fsync,
 * rename, fsync of the folder. A ref is a file below refs/, its log one below
 * logs/; a lock file beside the ref serialises its writers (flock, so that a
 * killed process leaves nothing held).
 */
#include "store/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/checked.h"
#include "store/names.h"

#define REF_MAX 4096
/* Writeback is started in pieces of this size, so that the final fsync finds
 * little left to do. */
#define WRITEBACK (8 * 1024 * 1024)

const char backend_any[] = "*";

struct local {
	struct backend b;
	int dir;
	char path[];
};

struct backend_upload {
	struct local *l;
	int fd;
	_Atomic uint64_t written;
	char tmp[64];
};

static int read_all(int fd, void *buf, size_t len, uint64_t off,
	const char *name, struct error *e)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, "library: %s: read at %" PRIu64,
				name, off);
		if (!n)
			return error_at(e, ERR_DAMAGED, off,
				"library: %s is shorter than it should be",
				name);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *buf, size_t len, uint64_t off,
	const char *name, struct error *e)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, "library: %s: write", name);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* fsync of the folder that holds name. */
static int sync_folder_of(struct local *l, const char *name, struct error *e)
{
	const char *slash = strrchr(name, '/');
	char *dir = slash ? strndup(name, (size_t)(slash - name)) : strdup(".");
	int fd = dir ? openat(l->dir, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		     : -1;
	int r = 0;

	free(dir);
	if (fd < 0)
		return error_errno(e, "library: folder of %s", name);
	if (fsync(fd))
		r = error_errno(e, "library: fsync of the folder of %s", name);
	close(fd);
	return r;
}

/* Makes the folders above name, durably. */
static int make_parents(struct local *l, const char *name, struct error *e)
{
	char *p = strdup(name);
	int r = 0;

	if (!p)
		return error_nomem(e);
	for (char *s = strchr(p, '/'); s && !r; s = strchr(s + 1, '/')) {
		*s = 0;
		if (!mkdirat(l->dir, p, 0777))
			r = sync_folder_of(l, p, e);
		else if (errno != EEXIST)
			r = error_errno(e, "library: folder %s", p);
		*s = '/';
	}
	free(p);
	return r;
}

static int open_tmp(struct local *l, char tmp[64], struct error *e)
{
	int fd;

	if (backend_new_name("tmp", "", tmp, e))
		return -1;
	fd = openat(l->dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == ENOENT && !make_parents(l, tmp, e))
		fd = openat(l->dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0666);
	if (fd < 0) {
		error_errno(e, "library: cannot create %s/%s", l->path, tmp);
		return -1;
	}
	/* gc tells a living writer's file by its lock. */
	flock(fd, LOCK_SH | LOCK_NB);
	return fd;
}

static int local_open(struct backend *b, const char *name, int *out,
	uint64_t *out_size, struct error *e)
{
	struct local *l = (struct local *)b;
	AUTO_FD int fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(e, "library: %s", name);
	*out_size = (uint64_t)st.st_size;
	*out = steal_fd(&fd);
	return 0;
}

static int local_read(struct backend *b ATTR_UNUSED, int handle, void *buf,
	size_t len, uint64_t off, struct error *e)
{
	return read_all(handle, buf, len, off, "pack", e);
}

static void local_close_handle(struct backend *b ATTR_UNUSED, int handle)
{
	close(handle);
}

static int local_map(struct backend *b, const char *name, const void **out,
	size_t *out_len, struct error *e)
{
	struct local *l = (struct local *)b;
	AUTO_FD int fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(e, "library: %s", name);
	if (st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd,
			0);
		if (p == MAP_FAILED)
			return error_errno(e, "library: map %s", name);
	}
	*out = p;
	*out_len = (size_t)st.st_size;
	return 0;
}

static void local_unmap(struct backend *b ATTR_UNUSED, const void *p,
	size_t len)
{
	if (p)
		munmap((void *)(uintptr_t)p, len);
}

static int local_list(struct backend *b, const char *prefix, backend_list_fn fn,
	void *ctx, struct error *e)
{
	struct local *l = (struct local *)b;
	int fd = openat(l->dir, prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	int r = 0;
	DIR *h;

	if (fd < 0 && errno == ENOENT)
		return 0;
	h = fd < 0 ? NULL : fdopendir(fd);
	if (!h) {
		r = error_errno(e, "library: folder %s", prefix);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (errno = 0, d = readdir(h))) {
		struct stat st;

		if (*d->d_name == '.' || fstatat(dirfd(h), d->d_name, &st, 0) ||
			!S_ISREG(st.st_mode))
			continue;
		r = fn(ctx, d->d_name, (uint64_t)st.st_size, st.st_mtime);
	}
	if (!r && errno)
		r = error_errno(e, "library: folder %s", prefix);
	closedir(h);
	return r;
}

static int local_remove(struct backend *b, const char *name, struct error *e)
{
	if (unlinkat(((struct local *)b)->dir, name, 0) && errno != ENOENT)
		return error_errno(e, "library: remove %s", name);
	return 0;
}

static int local_sync(struct backend *b, const char *prefix, struct error *e)
{
	struct local *l = (struct local *)b;
	AUTO_FD int fd = openat(l->dir, prefix,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fsync(fd))
		return error_errno(e, "library: fsync of %s", prefix);
	return 0;
}

/* fsync, rename to name, fsync the folder; the temporary goes on failure. */
static int publish(struct local *l, int fd, const char *tmp, const char *name,
	struct error *e)
{
	int r = make_parents(l, name, e);

	if (!r && fsync(fd))
		r = error_errno(e, "library: fsync for %s", name);
	if (!r && renameat(l->dir, tmp, l->dir, name))
		r = error_errno(e, "library: rename to %s", name);
	if (!r)
		return sync_folder_of(l, name, e);
	unlinkat(l->dir, tmp, 0);
	return r;
}

static int local_put(struct backend *b, const char *name, const void *data,
	size_t len, struct error *e)
{
	struct local *l = (struct local *)b;
	char tmp[64];
	AUTO_FD int fd = open_tmp(l, tmp, e);
	int r;

	if (fd < 0)
		return ERR_IO;
	r = write_all(fd, data, len, 0, name, e);
	if (r) {
		unlinkat(l->dir, tmp, 0);
		return r;
	}
	return publish(l, fd, tmp, name, e);
}

/* A file in tmp/ that nobody holds a lock on belongs to a process that is
 * gone. One that was made this very moment may not have its lock yet. */
static int local_clean(struct backend *b, bool dry, uint64_t *files,
	uint64_t *bytes, struct error *e)
{
	struct local *l = (struct local *)b;
	int dir = openat(l->dir, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	time_t now = time(NULL);
	struct dirent *d;
	DIR *h;

	if (dir < 0 && errno == ENOENT)
		return 0;
	h = dir < 0 ? NULL : fdopendir(dir);
	if (!h)
		return error_errno(e, "library: folder tmp");
	while ((d = readdir(h))) {
		AUTO_FD int fd = -1;
		struct stat st;

		if (*d->d_name == '.')
			continue;
		fd = openat(dir, d->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
			(st.st_mtime >= now - 2 && st.st_size == 0) ||
			flock(fd, LOCK_EX | LOCK_NB))
			continue;
		if (!dry && unlinkat(dir, d->d_name, 0))
			continue;
		++*files;
		*bytes += (uint64_t)st.st_size;
	}
	closedir(h);
	return 0;
}

static int local_upload_start(struct backend *b, struct backend_upload **out,
	struct error *e)
{
	struct backend_upload *u = calloc(1, sizeof(*u));

	if (!u)
		return error_nomem(e);
	u->l = (struct local *)b;
	u->fd = open_tmp(u->l, u->tmp, e);
	if (u->fd < 0) {
		free(u);
		return ERR_IO;
	}
	*out = u;
	return 0;
}

static int local_upload_write(struct backend_upload *u, const void *buf,
	size_t len, uint64_t off, struct error *e)
{
	uint64_t before;
	int r = write_all(u->fd, buf, len, off, "pack", e);

	if (r)
		return r;
	before = atomic_fetch_add(&u->written, len);
	if (before / WRITEBACK != (before + len) / WRITEBACK)
		sync_file_range(u->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static void upload_free(struct backend_upload *u)
{
	close(u->fd);
	free(u);
}

static int local_upload_finish(struct backend_upload *u, const char *name,
	struct error *e)
{
	int r = publish(u->l, u->fd, u->tmp, name, e);

	upload_free(u);
	return r;
}

static void local_upload_abort(struct backend_upload *u)
{
	unlinkat(u->l->dir, u->tmp, 0);
	upload_free(u);
}

static int read_small(struct local *l, const char *name, size_t max,
	struct buf *out, struct error *e)
{
	AUTO_FD int fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *p;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(e, "library: %s", name);
	if (S_ISDIR(st.st_mode)) {
		errno = ENOENT;
		return error_errno(e, "library: %s", name);
	}
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return error_set(e, ERR_DAMAGED, "library: %s is too long",
			name);
	p = buf_grow(out, (size_t)st.st_size);
	if (!p)
		return error_nomem(e);
	return read_all(fd, p, (size_t)st.st_size, 0, name, e);
}

static int local_ref_read(struct backend *b, const char *name, struct buf *out,
	struct error *e)
{
	size_t start = out->len;
	int r = read_small((struct local *)b, name, REF_MAX, out, e);

	if (r == ERR_IO && e && e->err == ENOTDIR)
		r = e->code = ERR_NOTFOUND;
	if (r)
		return r;
	while (out->len > start && out->data[out->len - 1] == '\n')
		out->len--;
	if (memchr(out->data + start, 0, out->len - start) ||
		memchr(out->data + start, '\n', out->len - start))
		return error_set(e, ERR_DAMAGED, "library: %s is damaged",
			name);
	return 0;
}

/* Cuts a last line without its newline off; moves *end. -1: see errno. */
static int whole_lines(int fd, off_t *end)
{
	off_t keep = *end;
	char c = 0;

	while (keep > 0) {
		ssize_t n = pread(fd, &c, 1, keep - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1)
			return -1;
		if (c == '\n')
			break;
		keep--;
	}
	if (keep != *end && ftruncate(fd, keep))
		return -1;
	*end = keep;
	return 0;
}

static int append_log(struct local *l, const char *name, const char *line,
	struct error *e)
{
	AUTO_BUF path = BUF_INIT, text = BUF_INIT;
	ssize_t n;
	int r;

	buf_printf(&path, "logs/%s", name);
	/* A line that a crash or a full disk cut short must neither swallow the
	 * next one nor be taken for damage: it is cut off. */
	buf_printf(&text, "%s\n", line);
	r = make_parents(l, buf_str(&path), e);
	if (r)
		return r;
	AUTO_FD int fd = openat(l->dir, buf_str(&path),
		O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_errno(e, "library: %s", buf_str(&path));
	off_t end = lseek(fd, 0, SEEK_END);
	r = whole_lines(fd, &end);
	if (r)
		return error_errno(e, "library: %s", buf_str(&path));
	n = write(fd, text.data, text.len);
	if (n != (ssize_t)text.len || fdatasync(fd)) {
		if (n >= 0 && n != (ssize_t)text.len)
			errno = ENOSPC;
		r = error_errno(e, "library: %s", buf_str(&path));
		/* where this fails, the next one to append cuts it off */
		(void)!ftruncate(fd, end);
		return r;
	}
	return 0;
}

/* Removes folders above name that are empty, up to the first component. */
static void prune_parents(struct local *l, const char *name)
{
	char *p = strdup(name), *s;
	int depth = 0;

	for (s = p; s && *s; s++)
		depth += *s == '/';
	while (p && depth-- > 2 && (s = strrchr(p, '/'))) {
		*s = 0;
		if (unlinkat(l->dir, p, AT_REMOVEDIR))
			break;
	}
	free(p);
}

static int local_ref_update(struct backend *b, const char *name,
	const char *old, const char *value, const char *log, struct error *e)
{
	struct local *l = (struct local *)b;
	AUTO_BUF now = BUF_INIT, path = BUF_INIT;
	bool exists;
	int r, lock;

	r = b->ops->lock(b, "locks/refs", true, true, &lock, e);
	if (r)
		return r;
	r = local_ref_read(b, name, &now, e);
	exists = !r;
	if (r && r != ERR_NOTFOUND)
		goto out;
	r = 0;
	if (old != backend_any &&
		(exists != (old != NULL) ||
			(old && strcmp(old, buf_str(&now)) != 0))) {
		r = error_set(e, ERR_CONFLICT, "%s: %s", name,
			!exists ? "was removed by somebody else"
			: old	? "was moved by somebody else"
				: "exists already");
		goto out;
	}
	if (log)
		r = append_log(l, name, log, e);
	if (!r && value) {
		AUTO_BUF text = BUF_INIT;
		struct stat st;

		buf_printf(&text, "%s\n", value);
		if (!fstatat(l->dir, name, &st, 0) && S_ISDIR(st.st_mode))
			r = error_set(e, ERR_EXISTS,
				"%s: there are names below it", name);
		else
			r = local_put(b, name, text.data, text.len, e);
	} else if (!r) {
		if (unlinkat(l->dir, name, 0) && errno != ENOENT)
			r = error_errno(e, "library: remove %s", name);
		buf_printf(&path, "logs/%s", name);
		unlinkat(l->dir, buf_str(&path), 0);
		if (!r && exists)
			r = sync_folder_of(l, name, e);
		prune_parents(l, name);
		prune_parents(l, buf_str(&path));
	}
out:
	b->ops->unlock(b, "locks/refs", lock, false);
	return r;
}

/* Appends every file below root/dir to out, as paths from root. Folders wait
 * in a list of their own: no recursion. */
/* What most file systems tell with the name, 10,000 refs at a time. */
static bool is_folder(int fd, const struct dirent *d, bool *out)
{
	struct stat st;

	*out = d->d_type == DT_DIR;
	if (d->d_type == DT_DIR || d->d_type == DT_REG)
		return true;
	if (fstatat(fd, d->d_name, &st, 0))
		return false;
	*out = S_ISDIR(st.st_mode);
	return true;
}

static int collect(struct local *l, const char *root, name_list *out,
	struct error *e)
{
	AUTO_NAMES todo = { 0 };
	int r = names_take(&todo, strdup(""), e);

	while (!r && todo.len) {
		char *dir = todo.items[--todo.len];
		AUTO_BUF path = BUF_INIT;
		struct dirent *d;
		DIR *h = NULL;
		int fd;

		buf_printf(&path, "%s/%s", root, dir);
		fd = openat(l->dir, buf_str(&path),
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			h = fdopendir(fd);
		else if (errno != ENOENT)
			r = error_errno(e, "library: %s", buf_str(&path));
		while (h && !r && (d = readdir(h))) {
			AUTO_BUF sub = BUF_INIT;
			bool is_dir;

			if (*d->d_name == '.' || !is_folder(fd, d, &is_dir))
				continue;
			buf_printf(&sub, "%s%s%s", dir, d->d_name,
				is_dir ? "/" : "");
			r = names_take(is_dir ? &todo : out, buf_steal(&sub),
				e);
		}
		if (h)
			closedir(h);
		free(dir);
	}
	return r;
}

static int local_ref_list(struct backend *b, const char *prefix,
	backend_ref_fn fn, void *ctx, struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = collect((struct local *)b, prefix, &names, e);

	names_sort(&names);
	for (size_t i = 0; !r && i < names.len; i++) {
		AUTO_BUF path = BUF_INIT, value = BUF_INIT;

		buf_printf(&path, "%s/%s", prefix, names.items[i]);
		r = local_ref_read(b, buf_str(&path), &value, e);
		if (r == ERR_NOTFOUND) {
			r = 0; /* removed meanwhile */
			continue;
		}
		if (r == ERR_DAMAGED) {
			buf_clear(&value);
			r = 0;
		}
		if (!r)
			r = fn(ctx, names.items[i], buf_str(&value));
	}
	return r;
}

static int local_ref_log(struct backend *b, const char *name, struct buf *out,
	struct error *e)
{
	AUTO_BUF path = BUF_INIT;
	int r;

	buf_printf(&path, "logs/%s", name);
	r = read_small((struct local *)b, buf_str(&path), 1u << 30, out, e);
	return r == ERR_NOTFOUND ? 0 : r;
}

static int local_lock(struct backend *b, const char *name, bool exclusive,
	bool wait, int *out, struct error *e)
{
	struct local *l = (struct local *)b;

	for (;;) {
		AUTO_FD int fd = openat(l->dir, name,
			O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		struct stat held, there;

		if (fd < 0 && errno == ENOENT) {
			int r = make_parents(l, name, e);

			if (r)
				return r;
			fd = openat(l->dir, name, O_RDWR | O_CREAT | O_CLOEXEC,
				0666);
		}
		/* A library that cannot be written can still be read. */
		if (fd < 0 && !exclusive &&
			(errno == EROFS || errno == EACCES))
			fd = openat(l->dir, ".", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return error_errno(e, "library: lock %s", name);
		while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) |
					 (wait ? 0 : LOCK_NB))) {
			if (errno == EINTR)
				continue;
			if (errno == EWOULDBLOCK)
				return error_set(e, ERR_BUSY,
					"library: %s is held by another "
					"process",
					name);
			return error_errno(e, "library: lock %s", name);
		}
		/* Somebody may have removed the name while we waited. */
		if (!fstat(fd, &held) && !fstatat(l->dir, name, &there, 0) &&
			held.st_ino == there.st_ino) {
			*out = steal_fd(&fd);
			return 0;
		}
		if (!fstat(fd, &held) && S_ISDIR(held.st_mode)) {
			*out = steal_fd(&fd);
			return 0;
		}
	}
}

static void local_unlock(struct backend *b, const char *name, int handle,
	bool remove_name)
{
	if (remove_name)
		unlinkat(((struct local *)b)->dir, name, 0);
	close(handle);
}

static void local_close(struct backend *b)
{
	close(((struct local *)b)->dir);
	free(b);
}

static const struct backend_ops local_ops = {
	.name = "local folder",
	.open = local_open,
	.read = local_read,
	.close_handle = local_close_handle,
	.map = local_map,
	.unmap = local_unmap,
	.list = local_list,
	.remove = local_remove,
	.sync = local_sync,
	.clean = local_clean,
	.put = local_put,
	.upload_start = local_upload_start,
	.upload_write = local_upload_write,
	.upload_finish = local_upload_finish,
	.upload_abort = local_upload_abort,
	.ref_read = local_ref_read,
	.ref_update = local_ref_update,
	.ref_list = local_ref_list,
	.ref_log = local_ref_log,
	.lock = local_lock,
	.unlock = local_unlock,
	.close = local_close,
};

int backend_local_open(const char *path, struct backend **out,
	struct error *e)
{
	size_t n = strlen(path) + 1;
	struct local *l = calloc(1, sizeof(*l) + n);

	if (!l)
		return error_nomem(e);
	l->b.ops = &local_ops;
	memcpy(l->path, path, n);
	l->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0) {
		int r = errno == ENOTDIR
				? error_set(e, ERR_NOTFOUND,
					  "%s: is no library, but a file", path)
				: error_errno(e, "library %s", path);

		free(l);
		return r;
	}
	*out = &l->b;
	return 0;
}
