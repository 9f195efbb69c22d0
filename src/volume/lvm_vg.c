/* SPDX-License-Identifier: Apache-2.0 */
/* LVM2: from the metadata of a volume group to its logical volumes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/compiler.h"
#include "base/limits.h"
#include "volume/private.h"

struct pv {
	struct view name; /* "pv0" */
	uint32_t member;  /* UINT32_MAX: missing */
	uint64_t start;   /* bytes */
	uint64_t extents;
};

struct vg {
	struct volume_scan *s;
	const struct lvm_tree *t;
	struct view name;
	uint64_t extent; /* bytes */
	uint32_t lvs;    /* the section of all volumes */
	VEC(struct pv) pvs; /* by name */
	VEC(struct view) cow; /* names of volumes that hold a snapshot, sorted */
	VEC(struct view) busy; /* origins that a snapshot is merged into */
};

static int by_view(const void *a, const void *b)
{
	const struct view *x = a, *y = b;
	size_t n = size_min(x->len, y->len);
	int c = n ? memcmp(x->data, y->data, n) : 0;

	return c ? c : (x->len > y->len) - (x->len < y->len);
}

static int by_pv(const void *a, const void *b)
{
	return by_view(&((const struct pv *)a)->name,
		&((const struct pv *)b)->name);
}

/* A name that can stand in VG/LV and in a path: lvm(8), "Valid names". */
static bool name_ok(struct view v)
{
	if (!v.len || v.len > 127 || v.data[0] == '-' || view_is(v, ".") ||
		view_is(v, ".."))
		return false;
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] == '/')
			return false;
	return true;
}

static const struct lvm_node *node(const struct vg *g, uint32_t i)
{
	return &g->t->nodes.items[i];
}

static int read_pvs(struct vg *g, uint32_t section, const struct lvm_pv *found,
	size_t nfound)
{
	for (uint32_t i = node(g, section)->child; i != LVM_NONE;
		i = node(g, i)->next) {
		struct pv p = { .name = node(g, i)->key, .member = UINT32_MAX };
		struct view id;
		char plain[33];
		size_t n = 0;

		if (node(g, i)->type != LVM_SECTION)
			continue;
		id = lvm_string(g->t, i, "id");
		for (size_t k = 0; k < id.len && n < 32; k++)
			if (id.data[k] != '-')
				plain[n++] = (char)id.data[k];
		plain[n] = 0;
		if (!lvm_number(g->t, i, "pe_start", &p.start) ||
			!lvm_number(g->t, i, "pe_count", &p.extents) ||
			!u64_mul(p.start, 512, &p.start)) {
			finding_report(g->s->findings, FINDING_VOLUME_DAMAGED,
				FINDING_NO_OFFSET, NULL,
				"physical volume %.*s has no place",
				(int)size_min(p.name.len, 64), p.name.data);
			continue;
		}
		for (size_t k = 0; k < nfound; k++)
			if (!strcmp(found[k].uuid, plain))
				p.member = found[k].member;
		if (p.member == UINT32_MAX)
			finding_report(g->s->findings,
				FINDING_VOLUME_INCOMPLETE, FINDING_NO_OFFSET,
				NULL,
				"volume group %.*s: physical volume %.*s "
				"(%.*s) is missing",
				(int)size_min(g->name.len, 127), g->name.data,
				(int)size_min(p.name.len, 64), p.name.data,
				(int)size_min(id.len, 64), id.data);
		if (g->pvs.len >= LIMIT_LVM_PVS) {
			finding_report(g->s->findings, FINDING_VOLUME_DAMAGED,
				FINDING_NO_OFFSET, NULL,
				"more than %d physical volumes", LIMIT_LVM_PVS);
			break;
		}
		if (!vec_push(&g->pvs, p))
			return error_nomem(g->s->e);
	}
	if (g->pvs.len)
		qsort(g->pvs.items, g->pvs.len, sizeof(*g->pvs.items), by_pv);
	return 0;
}

static bool segment_of(const struct vg *g, uint32_t i)
{
	const struct lvm_node *n = node(g, i);

	return n->type == LVM_SECTION && n->key.len > 7 &&
	       !memcmp(n->key.data, "segment", 7);
}

