/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/quote.h"
#include "ops/instance.h"

static const struct cli_option options[] = {
	{ 0, "path", "FILE", "the overlay (default: NAME.qcow2 here)",
		COMPLETE_FILE },
	{ 0, "full", NULL, "a raw file beside it as base, no server", 0 },
	{ 0, "disk", "N", "which disk of an image with several", 0 },
	{ 0, "socket", "PATH", "of the server (default: beside the overlay)",
		COMPLETE_FILE },
	{ 'f', "force", NULL, "rm: even with changes that are not committed",
		0 },
	{ 0, NULL, NULL, NULL, 0 },
};

struct lines {
	struct buf server, qemu, libvirt, virt_install;
};

static void lines_release(struct lines *x)
{
	buf_release(&x->server);
	buf_release(&x->qemu);
	buf_release(&x->libvirt);
	buf_release(&x->virt_install);
}

/* How to use it. library: its real path. */
static void make_lines(const char *library, const struct record *r,
	struct lines *x)
{
	AUTO_BUF v = BUF_INIT;
	char hex[OID_HEX + 1];

	if (r->socket) {
		buf_addstr(&x->server, "strata -L ");
		quote_shell(&x->server, library);
		buf_printf(&x->server, " nbd %s --socket ",
			oid_hex(&r->commit, hex));
		quote_shell(&x->server, r->socket);
		buf_addstr(&x->server, " --fork");
	}
	buf_addstr(&v, "file=");
	quote_value(&v, r->path);
	buf_addstr(&v, ",format=qcow2,if=virtio");
	buf_addstr(&x->qemu, "qemu-system-x86_64 -m 2G -drive ");
	quote_shell(&x->qemu, buf_str(&v));
	buf_addstr(&x->libvirt,
		"<disk type='file' device='disk'>"
		"<driver name='qemu' type='qcow2'/><source file='");
	quote_xml(&x->libvirt, r->path);
	buf_addstr(&x->libvirt,
		"'/><target dev='vda' bus='virtio'/></disk>");
	buf_clear(&v);
	buf_addstr(&v, "path=");
	quote_value(&v, r->path);
	buf_addstr(&v, ",format=qcow2,bus=virtio");
	buf_addstr(&x->virt_install,
		"virt-install --import --memory 2048 "
		"--osinfo detect=on,require=off --disk ");
	quote_shell(&x->virt_install, buf_str(&v));
}

static void json_record(struct json *j, const struct record *r)
{
	json_str(j, "name", r->name);
	json_oid(j, "commit", &r->commit);
	json_str(j, "branch", r->branch);
	json_u64(j, "disk", r->disk);
	json_str(j, "path", r->path);
	json_str(j, "backing", r->backing);
	json_str(j, "socket", r->socket);
	json_str(j, "base", r->base_path);
	if (oid_is_zero(&r->head))
		json_null(j, "head");
	else
		json_oid(j, "head", &r->head);
	if (r->created)
		json_time(j, "created", r->created);
	else
		json_null(j, "created");
}

static void report(struct cli *c, const char *library, const struct record *r)
{
	__attribute__((cleanup(lines_release))) struct lines x = { 0 };
	const char *server;

	make_lines(library, r, &x);
	server = r->socket ? buf_str(&x.server) : NULL;
	if (c->json) {
		struct json j;

		json_start(&j, stdout, "instance-create");
		json_record(&j, r);
		json_str(&j, "server", server);
		json_str(&j, "qemu", buf_str(&x.qemu));
		json_str(&j, "libvirt", buf_str(&x.libvirt));
		json_str(&j, "virt_install", buf_str(&x.virt_install));
		json_end(&j);
	} else if (c->quiet) {
		printf("%s\n", r->path);
	} else {
		printf("overlay:      %s\n", r->path);
		if (r->base_path)
			printf("base:         %s\n", r->base_path);
		if (server)
			printf("server:       %s\n", server);
		printf("qemu:         %s\n"
		       "libvirt:      %s\n"
		       "virt-install: %s\n",
			buf_str(&x.qemu), buf_str(&x.libvirt),
			buf_str(&x.virt_install));
		if (server)
			printf("The server must run while the instance "
			       "does.\n");
	}
}

