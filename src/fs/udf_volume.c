/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: recognition sequence, anchors, volume descriptors. See udf.h.
 * ECMA-167 part 2 and part 3; UDF 2.1, 2.2. */
#include "fs/udf.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "fs/label.h"

#define RECOGNITION 32768
#define RECOGNITION_SECTORS 64

bool udf_announced(struct source *src, bool *iso, uint32_t *spacing)
{
	uint8_t b[6];
	uint32_t step = 2048;

	*iso = false;
	for (int i = 0; i < RECOGNITION_SECTORS; i++) {
		uint64_t off = RECOGNITION + (uint64_t)i * step;

		if (!range_inside(off, sizeof(b), src->size) ||
			source_pread(src, b, sizeof(b), off, NULL))
			return false;
		if (!memcmp(b + 1, "NSR02", 5) || !memcmp(b + 1, "NSR03", 5)) {
			*spacing = step;
			return true;
		}
		if (!memcmp(b + 1, "CD001", 5)) {
			*iso = true;
			continue;
		}
		if (memcmp(b + 1, "BEA01", 5) && memcmp(b + 1, "BOOT2", 5) &&
			memcmp(b + 1, "CDW02", 5) && memcmp(b + 1, "TEA01", 5)) {
			/* a disk with larger blocks leaves gaps */
			if (i != 1 || step >= UDF_BLOCK_MAX)
				return false;
			step *= 2;
			i = 0;
		}
	}
	return false;
}

void udf_volume_release(struct udf_volume *v)
{
	free(v->parts);
	v->parts = NULL;
	v->nparts = 0;
}

static struct udf_logical *logical(const struct udf_volume *v)
{
	return (struct udf_logical *)(void *)v->logical;
}

struct reader {
	struct source *src;
	const struct finding_sink *findings;
	uint32_t bs;
	uint8_t *block;
	unsigned left; /* blocks that may still be read: bounds every chain */
};

/* Reads block loc of the volume; false where it is no descriptor. */
static bool descriptor(struct reader *r, uint64_t loc)
{
	if (!r->left || loc > UINT32_MAX)
		return false;
	r->left--;
	if (source_pread(r->src, r->block, r->bs, loc * r->bs, NULL))
		return false;
	return !udf_tag_fault(r->block, r->bs, (uint32_t)loc);
}

static uint32_t sequence_of(const void *desc)
{
	return get_le32((const uint8_t *)desc + 16);
}

/* ECMA-167 3/8.4.3: of descriptors for the same thing the one with the highest
 * number prevails. */
static int take_partition(struct udf_volume *v, const struct udf_partition *p,
	struct error *e)
{
	struct udf_partition *all;
	size_t i = 0;

	while (i < v->nparts &&
		le16_get(v->parts[i].number) != le16_get(p->number))
		i++;
	if (i < v->nparts) {
		if (sequence_of(p) >= sequence_of(&v->parts[i]))
			v->parts[i] = *p;
		return 0;
	}
	if (i >= LIMIT_UDF_PARTITIONS)
		return error_set(e, ERR_LIMIT, "udf: more than %d partitions",
			LIMIT_UDF_PARTITIONS);
	all = realloc(v->parts, (i + 1) * sizeof(*all));
	if (!all)
		return error_nomem(e);
	all[i] = *p;
	v->parts = all;
	v->nparts = i + 1;
	return 0;
}

static int take(struct reader *r, struct udf_volume *v, unsigned id,
	struct error *e)
{
	switch (id) {
	case UDF_TAG_PRIMARY:
		if (!v->has_primary || sequence_of(r->block) >=
					       sequence_of(&v->primary))
			memcpy(&v->primary, r->block, sizeof(v->primary));
		v->has_primary = true;
		return 0;
	case UDF_TAG_LOGICAL:
		if (!v->has_logical || sequence_of(r->block) >=
					       sequence_of(v->logical)) {
			memset(v->logical, 0, sizeof(v->logical));
			memcpy(v->logical, r->block,
				size_min(r->bs, sizeof(v->logical)));
		}
		v->has_logical = true;
		return 0;
	case UDF_TAG_PARTITION:
		return take_partition(v, (const void *)r->block, e);
	default:
		return 0;
	}
}

