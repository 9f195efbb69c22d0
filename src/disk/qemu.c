/* SPDX-License-Identifier: Apache-2.0 */
/* qemu-nbd as a reader. It gets the image as a descriptor (opened by us), a
 * listening socket in the way of systemd's socket activation, an empty
 * environment and limits; we talk to it with libnbd over a few connections. */
#include "disk/qemu.h"

#ifndef STRATA_NBD

int qemu_open(struct source *file ATTR_UNUSED, const char *driver,
	struct source **out ATTR_UNUSED, struct error *e)
{
	return error_set(e, ERR_UNSUPPORTED,
		"%s images are read through libnbd, which this was built "
		"without",
		driver);
}

#else

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/nbd_lib.h"
#include "disk/spool.h"

#define CONNECTIONS 2
#define CHUNK (1 * MIB)
#define SECTOR 512
/* Descriptors in the child. */
#define CHILD_LISTEN 3
#define CHILD_IMAGE 4
/* Open files qemu-nbd needs: its own dozen and the connections. */
#define CHILD_FILES 64

struct qemu {
	struct source s;
	pid_t pid;
	int words; /* what it says on stderr, a pipe */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct nbd_handle *idle[CONNECTIONS];
	unsigned nidle;
	struct source *spool; /* where the image was not a file */
};

static struct nbd_handle *take(struct qemu *q)
{
	struct nbd_handle *h;

	pthread_mutex_lock(&q->lock);
	while (!q->nidle)
		pthread_cond_wait(&q->freed, &q->lock);
	h = q->idle[--q->nidle];
	pthread_mutex_unlock(&q->lock);
	return h;
}

static void give(struct qemu *q, struct nbd_handle *h)
{
	pthread_mutex_lock(&q->lock);
	q->idle[q->nidle++] = h;
	pthread_cond_signal(&q->freed);
	pthread_mutex_unlock(&q->lock);
}

/* What it said, the first line. */
static void last_words(struct qemu *q, char *out, size_t size)
{
	ssize_t n = read(q->words, out, size - 1);

	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
}

/* qemu answers with one error, "Input/output", to a file that it cannot read
 * and to tables that lead nowhere, or ends itself; the file was there when it
 * was opened, so it is the tables. */
static int nbd_failed(struct qemu *q, uint64_t off, struct error *e)
{
	const char *why = nbd_lib.get_error();
	char words[400];

	last_words(q, words, sizeof(words));
	return error_at(e, ERR_CORRUPT, off,
		"qemu cannot read the disk at offset %" PRIu64 ": %s", off,
		*words ? words : why ? why : "failed");
}

static int qemu_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct qemu *q = (struct qemu *)s;
	AUTO_FREE uint8_t *bounce = NULL;
	struct nbd_handle *h = take(q);
	uint8_t *p = buf;
	int r = 0;

	while (len && !r) {
		size_t skip = (size_t)(off % SECTOR), n;

		n = size_min(len, CHUNK - skip);
		if (!skip && !(n % SECTOR)) {
			r = nbd_lib.pread(h, p, n, off, 0);
		} else {
			size_t all = (size_t)u64_min(
				round_up(skip + n, SECTOR),
				s->size - (off - skip));

			if (!bounce && !(bounce = malloc(CHUNK + SECTOR))) {
				give(q, h);
				return error_nomem(e);
			}
			r = nbd_lib.pread(h, bounce, all, off - skip, 0);
			if (!r)
				memcpy(p, bounce + skip, n);
		}
		if (r)
			break;
		p += n;
		off += n;
		len -= n;
	}
	give(q, h);
	return r ? nbd_failed(q, off, e) : 0;
}

struct status {
	uint64_t len;
	bool zero, done;
};

static int on_status(void *ctx, const char *context ATTR_UNUSED,
	uint64_t offset ATTR_UNUSED, uint32_t *entries, size_t n,
	int *error ATTR_UNUSED)
{
	struct status *t = ctx;

	for (size_t i = 0; i + 1 < n; i += 2) {
		bool zero = entries[i + 1] & 2; /* NBD_STATE_ZERO */

		if (t->done || (t->len && zero != t->zero)) {
			t->done = true;
			break;
		}
		t->zero = zero;
		t->len += entries[i];
	}
	return 0;
}

