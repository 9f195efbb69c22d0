/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include "disk/qcow2.h"
#include "ops/export.h"

/* --- overlays --- */

static int write_file(int fd, const struct buf *b, const char *path,
	struct error *e)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(e, "%s: write", path);
		done += (size_t)n;
	}
	return fsync(fd) ? error_errno(e, "%s: fsync", path) : 0;
}

int overlay_create(const char *path, uint64_t size, const char *backing,
	const char *backing_format, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_FD int fd = -1;
	int r = qcow2_encode_overlay(size, backing, backing_format, &b, e);

	if (r)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_errno(e, "%s", path);
	r = write_file(fd, &b, path, e);
	if (r)
		unlink(path);
	return r;
}

void instance_uri(const struct oid *commit, uint32_t disk, const char *socket,
	struct buf *out)
{
	char hex[OID_HEX + 1];

	buf_printf(out, "nbd+unix:///%s", oid_hex(commit, hex));
	if (disk)
		buf_printf(out, "%%23%" PRIu32, disk);
	buf_addstr(out, "?socket=");
	for (const char *s = socket; *s; s++)
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr("-._~/", *s))
			buf_addch(out, *s);
		else
			buf_printf(out, "%%%02X", (unsigned char)*s);
}

bool image_in_use(const char *path)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 101,
		.l_len = 1 };

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) &&
	       lock.l_type != F_UNLCK;
}

/* --- create --- */

/* path, made absolute with its folder real. */
static char *real_place(const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = slash ? strndup(path,
						 (size_t)(slash - path) + 1)
				       : strdup(".");
	AUTO_FREE char *real = folder ? realpath(folder, NULL) : NULL;
	AUTO_BUF b = BUF_INIT;

	if (!real) {
		error_errno(e, "%s", path);
		return NULL;
	}
	buf_printf(&b, "%s/%s", strcmp(real, "/") ? real : "",
		slash ? slash + 1 : path);
	if (b.oom)
		error_nomem(e);
	return buf_steal(&b);
}

/* The overlay's path with another ending. */
static char *beside(const char *path, const char *ending)
{
	const char *base = strrchr(path, '/');
	const char *dot = base ? strrchr(base + 2, '.') : NULL;
	AUTO_BUF b = BUF_INIT;

	buf_add(&b, path, dot ? (size_t)(dot - path) : strlen(path));
	buf_addstr(&b, ending);
	return buf_steal(&b);
}

static int place_files(const struct instance_args *a, struct record *r,
	struct error *e)
{
	AUTO_BUF name = BUF_INIT;

