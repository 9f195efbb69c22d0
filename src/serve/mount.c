/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "serve/exports.h"
#include "serve/keeper.h"
#include "serve/mount_fuse.h"

#define FS_TYPE "fuse.strata"

/* --- what is mounted --- */

/* The path without symlinks; also of a mount whose server is dead, which
 * cannot be looked at itself. To be freed. */
static char *real_dir(const char *dir)
{
	AUTO_FREE char *copy = NULL, *parent = NULL;
	AUTO_BUF b = BUF_INIT;
	char *slash, *base;
	size_t n;

	copy = realpath(dir, NULL);
	if (copy || errno == ENOENT || errno == ENOTDIR)
		return steal_ptr(copy);
	copy = strdup(dir);
	if (!copy)
		return NULL;
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	slash = strrchr(copy, '/');
	base = slash ? slash + 1 : copy;
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!parent)
		return NULL;
	buf_printf(&b, "%s/%s", strcmp(parent, "/") ? parent : "", base);
	return buf_steal(&b);
}

/* "\040" and its like, in place. */
static void unescape(char *s)
{
	char *w = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*w++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				      (s[3] - '0'));
			s += 3;
		} else {
			*w++ = *s;
		}
	*w = 0;
}

/* Is the topmost mount at this path one of ours? (proc(5), mountinfo) */
static bool is_ours(const char *path)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool ours = false;

	while (f && getline(&line, &cap, f) > 0) {
		char *at = line, *type = strstr(line, " - ");

		for (int i = 0; i < 4 && at; i++) {
			at = strchr(at, ' ');
			at = at ? at + 1 : NULL;
		}
		if (!at || !type)
			continue;
		at[strcspn(at, " ")] = 0;
		unescape(at);
		if (!strcmp(at, path))
			ours = !strncmp(type + 3, FS_TYPE " ",
				strlen(FS_TYPE) + 1);
	}
	free(line);
	if (f)
		fclose(f);
	return ours;
}

static int run_fusermount(const char *dir, bool lazy, struct error *e)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", "--",
			dir, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return error_set(e, ERR_IO, "%s: fusermount3 could not unmount it%s",
		dir,
		WIFEXITED(status) && WEXITSTATUS(status) == 127
			? ": it is not installed (package fuse3)"
			: "");
}

