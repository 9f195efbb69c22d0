/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/zero.h"
#include "disk/resolve.h"

void input_release(struct input *in)
{
	for (size_t i = 0; i < in->disks.len; i++)
		source_unref(in->disks.items[i]);
	for (size_t i = 0; i < in->attachments.len; i++) {
		free(in->attachments.items[i].name);
		buf_release(&in->attachments.items[i].data);
	}
	vec_release(&in->disks);
	vec_release(&in->infos);
	vec_release(&in->attachments);
}

/* Standard input is read once, a disk is read at any place: it goes to a file
 * that has no name, zeros as holes. */
static int spool_stdin(const struct progress *progress, struct source **out,
	struct error *e)
{
	enum { WINDOW = 1 << 20 };
	const char *dir = getenv("TMPDIR");
	AUTO_FREE uint8_t *buf = malloc(WINDOW);
	AUTO_FD int fd = -1;
	uint64_t at = 0;

	if (!buf)
		return error_nomem(e);
	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		AUTO_BUF path = BUF_INIT;

		buf_printf(&path, "%s/strata.XXXXXX", dir);
		buf_str(&path);
		fd = path.oom ? -1 : mkostemp((char *)path.data, O_CLOEXEC);
		if (fd < 0)
			return error_errno(e, "temporary file in %s", dir);
		unlink((char *)path.data);
	}
	for (;;) {
		size_t have = 0;
		ssize_t n = 1;
		int r = progress_check(progress, e);

		if (r)
			return r;
		while (have < WINDOW &&
			(n = read(0, buf + have, WINDOW - have)) != 0) {
			if (n < 0 && errno == EINTR &&
				!progress_cancelled(progress))
				continue;
			if (n < 0)
				return error_errno(e, "standard input");
			have += (size_t)n;
		}
		for (size_t i = 0; i < have; i += 65536) {
			size_t k = size_min(65536, have - i);

			if (!is_zero(buf + i, k) &&
				pwrite(fd, buf + i, k, (off_t)(at + i)) !=
					(ssize_t)k)
				return error_errno(e, "temporary file in %s",
					dir);
		}
		at += have;
		if (progress && progress->update)
			progress->update(progress->ctx, "read", at, 0);
		if (!n)
			break;
	}
	if (ftruncate(fd, (off_t)at))
		return error_errno(e, "temporary file");
	return source_file_fd(steal_fd(&fd), "standard input", out, e);
}

static int open_disk(const char *path, struct source *file,
	const struct input_args *a, struct input *out, struct error *e)
{
	const struct disk_ops *ops;
	size_t n = 0;
	struct disk_allow allow = { .image = path,
		.paths = a->allow,
		.findings = a->findings };
	struct disk_resolver resolver = { disk_allow_open, &allow };
	struct disk_open_args args = { .file = file,
		.resolver = &resolver,
		.snapshot = a->snapshot,
		.findings = a->findings };
	struct disk_info info = { 0 };
	struct source *disk;
	int r;

	while (a->allow && a->allow[n])
		n++;
	allow.n = n;
	ops = a->format ? disk_by_name(a->format) : disk_probe(file);
	if (!ops)
		return error_set(e, ERR_ARG, "'%s' is not a format", a->format);
	if (!ops->open)
		return error_set(e, ERR_UNSUPPORTED, "%s cannot be read",
			ops->name);
	r = ops->open(&args, &disk, &info, e);
	if (r)
		return r;
	if (!vec_push(&out->disks, disk)) {
		source_unref(disk);
		return error_nomem(e);
	}
	return vec_push(&out->infos, info) ? 0 : error_nomem(e);
}

int input_open(const char *path, const struct input_args *a, struct input *out,
	struct error *e)
{
	AUTO_SOURCE file = NULL;
	struct input_args raw = *a;
	int r;

	if (!strcmp(path, "-")) {
		r = spool_stdin(a->progress, &file, e);
		if (!raw.format)
			raw.format = "raw";
	} else {
		r = source_file_open(path, &file, e);
	}
	return r ? r : open_disk(path, file, &raw, out, e);
}

char *input_base_name(const char *path)
{
	static const char *const endings[] = { ".gz", ".xz", ".zst", ".zip",
		".bz2", ".raw", ".img", ".qcow2", ".qcow", ".vmdk", ".vhd",
		".vhdx", ".vdi", ".vpc", ".ova", ".ovf", ".iso", ".dd", ".bin",
		".tar" };
	AUTO_FREE char *copy = strdup(path);
	char *base;
	size_t n;
	bool cut = true;

	if (!copy)
		return NULL;
	n = strlen(copy);
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	base = strrchr(copy, '/');
	base = strdup(base && base[1] ? base + 1 : copy);
	if (!base || !strcmp(base, "-")) {
		free(base);
		return strdup("stdin");
	}
	while (cut) {
		cut = false;
		n = strlen(base);
		for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
			size_t k = strlen(endings[i]);

			if (n > k && !strcasecmp(base + n - k, endings[i])) {
				base[n - k] = 0;
				cut = true;
				break;
			}
		}
	}
	/* What a branch's name cannot hold. */
	for (char *p = base; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 127 ||
			strchr("~^:?*[\\#@", *p))
			*p = '-';
	if (*base == '-' || *base == '.')
		*base = '_';
	return base;
}
