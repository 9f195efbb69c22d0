/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the library, by their first byte: tree, layout, image, commit. */
#include <string.h>
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "model/commit.h"
#include "model/image.h"
#include "model/layout.h"
#include "model/tree.h"

static int child(void *ctx, const struct oid *id)
{
	*(unsigned *)ctx += id->b[0];
	return 0;
}

static int entry(void *ctx, const struct entry *x)
{
	struct cursor c = cursor_make(x->xattrs.data, x->xattrs.len);
	struct xattr a;

	while (xattr_next(&c, &a))
		*(unsigned *)ctx += (unsigned)a.name.len;
	return 0;
}

/* Gives the input for every id: levels must not loop. */
struct input {
	const uint8_t *data;
	size_t size;
};

static int get(void *ctx, const struct oid *id, struct buf *out,
	struct error *e)
{
	const struct input *in = ctx;

	(void)id;
	buf_add(out, in->data, in->size);
	return out->oom ? error_nomem(e) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { 0 };
	unsigned sum = 0;
	layout_extents x = { 0 };
	struct input in = { data, size };
	struct tree_iter it;
	struct entry got;
	struct commit c;
	struct image im;
	struct oid id = { { 0 } };
	AUTO_BUF found = BUF_INIT;

	tree_record_walk(data, size, child, entry, &sum, &e);
	if (!tree_iter_open(&it, get, &in, &id, &e)) {
		while (tree_iter_next(&it, &got, &e) == 1)
			;
		tree_iter_release(&it);
	}
	tree_lookup(get, &in, &id, "etc", 3, &got, &found, &e);
	layout_record_walk(data, size, child, child, &sum, &e);
	layout_leaf_decode(data, size, 0, 64 * MIB, &x, &e);
	vec_release(&x);
	if (!image_decode(data, size, &im, &e)) {
		AUTO_BUF out = BUF_INIT;

		image_encode(&im, &out, &e);
		image_release(&im);
	}
	if (!commit_decode(data, size, &c, &e)) {
		AUTO_BUF out = BUF_INIT;

		commit_encode(&c, &out, &e);
		commit_release(&c);
	}
	return 0;
}
