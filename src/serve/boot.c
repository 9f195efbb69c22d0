/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "serve/argv.h"

/* How long a machine that was told to shut down may take. */
#define DOWN_SECONDS 120
/* The longest text that is looked for. */
#define EXPECT_MAX 4096

/* --- arguments --- */

/* The firmware, and a copy of its variables that may be written. */
static int add_uefi(const struct boot_args *a, struct argv *v, struct error *e)
{
	static const char *const pairs[][2] = {
		{ "/usr/share/OVMF/OVMF_CODE_4M.fd",
			"/usr/share/OVMF/OVMF_VARS_4M.fd" },
		{ "/usr/share/OVMF/OVMF_CODE.fd",
			"/usr/share/OVMF/OVMF_VARS.fd" },
		{ "/usr/share/edk2/ovmf/OVMF_CODE.fd",
			"/usr/share/edk2/ovmf/OVMF_VARS.fd" },
		{ "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
			"/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
	};
	AUTO_BUF path = BUF_INIT;
	AUTO_FREE char *vars = NULL;
	char block[65536];
	ssize_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		AUTO_FD int in = open(pairs[i][1], O_RDONLY | O_CLOEXEC);
		AUTO_FD int out = -1;

		if (in < 0 || access(pairs[i][0], R_OK))
			continue;
		buf_printf(&path, "%s/vars.fd", a->disk->dir.path);
		out = open(buf_str(&path), O_WRONLY | O_CREAT | O_CLOEXEC,
			0600);
		while (out >= 0 && (n = read(in, block, sizeof(block))) > 0)
			if (write(out, block, (size_t)n) != n)
				return error_errno(e, "%s", buf_str(&path));
		if (out < 0 || n < 0)
			return error_errno(e, "%s", buf_str(&path));
		vars = argv_doubled(buf_str(&path));
		if (!vars)
			return error_nomem(e);
		argv_add(v, "-drive");
		argv_add(v, "if=pflash,format=raw,readonly=on,file=%s",
			pairs[i][0]);
		argv_add(v, "-drive");
		argv_add(v, "if=pflash,format=raw,file=%s", vars);
		return 0;
	}
	return error_set(e, ERR_NOTFOUND,
		"there is no UEFI firmware (Debian: ovmf)");
}

static int build(const struct boot_args *a, const char *accel, struct argv *v,
	struct error *e)
{
	const char *qemu = getenv("STRATA_QEMU");
	AUTO_FREE char *overlay = argv_doubled(a->disk->overlay);
	AUTO_FREE char *dir = argv_doubled(a->disk->dir.path);
	int r = 0;

	if (!overlay || !dir)
		return error_nomem(e);
	argv_add(v, "%s", qemu && *qemu ? qemu : "qemu-system-x86_64");
	argv_add(v, "-nodefaults");
	argv_add(v, "-accel");
	argv_add(v, "%s", accel);
	argv_add(v, "-m");
	argv_add(v, "%s", a->memory ? a->memory : "1G");
	argv_add(v, "-smp");
	argv_add(v, "%u", a->cpus ? a->cpus : 1);
	argv_add(v, "-drive");
	argv_add(v, "file=%s,format=qcow2,if=virtio,cache=unsafe,discard=unmap",
		overlay);
	argv_add(v, "-device");
	argv_add(v, "virtio-rng-pci");
	argv_add(v, "-display");
	argv_add(v, "none");
	argv_add(v, "-serial");
	argv_add(v, a->expect ? "stdio" : "mon:stdio");
	argv_add(v, "-qmp");
	argv_add(v, "unix:%s/qmp,server=on,wait=off", dir);
	if (a->expect)
		argv_add(v, "-no-reboot");
	if (a->net) {
		argv_add(v, "-nic");
		argv_add(v, "user,model=virtio-net-pci");
	}
	if (a->uefi)
		r = add_uefi(a, v, e);
	for (int i = 0; i < a->nextra; i++)
		argv_add(v, "%s", a->extra[i]);
	return r ? r : argv_done(v) ? 0 : error_nomem(e);
}

/* --- the machine --- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start(char *const *argv, int console, int report)
{
	pid_t pid = fork();
	int err;

	if (pid)
		return pid;
	/* What it writes is thrown away anyway: it goes when we are killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	argv_default_signals();
	if (console >= 0) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(console, 1);
		setpgid(0, 0);
	}
	execvp(argv[0], argv);
	err = errno;
	(void)!write(report, &err, sizeof(err));
	_exit(127);
}

/* Asks by QMP for an orderly end. */
static void power_down(const struct boot_args *a)
{
	static const char text[] = "{\"execute\":\"qmp_capabilities\"}\n"
				   "{\"execute\":\"system_powerdown\"}\n";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char reply[4096];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/qmp", a->disk->dir.path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
		write(fd, text, sizeof(text) - 1) < 0)
		return;
	/* It reads what it was sent while we listen. */
	while (poll(&p, 1, 500) > 0 && read(fd, reply, sizeof(reply)) > 0)
		;
}

