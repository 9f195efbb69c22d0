/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by tests/fault: the n-th call that changes files kills the process
 * or fails.
 *
 *	FAULTS=count:FILE	appends how many such calls there were to FILE
 *	FAULTS=kill:N		SIGKILL before the N-th (from 1)
 *	FAULTS=every:FILE	as count, but calls that only read or lock count
 *				too
 *	FAULTS=killany:N	as kill, counting so
 *	FAULTS=fail:N:ERRNO	the N-th fails
 *	FAULTS=full:N		from the N-th on, writes fail with ENOSPC; the
 *				first of them writes half
 *	FAULTS=read:N:PATH	from the N-th on, reads of PATH fail with EIO
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum { NONE, COUNT, KILL, FAIL, FULL, READ } mode;
static unsigned long at;
static int fail_errno;
static char path[PATH_MAX];
static atomic_ulong calls;
static bool every;

static void start(void) __attribute__((constructor));
static void start(void)
{
	const char *s = getenv("FAULTS");

	if (!s)
		return;
	if (sscanf(s, "count:%4095s", path) == 1)
		mode = COUNT;
	else if (sscanf(s, "every:%4095s", path) == 1)
		mode = COUNT, every = true;
	else if (sscanf(s, "killany:%lu", &at) == 1)
		mode = KILL, every = true;
	else if (sscanf(s, "kill:%lu", &at) == 1)
		mode = KILL;
	else if (sscanf(s, "fail:%lu:%d", &at, &fail_errno) == 2)
		mode = FAIL;
	else if (sscanf(s, "full:%lu", &at) == 1)
		mode = FULL;
	else if (sscanf(s, "read:%lu:%4095s", &at, path) == 2)
		mode = READ;
}

static void end(void) __attribute__((destructor));
static void end(void)
{
	FILE *f = mode == COUNT ? fopen(path, "a") : NULL;

	if (f) {
		fprintf(f, "%lu\n", atomic_load(&calls));
		fclose(f);
	}
}

/* True: fail. writing: with mode FULL only those count as failing. */
static bool fault(bool writing, bool *half)
{
	unsigned long n = atomic_fetch_add(&calls, 1) + 1;

	if (mode == KILL && n == at)
		kill(getpid(), SIGKILL);
	if (mode == FAIL && n == at) {
		errno = fail_errno;
		return true;
	}
	if (mode == FULL && n >= at && writing) {
		if (half && n == at) {
			*half = true;
			return false;
		}
		errno = ENOSPC;
		return true;
	}
	return false;
}

#define REAL(name)                                                             \
	static __typeof__(name) *real;                                         \
	if (!real)                                                             \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static bool changes(int flags)
{
	return flags & (O_CREAT | O_TRUNC) || (flags & O_ACCMODE) != O_RDONLY;
}

int openat64(int dir, const char *name, int flags, ...)
{
	REAL(openat64);
	va_list a;
	unsigned m;

	va_start(a, flags);
	m = flags & O_CREAT ? va_arg(a, unsigned) : 0;
	va_end(a);
	return (every || changes(flags)) && fault(flags & O_CREAT, NULL)
		       ? -1
		       : real(dir, name, flags, m);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	REAL(write);
	bool half = false;

	if (fd > 2 && fault(true, &half))
		return -1;
	return real(fd, buf, half ? n / 2 : n);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off_t off)
{
	REAL(pwrite64);
	bool half = false;

	if (fault(true, &half))
		return -1;
	return real(fd, buf, half ? n / 2 : n, off);
}

ssize_t pread64(int fd, void *buf, size_t n, off_t off)
{
	REAL(pread64);

	if (every && fault(false, NULL))
		return -1;
	if (mode == READ) {
		char link[64], to[PATH_MAX] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, to, sizeof(to) - 1) > 0 &&
			!strcmp(to, path) &&
			atomic_fetch_add(&calls, 1) + 1 >= at) {
			errno = EIO;
			return -1;
		}
	}
	return real(fd, buf, n, off);
}

int flock(int fd, int how)
{
	REAL(flock);

	return every && fault(false, NULL) ? -1 : real(fd, how);
}

int close(int fd)
{
	REAL(close);

	return every && fault(false, NULL) ? -1 : real(fd);
}

#define ONE(type, name, params, args, writing)                                 \
	type name params                                                       \
	{                                                                      \
		REAL(name);                                                    \
		return fault(writing, NULL) ? (type)-1 : real args;            \
	}

ONE(int, fsync, (int fd), (fd), true)
ONE(int, fdatasync, (int fd), (fd), true)
ONE(int, ftruncate64, (int fd, off_t n), (fd, n), false)
ONE(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b),
	false)
ONE(int, unlinkat, (int d, const char *a, int f), (d, a, f), false)
ONE(int, mkdirat, (int d, const char *a, mode_t m), (d, a, m), true)