	for (const char *p = a->name; *p; p++)
		buf_addch(&name, *p == '/' ? '-' : *p);
	buf_addstr(&name, ".qcow2");
	r->path = real_place(a->path ? a->path : buf_str(&name), e);
	if (!r->path)
		return e && e->code ? e->code : ERR_NOMEM;
	if (!access(r->path, F_OK))
		return error_set(e, ERR_EXISTS, "%s: is there already",
			r->path);
	if (a->full) {
		r->base_path = beside(r->path, ".base.raw");
		if (r->base_path && !access(r->base_path, F_OK))
			return error_set(e, ERR_EXISTS, "%s: is there already",
				r->base_path);
		return r->base_path ? 0 : error_nomem(e);
	}
	r->socket = a->socket ? real_place(a->socket, e)
			      : beside(r->path, ".sock");
	if (!r->socket)
		return e && e->code ? e->code : ERR_NOMEM;
	if (strlen(r->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(e, ERR_ARG,
			"%s: the path of a socket has at most %zu bytes; "
			"choose one with --socket",
			r->socket,
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	return 0;
}

static int make_backing(struct library *l, const struct instance_args *a,
	struct record *r, struct error *e)
{
	AUTO_BUF uri = BUF_INIT;
	struct export_args x = { .commit = &r->commit,
		.disk = (int)r->disk,
		.path = r->base_path,
		.format = "raw",
		.branch = r->branch,
		.sync = true,
		.progress = a->progress };

	if (r->base_path) {
		/* Named relative to the overlay: both can be moved. */
		r->backing = strdup(strrchr(r->base_path, '/') + 1);
		return r->backing ? ops_export(l, &x, e) : error_nomem(e);
	}
	instance_uri(&r->commit, r->disk, r->socket, &uri);
	r->backing = buf_steal(&uri);
	return r->backing ? 0 : error_nomem(e);
}

static int describe_base(struct library *l, const struct instance_args *a,
	struct record *r, uint64_t *out_size, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	const struct image_disk *d;
	int rc = library_get_commit(l, a->commit, &c, e);

	if (!rc)
		rc = library_get_image(l, &c.image, &im, e);
	if (!rc)
		rc = export_choose_disk(&im, a->disk, &d, e);
	if (rc)
		return rc;
	*out_size = d->size;
	r->kind = RECORD_INSTANCE;
	r->commit = *a->commit;
	r->disk = (uint32_t)(d - im.disks.items);
	memcpy(r->digest, d->digest, 16);
	r->created = library_now();
	r->name = strdup(a->name);
	r->format = strdup("qcow2");
	r->branch = a->branch ? strdup(a->branch) : NULL;
	return r->name && r->format && (r->branch || !a->branch)
		       ? 0
		       : error_nomem(e);
}

int ops_instance_create(struct library *l, const struct instance_args *a,
	struct record *out, struct error *e)
{
	AUTO_RECORD r = { 0 };
	struct oid there;
	uint64_t size;
	int rc = ref_name_check(a->name, e);

	if (!rc && !library_ref_read(l, REFS_INSTANCES, a->name, &there, e))
		rc = error_set(e, ERR_EXISTS,
			"the instance '%s' exists already", a->name);
	if (!rc)
		rc = describe_base(l, a, &r, &size, e);
	if (!rc)
		rc = place_files(a, &r, e);
	if (rc)
		return rc;
	/* First what keeps the base. */
	rc = library_ref_update(l, REFS_INSTANCES, a->name, NULL, false,
		a->commit, "instance: created", e);
	if (rc == ERR_CONFLICT)
		return error_set(e, ERR_EXISTS,
			"the instance '%s' exists already", a->name);
	if (rc)
		return rc;
	rc = make_backing(l, a, &r, e);
	if (!rc)
		rc = overlay_create(r.path, size, r.backing, "raw", e);
	if (!rc) {
		rc = record_stamp_of(r.path, &r.stamp, e);
		if (!rc)
			rc = record_write(l, &r, e);
		if (rc)
			unlink(r.path);
	}
	if (rc) {
		if (r.base_path)
			unlink(r.base_path);
		library_ref_update(l, REFS_INSTANCES, a->name, a->commit,
			false, NULL, "instance: failed", NULL);
		return rc;
	}
	*out = r;
	memset(&r, 0, sizeof(r));
	return 0;
}

/* --- list --- */

enum instance_state instance_state(const struct record *r)
{
	struct record_stamp now;

	if (record_stamp_of(r->path, &now, NULL))
		return INSTANCE_MISSING;
	if (record_altered(r))
		return INSTANCE_CHANGED;
	return oid_is_zero(&r->head) ? INSTANCE_CLEAN : INSTANCE_COMMITTED;
}

const char *instance_state_name(enum instance_state s)
{
	static const char *const names[] = { "clean", "changed", "committed",
		"missing", "broken" };

	return names[s];
}

struct listing {
	struct library *l;
	instance_fn fn;
	void *ctx;
	struct error *e;
};

static int list_ref(void *ctx, const char *name, const struct oid *id)
{
	struct listing *c = ctx;
	AUTO_RECORD r = { 0 };

	if (!record_instance(c->l, name, &r, NULL))
		return c->fn(c->ctx, &r, instance_state(&r));
	r.name = strdup(name);
	r.commit = *id;
	return r.name ? c->fn(c->ctx, &r, INSTANCE_BROKEN) : error_nomem(c->e);
}

int ops_instance_list(struct library *l, instance_fn fn, void *ctx,
	struct error *e)
{
	struct listing c = { l, fn, ctx, e };

	return library_ref_list(l, REFS_INSTANCES, list_ref, &c, e);
}

/* --- remove --- */

static int check_removal(const struct record *r, bool force, struct error *e)
{
	enum instance_state state = instance_state(r);

	if (state == INSTANCE_MISSING)
		return 0;
	if (image_in_use(r->path))
		return error_set(e, ERR_BUSY, "%s: a program writes to it",
			r->path);
	if (state == INSTANCE_CHANGED && !force)
		return error_set(e, ERR_CONFLICT,
			"%s: holds changes that were not committed; 'strata "
			"commit %s' keeps them, 'strata instance rm -f %s' "
			"throws them away",
			r->path, r->name, r->name);
	return 0;
}

int ops_instance_remove(struct library *l, const char *name, bool force,
	struct error *e)
{
	AUTO_RECORD r = { 0 };
	struct oid id;
	int rc = ref_name_check(name, e), ref;

	if (rc)
		return rc;
	ref = library_ref_read(l, REFS_INSTANCES, name, &id, e);
	rc = record_instance(l, name, &r, e);
	if (rc == ERR_NOTFOUND && ref)
		return error_set(e, ERR_NOTFOUND, "no instance '%s'", name);
	if (!rc)
		rc = check_removal(&r, force, e);
	else if (rc == ERR_NOTFOUND || rc == ERR_DAMAGED)
		rc = 0;
	if (rc)
		return rc;
	if (r.path && unlink(r.path) && errno != ENOENT)
		return error_errno(e, "%s", r.path);
	if (r.base_path) {
		AUTO_RECORD base = { 0 };

		if (!record_find(l, r.base_path, &base, NULL))
			record_remove(l, &base, NULL);
		unlink(r.base_path);
	}
	if (r.path)
		rc = record_remove(l, &r, e);
	/* Last what kept the base. */
	if (!rc && !ref)
		rc = library_ref_update(l, REFS_INSTANCES, name, &id, false,
			NULL, "removed", e);
	return rc;
}
