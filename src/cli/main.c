/* SPDX-License-Identifier: Apache-2.0 */
/* strata: parse the call, run the command, turn its outcome into an exit code.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "os/heap.h"

#ifndef STRATA_VERSION
#error "the build defines STRATA_VERSION"
#endif

const struct cli_option cli_common_options[] = {
	{ 'L', "library", "DIR", "the library (else $STRATA_LIBRARY)",
		COMPLETE_FILE },
	{ 'q', "quiet", NULL, "no progress, no notes", 0 },
	{ 'v', "verbose", NULL, "say more", 0 },
	{ 0, "progress", "MODE", "auto, none or json", 0 },
	{ 0, "json", NULL, "print one JSON object", 0 },
	{ 'z', "null", NULL, "end names with NUL instead of newline", 0 },
	{ 0, "color", "WHEN", "auto, always or never", 0 },
	{ 'h', "help", NULL, "show help", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

static atomic_bool cancelled;
static pid_t pager_pid;

static void on_signal(int sig)
{
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

const struct command *cli_find_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	return NULL;
}

/* --- options --- */

const char *cli_opt_at(const struct cli *c, const char *name, size_t i)
{
	for (size_t k = 0; k < c->nvalues; k++)
		if (!strcmp(c->values[k].opt->name, name) && !i--)
			return c->values[k].value;
	return NULL;
}

int cli_opt_all(struct cli *c, const char *name, const char ***out)
{
	const char **v = calloc(c->nvalues + 1, sizeof(*v));

	if (!v)
		return error_nomem(&c->err);
	for (size_t i = 0; (v[i] = cli_opt_at(c, name, i)); i++)
		;
	*out = v;
	return 0;
}

const char *cli_opt(const struct cli *c, const char *name)
{
	const char *v = NULL;

	for (size_t k = 0; k < c->nvalues; k++)
		if (!strcmp(c->values[k].opt->name, name))
			v = c->values[k].value;
	return v;
}

int cli_opt_number(struct cli *c, const char *name, bool sizes,
	uint64_t fallback, uint64_t *out)
{
	const char *s = cli_opt(c, name), *suffix = "KMGTPE", *at;
	unsigned long long v;
	char *end;

	*out = fallback;
	if (!s)
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || end == s || *s == '-')
		return cli_usage(c, "--%s: '%s' is not a number", name, s);
	*out = v;
	if (sizes && *end && (at = strchr(suffix, *end & ~32))) {
		if (!u64_shl(v, 10 * (unsigned)(at - suffix + 1), out))
			return cli_usage(c, "--%s: '%s' is too large", name, s);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
	}
	return *end ? cli_usage(c, "--%s: '%s' is not a number", name, s) : 0;
}

int cli_want_args(struct cli *c, int min, int max)
{
	if (c->nargs < min)
		return cli_usage(c, "%s",
			c->nargs ? "an operand is missing"
				 : "operands are missing");
	if (max >= 0 && c->nargs > max)
		return cli_usage(c, "'%s' is one operand too many",
			c->args[max]);
	return 0;
}