/* One descriptor sequence. Damaged ones are stepped over; r->left bounds the
 * walk, also over pointers that lead back. */
static int read_sequence(struct reader *r, struct udf_extent_ad ad,
	struct udf_volume *v, struct error *e)
{
	uint64_t loc = le32_get(ad.loc);
	uint64_t end = loc + le32_get(ad.len) / r->bs;

	while (loc < end && r->left) {
		unsigned id;
		int err;

		if (!descriptor(r, loc++))
			continue;
		id = get_le16(r->block);
		if (id == UDF_TAG_END)
			return 0;
		if (id == UDF_TAG_POINTER) {
			const struct udf_pointer *p = (const void *)r->block;

			loc = le32_get(p->next.loc);
			end = loc + le32_get(p->next.len) / r->bs;
			continue;
		}
		err = take(r, v, id, e);
		if (err)
			return err;
	}
	return 0;
}

/* The last descriptor of the integrity sequence says whether all is written. */
static void read_integrity(struct reader *r, struct udf_volume *v)
{
	struct udf_extent_ad ad = logical(v)->integrity;
	uint64_t loc = le32_get(ad.loc);
	uint64_t end = loc + le32_get(ad.len) / r->bs;

	memset(v->free_blocks, 0xff, sizeof(v->free_blocks));
	r->left = LIMIT_UDF_DESCRIPTORS;
	while (loc < end) {
		const struct udf_integrity *i = (const void *)r->block;
		size_t n;

		if (!descriptor(r, loc++) ||
			get_le16(r->block) != UDF_TAG_INTEGRITY)
			return;
		v->open = le32_get(i->type) == 0;
		n = u64_min(le32_get(i->parts), ARRAY_LEN(v->free_blocks));
		for (size_t k = 0; k < n && 4 * k <= r->bs - sizeof(*i) - 4; k++)
			v->free_blocks[k] = get_le32(r->block + sizeof(*i) +
						     4 * k);
		if (le32_get(i->next.len)) {
			loc = le32_get(i->next.loc);
			end = loc + le32_get(i->next.len) / r->bs;
		}
	}
}

/* Both sequences of an anchor; *out_found where a logical volume was. */
static int from_anchor(struct reader *r, uint64_t loc, struct udf_volume *v,
	bool *out_found, struct error *e)
{
	struct udf_anchor a;

	memcpy(&a, r->block, sizeof(a));
	for (int copy = 0; copy < 2; copy++) {
		int err;

		udf_volume_release(v);
		memset(v, 0, sizeof(*v));
		v->block_size = r->bs;
		r->left = LIMIT_UDF_DESCRIPTORS;
		err = read_sequence(r, copy ? a.reserve : a.main, v, e);
		if (err)
			return err;
		if (!v->has_logical || !v->nparts)
			continue;
		if (copy)
			finding_report(r->findings, FINDING_FS_BACKUP_SUPER,
				loc * r->bs, NULL,
				"udf: the main volume descriptor sequence is "
				"damaged; the reserve is used");
		*out_found = true;
		return 0;
	}
	return 0;
}

static int check_logical(const struct udf_volume *v, struct error *e)
{
	const struct udf_logical *l = logical(v);
	unsigned revision = get_le16(l->domain.suffix);
	size_t room = size_min(v->block_size, sizeof(v->logical)) - sizeof(*l);

	if (memcmp(l->domain.id, "*OSTA UDF Compliant", 19) != 0)
		return error_set(e, ERR_UNSUPPORTED,
			"udf: the logical volume is of another domain than "
			"UDF's");
	if (revision > 0x260)
		return error_set(e, ERR_UNSUPPORTED,
			"udf: revision %x.%02x is not known", revision >> 8,
			revision & 0xff);
	if (le32_get(l->block_size) != v->block_size)
		return error_set(e, ERR_CORRUPT,
			"udf: blocks of %" PRIu32 " bytes, but the anchors "
			"are at blocks of %" PRIu32,
			le32_get(l->block_size), v->block_size);
	if (le32_get(l->map_len) > room)
		return error_set(e, ERR_CORRUPT,
			"udf: partition maps of %" PRIu32 " bytes",
			le32_get(l->map_len));
	return 0;
}

