/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/export.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "library/record.h"
#include "view/view.h"

struct report {
	const struct progress *p;
	uint64_t size;
};

static int on_progress(void *ctx, uint64_t done)
{
	struct report *r = ctx;

	if (r->p && r->p->update)
		r->p->update(r->p->ctx, "export", done, r->size);
	return progress_cancelled(r->p);
}

int export_choose_disk(const struct image *im, int want,
	const struct image_disk **out, struct error *e)
{
	if (!im->disks.len)
		return error_set(e, ERR_NOTFOUND, "the image has no disk");
	if (want < 0 && im->disks.len > 1)
		return error_set(e, ERR_ARG,
			"the image has %zu disks; say which one with --disk",
			im->disks.len);
	if (want >= 0 && (size_t)want >= im->disks.len)
		return error_set(e, ERR_NOTFOUND,
			"the image has %zu disk%s, not a disk %d",
			im->disks.len, im->disks.len == 1 ? "" : "s", want);
	*out = &im->disks.items[want < 0 ? 0 : want];
	return 0;
}

/* So that a commit knows what an overlay over the file stands on. A library
 * that cannot be written remembers nothing; the export is done all the same. */
static bool remember(struct library *l, const struct export_args *a,
	const struct image *im, const struct image_disk *disk,
	const char *format)
{
	AUTO_RECORD x = { .kind = RECORD_EXPORT,
		.commit = *a->commit,
		.disk = (uint32_t)(disk - im->disks.items),
		.created = library_now() };

	memcpy(x.digest, disk->digest, 16);
	x.path = realpath(a->path, NULL);
	x.format = strdup(format);
	x.branch = a->branch ? strdup(a->branch) : NULL;
	if (!x.path || !x.format)
		return false;
	if (record_stamp_of(x.path, &x.stamp, NULL))
		return true; /* a device is no base to be known by */
	if (record_write(l, &x, NULL))
		return false;
	record_prune(l, NULL);
	return true;
}

int ops_export(struct library *l, const struct export_args *a,
	struct error *e)
{
	bool stream = !strcmp(a->path, "-");
	const struct disk_ops *ops = a->format ? disk_by_name(a->format)
				     : stream  ? disk_by_name("raw")
					       : disk_by_suffix(a->path);
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	AUTO_SOURCE src = NULL;
	AUTO_SINK out = NULL;
	const struct image_disk *disk = NULL;
	struct report rep = { .p = a->progress };
	const char *slash = strrchr(a->path, '/');
	struct disk_write_args wa = { .compress = a->compress,
		.compression = a->compression,
		.progress = on_progress,
		.progress_ctx = &rep,
		.name = slash ? slash + 1 : a->path };
	int r;

	if (!ops && a->format)
		return error_set(e, ERR_ARG, "'%s' is not a format", a->format);
	if (!ops)
		ops = disk_by_name("raw");
	if (!ops->writer)
		return error_set(e, ERR_ARG, "%s is not written", ops->name);
	if (stream && !ops->writer->streams)
		return error_set(e, ERR_ARG,
			"%s cannot be written to a pipe", ops->name);
	r = library_get_commit(l, a->commit, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r)
		r = export_choose_disk(&im, a->disk, &disk, e);
	if (!r)
		r = view_disk(l, disk, &src, e);
	if (!r)
		r = stream ? sink_stream(STDOUT_FILENO, &out, e)
			   : sink_file_create(a->path, &out, e);
	if (r)
		return r;
	rep.size = disk->size;
	wa.disk = src;
	wa.out = out;
	wa.id = disk->digest;
	r = ops->writer->write(&wa, e);
	if (!r)
		r = sink_commit(out, e);
	if (!r && !stream && !a->forget &&
		!remember(l, a, &im, disk, ops->name) && a->out_unnoted)
		*a->out_unnoted = true;
	return r;
}
