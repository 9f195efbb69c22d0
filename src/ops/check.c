/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/checked.h"
#include "ops/ingest.h"
#include "ops/mark.h"
#include "ops/verify.h"
#include "store/frame.h"

/* A frame that cannot be read, and the item that says so. */
struct bad_frame {
	uint64_t frame;
	size_t item;
};

struct check {
	struct library *l;
	const struct check_args *a;
	struct check_result *out;
	struct census *c;
	struct error *e;
	size_t index_item; /* damaged index: to blame for what is missing */
	bool have_index_item;
	pthread_mutex_t lock; /* in the scan: guards out and what follows */
	uint64_t *found;      /* positions whose object was in its frame */
	VEC(struct bad_frame) bad;
	uint64_t total;
	time_t told;
};

void check_result_release(struct check_result *r)
{
	damage_release(&r->damage);
}

static int add(struct check *k, const char *where, const char *what,
	size_t *out_item)
{
	return damage_add(&k->out->damage, where, what, out_item, k->e);
}

/* The message without "library: " and the like in front. */
static const char *short_why(const struct error *why)
{
	const char *p = why->msg;

	if (!strncmp(p, "library: ", 9))
		p += 9;
	return p;
}

/* --- the folder: marker, refs, indexes, packs --- */

static int check_indexes(struct check *k)
{
	const char *name, *what;
	char where[80];
	int r = 0;

	for (size_t i = 0; !r && store_bad_index(k->l->store, i, &name, &what);
		i++) {
		snprintf(where, sizeof(where), "index/%s", name);
		r = add(k, where, what, &k->index_item);
		k->have_index_item = true;
	}
	for (size_t i = 0; !r && i < census_indexes(k->c); i++) {
		struct error why = { 0 };

		if (!census_index_check(k->c, i, &why))
			continue;
		snprintf(where, sizeof(where), "index/%s",
			census_index_name(k->c, i));
		r = add(k, where, short_why(&why), &k->index_item);
		k->have_index_item = true;
	}
	return r;
}

/* Packs that are gone take all their objects along. items: of each pack, the
 * item that says so, plus 1. */
static int blame_packs(struct check *k, const size_t *items)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(k->c) && !r; i++) {
		struct census_entry x;

		if (census_at(k->c, i, &x) && items[x.pack])
			r = damage_blame(&k->out->damage, items[x.pack] - 1,
				x.space, &x.id, k->e);
	}
	return r;
}

static int count_orphan(void *ctx, const char *name ATTR_UNUSED,
	uint64_t size ATTR_UNUSED, int64_t mtime ATTR_UNUSED)
{
	++*(uint64_t *)ctx;
	return 0;
}

static int check_packs(struct check *k)
{
	size_t n;
	const struct census_pack *p = census_packs(k->c, &n);
	AUTO_FREE size_t *gone = calloc(n + 1, sizeof(*gone));
	bool any = false;
	int r = gone ? 0 : error_nomem(k->e);

	k->out->packs = n;
	for (size_t i = 0; i < n && !r; i++) {
		struct error why = { 0 };
		char where[80], hex[33];
		size_t item;
		int code = census_pack_check(k->c, i, &why);

		if (!code)
			continue;
		snprintf(where, sizeof(where), "packs/%s.pack",
			hex_encode(p[i].id, 16, hex));
		r = add(k, where,
			code == ERR_NOTFOUND ? "the pack is missing"
					     : short_why(&why),
			&item);
		if (!r && code == ERR_NOTFOUND) {
			gone[i] = item + 1;
			any = true;
		}
	}
	if (!r && any)
		r = blame_packs(k, gone);
	return r ? r
		 : census_orphans(k->c, count_orphan, &k->out->orphans, k->e);
}

static int check_refs(struct check *k, const struct roots *roots)
{
	struct error why = { 0 };
	int r = 0;

	if (library_check_marker(k->l, &why))
		r = add(k, "strata-library", short_why(&why), NULL);
	for (size_t i = 0; i < roots->damaged.len && !r; i++)
		r = add(k, roots->damaged.items[i].where,
			roots->damaged.items[i].what, NULL);
	for (size_t i = 0; i < roots->items.len; i++)
		k->out->refs += !roots->items.items[i].log;
	return r;
}

/* --- what is referred to --- */

static int on_problem(void *ctx, enum object_space space,
	const struct oid *id, const struct error *why, struct error *e)
{
	struct check *k = ctx;
	char where[OID_HEX + 32], hex[OID_HEX + 1];
	size_t item = k->index_item;
	int r = 0;

	if (damage_has(&k->out->damage, space, id))
		return 0;
	if (!k->have_index_item || why->code != ERR_NOTFOUND) {
		const char *at = strstr(why->msg, "packs/");

		snprintf(where, sizeof(where), "%s %s",
			space == SPACE_CONTENT ? "blob" : "record",
			oid_hex(id, hex));
		r = damage_add(&k->out->damage, at ? at : where,
			why->code == ERR_NOTFOUND ? "it is missing"
						  : short_why(why),
			&item, e);
	}
	return r ? r : damage_blame(&k->out->damage, item, space, id, e);
}

