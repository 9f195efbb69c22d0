/* SPDX-License-Identifier: Apache-2.0 */
/* Reads VirtualBox disk images: dynamic and static; differencing ones are
 * recognised and refused, since they name their parent by UUID only. */
#include "disk/vdi.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "disk/blocktable.h"
#include "disk/vdi_format.h"

struct vdi {
	struct blockmap m;
	struct blocktable t;
};

static enum disk_verdict vdi_probe(struct source *file)
{
	uint8_t b[8];

	/* The text differs from tool to tool; the signature does not. */
	return !source_pread(file, b, sizeof(b), 64, NULL) &&
			       get_le32(b) == VDI_SIGNATURE &&
			       get_le32(b + 4) >> 16 <= 1
		       ? DISK_YES
		       : DISK_NO;
}

static int vdi_lookup(struct blockmap *m, uint64_t off, struct piece *out,
	struct error *e)
{
	struct vdi *v = (struct vdi *)m;
	uint64_t i = off / v->t.block_size, at;
	bool here;
	int r = blocktable_get(m, &v->t, i, &here, &at, e);

	if (r)
		return r;
	*out = (struct piece){ .off = i * v->t.block_size,
		.len = v->t.block_size };
	if (here) {
		out->kind = PIECE_DATA;
		out->src = m->file;
		out->src_off = at;
	}
	return 0;
}

static const struct blockmap_ops vdi_map = {
	.name = "vdi",
	.lookup = vdi_lookup,
};

/* Checks the header; the geometry fields are for the BIOS and are not used. */
static int check(const struct vdi_header *h, struct vdi *v, uint64_t file_size,
	struct error *e)
{
	static const uint8_t none[16];
	uint32_t type = le32_get(h->type);
	int r;

	if (le32_get(h->signature) != VDI_SIGNATURE)
		return error_at(e, ERR_CORRUPT, 64, "vdi: no signature");
	if (le32_get(h->version) != VDI_VERSION_1_1)
		return error_at(e, ERR_UNSUPPORTED, 68,
			"vdi: version %u.%u, only 1.1 is read",
			le32_get(h->version) >> 16,
			le32_get(h->version) & 0xffff);
	if (type == VDI_DIFF || type == VDI_UNDO ||
		memcmp(h->uuid_parent, none, 16) != 0)
		return error_at(e, ERR_UNSUPPORTED, 76,
			"vdi: a differencing image, which names its parent by "
			"UUID only; merge it into its parent first "
			"(VBoxManage clonemedium)");
	if (type != VDI_DYNAMIC && type != VDI_STATIC)
		return error_at(e, ERR_UNSUPPORTED, 76, "vdi: image type %u",
			type);
	if (le32_get(h->sector_size) != 512)
		return error_at(e, ERR_UNSUPPORTED, 0x168,
			"vdi: sector size %u", le32_get(h->sector_size));
	if (!is_pow2(le32_get(h->block_size)) ||
		le32_get(h->block_size) < 4096 ||
		le32_get(h->block_size) > LIMIT_CONTAINER_BLOCK)
		return error_at(e, ERR_UNSUPPORTED, 0x178,
			"vdi: block size %u", le32_get(h->block_size));
	if (le32_get(h->block_extra))
		return error_at(e, ERR_UNSUPPORTED, 0x17c,
			"vdi: %u extra bytes before each block",
			le32_get(h->block_extra));
	v->t = (struct blocktable){ .name = "vdi",
		.none = VDI_DISCARDED,
		.at = le32_get(h->offset_table),
		.nblocks = le32_get(h->blocks),
		.block_size = le32_get(h->block_size),
		.origin = le32_get(h->offset_data),
		.unit = le32_get(h->block_size) };
	/* The table may have entries to spare (VirtualBox rounds up). */
	r = blocktable_check(&v->t, le64_get(h->disk_size), file_size, 0x180,
		0x154, e);
	if (r)
		return r;
	if (v->t.at < 0x48 || v->t.at % 4)
		return error_at(e, ERR_CORRUPT, 0x154,
			"vdi: the block table at %" PRIu64
			" is in the header or not aligned", v->t.at);
	if (v->t.origin < v->t.at + v->t.nblocks * 4 || v->t.origin % 512)
		return error_at(e, ERR_CORRUPT, 0x158,
			"vdi: the data at %" PRIu64 " overlaps the block table",
			v->t.origin);
	return 0;
}

static int vdi_open(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	struct vdi_header h;
	AUTO_SOURCE owner = NULL;
	struct vdi *v;
	int r = read_padded(args->file, &h, sizeof(h), 0, e);

	if (r)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem(e);
	r = check(&h, v, args->file->size, e);
	if (r) {
		free(v);
		return r;
	}
	r = blockmap_init(&v->m, &vdi_map, args->file, le64_get(h.disk_size), e);
	if (r)
		return r;
	owner = &v->m.s;
	r = blocktable_scan(&v->m, &v->t, args->findings, e);
	if (r)
		return r;
	snprintf(info->format, sizeof(info->format), "vdi");
	snprintf(info->detail, sizeof(info->detail),
		"v1.1, %s, %" PRIu64 " KiB blocks",
		le32_get(h.type) == VDI_STATIC ? "static" : "dynamic",
		v->t.block_size / KIB);
	memcpy(info->content_id, h.uuid_modified, 16);
	*out = steal_ptr(owner);
	return 0;
}

static const char *const suffixes[] = { ".vdi", NULL };

const struct disk_ops disk_vdi = {
	.name = "vdi",
	.suffixes = suffixes,
	.probe = vdi_probe,
	.open = vdi_open,
	.writer = &vdi_writer,
};
