/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/ova.h"
#include "disk/resolve.h"
#include "disk/spool.h"
#include "disk/wrap.h"

/* A path and what it may lead to, kept for as long as disks may ask. */
struct input_path {
	char *path, *folder;
	const char **allow;
	struct disk_allow rule;
	struct disk_resolver resolver;
	uint64_t bytes; /* of the files that were opened */
};

void input_release(struct input *in)
{
	for (size_t i = 0; i < in->disks.len; i++)
		source_unref(in->disks.items[i]);
	for (size_t i = 0; i < in->attachments.len; i++) {
		free(in->attachments.items[i].name);
		buf_release(&in->attachments.items[i].data);
	}
	for (size_t i = 0; i < in->appliances.len; i++)
		ova_close(in->appliances.items[i]);
	for (size_t i = 0; i < in->paths.len; i++) {
		free(in->paths.items[i]->path);
		free(in->paths.items[i]->folder);
		free(in->paths.items[i]->allow);
		free(in->paths.items[i]);
	}
	vec_release(&in->disks);
	vec_release(&in->infos);
	vec_release(&in->attachments);
	vec_release(&in->appliances);
	vec_release(&in->paths);
}

/* The resolver for an image: what the user allowed, and its own folder where
 * the user named that (an OVF with its disks). */
static struct input_path *add_path(struct input *in, const char *path,
	bool own_folder, const struct input_args *a)
{
	struct input_path *p = calloc(1, sizeof(*p));
	const char *slash = strrchr(path, '/');
	size_t n = 0;

	while (a->allow && a->allow[n])
		n++;
	if (!p || !vec_push(&in->paths, p)) {
		free(p);
		return NULL;
	}
	p->path = strdup(path);
	p->folder = !slash	? strdup(".")
		    : slash == path ? strdup("/")
				: strndup(path, (size_t)(slash - path));
	p->allow = calloc(n + 2, sizeof(char *));
	if (!p->path || !p->folder || !p->allow)
		return NULL;
	for (size_t i = 0; i < n; i++)
		p->allow[i] = a->allow[i];
	if (own_folder)
		p->allow[n++] = p->folder;
	p->rule = (struct disk_allow){ .image = p->path,
		.paths = p->allow,
		.n = n,
		.findings = a->findings,
		.bytes = &p->bytes };
	p->resolver = (struct disk_resolver){ disk_allow_open, &p->rule };
	return p;
}

struct reading {
	const struct progress *p;
	const char *phase;
	uint64_t total;
};

static int on_read(void *ctx, uint64_t done)
{
	struct reading *r = ctx;

	if (r->p && r->p->update)
		r->p->update(r->p->ctx, r->phase, done, r->total);
	return progress_cancelled(r->p);
}

/* A pipe is read once, a disk is read at any place: it goes to a file that has
 * no name, zeros as holes. */
static int spool_pipe(int fd, const char *name, const struct progress *progress,
	struct source **out, struct error *e)
{
	enum { WINDOW = 1 << 20, PIECE = 1 << 16 };
	AUTO_FREE uint8_t *buf = malloc(WINDOW);
	AUTO_SPOOL spool = NULL;
	uint64_t at = 0;
	size_t have;
	int r = buf ? spool_new(&spool, e) : error_nomem(e);

	if (r)
		return r;
	do {
		ssize_t n = 1;

		for (have = 0; have < WINDOW && n; have += (size_t)n) {
			r = progress_check(progress, e);
			if (r)
				return r;
			do
				n = read(fd, buf + have, WINDOW - have);
			while (n < 0 && errno == EINTR &&
				!progress_cancelled(progress));
			if (n < 0 && progress_cancelled(progress))
				return progress_check(progress, e);
			if (n < 0)
				return error_errno(e, "%s", name);
		}
		for (size_t i = 0; i < have && !r; i += PIECE) {
			size_t k = size_min(PIECE, have - i);

			if (!is_zero(buf + i, k))
				r = sink_pwrite(spool_sink(spool), buf + i, k,
					at + i, e);
		}
		if (r)
			return r;
		at += have;
		if (progress && progress->update)
			progress->update(progress->ctx, "read", at, 0);
	} while (have);
	r = sink_truncate(spool_sink(spool), at, e);
	return r ? r : spool_source(spool, name, out, e);
}

/* What may be read of a disk that stands in files of so many bytes. */
static uint64_t read_max(uint64_t bytes)
{
	uint64_t max;

	return u64_mul(bytes, LIMIT_CONTAINER_FACTOR, &max)
		? u64_max(max, LIMIT_CONTAINER_FREE)
		: UINT64_MAX;
}

/* Transferred: disk, which stands in files of so many bytes. */
static int add_disk(struct input *out, struct source *disk, uint64_t bytes,
	const struct disk_info *info, struct error *e)
{
	/* A disk below that would have to be read many times to get there. */
	if (disk->size > read_max(bytes)) {
		struct source *bounded;
		int r = source_budget(disk, read_max(bytes), &bounded, e);

		source_unref(disk);
		if (r)
			return r;
		disk = bounded;
	}
	if (!vec_reserve(&out->infos, out->disks.len + 1) ||
		!vec_push(&out->disks, disk)) {
		source_unref(disk);
		return error_nomem(e);
	}
	return vec_push(&out->infos, *info) ? 0 : error_nomem(e);
}

