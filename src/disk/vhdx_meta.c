/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, region table and metadata of a VHDX. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/utf.h"
#include "disk/blockmap.h"
#include "disk/vhdx.h"

uint32_t vhdx_checksum(const void *p, size_t len)
{
	static const uint8_t zeros[4];
	uint32_t c = crc32c_update(UINT32_MAX, p, 4);

	c = crc32c_update(c, zeros, 4);
	return ~crc32c_update(c, (const uint8_t *)p + 8, len - 8);
}

static bool read_one(struct source *file, uint64_t at, struct vhdx_header *h)
{
	return !source_pread(file, h, sizeof(*h), at, NULL) &&
	       !memcmp(h->signature, "head", 4) &&
	       vhdx_checksum(h, sizeof(*h)) == le32_get(h->checksum);
}

int vhdx_read_header(struct source *file, const struct finding_sink *findings,
	struct vhdx_header *out, struct error *e)
{
	struct vhdx_header h[2];
	bool ok[2] = { read_one(file, VHDX_HEADER1, &h[0]),
		read_one(file, VHDX_HEADER2, &h[1]) };
	int use;

	if (!ok[0] && !ok[1])
		return error_at(e, ERR_CORRUPT, VHDX_HEADER1,
			"vhdx: neither header has a valid checksum");
	if (ok[0] && ok[1] &&
		le64_get(h[0].sequence) == le64_get(h[1].sequence) &&
		memcmp(&h[0], &h[1], sizeof(h[0])) != 0)
		return error_at(e, ERR_CORRUPT, VHDX_HEADER1 + 8,
			"vhdx: two different headers with the same number");
	use = !ok[0] || (ok[1] && le64_get(h[1].sequence) >
						le64_get(h[0].sequence));
	if (!ok[!use])
		finding_report(findings, FINDING_DISK_DAMAGED,
			use ? VHDX_HEADER1 : VHDX_HEADER2, "vhdx",
			"header %d is damaged; the other is used", 2 - use);
	if (le16_get(h[use].version) != 1)
		return error_at(e, ERR_UNSUPPORTED,
			(use ? VHDX_HEADER2 : VHDX_HEADER1) + 66,
			"vhdx: version %u", le16_get(h[use].version));
	*out = h[use];
	return 0;
}

/* --- regions --- */

struct regions {
	uint64_t bat, bat_len, meta, meta_len;
};

static int one_region(const struct vhdx_region *x, uint64_t at,
	struct regions *out, uint64_t file_size, struct error *e)
{
	bool bat = !memcmp(x->guid, VHDX_GUID_BAT, 16);
	bool meta = !memcmp(x->guid, VHDX_GUID_METADATA, 16);
	uint64_t off = le64_get(x->offset), len = le32_get(x->length);

	if (!bat && !meta)
		return le32_get(x->flags) & 1
			       ? error_at(e, ERR_UNSUPPORTED, at,
					 "vhdx: an unknown region that is "
					 "required")
			       : 0;
	if (off < VHDX_ALIGN || off % VHDX_ALIGN || !len || len % VHDX_ALIGN ||
		!range_inside(off, len, file_size))
		return error_at(e, ERR_CORRUPT, at + 16,
			"vhdx: the %s region of %" PRIu64 " bytes at %" PRIu64
			" is not inside the file of %" PRIu64,
			bat ? "block table" : "metadata", len, off, file_size);
	if (bat ? out->bat_len : out->meta_len)
		return error_at(e, ERR_CORRUPT, at,
			"vhdx: the %s region is there twice",
			bat ? "block table" : "metadata");
	*(bat ? &out->bat : &out->meta) = off;
	*(bat ? &out->bat_len : &out->meta_len) = len;
	return 0;
}

static int read_regions(struct source *file, const struct finding_sink *findings,
	struct regions *out, struct error *e)
{
	static const uint64_t at[2] = { VHDX_REGIONS1, VHDX_REGIONS2 };
	struct vhdx_region_header h = { 0 };
	AUTO_FREE uint8_t *b = malloc(VHDX_TABLE_BYTES);
	int use = 0, r = 0;

	if (!b)
		return error_nomem(e);
	for (; use < 2; use++) {
		if (source_pread(file, b, VHDX_TABLE_BYTES, at[use], NULL))
			continue;
		memcpy(&h, b, sizeof(h));
		if (!memcmp(h.signature, "regi", 4) &&
			vhdx_checksum(b, VHDX_TABLE_BYTES) ==
				le32_get(h.checksum) &&
			le32_get(h.entries) <= VHDX_TABLE_ENTRIES)
			break;
	}
	if (use == 2)
		return error_at(e, ERR_CORRUPT, at[0],
			"vhdx: neither region table is valid");
	if (use)
		finding_report(findings, FINDING_DISK_DAMAGED, at[0], "vhdx",
			"the first region table is damaged; the second is used");
	*out = (struct regions){ 0 };
	for (uint32_t i = 0; i < le32_get(h.entries) && !r; i++) {
		struct vhdx_region x;

		memcpy(&x, b + sizeof(h) + i * sizeof(x), sizeof(x));
		r = one_region(&x, at[use] + sizeof(h) + i * sizeof(x), out,
			file->size, e);
	}
	if (!r && (!out->bat_len || !out->meta_len))
		r = error_at(e, ERR_CORRUPT, at[use],
			"vhdx: no %s region",
			out->bat_len ? "metadata" : "block table");
	return r;
}

