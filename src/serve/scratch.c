/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/scratch.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ops/export.h"
#include "ops/instance.h"

char *scratch_folder(struct error *e)
{
	const char *tmp = getenv("TMPDIR");
	AUTO_BUF b = BUF_INIT;
	char *dir;

	buf_printf(&b, "%s/strata-XXXXXX",
		tmp && *tmp == '/' ? tmp : "/var/tmp");
	dir = buf_steal(&b);
	if (!dir) {
		error_nomem(e);
	} else if (!mkdtemp(dir)) {
		error_errno(e, "%s", dir);
		free(dir);
		dir = NULL;
	}
	return dir;
}

void scratch_remove(const char *dir)
{
	DIR *h = opendir(dir);
	struct dirent *d;

	while (h && (d = readdir(h)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			unlinkat(dirfd(h), d->d_name, 0);
	if (h)
		closedir(h);
	rmdir(dir);
}

static int make_backing(struct library *l, const struct scratch_args *a,
	unsigned disk, struct scratch *s, struct error *e)
{
	AUTO_FREE char *library = realpath(l->path, NULL);
	char hex[OID_HEX + 1];
	struct export_args x = { .commit = a->commit,
		.disk = (int)disk,
		.format = "raw",
		.forget = true,
		.progress = a->progress };
	struct nbd_server_args n = { .library = library,
		.rev = oid_hex(a->commit, hex),
		.disk = disk,
		.cancel = a->progress ? a->progress->cancel : NULL };

	if (!library)
		return error_errno(e, "%s", l->path);
	if (!a->local)
		return nbd_server_start(&n, &s->server, e);
	if (asprintf(&s->base, "%s/base.raw", s->dir) < 0) {
		s->base = NULL;
		return error_nomem(e);
	}
	x.path = s->base;
	return ops_export(l, &x, e);
}

int scratch_open(struct library *l, const struct scratch_args *a,
	struct scratch *s, struct error *e)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	const struct image_disk *d;
	int r;

	memset(s, 0, sizeof(*s));
	s->keep = a->keep;
	r = lease_take(l->be, &s->lease, e);
	if (!r)
		r = library_get_commit(l, a->commit, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r)
		r = export_choose_disk(&im, a->disk, &d, e);
	if (!r && !(s->dir = scratch_folder(e)))
		r = e && e->code ? e->code : ERR_IO;
	if (!r && asprintf(&s->overlay, "%s/disk.qcow2", s->dir) < 0) {
		s->overlay = NULL;
		r = error_nomem(e);
	}
	if (!r)
		r = make_backing(l, a, (unsigned)(d - im.disks.items), s, e);
	if (!r)
		r = overlay_create(s->overlay, d->size,
			a->local ? "base.raw" : s->server.uri, "raw", e);
	if (r) {
		s->keep = false;
		scratch_close(s);
	}
	return r;
}

void scratch_close(struct scratch *s)
{
	nbd_server_stop(&s->server);
	if (s->dir && !s->keep)
		scratch_remove(s->dir);
	lease_release(s->lease);
	free(s->dir);
	free(s->overlay);
	free(s->base);
	memset(s, 0, sizeof(*s));
}
