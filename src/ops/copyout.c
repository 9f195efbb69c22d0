/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/copyout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"

#define WINDOW (1 << 20)
#define BLOCK 4096 /* a hole is made of whole ones */

/* A file with several names that was copied under its first. */
struct linked {
	uint64_t group; /* 0: free */
	size_t volume;
	struct oid id;
	char *path; /* below the first folder */
};

struct copy {
	struct view_files *v;
	const struct copy_args *a;
	struct copy_result *out;
	struct error *e;
	const char *name; /* of the top, NULL: its content only */
	size_t top_len;	  /* of the path at which the walk began */
	VEC(int) dirs;	  /* open folders from the first to here */
	struct linked *links;
	size_t links_n, links_cap;
	uint8_t *window;
	int first; /* the code of the first problem */
	bool root;
};

static int here(const struct copy *c)
{
	return c->dirs.items[c->dirs.len - 1];
}

/* Goes on after what went wrong with one file; stops for what would go wrong
 * with every other too. */
static int problem(struct copy *c, const char *path, int r,
	const struct error *err)
{
	bool fatal = r == ERR_NOMEM || r == ERR_CANCELLED ||
		     (r == ERR_IO && (err->err == ENOSPC ||
					     err->err == EDQUOT ||
					     err->err == EROFS ||
					     err->err == EMFILE));

	if (fatal) {
		if (c->e) {
			*c->e = *err;
			error_prefix(c->e, "%s", path);
		}
		return r;
	}
	c->out->problems++;
	if (!c->first) {
		c->first = r;
		if (c->e) {
			*c->e = *err;
			error_prefix(c->e, "%s", path);
		}
	}
	if (c->a->problem)
		c->a->problem(c->a->ctx, path, err);
	return 0;
}

/* --- metadata --- */

static bool host_xattr(const struct copy *c, const char *name)
{
	return !strncmp(name, "user.", 5) ||
	       !strncmp(name, "system.posix_acl_", 17) ||
	       (c->root && (!strncmp(name, "security.", 9) ||
				   !strncmp(name, "trusted.", 8)));
}

/* fd: the file, or -1 for a symlink at name in the folder at hand. */
static int set_xattrs(struct copy *c, int fd, const char *name,
	const struct entry *x, struct error *err)
{
	struct cursor at = cursor_make(x->xattrs.data, x->xattrs.len);
	struct xattr xa;

	while (xattr_next(&at, &xa)) {
		AUTO_BUF key = BUF_INIT, value = BUF_INIT, path = BUF_INIT;
		int r;

		buf_add(&key, xa.name.data, xa.name.len);
		if (!host_xattr(c, buf_str(&key)) || (xa.is_blob &&
						       xa.size > LIMIT_XATTR)) {
			c->out->xattrs_left_out++;
			continue;
		}
		r = view_xattr_value(c->v, &xa, &value, err);
		if (r)
			return r;
		if (fd >= 0) {
			r = fsetxattr(fd, buf_str(&key), value.data, value.len,
				0);
		} else {
			buf_printf(&path, "/proc/self/fd/%d/%s", here(c), name);
			r = lsetxattr(buf_str(&path), buf_str(&key), value.data,
				value.len, 0);
		}
		if (r)
			c->out->xattrs_left_out++;
	}
	return at.bad ? error_set(err, ERR_DAMAGED,
				"library: a list of attributes is damaged")
		      : 0;
}

/* A device or FIFO, which is not opened: fchmodat would follow a symlink that
 * somebody put in its place. */