/* ECMA-167 3/8.4.2.1: anchors are at two of 256, N - 256 and N, N the last
 * block; not closed media have one at 512 (UDF 2.2.3). Images of optical media
 * often have blocks behind N. */
static int search(struct reader *r, struct udf_volume *v, bool *out_anchor,
	bool *out_found, struct error *e)
{
	uint64_t n = r->src->size / r->bs;
	uint64_t places[] = { 256, n - 257, n - 1, 512, n - 1 - 150,
		n - 257 - 150, n - 1 - 152, n - 257 - 152 };

	for (size_t i = 0; i < ARRAY_LEN(places) && !*out_found; i++) {
		int err;

		if (places[i] >= n || places[i] > UINT32_MAX)
			continue;
		r->left = 1;
		if (!descriptor(r, places[i]) ||
			get_le16(r->block) != UDF_TAG_ANCHOR)
			continue;
		*out_anchor = true;
		err = from_anchor(r, places[i], v, out_found, e);
		if (err)
			return err;
	}
	return 0;
}

int udf_volume_read(struct source *src, uint32_t spacing,
	const struct finding_sink *findings, struct udf_volume *out,
	struct error *e)
{
	/* What the recognition sequence says, where it says so; then by how
	 * common they are. A medium that was used with another block size
	 * before may still hold that volume. */
	const uint32_t sizes[] = { spacing, 2048, 512, 4096, 1024, 8192, 16384,
		UDF_BLOCK_MAX };
	AUTO_FREE uint8_t *block = malloc(UDF_BLOCK_MAX);
	struct reader r = { .src = src, .findings = findings, .block = block };
	bool anchor = false, found = false;
	int err = 0;

	memset(out, 0, sizeof(*out));
	if (!block)
		return error_nomem(e);
	for (size_t i = 0; i < ARRAY_LEN(sizes) && !found && !err; i++) {
		if (i && sizes[i] == spacing)
			continue;
		r.bs = sizes[i];
		err = search(&r, out, &anchor, &found, e);
	}
	if (err)
		return err;
	if (!anchor)
		return error_set(e, ERR_NOTFOUND,
			"udf: no anchor volume descriptor pointer");
	if (!found)
		return error_set(e, ERR_CORRUPT,
			"udf: no logical volume and partition in the volume "
			"descriptor sequences");
	err = check_logical(out, e);
	if (!err)
		read_integrity(&r, out);
	return err;
}

/* As blkid makes it: the first 16 characters of the volume set's name, those
 * that are not hexadecimal digits as their numbers. */
static void make_uuid(const char *set, char out[40])
{
	const uint8_t *s = (const uint8_t *)set;
	size_t hex = 0;

	if (strlen(set) < 8)
		return;
	while (hex < 16 && isxdigit(s[hex]))
		hex++;
	if (hex >= 16)
		snprintf(out, 40, "%.16s", set);
	else if (hex >= 8)
		snprintf(out, 40, "%.8s%02x%02x%02x%02x", set, s[8],
			s[8] ? s[9] : 0, s[8] && s[9] ? s[10] : 0,
			s[8] && s[9] && s[10] ? s[11] : 0);
	else
		snprintf(out, 40, "%02x%02x%02x%02x%02x%02x%02x%02x", s[0],
			s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
	for (char *p = out; *p; p++)
		*p = (char)tolower((uint8_t)*p);
}

void udf_volume_info(const struct udf_volume *v, struct fs_info *out)
{
	const struct udf_logical *l = logical(v);
	char set[256];
	uint64_t end = 0;

	snprintf(out->type, sizeof(out->type), "udf");
	out->devices = 1;
	out->block_size = v->block_size;
	if (v->has_primary) {
		udf_dstring(v->primary.set_id, sizeof(v->primary.set_id), set,
			sizeof(set));
		make_uuid(set, out->uuid);
	}
	udf_dstring(l->id, sizeof(l->id), out->label, sizeof(out->label));
	for (size_t i = 0; i < v->nparts; i++)
		end = u64_max(end, (uint64_t)le32_get(v->parts[i].start) +
					   le32_get(v->parts[i].len));
	out->size = end * v->block_size;
}
