/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/commit_file.h"

#include <stdlib.h>
#include <string.h>
#include "ops/input.h"
#include "ops/instance.h"

void commit_file_result_release(struct commit_file_result *r)
{
	commit_overlay_result_release(&r->commit);
	free(r->branch);
	memset(r, 0, sizeof(*r));
}

/* The path of the instance of this name, else the name itself. */
static int find_file(struct library *l, const char *name, char **out,
	struct error *e)
{
	AUTO_RECORD r = { 0 };
	int rc = ref_name_check(name, NULL) ? ERR_NOTFOUND
					    : record_instance(l, name, &r, e);

	if (rc && rc != ERR_NOTFOUND)
		return rc;
	*out = rc ? strdup(name) : steal_ptr(r.path);
	return *out ? 0 : error_nomem(e);
}

/* A disk that stands alone, with the base as parent. */
static int commit_whole(struct library *l, const struct commit_file_args *a,
	const char *path, const struct basis *b, const char *branch,
	const char *message, struct commit_file_result *out, struct error *e)
{
	AUTO_INPUT in = { 0 };
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	struct input_args ia = { .findings = a->findings,
		.progress = a->progress,
		.format = b->record.path ? b->record.format : NULL };
	struct import_args args = { .branch = branch,
		.from = &b->parent,
		.message = message,
		.reason = "commit",
		.annotations = a->annotations,
		.threads = a->threads,
		.findings = a->findings,
		.progress = a->progress };
	char x[OID_HEX + 1], y[OID_HEX + 1];
	struct oid tip;
	int r = library_get_commit(l, &b->base, &c, e);

	if (!r)
		r = library_get_image(l, &c.image, &im, e);
	if (!r && im.disks.len > 1)
		r = error_set(e, ERR_UNSUPPORTED,
			"the base has %zu disks, this is one that stands "
			"alone; 'strata import' takes all of them together",
			im.disks.len);
	if (!r && !library_ref_read(l, REFS_HEADS, branch, &tip, NULL) &&
		!oid_equal(&tip, &b->parent))
		r = error_set(e, ERR_CONFLICT,
			"the branch '%s' is at %.12s and not at %.12s, which "
			"the disk goes on from; commit to another branch with "
			"-b, then merge",
			branch, oid_hex(&tip, x), oid_hex(&b->parent, y));
	if (!r)
		r = input_open(path, &ia, &in, e);
	if (r)
		return r;
	args.disks = in.disks.items;
	args.ndisks = in.disks.len;
	r = ops_import(l, &args, &out->commit.import, e);
	for (size_t i = 0; i < in.disks.len && !r; i++)
		out->commit.changed_bytes += out->commit.import.data_bytes[i];
	out->whole = true;
	return r;
}

static int commit_overlay(struct library *l, const struct commit_file_args *a,
	struct source *file, const struct basis *b, const char *branch,
	const char *message, struct commit_file_result *out, struct error *e)
{
	struct commit_overlay_args args = { .overlay = file,
		.base = &b->base,
		.disk = b->disk,
		.parent = &b->parent,
		.branch = branch,
		.message = message,
		.annotations = a->annotations,
		.threads = a->threads,
		.findings = a->findings,
		.progress = a->progress };

	return ops_commit_overlay(l, &args, &out->commit, e);
}

int ops_commit_file(struct library *l, const struct commit_file_args *a,
	struct commit_file_result *out, struct error *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *base_name = NULL;
	AUTO_SOURCE file = NULL;
	AUTO_BASIS b = { 0 };
	AUTO_BUF message = BUF_INIT;
	struct basis_args ba = { .base = a->base };
	const char *branch = a->branch;
	int r;

	memset(out, 0, sizeof(*out));
	r = find_file(l, a->name, &path, e);
	if (!r)
		r = source_file_open(path, &file, e);
	if (!r && !a->force_share && image_in_use(path))
		r = error_set(e, ERR_BUSY,
			"%s: a program writes to it; stop it first (-U reads "
			"it all the same)",
			path);
	ba.path = path;
	ba.file = file;
	if (!r)
		r = basis_find(l, &ba, &b, e);
	if (r)
		return r;
	base_name = b.record.name ? strdup(b.record.name)
				  : input_base_name(path);
	if (!base_name)
		return error_nomem(e);
	if (!branch)
		branch = b.branch ? b.branch : base_name;
	buf_printf(&message, "Commit %s", base_name);
	r = b.overlay ? commit_overlay(l, a, file, &b, branch,
				a->message ? a->message : buf_str(&message),
				out, e)
		      : commit_whole(l, a, path, &b, branch,
				a->message ? a->message : buf_str(&message),
				out, e);
	if (!r) {
		/* A hint: the commit is done without it, too. */
		basis_committed(l, path, &b, &out->commit.import.commit,
			branch, NULL);
		out->base = b.base;
		out->parent = b.parent;
		out->branch = strdup(branch);
		r = out->branch ? 0 : error_nomem(e);
	}
	if (r)
		commit_file_result_release(out);
	return r;
}