/* --- the parent locator (2.6.2.6) --- */

/* "{83ed0ec3-24c8-49a6-a959-5e4bd1288791}" to its 16 bytes. */
static bool parse_guid(const char *s, uint8_t out[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11,
		12, 13, 14, 15 };
	size_t n = 0;

	for (; *s && n < 32; s++) {
		int c = tolower((unsigned char)*s);
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
					       : -1;

		if (v < 0)
			continue;
		if (n % 2)
			out[order[n / 2]] |= (uint8_t)v;
		else
			out[order[n / 2]] = (uint8_t)(v << 4);
		n++;
	}
	return n == 32;
}

static int read_locator(const uint8_t *p, size_t len, uint64_t at,
	struct vhdx_meta_info *out, struct error *e)
{
	char relative[1024] = "", absolute[1024] = "";
	uint32_t n;

	if (len < 20 || memcmp(p, VHDX_GUID_LOCATOR_VHDX, 16) != 0)
		return error_at(e, ERR_UNSUPPORTED, at,
			"vhdx: a parent locator of an unknown kind");
	n = get_le16(p + 18);
	if (n > (len - 20) / 12)
		return error_at(e, ERR_CORRUPT, at + 18,
			"vhdx: %u parent locators in %zu bytes", n, len);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *x = p + 20 + i * 12;
		uint32_t ko = get_le32(x), vo = get_le32(x + 4);
		uint16_t kl = get_le16(x + 8), vl = get_le16(x + 10);
		char key[64], value[1024];

		if (!range_inside(ko, kl, len) || !range_inside(vo, vl, len))
			return error_at(e, ERR_CORRUPT, at + 20 + i * 12,
				"vhdx: parent locator %u is outside its item",
				i);
		utf16_field(p + ko, kl / 2, false, key, sizeof(key));
		utf16_field(p + vo, vl / 2, false, value, sizeof(value));
		if (!strcmp(key, "parent_linkage"))
			parse_guid(value, out->parent_id[0]);
		else if (!strcmp(key, "parent_linkage2"))
			parse_guid(value, out->parent_id[1]);
		else if (!strcmp(key, "relative_path"))
			memcpy(relative, value, sizeof(value));
		else if (!strcmp(key, "absolute_win32_path"))
			memcpy(absolute, value, sizeof(value));
	}
	memcpy(out->parent, *relative ? relative : absolute,
		sizeof(out->parent));
	windows_path_to_host(out->parent);
	return 0;
}

/* --- metadata items --- */

enum item { PARAMETERS, SIZE, ID, LOGICAL, PHYSICAL, LOCATOR, ITEMS };

static const struct {
	const char *guid, *name;
	uint32_t length; /* 0: any */
} items[ITEMS] = {
	[PARAMETERS] = { VHDX_GUID_FILE_PARAMETERS, "file parameters", 8 },
	[SIZE] = { VHDX_GUID_DISK_SIZE, "disk size", 8 },
	[ID] = { VHDX_GUID_DISK_ID, "disk id", 16 },
	[LOGICAL] = { VHDX_GUID_LOGICAL_SECTOR, "logical sector size", 4 },
	[PHYSICAL] = { VHDX_GUID_PHYSICAL_SECTOR, "physical sector size", 4 },
	[LOCATOR] = { VHDX_GUID_PARENT_LOCATOR, "parent locator", 0 },
};

struct found {
	uint64_t at; /* in the file; 0: not there */
	uint32_t len;
};

static int one_item(const struct vhdx_meta *x, uint64_t at,
	const struct regions *g, struct found *f, struct error *e)
{
	uint32_t off = le32_get(x->offset), len = le32_get(x->length);
	int k = 0;

	while (k < ITEMS && memcmp(x->guid, items[k].guid, 16) != 0)
		k++;
	if (k == ITEMS)
		return le32_get(x->flags) & VHDX_META_REQUIRED
			       ? error_at(e, ERR_UNSUPPORTED, at,
					 "vhdx: an unknown metadata item that "
					 "is required")
			       : 0;
	if (off < VHDX_TABLE_BYTES || !range_inside(off, len, g->meta_len) ||
		len > LIMIT_VHDX_ITEM ||
		(items[k].length && len != items[k].length))
		return error_at(e, ERR_CORRUPT, at + 16,
			"vhdx: the item '%s' of %u bytes at %u of the metadata",
			items[k].name, len, off);
	if (f[k].at)
		return error_at(e, ERR_CORRUPT, at,
			"vhdx: the item '%s' is there twice", items[k].name);
	f[k] = (struct found){ g->meta + off, len };
	return 0;
}