static int chmod_special(const struct copy *c, const char *name, mode_t mode)
{
	AUTO_FD int fd = openat(here(c), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char path[32];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (S_ISLNK(st.st_mode)) {
		errno = ELOOP;
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode);
}

/* In this order: a change of owner takes set-id bits and capabilities away. */
static int set_metadata(struct copy *c, int fd, const char *name,
	const struct entry *x, struct error *err)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = x->mtime, .tv_nsec = x->mtime_ns } };
	mode_t mode = (mode_t)(x->mode & 07777);
	int r;

	if (c->a->plain) {
		mode_t mask = umask(0);

		umask(mask);
		if (fd >= 0 && fchmod(fd, (x->type == ENTRY_DIR || mode & 0111
							  ? 0777u
							  : 0666u) &
						  ~mask))
			return error_errno(err, "chmod");
		return 0;
	}
	if (c->root && (fd >= 0 ? fchown(fd, x->uid, x->gid)
				: fchownat(here(c), name, x->uid, x->gid,
					  AT_SYMLINK_NOFOLLOW)))
		return error_errno(err, "chown");
	if (fd >= 0 && fchmod(fd, mode))
		return error_errno(err, "chmod");
	if (fd < 0 && x->type != ENTRY_SYMLINK && chmod_special(c, name, mode))
		return error_errno(err, "chmod");
	r = set_xattrs(c, fd, name, x, err);
	if (r)
		return r;
	/* A time that the host cannot hold is not worth a file. */
	if (fd >= 0)
		futimens(fd, t);
	else
		utimensat(here(c), name, t, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* --- content --- */

/* Writes what is not zero. */
static int write_window(int fd, const uint8_t *p, size_t len, uint64_t off,
	struct error *err)
{
	for (size_t at = 0, end; at < len; at = end) {
		size_t n = size_min(BLOCK, len - at);

		end = at + n;
		if (is_zero(p + at, n))
			continue;
		while (end < len) {
			n = size_min(BLOCK, len - end);
			if (is_zero(p + end, n))
				break;
			end += n;
		}
		for (size_t done = at; done < end;) {
			ssize_t w = pwrite(fd, p + done, end - done,
				(off_t)(off + done));

			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return error_errno(err, "write");
			done += (size_t)w;
		}
	}
	return 0;
}

static int write_content(struct copy *c, const struct view_item *it, int fd,
	struct error *err)
{
	AUTO_SOURCE src = NULL;
	int r = view_open_file(c->v, it->mount, it->path, it->x, &src, err);

	for (uint64_t at = 0; !r && at < it->x->size;) {
		size_t n = (size_t)u64_min(WINDOW, it->x->size - at);

		r = progress_check(c->a->progress, err);
		if (!r)
			r = source_pread(src, c->window, n, at, err);
		if (!r)
			r = write_window(fd, c->window, n, at, err);
		at += n;
	}
	if (!r && ftruncate(fd, (off_t)it->x->size))
		r = error_errno(err, "truncate");
	if (!r)
		c->out->bytes += it->x->size;
	return r;
}

/* --- making things --- */

/* Makes room for a new name: what is there is removed, unless it is a folder.
 */
static int clear_name(struct copy *c, const char *name, struct error *err)
{
	if (!unlinkat(here(c), name, 0) || errno == ENOENT)
		return 0;
	if (errno == EISDIR || errno == EPERM)
		return error_set(err, ERR_EXISTS,
			"a folder of that name is there");
	return error_errno(err, "unlink");
}

static int make_file(struct copy *c, const struct view_item *it,
	const char *name, struct error *err)
{
	AUTO_FD int fd = -1;
	int r = clear_name(c, name, err);

	if (r)
		return r;
	fd = openat(here(c), name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, "create");
	r = write_content(c, it, fd, err);
	if (r) {
		/* half a file is worse than none */
		unlinkat(here(c), name, 0);
		return r;
	}
	c->out->files++;
	return set_metadata(c, fd, name, it->x, err);
}

static int make_symlink(struct copy *c, const struct view_item *it,
	const char *name, struct error *err)
{
	AUTO_BUF target = BUF_INIT;
	const struct view *t = &it->x->target;
	int r;

	if (!t->len || memchr(t->data, 0, t->len))
		return error_set(err, ERR_UNSUPPORTED,
			"the symlink's target is not known");
	buf_add(&target, t->data, t->len);
	r = clear_name(c, name, err);
	if (!r && symlinkat(buf_str(&target), here(c), name))
		r = error_errno(err, "symlink");
	return r ? r : set_metadata(c, -1, name, it->x, err);
}

static int make_special(struct copy *c, const struct view_item *it,
	const char *name, struct error *err)
{
	mode_t type = it->x->type == ENTRY_CHAR	   ? S_IFCHR
		      : it->x->type == ENTRY_BLOCK ? S_IFBLK
		      : it->x->type == ENTRY_FIFO  ? S_IFIFO
						   : S_IFSOCK;
	int r = clear_name(c, name, err);

	if (!r && mknodat(here(c), name, type | 0600,
			  makedev(it->x->rdev_major, it->x->rdev_minor)))
		r = error_errno(err, "cannot be made (type %s)",
			entry_type_name(it->x->type));
	return r ? r : set_metadata(c, -1, name, it->x, err);
}

/* --- hard links --- */

static struct linked *link_slot(struct linked *t, size_t cap, uint64_t group,
	size_t volume)
{
	size_t k = (size_t)((group ^ volume) *
			   UINT64_C(0x9e3779b97f4a7c15) >> 20) &
		   (cap - 1);

	while (t[k].group && (t[k].group != group || t[k].volume != volume))
		k = (k + 1) & (cap - 1);
	return &t[k];
}

static struct linked *link_find(struct copy *c, const struct view_item *it)
{
	size_t volume = c->v->mounts.items[it->mount].volume;

	if ((c->links_n + 1) * 2 > c->links_cap) {
		size_t cap = c->links_cap ? c->links_cap * 2 : 256;
		struct linked *fresh = calloc(cap, sizeof(*fresh));

		if (!fresh)
			return NULL;
		for (size_t i = 0; i < c->links_cap; i++)
			if (c->links[i].group)
				*link_slot(fresh, cap, c->links[i].group,
					c->links[i].volume) = c->links[i];
		free(c->links);
		c->links = fresh;
		c->links_cap = cap;
	}
	return link_slot(c->links, c->links_cap, it->x->link_group, volume);
}

/* Another name for what was copied as path below the first folder. */
static bool make_link(struct copy *c, const char *path, const char *name)
{
	const char *base = strrchr(path, '/');
	AUTO_FREE char *dir = strndup(path, base ? (size_t)(base - path) : 0);
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	AUTO_FD int fd = -1;
	struct error ignored;

	if (!dir || clear_name(c, name, &ignored))
		return false;
	if (base) {
		fd = (int)syscall(SYS_openat2, c->dirs.items[0], dir, &how,
			sizeof(how));
		if (fd < 0)
			return false;
	}
	return !linkat(base ? fd : c->dirs.items[0], base ? base + 1 : path,
		here(c), name, 0);
}

/* Where the item goes, below the first folder. */
static char *host_path(const struct copy *c, const struct view_item *it)
{
	char *s = NULL;

	if (!c->name)
		return strdup(it->rel);
	return asprintf(&s, "%s%s%s", c->name, *it->rel ? "/" : "", it->rel) < 0
		       ? NULL
		       : s;
}

static int make_linked(struct copy *c, const struct view_item *it,
	const char *name, int (*make)(struct copy *c,
		const struct view_item *it, const char *name,
		struct error *err),
	struct error *err)
{
	struct linked *l = link_find(c, it);
	int r;

	if (!l)
		return error_nomem(err);
	if (l->group && oid_equal(&l->id, &it->x->id) &&
		make_link(c, l->path, name))
		return 0;
	r = make(c, it, name, err);
	if (r || l->group)
		return r;
	l->path = host_path(c, it);
	if (!l->path)
		return error_nomem(err);
	l->group = it->x->link_group;
	l->volume = c->v->mounts.items[it->mount].volume;
	l->id = it->x->id;
	c->links_n++;
	return 0;
}

/* --- the walk --- */

static const char *name_of(const struct copy *c, const struct view_item *it)
{
	return it->depth ? strrchr(it->path, '/') + 1 : c->name;
}

static int on_entry(void *ctx, const struct view_item *it)
{
	struct copy *c = ctx;
	struct error err = { 0 };
	const char *name = name_of(c, it);
	int (*make)(struct copy *c, const struct view_item *it,
		const char *name, struct error *err) =
		it->x->type == ENTRY_FILE	? make_file
		: it->x->type == ENTRY_SYMLINK ? make_symlink
					       : make_special;
	int r = progress_check(c->a->progress, &err);

	if (!r)
		r = it->x->link_group && it->x->nlink > 1
			    ? make_linked(c, it, name, make, &err)
			    : make(c, it, name, &err);
	return r ? problem(c, it->path, r, &err) : 0;
}

static int on_enter(void *ctx, const struct view_item *it)
{
	struct copy *c = ctx;
	struct error err = { 0 };
	const char *name = name_of(c, it);
	int r = 0, fd;

	if (!name) /* into the folder itself */
		fd = dup(here(c));
	else {
		if (mkdirat(here(c), name, 0700) && errno != EEXIST)
			r = error_errno(&err, "mkdir");
		fd = r ? -1
		       : openat(here(c), name, O_RDONLY | O_DIRECTORY |
						       O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 && !r)
		r = errno == ENOTDIR || errno == ELOOP
			    ? error_set(&err, ERR_EXISTS,
				      "something that is not a folder is "
				      "there")
			    : error_errno(&err, "open");
	if (!r && !vec_push(&c->dirs, fd)) {
		close(fd);
		r = error_nomem(&err);
	}
	if (!r)
		return 0;
	r = problem(c, it->path, r, &err);
	return r ? r : VIEW_PRUNE;
}

static int on_leave(void *ctx, const struct view_item *it)
{
	struct copy *c = ctx;
	struct error err = { 0 };
	int fd = c->dirs.items[--c->dirs.len], r = 0;

	/* A folder that the user named as it is stays as it is. */
	if (name_of(c, it))
		r = set_metadata(c, fd, NULL, it->x, &err);
	close(fd);
	return r ? problem(c, it->path, r, &err) : 0;
}

int ops_copy_out(struct view_files *v, const struct view_node *from,
	int dir_fd, const char *name, const struct copy_args *a,
	struct copy_result *out, struct error *e)
{
	struct copy c = { .v = v,
		.a = a,
		.out = out,
		.e = e,
		.name = name,
		.window = malloc(WINDOW),
		.root = !geteuid() };
	struct view_visitor visitor = { on_enter, on_entry, on_leave, &c };
	int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0), r = 0;

	if (fd < 0)
		r = error_errno(e, "dup");
	else if (!c.window || !vec_push(&c.dirs, fd)) {
		close(fd);
		r = error_nomem(e);
	}
	if (!r && !name && from->x.type != ENTRY_DIR)
		r = error_set(e, ERR_ARG, "is not a folder");
	if (!r)
		r = view_walk(v, from, &visitor, e);
	out->all_tried = !r;
	for (size_t i = 0; i < c.dirs.len; i++)
		close(c.dirs.items[i]);
	vec_release(&c.dirs);
	for (size_t i = 0; i < c.links_cap; i++)
		free(c.links[i].path);
	free(c.links);
	free(c.window);
	return r ? r : c.first;
}
