/* SPDX-License-Identifier: Apache-2.0 */
/* The public interface: import and export. */
#include "api/api.h"

#include <stdlib.h>
#include "base/buf.h"
#include "ops/export.h"
#include "ops/import.h"
#include "ops/input.h"

struct findings {
	strata_finding_fn fn;
	void *ctx;
};

static void on_finding(void *ctx, const struct finding *f)
{
	struct findings *w = ctx;
	struct strata_finding out = {
		.id = finding_name(f->id),
		.severity = finding_severity_name(finding_severity(f->id)),
		.sentence = finding_sentence(f->id),
		.where = f->where ? f->where : "",
		.detail = f->detail ? f->detail : "",
		.offset = f->offset,
	};

	w->fn(w->ctx, &out);
}

static int import_opened(struct strata *s, const struct input *in,
	struct import_args *a, struct strata_id *out, struct error *e)
{
	AUTO_FREE struct import_attachment *att =
		calloc(in->attachments.len + 1, sizeof(*att));
	struct import_result res = { 0 };
	int r;

	if (!att)
		return error_nomem(e);
	for (size_t i = 0; i < in->attachments.len; i++)
		att[i] = (struct import_attachment){
			in->attachments.items[i].name,
			in->attachments.items[i].data.data,
			in->attachments.items[i].data.len };
	a->attachments = att;
	a->nattachments = in->attachments.len;
	a->disks = in->disks.items;
	a->ndisks = in->disks.len;
	r = ops_import(s->l, a, &res, e);
	if (!r && out)
		memcpy(out, &res.commit, sizeof(*out));
	import_result_release(&res);
	return r;
}

static int import_path(struct strata *s, const char *path,
	const struct strata_import_options *o, struct strata_id *out,
	struct error *e)
{
	AUTO_INPUT in = { 0 };
	AUTO_FREE char *base = input_base_name(path);
	AUTO_BUF message = BUF_INIT;
	struct api_progress p;
	struct findings found = { o->finding, o->ctx };
	struct finding_sink sink = { on_finding, &found };
	struct import_args a = { .branch = o->branch ? o->branch : base,
		.message = o->message,
		.reason = "import",
		.verify = o->verify,
		.threads = o->threads > 64 ? 64 : o->threads,
		.findings = o->finding ? &sink : NULL,
		.progress = api_progress_init(&p, o->progress, o->ctx) };
	struct input_args ia = { .format = o->format,
		.allow = o->allow_backing,
		.findings = a.findings,
		.progress = a.progress };
	struct oid from;
	int r = base ? ref_name_check(a.branch, e) : error_nomem(e);

	if (!r && o->from) {
		r = library_resolve(s->l, o->from, &from, e);
		a.from = &from;
	}
	if (!r)
		r = input_open(path, &ia, &in, e);
	if (r)
		return r;
	buf_printf(&message, "Import %s", base);
	if (!a.message)
		a.message = buf_str(&message);
	return import_opened(s, &in, &a, out, e);
}

STRATA_API int strata_import(struct strata *s, const char *path,
	const struct strata_import_options *options, struct strata_id *out,
	struct strata_error *error)
{
	struct strata_import_options o;
	struct error e = { 0 };
	int r = api_options(&o, sizeof(o), options, &e);

	if (!r)
		r = import_path(s, path, &o, out, &e);
	return api_error(r, &e, error);
}

STRATA_API int strata_export(struct strata *s, const char *rev,
	const char *path, const struct strata_export_options *options,
	struct strata_error *error)
{
	struct strata_export_options o;
	struct error e = { 0 };
	struct api_progress p;
	struct oid commit;
	struct export_args a = { .commit = &commit, .path = path };
	int r = api_options(&o, sizeof(o), options, &e);

	if (!r)
		r = library_resolve(s->l, rev, &commit, &e);
	if (!r && o.disk < 0)
		r = error_set(&e, ERR_ARG, "disk %d", o.disk);
	if (!r) {
		a.disk = o.disk - 1;
		a.format = o.format;
		a.compress = o.compress;
		a.sync = o.sync;
		a.progress = api_progress_init(&p, o.progress, o.ctx);
		r = ops_export(s->l, &a, &e);
	}
	return api_error(r, &e, error);
}
