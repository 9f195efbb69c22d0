/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/bisect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/limits.h"
#include "serve/mount.h"

void bisect_result_release(struct bisect_result *r)
{
	vec_release(&r->candidates);
	memset(r, 0, sizeof(*r));
}

/* --- the path from bad to good --- */

struct path_node {
	struct oid id;
	size_t child; /* index of where we came from */
};
typedef VEC(struct path_node) node_list;
typedef VEC(struct oid) oid_list;

/* An open-addressed set of indexes into nodes: each commit is seen once. */
struct seen {
	size_t *slot; /* index + 1 */
	size_t cap;
};

static bool seen_grow(struct seen *s, const node_list *v)
{
	size_t cap = s->cap ? s->cap * 2 : 1024;
	size_t *slot = calloc(cap, sizeof(*slot));

	if (!slot)
		return false;
	for (size_t i = 0; i < v->len; i++) {
		size_t at;

		memcpy(&at, v->items[i].id.b, sizeof(at));
		while (slot[at &= cap - 1])
			at++;
		slot[at] = i + 1;
	}
	free(s->slot);
	s->slot = slot;
	s->cap = cap;
	return true;
}

/* 1: added, 0: it was there. */
static int see(struct seen *s, node_list *v, const struct oid *id,
	size_t child, struct error *e)
{
	size_t at;

	if (v->len * 2 >= s->cap && !seen_grow(s, v))
		return error_nomem(e);
	memcpy(&at, id->b, sizeof(at));
	for (; s->slot[at &= s->cap - 1]; at++)
		if (oid_equal(&v->items[s->slot[at] - 1].id, id))
			return 0;
	if (!vec_push(v, (struct path_node){ *id, child }))
		return error_nomem(e);
	s->slot[at] = v->len;
	return 1;
}

/* Breadth first; all: every parent, else first ones only. out: from the child
 * of good to bad. NOTFOUND. */
static int find_path(struct library *l, const struct bisect_args *a, bool all,
	oid_list *out, struct error *e)
{
	struct seen s = { 0 };
	node_list v = { 0 };
	size_t i = 0, found = SIZE_MAX;
	int r = see(&s, &v, &a->bad, SIZE_MAX, e);

	for (r = r < 0 ? r : 0; i < v.len && !r && found == SIZE_MAX; i++) {
		AUTO_COMMIT c = { 0 };

		if (oid_equal(&v.items[i].id, &a->good)) {
			found = i;
			break;
		}
		r = progress_check(a->progress, e);
		if (!r)
			r = library_get_commit(l, &v.items[i].id, &c, e);
		for (size_t k = 0; !r && k < c.parents.len && (all || !k); k++)
			r = see(&s, &v, &c.parents.items[k], i, e) < 0
				    ? ERR_NOMEM
				    : 0;
	}
	if (!r && found == SIZE_MAX)
		r = ERR_NOTFOUND;
	for (i = r ? SIZE_MAX : v.items[found].child; i != SIZE_MAX && !r;
		i = v.items[i].child)
		if (!vec_push(out, v.items[i].id))
			r = error_nomem(e);
	vec_release(&v);
	free(s.slot);
	return r;
}

/* --- one step --- */

static int run_command(const struct bisect_args *a, const char *subject,
	int *status, struct error *e)
{
	struct command_args ca = { .argv = a->argv,
		.argc = a->argc,
		.subject = subject,
		.stdout_to_stderr = a->stdout_to_stderr,
		.cancel = a->progress ? a->progress->cancel : NULL };

	return command_run(&ca, status, e);
}

static int on_disk(struct library *l, const struct bisect_args *a,
	const struct oid *id, int *status, struct error *e)
{
	AUTO_SCRATCH s = { 0 };
	struct scratch_args sa = { .commit = id,
		.disk = a->disk,
		.local = a->mode == BISECT_FILE,
		.progress = a->progress };
	int r = scratch_open(l, &sa, &s, e);

	return r ? r : run_command(a, s.base ? s.base : s.overlay, status, e);
}

static int on_mount(struct library *l, const struct bisect_args *a,
	const struct oid *id, int *status, struct error *e)
{
	struct private_dir d = { 0 };
	AUTO_BUF dir = BUF_INIT;
	struct mount_args m = { .library = l->path,
		.label = "strata:bisect",
		.what = NODES_FILES,
		.commit = *id,
		.disk = a->disk,
		.with_caller = true };
	int r = private_dir_make(PRIVATE_DISKS, &d, e);

	if (r)
		return r;
	buf_printf(&dir, "%s/files", d.path);
	m.dir = buf_str(&dir);
	r = mkdir(m.dir, 0700) ? error_errno(e, "%s", m.dir)
			       : mount_run(&m, e);
	if (!r) {
		r = run_command(a, m.dir, status, e);
		if (mount_end(m.dir, false, NULL))
			mount_end(m.dir, true, NULL);
	}
	private_dir_remove(&d);
	return r;
}

static int try_one(struct library *l, const struct bisect_args *a,
	const struct oid *id, enum bisect_verdict *out, int *status,
	struct error *e)
{
	int r = a->mode == BISECT_MOUNT ? on_mount(l, a, id, status, e)
					: on_disk(l, a, id, status, e);

	if (r)
		return r;
	if (*status >= 128)
		return error_set(e, ERR_IO,
			"the command ended with %d: not a verdict", *status);
	*out = !*status	       ? BISECT_GOOD
	       : *status == 125 ? BISECT_SKIP
				: BISECT_BAD;
	return 0;
}

/* The commit to try between lo (good, -1: the start) and hi (bad): the middle
 * one, or the nearest to it that was not skipped. SIZE_MAX: none. */
static size_t choose(const bool *skipped, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2;

	for (size_t d = 0; d < hi - lo; d++) {
		if (mid + d < hi && !skipped[mid + d])
			return mid + d;
		if (mid >= lo + d && !skipped[mid - d])
			return mid - d;
	}
	return SIZE_MAX;
}

int bisect_run(struct library *l, const struct bisect_args *a,
	struct bisect_result *out, struct error *e)
{
	oid_list path = { 0 };
	AUTO_FREE bool *skipped = NULL;
	size_t lo = 0, hi;
	int r;

	memset(out, 0, sizeof(*out));
	r = find_path(l, a, false, &path, e);
	if (r == ERR_NOTFOUND)
		r = find_path(l, a, true, &path, e);
	if (r == ERR_NOTFOUND || (!r && !path.len))
		r = error_set(e, ERR_ARG,
			"the good version is no ancestor of the bad one");
	if (!r && !(skipped = calloc(path.len, 1)))
		r = error_nomem(e);
	out->good = a->good;
	out->length = path.len;
	/* path[lo - 1] is good, path[hi] is bad; what is between is asked. */
	hi = r ? 0 : path.len - 1;
	while (!r && lo < hi) {
		size_t at = choose(skipped, lo, hi);
		enum bisect_verdict v;
		int status = 0;

		if (at == SIZE_MAX)
			break;
		r = try_one(l, a, &path.items[at], &v, &status, e);
		if (r)
			break;
		out->steps++;
		if (v == BISECT_SKIP) {
			skipped[at] = true;
		} else if (v == BISECT_GOOD) {
			lo = at + 1;
			out->good = path.items[at];
		} else {
			hi = at;
		}
		if (a->step)
			a->step(a->ctx, &path.items[at], v, status, hi - lo);
	}
	for (size_t i = lo; !r && i <= hi; i++)
		if (!vec_push(&out->candidates, path.items[i]))
			r = error_nomem(e);
	vec_release(&path);
	if (r)
		bisect_result_release(out);
	return r;
}