static int create(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_RECORD rec = { 0 };
	AUTO_FREE char *library = NULL;
	struct instance_args a = { .path = cli_opt(c, "path"),
		.socket = cli_opt(c, "socket"),
		.full = cli_flag(c, "full"),
		.progress = &c->progress };
	uint64_t disk;
	int r = cli_opt_number(c, "disk", false, UINT64_MAX, &disk);

	if (!r && c->nargs != 3)
		return cli_usage(c, "create wants REV and NAME");
	if (!r && a.full && a.socket)
		return cli_usage(c, "--full needs no --socket");
	if (!r)
		r = cli_library(c);
	if (!r)
		r = library_revision(c->lib, c->args[1], &rev, &c->err);
	if (r)
		return r;
	if (rev.path)
		return cli_usage(c, "an instance is of a whole disk");
	a.commit = &rev.commit;
	a.branch = rev.branch;
	a.name = c->args[2];
	a.disk = disk == UINT64_MAX ? rev.disk : disk > 4096 ? 4096 : (int)disk;
	library = realpath(c->lib->path, NULL);
	if (!library)
		return error_errno(&c->err, "%s", c->lib->path);
	cli_progress_start(c);
	r = ops_instance_create(c->lib, &a, &rec, &c->err);
	cli_progress_end(c);
	if (!r)
		report(c, library, &rec);
	return r;
}

struct listing {
	struct cli *c;
	struct json j;
};

static int list_one(void *ctx, const struct record *r,
	enum instance_state state)
{
	struct listing *l = ctx;
	char hex[OID_HEX + 1];

	if (l->c->json) {
		json_object(&l->j, NULL);
		json_record(&l->j, r);
		json_str(&l->j, "state", instance_state_name(state));
		json_object_end(&l->j);
	} else if (l->c->null) {
		fwrite(r->name, 1, strlen(r->name) + 1, stdout);
	} else {
		printf("%-20s %.12s %-10s %-12s ", r->name,
			oid_hex(&r->commit, hex), instance_state_name(state),
			r->branch ? r->branch : "-");
		if (r->path)
			cli_put_name(stdout, r->path, strlen(r->path));
		putchar('\n');
	}
	return 0;
}

static int list(struct cli *c)
{
	struct listing l = { .c = c };
	int r = cli_want_args(c, 0, 1);

	if (!r)
		r = cli_library(c);
	if (r)
		return r;
	if (c->json) {
		json_start(&l.j, stdout, "instance");
		json_array(&l.j, "instances");
	}
	r = ops_instance_list(c->lib, list_one, &l, &c->err);
	if (c->json && !r) {
		json_array_end(&l.j);
		json_end(&l.j);
	}
	return r;
}

static int rm(struct cli *c)
{
	int r = cli_want_args(c, 2, -1);

	if (!r)
		r = cli_library(c);
	for (int i = 1; i < c->nargs && !r; i++) {
		r = ops_instance_remove(c->lib, c->args[i],
			cli_flag(c, "force"), &c->err);
		if (!r && !c->quiet && !c->json)
			printf("removed instance %s\n", c->args[i]);
	}
	return r;
}

static int run(struct cli *c)
{
	const char *verb = c->nargs ? c->args[0] : "list";

	if (!strcmp(verb, "create"))
		return create(c);
	if (!strcmp(verb, "list") || !strcmp(verb, "ls"))
		return list(c);
	if (!strcmp(verb, "rm") || !strcmp(verb, "remove"))
		return rm(c);
	return cli_usage(c, "'%s': create, list or rm", verb);
}

const struct command cmd_instance = {
	.name = "instance",
	.synopsis = "create REV NAME [--path FILE] [--full] | list | rm NAME "
		    "[-f]",
	.summary = "copy-on-write disks over a version that stays",
	.options = options,
	.operands = COMPLETE_INSTANCE,
	.run = run,
};
