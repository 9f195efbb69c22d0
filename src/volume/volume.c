/* SPDX-License-Identifier: Apache-2.0 */
/* Volume managers: the scan, sources of volumes. */
#include "volume/volume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "volume/private.h"

int segment_add(struct volume_scan *s, segment_vec *v, uint32_t member,
	uint64_t off, uint64_t len)
{
	if (!len)
		return 0;
	if (v->len) {
		struct volume_segment *last = vec_last(v);

		if (last->member == member &&
			(member == UINT32_MAX || last->off + last->len == off)) {
			last->len += len; /* the caller bounds the sum */
			return 0;
		}
	}
	if (v->len >= LIMIT_VOLUME_SEGMENTS - s->segments)
		return ERR_LIMIT;
	return vec_push(v, (struct volume_segment){ member, off, len })
		       ? 0
		       : ERR_NOMEM;
}

int volume_add(struct volume_scan *s, struct logical_volume *lv,
	segment_vec *segments)
{
	lv->readable = lv->readable && segments->len;
	if (lv->readable) {
		lv->segments = segments->items;
		lv->nsegments = segments->len;
		s->segments += segments->len;
	} else {
		vec_release(segments);
	}
	if (vec_push(&s->items, *lv))
		return 0;
	free(lv->segments);
	return error_nomem(s->e);
}

bool member_read(struct volume_scan *s, size_t member, void *buf, size_t len,
	uint64_t off)
{
	struct source *src = s->members[member].src;
	struct error e = { 0 };

	if (!range_inside(off, len, src->size))
		return false;
	if (!source_pread(src, buf, len, off, &e))
		return true;
	finding_report(s->findings, FINDING_READ_ERROR, off,
		s->members[member].name, "%s", e.msg);
	return false;
}

int volume_scan(const struct volume_member *members, size_t n,
	const struct finding_sink *findings, struct volume_set *out,
	struct error *e)
{
	struct volume_set set = { 0 };
	struct volume_scan s = { .members = members,
		.n = n,
		.findings = findings,
		.set = &set,
		.e = e };
	int r = 0;

	set.member_types = calloc(n + 1, sizeof(*set.member_types));
	set.member_uuids = calloc(n + 1, sizeof(*set.member_uuids));
	if (!set.member_types || !set.member_uuids)
		r = error_nomem(e);
	if (!r)
		r = md_scan(&s);
	if (!r)
		r = lvm_scan(&s);
	set.items = s.items.items;
	set.len = s.items.len;
	if (r)
		volume_set_release(&set);
	else
		*out = set;
	return r;
}

void volume_set_release(struct volume_set *s)
{
	for (size_t i = 0; i < s->len; i++)
		free(s->items[i].segments);
	free(s->items);
	free(s->member_types);
	free(s->member_uuids);
	*s = (struct volume_set){ 0 };
}

int volume_source(const struct logical_volume *lv,
	const struct volume_member *members, size_t n, struct source **out,
	struct error *e)
{
	AUTO_FREE struct source_segment *seg = NULL;

	if (!lv->readable)
		return error_set(e, ERR_UNSUPPORTED,
			"volume %s (%s) is kept as blocks", lv->name, lv->kind);
	seg = calloc(lv->nsegments + 1, sizeof(*seg));
	if (!seg)
		return error_nomem(e);
	for (size_t i = 0; i < lv->nsegments; i++) {
		const struct volume_segment *x = &lv->segments[i];

		if (x->member != UINT32_MAX && x->member >= n)
			return error_set(e, ERR_ARG,
				"volume %s: no member %" PRIu32, lv->name,
				x->member);
		seg[i] = (struct source_segment){
			x->member == UINT32_MAX ? NULL : members[x->member].src,
			x->off, x->len
		};
	}
	return source_concat(seg, lv->nsegments, out, e);
}
