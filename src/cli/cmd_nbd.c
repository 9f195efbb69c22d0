/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/quote.h"
#include "serve/command.h"
#include "serve/nbd_server.h"

static const struct cli_option options[] = {
	{ 's', "socket", "PATH", "listen on this Unix socket (default: a "
				 "private one)",
		COMPLETE_FILE },
	{ 0, "mode", "OCTAL", "permissions of the socket: 660, 666", 0 },
	{ 'p', "port", "N", "listen on this TCP port", 0 },
	{ 0, "listen", "ADDR", "TCP: the address (127.0.0.1; * for any)", 0 },
	{ 'w', "writable", "NAME", "an export that can be written; what is "
				   "written is lost at the end",
		0 },
	{ 0, "disk", "N", "which disk of an image with several", 0 },
	{ 0, "cache", "SIZE", "decoded data kept in memory", 0 },
	{ 0, "bootset", "off|auto|record", "what the guest reads at its start", 0 },
	{ 0, "tls", "on|require", "offer TLS, or take nothing else", 0 },
	{ 0, "tls-certificates", "DIR", "certificates, as nbdkit wants them",
		COMPLETE_FILE },
	{ 0, "tls-psk", "FILE", "pre-shared keys instead", COMPLETE_FILE },
	{ 0, "tls-verify-peer", NULL, "clients need a certificate", 0 },
	{ 0, "filter", "NAME", "one of nbdkit's filters (any number)", 0 },
	{ 0, "param", "KEY=VALUE", "for a filter (any number)", 0 },
	{ 'd', "fork", NULL, "return when it serves; it goes on", 0 },
	{ 0, "pidfile", "FILE", "write the server's process id",
		COMPLETE_FILE },
	{ 0, NULL, NULL, NULL, 0 },
};

/* --- the lines to use it --- */

struct hints {
	struct buf qemu, overlay, libvirt, virt_install;
};

static void json_text(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":\"", key);
	for (const char *p = value; *p; p++)
		if (*p == '"' || *p == '\\')
			buf_printf(b, "\\%c", *p);
		else if ((unsigned char)*p < ' ')
			buf_printf(b, "\\u%04x", (unsigned)*p);
		else
			buf_addch(b, *p);
	buf_addch(b, '"');
}

/* qemu has no URI for TLS: the place and the credentials are told apart. */
static void hint_qemu_tls(const struct nbd_server *s, bool writable,
	struct hints *h)
{
	AUTO_BUF object = BUF_INIT, drive = BUF_INIT, place = BUF_INIT;
	AUTO_FREE char *folder = NULL;
	const char *dir = s->tls_certificates;

	if (s->tls_psk) { /* qemu wants its folder, and the name keys.psk */
		folder = strndup(s->tls_psk,
			(size_t)(strrchr(s->tls_psk, '/') - s->tls_psk));
		dir = folder && *folder ? folder : "/";
	}
	buf_printf(&object, "tls-creds-%s,id=tls0,endpoint=client,dir=",
		s->tls_psk ? "psk" : "x509");
	quote_value(&object, dir ? dir : "DIR");
	if (s->tls_user) {
		buf_addstr(&object, ",username=");
		quote_value(&object, s->tls_user);
	}
	buf_addstr(&place, "json:{\"driver\":\"raw\",\"file\":{"
			   "\"driver\":\"nbd\",\"server\":{");
	if (s->socket) {
		buf_addstr(&place, "\"type\":\"unix\"");
		json_text(&place, "path", s->socket);
	} else {
		buf_addstr(&place, "\"type\":\"inet\"");
		json_text(&place, "host",
			strcmp(s->host, "*") ? s->host : "localhost");
		buf_printf(&place, ",\"port\":\"%u\"", s->port);
	}
	buf_addch(&place, '}');
	json_text(&place, "export", s->export);
	json_text(&place, "tls-creds", "tls0");
	if (s->socket && !s->tls_psk)
		json_text(&place, "tls-hostname", "localhost");
	buf_addstr(&place, "}}");

	buf_addstr(&drive, "file=");
	quote_value(&drive, buf_str(&place));
	buf_printf(&drive, ",format=raw,if=virtio%s",
		writable ? "" : ",snapshot=on");
	buf_addstr(&h->qemu, "qemu-system-x86_64 -m 2G -object ");
	quote_shell(&h->qemu, buf_str(&object));
	buf_addstr(&h->qemu, " -drive ");
	quote_shell(&h->qemu, buf_str(&drive));
	buf_addstr(&h->overlay, "qemu-img create --object ");
	quote_shell(&h->overlay, buf_str(&object));
	buf_addstr(&h->overlay, " -f qcow2 -F raw -b ");
	quote_shell(&h->overlay, buf_str(&place));
	buf_addstr(&h->overlay, " overlay.qcow2");
}

static void hint_qemu(const struct nbd_server *s, bool writable,
	struct hints *h)
{
	AUTO_BUF v = BUF_INIT;

