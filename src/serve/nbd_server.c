/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/nbd_server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "serve/argv.h"

/* How long nbdkit may take until it listens. */
#define START_SECONDS 30
#define BUILT_PLUGIN "src/serve/nbdkit-strata-plugin.so"
#define USERS_PLUGIN "../lib/nbdkit/plugins/nbdkit-strata-plugin.so"

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 4000000 }, NULL);
}

static bool cancelled(const atomic_bool *c)
{
	return c && atomic_load(c);
}

/* The plugin: $STRATA_NBDKIT_PLUGIN, the one of the build tree that this
 * program is in, the one below the prefix that it is installed in, else the one
 * that nbdkit finds. */
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
		buf_clear(&b);
		buf_printf(&b, "%s/" USERS_PLUGIN, exe);
		if (!access(buf_str(&b), R_OK))
			return buf_steal(&b);
	}
	return strdup("strata");
}

/* --- arguments --- */

static void add_tls(const struct nbd_server_args *a,
	const struct nbd_server *s, const char *mode, struct argv *v)
{
	if (mode)
		argv_add(v, "--tls=%s", mode);
	if (s->tls_certificates)
		argv_add(v, "--tls-certificates=%s", s->tls_certificates);
	if (s->tls_psk)
		argv_add(v, "--tls-psk=%s", s->tls_psk);
	if (a->tls_verify_peer)
		argv_add(v, "--tls-verify-peer");
}

static void build_argv(const struct nbd_server_args *a,
	const struct nbd_server *s, const char *plugin, const char *pidfile,
	struct argv *v)
{
	argv_add(v, "nbdkit");
	if (!a->background) {
		argv_add(v, "--foreground");
		argv_add(v, "--exit-with-parent");
	}
	argv_add(v, "--pidfile=%s", pidfile);
	if (s->socket) {
		argv_add(v, "--unix=%s", s->socket);
	} else {
		argv_add(v, "--port=%u", s->port);
		if (strcmp(s->host, "*"))
			argv_add(v, "--ipaddr=%s", s->host);
	}
	add_tls(a, s, a->tls, v);
	if (!a->writable)
		argv_add(v, "--read-only");
	for (size_t i = 0; a->filters && a->filters[i]; i++)
		argv_add(v, "--filter=%s", a->filters[i]);
	if (a->writable)
		argv_add(v, "--filter=cow");
	argv_add(v, "%s", plugin);
	argv_add(v, "library=%s", a->library);
	if (a->rev)
		argv_add(v, "rev=%s", a->rev);
	if (a->writable)
		argv_add(v, "name=%s", a->writable);
	if (a->disk)
		argv_add(v, "disk=%u", a->disk);
	if (a->cache)
		argv_add(v, "cache=%" PRIu64, a->cache);
	if (a->bootset)
		argv_add(v, "bootset=%s", a->bootset);
	for (size_t i = 0; a->params && a->params[i]; i++)
		argv_add(v, "%s", a->params[i]);
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
	char sep = '?';

	buf_addstr(&b, tls ? "nbds" : "nbd");
	buf_addstr(&b, s->socket ? "+unix://" : "://");
	if (s->tls_user) {
		put_escaped(&b, s->tls_user, "-._~");
		buf_addch(&b, '@');
	}
	if (!s->socket && strchr(s->host, ':'))
		buf_printf(&b, "[%s]:%u", s->host, s->port);
	else if (!s->socket)
		buf_printf(&b, "%s:%u",
			strcmp(s->host, "*") ? s->host : "localhost", s->port);
	buf_addch(&b, '/');
	put_escaped(&b, s->export, "-._~/");
	if (s->socket) {
		buf_printf(&b, "%csocket=", sep);
		put_escaped(&b, s->socket, "-._~/");
		sep = '&';
	}
	if (s->tls_psk || s->tls_certificates) {
		buf_printf(&b, "%c%s=", sep,
			s->tls_psk ? "tls-psk-file" : "tls-certificates");
		put_escaped(&b, s->tls_psk ? s->tls_psk : s->tls_certificates,
			"-._~/");
	}
	return buf_steal(&b);
}

