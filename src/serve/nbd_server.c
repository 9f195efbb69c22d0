/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/nbd_server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/vec.h"

/* How long nbdkit may take until it listens. */
#define START_SECONDS 30
#define BUILT_PLUGIN "src/serve/nbdkit-strata-plugin.so"

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 4000000 }, NULL);
}

static bool cancelled(const atomic_bool *c)
{
	return c && atomic_load(c);
}

/* The plugin: $STRATA_NBDKIT_PLUGIN, the one of the build tree that this
 * program is in, else the one that nbdkit finds. */
static char *find_plugin(void)
{
	const char *env = getenv("STRATA_NBDKIT_PLUGIN");
	char exe[PATH_MAX];
	AUTO_BUF b = BUF_INIT;
	ssize_t n;
	char *slash;

	if (env && *env)
		return strdup(env);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = 0;
		slash = strrchr(exe, '/');
		if (slash)
			*slash = 0;
		buf_printf(&b, "%s/" BUILT_PLUGIN, exe);
		if (!access(buf_str(&b), R_OK))
			return buf_steal(&b);
	}
	return strdup("strata");
}

/* --- arguments --- */

typedef VEC(char *) argv_list;

static void add(argv_list *v, const char *fmt, ...) ATTR_PRINTF(2, 3);
static void add(argv_list *v, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	if (!s || !vec_push(v, s))
		free(s);
}

static void argv_free(argv_list *v)
{
	for (size_t i = 0; i < v->len; i++)
		free(v->items[i]);
	vec_release(v);
}

static void build_argv(const struct nbd_server_args *a,
	const struct nbd_server *s, const char *plugin, const char *pidfile,
	argv_list *v)
{
	add(v, "nbdkit");
	if (!a->background) {
		add(v, "--foreground");
		add(v, "--exit-with-parent");
	}
	add(v, "--pidfile=%s", pidfile);
	if (s->socket) {
		add(v, "--unix=%s", s->socket);
	} else {
		add(v, "--port=%u", s->port);
		if (strcmp(s->host, "*"))
			add(v, "--ipaddr=%s", s->host);
	}
	if (a->tls)
		add(v, "--tls=%s", a->tls);
	if (a->tls_certificates)
		add(v, "--tls-certificates=%s", a->tls_certificates);
	if (a->tls_psk)
		add(v, "--tls-psk=%s", a->tls_psk);
	if (a->tls_verify_peer)
		add(v, "--tls-verify-peer");
	if (!a->writable)
		add(v, "--read-only");
	for (size_t i = 0; a->filters && a->filters[i]; i++)
		add(v, "--filter=%s", a->filters[i]);
	if (a->writable)
		add(v, "--filter=cow");
	add(v, "%s", plugin);
	add(v, "library=%s", a->library);
	if (a->rev)
		add(v, "rev=%s", a->rev);
	if (a->writable)
		add(v, "name=%s", a->writable);
	if (a->disk)
		add(v, "disk=%u", a->disk);
	if (a->cache)
		add(v, "cache=%" PRIu64, a->cache);
	if (a->bootset)
		add(v, "bootset=%s", a->bootset);
	for (size_t i = 0; a->params && a->params[i]; i++)
		add(v, "%s", a->params[i]);
}

static void put_escaped(struct buf *b, const char *s, const char *safe)
{
	for (; *s; s++)
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr(safe, *s))
			buf_addch(b, *s);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
}

static char *make_uri(const struct nbd_server *s, bool tls)
{
	AUTO_BUF b = BUF_INIT;

	buf_addstr(&b, tls ? "nbds" : "nbd");
	if (s->socket)
		buf_addstr(&b, "+unix:///");
	else if (strchr(s->host, ':'))
		buf_printf(&b, "://[%s]:%u/", s->host, s->port);
	else
		buf_printf(&b, "://%s:%u/",
			strcmp(s->host, "*") ? s->host : "localhost", s->port);
	put_escaped(&b, s->export, "-._~/");
	if (s->socket) {
		buf_addstr(&b, "?socket=");
		put_escaped(&b, s->socket, "-._~/");
	}
	return buf_steal(&b);
}

/* --- where it listens --- */

