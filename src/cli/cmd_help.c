/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/checked.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/json.h"

/* Where the page of a command is: beside the program, as installed or as in
 * the source's own build folder. NULL: with the others, or nowhere. */
static char *page_file(const char *page)
{
	static const char *const places[] = { "../share/man/man1",
		"../doc/man" };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return NULL;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		AUTO_BUF path = BUF_INIT;

		buf_printf(&path, "%s/%s/%s.1", self, places[i], page);
		if (!access(buf_str(&path), R_OK))
			return buf_steal(&path);
	}
	return NULL;
}

/* A page that only names another: ".so man1/OTHER.1". */
static char *follow(char *path)
{
	AUTO_FREE char *line = NULL;
	AUTO_BUF other = BUF_INIT;
	size_t size = 0;
	FILE *f = fopen(path, "r");
	ssize_t n = f ? getline(&line, &size, f) : -1;

	if (f)
		fclose(f);
	if (n < 5 || strncmp(line, ".so man1/", 9) != 0)
		return path;
	line[strcspn(line, "\n")] = 0;
	buf_printf(&other, "%.*s/%s", (int)(strrchr(path, '/') - path), path,
		line + 9);
	free(path);
	return buf_steal(&other);
}

/* Shows the page, as man does on a terminal and in a pipe. Its exit code, 127
 * where there is no man. */
static int show_page(const char *page)
{
	AUTO_FREE char *file = page_file(page);
	int status = 0;
	pid_t pid;

	if (file)
		file = follow(file);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int null = file ? -1 : open("/dev/null", O_WRONLY);

		if (null >= 0)
			dup2(null, STDERR_FILENO); /* "No manual entry" */
		if (file)
			execlp("man", "man", "-l", file, (char *)NULL);
		else
			execlp("man", "man", "1", page, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return 127;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 128 + WTERMSIG(status);
}

static int run_help(struct cli *c)
{
	char page[64] = "strata";
	int r = cli_want_args(c, 0, 1);

	if (r)
		return r;
	if (!c->nargs)
		return help_overview(stdout);
	if (strcmp(c->args[0], "strata") != 0) {
		if (!cli_find_command(c->args[0]))
			return help_unknown(c->args[0]);
		snprintf(page, sizeof(page), "strata-%s", c->args[0]);
	}
	r = show_page(page);
	if (!r || r > 128)
		return r;
	/* No man, or no page: what the table knows. */
	if (!strcmp(page, "strata"))
		help_overview(stdout);
	else
		help_command(cli_find_command(c->args[0]), stdout);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "show the manual page of a command",
	.operands = COMPLETE_COMMAND,
	.run = run_help,
};

static int run_version(struct cli *c)
{
	struct json j;

	if (!c->json) {
		printf("strata %s\n", STRATA_VERSION);
		return 0;
	}
	json_start(&j, stdout, "version");
	json_str(&j, "version", STRATA_VERSION);
	json_u64(&j, "format", LIBRARY_FORMAT);
	json_array(&j, "features");
	for (const char *const *f = (const char *const[]){ STRATA_FEATURES
			NULL }; *f; f++)
		json_str(&j, NULL, *f);
	json_array_end(&j);
	json_end(&j);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.synopsis = "",
	.summary = "show the version and what was built in",
	.run = run_version,
};

static int run_completion(struct cli *c)
{
	int r = cli_want_args(c, 1, 1);

	if (r)
		return r;
	if (help_completion(c->args[0], stdout))
		return cli_usage(c, "completion for bash, zsh or fish");
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.synopsis = "bash|zsh|fish",
	.summary = "print a completion script",
	.run = run_completion,
	.hidden = true,
};
