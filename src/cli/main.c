/* SPDX-License-Identifier: Apache-2.0 */
/* strata: parse the call, run the command, turn its outcome into an exit code.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "os/heap.h"

#ifndef STRATA_VERSION
#error "the build defines STRATA_VERSION"
#endif

static atomic_bool cancelled;
static volatile sig_atomic_t signalled;
static pid_t pager_pid;

static void on_signal(int sig)
{
	signalled = sig;
	/* The second one does not wait. */
	if (atomic_exchange(&cancelled, true)) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

/* What is mapped are the library's index files: a sector of one that cannot be
 * read, or one that is cut while it is in use, ends here. */
static void on_bus_error(int sig ATTR_UNUSED)
{
	static const char text[] = "strata: library: an index file cannot be "
				   "read (I/O error, or cut while in use)\n";

	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	_exit(n < 0 ? EXIT_FAILURE : EXIT_IO);
}

/* --- the library --- */

char *cli_library_path(struct cli *c)
{
	return c->library_path ? strdup(c->library_path)
			       : library_default_path();
}

int cli_no_library_path(struct cli *c)
{
	return error_set(&c->err, ERR_NOTFOUND,
		"library: -L or STRATA_LIBRARY has to name it: HOME is not set");
}

static void warn(void *ctx, const char *text)
{
	cli_note(ctx, "warning: %s", text);
}

int cli_library(struct cli *c)
{
	AUTO_FREE char *path = NULL;
	int r;

	if (c->lib)
		return 0;
	path = cli_library_path(c);
	r = path ? library_open(path, &c->lib, &c->err) : cli_no_library_path(c);
	if (!r) {
		c->lib->warn = warn;
		c->lib->warn_ctx = c;
	}
	return r;
}

int cli_make_parents(const char *path, struct error *e)
{
	AUTO_FREE char *p = strdup(path);

	if (!p)
		return error_nomem(e);
	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = 0;
		if (mkdir(p, 0777) && errno != EEXIST)
			return error_errno(e, "%s", p);
		*s = '/';
	}
	return 0;
}

int cli_library_create(struct cli *c)
{
	AUTO_FREE char *path = NULL;
	const char *named = getenv("STRATA_LIBRARY");
	int r = cli_library(c);

	if (r != ERR_NOTFOUND || c->library_path || (named && *named))
		return r;
	path = cli_library_path(c);
	r = path ? cli_make_parents(path, &c->err) : cli_no_library_path(c);
	if (!r)
		r = library_init(path, &c->err);
	if (!r)
		cli_note(c, "made the library %s", path);
	return r ? r : cli_library(c);
}

int cli_exit_code(int code)
{
	switch (code) {
	case ERR_NOTFOUND:
		return EXIT_NOT_FOUND;
	case ERR_RANGE:
	case ERR_CORRUPT:
	case ERR_UNSUPPORTED:
	case ERR_LIMIT:
		return EXIT_REFUSED;
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_BUSY:
		return EXIT_CONFLICT;
	case ERR_DAMAGED:
		return EXIT_DAMAGED;
	case ERR_ARG:
		return EXIT_USAGE;
	default:
		return code < 0 ? EXIT_IO : code;
	}
}

static bool on_path(const char *name)
{
	const char *p = getenv("PATH");

	while (p && *p) {
		size_t n = strcspn(p, ":");
		AUTO_BUF file = BUF_INIT;

		buf_printf(&file, "%.*s/%s", (int)n, p, name);
		if (!access(buf_str(&file), X_OK))
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

void cli_pager(struct cli *c)
{
	const char *pager = getenv("PAGER");
	int fd[2];

	if (!isatty(1) || c->json || c->null || c->no_pager || pager_pid)
		return;
	if (!pager)
		pager = on_path("less") ? "less" : on_path("more") ? "more" : "";
	if (!*pager || !strcmp(pager, "cat") || pipe(fd))
		return;
	fflush(stdout);
	pager_pid = fork();
	if (!pager_pid) {
		dup2(fd[0], 0);
		close(fd[0]);
		close(fd[1]);
		setenv("LESS", "FRX", 0);
		setenv("LV", "-c", 0);
		execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
		_exit(127);
	}
	close(fd[0]);
	if (pager_pid > 0)
		dup2(fd[1], 1);
	close(fd[1]);
}

/* What was printed must have arrived; a reader that left (head) is no error. */
static int flush_output(int rc)
{
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && !rc) {
		cli_error("output: %s", strerror(errno));
		rc = EXIT_IO;
	}
	if (pager_pid > 0) {
		fclose(stdout);
		close(1);
		waitpid(pager_pid, NULL, 0);
	}
	return rc;
}

/* What, and why; what is not said twice where the reason begins with it. */
static void tell_failure(const struct cli *c, int code)
{
	const char *why = c->err.code ? c->err.msg : error_code_name(code);
	const char *what = c->subject;
	size_t n = what ? strlen(what) : 0;

	if (!n && !strstr(why, ": "))
		what = c->cmd ? c->cmd->name : "call";
	if (what && *what && (strncmp(why, what, n) != 0 || !n || why[n] != ':'))
		cli_error("%s: %s", what, why);
	else
		cli_error("%s", why);
}

/* A descriptor that is closed would be given to the next file that is opened,
 * and what is printed would go there. Reading and writing of these fail. */
static void open_standard(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
			open("/dev/null", fd == 1 ? O_RDONLY : O_WRONLY) != fd)
			_exit(EXIT_IO);
}

/* https://no-color.org: where it is set and not empty. */
static bool wants_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(1) && (!no || !*no) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct cli c = { 0 };
	struct rlimit nofile;
	int r;

	open_standard();
	heap_tune();
	c.color = wants_color();
	c.progress.cancel = &cancelled;
	r = cli_parse(&c, argc, argv);
	if (r < 0)
		tell_failure(&c, r);
	if (r)
		return r < 0 ? cli_exit_code(r) : r;
	if (c.want_version) {
		printf("strata %s\n", STRATA_VERSION);
		return flush_output(0);
	}
	if (!c.cmd && !c.want_help) {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	if (c.want_help) {
		if (c.cmd)
			help_command(c.cmd, stdout);
		else
			help_overview(stdout);
		return flush_output(0);
	}
	/* A library of many packs is read through many descriptors. */
	if (!getrlimit(RLIMIT_NOFILE, &nofile) &&
		nofile.rlim_cur < nofile.rlim_max) {
		nofile.rlim_cur = nofile.rlim_max;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGBUS, on_bus_error);
	r = c.cmd->run(&c);
	cli_progress_end(&c);
	if (r < 0) {
		if (!(r == ERR_IO && c.err.err == EPIPE))
			tell_failure(&c, r);
		if (r == ERR_CANCELLED)
			r = 128 + (signalled ? signalled : SIGINT);
		else
			r = cli_exit_code(r);
	}
	r = flush_output(r);
	library_close(c.lib);
	free(c.values);
	free(c.args);
	return r;
}