/* A socket that nobody listens on any more is removed. */
static int clear_socket(const char *path, struct error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	AUTO_FD int fd = -1;
	struct stat st;

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(e, ERR_ARG,
			"%s: the path of a socket has at most %zu bytes", path,
			sizeof(sa.sun_path) - 1);
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : error_errno(e, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, ERR_EXISTS,
			"%s: is there and is not a socket", path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(e, "socket");
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return error_set(e, ERR_BUSY, "%s: a server listens there",
			path);
	if (errno != ECONNREFUSED)
		return error_errno(e, "%s", path);
	return unlink(path) && errno != ENOENT ? error_errno(e, "%s", path)
					       : 0;
}

static int private_folder(struct nbd_server *s, struct error *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	AUTO_BUF b = BUF_INIT;

	buf_printf(&b, "%s/strata-nbd-XXXXXX",
		run && *run == '/' && !access(run, W_OK) ? run : "/tmp");
	s->dir = buf_steal(&b);
	if (!s->dir)
		return error_nomem(e);
	if (!mkdtemp(s->dir)) {
		free(s->dir);
		s->dir = NULL;
		return error_errno(e, "a folder for the socket");
	}
	return 0;
}

static int choose_place(const struct nbd_server_args *a, struct nbd_server *s,
	struct error *e)
{
	if (a->socket && a->port)
		return error_set(e, ERR_ARG, "a socket or a port, not both");
	if (a->port) {
		s->port = a->port;
		s->host = strdup(a->listen ? a->listen : "127.0.0.1");
		return s->host ? 0 : error_nomem(e);
	}
	if (a->socket) {
		AUTO_BUF b = BUF_INIT;

		/* nbdkit may go to another folder. */
		if (*a->socket != '/') {
			AUTO_FREE char *cwd = getcwd(NULL, 0);

			if (!cwd)
				return error_errno(e, "the working folder");
			buf_printf(&b, "%s/", cwd);
		}
		buf_addstr(&b, a->socket);
		s->socket = buf_steal(&b);
		return s->socket ? clear_socket(s->socket, e) : error_nomem(e);
	}
	if (asprintf(&s->socket, "%s/socket", s->dir) < 0) {
		s->socket = NULL;
		return error_nomem(e);
	}
	return 0;
}

/* --- starting, waiting, ending --- */

static pid_t spawn(char *const *argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	/* stdin is not its business, stdout is ours */
	{
		int null = open("/dev/null", O_RDWR);

		if (null >= 0) {
			dup2(null, 0);
			dup2(2, 1);
		}
	}
	/* Ctrl-C on the terminal goes to us, and we end it. */
	setpgid(0, 0);
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t read_pid(const char *pidfile)
{
	FILE *f = fopen(pidfile, "re");
	long v = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%ld", &v) != 1)
		v = 0;
	fclose(f);
	return (pid_t)v;
}

static int wait_ready(const struct nbd_server_args *a, struct nbd_server *s,
	pid_t child, const char *pidfile, struct error *e)
{
	for (int i = 0; i < START_SECONDS * 250; i++) {
		int status;
		pid_t got;

		s->pid = read_pid(pidfile);
		if (s->pid) {
			s->child = !a->background;
			if (a->background)
				waitpid(child, &status, 0);
			return 0;
		}
		got = waitpid(child, &status, WNOHANG);
		if (got == child && WIFEXITED(status) &&
			WEXITSTATUS(status) == 127)
			return error_set(e, ERR_NOTFOUND,
				"nbdkit is not installed");
		/* In the background it goes on in a process of its own. */
		if (got == child && (!a->background || !WIFEXITED(status) ||
					    WEXITSTATUS(status)))
			return error_set(e, ERR_IO, "nbdkit did not start");
		if (cancelled(a->cancel))
			break;
		nap();
	}
	kill(child, SIGTERM);
	return cancelled(a->cancel)
		       ? error_set(e, ERR_CANCELLED, "interrupted")
		       : error_set(e, ERR_IO, "nbdkit did not start in time");
}

int nbd_server_start(const struct nbd_server_args *a, struct nbd_server *s,
	struct error *e)
{
	AUTO_FREE char *plugin = find_plugin();
	AUTO_BUF pidfile = BUF_INIT;
	argv_list v = { 0 };
	pid_t child;
	int r;

	memset(s, 0, sizeof(*s));
	r = private_folder(s, e);
	if (!r)
		r = choose_place(a, s, e);
	if (r)
		goto fail;
	s->export = strdup(a->writable ? a->writable : a->rev ? a->rev : "");
	s->uri = s->export ? make_uri(s, a->tls != NULL) : NULL;
	if (a->pidfile)
		unlink(a->pidfile);
	buf_printf(&pidfile, a->pidfile ? "%s" : "%s/pid",
		a->pidfile ? a->pidfile : s->dir);
	build_argv(a, s, plugin, buf_str(&pidfile), &v);
	if (!plugin || !s->uri || pidfile.oom || !vec_push(&v, NULL)) {
		r = error_nomem(e);
		goto fail;
	}
	child = spawn(v.items);
	r = child < 0 ? error_errno(e, "nbdkit")
		      : wait_ready(a, s, child, buf_str(&pidfile), e);
	if (!r && !a->pidfile)
		unlink(buf_str(&pidfile));
	if (!r && a->background) { /* it keeps its folder */
		if (!s->socket || a->socket)
			rmdir(s->dir);
		free(s->dir);
		s->dir = NULL;
	}
fail:
	argv_free(&v);
	if (r) {
		s->child = false;
		nbd_server_stop(s);
	}
	return r;
}

int nbd_server_wait(struct nbd_server *s, const atomic_bool *cancel,
	struct error *e)
{
	int status = 0;

	while (s->child && !cancelled(cancel)) {
		if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
			s->child = false;
			if (!WIFEXITED(status) || WEXITSTATUS(status))
				return error_set(e, ERR_IO, "nbdkit failed");
			break;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
	return 0;
}

void nbd_server_stop(struct nbd_server *s)
{
	if (s->child) {
		kill(s->pid, SIGTERM);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (s->dir) {
		AUTO_BUF b = BUF_INIT;

		/* What is private: the socket, and the pid of a bad start. */
		buf_printf(&b, "%s/socket", s->dir);
		unlink(buf_str(&b));
		buf_clear(&b);
		buf_printf(&b, "%s/pid", s->dir);
		unlink(buf_str(&b));
		rmdir(s->dir);
	}
	if (s->socket && s->child)
		unlink(s->socket);
	free(s->socket);
	free(s->dir);
	free(s->host);
	free(s->export);
	free(s->uri);
	memset(s, 0, sizeof(*s));
}
