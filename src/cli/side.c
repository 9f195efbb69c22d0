/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/side.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void side_release(struct side *s)
{
	view_node_release(&s->node);
	view_close(s->view);
	image_release(&s->image);
	input_release(&s->in);
	revision_release(&s->rev);
	memset(s, 0, sizeof(*s));
}

bool side_is_path(const char *s)
{
	return *s == '/' || !strcmp(s, "-") || !strncmp(s, "./", 2) ||
	       !strncmp(s, "../", 3);
}

/* The file that a text names, and what follows; NULL: none. To be freed. */
static char *file_of(const char *text, struct revision *rev)
{
	char *name = NULL;

	rev->disk = -1;
	if (!strcmp(text, "-") || !access(text, F_OK))
		return strdup(text);
	if (revision_split(text, &name, rev, NULL))
		return NULL;
	if (!access(name, F_OK))
		return name;
	free(name);
	revision_release(rev);
	return NULL;
}

int side_open_file(struct cli *c, const char *text, const struct side_args *a,
	struct side *s)
{
	AUTO_FREE char *path = file_of(text, &s->rev);
	struct input_args ia = a->input ? *a->input : (struct input_args){ 0 };
	struct peek_args pa = { .findings = a->findings,
		.xattrs = a->xattrs,
		.disk = s->rev.disk,
		.volume = s->rev.volume };
	int r;

	if (!path)
		return 1;
	c->err.code = 0;
	ia.findings = a->findings;
	ia.progress = &c->progress;
	s->is_file = true;
	r = input_open(path, &ia, &s->in, &c->err);
	pa.disks = s->in.disks.items;
	pa.ndisks = s->in.disks.len;
	return r ? r : peek_open(&pa, &s->image, &s->view, &c->err);
}

static int open_stored(struct cli *c, const struct side_args *a,
	struct side *s)
{
	AUTO_COMMIT commit = { 0 };
	int r = library_get_commit(c->lib, &s->rev.commit, &commit, &c->err);

	if (!r)
		r = library_get_image(c->lib, &commit.image, &s->image,
			&c->err);
	if (!r)
		r = view_open(c->lib, &commit.image, s->rev.disk,
			s->rev.volume, &s->view, &c->err);
	if (r == ERR_NOTFOUND && a->maybe && !s->rev.volume &&
		!s->rev.path && s->rev.disk < 0)
		r = 0;
	return r;
}

int side_open(struct cli *c, const char *text, const struct side_args *a,
	struct side *s)
{
	struct error missing = { 0 };
	int r = ERR_NOTFOUND;

	c->subject = text;
	s->text = text;
	if (!side_is_path(text)) {
		r = cli_library(c);
		if (!r)
			r = library_revision(c->lib, text, &s->rev, &c->err);
		if (!r)
			r = open_stored(c, a, s);
		else if (r == ERR_NOTFOUND || r == ERR_ARG)
			missing = c->err;
		else
			return r;
	}
	if (side_is_path(text) || missing.code) {
		int not_stored = r;

		r = side_open_file(c, text, a, s);
		if (r == 1 && side_is_path(text)) {
			r = error_set(&c->err, ERR_NOTFOUND, "no such file");
		} else if (r == 1) {
			r = not_stored;
			c->err = missing;
		}
	}
	if (!r && !s->view && (!a->maybe || s->rev.path))
		r = error_set(&c->err, ERR_NOTFOUND,
			"no volume has files that can be read");
	if (!r && s->view)
		r = view_lookup(s->view, s->rev.path ? s->rev.path : "/", false,
			&s->node, &c->err);
	if (!r)
		c->subject = NULL;
	return r;
}
