/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a repack. What is similar compresses well side by side, and
 * what one reader wants next is cheap where it stands in the same frames. So:
 *
 * 1. records by kind, in small frames;
 * 2. what guests read while they start (boot sets, where they were recorded),
 *    in small frames: a boot reads these and little else;
 * 3. everything else by image, the newest first, each as its disk runs, but
 *    sorted by the ending and the name of the files within windows of 16 MiB.
 *    An export in disk order comes by each frame about once.
 *
 * An older image brings only what newer ones lack. An older version of a file
 * stands beside the newer one, as long as a window holds no more of such guests
 * than half of what is its own: they are decoded in vain by most readers. */
#include "ops/repack.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "library/boot_ranges.h"
#include "model/layout.h"
#include "ops/mark.h"

#define GUEST_PARTS 2

/* What decides where an object goes; one for each position of the census. */
struct item {
	uint64_t name;	 /* begins with its first letters */
	uint32_t window; /* 0: none yet */
	uint32_t ending; /* of the file's name, 0: belongs to no file */
	uint32_t path;	 /* hash */
	uint32_t number; /* size, or number of the chunk */
};

struct window {
	uint32_t own, guests; /* bytes */
};

/* Where the last file of a path went; collisions cost compression only. */
struct path_slot {
	uint32_t path, window;
};

struct image_at {
	struct oid image;
	int64_t date;
	uint64_t pos;
};

struct todo {
	uint64_t pos;
	uint32_t path;
};

struct order {
	struct library *l;
	struct census *c;
	const uint64_t *drop;
	const struct progress *progress;
	struct item *items;
	uint64_t *visited; /* records */
	VEC(struct window) windows; /* [i]: window number i */
	struct path_slot *paths;
	size_t path_mask;
	bool boot;	  /* placing boot sets: no guests */
	uint64_t raws;	  /* without a name, so far */
	VEC(struct todo) stack;
	uint32_t at_path; /* of the tree at hand */
	uint64_t done;
	struct error *e;
};

/* --- names --- */

/* The ending, as a number that is never 0. Digits count for nothing:
 * libfoo.so.1 and .so.2 are of one kind. */
static uint32_t ending(const uint8_t *name, size_t len)
{
	size_t end = len, at;

	while (end > 0 && (name[end - 1] == '.' ||
				  (name[end - 1] >= '0' && name[end - 1] <= '9')))
		end--;
	for (at = end; at > 0 && name[at - 1] != '.' && end - at < 12;)
		at--;
	if (!at || name[at - 1] != '.')
		at = end;
	return (uint32_t)(checksum64(name + at, end - at) >> 34) + 1;
}

static uint64_t name_key(const uint8_t *name, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 4; i++)
		v = v << 8 | (i < len ? name[i] : 0);
	return v << 32 | (checksum64(name, len) & 0xffffffff);
}

static uint32_t path_below(uint32_t path, const uint8_t *name, size_t len)
{
	return (uint32_t)((checksum64(name, len) ^ path) *
				  UINT64_C(0x9e3779b97f4a7c15) >>
			  32);
}

/* The position of an object that is to be written; *x where it is. */
static bool find(struct order *o, enum object_space space,
	const struct oid *id, uint64_t *pos, struct census_entry *x)
{
	return census_find(o->c, space, id, pos) && census_at(o->c, *pos, x) &&
	       !(o->drop && bit_get(o->drop, *pos));
}

struct naming {
	struct order *o;
	struct item item;
};

static int name_chunk(void *ctx, enum object_space space,
	const struct oid *id, uint32_t len ATTR_UNUSED)
{
	struct naming *n = ctx;
	struct census_entry x;
	uint64_t pos;

	if (space == SPACE_CONTENT && find(n->o, space, id, &pos, &x) &&
		!n->o->items[pos].ending)
		n->o->items[pos] = n->item;
	n->item.number++;
	return 0;
}

static int name_file(struct order *o, const struct mark_ref *ref)
{
	struct naming n = { .o = o };
	struct census_entry x;
	uint64_t pos;

	if (!find(o, SPACE_CONTENT, &ref->id, &pos, &x) ||
		o->items[pos].ending)
		return 0;
	n.item = (struct item){ .name = name_key(ref->name, ref->name_len),
		.ending = ending(ref->name, ref->name_len),
		.path = path_below(o->at_path, ref->name, ref->name_len),
		.number = x.kind == OBJ_BLOB ? x.len : 0 };
	o->items[pos] = n.item;
	return x.kind == OBJ_BLOB ? 0
				  : store_blob_parts(o->l->store, &ref->id,
					    name_chunk, &n, o->e);
}

