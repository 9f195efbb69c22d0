/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/export.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "disk/ova.h"
#include "library/record.h"
#include "ops/export_ova.h"
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

static int write_disk(struct library *l, const struct export_args *a,
	const struct image_disk *disk, const struct disk_ops *ops,
	struct sink *out, const char *name, struct error *e)
{
	AUTO_SOURCE src = NULL;
	struct report rep = { .p = a->progress, .size = disk->size };
	int r = view_disk(l, disk, &src, e);

	return r ? r
		 : ops->writer->write(
			   &(struct disk_write_args){ .disk = src,
				   .out = out,
				   .compress = a->compress,
				   .compression = a->compression,
				   .progress = on_progress,
				   .progress_ctx = &rep,
				   .id = disk->digest,
				   .name = name },
			   e);
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
	AUTO_SINK out = NULL;
	const struct image_disk *disk = NULL;
	const char *slash = strrchr(a->path, '/');
	const char *name = slash ? slash + 1 : a->path;
	bool machine;
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
	machine = ops == &disk_ova;
	r = library_get_commit(l, a->commit, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r)
		r = export_choose_disk(&im,
			machine && a->disk < 0 ? 0 : a->disk, &disk, e);
	if (!r)
		r = stream ? sink_stream(STDOUT_FILENO, &out, e)
			   : sink_file_create(a->path, &out, e);
	if (!r && machine)
		r = export_ova(l,
			&(struct export_ova_args){ .image = &im,
				.disk = a->disk,
				.out = out,
				.name = name,
				.findings = a->findings,
				.progress = a->progress },
			e);
	else if (!r)
		r = write_disk(l, a, disk, ops, out, name, e);
	if (!r)
		r = sink_commit(out, e);
	/* No overlay stands on an appliance. */
	if (!r && !stream && !machine && !a->forget &&
		!remember(l, a, &im, disk, ops->name) && a->out_unnoted)
		*a->out_unnoted = true;
	return r;
}
