/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/import.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "ops/datasum.h"
#include "ops/ingest.h"
#include "ops/ingest_change.h"
#include "ops/treebuild.h"
#include "ops/verify.h"
#include "survey/survey.h"

void import_result_release(struct import_result *r)
{
	image_release(&r->image);
	free(r->data_bytes);
	memset(r, 0, sizeof(*r));
}

/* --- volumes --- */

static bool set(char **out, const char *s)
{
	*out = strdup(s);
	return *out != NULL;
}

int describe_volume(const struct survey_volume *sv,
	struct image_volume *v, struct error *e)
{
	const survey_segments *segs = &sv->devs.items[0].segments;

	v->size = sv->size;
	v->nested = sv->nested;
	if (!set(&v->name, sv->name) || !set(&v->fs, sv->info.type) ||
		!set(&v->uuid, sv->info.uuid) ||
		!set(&v->label, sv->info.label) ||
		!set(&v->part_uuid, sv->part.uuid) ||
		!set(&v->part_type, sv->part.type) ||
		!set(&v->part_name, sv->part.name))
		return error_nomem(e);
	/* The first one says which disk it belongs to. */
	if (sv->nested && segs->items[0].disk == SURVEY_NO_DISK &&
		!vec_push(&v->segments,
			(struct image_segment){ sv->disk, 0, 0 }))
		return error_nomem(e);
	for (size_t i = 0; i < segs->len; i++)
		if (!vec_push(&v->segments,
			    (struct image_segment){ segs->items[i].disk,
				    segs->items[i].off, segs->items[i].len }))
			return error_nomem(e);
	return 0;
}

static int add_disk(const struct survey_disk *sd, const struct ingest_disk *id,
	struct image *im, struct error *e)
{
	struct image_disk d = { .size = sd->src->size,
		.sector_size = sd->table.scheme == PART_NONE
				       ? sd->src->sector_size
				       : sd->table.sector_size,
		.layout = id->layout,
		.sum = id->sum };

	disk_digest_final(&d.sum, d.size, d.digest);
	if (!set(&d.part_scheme, part_scheme_name(sd->table.scheme)) ||
		!set(&d.part_uuid, sd->table.uuid) ||
		!vec_push(&im->disks, d)) {
		free(d.part_scheme);
		free(d.part_uuid);
		return error_nomem(e);
	}
	return 0;
}

/* Every byte of every disk. */
static int bring_whole(const struct ingest_args *ia, const struct survey *s,
	const struct finding_sink *findings, struct image *out,
	uint64_t *out_data_bytes, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < ia->ndisks && !r; i++) {
		struct ingest_disk id;

		r = ingest_disk(ia, i, &id, e);
		if (!r)
			r = add_disk(&s->disks.items[i], &id, out, e);
		if (!r && out_data_bytes)
			out_data_bytes[i] = id.data_bytes;
	}
	return r ? r : ingest_rest(ia, s, findings, e);
}

/* What changed: files first, since the layout wants their hashes. */
static int bring_changes(struct ingest_args *ia, struct library *l,
	const struct survey *s, const struct finding_sink *findings,
	struct image *out, uint64_t *out_data_bytes, struct error *e)
{
	int r;

	ia->gains = calloc(ia->ndisks + 1, sizeof(*ia->gains));
	if (!ia->gains)
		return error_nomem(e);
	r = change_prove_files(l, ia->changes, ia->ndisks, ia->cut, e);
	if (!r)
		r = ingest_rest(ia, s, findings, e);
	for (size_t i = 0; i < ia->ndisks && !r; i++) {
		struct ingest_disk id;

		r = ingest_change(ia, l, i, &id, e);
		if (!r)
			r = add_disk(&s->disks.items[i], &id, out, e);
		if (!r && out_data_bytes)
			out_data_bytes[i] = id.data_bytes;
	}
	for (size_t i = 0; i < ia->ndisks; i++)
		digest_acc_release(&ia->gains[i]);
	free(ia->gains);
	return r;
}

static int bring_volumes(struct writer *w, const struct survey *s,
	struct cut *cut, const struct progress *progress, struct image *out,
	struct error *e)
{
	CLEANUP(cleanup_packer) struct packer *records = NULL;
	CLEANUP(cleanup_packer) struct packer *blobs = NULL;
	int r = packer_open_records(w, &records, e);

