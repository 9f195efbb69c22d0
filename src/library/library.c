/* SPDX-License-Identifier: Apache-2.0 */
/* Making and opening a library. */
#include "library/library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/limits.h"

#define MARKER "strata-library"
#define CHECKSUM "checksum "

char *library_default_path(void)
{
	AUTO_BUF b = BUF_INIT;
	const char *s = getenv("STRATA_LIBRARY");

	if (s && *s)
		return strdup(s);
	s = getenv("XDG_DATA_HOME");
	if (s && *s == '/') {
		buf_printf(&b, "%s/strata/library", s);
	} else {
		struct passwd *pw;

		s = getenv("HOME");
		if ((!s || !*s) && (pw = getpwuid(geteuid())))
			s = pw->pw_dir;
		if (!s || *s != '/')
			return NULL;
		buf_printf(&b, "%s/.local/share/strata/library", s);
	}
	return buf_steal(&b);
}

void library_warn(struct library *l, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX];
	va_list ap;

	if (!l->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->warn(l->warn_ctx, text);
}

static bool folder_is_empty(const char *path)
{
	struct dirent *d;
	DIR *h = opendir(path);
	bool empty = true;

	while (h && (d = readdir(h)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			empty = false;
	if (h)
		closedir(h);
	return empty;
}

int library_init(const char *path, struct error *e)
{
	AUTO_BUF text = BUF_INIT;
	CLEANUP(cleanup_backend) struct backend *be = NULL;
	struct stat st;
	AUTO_BUF marker = BUF_INIT;
	int r;

	buf_printf(&marker, "%s/" MARKER, path);
	if (!stat(buf_str(&marker), &st))
		return error_set(e, ERR_EXISTS, "%s: is a library already",
			path);
	if (mkdir(path, 0777)) {
		if (errno != EEXIST)
			return error_errno(e, "%s", path);
		if (stat(path, &st) || !S_ISDIR(st.st_mode))
			return error_set(e, ERR_EXISTS, "%s: is not a folder",
				path);
		if (!folder_is_empty(path))
			return error_set(e, ERR_EXISTS,
				"%s: the folder is not empty", path);
	}
	r = backend_local_open(path, &be, e);
	if (r)
		return r;
	buf_printf(&text,
		"strata library\n"
		"format %d\n"
		"required\n"
		"optional\n",
		LIBRARY_FORMAT);
	{
		uint64_t sum = checksum64(text.data, text.len);

		buf_printf(&text, CHECKSUM "%016" PRIx64 "\n", sum);
	}
	if (text.oom)
		return error_nomem(e);
	return be->ops->put(be, MARKER, text.data, text.len, e);
}

/* "format N", "required FEATURE..." of the marker file. */
static int check_marker(const char *path, const char *text, struct error *e)
{
	const char *line = strchr(text, '\n');
	int format = 0;
	bool have_required = false;

	if (strncmp(text, "strata library\n", 15) != 0)
		return error_set(e, ERR_DAMAGED, "library %s: %s is damaged",
			path, MARKER);
	for (; line && line[1]; line = strchr(line + 1, '\n')) {
		if (!strncmp(line + 1, "format ", 7))
			format = atoi(line + 8);
		if (!strncmp(line + 1, "required", 8)) {
			const char *rest = line + 9;
			size_t n = strcspn(rest, "\n");

			have_required = true;
			if (n > strspn(rest, " "))
				return error_set(e, ERR_UNSUPPORTED,
					"library %s: needs the feature '%.*s', "
					"which this strata does not know",
					path, (int)n - 1, rest + 1);
		}
	}
	if (format < 1 || !have_required)
		return error_set(e, ERR_DAMAGED, "library %s: %s is damaged",
			path, MARKER);
	if (format != LIBRARY_FORMAT)
		return error_set(e, ERR_UNSUPPORTED,
			"library %s: has format %d, this strata knows %d", path,
			format, LIBRARY_FORMAT);
	return 0;
}

/* The last line of the marker is the checksum of those before it. */
static bool marker_whole(const char *text, size_t len)
{
	char want[64];
	size_t n = sizeof(CHECKSUM) - 1 + 16 + 1;

	if (len < n)
		return false;
	snprintf(want, sizeof(want), CHECKSUM "%016" PRIx64 "\n",
		checksum64(text, len - n));
	return !memcmp(text + len - n, want, n);
}

int library_check_marker(struct library *l, struct error *e)
{
	const void *p;
	size_t len;
	bool whole;
	int r = l->be->ops->map(l->be, MARKER, &p, &len, e);

	if (r)
		return r;
	whole = marker_whole(p, len);
	l->be->ops->unmap(l->be, p, len);
	return whole ? 0
		     : error_set(e, ERR_DAMAGED,
			       "library: the checksum of %s is wrong", MARKER);
}

static int open_library(const char *path, bool lenient, struct library **out,
	struct error *e)
{
	struct library *l = calloc(1, sizeof(*l));
	const void *p = NULL;
	size_t len = 0;
	int r;

	if (!l)
		return error_nomem(e);
	l->path = strdup(path);
	r = l->path ? backend_local_open(path, &l->be, e) : error_nomem(e);
	if (r == ERR_NOTFOUND && access(path, F_OK))
		r = error_set(e, ERR_NOTFOUND,
			"%s: there is no library (make one with 'strata "
			"init')",
			path);
	if (!r) {
		r = l->be->ops->map(l->be, MARKER, &p, &len, e);
		if (r == ERR_NOTFOUND)
			r = error_set(e, ERR_NOTFOUND,
				"%s: is not a library (make one with 'strata "
				"init')",
				path);
	}
	if (!r) {
		char *text = strndup(p ? p : "", len < 4096 ? len : 4096);

		r = text ? check_marker(path, text, e) : error_nomem(e);
		free(text);
		l->be->ops->unmap(l->be, p, len);
	}
	if (!r)
		r = lenient ? store_open_damaged(l->be, &l->store, e)
			    : store_open(l->be, &l->store, e);
	if (r)
		library_close(l);
	else
		*out = l;
	return r;
}

int library_open(const char *path, struct library **out, struct error *e)
{
	return open_library(path, false, out, e);
}

int library_open_damaged(const char *path, struct library **out,
	struct error *e)
{
	return open_library(path, true, out, e);
}

void library_close(struct library *l)
{
	if (!l)
		return;
	store_close(l->store);
	if (l->be)
		backend_close(l->be);
	free(l->path);
	free(l);
}

/* --- records --- */

int library_damage(int r, struct error *e)
{
	if (r == ERR_CORRUPT) {
		if (e)
			e->code = ERR_DAMAGED;
		error_prefix(e, "library");
		return ERR_DAMAGED;
	}
	return r;
}

/* A record that another refers to must be there. */
static int referred(struct library *l, enum object_kind kind,
	const struct oid *id, struct buf *out, struct error *e)
{
	int r = store_get_record(l->store, kind, id, out, e);

	if (r == ERR_NOTFOUND) {
		char hex[OID_HEX + 1];

		r = error_set(e, ERR_DAMAGED, "library: %s %s is missing",
			object_kind_name(kind), oid_hex(id, hex));
	}
	return r;
}

int library_get_tree(void *library, const struct oid *id, struct buf *out,
	struct error *e)
{
	return referred(library, OBJ_TREE, id, out, e);
}

int library_get_layout(void *library, const struct oid *id, struct buf *out,
	struct error *e)
{
	return referred(library, OBJ_LAYOUT, id, out, e);
}

int library_get_commit(struct library *l, const struct oid *id,
	struct commit *out, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	int r = store_get_record(l->store, OBJ_COMMIT, id, &b, e);

	if (!r)
		r = library_damage(commit_decode(b.data, b.len, out, e), e);
	return r;
}

int library_get_image(struct library *l, const struct oid *id,
	struct image *out, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	int r = referred(l, OBJ_IMAGE, id, &b, e);

	if (!r)
		r = library_damage(image_decode(b.data, b.len, out, e), e);
	return r;
}