struct watch {
	const struct boot_args *a;
	struct boot_result *out;
	pid_t pid;
	int fd; /* the console, -1: on the terminal */
	double begin, deadline; /* 0: none */
	struct buf tail; /* of the console: the end that may hold a part */
	bool killed;
};

static void see(struct watch *w, const char *data, size_t len)
{
	size_t want = strlen(w->a->expect);

	if (w->a->console >= 0)
		(void)!write(w->a->console, data, len);
	if (w->out->found)
		return;
	buf_add(&w->tail, data, len);
	if (w->tail.oom)
		return;
	if (memmem(w->tail.data, w->tail.len, w->a->expect, want)) {
		w->out->found = true;
		w->out->seconds = now() - w->begin;
		if (w->a->shut_down) {
			power_down(w->a);
			w->deadline = now() + DOWN_SECONDS;
		} else {
			kill(w->pid, SIGKILL);
			w->killed = true;
		}
	} else if (w->tail.len >= want) {
		size_t keep = want - 1;

		memmove(w->tail.data, w->tail.data + w->tail.len - keep, keep);
		w->tail.len = keep;
	}
}

static void watch_console(struct watch *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	char data[8192];
	ssize_t n;

	if (poll(&p, 1, 100) <= 0)
		return;
	n = read(w->fd, data, sizeof(data));
	if (n > 0)
		see(w, data, (size_t)n);
	else
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static int watch_machine(struct watch *w, struct error *e)
{
	const atomic_bool *cancel = w->a->cancel;
	bool cancelled = false;
	int status;

	for (;;) {
		pid_t got = waitpid(w->pid, &status, WNOHANG);

		if (got == w->pid)
			break;
		if (got < 0 && errno != EINTR)
			return error_errno(e, "wait");
		if (w->fd >= 0)
			watch_console(w);
		else
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 },
				NULL);
		if (cancel && atomic_load(cancel) && !cancelled) {
			cancelled = true;
			kill(w->pid, SIGTERM);
		}
		if (w->deadline > 0 && now() > w->deadline && !w->killed) {
			w->out->timed_out = true;
			kill(w->pid, SIGKILL);
			w->killed = true;
		}
	}
	/* What it said last. */
	while (w->fd >= 0) {
		char data[8192];
		ssize_t n = read(w->fd, data, sizeof(data));

		if (n <= 0)
			break;
		see(w, data, (size_t)n);
	}
	w->out->status = WIFEXITED(status) ? WEXITSTATUS(status)
					   : 128 + WTERMSIG(status);
	w->out->down = !w->killed && !cancelled && !w->out->status;
	if (!w->out->found)
		w->out->seconds = now() - w->begin;
	return cancelled ? error_set(e, ERR_CANCELLED, "interrupted") : 0;
}

int boot_run(const struct boot_args *a, struct boot_result *out,
	struct error *e)
{
	struct watch w = { .a = a, .out = out, .fd = -1, .begin = now() };
	int console[2] = { -1, -1 }, report[2] = { -1, -1 }, err;
	AUTO_ARGV v = { 0 };
	struct termios tty;
	bool have_tty = !tcgetattr(0, &tty);
	int r;

	memset(out, 0, sizeof(*out));
	if (a->expect && (!*a->expect || strlen(a->expect) > EXPECT_MAX))
		return error_set(e, ERR_ARG, "a text of 1 to %d bytes is "
					     "wanted", EXPECT_MAX);
	out->accel = boot_accel();
	r = build(a, out->accel, &v, e);
	if (!r && (pipe2(report, O_CLOEXEC) ||
			  (a->expect && pipe2(console, O_CLOEXEC))))
		r = error_errno(e, "pipe");
	if (!r) {
		w.pid = start(v.words.items, console[1], report[1]);
		if (w.pid < 0)
			r = error_errno(e, "fork");
	}
	if (report[1] >= 0)
		close(report[1]);
	if (console[1] >= 0)
		close(console[1]);
	if (!r) {
		if (console[0] >= 0)
			fcntl(console[0], F_SETFL, O_NONBLOCK);
		w.fd = console[0];
		w.deadline = a->timeout ? w.begin + a->timeout : 0;
		r = watch_machine(&w, e);
	}
	if (!r && read(report[0], &err, sizeof(err)) == sizeof(err)) {
		errno = err;
		r = error_errno(e, "%s", v.words.items[0]);
	}
	if (have_tty)
		tcsetattr(0, TCSADRAIN, &tty);
	for (int i = 0; i < 2; i++) {
		int fd = i ? console[0] : report[0];

		if (fd >= 0)
			close(fd);
	}
	buf_release(&w.tail);
	return r;
}