	if (!r)
		r = packer_open(w, &blobs, e);
	for (size_t i = 0; i < s->volumes.len && !r; i++) {
		struct image_volume v = { 0 };

		if (!vec_push(&out->volumes, v))
			return error_nomem(e);
		r = describe_volume(&s->volumes.items[i],
			vec_last(&out->volumes), e);
		if (!r)
			r = tree_build(w, records, blobs, s, i, cut, progress,
				vec_last(&out->volumes), e);
	}
	if (!r)
		r = packer_flush(blobs, e);
	return r ? r : packer_flush(records, e);
}

int import_disks(struct writer *w, struct library *l,
	const struct import_disks_args *a, struct image *out,
	uint64_t *out_data_bytes, struct error *e)
{
	AUTO_SURVEY s = { 0 };
	__attribute__((cleanup(cut_release))) struct cut cut = { 0 };
	struct ingest_args ia = { .writer = w,
		.disks = a->disks,
		.ndisks = a->n,
		.cut = &cut,
		.changes = a->changes,
		.threads = a->threads,
		.progress = a->progress };
	int r = survey_open(a->disks, a->n, a->findings, &s, e);

	if (!r)
		r = cut_make(&s, a->findings, a->progress, &cut, e);
	/* what a change leaves is the base's, which was looked at before */
	if (!r && !a->changes)
		r = datasum_open(&s, &cut, a->findings, &ia.sums, e);
	if (!r && a->changes)
		r = bring_changes(&ia, l, &s, a->findings, out, out_data_bytes,
			e);
	else if (!r)
		r = bring_whole(&ia, &s, a->findings, out, out_data_bytes, e);
	datasum_close(ia.sums);
	for (size_t i = 0; a->out_reused_files && i < cut.files.len; i++)
		*a->out_reused_files +=
			(cut.files.items[i].flags & CUT_REUSED) != 0;
	return r ? r : bring_volumes(w, &s, &cut, a->progress, out, e);
}

/* --- commit --- */

static int annotate(struct commit *c, const char *const *kv, struct error *e)
{
	for (; kv && *kv; kv++) {
		const char *eq = strchr(*kv, '=');
		AUTO_FREE char *key = NULL;
		int r;

		if (!eq)
			return error_set(e, ERR_ARG,
				"'%s': an annotation is KEY=VALUE", *kv);
		key = strndup(*kv, (size_t)(eq - *kv));
		r = key ? commit_annotate(c, key, eq + 1, e) : error_nomem(e);
		if (r)
			return r;
	}
	return 0;
}

int commit_image(struct library *l, struct writer *w, const struct image *im,
	const struct commit_args *a, struct oid *out_image, struct oid *out,
	struct error *e)
{
	CLEANUP(cleanup_packer) struct packer *p = NULL;
	AUTO_COMMIT c = { 0 };
	AUTO_BUF rec = BUF_INIT;
	struct oid tip;
	bool exists = true;
	int r = ref_name_check(a->branch, e);

	if (r)
		return r;
	if (a->parent) {
		tip = *a->parent;
	} else {
		r = library_ref_read(l, REFS_HEADS, a->branch, &tip, e);
		if (r == ERR_NOTFOUND) {
			exists = false;
			r = 0;
		}
	}
	if (!r)
		r = packer_open_records(w, &p, e);
	if (!r)
		r = image_encode(im, &rec, e);
	if (!r)
		r = packer_put_record(p, OBJ_IMAGE, rec.data, rec.len,
			&c.image, e);
	if (!r && exists && !vec_push(&c.parents, tip))
		r = error_nomem(e);
	if (!r && !exists && a->from && !vec_push(&c.parents, *a->from))
		r = error_nomem(e);
	if (!r && a->second_parent && !vec_push(&c.parents, *a->second_parent))
		r = error_nomem(e);
	if (r)
		return r;
	c.author = library_author();
	c.date = library_now();
	c.message = strdup(a->message ? a->message : "");
	if (!c.author || !c.message)
		return error_nomem(e);
	r = annotate(&c, a->annotations, e);
	buf_clear(&rec);
	if (!r)
		r = commit_encode(&c, &rec, e);
	if (!r)
		r = packer_put_record(p, OBJ_COMMIT, rec.data, rec.len, out,
			e);
	if (!r)
		r = packer_flush(p, e);
	if (!r) {
		packer_close(steal_ptr(p));
		r = writer_finish(w, e);
	}
	if (!r && a->verify)
		r = verify_disks(l, im, a->progress, e);
	if (!r && out_image)
		*out_image = c.image;
	if (!r)
		r = library_ref_update(l, REFS_HEADS, a->branch,
			exists ? &tip : NULL, false, out, a->reason, e);
	return r;
}

