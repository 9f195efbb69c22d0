/* SPDX-License-Identifier: Apache-2.0 */
/* From disks to volumes. */
#include "survey/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "survey/build.h"
#include "volume/volume.h"

static void device_release(struct survey_device *d)
{
	source_unref(d->src);
	vec_release(&d->segments);
}

static void volume_release(struct survey_volume *v)
{
	free(v->name);
	for (size_t i = 0; i < v->devs.len; i++)
		device_release(&v->devs.items[i]);
	vec_release(&v->devs);
}

void survey_release(struct survey *s)
{
	for (size_t i = 0; i < s->volumes.len; i++)
		volume_release(&s->volumes.items[i]);
	vec_release(&s->volumes);
	for (size_t i = 0; i < s->disks.len; i++) {
		part_table_release(&s->disks.items[i].table);
		source_unref(s->disks.items[i].src);
	}
	vec_release(&s->disks);
}

int survey_add_volume(struct survey *s, const char *name, uint32_t disk,
	struct source *src, const struct partition *part,
	struct survey_volume **out, struct error *e)
{
	struct survey_volume v = { .name = strdup(name),
		.disk = disk,
		.size = src->size };
	struct survey_device d = { .src = src };

	if (part)
		v.part = *part;
	if (!v.name || !vec_push(&v.devs, d)) {
		source_unref(src);
		volume_release(&v);
		return error_nomem(e);
	}
	if (!vec_push(&s->volumes, v)) {
		volume_release(&v);
		return error_nomem(e);
	}
	*out = vec_last(&s->volumes);
	return 0;
}

/* Findings of a probe say which volume they are about. */
struct named {
	const struct finding_sink *inner;
	const char *name;
};

static void report_named(void *ctx, const struct finding *f)
{
	const struct named *n = ctx;
	char where[2048];
	struct finding g = *f;

	snprintf(where, sizeof(where), "%s%s%s", n->name, *f->where ? ":" : "",
		f->where);
	g.where = where;
	n->inner->report(n->inner->ctx, &g);
}

void survey_probe_volume(struct survey_volume *v,
	const struct finding_sink *findings)
{
	struct error e = { 0 };

	switch (fs_probe(v->devs.items[0].src, &v->ops, &v->info, &e)) {
	case FS_YES:
		break;
	case FS_UNSURE:
		finding_report(findings, FINDING_FS_DAMAGED,
			e.has_offset ? e.offset : FINDING_NO_OFFSET, v->name,
			"looks like %s: %s", v->ops->name,
			e.code ? error_untagged(&e, v->ops->name)
			       : "its superblock is damaged");
		v->maybe = v->ops;
		v->ops = NULL;
		break;
	case FS_NO:
		v->ops = NULL;
	}
}

static bool is_optical(const struct survey_volume *v)
{
	return v->ops && (!strcmp(v->ops->name, "iso9660") ||
				 !strcmp(v->ops->name, "udf"));
}

static int add_disk_volumes(struct survey *s, uint32_t disk,
	const struct finding_sink *findings, struct error *e)
{
	struct source *src = s->disks.items[disk].src;
	const struct part_table *t = &s->disks.items[disk].table;
	struct survey_volume *v;
	bool whole = t->scheme == PART_NONE || t->len == 0;
	int r;

	/* A file system over the whole disk wins over a table in its boot
	 * sector only where there is none, or one without partitions: the
	 * signature of boot code (LILO, extlinux) in front of it. An ISO image
	 * has both, and then both are listed. */
	r = survey_add_volume(s, "disk", disk, source_ref(src), NULL, &v, e);
	if (r)
		return r;
	if (!vec_push(&v->devs.items[0].segments,
		    (struct survey_segment){ disk, 0, src->size }))
		return error_nomem(e);
	survey_probe_volume(v, whole ? findings : NULL);
	if (t->scheme != PART_NONE && !(whole && v->ops) && !is_optical(v)) {
		volume_release(v);
		s->volumes.len--;
	}
	for (size_t i = 0; i < t->len; i++) {
		const struct partition *p = &t->items[i];
		struct source *w;
		char name[24];

		if (p->is_container)
			continue;
		snprintf(name, sizeof(name), "p%u", p->number);
		r = source_window(src, p->off, p->len, &w, e);
		if (!r)
			r = survey_add_volume(s, name, disk, w, p, &v, e);
		if (r)
			return r;
		if (!vec_push(&v->devs.items[0].segments,
			    (struct survey_segment){ disk, p->off, p->len }))
			return error_nomem(e);
		survey_probe_volume(v, findings);
	}
	return 0;
}