static int mark_all(struct check *k, struct mark *m, const struct roots *roots)
{
	int r = 0;

	if (k->a->commit)
		r = mark_commit(m, k->a->commit, false, k->e);
	else
		for (size_t i = 0; i < roots->items.len && !r; i++) {
			const struct root *x = &roots->items.items[i];
			struct oid id = x->id;
			uint64_t pos;

			if (!census_find(k->c, SPACE_RECORD, &id, &pos)) {
				char what[120], hex[OID_HEX + 1];
				size_t item = k->index_item;

				snprintf(what, sizeof(what),
					"names the commit %s, which is missing",
					oid_hex(&id, hex));
				if (!k->have_index_item)
					r = add(k, x->ref, what, &item);
				if (!r)
					r = damage_blame(&k->out->damage, item,
						SPACE_RECORD, &id, k->e);
				continue;
			}
			r = mark_commit(m, &id, true, k->e);
		}
	return r ? r : mark_finish(m, k->e);
}

static void count_marked(struct check *k, const uint64_t *marked)
{
	for (uint64_t i = 0; i < census_count(k->c); i++) {
		struct census_entry x;

		if (!census_at(k->c, i, &x))
			continue;
		if (!bit_get(marked, i)) {
			uint64_t first;

			if (census_find(k->c, x.space, &x.id, &first) &&
				first == i)
				k->out->unreachable++;
			continue;
		}
		k->out->objects++;
		k->out->commits += x.kind == OBJ_COMMIT;
		k->out->images += x.kind == OBJ_IMAGE;
	}
}

/* --- reading everything --- */

struct scan_objects {
	struct check *k;
	const struct scan_frame *f;
	size_t bad; /* objects that do not match */
	size_t item;
	struct error *e;
};

static int bad_object(struct scan_objects *s, const char *what,
	enum object_space space, const struct oid *id)
{
	char where[OID_HEX + 32], hex[OID_HEX + 1];
	size_t item;
	int r;

	snprintf(where, sizeof(where), "%s %s",
		space == SPACE_CONTENT ? "blob" : "record", oid_hex(id, hex));
	pthread_mutex_lock(&s->k->lock);
	r = damage_add(&s->k->out->damage, where, what, &item, s->e);
	if (!r)
		r = damage_blame(&s->k->out->damage, item, space, id, s->e);
	pthread_mutex_unlock(&s->k->lock);
	return r;
}

static int on_object(void *ctx, enum object_kind kind, const struct oid *id,
	uint32_t off, uint32_t len)
{
	struct scan_objects *s = ctx;
	enum object_space space = object_space(kind);
	struct census_entry x;
	struct oid real;
	uint64_t pos;

	if (!id) {
		sha256(s->f->raw + off, len, &real);
		id = &real;
	}
	/* What gc took from the index is not there; what another pack brings
	 * first is looked at there. */
	if (!census_find(s->k->c, space, id, &pos) ||
		!census_at(s->k->c, pos, &x) || x.frame != s->f->frame)
		return 0;
	if (x.off != off || x.len != len || x.kind != kind)
		return bad_object(s, "its index entry does not match", space,
			id);
	pthread_mutex_lock(&s->k->lock);
	bit_set(s->k->found, pos);
	pthread_mutex_unlock(&s->k->lock);
	return 0;
}

static void tell(struct check *k, const char *phase, uint64_t done,
	uint64_t total)
{
	progress_tell(k->a->progress, &k->told, phase, done, total);
}

static int on_frame(void *ctx, unsigned thread ATTR_UNUSED,
	const struct scan_frame *f, struct error *e)
{
	struct check *k = ctx;
	struct scan_objects s = { .k = k, .f = f, .e = e };
	struct error why = { 0 };
	int r = progress_check(k->a->progress, e);

	if (r)
		return r;
	pthread_mutex_lock(&k->lock);
	k->out->frames++;
	k->out->bytes += f->at.raw_len;
	tell(k, "verify", k->out->bytes, k->total);
	if (f->code && f->code != ERR_NOTFOUND) {
		size_t n, packs;
		const struct census_pack *p = census_packs(k->c, &packs);
		char where[96], hex[33];
		const char *what = strrchr(f->why->msg, ':');

		snprintf(where, sizeof(where), "packs/%s.pack at offset %" PRIu64,
			hex_encode(p[f->at.pack].id, 16, hex), f->at.off);
		r = damage_add(&k->out->damage, where,
			what ? what + 2 : f->why->msg, &n, e);
		if (!r && !vec_push(&k->bad, (struct bad_frame){ f->frame, n }))
			r = error_nomem(e);
	}
	pthread_mutex_unlock(&k->lock);
	if (r || f->code)
		return r;
	r = frame_objects(f->raw, f->at.raw_len, on_object, &s, &why);
	if (r == ERR_DAMAGED) {
		char where[96], hex[33];
		size_t packs;
		const struct census_pack *p = census_packs(k->c, &packs);

		snprintf(where, sizeof(where), "packs/%s.pack at offset %" PRIu64,
			hex_encode(p[f->at.pack].id, 16, hex), f->at.off);
		pthread_mutex_lock(&k->lock);
		r = damage_add(&k->out->damage, where, why.msg, NULL, e);
		pthread_mutex_unlock(&k->lock);
	}
	return r;
}

