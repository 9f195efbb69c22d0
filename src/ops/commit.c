/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/commit.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/qcow2.h"
#include "ops/ingest_change.h"
#include "view/view.h"

void commit_overlay_result_release(struct commit_overlay_result *r)
{
	import_result_release(&r->import);
}

typedef VEC(struct source_range) ranges;

/* Everything that the overlay holds, neighbours joined. */
static int allocated(struct source *overlay, ranges *out, struct error *e)
{
	uint64_t off = 0;

	for (;;) {
		struct qcow2_range g;
		int r;

		if (off >= overlay->size)
			return 0;
		r = qcow2_next_allocated(overlay, off, &g, e);
		if (r <= 0)
			return r;
		g.len = u64_min(g.len, overlay->size - g.off);
		if (out->len &&
			vec_last(out)->off + vec_last(out)->len == g.off)
			vec_last(out)->len += g.len;
		else if (out->len >= LIMIT_DISK_EXTENTS)
			return error_at(e, ERR_LIMIT, g.off,
				"the overlay changed over %llu places; import "
				"it as a whole",
				(unsigned long long)LIMIT_DISK_EXTENTS);
		else if (!vec_push(out, (struct source_range){ g.off, g.len }))
			return error_nomem(e);
		off = g.off + g.len;
	}
}

/* One disk of the base, and the overlay over it if it is the one. */
static int open_disk(struct library *l, const struct image_disk *d,
	struct source *overlay, const ranges *changed, struct changed_disk *out,
	struct source **disk, struct error *e)
{
	AUTO_SOURCE view = NULL;
	int r = view_disk(l, d, &view, e);

	out->base = d;
	if (!r && overlay && overlay->size != view->size) {
		struct source *sized;

		r = source_resize(view, overlay->size, &sized, e);
		if (!r) {
			sized->sector_size = view->sector_size;
			source_unref(view);
			view = sized;
		}
	}
	if (!r && overlay) {
		out->changed = changed->items;
		out->nchanged = changed->len;
		r = source_stack(overlay, view, changed->items, changed->len,
			disk, e);
	} else if (!r) {
		*disk = source_ref(view);
	}
	if (!r)
		out->base_view = steal_ptr(view);
	return r;
}

static int copy_attachments(const struct image *from, struct image *to,
	struct error *e)
{
	for (size_t i = 0; i < from->attachments.len; i++) {
		struct image_attachment t = from->attachments.items[i];

		t.name = strdup(t.name);
		if (!t.name || !vec_push(&to->attachments, t)) {
			free(t.name);
			return error_nomem(e);
		}
	}
	return 0;
}

static int run(struct library *l, struct writer *w,
	const struct commit_overlay_args *a, const struct image *base,
	size_t disk, struct source *overlay, const ranges *changed,
	struct commit_overlay_result *out, struct error *e)
{
	size_t n = base->disks.len;
	AUTO_FREE struct changed_disk *changes = calloc(n + 1, sizeof(*changes));
	AUTO_FREE struct source **disks = calloc(n + 1, sizeof(struct source *));
	struct import_disks_args ia = { .disks = disks,
		.n = n,
		.changes = changes,
		.threads = a->threads,
		.findings = a->findings,
		.progress = a->progress,
		.out_reused_files = &out->reused_files };
	int r = changes && disks ? 0 : error_nomem(e);

	for (size_t i = 0; i < n && !r; i++)
		r = open_disk(l, &base->disks.items[i],
			i == disk ? overlay : NULL, changed, &changes[i],
			&disks[i], e);
	out->import.data_bytes = calloc(n + 1, sizeof(uint64_t));
	if (!r && !out->import.data_bytes)
		r = error_nomem(e);
	if (!r)
		r = import_disks(w, l, &ia, &out->import.image,
			out->import.data_bytes, e);
	for (size_t i = 0; changes && disks && i < n; i++) {
		source_unref(changes[i].base_view);
		source_unref(disks[i]);
	}
	return r ? r : copy_attachments(base, &out->import.image, e);
}

/* The branch must be where the overlay began, or not be. */
static int check_branch(struct library *l, const struct commit_overlay_args *a,
	const struct oid *parent, struct error *e)
{
	struct oid tip;
	char x[OID_HEX + 1], y[OID_HEX + 1];
	int r = ref_name_check(a->branch, e);

	if (r)
		return r;
	r = library_ref_read(l, REFS_HEADS, a->branch, &tip, e);
	if (r == ERR_NOTFOUND)
		return 0;
	if (!r && !oid_equal(&tip, parent))
		r = error_set(e, ERR_CONFLICT,
			"the branch '%s' is at %.12s and not at %.12s, which "
			"the overlay goes on from; commit to another branch "
			"with -b, then merge",
			a->branch, oid_hex(&tip, x), oid_hex(parent, y));
	return r;
}

int ops_commit_overlay(struct library *l, const struct commit_overlay_args *a,
	struct commit_overlay_result *out, struct error *e)
{
	CLEANUP(cleanup_writer) struct writer *w = NULL;
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE base = { 0 };
	AUTO_SOURCE overlay = NULL;
	ranges changed = { 0 };
	struct writer_stats st;
	const struct oid *parent = a->parent ? a->parent : a->base;
	struct oid tip;
	struct commit_args ca = { .branch = a->branch,
		.from = parent,
		.message = a->message,
		.reason = "commit",
		.annotations = a->annotations };
	size_t disk;
	int r;

	memset(out, 0, sizeof(*out));
	r = check_branch(l, a, parent, e);
	if (!r && !library_ref_read(l, REFS_HEADS, a->branch, &tip, e))
		ca.parent = parent;
	/* The lease first: gc must not take the base away meanwhile. */
	if (!r)
		r = writer_open(l->store, NULL, &w, e);
	if (!r)
		r = library_get_commit(l, a->base, &c, e);
	if (!r)
		r = library_get_image(l, &c.image, &base, e);
	if (!r && a->disk < 0 && base.disks.len != 1)
		r = error_set(e, ERR_ARG,
			"the base has %zu disks; say which one the overlay is "
			"of",
			base.disks.len);
	disk = a->disk < 0 ? 0 : (size_t)a->disk;
	if (!r && disk >= base.disks.len)
		r = error_set(e, ERR_NOTFOUND, "the base has no disk %zu",
			disk);
	if (!r)
		r = qcow2_open_overlay(a->overlay, NULL, a->findings, &overlay,
			NULL, e);
	if (!r)
		r = allocated(overlay, &changed, e);
	if (!r)
		r = run(l, w, a, &base, disk, overlay, &changed, out, e);
	if (!r)
		r = progress_check(a->progress, e);
	if (!r)
		r = commit_image(l, w, &out->import.image, &ca,
			&out->import.image_id, &out->import.commit, e);
	for (size_t i = 0; i < changed.len; i++)
		out->changed_bytes += changed.items[i].len;
	vec_release(&changed);
	if (r) {
		commit_overlay_result_release(out);
		return r;
	}
	writer_get_stats(w, &st);
	out->import.new_blobs = st.new_blobs;
	out->import.new_bytes = st.new_bytes;
	out->import.stored_bytes = st.stored_bytes;
	return 0;
}