bool survey_map_range(const survey_segments *from, uint64_t off, uint64_t len,
	survey_segments *out)
{
	uint64_t at = 0;

	for (size_t i = 0; i < from->len && len; i++) {
		const struct survey_segment *g = &from->items[i];

		if (off < at + g->len) {
			uint64_t in = off - at, n = u64_min(g->len - in, len);

			if (!vec_push(out, (struct survey_segment){ g->disk,
						   g->off + in, n }))
				return false;
			off += n;
			len -= n;
		}
		at += g->len;
	}
	return len == 0;
}

static bool is_array_member(const struct volume_set *set, size_t member)
{
	return !strcmp(set->member_types[member], "linux_raid_member");
}

static int add_logical(struct survey *s, const struct volume_set *set,
	const struct logical_volume *lv, const struct volume_member *members,
	const size_t *index, size_t n, const struct finding_sink *findings,
	struct error *e)
{
	struct survey_volume *v;
	struct source *src;
	survey_segments segs = { 0 };
	uint32_t disk = 0;
	int r;

	if (!lv->readable)
		return 0;
	r = volume_source(lv, members, n, &src, e);
	if (r)
		return r;
	for (size_t i = 0; i < lv->nsegments; i++) {
		const struct volume_segment *g = &lv->segments[i];
		bool ok;

		if (g->member == UINT32_MAX)
			ok = vec_push(&segs, (struct survey_segment){
				SURVEY_NO_DISK, 0, g->len });
		else
			ok = survey_map_range(&s->volumes.items[index[g->member]]
						.devs.items[0].segments,
				g->off, g->len, &segs);
		if (!ok) {
			vec_release(&segs);
			source_unref(src);
			return error_nomem(e);
		}
	}
	if (segs.len && segs.items[0].disk != SURVEY_NO_DISK)
		disk = segs.items[0].disk;
	r = survey_add_volume(s, lv->name, disk, src, NULL, &v, e);
	if (r) {
		vec_release(&segs);
		return r;
	}
	v->inner = true;
	for (size_t i = 0; i < lv->nsegments; i++)
		if (lv->segments[i].member != UINT32_MAX)
			v->array = is_array_member(set,
				lv->segments[i].member);
	memcpy(&v->devs.items[0].segments, &segs, sizeof(segs));
	survey_probe_volume(v, findings);
	return 0;
}

/* Takes away members on which a file system is read and that have no more
 * than an old LVM label in its boot area. A member of an MD array stays: with
 * the superblock at its end it looks like what the array holds. */
static int drop_file_systems(const struct survey *s,
	struct volume_member *members, size_t *index, size_t *n,
	struct error *e)
{
	struct volume_set set = { 0 };
	size_t kept = 0;
	int r = volume_scan(members, *n, NULL, &set, e);

	for (size_t i = 0; i < *n && !r; i++) {
		const struct survey_volume *v = &s->volumes.items[index[i]];

		if (v->ops && v->ops->open && !is_array_member(&set, i))
			continue;
		members[kept] = members[i];
		index[kept++] = index[i];
	}
	*n = kept;
	volume_set_release(&set);
	return r;
}

/* What stands on the volumes from number first on. */
static int add_logical_volumes(struct survey *s, size_t first,
	bool arrays_only, const struct finding_sink *findings, struct error *e)
{
	AUTO_FREE struct volume_member *members = NULL;
	AUTO_FREE size_t *index = NULL;
	struct volume_set set = { 0 };
	size_t n = 0;
	int r;

	members = calloc(s->volumes.len + 1, sizeof(*members));
	index = calloc(s->volumes.len + 1, sizeof(*index));
	if (!members || !index)
		return error_nomem(e);
	for (size_t i = first; i < s->volumes.len; i++) {
		const struct survey_volume *v = &s->volumes.items[i];

		if (arrays_only && !v->array)
			continue;
		members[n].src = v->devs.items[0].src;
		members[n].name = v->name;
		index[n++] = i;
	}
	r = drop_file_systems(s, members, index, &n, e);
	if (r || !n)
		return r;
	r = volume_scan(members, n, findings, &set, e);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct survey_volume *v = &s->volumes.items[index[i]];

		if (!set.member_types[i][0])
			continue;
		v->ops = v->maybe = NULL;
		memset(&v->info, 0, sizeof(v->info));
		snprintf(v->info.type, sizeof(v->info.type), "%s",
			set.member_types[i]);
		snprintf(v->info.uuid, sizeof(v->info.uuid), "%s",
			set.member_uuids[i]);
	}
	for (size_t i = 0; i < set.len && !r; i++)
		r = add_logical(s, &set, &set.items[i], members, index, n,
			findings, e);
	volume_set_release(&set);
	return r;
}

static int join(struct survey_volume *v, struct survey_volume *o,
	struct error *e)
{
	struct survey_device d = { 0 };

