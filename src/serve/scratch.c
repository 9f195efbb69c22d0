/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/scratch.h"

#include <stdlib.h>
#include <string.h>
#include "ops/export.h"
#include "ops/instance.h"

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
	if (asprintf(&s->base, "%s/base.raw", s->dir.path) < 0) {
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
	/* A library that cannot be written has no gc either. */
	if (pins_open(l, &s->pins, NULL))
		s->pins = NULL;
	r = pins_add(l, s->pins, a->commit, e);
	if (!r)
		r = library_get_commit(l, a->commit, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r)
		r = export_choose_disk(&im, a->disk, &d, e);
	if (!r)
		r = private_dir_make(
			a->keep ? PRIVATE_KEPT : PRIVATE_DISKS, &s->dir, e);
	if (!r && asprintf(&s->overlay, "%s/disk.qcow2", s->dir.path) < 0) {
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
	if (s->keep)
		private_dir_leave(&s->dir);
	else
		private_dir_remove(&s->dir);
	pins_close(s->pins);
	free(s->overlay);
	free(s->base);
	memset(s, 0, sizeof(*s));
}