/* Which volumes belong to snapshots: they are named in segments of others. */
static int read_snapshots(struct vg *g, uint32_t lvs)
{
	for (uint32_t i = node(g, lvs)->child; i != LVM_NONE;
		i = node(g, i)->next) {
		if (node(g, i)->type != LVM_SECTION)
			continue;
		for (uint32_t k = node(g, i)->child; k != LVM_NONE;
			k = node(g, k)->next) {
			struct view cow, merging;

			if (!segment_of(g, k) ||
				!view_is(lvm_string(g->t, k, "type"), "snapshot"))
				continue;
			cow = lvm_string(g->t, k, "cow_store");
			merging = lvm_string(g->t, k, "merging_store");
			if ((cow.len && !vec_push(&g->cow, cow)) ||
				(merging.len &&
					(!vec_push(&g->cow, merging) ||
						!vec_push(&g->busy,
							lvm_string(g->t, k,
								"origin")))))
				return error_nomem(g->s->e);
		}
	}
	if (g->cow.len)
		qsort(g->cow.items, g->cow.len, sizeof(*g->cow.items), by_view);
	if (g->busy.len)
		qsort(g->busy.items, g->busy.len, sizeof(*g->busy.items),
			by_view);
	return 0;
}

/* --- one logical volume --- */

struct lv {
	struct logical_volume out;
	segment_vec segments;
	uint64_t extents; /* so far */
	const char *why;  /* it is damaged */
	bool missing;     /* a member is */
	bool kept;        /* of a kind that is not read */
	bool pvmove;      /* that is being moved */
};

static void set_kind(struct lv *v, struct view kind)
{
	size_t n = size_min(kind.len, sizeof(v->out.kind) - 1);

	for (size_t i = 0; i < n; i++)
		v->out.kind[i] = kind.data[i] >= ' ' && kind.data[i] < 0x7f
					 ? (char)kind.data[i]
					 : '?';
	v->out.kind[n] = 0;
}

#define MAX_STRIPES 128 /* lvcreate(8) */

struct stripe {
	uint32_t member;
	uint64_t off;
};

/* Areas may be volumes themselves: while pvmove runs, for one. */
static bool is_volume(const struct vg *g, struct view name)
{
	for (uint32_t i = node(g, g->lvs)->child; i != LVM_NONE;
		i = node(g, i)->next)
		if (node(g, i)->type == LVM_SECTION &&
			!by_view(&node(g, i)->key, &name))
			return true;
	return false;
}

/* The areas of a segment: pairs of a physical volume and its first extent. */
static const char *read_stripes(struct vg *g, struct lv *v, uint32_t segment,
	uint64_t count, uint64_t extents, struct stripe *out)
{
	uint32_t list = lvm_find(g->t, segment, "stripes", LVM_ARRAY);
	uint32_t i = list == LVM_NONE ? LVM_NONE : node(g, list)->child;

	for (uint64_t k = 0; k < count; k++) {
		struct pv key, *pv;
		uint64_t first, end, bytes, size;

		if (i == LVM_NONE || node(g, i)->type != LVM_STRING)
			return "a segment has too few stripes";
		key.name = node(g, i)->str;
		i = node(g, i)->next;
		if (i == LVM_NONE || node(g, i)->type != LVM_NUMBER)
			return "a stripe has no place";
		first = node(g, i)->number;
		i = node(g, i)->next;
		pv = g->pvs.len ? bsearch(&key, g->pvs.items, g->pvs.len,
					  sizeof(key), by_pv)
				: NULL;
		if (!pv && is_volume(g, key.name)) {
			v->kept = true;
			v->pvmove = key.name.len > 6 &&
				    !memcmp(key.name.data, "pvmove", 6);
			return NULL;
		}
		if (!pv)
			return "a stripe is on no known physical volume";
		if (!u64_add(first, extents, &end) || end > pv->extents)
			return "a stripe ends outside its physical volume";
		out[k].member = pv->member;
		if (!u64_mul(first, g->extent, &out[k].off) ||
			!u64_add(out[k].off, pv->start, &out[k].off) ||
			!u64_mul(extents, g->extent, &bytes))
			return "a stripe is over 64 bits";
		if (pv->member == UINT32_MAX) {
			v->missing = true;
			continue;
		}
		size = g->s->members[pv->member].src->size;
		if (!range_inside(out[k].off, bytes, size))
			return "a stripe ends outside the device";
	}
	return NULL;
}