static int attach(struct writer *w, const struct import_args *a,
	struct image *im, struct error *e)
{
	CLEANUP(cleanup_packer) struct packer *p = NULL;
	int r = packer_open(w, &p, e);

	for (size_t i = 0; i < a->nattachments && !r; i++) {
		struct image_attachment t = { .size = a->attachments[i].len };

		r = packer_put_blob(p, a->attachments[i].data,
			a->attachments[i].len, &t.id, e);
		t.name = strdup(a->attachments[i].name);
		if (!r && (!t.name || !vec_push(&im->attachments, t)))
			r = error_nomem(e);
	}
	return r ? r : packer_flush(p, e);
}

/* The plain SHA-256 of a raw disk, holes and all. */
static int raw_sha256(struct source *src, const struct progress *progress,
	struct oid *out, struct error *e)
{
	enum { WINDOW = 1 << 20 };
	struct sha256 *h = sha256_new();
	AUTO_FREE uint8_t *buf = malloc(WINDOW);
	int r = h && buf ? 0 : error_nomem(e);

	for (uint64_t at = 0; at < src->size && !r;) {
		struct source_extent x;
		size_t n;

		r = progress_check(progress, e);
		if (!r)
			r = source_extent_at(src, at, &x, e);
		if (r)
			break;
		if (x.kind == SOURCE_ZERO) {
			x.len = u64_min(x.len, 1 << 30); /* to be cancelled */
			sha256_add_zeros(h, x.len);
			at += x.len;
			continue;
		}
		n = (size_t)u64_min(x.len, WINDOW);
		r = source_pread(src, buf, n, at, e);
		if (!r)
			sha256_add(h, buf, n);
		at += n;
	}
	if (!r)
		sha256_finish(h, out);
	sha256_free(h);
	return r;
}

int ops_import(struct library *l, const struct import_args *a,
	struct import_result *out, struct error *e)
{
	CLEANUP(cleanup_writer) struct writer *w = NULL;
	struct writer_stats st;
	struct commit_args ca = { .branch = a->branch,
		.from = a->from,
		.message = a->message,
		.reason = a->reason,
		.annotations = a->annotations,
		.verify = a->verify,
		.progress = a->progress };
	struct oid tip;
	int r;

	memset(out, 0, sizeof(*out));
	r = ref_name_check(a->branch, e);
	/* The tip that the import starts from: moved meanwhile, CONFLICT. */
	if (!r) {
		r = library_ref_read(l, REFS_HEADS, a->branch, &tip, e);
		if (!r)
			ca.parent = &tip;
		else if (r == ERR_NOTFOUND)
			r = 0;
	}
	if (!r)
		r = writer_open(l->store, NULL, &w, e);
	if (r)
		return r;
	out->data_bytes = calloc(a->ndisks + 1, sizeof(uint64_t));
	r = out->data_bytes ? import_disks(w, l,
				      &(struct import_disks_args){
					      .disks = a->disks,
					      .n = a->ndisks,
					      .threads = a->threads,
					      .findings = a->findings,
					      .progress = a->progress },
				      &out->image, out->data_bytes, e)
			    : error_nomem(e);
	for (size_t i = 0; a->sha256 && i < a->ndisks && !r; i++) {
		struct image_disk *d = &out->image.disks.items[i];

		r = raw_sha256(a->disks[i], a->progress, &d->sha256, e);
		d->has_sha256 = !r;
	}
	if (!r && a->nattachments)
		r = attach(w, a, &out->image, e);
	if (!r)
		r = progress_check(a->progress, e);
	if (!r)
		r = commit_image(l, w, &out->image, &ca, &out->image_id,
			&out->commit, e);
	if (r) {
		import_result_release(out);
		return r;
	}
	writer_get_stats(w, &st);
	out->new_blobs = st.new_blobs;
	out->new_bytes = st.new_bytes;
	out->stored_bytes = st.stored_bytes;
	return 0;
}
