/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the number of index files small, so that opening a library stays
 * cheap: each merge takes the smaller files together, and only as many as are
 * not much smaller than their sum, so that every entry is copied a
 * logarithmic number of times. */
#include <stdlib.h>
#include <string.h>
#include "store/names.h"
#include "store/store_internal.h"

struct emit {
	struct store *s;
	struct backend_upload *u;
};

int store_put_index(struct store *s, const struct buf *data, struct error *e)
{
	char path[64];
	int r = backend_new_name("index", ".idx", path, e);

	return r ? r : s->be->ops->put(s->be, path, data->data, data->len, e);
}

static int emit(void *ctx, const void *data, size_t len, uint64_t off,
	struct error *e)
{
	struct emit *m = ctx;

	return m->s->be->ops->upload_write(m->u, data, len, off, e);
}

int store_merge_to(struct store *s, const char *path,
	const struct index *const *ix, size_t n,
	const struct index_filter *filter, struct error *e)
{
	struct emit m = { .s = s };
	int r = s->be->ops->upload_start(s->be, &m.u, e);

	if (r)
		return r;
	r = index_merge(ix, n, filter, emit, &m, e);
	if (!r)
		return s->be->ops->upload_finish(m.u, path, e);
	s->be->ops->upload_abort(m.u);
	return r;
}

int store_put_merged(struct store *s, const struct index *const *ix, size_t n,
	const struct index_filter *filter, struct error *e)
{
	char path[64];
	int r = backend_new_name("index", ".idx", path, e);

	return r ? r : store_merge_to(s, path, ix, n, filter, e);
}

static int by_size(const void *a, const void *b)
{
	const struct index *const *x = a, *const *y = b;

	return ((*x)->len > (*y)->len) - ((*x)->len < (*y)->len);
}

/* How many of the smallest to merge: all up to the first that is larger than
 * twice the sum of those before it, at least half the allowed number. */
static size_t choose(const struct index *const *ix, size_t n)
{
	uint64_t sum = 0;
	size_t k;

	for (k = 0; k < n; k++) {
		if (k >= INDEX_FILES_MAX / 2 + 1 && ix[k]->len > 2 * sum)
			break;
		sum += ix[k]->len;
	}
	return k;
}

static int merge(struct store *s, struct snapshot *sn, struct error *e)
{
	AUTO_FREE const struct index **ix = calloc(sn->n, sizeof(*ix));
	size_t k;
	int r;

	if (!ix)
		return error_nomem(e);
	for (size_t i = 0; i < sn->n; i++)
		ix[i] = &sn->ix[i];
	qsort(ix, sn->n, sizeof(*ix), by_size);
	k = choose(ix, sn->n);
	/* A damaged index must not spread: verify names it, repair mends it. */
	for (size_t i = 0; i < k; i++)
		if (index_check(ix[i], e))
			return ERR_DAMAGED;
	r = store_put_merged(s, ix, k, NULL, e);
	for (size_t i = 0; !r && i < k; i++) {
		char path[64];

		snprintf(path, sizeof(path), "index/%s", ix[i]->name);
		r = s->be->ops->remove(s->be, path, e);
	}
	/* gone for good before gc removes a pack that they name */
	return r ? r : s->be->ops->sync(s->be, "index", e);
}

void store_merge_indexes(struct store *s)
{
	struct error e;
	struct snapshot *sn = store_snapshot(s);
	size_t n = sn->n;
	int lock;

	snapshot_unref(s, sn);
	if (n <= INDEX_FILES_MAX)
		return;
	/* Somebody else may be at it, or gc: then it is not needed now. */
	if (s->be->ops->lock(s->be, "locks/index", true, false, &lock, &e))
		return;
	if (!store_refresh(s, &e)) {
		sn = store_snapshot(s);
		if (sn->n > INDEX_FILES_MAX && !merge(s, sn, &e))
			store_refresh(s, &e);
		snapshot_unref(s, sn);
	}
	s->be->ops->unlock(s->be, "locks/index", lock, false);
}