static const struct cli_option *find_long(const struct cli_option *o,
	const char *name, size_t len)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct cli_option *find_short(const struct cli_option *o,
	char letter)
{
	for (; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int take_common(struct cli *c, const struct cli_option *o,
	const char *value)
{
	switch (o->name[0]) {
	case 'L':
	case 'l':
		c->library_path = value;
		break;
	case 'q':
		c->quiet = true;
		break;
	case 'v':
		c->verbose = true;
		break;
	case 'j':
		c->json = true;
		break;
	case 'n':
		c->null = true;
		break;
	case 'p':
		if (!strcmp(value, "none"))
			c->progress_mode = PROGRESS_NONE;
		else if (!strcmp(value, "json"))
			c->progress_mode = PROGRESS_JSON;
		else if (strcmp(value, "auto"))
			return cli_usage(c, "--progress: auto, none or json");
		break;
	case 'c':
		if (!strcmp(value, "always"))
			c->color = true;
		else if (!strcmp(value, "never"))
			c->color = false;
		else if (strcmp(value, "auto"))
			return cli_usage(c, "--color: auto, always or never");
		break;
	}
	return 0;
}

struct parse {
	struct cli *c;
	VEC(struct cli_value) values;
	VEC(char *) args;
	bool help;
};

static int take(struct parse *p, const struct cli_option *o, bool common,
	const char *value)
{
	if (common && !strcmp(o->name, "help")) {
		p->help = true;
		return 0;
	}
	if (common)
		return take_common(p->c, o, value);
	if (!vec_push(&p->values, (struct cli_value){ o, value ? value : "" }))
		return ERR_NOMEM;
	return 0;
}

static int parse_long(struct parse *p, const char *arg, char **next, int *used)
{
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
	const struct cli_option *o =
		p->c->cmd ? find_long(p->c->cmd->options, arg, len) : NULL;
	bool common = !o;

	if (!o)
		o = find_long(cli_common_options, arg, len);
	if (!o)
		return cli_usage(p->c, "unknown option '--%s'", arg);
	if (!o->arg)
		return eq ? cli_usage(p->c, "'--%s' takes no argument", o->name)
			  : take(p, o, common, NULL);
	if (eq)
		return take(p, o, common, eq + 1);
	if (!*next)
		return cli_usage(p->c, "'--%s' wants %s", o->name, o->arg);
	*used = 1;
	return take(p, o, common, *next);
}

static int parse_short(struct parse *p, const char *arg, char **next,
	int *used)
{
	for (; *arg; arg++) {
		const struct cli_option *o =
			p->c->cmd ? find_short(p->c->cmd->options, *arg) : NULL;
		bool common = !o;
		int r;

		if (!o)
			o = find_short(cli_common_options, *arg);
		if (!o)
			return cli_usage(p->c, "unknown option '-%c'", *arg);
		if (o->arg) {
			if (!arg[1] && !*next)
				return cli_usage(p->c, "'-%c' wants %s", *arg,
					o->arg);
			*used = !arg[1];
			return take(p, o, common, arg[1] ? arg + 1 : *next);
		}
		r = take(p, o, common, NULL);
		if (r)
			return r;
	}
	return 0;
}

static int suggest(const char *name)
{
	const char *best = NULL;
	size_t best_d = 4;

	for (size_t i = 0; cli_commands[i]; i++) {
		size_t d = help_distance(name, cli_commands[i]->name);

		if (!cli_commands[i]->hidden && d < best_d) {
			best_d = d;
			best = cli_commands[i]->name;
		}
	}
	cli_error("'%s' is not a command%s%s%s; 'strata help' lists them", name,
		best ? "; did you mean '" : "", best ? best : "",
		best ? "'?" : "");
	return EXIT_USAGE;
}

static int parse(struct parse *p, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int used = 0, r = 0;

		if (!strcmp(argv[i], "--") && p->c->cmd) {
			p->c->after = argv + i + 1;
			p->c->nafter = argc - i - 1;
			break;
		}
		if (argv[i][0] == '-' && argv[i][1] == '-' && argv[i][2]) {
			if (!p->c->cmd && !strcmp(argv[i], "--version")) {
				printf("strata %s\n", STRATA_VERSION);
				exit(0);
			}
			r = parse_long(p, argv[i] + 2, argv + i + 1, &used);
		} else if (argv[i][0] == '-' && argv[i][1]) {
			r = parse_short(p, argv[i] + 1, argv + i + 1, &used);
		} else if (!p->c->cmd) {
			p->c->cmd = cli_find_command(argv[i]);
			if (!p->c->cmd)
				return suggest(argv[i]);
		} else if (!vec_push(&p->args, argv[i])) {
			return ERR_NOMEM;
		} else if (p->c->cmd->rest && p->args.len == 1 &&
			   i + 1 < argc && argv[i + 1][0] != '-') {
			/* leave the rest alone only behind "--" */
		}
		if (r)
			return r;
		i += used;
	}
	return 0;
}

/* --- the library --- */

char *cli_library_path(struct cli *c)
{
	return c->library_path ? strdup(c->library_path)
			       : library_default_path();
}

int cli_library(struct cli *c)
{
	AUTO_FREE char *path = NULL;

	if (c->lib)
		return 0;
	path = cli_library_path(c);
	return path ? library_open(path, &c->lib, &c->err)
		    : error_nomem(&c->err);
}

static int make_parents(const char *path, struct error *e)
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
	int r = cli_library(c);

	if (r != ERR_NOTFOUND || c->library_path || getenv("STRATA_LIBRARY"))
		return r;
	path = cli_library_path(c);
	r = path ? make_parents(path, &c->err) : error_nomem(&c->err);
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

void cli_pager(struct cli *c)
{
	const char *pager = getenv("PAGER");
	int fd[2];

	if (!isatty(1) || c->json || c->null || pager_pid)
		return;
	if (!pager)
		pager = "less";
	if (!*pager || !strcmp(pager, "cat") || pipe(fd))
		return;
	pager_pid = fork();
	if (!pager_pid) {
		dup2(fd[0], 0);
		close(fd[0]);
		close(fd[1]);
		setenv("LESS", "FRX", 0);
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
	size_t n = c->subject ? strlen(c->subject) : 0;

	if (n && (strncmp(why, c->subject, n) != 0 || why[n] != ':'))
		cli_error("%s: %s", c->subject, why);
	else
		cli_error("%s", why);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct cli c = { 0 };
	struct parse p = { .c = &c };
	struct rlimit nofile;
	int r;

	heap_tune();
	c.color = isatty(1) && !getenv("NO_COLOR");
	c.progress.cancel = &cancelled;
	r = parse(&p, argc, argv);
	c.values = p.values.items;
	c.nvalues = p.values.len;
	c.args = p.args.items;
	c.nargs = (int)p.args.len;
	if (r)
		return r < 0 ? cli_exit_code(r) : r;
	if (!c.cmd)
		return help_overview(p.help ? stdout : stderr)
			       ? EXIT_USAGE
			       : (p.help ? EXIT_OK : EXIT_USAGE);
	if (p.help) {
		help_command(c.cmd, stdout);
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
			r = 130;
		else
			r = cli_exit_code(r);
	}
	r = flush_output(r);
	library_close(c.lib);
	free(p.values.items);
	free(p.args.items);
	return r;
}
