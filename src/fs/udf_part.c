/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: partitions, and the four ways in which their blocks lie on the volume.
 * See udf.h. ECMA-167 3/10.7, UDF 2.2.8 to 2.2.13. */
#include "fs/udf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

static bool is_kind(const struct udf_regid *r, const char *name)
{
	return !strncmp(r->id, name, sizeof(r->id));
}

void udf_parts_release(struct udf *f)
{
	for (unsigned i = 0; i < f->nparts; i++) {
		vec_release(&f->parts[i].spares);
		udf_file_release(&f->parts[i].file);
		udf_file_release(&f->parts[i].mirror);
	}
	free(f->parts);
	f->parts = NULL;
	f->nparts = 0;
}

/* --- mapping --- */

/* The first spare whose packet is at or behind this block. */
static size_t find_spare(const struct udf_part *p, uint32_t block)
{
	size_t lo = 0, hi = p->spares.len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (p->spares.items[mid].from < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int map_fixed(struct udf *f, const struct udf_part *p, uint32_t block,
	uint32_t count, uint64_t *out_off, uint32_t *out_count, struct error *e)
{
	uint64_t at;

	if (block >= p->len)
		return error_set(e, ERR_CORRUPT,
			"udf: block %" PRIu32 " of a partition of %" PRIu32,
			block, p->len);
	count = (uint32_t)u64_min(count, p->len - block);
	at = (uint64_t)p->start + block;
	if (p->spares.len) {
		uint32_t packet = block - block % p->packet;
		size_t i = find_spare(p, packet);

		if (i < p->spares.len && p->spares.items[i].from == packet) {
			uint32_t in = block - packet;

			at = (uint64_t)p->spares.items[i].to + in;
			count = (uint32_t)u64_min(count, p->packet - in);
		} else if (i < p->spares.len) {
			count = (uint32_t)u64_min(count,
				p->spares.items[i].from - block);
		}
	}
	*out_off = at * f->block_size;
	*out_count = count;
	return 0;
}

static int map_meta(struct udf *f, const struct udf_part *p, uint32_t block,
	uint32_t count, bool mirror, uint64_t *out_off, uint32_t *out_count,
	struct error *e)
{
	const struct udf_file *x = mirror ? &p->mirror : &p->file;
	uint64_t off = (uint64_t)block * f->block_size, rest;
	const struct udf_run *r = udf_run_at(x, off);

	rest = r ? r->len - (off - r->off) : 0;
	if (!r || r->kind == FS_EXTENT_UNWRITTEN || rest < f->block_size)
		return error_set(e, ERR_CORRUPT,
			"udf: block %" PRIu32 " of the metadata partition is "
			"not there",
			block);
	*out_off = r->dev_off + (off - r->off);
	*out_count = (uint32_t)u64_min(count, rest / f->block_size);
	return 0;
}

/* UDF 2.2.11: what the table says is a block of the partition below. */
static int map_virtual(struct udf *f, const struct udf_part *p, uint32_t *block,
	struct error *e)
{
	uint8_t b[4];
	int r;

	if (*block >= p->vat_len)
		return error_set(e, ERR_CORRUPT,
			"udf: block %" PRIu32 " of a virtual partition of "
			"%" PRIu64,
			*block, p->vat_len);
	r = udf_file_pread(f->meta, &p->file, b, 4,
		p->vat_head + 4 * (uint64_t)*block, e);
	if (r)
		return r;
	if (get_le32(b) == UINT32_MAX)
		return error_set(e, ERR_CORRUPT,
			"udf: block %" PRIu32 " of the virtual partition is "
			"not in use",
			*block);
	*block = get_le32(b);
	return 0;
}

int udf_map(struct udf *f, unsigned part, uint32_t block, uint32_t count,
	bool mirror, uint64_t *out_off, uint32_t *out_count, struct error *e)
{
	const struct udf_part *p;
	int r;

	if (part >= f->nparts)
		return error_set(e, ERR_CORRUPT,
			"udf: partition reference %u of %u", part, f->nparts);
	p = &f->parts[part];
	switch (p->kind) {
	case UDF_MAP_META:
		return map_meta(f, p, block, count, mirror, out_off, out_count,
			e);
	case UDF_MAP_VIRTUAL:
		r = map_virtual(f, p, &block, e);
		if (r)
			return r;
		count = 1;
		p = &f->parts[p->under];
		break;
	case UDF_MAP_PHYSICAL:
	case UDF_MAP_SPARABLE:
		break;
	case UDF_MAP_BAD:
		return error_set(e, ERR_UNSUPPORTED,
			"udf: partition reference %u: %s", part, p->why);
	}
	return map_fixed(f, p, block, count, out_off, out_count, e);
}

static int read_tagged(struct udf *f, unsigned part, uint32_t block,
	bool mirror, uint8_t *buf, uint64_t *out_off, struct error *e)
{
	const char *fault;
	uint64_t off = 0;
	uint32_t n;
	int r;

	r = udf_map(f, part, block, 1, mirror, &off, &n, e);
	if (!r)
		r = source_pread(f->meta, buf, f->block_size, off, e);
	if (r)
		return r;
	fault = udf_tag_fault(buf, f->block_size, block);
	if (fault)
		return error_at(e, ERR_CORRUPT, off,
			"udf: the descriptor in block %" PRIu32
			" of partition reference %u: %s",
			block, part, fault);
	if (out_off)
		*out_off = off;
	return 0;
}

int udf_read_tagged(struct udf *f, unsigned part, uint32_t block, uint8_t *buf,
	uint64_t *out_off, struct error *e)
{
	int r = read_tagged(f, part, block, false, buf, out_off, e);

	if (!r || part >= f->nparts || !f->parts[part].has_mirror)
		return r;
	if (read_tagged(f, part, block, true, buf, out_off, NULL))
		return r;
	if (!f->told_mirror)
		finding_report(f->findings, FINDING_FS_BACKUP_SUPER,
			e && e->has_offset ? e->offset : FINDING_NO_OFFSET,
			NULL, "%s; the metadata mirror file is used",
			e ? e->msg : "udf: metadata is damaged");
	f->told_mirror = true;
	return 0;
}

/* --- opening --- */

static int by_block(const void *a, const void *b)
{
	const struct udf_spare *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* One of the copies of the sparing table, at this block of the volume. */
static int read_sparing(struct udf *f, struct udf_part *p, uint32_t loc,
	uint32_t *out_sequence, struct error *e)
{
	AUTO_FREE uint8_t *b = NULL;
	const struct udf_sparing *t;
	uint64_t off = (uint64_t)loc * f->block_size;
	uint8_t head[sizeof(struct udf_sparing)];
	size_t len, n;
	int r;

	r = source_pread(f->meta, head, sizeof(head), off, e);
	if (r)
		return r;
	t = (const void *)head;
	n = le16_get(t->entries);
	len = sizeof(head) + n * sizeof(struct udf_short_ad);
	b = malloc(len);
	if (!b)
		return error_nomem(e);
	r = source_pread(f->meta, b, len, off, e);
	if (r)
		return r;
	t = (const void *)b;
	if (le16_get(t->tag.id) != UDF_TAG_SPARING ||
		!is_kind(&t->id, "*UDF Sparing Table") ||
		udf_tag_fault(b, len, loc))
		return error_at(e, ERR_CORRUPT, off,
			"udf: a damaged sparing table");
	if (p->spares.len && le32_get(t->sequence) < *out_sequence)
		return 0;
	p->spares.len = 0;
	*out_sequence = le32_get(t->sequence);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *x = b + sizeof(head) + 8 * i;
		struct udf_spare s = { get_le32(x), get_le32(x + 4) };

		/* those above are not in use, or defective */
		if (s.from < 0xfffffff0 && s.from % p->packet == 0 &&
			!vec_push(&p->spares, s))
			return error_nomem(e);
	}
	if (p->spares.len)
		qsort(p->spares.items, p->spares.len, sizeof(struct udf_spare),
			by_block);
	return 0;
}

static int open_sparable(struct udf *f, struct udf_part *p, struct error *e)
{
	uint32_t sequence = 0;
	unsigned tables = p->map.sparing.tables, good = 0;
	struct error first = { 0 };

	p->packet = le16_get(p->map.sparing.packet_len);
	if (!p->packet || tables > ARRAY_LEN(p->map.sparing.table))
		return error_set(e, ERR_CORRUPT,
			"sparing in packets of %" PRIu32
			" blocks, %u tables",
			p->packet, tables);
	for (unsigned i = 0; i < tables; i++) {
		int r = read_sparing(f, p, le32_get(p->map.sparing.table[i]),
			&sequence, &first);

		if (r == ERR_NOMEM) {
			if (e)
				*e = first;
			return r;
		}
		good += !r;
	}
	/* without a table no block is known to lie elsewhere */
	if (good < tables)
		finding_report(f->findings, FINDING_FS_DAMAGED,
			FINDING_NO_OFFSET, NULL,
			"udf: %u of %u sparing tables can be read", good,
			tables);
	return 0;
}

/* Is this file's content a virtual allocation table? Then where in it are the
 * entries. UDF 2.2.11; 1.50 has no file type for it, and what identifies it
 * behind the entries. */
static bool is_vat(struct udf *f, const struct udf_file *x, struct udf_part *p)
{
	uint8_t b[36];
	uint64_t size = x->node.size;

	if (x->type == UDF_TYPE_VAT) {
		if (size < 152 || udf_file_pread(f->meta, x, b, 4, 0, NULL))
			return false;
		p->vat_head = get_le16(b);
		if (p->vat_head < 152 || p->vat_head > size)
			return false;
		p->vat_len = (size - p->vat_head) / 4;
		return true;
	}
	if (x->type != UDF_TYPE_UNSPECIFIED || size < sizeof(b) ||
		udf_file_pread(f->meta, x, b, sizeof(b), size - sizeof(b),
			NULL) ||
		memcmp(b + 1, "*UDF Virtual Alloc Tbl", 22) != 0)
		return false;
	p->vat_head = 0;
	p->vat_len = (size - sizeof(b)) / 4;
	return true;
}

/* The entry of the table is the last block that was written; images often go
 * on behind it. */
static int open_virtual(struct udf *f, struct udf_part *p, struct error *e)
{
	const struct udf_part *u = &f->parts[p->under];
	uint64_t n = f->src->size / f->block_size, last;

	last = u64_min(n, (uint64_t)u->start + u->len);
	for (unsigned i = 0; i < LIMIT_UDF_VAT_SEARCH; i++) {
		struct udf_file x = { 0 };
		int r;

		if (last <= u->start + (uint64_t)i)
			break;
		r = udf_load(f, UDF_ID(p->under, last - u->start - 1 - i), &x,
			NULL);
		if (!r && is_vat(f, &x, p)) {
			p->file = x;
			return 0;
		}
		udf_file_release(&x);
		if (r == ERR_NOMEM)
			return error_nomem(e);
	}
	return error_set(e, ERR_CORRUPT,
		"no virtual allocation table at the end of the volume");
}

static int load_meta(struct udf *f, const struct udf_part *p, uint32_t block,
	uint8_t type, struct udf_file *out, struct error *e)
{
	struct udf_file x = { 0 };
	int r = udf_load(f, UDF_ID(p->under, block), &x, e);

	if (!r && x.type != type)
		r = error_set(e, ERR_CORRUPT,
			"udf: the file in block %" PRIu32
			" has type %u, not %u", block, x.type, type);
	if (!r && (x.node.flags & FS_NODE_OPAQUE))
		r = error_set(e, ERR_CORRUPT,
			"udf: the file in block %" PRIu32
			" has damaged extents", block);
	if (r)
		udf_file_release(&x);
	else
		*out = x;
	return r;
}

static int open_meta(struct udf *f, struct udf_part *p, struct error *e)
{
	uint32_t mirror = le32_get(p->map.meta.mirror);
	struct error other = { 0 };
	int r;

	r = load_meta(f, p, le32_get(p->map.meta.main), UDF_TYPE_META, &p->file,
		e);
	if (r == ERR_NOMEM)
		return r;
	p->has_mirror = mirror != UINT32_MAX &&
			!load_meta(f, p, mirror, UDF_TYPE_META_MIRROR,
				&p->mirror, &other);
	if (!r)
		return 0;
	if (!p->has_mirror)
		return error_prefix(e, "the metadata file");
	finding_report(f->findings, FINDING_FS_BACKUP_SUPER, FINDING_NO_OFFSET,
		NULL, "udf: the metadata file: %s; its mirror is used",
		e ? e->msg : "damaged");
	p->file = p->mirror;
	memset(&p->mirror, 0, sizeof(p->mirror));
	p->has_mirror = false;
	return 0;
}

static const struct udf_partition *partition(const struct udf_volume *v,
	uint16_t number)
{
	for (size_t i = 0; i < v->nparts; i++)
		if (le16_get(v->parts[i].number) == number)
			return &v->parts[i];
	return NULL;
}

/* What a map says, as far as it needs nothing else; false where it is of no
 * known kind, or its partition is not described. */
static bool read_map(const struct udf_volume *v, const uint8_t *map,
	struct udf_part *p)
{
	const struct udf_partition *d;
	unsigned type = map[0], len = map[1];

	if (type == 1 && len == sizeof(struct udf_map1)) {
		p->kind = UDF_MAP_PHYSICAL;
		p->number = get_le16(map + 4);
	} else if (type == 2 && len == sizeof(struct udf_map2)) {
		memcpy(&p->map, map, sizeof(p->map));
		p->number = le16_get(p->map.number);
		if (is_kind(&p->map.kind, "*UDF Sparable Partition"))
			p->kind = UDF_MAP_SPARABLE;
		else if (is_kind(&p->map.kind, "*UDF Virtual Partition"))
			p->kind = UDF_MAP_VIRTUAL;
		else if (is_kind(&p->map.kind, "*UDF Metadata Partition"))
			p->kind = UDF_MAP_META;
	}
	if (p->kind != UDF_MAP_PHYSICAL && p->kind != UDF_MAP_SPARABLE)
		return p->kind != UDF_MAP_BAD;
	d = partition(v, p->number);
	if (!d)
		return false;
	p->start = le32_get(d->start);
	p->len = le32_get(d->len);
	p->free_table = d->free_table;
	p->free_bitmap = d->free_bitmap;
	return true;
}

/* Virtual and metadata partitions lie in a physical or sparable one of the same
 * number. */
static bool find_under(const struct udf *f, struct udf_part *p)
{
	for (unsigned i = 0; i < f->nparts; i++) {
		const struct udf_part *u = &f->parts[i];

		if ((u->kind == UDF_MAP_PHYSICAL ||
			    u->kind == UDF_MAP_SPARABLE) &&
			u->number == p->number) {
			p->under = i;
			return true;
		}
	}
	return false;
}

/* Opens those of one kind; one that cannot be is told and left out. */
static int open_kind(struct udf *f, enum udf_map_kind kind,
	int (*open)(struct udf *, struct udf_part *, struct error *),
	struct error *e)
{
	for (unsigned i = 0; i < f->nparts; i++) {
		struct udf_part *p = &f->parts[i];
		struct error why = { 0 };
		int r;

		if (p->kind != kind)
			continue;
		if (kind != UDF_MAP_SPARABLE && !find_under(f, p))
			r = error_set(&why, ERR_CORRUPT,
				"partition %u lies in none", p->number);
		else
			r = open(f, p, &why);
		if (!r)
			continue;
		if (r == ERR_NOMEM)
			return error_nomem(e);
		p->kind = UDF_MAP_BAD;
		snprintf(p->why, sizeof(p->why), "%.190s", why.msg);
		finding_report(f->findings, FINDING_FS_DAMAGED,
			why.has_offset ? why.offset : FINDING_NO_OFFSET, NULL,
			"udf: partition reference %u: %s", i, why.msg);
	}
	return 0;
}

int udf_parts_open(struct udf *f, const struct udf_volume *v, struct error *e)
{
	const struct udf_logical *l = (const void *)v->logical;
	const uint8_t *map = v->logical + sizeof(*l);
	size_t left = le32_get(l->map_len); /* was checked to be inside */
	uint32_t n = le32_get(l->maps);
	int r;

	if (n > LIMIT_UDF_PARTITIONS)
		return error_set(e, ERR_LIMIT, "udf: %" PRIu32
			" partition maps", n);
	f->parts = calloc(n ? n : 1, sizeof(*f->parts));
	if (!f->parts)
		return error_nomem(e);
	for (f->nparts = 0; f->nparts < n; f->nparts++) {
		if (left < 2 || map[1] < 2 || map[1] > left)
			return error_set(e, ERR_CORRUPT,
				"udf: partition map %u of %" PRIu32
				" is not there", f->nparts, n);
		if (!read_map(v, map, &f->parts[f->nparts])) {
			struct udf_part *p = &f->parts[f->nparts];

			p->kind = UDF_MAP_BAD;
			snprintf(p->why, sizeof(p->why),
				"its map is of type %u, or its partition is "
				"not described",
				map[0]);
			finding_report(f->findings, FINDING_FS_UNSUPPORTED,
				FINDING_NO_OFFSET, NULL,
				"udf: partition reference %u: %s", f->nparts,
				p->why);
		}
		f->parts[f->nparts].free_blocks = v->free_blocks[f->nparts];
		left -= map[1];
		map += map[1];
	}
	r = open_kind(f, UDF_MAP_SPARABLE, open_sparable, e);
	if (!r)
		r = open_kind(f, UDF_MAP_VIRTUAL, open_virtual, e);
	return r ? r : open_kind(f, UDF_MAP_META, open_meta, e);
}