/* Returns 0, NOMEM or LIMIT. */
static int add_striped(struct vg *g, struct lv *v, uint32_t segment,
	uint64_t extents)
{
	struct stripe st[MAX_STRIPES];
	uint64_t count = 0, size = 0, bytes;
	int r = 0;

	if (!lvm_number(g->t, segment, "stripe_count", &count) || !count ||
		count > MAX_STRIPES || extents % count) {
		v->why = "the number of stripes";
		return 0;
	}
	if (count > 1)
		set_kind(v, (struct view){ (const uint8_t *)"striped", 7 });
	v->why = read_stripes(g, v, segment, count, extents / count, st);
	if (v->pvmove)
		set_kind(v, (struct view){ (const uint8_t *)"pvmove", 6 });
	if (v->why || v->missing || v->kept)
		return 0;
	bytes = extents * g->extent; /* was checked */
	if (count == 1)
		return segment_add(g->s, &v->segments, st[0].member, st[0].off,
			bytes);
	if (!lvm_number(g->t, segment, "stripe_size", &size) || !size ||
		!u64_mul(size, 512, &size) || bytes / count % size) {
		v->why = "the size of the stripes";
		return 0;
	}
	for (uint64_t row = 0; row < bytes / count && !r; row += size)
		for (uint64_t k = 0; k < count && !r; k++)
			r = segment_add(g->s, &v->segments, st[k].member,
				st[k].off + row, size);
	return r;
}

static int add_segment(struct vg *g, struct lv *v, uint32_t segment)
{
	struct view type = lvm_string(g->t, segment, "type");
	uint64_t first, count, bytes;

	if (!lvm_number(g->t, segment, "start_extent", &first) ||
		!lvm_number(g->t, segment, "extent_count", &count) || !count ||
		!u64_mul(count, g->extent, &bytes) ||
		!u64_add(v->out.size, bytes, &v->out.size) ||
		v->out.size > LIMIT_DISK_SIZE) {
		v->why = "the size of a segment";
		return 0;
	}
	if (first != v->extents) {
		v->why = "the segments do not follow each other";
		return 0;
	}
	v->extents += count;
	/* LVM names a plain one "striped", with one stripe. */
	if (view_is(type, "striped") || view_is(type, "linear"))
		return add_striped(g, v, segment, count);
	set_kind(v, type);
	if (view_is(type, "zero"))
		return segment_add(g->s, &v->segments, UINT32_MAX, 0, bytes);
	v->kept = true;
	return 0;
}

static bool has_status(const struct vg *g, uint32_t lv, const char *flag)
{
	uint32_t list = lvm_find(g->t, lv, "status", LVM_ARRAY);

	if (list == LVM_NONE)
		return false;
	for (uint32_t i = node(g, list)->child; i != LVM_NONE;
		i = node(g, i)->next)
		if (node(g, i)->type == LVM_STRING &&
			view_is(node(g, i)->str, flag))
			return true;
	return false;
}

static bool listed(const struct view *items, size_t n, struct view name)
{
	return n && bsearch(&name, items, n, sizeof(name), by_view);
}

static int finish(struct vg *g, struct lv *v)
{
	const struct finding_sink *f = g->s->findings;

	if (v->why)
		finding_report(f, FINDING_VOLUME_DAMAGED, FINDING_NO_OFFSET,
			v->out.name, "%s", v->why);
	else if (v->missing)
		finding_report(f, FINDING_VOLUME_INCOMPLETE, FINDING_NO_OFFSET,
			v->out.name, "it cannot be read without it");
	else if (v->kept)
		finding_report(f, FINDING_VOLUME_KEPT, FINDING_NO_OFFSET,
			v->out.name, "%s", v->out.kind);
	v->out.readable = !v->why && !v->missing && !v->kept;
	return volume_add(g->s, &v->out, &v->segments);
}

