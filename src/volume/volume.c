/* SPDX-License-Identifier: Apache-2.0 */
/* Volume sets: release, and the source of a logical volume. */
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>

int volume_scan(const struct volume_member *members, size_t n,
	const struct finding_sink *findings, struct volume_set *out,
	struct error *e)
{
	(void)members;
	(void)findings;
	memset(out, 0, sizeof(*out));
	out->member_types = calloc(n + 1, sizeof(*out->member_types));
	out->member_uuids = calloc(n + 1, sizeof(*out->member_uuids));
	if (out->member_types && out->member_uuids)
		return 0;
	volume_set_release(out);
	return error_nomem(e);
}

void volume_set_release(struct volume_set *s)
{
	for (size_t i = 0; i < s->len; i++)
		free(s->items[i].segments);
	free(s->items);
	free(s->member_types);
	free(s->member_uuids);
	memset(s, 0, sizeof(*s));
}

int volume_source(const struct logical_volume *lv,
	const struct volume_member *members, size_t n, struct source **out,
	struct error *e)
{
	struct source_segment *seg = calloc(lv->nsegments + 1, sizeof(*seg));
	int r = seg ? 0 : error_nomem(e);

	for (size_t i = 0; i < lv->nsegments && !r; i++) {
		const struct volume_segment *g = &lv->segments[i];

		seg[i] = (struct source_segment){ NULL, g->off, g->len };
		if (g->member != UINT32_MAX && g->member >= n)
			r = error_set(e, ERR_ARG, "no member %u", g->member);
		else if (g->member != UINT32_MAX)
			seg[i].src = members[g->member].src;
	}
	if (!r)
		r = source_concat(seg, lv->nsegments, out, e);
	free(seg);
	return r;
}