/* --- TLS --- */

/* The name in the first line "NAME:KEY" of a file of pre-shared keys. */
static int psk_user(const char *path, char **out, struct error *e)
{
	FILE *f = fopen(path, "re");
	char line[1024];
	char *name = NULL;

	if (!f)
		return error_errno(e, "%s", path);
	while (!name && fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, ":");

		if (line[n] == ':' && n && *line != '#')
			name = strndup(line, n);
	}
	fclose(f);
	if (!name)
		return error_set(e, ERR_ARG,
			"%s: holds no key; 'psktool -u NAME -p FILE' makes one",
			path);
	*out = name;
	return 0;
}

/* What the user gave, as a path that holds after a change of folders. */
static int find_credentials(const struct nbd_server_args *a,
	struct nbd_server *s, struct error *e)
{
	if (a->tls_certificates) {
		s->tls_certificates = realpath(a->tls_certificates, NULL);
		if (!s->tls_certificates)
			return error_errno(e, "%s", a->tls_certificates);
	}
	if (a->tls_psk) {
		s->tls_psk = realpath(a->tls_psk, NULL);
		if (!s->tls_psk)
			return error_errno(e, "%s", a->tls_psk);
		return psk_user(s->tls_psk, &s->tls_user, e);
	}
	return 0;
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
	if (asprintf(&s->socket, "%s/socket", s->dir.path) < 0) {
		s->socket = NULL;
		return error_nomem(e);
	}
	return 0;
}

/* --- starting, waiting, ending --- */

