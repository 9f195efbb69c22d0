/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/private_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/compiler.h"
#include "serve/mount.h"

#define LOCK "lock"

static const struct kind {
	const char *env, *otherwise, *prefix;
	bool kept;
} kinds[] = {
	[PRIVATE_DISKS] = { "TMPDIR", "/var/tmp", "strata-scratch-", false },
	[PRIVATE_SOCKET] = { "XDG_RUNTIME_DIR", "/tmp", "strata-nbd-", false },
	[PRIVATE_KEPT] = { "TMPDIR", "/var/tmp", "strata-kept-", true },
};

static const char *parent_of(const struct kind *k)
{
	const char *dir = getenv(k->env);

	return dir && *dir == '/' && !access(dir, W_OK) ? dir : k->otherwise;
}

/* One level; a mount of ours that nobody serves any more ends. */
static void remove_all(const char *path)
{
	DIR *h = opendir(path);
	struct dirent *d;

	while (h && (d = readdir(h))) {
		AUTO_BUF full = BUF_INIT;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(h), d->d_name, 0) || errno != EISDIR)
			continue;
		buf_printf(&full, "%s/%s", path, d->d_name);
		mount_end(buf_str(&full), true, NULL);
		unlinkat(dirfd(h), d->d_name, AT_REMOVEDIR);
	}
	if (h)
		closedir(h);
	rmdir(path);
}

/* --- sweeping --- */

static void sweep_one(DIR *parent, const char *parent_path, const char *name)
{
	AUTO_FD int dir = openat(dirfd(parent), name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_FD int lock = -1;
	AUTO_BUF path = BUF_INIT;
	struct stat st;

	if (dir < 0 || fstat(dir, &st) || st.st_uid != geteuid())
		return;
	buf_printf(&path, "%s/%s", parent_path, name);
	lock = openat(dir, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock >= 0 && !flock(lock, LOCK_EX | LOCK_NB))
		remove_all(buf_str(&path));
	else if (lock < 0 && errno == ENOENT)
		rmdir(buf_str(&path)); /* if it is empty; its maker makes another */
}

static void sweep(const struct kind *k)
{
	const char *path = parent_of(k);
	DIR *h = opendir(path);
	struct dirent *d;
	size_t n = strlen(k->prefix);

	while (h && (d = readdir(h)))
		if (!strncmp(d->d_name, k->prefix, n) &&
			strlen(d->d_name) == n + 6)
			sweep_one(h, path, d->d_name);
	if (h)
		closedir(h);
}

void private_dir_sweep(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!kinds[i].kept)
			sweep(&kinds[i]);
}

/* --- making --- */

/* 1: a sweep was faster. The lock goes over to what is started from here. */
static int take_lock(struct private_dir *d, struct error *e)
{
	AUTO_BUF file = BUF_INIT;
	struct stat st;

	buf_printf(&file, "%s/" LOCK, d->path);
	d->lock = open(buf_str(&file), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (d->lock < 0)
		return errno == ENOENT ? 1
				       : error_errno(e, "%s", buf_str(&file));
	return flock(d->lock, LOCK_EX | LOCK_NB) || fstat(d->lock, &st) ||
	       !st.st_nlink;
}

int private_dir_make(enum private_kind kind, struct private_dir *out,
	struct error *e)
{
	const struct kind *k = &kinds[kind];
	int r = 1;

	private_dir_sweep();
	for (int try = 0; r > 0 && try < 10; try++) {
		struct private_dir d = { .lock = -1 };
		AUTO_BUF b = BUF_INIT;

		buf_printf(&b, "%s/%sXXXXXX", parent_of(k), k->prefix);
		d.path = buf_steal(&b);
		if (!d.path)
			return error_nomem(e);
		if (!mkdtemp(d.path)) {
			r = error_errno(e, "%s", d.path);
			free(d.path);
			return r;
		}
		r = k->kept ? 0 : take_lock(&d, e);
		if (!r)
			*out = d;
		else
			private_dir_remove(&d);
	}
	return r > 0 ? error_set(e, ERR_IO, "no folder for temporary files")
		     : r;
}

void private_dir_leave(struct private_dir *d)
{
	if (d->path && d->lock >= 0)
		close(d->lock);
	free(d->path);
	*d = (struct private_dir){ .lock = -1 };
}

void private_dir_remove(struct private_dir *d)
{
	if (d->path)
		remove_all(d->path);
	private_dir_leave(d);
}
