/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "ops/discard.h"
#include "ops/import.h"
#include "ops/input.h"

static const struct cli_option options[] = {
	{ 'b', "branch", "BRANCH", "the branch (default: the file's base name)",
		COMPLETE_BRANCH },
	{ 0, "from", "REV", "where a new branch starts", COMPLETE_REV },
	{ 'm', "message", "MSG", "the commit's message", 0 },
	{ 0, "format", "FORMAT", "the container's format (default: by content)",
		COMPLETE_FORMAT },
	{ 0, "snapshot", "NAME", "an internal snapshot of a qcow2", 0 },
	{ 0, "allow-backing", "PATH",
		"a file or folder that the image may name (repeatable)",
		COMPLETE_FILE },
	{ 0, "free-space", "keep|discard",
		"exact (the default), or read as zeros", 0 },
	{ 0, "annotate", "K=V", "an annotation (repeatable)", 0 },
	{ 0, "sha256", NULL, "also record the SHA-256 of each raw disk", 0 },
	{ 0, "verify", NULL, "rebuild from the library and compare", 0 },
	{ 0, "threads", "N", "how many cores to use (default: all)", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_json(const char *branch, const struct import_result *res,
	const struct cli_findings *found, const uint64_t *discarded,
	double seconds)
{
	struct json j;
	char digest[DIGEST_TEXT];

	json_start(&j, stdout, "import");
	json_oid(&j, "commit", &res->commit);
	json_str(&j, "branch", branch);
	json_oid(&j, "image", &res->image_id);
	json_array(&j, "disks");
	for (size_t i = 0; i < res->image.disks.len; i++) {
		const struct image_disk *d = &res->image.disks.items[i];

		json_object(&j, NULL);
		json_u64(&j, "size", d->size);
		json_u64(&j, "data", res->data_bytes[i]);
		json_str(&j, "digest", digest_text(d->digest, digest));
		if (d->has_sha256)
			json_oid(&j, "sha256", &d->sha256);
		json_str(&j, "partitions", d->part_scheme);
		json_array(&j, "volumes");
		json_volumes(&j, &res->image, (uint32_t)i);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_u64(&j, "new_blobs", res->new_blobs);
	json_u64(&j, "new_bytes", res->new_bytes);
	json_u64(&j, "stored_bytes", res->stored_bytes);
	if (discarded)
		json_u64(&j, "discarded_bytes", *discarded);
	json_findings(&j, found);
	json_real(&j, "seconds", seconds);
	json_end(&j);
}

static void print_text(const char *branch, const struct import_result *res,
	double seconds)
{
	char hex[OID_HEX + 1], a[32], b[32], s[32];

	printf("[%s %.12s]\n", branch, oid_hex(&res->commit, hex));
	for (size_t i = 0; i < res->image.disks.len; i++) {
		printf("disk %zu: %s, %s of data, %s\n", i,
			cli_size(res->image.disks.items[i].size, a),
			cli_size(res->data_bytes[i], b),
			res->image.disks.items[i].part_scheme);
		for (size_t k = 0; k < res->image.volumes.len; k++) {
			const struct image_volume *v =
				&res->image.volumes.items[k];

			if (!v->segments.len || v->segments.items[0].disk != i)
				continue;
			printf("  %-10s %-12s %10s", v->name,
				*v->fs ? v->fs : "-", cli_size(v->size, a));
			if (v->has_tree)
				printf("  %" PRIu64 " files, %s", v->files,
					cli_size(v->file_bytes, b));
			putchar('\n');
		}
	}
	printf("%" PRIu64 " new blobs of %s, stored as %s, in %.2f s\n",
		res->new_blobs, cli_size(res->new_bytes, a),
		cli_size(res->stored_bytes, s), seconds);
}

/* Replaces each disk by one without its free space. */
static int discard(struct cli *c, struct input *in,
	const struct finding_sink *findings, uint64_t *out_bytes)
{
	AUTO_FREE struct source **masked =
		calloc(in->disks.len + 1, sizeof(struct source *));
	int r = masked ? discard_free_space(in->disks.items, in->disks.len,
				 findings, masked, out_bytes, &c->err)
		       : error_nomem(&c->err);

	for (size_t i = 0; i < in->disks.len && !r; i++) {
		source_unref(in->disks.items[i]);
		in->disks.items[i] = masked[i];
	}
	return r;
}

static int run(struct cli *c)
{
	AUTO_INPUT in = { 0 };
	struct cli_findings found;
	struct import_result res = { 0 };
	AUTO_FREE char *base = NULL;
	AUTO_BUF message = BUF_INIT;
	AUTO_FREE const char **allow = NULL;
	AUTO_FREE const char **annotate = NULL;
	AUTO_FREE struct import_attachment *attachments = NULL;
	struct input_args ia = { .format = cli_opt(c, "format"),
		.snapshot = cli_opt(c, "snapshot"),
		.progress = &c->progress };
	struct import_args a = { .branch = cli_opt(c, "branch"),
		.message = cli_opt(c, "message"),
		.reason = "import",
		.sha256 = cli_flag(c, "sha256"),
		.verify = cli_flag(c, "verify"),
		.progress = &c->progress };
	struct oid from, tip;
	uint64_t threads, discarded = 0;
	const char *free_space = cli_opt(c, "free-space");
	double start = now();
	char size[32];
	int r = cli_want_args(c, 1, -1);

	if (!r)
		r = cli_opt_number(c, "threads", false, 0, &threads);
	if (!r && free_space && strcmp(free_space, "keep") != 0 &&
		strcmp(free_space, "discard") != 0)
		r = cli_usage(c, "--free-space: keep or discard");
	if (!r)
		r = cli_opt_all(c, "allow-backing", &allow);
	if (!r)
		r = cli_opt_all(c, "annotate", &annotate);
	if (r)
		return r;
	if (free_space && !strcmp(free_space, "keep"))
		free_space = NULL;
	for (int i = 0; i < c->nargs; i++)
		if (!*c->args[i])
			return error_set(&c->err, ERR_NOTFOUND,
				"'': no such file");
	a.threads = (unsigned)(threads > 64 ? 64 : threads);
	base = input_base_name(c->args[0]);
	if (!base)
		return error_nomem(&c->err);
	ia.allow = allow;
	a.annotations = annotate;
	if (!a.branch)
		a.branch = base;
	r = ref_name_check(a.branch, &c->err);
	if (!r)
		r = cli_library_create(c);
	if (!r && cli_opt(c, "from")) {
		r = library_resolve(c->lib, cli_opt(c, "from"), &from, &c->err);
		a.from = &from;
		if (!r && !library_ref_read(c->lib, REFS_HEADS, a.branch, &tip,
				  NULL) &&
			!oid_equal(&tip, &from))
			cli_note(c, "warning: %s: the branch exists; --from is "
				    "where a new one starts", a.branch);
	}
	if (r)
		return r;
	cli_findings_init(&found);
	ia.findings = a.findings = &found.sink;
	cli_progress_start(c);
	for (int i = 0; i < c->nargs && !r; i++) {
		c->subject = c->args[i];
		r = input_open(c->args[i], &ia, &in, &c->err);
	}
	if (!r && free_space)
		r = discard(c, &in, &found.sink, &discarded);
	if (!r) {
		if (c->nargs > 1)
			c->subject = NULL;
		a.disks = in.disks.items;
		a.ndisks = in.disks.len;
		buf_printf(&message, "Import %s", base);
		if (!a.message)
			a.message = buf_str(&message);
		attachments = calloc(in.attachments.len + 1,
			sizeof(*attachments));
		if (!attachments)
			return error_nomem(&c->err);
		for (size_t i = 0; i < in.attachments.len; i++)
			attachments[i] = (struct import_attachment){
				in.attachments.items[i].name,
				in.attachments.items[i].data.data,
				in.attachments.items[i].data.len };
		a.attachments = attachments;
		a.nattachments = in.attachments.len;
		r = ops_import(c->lib, &a, &res, &c->err);
	}
	cli_progress_end(c);
	if (!r) {
		c->subject = NULL;
		if (c->json)
			print_json(a.branch, &res, &found,
				free_space ? &discarded : NULL, now() - start);
		else if (!c->quiet)
			print_text(a.branch, &res, now() - start);
		if (!c->json && free_space)
			cli_note(c, "%s of free space and swap left out",
				cli_size(discarded, size));
	}
	if (!c->json)
		cli_findings_print(c, &found);
	import_result_release(&res);
	cli_findings_release(&found);
	return r;
}

const struct command cmd_import = {
	.name = "import",
	.synopsis = "IMAGE... [-b BRANCH] [--from REV] [-m MSG] [--format F]",
	.summary = "store an image as a commit on a branch",
	.options = options,
	.operands = COMPLETE_FILE,
	.run = run,
};
