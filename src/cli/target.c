/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include <string.h>
#include "cli/json.h"

void target_release(struct target *t)
{
	view_node_release(&t->node);
	view_close(t->view);
	revision_release(&t->rev);
	side_release(&t->file);
	memset(t, 0, sizeof(*t));
}

static bool same_image(const struct revision *a, const struct revision *b)
{
	if (!oid_equal(&a->commit, &b->commit) || a->disk != b->disk ||
		!a->volume != !b->volume)
		return false;
	return !a->volume || !strcmp(a->volume, b->volume);
}

/* An image that is not imported; 1 where the text names no file. */
static int open_file(struct cli *c, const char *text, bool follow,
	struct target *t)
{
	AUTO_SIDE side = { 0 };
	bool no_xattrs = t->no_xattrs;
	int r = side_open_file(c, text,
		&(struct side_args){ .xattrs = !no_xattrs }, &side);

	if (r)
		return r;
	if (!side.view)
		return error_set(&c->err, ERR_NOTFOUND,
			"no volume has files that can be read");
	target_release(t);
	t->no_xattrs = no_xattrs;
	t->file = side;
	side = (struct side){ 0 };
	t->view = t->file.view;
	t->file.view = NULL;
	return view_lookup(t->view, t->file.rev.path ? t->file.rev.path : "/",
		follow, &t->node, &c->err);
}

int target_open(struct cli *c, const char *text, bool follow, struct target *t)
{
	AUTO_REVISION rev = { 0 };
	int r = ERR_NOTFOUND;

	c->subject = text;
	if (side_is_path(text))
		error_set(&c->err, ERR_NOTFOUND, "no such file");
	else if (!(r = cli_library(c)))
		r = library_revision(c->lib, text, &rev, &c->err);
	if (r == ERR_NOTFOUND || r == ERR_ARG) {
		struct error not_stored = c->err;
		int f = open_file(c, text, follow, t);

		if (f == 1)
			c->err = not_stored;
		return f == 1 ? r : f;
	}
	if (r)
		return r;
	view_node_release(&t->node);
	if (t->view && (t->file.is_file || !same_image(&rev, &t->rev))) {
		view_close(t->view);
		t->view = NULL;
		side_release(&t->file);
	}
	revision_release(&t->rev);
	t->rev = rev;
	rev = (struct revision){ 0 };
	if (!t->view)
		r = view_open_commit(c->lib, &t->rev.commit, t->rev.disk,
			t->rev.volume, &t->view, &c->err);
	if (!r)
		r = view_lookup(t->view, t->rev.path ? t->rev.path : "/",
			follow, &t->node, &c->err);
	return r;
}

int target_open_path(struct cli *c, const char *text, bool follow,
	struct target *t)
{
	AUTO_REVISION rev = { 0 };
	AUTO_FREE char *name = NULL;
	int r = revision_split(text, &name, &rev, &c->err);

	if (!r && !rev.path)
		return cli_usage(c, "'%s': a file is named REV:PATH", text);
	return r ? r : target_open(c, text, follow, t);
}

char *mode_text(const struct entry *x, char out[11])
{
	static const char types[ENTRY_TYPES] = { '?', '-', 'd', 'l', 'c', 'b',
		'p', 's' };
	uint32_t m = x->mode;

	out[0] = x->type < ENTRY_TYPES ? types[x->type] : '?';
	for (unsigned i = 0; i < 9; i++)
		out[i + 1] = m & (0400u >> i) ? "rwx"[i % 3] : '-';
	if (m & 04000)
		out[3] = m & 0100 ? 's' : 'S';
	if (m & 02000)
		out[6] = m & 010 ? 's' : 'S';
	if (m & 01000)
		out[9] = m & 01 ? 't' : 'T';
	out[10] = 0;
	return out;
}

void json_entry(struct json *j, const struct entry *x)
{
	bool device = x->type == ENTRY_CHAR || x->type == ENTRY_BLOCK;
	char text[32];

	json_str(j, "type", entry_type_name(x->type));
	snprintf(text, sizeof(text), "%04o", x->mode);
	json_str(j, "mode", text);
	json_u64(j, "uid", x->uid);
	json_u64(j, "gid", x->gid);
	if (x->type == ENTRY_FILE || x->type == ENTRY_SYMLINK)
		json_u64(j, "size", x->size);
	else
		json_null(j, "size");
	json_time_ns(j, "mtime", x->mtime, x->mtime_ns);
	if (x->type == ENTRY_FILE && !(x->flags & ENTRY_OPAQUE))
		json_oid(j, "sha256", &x->id);
	else
		json_null(j, "sha256");
	if (x->type == ENTRY_SYMLINK)
		json_bytes(j, "target", x->target.data, x->target.len);
	else
		json_null(j, "target");
	if (device) {
		snprintf(text, sizeof(text), "%u:%u", x->rdev_major,
			x->rdev_minor);
		json_str(j, "rdev", text);
	} else {
		json_null(j, "rdev");
	}
	json_u64(j, "nlink", x->nlink);
}
