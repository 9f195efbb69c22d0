/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/edit.h"

#include <stdlib.h>
#include <string.h>
#include "disk/qcow2.h"
#include "ops/instance.h"

void edit_result_release(struct edit_result *r)
{
	commit_overlay_result_release(&r->commit);
	free(r->folder);
	memset(r, 0, sizeof(*r));
}

/* Before the command runs for an hour. */
static int check_branch(struct library *l, const struct edit_args *a,
	struct error *e)
{
	char hex[OID_HEX + 1];
	struct oid tip;
	int r = ref_name_check(a->branch, e);

	if (r)
		return r;
	r = library_ref_read(l, REFS_HEADS, a->branch, &tip, e);
	if (r == ERR_NOTFOUND)
		return 0;
	if (!r && !oid_equal(&tip, a->commit))
		r = error_set(e, ERR_CONFLICT,
			"the branch '%s' is at %.12s; edit that, or choose a "
			"new branch with -b",
			a->branch, oid_hex(&tip, hex));
	return r;
}

/* 1: the overlay holds something, or has another size. */
static int is_changed(struct source *file, uint64_t base_size,
	struct error *e)
{
	AUTO_SOURCE overlay = NULL;
	struct qcow2_range g;
	int r = qcow2_open_overlay(file, NULL, NULL, &overlay, NULL, e);

	if (r)
		return r;
	if (overlay->size != ((base_size + 511) & ~UINT64_C(511)))
		return 1;
	return overlay->size ? qcow2_next_allocated(overlay, 0, &g, e) : 0;
}

static int commit_changes(struct library *l, const struct edit_args *a,
	const struct scratch *s, uint64_t base_size, struct edit_result *out,
	struct error *e)
{
	AUTO_SOURCE file = NULL;
	struct commit_overlay_args ca = { .base = a->commit,
		.disk = a->disk,
		.branch = a->branch,
		.message = a->message,
		.annotations = a->annotations,
		.findings = a->findings,
		.progress = a->progress };
	int r;

	if (image_in_use(s->overlay))
		return error_set(e, ERR_BUSY,
			"the command ended, but a program still writes to the "
			"disk");
	r = source_file_open(s->overlay, &file, e);
	if (!r)
		r = is_changed(file, base_size, e);
	if (r <= 0)
		return r;
	ca.overlay = file;
	r = ops_commit_overlay(l, &ca, &out->commit, e);
	out->committed = !r;
	return r;
}

int edit_commit(struct library *l, const struct edit_args *a,
	struct edit_result *out, struct error *e)
{
	AUTO_SCRATCH s = { 0 };
	AUTO_SOURCE fresh = NULL;
	struct scratch_args sa = { .commit = a->commit,
		.disk = a->disk,
		.local = a->local,
		.keep = a->keep,
		.progress = a->progress };
	struct command_args ca = { .argv = a->argv,
		.argc = a->argc,
		.stdout_to_stderr = a->stdout_to_stderr,
		.cancel = a->progress ? a->progress->cancel : NULL };
	struct qcow2_facts f = { 0 };
	int r;

	memset(out, 0, sizeof(*out));
	r = check_branch(l, a, e);
	if (!r)
		r = scratch_open(l, &sa, &s, e);
	if (!r)
		r = source_file_open(s.overlay, &fresh, e);
	if (!r)
		r = qcow2_read_facts(fresh, &f, e);
	if (r)
		return r;
	source_unref(steal_ptr(fresh));
	ca.subject = s.overlay;
	r = command_run(&ca, &out->status, e);
	if (!r && a->keep)
		out->folder = strdup(s.dir.path);
	if (!r && !out->status)
		r = commit_changes(l, a, &s, f.size, out, e);
	if (r)
		edit_result_release(out);
	return r;
}