static int qemu_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	struct qemu *q = (struct qemu *)s;
	uint64_t at = round_down(off, SECTOR);
	uint64_t len = u64_min(s->size - at, GIB);
	struct status t = { 0 };
	struct nbd_handle *h = take(q);
	int r = nbd_lib.block_status(h, len, at,
		(nbd_extent_callback){ .callback = on_status, .user_data = &t },
		0);

	give(q, h);
	if (r)
		return nbd_failed(q, off, e);
	if (t.len <= off - at)
		t = (struct status){ .len = len };
	*out = (struct source_extent){ .off = at,
		.len = u64_min(t.len, s->size - at),
		.kind = t.zero ? SOURCE_ZERO : SOURCE_DATA };
	return 0;
}

static void qemu_close(struct source *s)
{
	struct qemu *q = (struct qemu *)s;

	while (q->nidle)
		nbd_lib.close(q->idle[--q->nidle]);
	if (q->pid > 0) {
		kill(q->pid, SIGKILL);
		while (waitpid(q->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (q->words >= 0)
		close(q->words);
	source_unref(q->spool);
	pthread_cond_destroy(&q->freed);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static const struct source_ops qemu_ops = {
	.name = "qemu-nbd",
	.pread = qemu_pread,
	.extent = qemu_extent,
	.close = qemu_close,
};

/* --- the process --- */

/* The path of qemu-nbd along $PATH, or NULL. */
static char *find_program(void)
{
	const char *path = getenv("PATH");

	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t n = strcspn(path, ":");
		AUTO_BUF b = BUF_INIT;

		buf_add(&b, path, n);
		buf_addstr(&b, "/qemu-nbd");
		if (n && *path == '/' && !access(buf_str(&b), X_OK))
			return buf_steal(&b);
		if (!path[n])
			return NULL;
		path += n + 1;
	}
}

static void limit(int what, rlim_t n)
{
	struct rlimit x = { n, n };

	setrlimit((__rlimit_resource_t)what, &x);
}

/* Between fork and exec: nothing that could wait for another thread. */
static void child(const char *program, char *const *argv, char **env,
	char *pid_digits, int listener, int image, int words)
{
	/* Over the highest of ours, so that none is lost on the way. */
	int l = fcntl(listener, F_DUPFD, 10), i = fcntl(image, F_DUPFD, 10);
	int w = fcntl(words, F_DUPFD, 10), null;
	long pid = getpid();

	for (int k = 9; k >= 0; k--, pid /= 10)
		pid_digits[k] = (char)('0' + pid % 10);
	null = open("/dev/null", O_RDWR);
	if (l < 0 || i < 0 || w < 0 || null < 0 || dup2(null, 0) < 0 ||
		dup2(null, 1) < 0 || dup2(w, 2) < 0 ||
		dup2(l, CHILD_LISTEN) < 0 || dup2(i, CHILD_IMAGE) < 0)
		_exit(127);
	for (int k = CHILD_IMAGE + 1; k < 1024; k++)
		close(k);
	limit(RLIMIT_AS, LIMIT_QEMU_MEMORY);
	limit(RLIMIT_CPU, LIMIT_QEMU_SECONDS);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, CHILD_FILES);
	execve(program, argv, env);
	_exit(127);
}

static int spawn(struct qemu *q, const char *driver, int listener, int image,
	struct error *e)
{
	AUTO_FREE char *program = find_program();
	AUTO_BUF options = BUF_INIT;
	char pid[] = "LISTEN_PID=0000000000", fds[] = "LISTEN_FDS=1";
	char locale[] = "LC_ALL=C";
	char *env[] = { pid, fds, locale, NULL };
	int words[2];

	if (!program)
		return error_set(e, ERR_UNSUPPORTED,
			"%s images are read through qemu-nbd, which is not "
			"installed (package qemu-utils)",
			driver);
	if (pipe2(words, O_CLOEXEC | O_NONBLOCK))
		return error_errno(e, "qemu-nbd: pipe");
	q->words = words[0];
	buf_printf(&options,
		"json:{\"driver\":\"%s\",\"backing\":null,\"read-only\":true,"
		"\"file\":{\"driver\":\"file\",\"filename\":"
		"\"/proc/self/fd/%d\",\"locking\":\"off\"}}",
		driver, CHILD_IMAGE);
	{
		char name[] = "qemu-nbd", ro[] = "--read-only";
		char shared[16];
		char *argv[] = { name, ro, shared, (char *)(uintptr_t)buf_str(
							   &options),
			NULL };

		snprintf(shared, sizeof(shared), "--shared=%d", CONNECTIONS);
		q->pid = fork();
		if (!q->pid)
			child(program, argv, env, pid + 11, listener, image,
				words[1]);
	}
	close(words[1]);
	return q->pid < 0 ? error_errno(e, "qemu-nbd: fork") : 0;
}

/* A listening socket in a folder that only we can enter, and connections to
 * it; the name is gone before anything is said over them. */
static int sockets(int *listener, int *conn, struct error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *tmp = getenv("TMPDIR");
	int r = 0, n;

	if (!tmp || *tmp != '/' || strlen(tmp) > 80)
		tmp = "/tmp";
	n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/strata.XXXXXX", tmp);
	if (!mkdtemp(a.sun_path))
		return error_errno(e, "temporary folder in %s", tmp);
	memcpy(a.sun_path + n, "/s", 3);
	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 ||
		bind(*listener, (struct sockaddr *)&a, sizeof(a)) ||
		listen(*listener, CONNECTIONS))
		r = error_errno(e, "qemu-nbd: socket");
	for (int i = 0; !r && i < CONNECTIONS; i++) {
		conn[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (conn[i] < 0 ||
			connect(conn[i], (struct sockaddr *)&a, sizeof(a)))
			r = error_errno(e, "qemu-nbd: connect");
	}
	unlink(a.sun_path);
	a.sun_path[n] = 0;
	rmdir(a.sun_path);
	return r;
}

static int handshake(struct qemu *q, int *conn, const char *driver,
	struct error *e)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		struct nbd_handle *h = nbd_lib.create();
		char words[400] = "";

		if (!h)
			return error_nomem(e);
		q->idle[q->nidle++] = h;
		if (!nbd_lib.add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) &&
			!nbd_lib.connect_socket(h, steal_fd(&conn[i])))
			continue;
		last_words(q, words, sizeof(words));
		return error_set(e, ERR_CORRUPT, "qemu cannot open this %s "
			"image: %s", driver,
			*words ? words : nbd_lib.get_error());
	}
	return 0;
}