static int by_frame(const void *a, const void *b)
{
	const struct bad_frame *x = a, *y = b;

	return (x->frame > y->frame) - (x->frame < y->frame);
}

/* What stood in frames that cannot be read. */
static int blame_frames(struct check *k)
{
	int r = 0;

	if (!k->bad.len)
		return 0;
	qsort(k->bad.items, k->bad.len, sizeof(struct bad_frame), by_frame);
	for (uint64_t i = 0; i < census_count(k->c) && !r; i++) {
		struct bad_frame want, *b;
		struct census_entry x;

		if (!census_at(k->c, i, &x))
			continue;
		want.frame = x.frame;
		b = bsearch(&want, k->bad.items, k->bad.len,
			sizeof(struct bad_frame), by_frame);
		if (!b)
			continue;
		bit_set(k->found, i);
		r = damage_blame(&k->out->damage, b->item, x.space, &x.id,
			k->e);
	}
	return r;
}

/* The frames of a pack stand one behind the other, up to the footer: no byte
 * of a pack is outside what has a checksum. */
static int check_gaps(struct check *k)
{
	size_t n;
	const struct census_pack *p = census_packs(k->c, &n);
	AUTO_FREE uint64_t *sum = calloc(n + 1, sizeof(*sum));
	int r = 0;

	if (!sum)
		return error_nomem(k->e);
	for (uint64_t i = 0; i < census_frames(k->c); i++) {
		struct census_frame f;

		if (census_frame_at(k->c, i, &f) && f.first)
			sum[f.pack] += sizeof(struct frame_header) +
				       f.stored_len;
	}
	for (size_t i = 0; i < n && !r; i++) {
		char where[80], hex[33];

		if (sum[i] + sizeof(struct pack_header) +
				sizeof(struct pack_footer) == p[i].size)
			continue;
		snprintf(where, sizeof(where), "packs/%s.pack",
			hex_encode(p[i].id, 16, hex));
		r = add(k, where, "its frames do not fill it", NULL);
	}
	return r;
}

/* Objects that their index entry promises and no frame held. */
static int check_lost(struct check *k, const uint64_t *want)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(k->c) && !r; i++) {
		struct census_entry x;
		struct census_frame f;
		uint64_t first;
		struct scan_objects s = { .k = k, .e = k->e };

		if (bit_get(k->found, i) || !census_at(k->c, i, &x) ||
			!census_frame_at(k->c, x.frame, &f) ||
			!f.first || (want && !bit_get(want, x.frame)) ||
			damage_has(&k->out->damage, x.space, &x.id) ||
			!census_find(k->c, x.space, &x.id, &first) ||
			first != i)
			continue;
		r = bad_object(&s, "its frame does not hold it", x.space,
			&x.id);
	}
	return r;
}

/* A list of chunks has the id of the blob that they make. */
static int check_chunked(struct check *k, const uint64_t *marked)
{
	enum { WINDOW = 1 << 20 };
	AUTO_FREE uint8_t *buf = malloc(WINDOW);
	struct sha256 *h = sha256_new();
	int r = buf && h ? 0 : error_nomem(k->e);

	for (uint64_t i = 0; i < census_count(k->c) && !r; i++) {
		struct scan_objects s = { .k = k, .e = k->e };
		struct census_entry x;
		struct error why = { 0 };
		struct oid real;
		uint64_t size;

		if (!bit_get(marked, i) || !census_at(k->c, i, &x) ||
			x.kind != OBJ_CHUNKS ||
			damage_has(&k->out->damage, x.space, &x.id))
			continue;
		r = progress_check(k->a->progress, k->e);
		if (r || store_blob_size(k->l->store, &x.id, &size, &why))
			continue;
		sha256_start(h);
		for (uint64_t at = 0; at < size && !r && !why.code;) {
			size_t n = (size_t)u64_min(WINDOW, size - at);

			if (!store_read_blob(k->l->store, &x.id, buf, n, at,
				    &why))
				sha256_add(h, buf, n);
			at += n;
			k->out->bytes += n;
			r = progress_check(k->a->progress, k->e);
			tell(k, "chunks", k->out->bytes, 0);
		}
		if (r || why.code) /* a chunk of it was named before */
			continue;
		sha256_finish(h, &real);
		if (!oid_equal(&real, &x.id))
			r = bad_object(&s, "its chunks make another blob",
				x.space, &x.id);
	}
	sha256_free(h);
	return r;
}