int mount_end(const char *dir, bool lazy, struct error *e)
{
	AUTO_FREE char *path = real_dir(dir);

	if (!path)
		return error_errno(e, "%s", dir);
	if (!is_ours(path))
		return error_set(e, ERR_ARG, "%s: no mount of strata is there",
			dir);
	if (!umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	if (errno == EBUSY)
		return error_set(e, ERR_BUSY,
			"%s: is in use (--lazy unmounts when it is not any "
			"more)",
			dir);
	if (errno != EPERM)
		return error_errno(e, "%s", dir);
	return run_fusermount(path, lazy, e);
}

static int check_dir(const char *dir, struct error *e)
{
	struct dirent *d;
	struct stat st;
	DIR *h;
	int r = 0;

	if (stat(dir, &st) && errno == ENOTCONN) {
		/* Its server was killed. */
		r = mount_end(dir, true, e);
		if (r)
			return r;
	}
	if (stat(dir, &st))
		return error_errno(e, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, ERR_ARG, "%s: is not a folder", dir);
	h = opendir(dir);
	if (!h)
		return error_errno(e, "%s", dir);
	while (!r && (d = readdir(h)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = error_set(e, ERR_EXISTS,
				"%s: the folder is not empty", dir);
	closedir(h);
	return r;
}

static int check_fuse(struct error *e)
{
	AUTO_FD int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	error_errno(e, "FUSE cannot be used here: /dev/fuse");
	if (e)
		e->code = ERR_IO;
	return ERR_IO;
}

/* --- serving --- */

struct server {
	struct library *lib;
	struct pins *pins;
	struct nodes nodes;
	struct fuse_session *se;
	bool mounted;
};

/* fusermount3 asks this of all but root, and reads the line so: without what
 * stands behind a '#', and without blanks around it. */
static bool others_allowed(void)
{
	char line[256];
	bool yes = !geteuid();
	FILE *f = fopen("/etc/fuse.conf", "re");

	while (f && fgets(line, sizeof(line), f)) {
		const char *p;

		line[strcspn(line, "#\n")] = 0;
		p = line + strspn(line, " \t");
		yes |= !strncmp(p, "user_allow_other", 16) &&
		       !p[16 + strspn(p + 16, " \t")];
	}
	if (f)
		fclose(f);
	return yes;
}

static int make_session(struct server *s, const struct mount_args *a,
	struct error *e)
{
	AUTO_BUF opts = BUF_INIT;
	char name[] = "strata", o[] = "-o";
	char *argv[] = { name, o, NULL, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	buf_addstr(&opts, "ro,nodev,nosuid,subtype=strata,fsname=");
	for (const char *p = a->label; *p; p++)
		buf_addch(&opts, *p == ',' || *p == '\\' ? '_' : *p);
	if (a->allow_other)
		buf_addstr(&opts, ",allow_other,default_permissions");
	argv[2] = buf_steal(&opts);
	if (!argv[2])
		return error_nomem(e);
	s->se = fuse_session_new(&args, &mount_fuse_ops,
		sizeof(mount_fuse_ops), &s->nodes);
	fuse_opt_free_args(&args);
	free(argv[2]);
	if (!s->se)
		return error_set(e, ERR_IO, "FUSE: no session");
	if (a->allow_other && !others_allowed())
		return error_set(e, ERR_IO,
			"%s: --allow-other: /etc/fuse.conf has no line "
			"user_allow_other", a->dir);
	if (fuse_session_mount(s->se, a->dir))
		return error_set(e, ERR_IO, "%s: cannot mount there", a->dir);
	s->mounted = true;
	return 0;
}

/* Requests wait in the kernel until this runs. */
static int serve(struct server *s)
{
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	struct prefetch *p = NULL;
	struct keeper *keeper;
	int r;

	/* Threads are of this process, behind the fork. */
	keeper = keeper_start(s->lib);
	if (!prefetch_start(0, &p, NULL))
		s->nodes.prefetch = p;
	s->nodes.listings = listings_new();
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	fuse_set_signal_handlers(s->se);
	if (cfg) {
		fuse_loop_cfg_set_clone_fd(cfg, 1);
		fuse_loop_cfg_set_max_threads(cfg, 16);
	}
	r = fuse_session_loop_mt(s->se, cfg);
	fuse_loop_cfg_destroy(cfg);
	fuse_session_unmount(s->se);
	fuse_remove_signal_handlers(s->se);
	s->mounted = false;
	s->nodes.prefetch = NULL;
	keeper_stop(keeper);
	prefetch_stop(p);
	listings_free(&s->nodes, s->nodes.listings);
	nodes_close(&s->nodes);
	fuse_session_destroy(s->se);
	pins_close(s->pins);
	library_close(s->lib);
	return r < 0 ? ERR_IO : 0;
}

static void detach(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	if (chdir("/"))
		(void)0;
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
}

int mount_run(const struct mount_args *a, struct error *e)
{
	struct server *s = calloc(1, sizeof(*s));
	AUTO_FREE char *path = realpath(a->library, NULL);
	bool have_nodes = false;
	pid_t pid = 0, caller = getpid();
	int r;

	if (!s)
		return error_nomem(e);
	r = path ? check_dir(a->dir, e) : error_errno(e, "%s", a->library);
	if (!r)
		r = check_fuse(e);
	if (!r)
		r = library_open(path, &s->lib, e);
	if (!r) {
		store_set_cache(s->lib->store,
			a->cache ? a->cache : exports_default_cache());
		/* What is mounted stays, whatever happens to the branches; a
		 * library that cannot be written has no gc either. */
		if (pins_open(s->lib, &s->pins, NULL))
			s->pins = NULL;
		r = nodes_open(&s->nodes, s->lib, s->pins, a->what, &a->commit,
			a->disk, a->volume, e);
		have_nodes = !r;
	}
	if (!r)
		r = make_session(s, a, e);
	if (!r && a->foreground) {
		r = serve(s);
		free(s);
		return r ? error_set(e, ERR_IO, "%s: FUSE failed", a->dir) : 0;
	}
	if (!r) {
		fflush(NULL);
		pid = fork();
		if (pid < 0)
			r = error_errno(e, "fork");
	}
	if (!r && !pid) {
		if (a->with_caller) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != caller)
				raise(SIGTERM);
		}
		detach();
		_exit(serve(s) ? 1 : 0);
	}
	/* The caller's copies; the mount itself goes on. */
	if (r && s->mounted)
		fuse_session_unmount(s->se);
	if (s->se)
		fuse_session_destroy(s->se);
	if (!r) /* the pins are the server's now */
		pins_leave(steal_ptr(s->pins));
	s->nodes.pins = s->pins;
	if (have_nodes)
		nodes_close(&s->nodes);
	pins_close(s->pins);
	library_close(s->lib);
	free(s);
	return r;
}