	o->member_of_other = true;
	if (!survey_map_range(&o->devs.items[0].segments, 0, o->size,
		    &d.segments) ||
		!vec_push(&v->devs, d))
		return error_nomem(e);
	vec_last(&v->devs)->src = source_ref(o->devs.items[0].src);
	return 0;
}

/* A whole disk of which nothing is known. */
static bool is_unknown_disk(const struct survey_volume *v)
{
	return !v->ops && !v->maybe && !v->info.type[0] && !v->part.number &&
	       !v->inner && !v->member_of_other;
}

/* Further devices that do not name themselves: whole disks of which nothing else
 * is known, of the right size where that is known, in the order given. The first
 * that is missing ends it, since what follows would stand in its place. */
static int join_parts(struct survey *s, struct survey_volume *v,
	struct error *e)
{
	for (uint32_t n = 1; n < v->info.devices; n++) {
		struct survey_volume *found = NULL;
		uint64_t size;
		int r;

		if (v->ops->part_size(v->devs.items[0].src, n, &size, NULL))
			return 0;
		for (size_t k = 0; k < s->volumes.len && !found; k++) {
			struct survey_volume *o = &s->volumes.items[k];

			if (is_unknown_disk(o) && (!size || o->size == size))
				found = o;
		}
		if (!found)
			return 0;
		r = join(v, found, e);
		if (r)
			return r;
	}
	return 0;
}

/* Gives the first member of a file system over several devices the others
 * too. */
static int join_devices(struct survey *s, struct error *e)
{
	for (size_t i = 0; i < s->volumes.len; i++) {
		struct survey_volume *v = &s->volumes.items[i];

		if (!v->ops || v->info.devices < 2 || v->member_of_other)
			continue;
		if (v->ops->part_size) {
			int r = join_parts(s, v, e);

			if (r)
				return r;
			continue;
		}
		for (size_t k = i + 1; k < s->volumes.len; k++) {
			struct survey_volume *o = &s->volumes.items[k];
			int r;

			if (o->ops != v->ops || strcmp(o->info.uuid,
						       v->info.uuid) != 0)
				continue;
			r = join(v, o, e);
			if (r)
				return r;
		}
	}
	return 0;
}

/* A file system whose first superblock is gone is shown where the rest of it
 * can be opened (ext has copies). Only now, since what lay on a disk before
 * it became a physical volume leaves such copies too. */
static void open_damaged(struct survey *s)
{
	for (size_t i = 0; i < s->volumes.len; i++) {
		struct survey_volume *v = &s->volumes.items[i];
		struct fs *fs = NULL;

		if (v->ops || !v->maybe || !v->maybe->open)
			continue;
		v->ops = v->maybe;
		if (survey_open_fs(v, NULL, &fs, NULL))
			v->ops = NULL;
		else
			fs->ops->close(fs);
	}
}

int survey_open(struct source *const *disks, size_t n,
	const struct finding_sink *findings, struct survey *out,
	struct error *e)
{
	AUTO_SURVEY s = { 0 };
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		struct survey_disk d = { 0 };
		char name[32];
		struct named named = { findings, name };
		struct finding_sink sink = { report_named, &named };

		snprintf(name, sizeof(name), "disk%zu", i);
		r = part_table_read(disks[i],
			findings && findings->report ? &sink : NULL, &d.table,
			e);
		if (r)
			break;
		d.src = source_ref(disks[i]);
		if (!vec_push(&s.disks, d)) {
			part_table_release(&d.table);
			source_unref(d.src);
			return error_nomem(e);
		}
		r = add_disk_volumes(&s, (uint32_t)i, findings, e);
	}
	if (!r) {
		size_t first = s.volumes.len;

		r = add_logical_volumes(&s, 0, false, findings, e);
		if (!r) /* LVM on MD */
			r = add_logical_volumes(&s, first, true, findings, e);
	}
	if (!r) {
		open_damaged(&s);
		r = join_devices(&s, e);
	}
	if (!r)
		r = survey_add_nested(&s, findings, e);
	if (r)
		return r;
	*out = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

int survey_open_fs(const struct survey_volume *v,
	const struct finding_sink *findings, struct fs **out, struct error *e)
{
	AUTO_FREE struct source **devs = NULL;

	if (!v->ops || !v->ops->open || v->member_of_other)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: no file system that is read", v->name);
	devs = calloc(v->devs.len, sizeof(struct source *));
	if (!devs)
		return error_nomem(e);
	for (size_t i = 0; i < v->devs.len; i++)
		devs[i] = v->devs.items[i].src;
	return v->ops->open(&(struct fs_open_args){ devs,
				    (uint32_t)v->devs.len, findings },
		out, e);
}