static int find_items(struct source *file, const struct regions *g,
	struct found *f, struct error *e)
{
	struct vhdx_meta_header h;
	AUTO_FREE uint8_t *b = malloc(VHDX_TABLE_BYTES);
	int r;

	if (!b)
		return error_nomem(e);
	r = source_pread(file, b, VHDX_TABLE_BYTES, g->meta, e);
	if (r)
		return r;
	memcpy(&h, b, sizeof(h));
	if (memcmp(h.signature, "metadata", 8) != 0 ||
		le16_get(h.entries) > VHDX_TABLE_ENTRIES)
		return error_at(e, ERR_CORRUPT, g->meta,
			"vhdx: no valid metadata table");
	for (uint32_t i = 0; i < le16_get(h.entries) && !r; i++) {
		struct vhdx_meta x;

		memcpy(&x, b + sizeof(h) + i * sizeof(x), sizeof(x));
		r = one_item(&x, g->meta + sizeof(h) + i * sizeof(x), g, f, e);
	}
	for (int k = 0; k < LOCATOR && !r; k++)
		if (!f[k].at && k != ID)
			r = error_at(e, ERR_CORRUPT, g->meta,
				"vhdx: no metadata item '%s'", items[k].name);
	return r;
}

static int check_items(const struct found *f, const uint8_t *parameters,
	const uint8_t *size, const uint8_t *logical, struct vhdx_meta_info *out,
	struct error *e)
{
	out->block_size = get_le32(parameters);
	out->has_parent = get_le32(parameters + 4) & 2;
	if (get_le32(parameters + 4) & ~3u)
		return error_at(e, ERR_UNSUPPORTED, f[PARAMETERS].at + 4,
			"vhdx: unknown features (%#x)",
			get_le32(parameters + 4));
	if (!is_pow2(out->block_size) || out->block_size < VHDX_ALIGN ||
		out->block_size > LIMIT_CONTAINER_BLOCK)
		return error_at(e, ERR_CORRUPT, f[PARAMETERS].at,
			"vhdx: block size %u", out->block_size);
	out->sector_size = get_le32(logical);
	if (out->sector_size != 512 && out->sector_size != 4096)
		return error_at(e, ERR_CORRUPT, f[LOGICAL].at,
			"vhdx: logical sector size %u", out->sector_size);
	out->disk_size = get_le64(size);
	if (out->disk_size % out->sector_size)
		return error_at(e, ERR_CORRUPT, f[SIZE].at,
			"vhdx: a disk of %" PRIu64 " bytes in sectors of %u",
			out->disk_size, out->sector_size);
	if (out->disk_size > 64 * TIB) /* 2.6.2.2 */
		return error_at(e, ERR_CORRUPT, f[SIZE].at,
			"vhdx: a disk of %" PRIu64 " bytes, over 64 TiB",
			out->disk_size);
	return 0;
}

int vhdx_read_meta(struct source *file, const struct finding_sink *findings,
	struct vhdx_meta_info *out, struct error *e)
{
	struct found f[ITEMS] = { 0 };
	uint8_t parameters[8], size[8], logical[4];
	struct regions g;
	AUTO_FREE uint8_t *loc = NULL;
	int r = read_regions(file, findings, &g, e);

	if (!r)
		r = find_items(file, &g, f, e);
	if (!r)
		r = source_pread(file, parameters, 8, f[PARAMETERS].at, e);
	if (!r)
		r = source_pread(file, size, 8, f[SIZE].at, e);
	if (!r)
		r = source_pread(file, logical, 4, f[LOGICAL].at, e);
	if (r)
		return r;
	*out = (struct vhdx_meta_info){ .bat = g.bat, .bat_len = g.bat_len };
	r = check_items(f, parameters, size, logical, out, e);
	if (r || !out->has_parent)
		return r;
	if (!f[LOCATOR].at || !f[LOCATOR].len)
		return error_at(e, ERR_CORRUPT, g.meta,
			"vhdx: a differencing disk without a parent locator");
	loc = malloc(f[LOCATOR].len);
	if (!loc)
		return error_nomem(e);
	r = source_pread(file, loc, f[LOCATOR].len, f[LOCATOR].at, e);
	return r ? r : read_locator(loc, f[LOCATOR].len, f[LOCATOR].at, out, e);
}
