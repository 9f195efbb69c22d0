/* SPDX-License-Identifier: Apache-2.0 */
/* The public interface: errors, opening, names, history, care. */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>
#include "ops/history.h"
#include "ops/verify.h"

_Static_assert((int)STRATA_DAMAGED == (int)ERR_DAMAGED &&
		       (int)STRATA_RANGE == (int)ERR_RANGE &&
		       (int)STRATA_CANCELLED == (int)ERR_CANCELLED &&
		       (int)STRATA_NOTFOUND == (int)ERR_NOTFOUND,
	"codes are the same inside and outside");
_Static_assert(STRATA_ID_SIZE == sizeof(struct oid) &&
		       STRATA_ID_SIZE == sizeof(struct strata_id),
	"ids are the same inside and outside");

STRATA_API const char *strata_version(void)
{
	return STRATA_VERSION;
}

STRATA_API const char *strata_code_name(int code)
{
	return code < 0 && code >= STRATA_DAMAGED ? error_code_name(code) : "";
}

int api_error(int r, const struct error *from, struct strata_error *to)
{
	/* What a callback returned has no text. */
	if (!to || r >= 0)
		return r;
	memset(to, 0, sizeof(*to));
	to->code = r;
	if (from->code) {
		to->os_error = from->err;
		to->has_offset = from->has_offset;
		to->offset = from->offset;
	}
	snprintf(to->text, sizeof(to->text), "%s",
		from->code ? from->msg : error_code_name(r));
	return r;
}

static void on_progress(void *ctx, const char *phase, uint64_t done,
	uint64_t total)
{
	struct api_progress *p = ctx;

	if (p->fn(p->ctx, phase, done, total))
		atomic_store(&p->stop, true);
}

const struct progress *api_progress_init(struct api_progress *p,
	strata_progress_fn fn, void *ctx)
{
	memset(p, 0, sizeof(*p));
	if (!fn)
		return NULL;
	p->fn = fn;
	p->ctx = ctx;
	p->inner.update = on_progress;
	p->inner.ctx = p;
	p->inner.cancel = &p->stop;
	return &p->inner;
}

int api_options(void *out, size_t out_size, const void *from, struct error *e)
{
	size_t size;

	memset(out, 0, out_size);
	if (!from)
		return 0;
	memcpy(&size, from, sizeof(size));
	if (size < sizeof(size) || size > 4096)
		return error_set(e, ERR_ARG, "options: size is not set");
	/* What a newer caller sets and this library does not know. */
	for (size_t i = out_size; i < size; i++)
		if (((const char *)from)[i])
			return error_set(e, ERR_UNSUPPORTED,
				"options: of a newer strata");
	memcpy(out, from, size < out_size ? size : out_size);
	return 0;
}

STRATA_API int strata_init(const char *path, struct strata_error *error)
{
	struct error e = { 0 };

	return api_error(library_init(path, &e), &e, error);
}

STRATA_API int strata_open(const char *path, struct strata **out,
	struct strata_error *error)
{
	AUTO_FREE char *def = path ? NULL : library_default_path();
	AUTO_FREE struct strata *s = calloc(1, sizeof(*s));
	struct error e = { 0 };
	int r = s && (path || def)
			? library_open(path ? path : def, &s->l, &e)
			: error_nomem(&e);

	if (!r) {
		*out = s;
		s = NULL;
	}
	return api_error(r, &e, error);
}

STRATA_API void strata_close(struct strata *s)
{
	if (!s)
		return;
	library_close(s->l);
	free(s);
}

STRATA_API char *strata_id_text(const struct strata_id *id,
	char out[STRATA_ID_TEXT])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < STRATA_ID_SIZE; i++) {
		out[2 * i] = hex[id->bytes[i] >> 4];
		out[2 * i + 1] = hex[id->bytes[i] & 15];
	}
	out[2 * STRATA_ID_SIZE] = 0;
	return out;
}

STRATA_API int strata_resolve(struct strata *s, const char *rev,
	struct strata_id *out, struct strata_error *error)
{
	struct error e = { 0 };
	struct oid id;
	int r = library_resolve(s->l, rev, &id, &e);

	if (!r)
		memcpy(out, &id, sizeof(*out));
	return api_error(r, &e, error);
}

struct refs {
	strata_ref_fn fn;
	void *ctx;
};

static int on_ref(void *ctx, const char *name, const struct oid *id)
{
	struct refs *w = ctx;
	struct strata_id out;

	memcpy(&out, id, sizeof(out));
	return w->fn(w->ctx, name, &out);
}

STRATA_API int strata_refs(struct strata *s, enum strata_ref_kind kind,
	strata_ref_fn fn, void *ctx, struct strata_error *error)
{
	struct error e = { 0 };
	struct refs w = { fn, ctx };
	int r;

	if (kind == STRATA_BRANCHES)
		r = library_ref_list(s->l, REFS_HEADS, on_ref, &w, &e);
	else if (kind == STRATA_TAGS)
		r = library_ref_list(s->l, REFS_TAGS, on_ref, &w, &e);
	else
		r = error_set(&e, ERR_ARG, "no such kind of ref: %d",
			(int)kind);
	return api_error(r, &e, error);
}

struct log {
	strata_commit_fn fn;
	void *ctx;
};

static int on_commit(void *ctx, const struct history_item *x)
{
	struct log *w = ctx;
	struct strata_commit c = {
		.parents = (const struct strata_id *)(const void *)
				   x->commit->parents.items,
		.nparents = x->commit->parents.len,
		.author = x->commit->author,
		.message = x->commit->message,
		.date = x->commit->date,
	};

	memcpy(&c.id, x->id, sizeof(c.id));
	memcpy(&c.image, &x->commit->image, sizeof(c.image));
	return w->fn(w->ctx, &c);
}

STRATA_API int strata_log(struct strata *s, const char *rev, uint64_t max,
	strata_commit_fn fn, void *ctx, struct strata_error *error)
{
	struct error e = { 0 };
	struct oid id;
	struct log w = { fn, ctx };
	struct history_args a = { .from = &id, .nfrom = 1,
		.max = max ? max : UINT64_MAX };
	int r = library_resolve(s->l, rev, &id, &e);

	if (!r)
		r = ops_history(s->l, &a, on_commit, &w, &e);
	return api_error(r, &e, error);
}

STRATA_API int strata_verify(struct strata *s, const char *rev,
	strata_progress_fn progress, void *ctx, struct strata_error *error)
{
	AUTO_COMMIT c = { 0 };
	AUTO_IMAGE im = { 0 };
	struct error e = { 0 };
	struct api_progress p;
	struct oid id;
	int r = library_resolve(s->l, rev, &id, &e);

	if (!r)
		r = library_get_commit(s->l, &id, &c, &e);
	if (!r)
		r = library_get_image(s->l, &c.image, &im, &e);
	if (!r)
		r = verify_disks(s->l, &im,
			api_progress_init(&p, progress, ctx), &e);
	return api_error(r, &e, error);
}
