/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/export_ova.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/ova.h"
#include "disk/ova_keep.h"
#include "view/view.h"

struct report {
	const struct progress *p;
	uint64_t total;
};

static int on_progress(void *ctx, uint64_t done)
{
	struct report *r = ctx;

	if (r->p && r->p->update)
		r->p->update(r->p->ctx, "export", done, r->total);
	return progress_cancelled(r->p);
}

/* The one OVF that came with the image, or NULL. */
static const struct image_attachment *kept_ovf(const struct image *im)
{
	const struct image_attachment *found = NULL;

	for (size_t i = 0; i < im->attachments.len; i++) {
		if (strcmp(im->attachments.items[i].name, "ovf") != 0)
			continue;
		if (found)
			return NULL; /* of two machines */
		found = &im->attachments.items[i];
	}
	return found;
}

static int read_ovf(struct library *l, const struct image_attachment *at,
	size_t ndisks, const struct finding_sink *findings,
	struct ovf_keep **out, struct error *e)
{
	struct error why = { 0 };
	AUTO_BUF text = BUF_INIT;
	int r;

	if (at->size > LIMIT_OVF)
		return error_set(e, ERR_LIMIT, "an OVF of %" PRIu64 " bytes",
			at->size);
	if (!buf_grow(&text, (size_t)at->size))
		return error_nomem(e);
	r = store_read_blob(l->store, &at->id, text.data, text.len, 0, e);
	if (r)
		return r;
	r = ovf_keep_new((const char *)text.data, text.len, ndisks, out, &why);
	if (r == ERR_NOMEM)
		return error_nomem(e);
	if (r)
		finding_report(findings, FINDING_DISK_NOTE, FINDING_NO_OFFSET,
			"ova", "the machine that was imported is not described "
			"again: %s", why.msg);
	return 0;
}

/* UEFI firmware: an EFI system partition and nothing for a BIOS to start. */
static bool wants_efi(const struct image *im)
{
	static const char esp[] = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
	static const char bios[] = "21686148-6449-6e6f-744e-656564454649";
	bool has_esp = false;

	for (size_t i = 0; i < im->volumes.len; i++) {
		const char *type = im->volumes.items[i].part_type;

		if (!strcasecmp(type, bios))
			return false;
		has_esp |= !strcasecmp(type, esp);
	}
	return has_esp;
}

int export_ova(struct library *l, const struct export_ova_args *a,
	struct error *e)
{
	const struct image *im = a->image;
	size_t first = a->disk < 0 ? 0 : (size_t)a->disk;
	size_t n = a->disk < 0 ? im->disks.len : 1;
	const struct image_attachment *ovf = kept_ovf(im);
	size_t len = strlen(a->name);
	AUTO_FREE char *name = NULL;
	AUTO_FREE struct source **disks = NULL;
	AUTO_OVF_KEEP keep = NULL;
	struct report rep = { .p = a->progress };
	int r = 0;

	if (len > 4 && !strcasecmp(a->name + len - 4, ".ova"))
		len -= 4;
	name = strndup(a->name, len);
	disks = calloc(n, sizeof(struct source *));
	if (!name || !disks)
		return error_nomem(e);
	if (ovf)
		r = read_ovf(l, ovf, n, a->findings, &keep, e);
	for (size_t i = 0; i < n && !r; i++) {
		const struct image_disk *d = &im->disks.items[first + i];

		rep.total = u64_add_sat(rep.total, d->size);
		r = view_disk(l, d, &disks[i], e);
	}
	if (!r)
		r = ova_write(&(struct ova_write_args){ .disks = disks,
				      .n = n,
				      .out = a->out,
				      .id = im->disks.items[first].digest,
				      .name = name,
				      .efi = wants_efi(im),
				      .keep = keep,
				      .progress = on_progress,
				      .progress_ctx = &rep },
			e);
	for (size_t i = 0; i < n; i++)
		source_unref(disks[i]);
	return r;
}