static int add_volume(struct vg *g, uint32_t section)
{
	struct lv v = { .out.kind = "linear" };
	struct view name = node(g, section)->key;
	struct view id = lvm_string(g->t, section, "id");
	int r = 0;

	/* Parts of others (images of a mirror, a pool's data) are not visible,
	 * and carry no file system of their own. */
	if (!has_status(g, section, "VISIBLE"))
		return 0;
	if (!name_ok(name)) {
		finding_report(g->s->findings, FINDING_VOLUME_DAMAGED,
			FINDING_NO_OFFSET, NULL,
			"a logical volume's name is not valid");
		return 0;
	}
	snprintf(v.out.name, sizeof(v.out.name), "%.*s/%.*s", (int)g->name.len,
		g->name.data, (int)name.len, name.data);
	if (id.len < sizeof(v.out.uuid))
		memcpy(v.out.uuid, id.data, id.len);
	for (uint32_t i = node(g, section)->child;
		i != LVM_NONE && !v.why && !r; i = node(g, i)->next)
		if (segment_of(g, i))
			r = add_segment(g, &v, i);
	if (!v.why && !v.extents)
		v.why = "it has no segments";
	if (listed(g->cow.items, g->cow.len, name)) {
		set_kind(&v, (struct view){ (const uint8_t *)"snapshot", 8 });
		v.kept = true;
	}
	if (listed(g->busy.items, g->busy.len, name)) {
		set_kind(&v, (struct view){ (const uint8_t *)"merging", 7 });
		v.kept = true;
	}
	if (r == ERR_LIMIT) {
		finding_report(g->s->findings, FINDING_VOLUME_KEPT,
			FINDING_NO_OFFSET, v.out.name,
			"more than %d pieces in all", LIMIT_VOLUME_SEGMENTS);
		v.kept = true;
		r = 0;
	}
	if (r) {
		vec_release(&v.segments);
		return error_nomem(g->s->e);
	}
	return finish(g, &v);
}

static int read_group(struct vg *g, uint32_t section, const struct lvm_pv *pvs,
	size_t npvs)
{
	uint32_t pv_list, lv_list;
	uint64_t sectors = 0;
	int r = 0;

	if (!name_ok(g->name) ||
		!lvm_number(g->t, section, "extent_size", &sectors) ||
		!sectors || !u64_mul(sectors, 512, &g->extent)) {
		finding_report(g->s->findings, FINDING_VOLUME_DAMAGED,
			FINDING_NO_OFFSET, NULL,
			"volume group %.*s has no name or extent size",
			(int)size_min(g->name.len, 127), g->name.data);
		return 0;
	}
	pv_list = lvm_find(g->t, section, "physical_volumes", LVM_SECTION);
	lv_list = lvm_find(g->t, section, "logical_volumes", LVM_SECTION);
	if (pv_list != LVM_NONE)
		r = read_pvs(g, pv_list, pvs, npvs);
	if (r || lv_list == LVM_NONE)
		return r;
	g->lvs = lv_list;
	r = read_snapshots(g, lv_list);
	for (uint32_t i = node(g, lv_list)->child; i != LVM_NONE && !r;
		i = node(g, i)->next) {
		if (node(g, i)->type != LVM_SECTION)
			continue;
		if (g->s->items.len >= LIMIT_VOLUMES) {
			finding_report(g->s->findings, FINDING_VOLUME_KEPT,
				FINDING_NO_OFFSET, NULL,
				"more than %d volumes", LIMIT_VOLUMES);
			break;
		}
		r = add_volume(g, i);
	}
	return r;
}

int lvm_add_group(struct volume_scan *s, const struct lvm_tree *t, uint32_t vg,
	const struct lvm_pv *pvs, size_t npvs)
{
	struct vg g = { .s = s, .t = t, .name = t->nodes.items[vg].key };
	int r = read_group(&g, vg, pvs, npvs);

	vec_release(&g.pvs);
	vec_release(&g.cow);
	vec_release(&g.busy);
	return r;
}