static int push_record(struct order *o, const struct oid *id, uint32_t path)
{
	struct census_entry x;
	uint64_t pos;

	if (!find(o, SPACE_RECORD, id, &pos, &x) || bit_get(o->visited, pos))
		return 0;
	bit_set(o->visited, pos);
	return vec_push(&o->stack, (struct todo){ pos, path })
		       ? 0
		       : error_nomem(o->e);
}

static int on_tree_ref(void *ctx, const struct mark_ref *ref)
{
	struct order *o = ctx;

	if (ref->space == SPACE_CONTENT)
		return ref->name ? name_file(o, ref) : 0;
	return push_record(o, &ref->id,
		ref->name ? path_below(o->at_path, ref->name, ref->name_len)
			  : o->at_path);
}

static int on_image_ref(void *ctx, const struct mark_ref *ref)
{
	return ref->volume ? on_tree_ref(ctx, ref) : 0;
}

static int get(struct order *o, uint64_t pos, struct buf *out,
	struct census_entry *x)
{
	int r = ++o->done % 64 ? 0 : progress_check(o->progress, o->e);

	if (!r && !census_at(o->c, pos, x))
		r = error_set(o->e, ERR_DAMAGED,
			"library: an index entry is damaged");
	return r ? r : store_get(o->l->store, x->space, &x->id, NULL, out, o->e);
}

/* All trees on the stack, and those below. */
static int name_trees(struct order *o)
{
	int r = 0;

	while (o->stack.len && !r) {
		struct todo t = o->stack.items[--o->stack.len];
		AUTO_BUF b = BUF_INIT;
		struct census_entry x;

		o->at_path = t.path;
		r = get(o, t.pos, &b, &x);
		if (!r)
			r = mark_refs(x.kind, &b, on_tree_ref, o, o->e);
	}
	o->at_path = 0;
	return r;
}

static int name_image(struct order *o, const struct image_at *im)
{
	AUTO_BUF b = BUF_INIT;
	struct census_entry x;
	int r = get(o, im->pos, &b, &x);

	if (!r)
		r = mark_refs(OBJ_IMAGE, &b, on_image_ref, o, o->e);
	return r ? r : name_trees(o);
}

/* Trees that no image leads to: of an import that was cut short. */
static int name_loose(struct order *o)
{
	int r = 0;

	for (uint64_t i = 0; i < census_count(o->c) && !r; i++) {
		struct census_entry x;

		if (!census_at(o->c, i, &x) || x.kind != OBJ_TREE)
			continue;
		r = push_record(o, &x.id, 0);
		if (!r)
			r = name_trees(o);
	}
	return r;
}

/* --- places --- */

static int open_window(struct order *o)
{
	return vec_push(&o->windows, (struct window){ 0 })
		       ? 0
		       : error_nomem(o->e);
}

static uint32_t window_at(const struct order *o)
{
	return (uint32_t)o->windows.len - 1;
}

/* The window of another version of the same file, if there is room in it. */
static uint32_t host(struct order *o, const struct item *it, uint32_t len)
{
	const struct path_slot *s = &o->paths[it->path & o->path_mask];
	struct window *w;

	if (o->boot || !it->ending || !s->window || s->path != it->path ||
		s->window == window_at(o))
		return 0;
	w = &o->windows.items[s->window];
	if (w->guests + len > w->own / GUEST_PARTS)
		return 0;
	w->guests += len;
	return s->window;
}

static int put(struct order *o, uint64_t pos, uint32_t len)
{
	struct item *it = &o->items[pos];
	struct window *w;
	int r;

	if (it->window)
		return 0;
	if (!it->ending)
		it->name = ++o->raws;
	it->window = host(o, it, len);
	if (!it->window) {
		w = vec_last(&o->windows);
		if (w->own && w->own + len > REPACK_WINDOW) {
			r = open_window(o);
			if (r)
				return r;
			w = vec_last(&o->windows);
		}
		w->own += len;
		it->window = window_at(o);
	}
	if (it->ending && !o->boot)
		o->paths[it->path & o->path_mask] =
			(struct path_slot){ it->path, it->window };
	return 0;
}

