/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions that are mounted by their type alone: what systemd's
 * gpt-auto-generator(8) does where fstab says nothing of a place, for the
 * partitions that stand on the root's disk (Discoverable Partitions
 * Specification). /var and /tmp are left out: systemd wants them bound to the
 * machine's id. */
#include <string.h>
#include <strings.h>
#include "base/compiler.h"
#include "view/mounts.h"

#define ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

static const struct {
	const char *type, *path;
} places[] = {
	{ "8484680C-9521-48C6-9C11-B0720656F69E", "/usr" }, /* x86-64 */
	{ "75250D76-8CC6-458E-BD66-BD47CC81A812", "/usr" }, /* x86 */
	{ "B0E01050-EE5F-4390-949A-9101B17104E9", "/usr" }, /* arm64 */
	{ "7D0359A3-02B3-4F0A-865C-654403E70625", "/usr" }, /* arm */
	{ "BEAEC34B-8442-439B-A40B-984381ED097D", "/usr" }, /* riscv64 */
	{ "15BB03AF-77E7-4D4A-B12B-C0D084F7491C", "/usr" }, /* ppc64le */
	{ "8A4F5770-50AA-4ED3-874A-99B710DB6FEA", "/usr" }, /* s390x */
	{ "BC13C2FF-59E6-4262-A352-B275FD6F7172", "/boot" },
	{ ESP, "/efi" },
	{ ESP, "/boot" },
	{ "933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "/home" },
	{ "3B8F8425-20E0-4F3B-907F-1A25A76F98E8", "/srv" },
};

bool view_is_root_type(const struct image_volume *v)
{
	static const char *const types[] = {
		"4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", /* x86-64 */
		"44479540-F297-41B2-9AF7-D131D5F0458A", /* x86 */
		"B921B045-1DF0-41C3-AF44-4C6F280D3FAE", /* arm64 */
		"69DAD710-2CE4-4E3C-B16C-21A1D49ABED3", /* arm */
		"72EC70A6-CF74-40E6-BD49-4BDA08E8F224", /* riscv64 */
		"C31C45E6-3F39-412E-80FB-4809C4980599", /* ppc64le */
		"5EEAD9A9-FE09-4A1E-A1D7-520D00531306", /* s390x */
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcasecmp(v->part_type, types[i]))
			return true;
	return false;
}

static bool is_mounted(const struct view_files *v, size_t volume)
{
	for (size_t i = 0; i < v->mounts.len; i++)
		if (v->mounts.items[i].volume == volume)
			return true;
	return false;
}

/* Do both begin on the same disk? */
static bool beside(const struct image_volume *a, const struct image_volume *b)
{
	return a->segments.len && b->segments.len &&
	       a->segments.items[0].disk == b->segments.items[0].disk;
}

/* 1: path is a folder, where nothing is mounted and that is empty. */
static int is_free(struct view_files *v, const char *path, struct error *e)
{
	AUTO_NODE n = { 0 };
	struct view_dir d = { 0 };
	struct entry x;
	unsigned mount;
	int r = view_lookup(v, path, false, &n, e);

	if (r || n.x.type != ENTRY_DIR || n.mount != 0)
		return r == ERR_NOTFOUND || !r ? 0 : r;
	r = view_dir_open(v, path, n.mount, &n.x.id, &d, e);
	if (r)
		return r;
	r = view_dir_next(&d, &x, &mount, e);
	view_dir_release(&d);
	return r < 0 ? r : !r;
}

int view_mount_discovered(struct view_files *v,
	bool (*said)(const void *ctx, const char *path), const void *ctx,
	struct error *e)
{
	const struct image_volume *root =
		&v->image.volumes.items[v->mounts.items[0].volume];

	for (size_t k = 0; k < ARRAY_LEN(places); k++) {
		for (size_t i = 0; i < v->image.volumes.len; i++) {
			const struct image_volume *iv =
				&v->image.volumes.items[i];
			int r;

			if (!iv->has_tree || iv->nested ||
				strcasecmp(iv->part_type, places[k].type) ||
				!beside(root, iv) || is_mounted(v, i) ||
				said(ctx, places[k].path))
				continue;
			r = is_free(v, places[k].path, e);
			if (r == 1)
				r = view_mount_add(v, places[k].path, i, "",
					false, e);
			if (r)
				return r;
			break; /* the first of its type counts */
		}
	}
	return 0;
}