/* The bytes as a file, where they are not one: what qemu gets is a file. */
static int as_file(struct qemu *q, struct source *file, int *fd,
	struct error *e)
{
	AUTO_SPOOL spool = NULL;
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	uint64_t off, end;
	int r;

	*fd = source_fd(file);
	if (*fd >= 0)
		return 0;
	r = buf ? spool_new(&spool, e) : error_nomem(e);
	for (uint64_t at = 0; !r; at = end) {
		r = source_next_data(file, at, file->size, CHUNK, &off, &end,
			e);
		if (r || off == end)
			break;
		r = source_pread(file, buf, (size_t)(end - off), off, e);
		if (!r)
			r = sink_pwrite(spool_sink(spool), buf,
				(size_t)(end - off), off, e);
	}
	if (!r)
		r = sink_truncate(spool_sink(spool), file->size, e);
	if (!r)
		r = spool_source(spool, "image", &q->spool, e);
	if (!r)
		*fd = source_fd(q->spool);
	return r;
}

int qemu_open(struct source *file, const char *driver, struct source **out,
	struct error *e)
{
	struct qemu *q = calloc(1, sizeof(*q));
	AUTO_SOURCE owner = NULL;
	int listener = -1, conn[CONNECTIONS], image = -1, r;
	int64_t size;

	if (!q)
		return error_nomem(e);
	r = nbd_lib_load(e);
	if (r) {
		free(q);
		return r;
	}
	source_init(&q->s, &qemu_ops, 0);
	owner = &q->s;
	q->words = -1;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->freed, NULL);
	for (int i = 0; i < CONNECTIONS; i++)
		conn[i] = -1;
	r = as_file(q, file, &image, e);
	if (!r)
		r = sockets(&listener, conn, e);
	if (!r)
		r = spawn(q, driver, listener, image, e);
	if (listener >= 0)
		close(listener); /* so that its death is seen by us */
	if (!r)
		r = handshake(q, conn, driver, e);
	for (int i = 0; i < CONNECTIONS; i++)
		if (conn[i] >= 0)
			close(conn[i]);
	if (r)
		return r;
	size = nbd_lib.get_size(q->idle[0]);
	if (size < 0 || (uint64_t)size > LIMIT_DISK_SIZE)
		return error_set(e, ERR_LIMIT, "qemu-nbd: the disk has no "
			"usable size");
	q->s.size = (uint64_t)size;
	*out = steal_ptr(owner);
	return 0;
}

#endif