static pid_t spawn(char *const *argv, bool with_us, const char *tmp)
{
	pid_t self = getpid(), pid = fork();

	if (pid)
		return pid;
	argv_default_signals();
	/* nbdkit's --exit-with-parent begins only when nbdkit does. */
	if (with_us && (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != self))
		_exit(1);
	if (tmp)
		setenv("TMPDIR", tmp, 1);
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

/* With --tls=on nbdkit would serve in the clear where it has no credentials,
 * with a warning that nobody sees: it is asked first whether it has them. */
static int check_tls(const struct nbd_server_args *a,
	const struct nbd_server *s, struct error *e)
{
	AUTO_ARGV v = { 0 };
	int status = 0;
	pid_t pid;

	if (!a->tls || strcmp(a->tls, "on"))
		return 0;
	argv_add(&v, "nbdkit");
	argv_add(&v, "--unix=-");
	add_tls(a, s, "require", &v);
	argv_add(&v, "null");
	argv_add(&v, "--run=true");
	if (!argv_done(&v))
		return error_nomem(e);
	pid = spawn(v.words.items, true, NULL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		return error_errno(e, "nbdkit");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_set(e, ERR_NOTFOUND, "nbdkit is not installed");
	return status ? error_set(e, ERR_IO,
				"nbdkit has no TLS with these credentials")
		      : 0;
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

static int connect_to(const struct nbd_server *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *x;
	char port[16];
	int fd = -1;

	if (s->socket) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };

		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->socket);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
			close(fd);
			fd = -1;
		}
		return fd;
	}
	snprintf(port, sizeof(port), "%u", s->port);
	if (getaddrinfo(strcmp(s->host, "*") ? s->host : "localhost", port,
		    &hints, &all))
		return -1;
	for (x = all; x && fd < 0; x = x->ai_next) {
		fd = socket(x->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, x->ai_addr, x->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd;
}

/* nbdkit writes its pid before the plugin has opened the library. It greets
 * when all is ready and what it serves is pinned. */
static bool greets(const struct nbd_server *s)
{
	/* The fixed newstyle handshake, and at once its end: client flags,
	 * NBD_OPT_ABORT (the NBD protocol, "Newstyle negotiation"). */
	static const char bye[] = "\0\0\0\1IHAVEOPT\0\0\0\2\0\0\0\0";
	AUTO_FD int fd = connect_to(s);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char in[64];
	bool ok;

	ok = fd >= 0 && poll(&p, 1, 1000) > 0 && read(fd, in, 18) == 18 &&
	     !memcmp(in, "NBDMAGICIHAVEOPT", 16);
	if (ok && write(fd, bye, sizeof(bye) - 1) == sizeof(bye) - 1)
		while (poll(&p, 1, 1000) > 0 && read(fd, in, sizeof(in)) > 0)
			;
	return ok;
}

static int wait_ready(const struct nbd_server_args *a, struct nbd_server *s,
	pid_t child, const char *pidfile, struct error *e)
{
	for (int i = 0; i < START_SECONDS * 250; i++) {
		int status;
		pid_t got;

		s->pid = read_pid(pidfile);
		if (s->pid && greets(s)) {
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
		if (s->pid && a->background && kill(s->pid, 0) &&
			errno == ESRCH)
			return error_set(e, ERR_IO, "nbdkit did not start");
		if (cancelled(a->cancel))
			break;
		nap();
	}
	kill(a->background && s->pid ? s->pid : child, SIGTERM);
	return cancelled(a->cancel)
		       ? error_set(e, ERR_CANCELLED, "interrupted")
		       : error_set(e, ERR_IO, "nbdkit did not start in time");
}

int nbd_server_start(const struct nbd_server_args *a, struct nbd_server *s,
	struct error *e)
{
	AUTO_FREE char *plugin = find_plugin();
	AUTO_BUF pidfile = BUF_INIT;
	AUTO_ARGV v = { 0 };
	pid_t child;
	int r;

	memset(s, 0, sizeof(*s));
	r = find_credentials(a, s, e);
	if (!r)
		r = check_tls(a, s, e);
	if (!r)
		r = private_dir_make(PRIVATE_SOCKET, &s->dir, e);
	if (!r && a->writable)
		r = private_dir_make(PRIVATE_DISKS, &s->disks, e);
	if (!r)
		r = choose_place(a, s, e);
	if (r)
		goto fail;
	s->export = strdup(a->writable ? a->writable : a->rev ? a->rev : "");
	s->uri = s->export ? make_uri(s, a->tls != NULL) : NULL;
	if (a->pidfile)
		unlink(a->pidfile);
	buf_printf(&pidfile, a->pidfile ? "%s" : "%s/pid",
		a->pidfile ? a->pidfile : s->dir.path);
	build_argv(a, s, plugin, buf_str(&pidfile), &v);
	if (!plugin || !s->uri || pidfile.oom || !argv_done(&v)) {
		r = error_nomem(e);
		goto fail;
	}
	child = spawn(v.words.items, !a->background, s->disks.path);
	r = child < 0 ? error_errno(e, "nbdkit")
		      : wait_ready(a, s, child, buf_str(&pidfile), e);
	/* nbdkit sets its own umask, and makes what may only be read by
	 * others: nobody but its user can connect until here. */
	if (!r && a->mode && s->socket && chmod(s->socket, a->mode)) {
		r = error_errno(e, "%s", s->socket);
		if (a->background)
			kill(s->pid, SIGTERM);
	}
	if (!r && !a->pidfile)
		unlink(buf_str(&pidfile));
	if (!r && a->background) { /* it keeps its folder */
		if (!s->socket || a->socket)
			private_dir_remove(&s->dir);
		else
			private_dir_leave(&s->dir);
		private_dir_leave(&s->disks);
	}
fail:
	if (r)
		nbd_server_stop(s);
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
	private_dir_remove(&s->dir);
	private_dir_remove(&s->disks);
	if (s->socket && s->child)
		unlink(s->socket);
	free(s->socket);
	free(s->host);
	free(s->export);
	free(s->tls_certificates);
	free(s->tls_psk);
	free(s->tls_user);
	free(s->uri);
	memset(s, 0, sizeof(*s));
}
