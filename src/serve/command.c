/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "serve/argv.h"

/* A word with every "{}" replaced. */
static char *fill_in(const char *word, const char *subject)
{
	AUTO_BUF b = BUF_INIT;

	while (*word) {
		if (subject && word[0] == '{' && word[1] == '}') {
			buf_addstr(&b, subject);
			word += 2;
		} else {
			buf_addch(&b, *word++);
		}
	}
	return buf_steal(&b);
}

/* In the child: what cannot be started is told through the pipe. */
static void start(const struct command_args *a, char *const *argv, int report)
{
	int err;

	argv_default_signals();
	if (a->stdout_to_stderr)
		dup2(2, 1);
	if (a->subject_env && a->subject)
		setenv(a->subject_env, a->subject, 1);
	execvp(argv[0], argv);
	err = errno;
	(void)!write(report, &err, sizeof(err));
	_exit(127);
}

static int wait_for(pid_t pid, const atomic_bool *cancel, int *out_status,
	struct error *e)
{
	bool told = false;
	int status;

	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			break;
		if (got < 0 && errno != EINTR)
			return error_errno(e, "wait");
		if (cancel && atomic_load(cancel) && !told) {
			kill(pid, SIGTERM);
			told = true;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	*out_status = WIFEXITED(status) ? WEXITSTATUS(status)
					: 128 + WTERMSIG(status);
	return cancel && atomic_load(cancel)
		       ? error_set(e, ERR_CANCELLED, "interrupted")
		       : 0;
}

int command_run(const struct command_args *a, int *out_status, struct error *e)
{
	AUTO_ARGV argv = { 0 };
	int report[2] = { -1, -1 }, err = 0, r = 0;
	pid_t pid = -1;

	if (a->argc < 1)
		return error_set(e, ERR_ARG, "a command is missing behind --");
	for (int i = 0; i < a->argc && !r; i++) {
		AUTO_FREE char *word = fill_in(a->argv[i], a->subject);

		if (word)
			argv_add(&argv, "%s", word);
		else
			r = error_nomem(e);
	}
	if (!r && !argv_done(&argv))
		r = error_nomem(e);
	if (!r && pipe2(report, O_CLOEXEC))
		r = error_errno(e, "pipe");
	if (!r) {
		pid = fork();
		if (!pid)
			start(a, argv.words.items, report[1]);
		if (pid < 0)
			r = error_errno(e, "fork");
	}
	if (report[1] >= 0)
		close(report[1]);
	if (!r)
		r = wait_for(pid, a->cancel, out_status, e);
	if (!r && read(report[0], &err, sizeof(err)) == sizeof(err)) {
		errno = err;
		r = error_errno(e, "%s", a->argv[0]);
	}
	if (report[0] >= 0)
		close(report[0]);
	return r;
}
