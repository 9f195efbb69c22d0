/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/path_state.h"

#include <string.h>
#include "view/files.h"

static void add_entry(struct buf *b, const struct entry *x)
{
	struct entry plain = *x;

	plain.name_len = 0;
	plain.link_group = 0;
	plain.nlink = 1;
	entry_encode(b, &plain);
}

int path_state(struct library *l, const struct oid *image, int disk,
	const char *volume, const char *path, struct oid *out,
	struct error *e)
{
	AUTO_VIEW v = NULL;
	AUTO_NODE n = { 0 };
	AUTO_BUF b = BUF_INIT;
	size_t len;
	int r = view_open(l, image, disk, volume, &v, e);

	memset(out, 0, sizeof(*out));
	if (!r)
		r = view_lookup(v, path, false, &n, e);
	if (r)
		return r == ERR_NOTFOUND || r == ERR_LIMIT ? 0 : r;
	add_entry(&b, &n.x);
	/* What is mounted below is in no tree of this one. */
	len = n.path.len > 1 ? n.path.len : 0;
	for (size_t i = 1; i < v->mounts.len; i++) {
		const struct view_mount *m = &v->mounts.items[i];

		if (strncmp(m->path, buf_str(&n.path), len) != 0 ||
			m->path[len] != '/')
			continue;
		buf_add(&b, m->path, strlen(m->path) + 1);
		add_entry(&b, &m->root);
	}
	if (b.oom)
		return error_nomem(e);
	sha256(b.data, b.len, out);
	return 0;
}