static int open_disk(const char *path, struct source *file,
	const struct input_args *a, struct input *out, struct error *e)
{
	struct input_path *p = add_path(out, path, false, a);
	const struct disk_ops *ops;
	struct disk_open_args args = { .file = file,
		.snapshot = a->snapshot,
		.findings = a->findings };
	struct disk_info info = { 0 };
	struct source *disk;
	int r;

	if (!p)
		return error_nomem(e);
	args.resolver = &p->resolver;
	ops = a->format ? disk_by_name(a->format) : disk_probe(file);
	if (!ops)
		return error_set(e, ERR_ARG, "'%s' is not a format", a->format);
	if (!ops->open)
		return error_set(e, ERR_UNSUPPORTED, "%s cannot be read",
			ops->name);
	r = ops->open(&args, &disk, &info, e);
	return r ? r
		 : add_disk(out, disk, u64_add_sat(file->size, p->bytes), &info,
			   e);
}

/* All disks of an appliance, and its OVF. */
static int open_appliance(const char *path, struct source *file, bool is_ovf,
	const struct input_args *a, struct input *out, struct error *e)
{
	const char *slash = strrchr(path, '/');
	struct input_attachment at = { 0 };
	struct ova_args args = { .file = file, .findings = a->findings };
	struct reading rd = { a->progress, "check", file->size };
	struct input_path *p = NULL;
	struct ova *o;
	const char *text;
	size_t len;
	int r;

	if (is_ovf) {
		p = add_path(out, path, true, a);
		if (!p)
			return error_nomem(e);
		args.name = slash ? slash + 1 : path;
		args.resolver = &p->resolver;
	}
	r = ova_open(&args, &o, e);
	if (r)
		return r;
	if (!vec_push(&out->appliances, o)) {
		ova_close(o);
		return error_nomem(e);
	}
	r = ova_verify(o, on_read, &rd, e);
	for (size_t i = 0; i < ova_disk_count(o) && !r; i++) {
		struct disk_info info = { 0 };
		struct source *disk;

		r = ova_disk_open(o, i, &disk, &info, e);
		if (!r)
			r = add_disk(out, disk,
				u64_add_sat(file->size, p ? p->bytes : 0),
				&info, e);
	}
	if (r)
		return r;
	if (!ova_disk_count(o))
		return error_set(e, ERR_UNSUPPORTED,
			"the appliance has no disks");
	text = ova_text(o, &len);
	at.name = strdup("ovf");
	buf_add(&at.data, text, len);
	if (!at.name || at.data.oom || !vec_push(&out->attachments, at)) {
		free(at.name);
		buf_release(&at.data);
		return error_nomem(e);
	}
	return 0;
}

/* The one OVF of a folder. */
static int find_ovf(const char *folder, struct buf *out, struct error *e)
{
	DIR *h = opendir(folder);
	struct dirent *d;
	unsigned n = 0;

	if (!h)
		return error_errno(e, "%s", folder);
	while ((d = readdir(h))) {
		size_t k = strlen(d->d_name);

		if (k <= 4 || strcasecmp(d->d_name + k - 4, ".ovf") ||
			*d->d_name == '.')
			continue;
		buf_clear(out);
		buf_printf(out, "%s/%s", folder, d->d_name);
		n++;
	}
	closedir(h);
	if (n != 1)
		return error_set(e, ERR_UNSUPPORTED,
			n ? "the folder has several OVF files; name one"
			  : "a folder is an image only with an OVF in it");
	return out->oom ? error_nomem(e) : 0;
}

/* Raw, unless the user says otherwise: what comes in a pipe is not guessed. */
static int open_pipe(const char *path, int fd, const struct input_args *a,
	struct input *out, struct error *e)
{
	AUTO_SOURCE file = NULL;
	struct input_args raw = *a;
	int r = spool_pipe(fd, fd ? path : "standard input", a->progress, &file,
		e);

	if (!raw.format)
		raw.format = "raw";
	return r ? r : open_disk(path, file, &raw, out, e);
}

int input_open(const char *path, const struct input_args *a, struct input *out,
	struct error *e)
{
	AUTO_SOURCE file = NULL;
	AUTO_SOURCE plain = NULL;
	AUTO_BUF ovf = BUF_INIT;
	struct reading rd = { a->progress, "unpack", 0 };
	struct wrap_args wa = { .findings = a->findings,
		.progress = on_read,
		.progress_ctx = &rd };
	struct wrap_info wi;
	struct stat st;
	bool folder = false;
	int r;

	if (!strcmp(path, "-"))
		return open_pipe(path, 0, a, out, e);
	if (stat(path, &st))
		return error_errno(e, "%s", path);
	if (S_ISFIFO(st.st_mode)) {
		AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

		return fd < 0 ? error_errno(e, "%s", path)
			      : open_pipe(path, fd, a, out, e);
	}
	if (S_ISDIR(st.st_mode)) {
		r = find_ovf(path, &ovf, e);
		if (r)
			return r;
		path = buf_str(&ovf);
		folder = true;
	}
	r = source_file_open(path, &file, e);
	if (r)
		return r;
	/* Its name says what it is, in whatever encoding. */
	if (folder)
		return open_appliance(path, file, true, a, out, e);
	/* A format that the user names is the format of the file itself. */
	if (a->format && strcmp(a->format, "ova") != 0)
		return open_disk(path, file, a, out, e);
	rd.total = file->size;
	wa.file = file;
	r = wrap_unwrap(&wa, &plain, &wi, e);
	if (r)
		return r;
	if (ova_probe(plain))
		return open_appliance(path, plain, false, a, out, e);
	if (ovf_probe(plain))
		return open_appliance(path, plain, true, a, out, e);
	return open_disk(path, plain, a, out, e);
}

char *input_base_name(const char *path)
{
	static const char *const endings[] = { ".gz", ".xz", ".zst", ".zip",
		".bz2", ".lz4", ".lzma", ".lz", ".tgz", ".txz", ".raw", ".img",
		".qcow2", ".qcow", ".vmdk", ".vhd", ".vhdx", ".vdi", ".vpc", ".ova", ".ovf", ".iso", ".dd", ".bin",
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