	buf_addstr(&v, "file=");
	quote_value(&v, s->uri);
	buf_printf(&v, ",format=raw,if=virtio%s", writable ? "" : ",snapshot=on");
	buf_addstr(&h->qemu, "qemu-system-x86_64 -m 2G -drive ");
	quote_shell(&h->qemu, buf_str(&v));
	buf_addstr(&h->overlay, "qemu-img create -f qcow2 -F raw -b ");
	quote_shell(&h->overlay, s->uri);
	buf_addstr(&h->overlay, " overlay.qcow2");
}

static void hint_libvirt(const struct nbd_server *s, bool writable, bool tls,
	struct buf *b)
{
	buf_addstr(b, "<disk type='network' device='disk'>"
		      "<driver name='qemu' type='raw'/>"
		      "<source protocol='nbd' name='");
	quote_xml(b, s->export);
	buf_printf(b, "'%s><host ", tls ? " tls='yes'" : "");
	if (s->socket) {
		buf_addstr(b, "transport='unix' socket='");
		quote_xml(b, s->socket);
		buf_addstr(b, "'/>");
	} else {
		buf_printf(b, "name='%s' port='%u'/>",
			strcmp(s->host, "*") ? s->host : "localhost", s->port);
	}
	buf_addstr(b, "</source><target dev='vda' bus='virtio'/>");
	if (!writable)
		buf_addstr(b, "<transient/>");
	buf_addstr(b, "</disk>");
}

static void hint_virt_install(const struct nbd_server *s, bool writable,
	struct buf *b)
{
	AUTO_BUF v = BUF_INIT;

	buf_addstr(&v, "source.protocol=nbd,source.name=");
	quote_value(&v, s->export);
	if (s->socket) {
		buf_addstr(&v, ",source.host0.transport=unix,"
			       "source.host0.socket=");
		quote_value(&v, s->socket);
	} else {
		buf_printf(&v, ",source.host0.name=%s,source.host0.port=%u",
			strcmp(s->host, "*") ? s->host : "localhost", s->port);
	}
	buf_printf(&v, ",driver.type=raw,target.bus=virtio%s",
		writable ? "" : ",transient=on");
	buf_addstr(b, "virt-install --import --memory 2048 "
		      "--osinfo detect=on,require=off --disk ");
	quote_shell(b, buf_str(&v));
}

static void report(struct cli *c, const struct nbd_server *s,
	const struct revision *rev, const struct nbd_server_args *a)
{
	struct hints h = { 0 };
	bool w = a->writable != NULL;

	if (a->tls)
		hint_qemu_tls(s, w, &h);
	else
		hint_qemu(s, w, &h);
	hint_libvirt(s, w, a->tls != NULL, &h.libvirt);
	hint_virt_install(s, w, &h.virt_install);
	if (c->json) {
		struct json j;

		json_start(&j, stdout, "nbd");
		json_str(&j, "uri", s->uri);
		json_str(&j, "export", s->export);
		if (rev->branch || a->rev)
			json_oid(&j, "commit", &rev->commit);
		else
			json_null(&j, "commit");
		json_u64(&j, "disk", a->disk);
		json_str(&j, "socket", s->socket);
		json_str(&j, "host", s->socket ? NULL : s->host);
		if (s->socket)
			json_null(&j, "port");
		else
			json_u64(&j, "port", s->port);
		json_bool(&j, "read_only", !w);
		json_bool(&j, "tls", a->tls != NULL);
		json_i64(&j, "pid", s->pid);
		json_str(&j, "qemu", buf_str(&h.qemu));
		json_str(&j, "overlay", buf_str(&h.overlay));
		json_str(&j, "libvirt", buf_str(&h.libvirt));
		json_str(&j, "virt_install", buf_str(&h.virt_install));
		json_end(&j);
	} else if (c->quiet) {
		printf("%s\n", s->uri);
	} else {
		printf("URI:          %s\n"
		       "qemu:         %s\n"
		       "overlay:      %s\n"
		       "libvirt:      %s\n"
		       "virt-install: %s\n",
			s->uri, buf_str(&h.qemu), buf_str(&h.overlay),
			buf_str(&h.libvirt), buf_str(&h.virt_install));
		if (w)
			printf("What is written is lost when the server "
			       "ends.\n");
	}
	fflush(stdout);
	buf_release(&h.qemu);
	buf_release(&h.overlay);
	buf_release(&h.libvirt);
	buf_release(&h.virt_install);
}

/* Runs the words behind "--" with "{}" replaced by the URI (also $uri);
 * returns its exit code. */
static int run_command(struct cli *c, const struct nbd_server *s)
{
	struct command_args a = { .argv = c->after,
		.argc = c->nafter,
		.subject = s->uri,
		.subject_env = "uri",
		.cancel = c->progress.cancel };
	int status, r;

	fflush(NULL);
	r = command_run(&a, &status, &c->err);
	return r ? r : status;
}

/* "660" */
static int check_mode(struct cli *c, struct nbd_server_args *a)
{
	const char *text = cli_opt(c, "mode");
	char *end;
	unsigned long mode = text ? strtoul(text, &end, 8) : 0;

	if (!text)
		return 0;
	if (!*text || *end || !(mode & 0600) || mode > 0777)
		return cli_usage(c, "--mode: octal, as 600, 660 or 666");
	if (!a->socket)
		return cli_usage(c, "--mode goes with --socket: the folder of "
				    "a private one is closed to others");
	a->mode = (unsigned)mode;
	return 0;
}

