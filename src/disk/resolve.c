/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/wrap_pick.h"

/* "nbd:", "json:", "fat:rw:", a drive letter: letters, digits, + - . up to a
 * colon before any slash, as qemu tells protocols. */
static bool has_protocol(const char *name)
{
	size_t n = strcspn(name, ":/");

	return name[n] == ':';
}

/* path as an absolute one without ".", ".." and double slashes, by its text
 * alone; relative to dir. NULL: out of memory. */
static char *absolute(const char *dir, const char *path)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF all = BUF_INIT;
	const char *p;

	if (*path != '/') {
		buf_addstr(&all, dir);
		buf_addch(&all, '/');
	}
	buf_addstr(&all, path);
	p = buf_str(&all);
	while (*p) {
		size_t n = strcspn(p, "/");

		if (n == 2 && !memcmp(p, "..", 2)) {
			while (b.len && b.data[--b.len] != '/')
				;
		} else if (n && !(n == 1 && *p == '.')) {
			buf_addch(&b, '/');
			buf_add(&b, p, n);
		}
		p += n + (p[n] == '/');
	}
	if (!b.len)
		buf_addch(&b, '/');
	b.oom |= all.oom;
	return buf_steal(&b);
}

/* Opens rest below the folder dir, each step without following a link. */
static int open_below(const char *dir, const char *rest, int *out)
{
	AUTO_FD int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0) {
		size_t n = strcspn(rest, "/");
		AUTO_FREE char *step = strndup(rest, n);
		bool last = !rest[n];
		int fd;

		if (!step)
			return -1;
		fd = openat(at, step,
			O_NOFOLLOW | O_CLOEXEC |
				(last ? O_RDONLY | O_NONBLOCK | O_NOCTTY
				      : O_PATH | O_DIRECTORY));
		close(at);
		at = -1;
		if (fd < 0)
			return -1;
		if (last) {
			*out = fd;
			return 0;
		}
		at = fd;
		rest += n + 1;
	}
	return -1;
}

enum match { MATCH_NO, MATCH_YES, MATCH_FAILED };

/* Is wanted this allowed path (as its text) or below it? Then opens it. */
static enum match try_open(const char *allowed, const char *wanted, int *fd)
{
	size_t n = strlen(allowed);

	if (strncmp(allowed, wanted, n) != 0)
		return MATCH_NO;
	if (!wanted[n]) /* the very path that the user named */
		*fd = open(wanted,
			O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	else if (n == 1 || wanted[n] == '/')
		open_below(allowed, wanted + n + (n > 1), fd);
	else
		return MATCH_NO;
	return *fd >= 0 ? MATCH_YES : MATCH_FAILED;
}

/* The last part of a path of whatever system, where it is an absolute one and
 * named like a disk; else NULL. */
static const char *foreign_base(const char *name)
{
	bool drive = name[0] && name[1] == ':';
	const char *base = name;

	if (*name != '/' && *name != '\\' && !drive)
		return NULL;
	for (const char *p = name + (drive ? 2 : 0); *p; p++)
		if (*p == '/' || *p == '\\')
			base = p + 1;
	return base > name && wrap_is_image_name((const uint8_t *)base,
				      strlen(base))
		       ? base
		       : NULL;
}

static int find(const struct disk_allow *a, const char *name, char **out_path,
	int *fd, struct error *e)
{
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	AUTO_FREE char *image = realpath(a->image, NULL);
	char *slash;

	if (!cwd || !image)
		return error_errno(e, "%s", a->image);
	slash = strrchr(image, '/');
	*slash = 0;
	free(*out_path);
	*out_path = absolute(image, name);
	if (!*out_path)
		return error_nomem(e);
	for (size_t i = 0; i < a->n; i++) {
		AUTO_FREE char *text = absolute(cwd, a->paths[i]);
		AUTO_FREE char *real = realpath(a->paths[i], NULL);
		enum match m;

		if (!text)
			return error_nomem(e);
		m = try_open(text, *out_path, fd);
		if (m == MATCH_NO && real)
			m = try_open(real, *out_path, fd);
		if (m == MATCH_FAILED)
			return error_errno(e, "%s", *out_path);
		if (m == MATCH_YES)
			return 0;
	}
	return 0;
}

/* The format that qemu calls so. */
static const struct disk_ops *by_qemu_name(const char *name)
{
	if (!strcmp(name, "vpc"))
		name = "vhd";
	else if (!strcmp(name, "file") || !strcmp(name, "host_device"))
		name = "raw";
	return disk_by_name(name);
}

int disk_allow_open(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e)
{
	const struct disk_allow *a = ctx;
	const char *plain = strncmp(name, "file:", 5) ? name : name + 5;
	const char *base;
	AUTO_FREE char *path = NULL;
	AUTO_SOURCE file = NULL;
	const struct disk_ops *ops;
	struct disk_info info = { 0 };
	int fd = -1, r;

	if (a->depth >= LIMIT_BACKING_DEPTH)
		return error_set(e, ERR_LIMIT,
			"more than %d images name each other as %s",
			LIMIT_BACKING_DEPTH, purpose);
	/* A parent is known by an id, so it may have moved: where its name is
	 * a path of the machine it was made on, it is looked for beside the
	 * image as well, and has to be allowed there. */
	base = strcmp(purpose, "parent") ? NULL : foreign_base(plain);
	if ((has_protocol(plain) && !base) || !*plain)
		return error_set(e, ERR_UNSUPPORTED,
			"the image needs the %s '%s', which is not the path of "
			"a file",
			purpose, name);
	r = has_protocol(plain) ? 0 : find(a, plain, &path, &fd, e);
	if (base && (r == ERR_NOTFOUND || (!r && fd < 0))) {
		AUTO_FREE char *beside = NULL;
		struct error tmp = { 0 };

		if (!find(a, base, &beside, &fd, &tmp) && fd >= 0) {
			free(path);
			path = steal_ptr(beside);
			r = 0;
		}
	}
	if (!path && !r)
		r = find(a, base, &path, &fd, e); /* for the message */
	if (r)
		return error_prefix(e, "%s '%s'", purpose, name);
	if (fd < 0)
		return error_set(e, ERR_UNSUPPORTED,
			"the image needs the %s '%s', which is not allowed; "
			"allow it with --allow-backing %s",
			purpose, name, path);
	r = source_file_fd(fd, path, &file, e);
	if (r)
		return r;
	if (a->bytes)
		*a->bytes = u64_add_sat(*a->bytes, file->size);
	if (!format) {
		*out = steal_ptr(file);
		return 0;
	}
	ops = *format ? by_qemu_name(format) : disk_probe(file);
	if (!ops)
		return error_set(e, ERR_UNSUPPORTED,
			"the %s '%s' is said to be of the unknown format '%s'",
			purpose, name, format);
	{
		struct disk_allow below = *a;
		struct disk_resolver resolver = { disk_allow_open, &below };

		below.image = path;
		below.depth++;
		r = ops->open(&(struct disk_open_args){ .file = file,
				      .resolver = &resolver,
				      .findings = a->findings },
			out, &info, e);
	}
	return r ? error_prefix(e, "%s '%s'", purpose, name) : 0;
}