static int check_disks(struct check *k, const uint64_t *marked)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(k->c) && !r; i++) {
		AUTO_IMAGE im = { 0 };
		struct census_entry x;
		struct error why = { 0 };
		char where[OID_HEX + 32], hex[OID_HEX + 1];
		size_t item;

		if (!bit_get(marked, i) || !census_at(k->c, i, &x) ||
			x.kind != OBJ_IMAGE ||
			library_get_image(k->l, &x.id, &im, NULL))
			continue;
		r = verify_disks(k->l, &im, k->a->progress, &why);
		if (!r) {
			k->out->disks += im.disks.len;
			continue;
		}
		if (r == ERR_CANCELLED || r == ERR_NOMEM) {
			if (k->e)
				*k->e = why;
			return r;
		}
		r = 0;
		if (k->out->damage.nobjects &&
			!strstr(why.msg, "rebuilds to"))
			continue; /* it was named before */
		snprintf(where, sizeof(where), "image %s",
			oid_hex(&x.id, hex));
		r = add(k, where, short_why(&why), &item);
		if (!r)
			r = damage_blame(&k->out->damage, item, x.space,
				&x.id, k->e);
	}
	return r;
}

static int read_data(struct check *k, const uint64_t *marked)
{
	AUTO_FREE uint64_t *want = NULL;
	unsigned threads = k->a->threads ? k->a->threads : ingest_threads();
	int r = 0;

	k->found = census_bits(census_count(k->c));
	if (k->a->commit)
		want = census_bits(census_frames(k->c));
	if (!k->found || (k->a->commit && !want))
		return error_nomem(k->e);
	for (uint64_t i = 0; want && i < census_count(k->c); i++) {
		struct census_entry x;

		if (bit_get(marked, i) && census_at(k->c, i, &x))
			bit_set(want, x.frame);
	}
	for (uint64_t i = 0; i < census_frames(k->c); i++) {
		struct census_frame f;

		if (want ? bit_get(want, i) && census_frame_at(k->c, i, &f)
			 : census_frame_at(k->c, i, &f) && f.first)
			k->total += f.raw_len;
	}
	r = census_scan(k->c, want, threads, on_frame, k, k->e);
	if (!r)
		r = blame_frames(k);
	if (!r && !want)
		r = check_gaps(k);
	if (!r)
		r = check_lost(k, want);
	if (!r)
		r = check_chunked(k, marked);
	if (!r)
		r = check_disks(k, marked);
	return r;
}

static int check_locked(struct check *k)
{
	CLEANUP(cleanup_census) struct census *c = NULL;
	CLEANUP(cleanup_mark) struct mark *m = NULL;
	AUTO_ROOTS roots = { 0 };
	int r = roots_read(k->l, library_now(), &roots, k->e);

	/* After the refs: what they name is in it. */
	if (!r)
		r = census_open(k->l->store, &c, k->e);
	k->c = c;
	if (!r)
		r = check_refs(k, &roots);
	if (!r)
		r = check_indexes(k);
	if (!r)
		r = check_packs(k);
	if (!r)
		r = mark_open(k->l, c, on_problem, k, k->a->progress, &m, k->e);
	if (!r)
		r = mark_all(k, m, &roots);
	if (!r)
		count_marked(k, mark_bits(m));
	if (!r && k->a->read_data)
		r = read_data(k, mark_bits(m));
	if (!r)
		r = damage_trace(&k->out->damage, k->l, c, mark_bits(m),
			&roots, k->e);
	return r;
}

int ops_check(struct library *l, const struct check_args *a,
	struct check_result *out, struct error *e)
{
	struct check k = { .l = l, .a = a, .out = out, .e = e };
	struct error why;
	int r, lock = -1;

	memset(out, 0, sizeof(*out));
	/* gc removes nothing meanwhile. A library that cannot be written is
	 * read all the same. */
	r = l->be->ops->lock(l->be, "locks/packs", false, true, &lock, &why);
	if (r)
		lock = -1;
	pthread_mutex_init(&k.lock, NULL);
	r = check_locked(&k);
	pthread_mutex_destroy(&k.lock);
	free(k.found);
	vec_release(&k.bad);
	if (lock >= 0)
		l->be->ops->unlock(l->be, "locks/packs", lock, false);
	if (r)
		check_result_release(out);
	return r;
}