static int put_chunk(void *ctx, enum object_space space,
	const struct oid *id, uint32_t len)
{
	struct order *o = ctx;
	struct census_entry x;
	uint64_t pos;

	return space == SPACE_CONTENT && find(o, space, id, &pos, &x)
		       ? put(o, pos, len)
		       : 0;
}

static int put_blob(void *ctx, const struct oid *id)
{
	struct order *o = ctx;
	struct census_entry x;
	uint64_t pos;

	if (!find(o, SPACE_CONTENT, id, &pos, &x))
		return 0;
	if (x.kind == OBJ_BLOB)
		return put(o, pos, x.len);
	if (bit_get(o->visited, pos))
		return 0;
	bit_set(o->visited, pos);
	return store_blob_parts(o->l->store, id, put_chunk, o, o->e);
}

/* A layout, depth first: its leaves come in the order of the disk. */
struct layout_walk {
	struct order *o;
	VEC(uint64_t) stack;
	size_t from;
};

static int on_layout_child(void *ctx, const struct oid *id)
{
	struct layout_walk *w = ctx;
	struct census_entry x;
	uint64_t pos;

	if (!find(w->o, SPACE_RECORD, id, &pos, &x) ||
		bit_get(w->o->visited, pos))
		return 0;
	bit_set(w->o->visited, pos);
	return vec_push(&w->stack, pos) ? 0 : error_nomem(w->o->e);
}

static int on_layout_blob(void *ctx, const struct oid *id)
{
	return put_blob(((struct layout_walk *)ctx)->o, id);
}

static int put_layout(struct order *o, const struct oid *root)
{
	struct layout_walk w = { .o = o };
	int r = oid_is_zero(root) ? 0 : on_layout_child(&w, root);

	while (w.stack.len && !r) {
		AUTO_BUF b = BUF_INIT;
		struct census_entry x;
		size_t from = w.stack.len - 1;

		r = get(o, w.stack.items[from], &b, &x);
		w.stack.len = from;
		if (!r)
			r = layout_record_walk(b.data, b.len, on_layout_child,
				on_layout_blob, &w, o->e);
		/* the first child is to be on top */
		for (size_t i = from, k = w.stack.len; i + 1 < k; i++) {
			uint64_t t = w.stack.items[--k];

			w.stack.items[k] = w.stack.items[i];
			w.stack.items[i] = t;
		}
	}
	vec_release(&w.stack);
	return r;
}

/* --- boot sets --- */

struct part_range {
	struct order *o;
	uint64_t at, from, to;
};

static int put_part(void *ctx, enum object_space space, const struct oid *id,
	uint32_t len)
{
	struct part_range *p = ctx;
	int r = 0;

	if (space != SPACE_CONTENT)
		return 0;
	if (p->at < p->to && p->at + len > p->from)
		r = put_chunk(p->o, space, id, len);
	p->at += len;
	return r ? r : p->at >= p->to;
}

static int put_extent(struct order *o, const struct layout_extent *x,
	uint64_t from, uint64_t to)
{
	struct part_range p = { .o = o };
	struct census_entry at;
	uint64_t pos;
	int r;

	if (!find(o, SPACE_CONTENT, &x->id, &pos, &at))
		return 0;
	if (at.kind == OBJ_BLOB)
		return put(o, pos, at.len);
	if (!u64_add(x->id_off, from - x->off, &p.from) ||
		!u64_add(p.from, to - from, &p.to))
		return error_set(o->e, ERR_DAMAGED,
			"library: a layout overflows");
	r = store_blob_parts(o->l->store, &x->id, put_part, &p, o->e);
	return r > 0 ? 0 : r;
}