static int check_options(struct cli *c, struct nbd_server_args *a)
{
	uint64_t disk, port;
	int r = cli_opt_number(c, "disk", false, 0, &disk);

	if (!r)
		r = cli_opt_number(c, "port", false, 0, &port);
	if (!r)
		r = cli_opt_number(c, "cache", true, 0, &a->cache);
	if (r)
		return r;
	if (port > 65535 || (!port && cli_flag(c, "port")))
		return cli_usage(c, "--port: 1 to 65535");
	if (disk > 4095)
		return cli_usage(c, "--disk: 0 to 4095");
	if (a->cache && a->cache < (8u << 20))
		return cli_usage(c, "--cache: at least 8M");
	if (a->socket && port)
		return cli_usage(c, "--socket or --port, not both");
	if (a->listen && !port)
		return cli_usage(c, "--listen goes with --port");
	if (a->tls && strcmp(a->tls, "on") && strcmp(a->tls, "require"))
		return cli_usage(c, "--tls: on or require");
	if (!a->tls && (a->tls_certificates || a->tls_psk ||
			       a->tls_verify_peer))
		return cli_usage(c, "--tls-certificates, --tls-psk and "
				    "--tls-verify-peer go with --tls");
	if (a->tls_psk && (a->tls_certificates || a->tls_verify_peer))
		return cli_usage(c, "--tls-psk or certificates, not both");
	if (a->bootset && strcmp(a->bootset, "off") &&
		strcmp(a->bootset, "auto") && strcmp(a->bootset, "record"))
		return cli_usage(c, "--bootset: off, auto or record");
	if (a->writable && !c->nargs)
		return cli_usage(c, "--writable wants REV");
	if (a->background && c->after)
		return cli_usage(c, "--fork or a command, not both");
	a->port = (unsigned)port;
	a->disk = (unsigned)disk;
	return check_mode(c, a);
}

static int check_revision(struct cli *c, struct revision *rev,
	struct nbd_server_args *a)
{
	AUTO_COMMIT co = { 0 };
	AUTO_IMAGE im = { 0 };
	int r = library_revision(c->lib, c->args[0], rev, &c->err);

	if (r)
		return r;
	if (rev->path)
		return cli_usage(c, "nbd serves whole disks; for files use "
				    "'strata mount'");
	if (rev->disk >= 0)
		a->disk = (unsigned)rev->disk;
	r = library_get_commit(c->lib, &rev->commit, &co, &c->err);
	if (!r)
		r = library_get_image(c->lib, &co.image, &im, &c->err);
	if (!r && a->disk >= im.disks.len)
		r = error_set(&c->err, ERR_NOTFOUND,
			"%s has %zu disk%s, not a disk %u", c->args[0],
			im.disks.len, im.disks.len == 1 ? "" : "s", a->disk);
	a->rev = c->args[0];
	return r;
}

static int run(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_NBD_SERVER server = { 0 };
	AUTO_FREE const char **filters = NULL;
	AUTO_FREE const char **params = NULL;
	AUTO_FREE char *path = NULL;
	struct nbd_server_args a = { .socket = cli_opt(c, "socket"),
		.listen = cli_opt(c, "listen"),
		.writable = cli_opt(c, "writable"),
		.bootset = cli_opt(c, "bootset"),
		.tls = cli_opt(c, "tls"),
		.tls_certificates = cli_opt(c, "tls-certificates"),
		.tls_psk = cli_opt(c, "tls-psk"),
		.tls_verify_peer = cli_flag(c, "tls-verify-peer"),
		.background = cli_flag(c, "fork"),
		.pidfile = cli_opt(c, "pidfile"),
		.cancel = c->progress.cancel };
	int r = cli_want_args(c, 0, 1);

	if (!r)
		r = cli_opt_all(c, "filter", &filters);
	if (!r)
		r = cli_opt_all(c, "param", &params);
	a.filters = filters;
	a.params = params;
	if (!r)
		r = check_options(c, &a);
	if (!r)
		r = cli_library(c);
	if (!r && c->nargs)
		r = check_revision(c, &rev, &a);
	if (r)
		return r;
	path = realpath(c->lib->path, NULL);
	if (!path)
		return error_errno(&c->err, "%s", c->lib->path);
	a.library = path;
	r = nbd_server_start(&a, &server, &c->err);
	if (r)
		return r;
	if (c->nafter)
		return run_command(c, &server);
	report(c, &server, &rev, &a);
	return a.background ? 0
			    : nbd_server_wait(&server, c->progress.cancel,
				      &c->err);
}

const struct command cmd_nbd = {
	.name = "nbd",
	.synopsis = "[REV] [--socket PATH | --port N] [--writable NAME] "
		    "[-- COMMAND {}]",
	.summary = "serve disks to boot from or read, over NBD",
	.options = options,
	.operands = COMPLETE_REV,
	.words = true,
	.run = run,
};