static int range_cmp(const void *a, const void *b)
{
	const struct boot_range *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* Of the ranges from *i on, what lies in a leaf. */
static int put_leaf(struct order *o, const boot_ranges *ranges, size_t *i,
	const layout_extents *x, uint64_t end)
{
	size_t k = 0;
	int r = 0;

	for (; *i < ranges->len && !r; ++*i) {
		const struct boot_range *b = &ranges->items[*i];

		/* extents that end before it */
		while (k < x->len && x->items[k].off + x->items[k].len <= b->off)
			k++;
		for (size_t m = k; m < x->len && !r; m++) {
			const struct layout_extent *p = &x->items[m];

			if (p->off >= b->off + b->len)
				break;
			if (p->kind != LAYOUT_ZERO)
				r = put_extent(o, p, u64_max(p->off, b->off),
					u64_min(p->off + p->len,
						b->off + b->len));
		}
		if (b->off + b->len > end)
			break;
	}
	return r;
}

static int put_boot_set(struct order *o, const struct image_disk *d,
	boot_ranges *ranges)
{
	struct layout_reader reader;
	layout_extents x = { 0 };
	int r;

	if (oid_is_zero(&d->layout) || !ranges->len)
		return 0;
	qsort(ranges->items, ranges->len, sizeof(struct boot_range), range_cmp);
	r = layout_reader_init(&reader, &d->layout, d->size,
		library_get_layout, o->l, o->e);
	if (r)
		return r;
	for (size_t i = 0; i < ranges->len && !r;) {
		AUTO_BUF b = BUF_INIT;
		struct boot_range *first = &ranges->items[i];
		uint64_t leaf = first->off / LAYOUT_SPAN, skip;
		uint64_t end = u64_min((leaf + 1) * LAYOUT_SPAN, d->size);
		struct oid id;

		r = layout_reader_leaf(&reader, leaf, &id, &skip, o->e);
		if (!r && !skip)
			r = library_get_layout(o->l, &id, &b, o->e);
		if (!r && !skip)
			r = layout_leaf_decode(b.data, b.len,
				leaf * LAYOUT_SPAN, d->size, &x, o->e);
		if (!r && !skip)
			r = put_leaf(o, ranges, &i, &x, end);
		/* the rest of a range that goes on in the next leaf */
		for (; i < ranges->len && skip; i++)
			if (ranges->items[i].off + ranges->items[i].len > end)
				break;
		if (i < ranges->len && ranges->items[i].off < end) {
			struct boot_range *g = &ranges->items[i];

			g->len -= end - g->off;
			g->off = end;
		}
	}
	vec_release(&x);
	layout_reader_release(&reader);
	return r;
}

static int put_boot_sets(struct order *o, const struct image_at *at)
{
	AUTO_IMAGE im = { 0 };
	int r = library_get_image(o->l, &at->image, &im, o->e);

	for (unsigned i = 0; i < im.disks.len && !r; i++) {
		boot_ranges ranges = { 0 };

		if (boot_ranges_load(o->l, &at->image, i,
			    im.disks.items[i].size, &ranges))
			r = put_boot_set(o, &im.disks.items[i], &ranges);
		vec_release(&ranges);
	}
	return r;
}

static int put_disks(struct order *o, const struct image_at *at)
{
	AUTO_IMAGE im = { 0 };
	int r = library_get_image(o->l, &at->image, &im, o->e);

	for (size_t i = 0; i < im.disks.len && !r; i++)
		r = put_layout(o, &im.disks.items[i].layout);
	return r;
}

/* --- the whole --- */

typedef VEC(struct image_at) image_list;

static int newest_first(const void *a, const void *b)
{
	const struct image_at *x = a, *y = b;

	if (x->date != y->date)
		return x->date > y->date ? -1 : 1;
	return oid_cmp(&x->image, &y->image);
}

static int list_images(struct order *o, image_list *out)
{
	size_t n = 0;
	int r = 0;

	for (uint64_t i = 0; i < census_count(o->c) && !r; i++) {
		struct image_at at = { 0 };
		struct census_entry x;
		AUTO_COMMIT cm = { 0 };

		if (!census_at(o->c, i, &x) || x.kind != OBJ_COMMIT ||
			(o->drop && bit_get(o->drop, i)))
			continue;
		r = library_get_commit(o->l, &x.id, &cm, o->e);
		at.image = cm.image;
		at.date = cm.date;
		/* of an import that was cut short */
		if (!r && find(o, SPACE_RECORD, &at.image, &at.pos, &x) &&
			!vec_push(out, at))
			r = error_nomem(o->e);
	}
	if (out->len)
		qsort(out->items, out->len, sizeof(struct image_at),
			newest_first);
	for (size_t i = 0; i < out->len && !r; i++)
		if (!bit_get(o->visited, out->items[i].pos)) {
			bit_set(o->visited, out->items[i].pos);
			out->items[n++] = out->items[i];
		}
	out->len = n;
	return r;
}

/* Records and lists of chunks: window 1 + kind; first of all. */
static void put_records(struct order *o)
{
	for (uint64_t i = 0; i < census_count(o->c); i++) {
		struct census_frame f;
		struct census_entry x;

		if (census_at(o->c, i, &x) && x.kind != OBJ_BLOB &&
			census_frame_at(o->c, x.frame, &f))
			o->items[i] = (struct item){ .window = x.kind,
				.name = (uint64_t)f.pack << 44 | f.off,
				.number = x.off };
	}
}

/* Content that no disk leads to: by name, else as it stands. */
static int put_rest(struct order *o)
{
	int r = open_window(o);

	for (uint64_t i = 0; i < census_count(o->c) && !r; i++) {
		struct census_frame f;
		struct census_entry x;
		struct item *it = &o->items[i];

		if (it->window || !census_at(o->c, i, &x) ||
			!census_frame_at(o->c, x.frame, &f))
			continue;
		it->window = window_at(o);
		if (!it->ending) {
			it->name = (uint64_t)f.pack << 44 | f.off;
			it->number = x.off;
		}
	}
	return r;
}

static int by_item(const void *a, const void *b, void *ctx)
{
	const struct item *items = ctx;
	uint64_t i = *(const uint64_t *)a, k = *(const uint64_t *)b;
	const struct item *x = &items[i], *y = &items[k];

	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	if (x->ending != y->ending)
		return x->ending < y->ending ? -1 : 1;
	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	if (x->path != y->path)
		return x->path < y->path ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (i > k) - (i < k);
}

static int collect(struct order *o, uint32_t last_small,
	struct repack_order *out)
{
	out->positions = calloc((size_t)census_count(o->c) + 1,
		sizeof(uint64_t));
	if (!out->positions)
		return error_nomem(o->e);
	for (uint64_t i = 0; i < census_count(o->c); i++) {
		struct census_entry x;
		uint64_t first;

		/* an object that several index files list goes once */
		if (!o->items[i].window || !census_at(o->c, i, &x) ||
			!find(o, x.space, &x.id, &first, &x) || first != i)
			continue;
		out->positions[out->n++] = i;
		out->runs[0].end += o->items[i].window <= last_small;
	}
	qsort_r(out->positions, out->n, sizeof(uint64_t), by_item, o->items);
	out->runs[1].end = out->n;
	return 0;
}

int repack_order_make(struct library *l, struct census *c,
	const uint64_t *drop, size_t frame_size,
	const struct progress *progress, struct repack_order *out,
	struct error *e)
{
	struct order o = { .l = l, .c = c, .drop = drop, .progress = progress,
		.e = e };
	uint64_t n = census_count(c);
	image_list images = { 0 };
	uint32_t last_small = 0;
	size_t slots = 1024;
	int r = 0;

	*out = (struct repack_order){ .runs = {
		{ 0, size_min(frame_size, REPACK_SMALL_FRAME) },
		{ 0, frame_size } } };
	while (slots < n)
		slots *= 2;
	o.path_mask = slots - 1;
	o.items = calloc((size_t)n + 1, sizeof(*o.items));
	o.paths = calloc(slots, sizeof(*o.paths));
	o.visited = census_bits(n);
	if (!o.items || !o.paths || !o.visited)
		r = error_nomem(e);
	for (unsigned i = 0; i <= OBJ_KINDS && !r; i++)
		r = open_window(&o);
	if (!r)
		r = list_images(&o, &images);
	for (size_t i = 0; i < images.len && !r; i++)
		r = name_image(&o, &images.items[i]);
	if (!r)
		r = name_loose(&o);
	if (!r)
		put_records(&o);
	o.boot = true;
	for (size_t i = 0; i < images.len && !r; i++)
		r = put_boot_sets(&o, &images.items[i]);
	o.boot = false;
	last_small = (uint32_t)o.windows.len - 1;
	if (!r)
		r = open_window(&o);
	for (size_t i = 0; i < images.len && !r; i++)
		r = put_disks(&o, &images.items[i]);
	if (!r)
		r = put_rest(&o);
	if (!r)
		r = collect(&o, last_small, out);
	vec_release(&images);
	vec_release(&o.stack);
	vec_release(&o.windows);
	free(o.items);
	free(o.paths);
	free(o.visited);
	return r;
}

void repack_order_release(struct repack_order *o)
{
	free(o->positions);
	o->positions = NULL;
	o->n = 0;
}
